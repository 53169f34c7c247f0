/* SPDX-License-Identifier: MIT */
/*
 * Does a pool's GPU still work? After an event that may have broken it, a spare worker of the pool
 * runs a small kernel, the canary (worker/canary.c). Several wrong or missing answers in a row
 * make the GPU unhealthy: its pool gets no new sessions or vGPUs. Running sessions go on. The
 * canary is retried from time to time, and a right answer makes the GPU healthy again. After an
 * error that needs a reset only an operator can do that.
 *
 * The canary runs beside tenants' work, and its time counts as in overdue.h: while n workers have
 * long work on the GPU, one part in n + 1. So long kernels of tenants do not make a GPU unhealthy.
 */
#ifndef PVGPU_CANARY_H
#define PVGPU_CANARY_H

#include <stdbool.h>
#include <stddef.h>

struct pool;
struct pvgpu_sup;
struct worker;

void canary_init(struct pool *p);
void canary_stop(struct pool *p);
/* Requests a run. The text completes "it was run ..." in the log. */
void canary_want(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what a guest may be able to cause as often as it likes: one in CANARY_SPACE_MS.
 * Those in between are asked for when that has passed, once. */
#define CANARY_SPACE_MS 30000u
void canary_want_spaced(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A run for an operator; "running", or the last run's result: "right: N us", "wrong: why", "":
 * none. */
void canary_ask(struct pool *p);
void canary_result(const struct pool *p, char *out, size_t cap);
/* Does it wait for a spare worker? */
bool canary_waits(const struct pool *p);
/* A spare worker may be available: starts a requested run. */
void canary_serve(struct pool *p);
/* The worker has answered; it is dead, perhaps without an answer. */
void canary_answered(struct worker *w, const struct pvgpu_sup *m);
void canary_gone(struct worker *w);
/* A worker of this pool could not be started. */
void canary_no_worker(struct pool *p, const char *reason);
/* pvgpu-health has reported all that it has seen so far. */
void canary_round(struct pool *p);
/* An Xid of the GPU itself was seen: not of an application. */
void canary_xid(struct pool *p);
/* The GPU is known to be at fault: unhealthy, or an Xid was seen within the last minute. */
bool canary_suspects(const struct pool *p);
/* The GPU is unhealthy until an operator clears it, whatever a canary answers. */
void canary_lock(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An operator declares the GPU healthy: accepted, then checked by a canary. */
void canary_clear(struct pool *p);
/* An operator takes the GPU out of use: locked until canary_clear; is it so? */
void canary_drain(struct pool *p);
bool canary_drained(const struct pool *p);
/* For reset.c: no run is wanted, and the one that goes on has no say; the right answer came; the
 * reset failed, and the GPU stays as it is. */
void canary_hold(struct pool *p);
void canary_readmit(struct pool *p);
void canary_keep_drained(struct pool *p, const char *why);
/* NULL, or why the pool takes nothing new. */
const char *canary_refuses(const struct pool *p);
/* "ok", or "unhealthy: why", or "no worker starts: why": then it takes no new sessions. */
void canary_health(const struct pool *p, char *out, size_t cap);
/* As a statistic; docs/operators/health.md has the moves between them. */
enum canary_state {
	CANARY_OK,
	CANARY_DEGRADED,   /* in use; an error of the GPU itself was reported in the last hour */
	CANARY_UNHEALTHY,  /* the test fails, and is run again from time to time */
	CANARY_FAILED,     /* until a repair and canary_clear */
	CANARY_DRAINED,    /* by an operator, until canary_clear */
	CANARY_NO_WORKERS, /* none starts on it; it is tried again */
};
enum canary_state canary_state(const struct pool *p);
/* Does it take new sessions? */
bool canary_in_use(const struct pool *p);

#endif
