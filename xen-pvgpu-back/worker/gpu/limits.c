/* SPDX-License-Identifier: MIT */
/* A context's limits. Those that make the far end take memory are leased. */
#include <stdlib.h>

#include "state.h"

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

static void run_set(struct gpu *g, struct job *job)
{
	struct limit_job *j = (struct limit_job *)job;
	int r = ctx_enter(j->c);

	if (!r)
		r = j->limit <= CU_LIMIT_MALLOC_HEAP_SIZE
			    ? set_leased(g, j)
			    : (int)g->far->cuCtxSetLimit((CUlimit)j->limit, j->value);
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
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->c = obj_ref(in->ctx);
	j->seq = in->hdr->seq;
	j->limit = in->limit;
	j->value = in->value;
	j->job.run = run_set;
	/* It may wait for the device. */
	side_push(g, &j->job);
	return PVGPU_PENDING;
}
