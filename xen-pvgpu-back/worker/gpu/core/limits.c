/* SPDX-License-Identifier: MIT */
/*
 * A context's limits: those in a list, each with what it costs. The first three make the far end
 * take memory, which is leased. The others of the list take none: the L2's fetch granularity is a
 * hint, and the part of the L2 that is set aside for data to stay in is bounded, since it is taken
 * from all vGPUs. The rest is of features that guests do not have, such as kernels that launch
 * kernels.
 */
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* Bytes of device memory behind a value of one of the first three limits. */
static uint64_t cost(const struct far *far, uint32_t limit, uint64_t value)
{
	int sms = 1, threads = 1;
	uint64_t bytes;

	if (limit != CU_LIMIT_STACK_SIZE)
		return value;
	far->cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, far->dev);
	far->cuDeviceGetAttribute(&threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR,
				  far->dev);
	/* Each thread that can be resident has one. */
	return __builtin_mul_overflow(value, (uint64_t)sms * (uint64_t)threads, &bytes) ? UINT64_MAX
											: bytes;
}

struct limit_job {
	struct job job;
	struct ctx *c;
	uint32_t seq, limit;
	uint64_t value;
};

/* Lease what the new value needs beyond what the context came with, then set it. */
static int set_leased(struct gpu *g, const struct limit_job *j)
{
	const struct far *far = g->far;
	struct ctx *c = j->c;
	const uint64_t want = cost(far, j->limit, j->value);
	uint64_t charge;
	int r;

	if (!c->limit[j->limit].known) {
		size_t now;

		r = (int)far->cuCtxGetLimit(&now, (CUlimit)j->limit);
		if (r)
			return r;
		c->limit[j->limit].initial = cost(far, j->limit, now);
		c->limit[j->limit].known = true;
	}
	charge = want > c->limit[j->limit].initial ? want - c->limit[j->limit].initial : 0;
	if (charge > c->limit[j->limit].charge &&
	    !lease_get(g->w, charge - c->limit[j->limit].charge))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)far->cuCtxSetLimit((CUlimit)j->limit, j->value);
	if (r) {
		if (charge > c->limit[j->limit].charge)
			lease_put(g->w, charge - c->limit[j->limit].charge);
		return r;
	}
	if (charge < c->limit[j->limit].charge)
		lease_put(g->w, c->limit[j->limit].charge - charge);
	c->limit[j->limit].charge = charge;
	return 0;
}

/* Of the L2 that can be set aside, the vGPU's part of the GPU's memory. */
static uint64_t set_aside_most(struct gpu *g)
{
	uint64_t free_bytes, quota, all = g->far->total_mem;
	int most = 0;

	lease_info(g->w, &free_bytes, &quota);
	g->far->cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE,
				     g->far->dev);
	if (most <= 0 || !all || quota >= all)
		return most > 0 ? (uint64_t)most : 0;
	return (uint64_t)((double)most * (double)quota / (double)all);
}

/* In a confidential pool no data may stay in the L2. */
static int set_aside(struct gpu *g, const struct limit_job *j)
{
	const uint64_t most = set_aside_most(g);
	int r;

	if (g->evict.on)
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	r = (int)g->far->cuCtxSetLimit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE,
				       j->value < most ? j->value : most);
	j->c->persists |= !r && j->value;
	return r;
}

static int set(struct gpu *g, const struct limit_job *j)
{
	switch (j->limit) {
	case CU_LIMIT_STACK_SIZE:
	case CU_LIMIT_PRINTF_FIFO_SIZE:
	case CU_LIMIT_MALLOC_HEAP_SIZE:
		return set_leased(g, j);
	case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
		return (int)g->far->cuCtxSetLimit((CUlimit)j->limit, j->value);
	case CU_LIMIT_PERSISTING_L2_CACHE_SIZE:
		return set_aside(g, j);
	default:
		return j->limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
					       : CUDA_ERROR_INVALID_VALUE;
	}
}

void limits_end(struct gpu *g, struct ctx *c)
{
	if (c->persists && g->far->cuCtxResetPersistingL2Cache && !ctx_enter(c))
		g->far->cuCtxResetPersistingL2Cache();
}

static struct limit_job *job_new(struct ctx *c, void (*run)(struct gpu *g, struct job *job))
{
	struct limit_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->c = obj_ref(c);
	j->job.run = run;
	return j;
}

static void run_reset(struct gpu *g, struct job *job)
{
	struct limit_job *j = (struct limit_job *)job;

	limits_end(g, j->c);
	obj_unref(j->c);
	free(j);
}

int handle_ctx_reset_l2(struct worker *w, const struct pvgpu_in_ctx_reset_l2 *in,
			struct pvgpu_out_ctx_reset_l2 *out)
{
	struct gpu *g = worker_gpu(w);
	struct limit_job *j;
	const int r = obj_error(in->ctx);

	if (r)
		return r;
	j = job_new(in->ctx, run_reset);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	side_push(g, &j->job);
	return 0;
}

static void run_set(struct gpu *g, struct job *job)
{
	struct limit_job *j = (struct limit_job *)job;
	int r = ctx_enter(j->c);

	if (!r)
		r = set(g, j);
	worker_reply_ctx_set_limit(g->w, j->seq, ctx_result(j->c, r), NULL);
	obj_unref(j->c);
	free(j);
}

int handle_ctx_set_limit(struct worker *w, const struct pvgpu_in_ctx_set_limit *in,
			 struct pvgpu_out_ctx_set_limit *out)
{
	struct gpu *g = worker_gpu(w);
	struct limit_job *j;
	const int r = obj_error(in->ctx);

	if (r)
		return r;
	j = job_new(in->ctx, run_set);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->seq = in->hdr->seq;
	j->limit = in->limit;
	j->value = in->value;
	/* It may wait for the device. */
	side_push(g, &j->job);
	return PVGPU_PENDING;
}
