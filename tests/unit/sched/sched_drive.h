/* SPDX-License-Identifier: MIT */
/*
 * A driver of the scheduler for its tests: one GPU and vGPUs with a load each, in a time of its
 * own. It does what sched.h asks of a driver and checks at each step what must always hold.
 */
#ifndef SCHED_DRIVE_H
#define SCHED_DRIVE_H

#include <check.h>

#include "xen-pvgpu-back/sched/sched.h"

/* ck_assert writes to a pipe each time, also when all is well: too slow for millions. */
#define must_say(cond, ...)                                                                        \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)
#define must(cond) must_say(cond, "not so: %s", #cond)

#define US         1000u
#define MS         1000000u
#define SEC        1000000000ull
#define FULL       ((struct sched_share){.class = SCHED_MEDIUM, .weight = 100})

/* A vGPU's load: bursts of work, `think` after each one's end; 0: at once. */
struct load {
	uint64_t burst, think; /* ns */
	uint64_t jitter;       /* both are drawn from half to one and a half of them: 1 */
	/* Gives up its work when that much of a slice is left; 0: never. For cheats. */
	uint64_t stop_before_end;
	uint64_t overrun; /* keeps the GPU so long after it has been told to give it up */
};

/* Use against a maximum, reckoned on its own: no more than `level` may be used at any time. */
struct bucket {
	double part, slice, most, level; /* of the GPU; ns */
	uint64_t at;
};

struct tenant {
	struct sched_group *g;
	struct sched_share share;
	struct bucket max;
	uint64_t used;
};

struct client {
	struct sched_vgpu *v;
	int tenant; /* -1: none */
	struct bucket max;
	struct sched_share share;
	struct load load;
	uint64_t left;    /* of the burst */
	uint64_t wake_at; /* the next burst; SCHED_NEVER: never */
	bool wants;
	uint64_t used;         /* charged */
	uint64_t waits_since;  /* wants and has not had the grant */
	uint64_t longest_wait; /* in the measured time */
	uint64_t bursts, took; /* bursts done, and their time from beginning to end */
	uint64_t longest_burst, burst_since;
};

struct drive {
	struct sched *s;
	struct sched_params params;
	uint64_t now;
	uint64_t handover;  /* what one takes */
	uint64_t coming_at; /* when the chosen one gets the grant; SCHED_NEVER: none is chosen */
	struct sched_vgpu *chosen, *granted;
	uint64_t charged_to; /* the holder is charged up to then */
	uint64_t overrun_to; /* it has the GPU until then, whatever the decision is */
	struct sched_decision d;
	struct client *c;
	int n, room;
	struct tenant t[8];
	int tenants;
	bool check_waits; /* no vGPU waits longer than sched_wait_bound() */
	unsigned int seed;
	uint64_t decisions, handovers, idle_ns;
};

void drive_init(struct drive *d, const struct sched_params *p, uint64_t handover,
		unsigned int seed);
void drive_end(struct drive *d);
uint32_t drive_random(struct drive *d, uint32_t below);
/* Index of the new one. */
int drive_add(struct drive *d, int tenant, const struct sched_share *share,
	      const struct load *load);
int drive_tenant(struct drive *d, const struct sched_share *share);
void drive_remove(struct drive *d, int i);
void drive_run(struct drive *d, uint64_t ns);
/* Settings have changed: measure waits and maxima from here on. */
void drive_changed(struct drive *d);
/* Reset the counts: measure shares and waits from here on. */
void drive_measure(struct drive *d);
/* The i-th's part of the GPU time since the last drive_measure, in ppm of `of` ns. */
uint64_t drive_ppm(const struct drive *d, int i, uint64_t of);
/* Is the one within 2 % of the other? */
bool drive_is_near(uint64_t ppm, uint64_t wanted);
/* Fails unless the i-th's part is. */
void drive_share_is(const struct drive *d, int i, uint64_t of, uint64_t ppm);
/* Jain's index of all clients' use, in ppm. */
uint64_t drive_jain(const struct drive *d);

#endif
