/* SPDX-License-Identifier: MIT */
/*
 * Can a pool's GPU be trusted? When something was done to it that may have spoilt it, a spare
 * worker of the pool runs a small kernel (worker/canary.c). Too many wrong or missing answers in a
 * row, and the GPU is unhealthy: its pool gets no new sessions or vGPUs. Sessions that run are left
 * alone. From time to time the canary is tried again, and a right answer ends it; where the GPU
 * must be reset only an operator's word does.
 *
 * It runs beside what tenants have there, and its time counts as theirs does (watch.h): while n
 * workers have long work on the GPU, one part in n + 1. So kernels of theirs that take long do not
 * make a GPU unhealthy.
 */
#ifndef PVGPU_CANARY_H
#define PVGPU_CANARY_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANARY_WHY 160

struct pool;
struct pvgpu_sup;
struct worker;

struct canary {
	struct pool *p;
	struct worker *w; /* that runs it; NULL: none */
	bool wanted;      /* and no worker has been ready for it yet */
	bool again;       /* asked for again since it began */
	bool unhealthy;
	bool locked;           /* until an operator says otherwise */
	unsigned int failures; /* in a row */
	uint64_t runs;
	/* For a worker to become ready; while it runs: to look at its time; until the next try. */
	ev_timer timer;
	uint64_t looked;         /* last, ns */
	uint64_t ran_ns;         /* of the GPU's time, the part that others did not have */
	char after[CANARY_WHY];  /* what it is run for */
	char reason[CANARY_WHY]; /* why the GPU is unhealthy */
};

void canary_init(struct pool *p);
void canary_stop(struct pool *p);
/* Run it: `after` is what has happened, for the log. */
void canary_want(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Does it wait for a spare worker? */
bool canary_waits(const struct pool *p);
/* A spare worker may be there. */
void canary_serve(struct pool *p);
/* Its worker has answered; it is dead: it may not have. */
void canary_answered(struct worker *w, const struct pvgpu_sup *m);
void canary_gone(struct worker *w);
/* A worker of this pool could not be started. */
void canary_no_worker(struct pool *p, const char *reason);
/* The GPU needs more than time, whatever a canary says. */
void canary_lock(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An operator says that it is well: believed, and checked. */
void canary_clear(struct pool *p);
/* NULL; or why nothing new may begin there. */
const char *canary_refuses(const struct pool *p);
/* "ok", or "unhealthy: " and why. */
void canary_health(const struct pool *p, char *out, size_t cap);

#endif
