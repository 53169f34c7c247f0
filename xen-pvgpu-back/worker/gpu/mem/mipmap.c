/* SPDX-License-Identifier: MIT */
/*
 * Mipmapped arrays. The far end makes one and has its levels, which are arrays without memory of
 * their own: the mipmapped array is charged for all of them, and its handle owns theirs, so that
 * none outlives it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/array.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_cuda_array.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct mipmap_job {
	struct mem_wait wait; /* destroying one: a job, no more */
	struct mipmap *m;     /* creating one: referenced */
	uint32_t seq;
	struct obj_list dead; /* destroying one: its levels and itself */
};

/* UINT64_MAX: more than there can be. */
static uint64_t bound(const struct mipmap *m)
{
	uint64_t bytes = 0;

	for (uint32_t n = 0; n < m->levels; n++) {
		const CUDA_ARRAY3D_DESCRIPTOR d = pvgpu_level_of(&m->desc, n);
		struct array level;

		array_describe(&level, &d);
		if (__builtin_add_overflow(bytes, array_bound(&level), &bytes))
			return UINT64_MAX;
	}
	return bytes;
}

/* The far end is asked with one like it that gets no memory. */
static uint64_t measured(struct gpu *g, const struct mipmap *m)
{
	CUDA_ARRAY3D_DESCRIPTOR d = m->desc;
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	CUmipmappedArray twin;
	CUresult r;

	if (!g->far->cuMipmappedArrayGetMemoryRequirements)
		return bound(m);
	d.Flags |= CUDA_ARRAY3D_DEFERRED_MAPPING;
	if (g->far->cuMipmappedArrayCreate(&twin, &d, m->levels))
		return bound(m);
	r = g->far->cuMipmappedArrayGetMemoryRequirements(&needs, twin, g->far->dev);
	g->far->cuMipmappedArrayDestroy(twin);
	return r || !needs.size ? bound(m) : needs.size;
}

static int take_levels(struct gpu *g, struct mipmap *m)
{
	int r = 0;

	for (uint32_t n = 0; n < m->levels && !r; n++)
		r = (int)g->far->cuMipmappedArrayGetLevel(&m->level[n], m->far, n);
	if (r)
		g->far->cuMipmappedArrayDestroy(m->far);
	return r;
}

static int make(struct gpu *g, struct mipmap *m)
{
	int r = ctx_enter(m->o.ctx);
	uint64_t bytes;

	if (r)
		return r;
	bytes = measured(g, m);
	if (!array_lease(g, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)g->far->cuMipmappedArrayCreate(&m->far, &m->desc, m->levels);
	if (!r)
		r = take_levels(g, m);
	if (r) {
		m->far = NULL;
		lease_put(g->w, bytes);
		return ctx_result(m->o.ctx, r);
	}
	m->charge = bytes;
	return 0;
}

static bool create_attempt(struct gpu *g, struct mem_wait *w, bool last)
{
	struct mipmap_job *j = (struct mipmap_job *)w;
	const int r = make(g, j->m);

	if (r == CUDA_ERROR_OUT_OF_MEMORY && !last)
		return false;
	obj_ready(j->m, r);
	worker_reply_mipmap_create(g->w, j->seq, r, NULL);
	obj_unref(j->m);
	free(j);
	return true;
}

/* Has the far end all the calls? */
static bool far_mipmaps(const struct far *far)
{
	return far->cuMipmappedArrayCreate && far->cuMipmappedArrayGetLevel &&
	       far->cuMipmappedArrayDestroy;
}

int handle_mipmap_create(struct worker *w, const struct pvgpu_in_mipmap_create *in,
			 struct pvgpu_out_mipmap_create *out)
{
	const CUDA_ARRAY3D_DESCRIPTOR desc = {.Width = in->width,
					      .Height = in->height,
					      .Depth = in->depth,
					      .Format = (CUarray_format)in->format,
					      .NumChannels = in->channels,
					      .Flags = in->flags};
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct mipmap_job *j;
	struct mipmap *m;
	int r = obj_error(c);

	if (r || !far_mipmaps(g->far))
		return r ? r : CUDA_ERROR_NOT_SUPPORTED;
	if (!pvgpu_texel_bytes(desc.Format, desc.NumChannels) ||
	    in->levels > pvgpu_levels_most(&desc))
		return CUDA_ERROR_INVALID_VALUE;
	m = obj_new(g, PVGPU_H_MIPMAP, in->mipmap_h, sizeof(*m), c, &c->o, &r);
	if (!m)
		return r;
	m->desc = desc;
	m->levels = in->levels;
	j = calloc(1, sizeof(*j));
	if (!j) {
		obj_ready(m, CUDA_ERROR_OUT_OF_MEMORY);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->m = obj_ref(m);
	j->seq = in->hdr->seq;
	j->wait.attempt = create_attempt;
	mem_wait_push(g, &j->wait);
	return PVGPU_PENDING;
}

int handle_mipmap_level(struct worker *w, const struct pvgpu_in_mipmap_level *in,
			struct pvgpu_out_mipmap_level *out)
{
	struct gpu *g = worker_gpu(w);
	struct mipmap *m = in->mipmap;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	struct array *a;
	int err, r = obj_error(m);

	a = obj_new(g, PVGPU_H_ARRAY, in->array_h, sizeof(*a), m->o.ctx, &m->o, &err);
	if (!a)
		return err;
	a->is_level = true;
	if (!r && in->level >= m->levels)
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r) {
		desc = pvgpu_level_of(&m->desc, in->level);
		array_describe(a, &desc);
		a->far = m->level[in->level];
	}
	obj_ready(a, r);
	return 0; /* the handle says it */
}

void mipmap_retire(struct gpu *g, struct mipmap *m)
{
	if (m->far && !ctx_enter(m->o.ctx))
		g->far->cuMipmappedArrayDestroy(m->far);
	m->far = NULL;
	lease_put(g->w, m->charge);
	m->charge = 0;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct mipmap_job *j = (struct mipmap_job *)job;
	struct obj *o;

	while ((o = obj_take_dead(&j->dead))) {
		if (o->type == PVGPU_H_MIPMAP)
			mipmap_retire(g, (struct mipmap *)o);
		else
			array_retire(g, (struct array *)o);
		obj_unref(o);
	}
	atomic_fetch_sub(&g->mem.pending, 1);
	free(j);
}

int handle_mipmap_destroy(struct worker *w, const struct pvgpu_in_mipmap_destroy *in,
			  struct pvgpu_out_mipmap_destroy *out)
{
	struct mipmap_job *j = calloc(1, sizeof(*j));
	struct gpu *g = worker_gpu(w);
	struct mipmap *m = in->mipmap;
	struct ctx *c = m->o.ctx;

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TAILQ_INIT(&j->dead);
	obj_remove_tree(g, &m->o, &j->dead);
	atomic_fetch_add(&g->mem.pending, 1);
	j->wait.job.run = run_destroy;
	side_after_work(g, c, &j->wait.job);
	return 0;
}
