/* SPDX-License-Identifier: MIT */
/* The state of schedules, shared by schedule.c, tenant.c, gate.c, rate_limits.c and latency.c only.
 * Times are CLOCK_MONOTONIC ns. */
#ifndef PVGPU_SCHEDULE_STATE_H
#define PVGPU_SCHEDULE_STATE_H

#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/dispatch/entitle.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/sched/rate.h"
#include "xen-pvgpu-back/sched/turn/turn.h"

/* A rate limit: one of a vGPU's, over all its sessions, or one of struct rates. */
struct limit {
	struct rate rate;
	uint64_t per_s;       /* 0: none */
	uint64_t half;        /* of the burst */
	unsigned int waiting; /* of struct rates: members that it holds back */
};

/* Limits of several vGPUs together. */
struct rates {
	TAILQ_HEAD(, tenant) members;
	unsigned int gate_n;
	struct limit commands, bytes;
};

/* A vGPU's part of one of its group's limits. */
struct from_group {
	bool waits;
	uint64_t tokens; /* taken from the bucket for it, not in an allowance yet */
};

struct gate {
	struct turn_session session; /* first: gate_of() */
	TAILQ_ENTRY(gate) link;
	struct tenant *tenant;
	struct pvgpu_gate *word;       /* written by pvgpud only */
	struct pvgpu_gate_report *far; /* written by the worker; read in gate.c only */
	int bell;                      /* pvgpud's end of both bells: gate.h */
	bool hung_up;                  /* the worker has closed its end */
	ev_io io;
	struct pvgpu_gate_report last; /* as last taken */
	struct entitle entitle;
	uint64_t taken_at;
	uint32_t learns;           /* times without other vGPUs' work */
	uint64_t closed_at;        /* while closing */
	uint64_t opened_commands;  /* as reported then */
	uint64_t former_closed_at; /* the former closed_at, if it was opened without a grant before
				      it had drained */
	uint64_t commands, bytes;  /* allowances, as in *word */
	/* latency.c: as last taken */
	struct pvgpu_latency waits, kernels;
	uint64_t waits_commands, waits_at;
};

struct tenant {
	struct turn_vgpu vgpu; /* first: tenant_of() */
	TAILQ_ENTRY(tenant) link;
	struct schedule *s;
	struct tenant_policy policy;
	TAILQ_HEAD(, gate) gates;
	unsigned int gate_n;
	struct limit commands, bytes;
	struct rates *rates; /* its group's limits; NULL: it has no group */
	TAILQ_ENTRY(tenant) rates_link;
	struct from_group group_commands, group_bytes;
	uint64_t limits_at; /* when its allowances are due; SCHED_NEVER: when it rings */
	bool throttled;
	uint64_t throttled_at;
	struct tenant_stats *count; /* &own, or the caller's */
	struct tenant_stats own;
	struct sched_stats seen; /* the library's counters, as last added to *count, */
	uint64_t seen_grants;    /* and the number of grants */
	unsigned int bells;      /* in the window */
	uint64_t window_end;
	bool muted;
	unsigned int want_turn; /* the loop's, in which it began to wait for the grant */
	uint64_t want_at;       /* the time of that */
};

struct schedule {
	struct turns turns; /* first: schedule_of() */
	struct ev_loop *loop;
	char name[40];
	int timer;
	ev_io timer_io;
	TAILQ_HEAD(, tenant) tenants;
	unsigned int muted; /* muted tenants */
	uint64_t limits_at; /* the earliest limits_at of its tenants, or earlier */
	bool stopped;
	uint64_t wakeups;
	uint64_t waits, wait_turns; /* grants that were waited for; turns of the loop meanwhile */
};

static inline struct gate *gate_of(struct turn_session *s)
{
	return (struct gate *)s;
}

static inline struct tenant *tenant_of(struct turn_vgpu *v)
{
	return (struct tenant *)v;
}

uint64_t schedule_now(void);

/* gate.c */
/* Copies the report and adds its growth to the statistics. */
void gate_take(struct gate *g, uint64_t now);
/* Actions of struct turn_actions. */
void gate_open(struct turn_session *s, uint64_t now);
bool gate_close(struct turn_session *s, uint64_t now);
void gate_tell(struct turn_session *s, const struct turn_window *w);
/* Sets the word for the time when pvgpud is away, in open and closed gates alike. */
void gate_set_exclusive(struct gate *g, bool exclusive);
/* Reads the page, not the last copy: to be called after a word was stored. */
bool gate_sleeps(const struct gate *g);

/* latency.c */
/* Adds what the worker has reported since the last call to the vGPU's histograms. */
void latency_take(struct gate *g, uint64_t now);
/* The worker's commands that wait. */
uint64_t latency_parked(const struct gate *g);

/* rate_limits.c */
void rate_limits_set(struct tenant *t, uint64_t now);
void rate_limits_join(struct gate *g, uint64_t now);
void rate_limits_leave(struct tenant *t); /* to be called when gate_n has gone down by one */
/* The vGPU is removed: it leaves its group's limits. */
void rate_limits_gone(struct tenant *t);
/* Takes the first report of an adopted worker as the baseline. */
void rate_limits_based(struct gate *g, const struct pvgpu_gate_report *r);
/* Refills allowances that are used up. Returns when to look again. */
uint64_t rate_limits_run(struct tenant *t, uint64_t now);
bool rate_limits_used_up(const struct gate *g);

/* schedule.c: a step of its turns */
void schedule_think(struct schedule *s);
/* The same, with news of this vGPU. */
void schedule_look(struct tenant *t);

#endif
