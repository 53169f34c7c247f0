/* SPDX-License-Identifier: MIT */
/*
 * Arrays. The far end allocates them itself, so their size is asked of it and leased from the
 * vGPU's quota before they are made.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/array.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_cuda_array.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The size of an array where the driver cannot say it: rows in steps of 512 bytes, rows and slices
 * in steps of 8, all in steps of 64 KiB. */
#define ROW_STEP   512u
#define ROWS_STEP  8u
#define TOTAL_STEP (64u << 10)

struct array_job {
	struct mem_wait wait; /* destroying one: a job, no more */
	struct array *a;      /* referenced */
	uint32_t seq;
	CUDA_ARRAY3D_DESCRIPTOR desc;
};

static uint64_t up(uint64_t v, uint64_t step)
{
	return (v + step - 1) / step * step;
}

/* The numbers are below 2^30 each, their product need not fit. */
uint64_t array_bound(const struct array *a)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(up(a->row_bytes, ROW_STEP), up(a->rows, ROWS_STEP), &bytes) ||
	    __builtin_mul_overflow(bytes, up(a->slices, ROWS_STEP), &bytes) ||
	    bytes > UINT64_MAX - TOTAL_STEP)
		return UINT64_MAX;
	return up(bytes, TOTAL_STEP);
}

/* The far end is asked with an array like it that gets no memory. */
static uint64_t measured(struct gpu *g, const struct array_job *j)
{
	CUDA_ARRAY3D_DESCRIPTOR d = j->desc;
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	CUarray twin;
	CUresult r;

	if (!g->far->cuArrayGetMemoryRequirements)
		return array_bound(j->a);
	d.Flags |= CUDA_ARRAY3D_DEFERRED_MAPPING;
	if (g->far->cuArray3DCreate_v2(&twin, &d))
		return array_bound(j->a);
	r = g->far->cuArrayGetMemoryRequirements(&needs, twin, g->far->dev);
	g->far->cuArrayDestroy(twin);
	return r || !needs.size ? array_bound(j->a) : needs.size;
}

bool array_lease(struct gpu *g, uint64_t bytes)
{
	if (lease_get(g->w, bytes))
		return true;
	if (!mem_free_bytes(g))
		return false;
	mem_trim(g);
	return lease_get(g->w, bytes);
}

static int make(struct gpu *g, const struct array_job *j)
{
	struct array *a = j->a;
	int r = ctx_enter(a->o.ctx);
	uint64_t bytes;

	if (r)
		return r;
	bytes = measured(g, j);
	if (!array_lease(g, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = ctx_result(a->o.ctx, (int)g->far->cuArray3DCreate_v2(&a->far, &j->desc));
	if (r)
		lease_put(g->w, bytes);
	else
		a->charge = bytes;
	return r;
}

static void job_free(struct array_job *j)
{
	obj_unref(j->a);
	free(j);
}

static bool create_attempt(struct gpu *g, struct mem_wait *w, bool last)
{
	struct array_job *j = (struct array_job *)w;
	const int r = make(g, j);

	if (r == CUDA_ERROR_OUT_OF_MEMORY && !last)
		return false;
	obj_ready(j->a, r);
	worker_reply_array_create(g->w, j->seq, r, NULL);
	job_free(j);
	return true;
}

/* Has the far end all the calls? */
static bool far_arrays(const struct far *far)
{
	return far->cuArray3DCreate_v2 && far->cuArrayDestroy;
}

static struct array_job *job_new(struct array *a, uint32_t seq)
{
	struct array_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->a = obj_ref(a);
	j->seq = seq;
	return j;
}

void array_describe(struct array *a, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	const uint64_t texel = pvgpu_texel_bytes(d->Format, d->NumChannels);

	a->texel = (uint32_t)texel;
	a->row_bytes = d->Width * texel;
	a->rows = d->Height ? d->Height : 1;
	a->slices = d->Depth ? d->Depth : 1;
}

int handle_array_create(struct worker *w, const struct pvgpu_in_array_create *in,
			struct pvgpu_out_array_create *out)
{
	struct gpu *g = worker_gpu(w);
	const CUDA_ARRAY3D_DESCRIPTOR desc = {.Width = in->width,
					      .Height = in->height,
					      .Depth = in->depth,
					      .Format = (CUarray_format)in->format,
					      .NumChannels = in->channels,
					      .Flags = in->flags};
	struct ctx *c = in->ctx;
	struct array_job *j;
	struct array *a;
	int r = obj_error(c);

	if (r || !far_arrays(g->far))
		return r ? r : CUDA_ERROR_NOT_SUPPORTED;
	if (!pvgpu_texel_bytes(desc.Format, desc.NumChannels))
		return CUDA_ERROR_INVALID_VALUE;
	a = obj_new(g, PVGPU_H_ARRAY, in->array_h, sizeof(*a), c, &c->o, &r);
	if (!a)
		return r;
	array_describe(a, &desc);
	j = job_new(a, in->hdr->seq);
	if (!j) {
		obj_ready(a, CUDA_ERROR_OUT_OF_MEMORY);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->desc = desc;
	j->wait.attempt = create_attempt;
	mem_wait_push(g, &j->wait);
	return PVGPU_PENDING;
}

void array_retire(struct gpu *g, struct array *a)
{
	if (a->far && !a->is_level && !obj_error(a) && !ctx_enter(a->o.ctx))
		g->far->cuArrayDestroy(a->far);
	a->far = NULL;
	lease_put(g->w, a->charge);
	a->charge = 0;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct array_job *j = (struct array_job *)job;

	array_retire(g, j->a);
	atomic_fetch_sub(&g->mem.pending, 1);
	job_free(j);
}

int handle_array_destroy(struct worker *w, const struct pvgpu_in_array_destroy *in,
			 struct pvgpu_out_array_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct array *a = in->array;
	struct ctx *c = a->o.ctx;
	struct array_job *j;

	if (a->is_level)
		return CUDA_ERROR_INVALID_HANDLE;
	j = job_new(a, in->hdr->seq);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	obj_remove(g, &a->o);
	obj_unref(a);
	atomic_fetch_add(&g->mem.pending, 1);
	j->wait.job.run = run_destroy;
	side_after_work(g, c, &j->wait.job);
	return 0;
}

bool array_holds(const struct array *a, const uint64_t at[3], const uint64_t size[3])
{
	return !(at[0] % a->texel) && !(size[0] % a->texel) && at[0] <= a->row_bytes &&
	       size[0] <= a->row_bytes - at[0] && at[1] <= a->rows && size[1] <= a->rows - at[1] &&
	       at[2] <= a->slices && size[2] <= a->slices - at[2];
}
