/* SPDX-License-Identifier: MIT */
/*
 * Drives the scheduling library (sched/) with a clock, a timer and workers' gates. It is
 * independent of the rest of pvgpud; share.c connects the two.
 *
 * struct schedule is a pool's, for one GPU. A vGPU is a tenant of one schedule. A worker with a
 * session has a gate, which belongs to its vGPU's tenant. The gates of the vGPU that holds the
 * grant are open, the others closed.
 *
 * Without contention there are no wake-ups. Only bells, a timerfd (slices are shorter than libev's
 * timers are precise) and calls from outside trigger a decision, and the timer is set only while a
 * vGPU waits, is throttled, or drains. Reports are copied once, their counters are clamped to the
 * amount that fits the time, and a worker's report affects only its own vGPU's turn.
 */
#ifndef PVGPU_SCHEDULE_H
#define PVGPU_SCHEDULE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/sched/sched.h"

struct schedule;
struct tenant;
struct gate;
struct rates;

/* The settings of a vGPU. */
struct tenant_policy {
	struct sched_share share;
	uint64_t commands_per_s, commands_burst; /* GPU commands; 0: no limit */
	uint64_t bytes_per_s, bytes_burst;       /* copied; 0: no limit */
	uint32_t depth; /* most commands in flight of a session; 0: as many as fit */
};

/* The statistics of a vGPU, including those that a former pvgpud counted. */
struct tenant_stats {
	uint64_t gpu_ns;       /* charged */
	uint64_t due_ns;       /* entitled to: sched_stats */
	uint64_t wait_ns;      /* had work while another vGPU had the GPU */
	uint64_t throttled_ns; /* had work but was held back by its maximum or rate limits */
	uint64_t copy_bytes, launches, commands;    /* as reported by its workers, clamped */
	uint64_t slices;                            /* number of grants */
	uint64_t inflight_ns;                       /* estimated GPU time in flight now */
	uint64_t longest_wait_ns;                   /* of all that pvgpuds have seen */
	uint64_t rate_ns;                           /* of throttled_ns, by rate limits */
	uint64_t promise_ppm;                       /* its part of the GPU while all have work */
	uint64_t parked;                            /* commands that wait in its workers now */
	struct pvgpu_latency grant_wait;            /* from wanting the GPU to getting it */
	struct pvgpu_latency command_wait, kernels; /* as reported by its workers, clamped */
};

/* NULL: out of memory or file descriptors. The name is for the log. */
struct schedule *schedule_new(struct ev_loop *loop, const char *name, const struct sched_params *p);
/* All tenants must have been removed. */
void schedule_free(struct schedule *s);
/* pvgpud exits and sessions go on: no grant is given or taken any more. */
void schedule_stop(struct schedule *s);
/* Applies changed settings while sessions run. */
void schedule_set(struct schedule *s, const struct sched_params *p);
/* Counts adopted workers without a gate, one more or one less. Their work on the GPU is not known,
 * so an exclusive pool gives no grant meanwhile. */
void schedule_await(struct schedule *s, bool more);
/* Groups of this pool; the share's class is ignored. A group must be empty when it is removed. */
struct sched_group *schedule_group_add(struct schedule *s, const struct sched_share *share);
void schedule_group_set(struct schedule *s, struct sched_group *g, const struct sched_share *share);
void schedule_group_remove(struct schedule *s, struct sched_group *g);
/* The measured cost of a hand-over, and the number of hand-overs. */
uint64_t schedule_handover_ns(const struct schedule *s);
uint64_t schedule_handovers(const struct schedule *s);
/* GPU time charged to all its tenants. */
uint64_t schedule_charged_ns(const struct schedule *s);
/* Time in which a vGPU waited for the GPU and none had work there. */
uint64_t schedule_waste_ns(const struct schedule *s);
/* Number of wake-ups by bells and the timer. */
uint64_t schedule_wakeups(const struct schedule *s);
/* Grants that a vGPU waited for, and turns of pvgpud's loop from its wish to the grant, of all. */
uint64_t schedule_waits(const struct schedule *s, uint64_t *turns);

/* group NULL: none. count: where its statistics are kept, continued from the values there; NULL: in
 * the tenant. Returns NULL when out of memory. */
struct tenant *tenant_new(struct schedule *s, struct sched_group *group,
			  const struct tenant_policy *p, struct tenant_stats *count);
/* All its gates must have been freed. */
void tenant_free(struct tenant *t);
/* Changes its settings while sessions run. */
void tenant_set(struct tenant *t, const struct tenant_policy *p);
/* Moves it to another group (NULL: none) or another pool; in the latter case it must have no gate.
 * Its statistics are kept. 0, or -ENOMEM with nothing changed. */
int tenant_move(struct tenant *t, struct schedule *to, struct sched_group *group);
/* Rate limits that vGPUs of any pools have together, beside their own; 0: none. A member that waits
 * gets as much as any other. rates_new returns NULL when out of memory. */
struct rates *rates_new(void);
void rates_set(struct rates *r, uint64_t commands_per_s, uint64_t bytes_per_s);
bool rates_has_members(const struct rates *r);
void rates_free(struct rates *r); /* it must have no member */
/* Makes it a member; NULL: of none. */
void tenant_rates(struct tenant *t, struct rates *r);
/* Adds statistics that were counted elsewhere. */
void tenant_restore(struct tenant *t, const struct tenant_stats *before);
struct schedule *tenant_schedule(const struct tenant *t);
/* Charges GPU time that the driver has counted beyond the charges. */
void tenant_charge(struct tenant *t, uint64_t ns);
/* The driver has counted so much use of its workers more. */
void tenant_measured(struct tenant *t, uint64_t used_ns);
/* The statistics up to now. */
void tenant_stats(struct tenant *t, struct tenant_stats *out);

/* The gate of a worker. The caller sends fds with PVGPU_SUP_GATE and closes them. adopted: the
 * counters of its first report are the baseline. NULL: out of memory or file descriptors. */
struct gate *gate_new(struct tenant *t, bool adopted, int fds[PVGPU_GATE_FDS]);
void gate_free(struct gate *g);
void gate_ring(struct gate *g);
/* The worker has not taken all rings yet. */
bool gate_is_behind(const struct gate *g);
/* Copies the worker's report. */
void gate_report(const struct gate *g, struct pvgpu_gate_report *out);
/* GPU time of all that the session has issued, by its worker's estimates. */
uint64_t gate_issued_ns(const struct pvgpu_gate_report *r);
/* on: the gate stays closed even while its vGPU has the grant. */
void gate_keep_closed(struct gate *g, bool on);
/* GPU time that other vGPUs of its schedule have been charged. */
uint64_t gate_others_ns(const struct gate *g);
/* CLOCK_MONOTONIC when the gate was closed, if it has not drained since; else 0. A moment of help
 * in which it was open and issued nothing does not count. */
uint64_t gate_closing_since(const struct gate *g);
/* The time for which the worker was entitled to the GPU, drains included (entitle.h), up to *now,
 * which is set. */
uint64_t gate_granted_time(struct gate *g, uint64_t *now);
/* The number of commands that it had issued after a closing when that last cost it a drain. */
uint64_t gate_late_commands(const struct gate *g);

#endif
