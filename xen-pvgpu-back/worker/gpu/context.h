/* SPDX-License-Identifier: MIT */
/* Contexts: context.c, and limits.c and deferred.c for their limits and late errors. */
#ifndef PVGPU_WORKER_CONTEXT_H
#define PVGPU_WORKER_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "event_pool.h"
#include "memory.h"
#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;
struct staging;
struct stream;

struct ctx {
	struct obj o;
	CUcontext far;
	uint64_t serial; /* never used again; compared with that of the context current on a thread
			  */
	bool primary;
	uint32_t sched;               /* CU_CTX_SCHED_*: how its calls are to wait */
	atomic_bool leaving;          /* the guest has destroyed it */
	atomic_bool gone;             /* destroyed at the far end */
	struct stream *legacy;        /* stream 0 */
	TAILQ_HEAD(, stream) streams; /* by in_ctx: all, those being destroyed too */
	atomic_int deferred;          /* first error of one-way work */
	atomic_int sticky;            /* a device fault: the context is lost */
	atomic_uint waits;            /* entries of complete.c that use this context */
	uint32_t parked;              /* records */
	struct event_pool pool;       /* complete.lock */
	struct event_pool timers;     /* events with timing; decoding thread */
	struct heap heap;             /* mem.lock */
	struct staging *staging[2];   /* by enum staging_kind; decoding thread */
	struct {
		bool known;
		uint64_t initial, charge; /* bytes: at first, leased for more than that */
	} limit[3];                       /* those that cost device memory; side lane only */
	bool persists;                    /* it has set a part of the L2 aside; side lane only */
	uint64_t charge;                  /* leased for the context itself; side lane only */
};

/* Make it current on this thread. */
int ctx_enter(struct ctx *c);
/* A context of the session that can be made current, NULL where there is none: for what the driver
 * does in any context, but not without one. On the decoding thread. */
struct ctx *ctx_any(struct gpu *g);
/* Note a result of the far end: device faults are kept. Returns it. */
int ctx_result(struct ctx *c, int result);
bool result_is_sticky(int result);
/* Destroy it with everything in it; PVGPU_PENDING, or a CUresult. */
int ctx_drop(struct gpu *g, struct ctx *c, uint32_t seq, bool reply);

/* limits.c: before it is destroyed: its data leaves the part of the L2 that it had set aside. */
void limits_end(struct gpu *g, struct ctx *c);

/* deferred.c */
int deferred_take(struct gpu *g, struct ctx *c);

#endif
