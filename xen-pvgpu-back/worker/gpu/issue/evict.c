/* SPDX-License-Identifier: MIT */
/*
 * Confidential pools: what this session's work has left in the GPU's L2 cache is pushed out before
 * pvgpud hears that its work has ended, so before another vGPU gets the GPU. A memset of memory
 * twice as large as the cache does it, which is work like the guest's: the gate counts it, and
 * `drained` follows its end. The session does that for its own sake: a hostile one that leaves it
 * out shows its own traces only.
 */
#include <stdatomic.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define TIMES    2u /* the cache's size: what it replaces is not always the oldest */
#define STEPS_MS 10 /* of the times between events: tenths of a millisecond */

void evict_init(struct gpu *g)
{
	g->evict.on = worker_info(g->w)->confidential;
}

int evict_make(struct gpu *g)
{
	struct evict *e = &g->evict;
	int bytes = 0, r;

	if (!e->on || e->area)
		return 0;
	r = (int)g->far->cuDeviceGetAttribute(&bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE,
					      g->far->dev);
	if (!r && bytes <= 0)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r) {
		worker_log(g->w,
			   "the GPU does not say how large its L2 cache is (CUresult %d): "
			   "no context in a confidential pool",
			   r);
		return r;
	}
	return mem_own(g, TIMES * (uint64_t)bytes, &e->area);
}

static void forget(struct evict *e)
{
	if (e->ctx)
		obj_unref(e->ctx);
	e->ctx = NULL;
}

void evict_needed_slow(struct evict *e, struct ctx *c)
{
	obj_ref(c);
	forget(e);
	e->ctx = c;
}

/* A CUresult. */
static int issue(struct gpu *g, struct ctx *c)
{
	const struct area *a = g->evict.area;
	int r = obj_error(c);

	if (!r)
		r = ctx_enter(c);
	return r ? r : (int)g->far->cuMemsetD8Async(a->addr, 0, a->size, c->legacy->far);
}

bool evict_done(struct gpu *g)
{
	struct evict *e = &g->evict;
	struct work k;

	if (!e->on)
		return true;
	if (atomic_load(&e->leaving))
		return false;
	if (!e->ctx)
		return true;
	/* A context that is lost to a fault runs nothing any more. */
	if (!issue(g, e->ctx)) {
		work_bytes(&k, e->ctx->legacy, WORK_MEMSET, e->area->size, false);
		work_commit(&k, e->ctx->legacy);
	}
	forget(e);
	return !g->gate.flying.work;
}

bool evict_leave(struct gpu *g, const struct ctx *c, struct ctx *next)
{
	struct evict *e = &g->evict;

	if (!e->on || e->ctx != c)
		return false;
	if (next) {
		evict_needed_slow(e, next);
		return false;
	}
	atomic_fetch_add(&e->leaving, 1);
	forget(e);
	return true;
}

void evict_now(struct gpu *g, struct ctx *c)
{
	if (!issue(g, c))
		g->far->cuStreamSynchronize(c->legacy->far);
	atomic_fetch_sub(&g->evict.leaving, 1);
	worker_kick(g->w);
}

void evict_free(struct gpu *g)
{
	forget(&g->evict);
	mem_own_free(g, g->evict.area);
	g->evict.area = NULL;
}

float evict_coarse(const struct gpu *g, float ms)
{
	const int64_t down = (int64_t)(ms * STEPS_MS);

	if (!g->evict.on)
		return ms;
	return (float)(down + ((float)down < ms * STEPS_MS)) / STEPS_MS;
}
