/* SPDX-License-Identifier: MIT */
/*
 * What drives the scheduling library (sched/): clock, timer, workers' gates. It knows nothing of
 * the rest of pvgpud; daemon.h's share.c is the link between the two.
 *
 * struct schedule is a pool's: one GPU. A vGPU has a seat in one. A worker with a session has a
 * gate at its vGPU's seat. The vGPU that holds the grant has all its gates open, the others none.
 *
 * Nothing happens while nobody contends: bells, a timerfd (slices are shorter than libev's timers
 * are precise) and calls from outside are the only things that make it think, and the timer is set
 * only while somebody waits, is limited, or drains. Reports are copied once, what counts up is
 * clamped to what time allows, and what a worker says is used for nothing but its own vGPU's turn.
 */
#ifndef PVGPU_SCHEDULE_H
#define PVGPU_SCHEDULE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/gate.h"
#include "xen-pvgpu-back/sched/sched.h"

struct schedule;
struct seat;
struct gate;

/* Of a vGPU. */
struct seat_policy {
	struct sched_share share;
	uint64_t commands_per_s, commands_burst; /* GPU commands; 0: no limit */
	uint64_t bytes_per_s, bytes_burst;       /* copied; 0: no limit */
	uint32_t depth; /* commands parked or in flight of a session; 0: as many as fit */
};

/* Of a vGPU; those of a predecessor of this pvgpud are included. */
struct seat_stats {
	uint64_t gpu_ns;       /* charged */
	uint64_t wait_ns;      /* had work and another had the GPU */
	uint64_t throttled_ns; /* had work and was held back by its maximum or rate limits */
	uint64_t copy_bytes, launches, commands; /* as its workers report, clamped */
	uint64_t slices;                         /* times that it was given the GPU */
	uint64_t inflight_ns;                    /* now: estimated GPU time on its way */
	uint64_t longest_wait_ns;                /* since pvgpud's start */
};

/* NULL: out of memory or files. The name is for the log. */
struct schedule *schedule_new(struct ev_loop *loop, const char *name, const struct sched_params *p);
/* It must have no seat any more. */
void schedule_free(struct schedule *s);
/* pvgpud leaves: nothing is given or taken any more. */
void schedule_stop(struct schedule *s);
/* Live. */
void schedule_set(struct schedule *s, const struct sched_params *p);
/* One more worker with a past is about to get its gate, or one less: what it has on the GPU is not
 * known, so an exclusive pool gives nothing meanwhile. */
void schedule_await(struct schedule *s, bool more);
/* Groups of this pool; the share's class means nothing. Remove one when no seat is in it. */
struct sched_group *schedule_group_add(struct schedule *s, const struct sched_share *share);
void schedule_group_set(struct schedule *s, struct sched_group *g, const struct sched_share *share);
void schedule_group_remove(struct schedule *s, struct sched_group *g);
/* What a hand-over costs, as measured; and how many there were. */
uint64_t schedule_handover_ns(const struct schedule *s);
uint64_t schedule_handovers(const struct schedule *s);
/* How often a bell or the timer has woken it. */
uint64_t schedule_wakeups(const struct schedule *s);

/*
 * group NULL: none. count: where its statistics are kept, which go on from what lies there; NULL:
 * in the seat. NULL: out of memory.
 */
struct seat *seat_new(struct schedule *s, struct sched_group *group, const struct seat_policy *p,
		      struct seat_stats *count);
/* It must have no gate any more. */
void seat_free(struct seat *t);
/* Live, within microseconds. */
void seat_set(struct seat *t, const struct seat_policy *p);
/*
 * To another group (NULL: none), or to another pool: then it must have no gate. What it has used
 * comes along. 0 or -ENOMEM: nothing happened.
 */
int seat_move(struct seat *t, struct schedule *to, struct sched_group *group);
/* What was counted elsewhere. */
void seat_restore(struct seat *t, const struct seat_stats *before);
struct schedule *seat_schedule(const struct seat *t);
/* GPU time that the far end says it has used beyond what was charged. */
void seat_charge(struct seat *t, uint64_t ns);
/* Up to now. */
void seat_stats(struct seat *t, struct seat_stats *out);

/*
 * A worker's: the files for PVGPU_SUP_GATE are the caller's to close when they are sent. adopted:
 * it has a history of which its first report will tell. NULL: out of memory or files.
 */
struct gate *gate_new(struct seat *t, bool adopted, int fds[PVGPU_GATE_FDS]);
void gate_free(struct gate *g);
void gate_ring(struct gate *g);
/* A copy of what it reports now. */
void gate_report(const struct gate *g, struct pvgpu_gate_report *out);
/* On: it stays closed whatever its vGPU is granted. */
void gate_keep_closed(struct gate *g, bool on);
/* CLOCK_MONOTONIC when it was closed if it has not drained since; else 0. A moment in which it was
 * open, but had no turn and issued nothing, does not count. */
uint64_t gate_closing_since(const struct gate *g);
/* How long it has been open, up to now. */
uint64_t gate_open_time(const struct gate *g);
/* For how long the worker may have used the GPU, drains included (entitle.h), up to *now: told, for
 * the caller may have come late. */
uint64_t gate_granted_time(struct gate *g, uint64_t *now);
bool gate_is_open(const struct gate *g);

#endif
