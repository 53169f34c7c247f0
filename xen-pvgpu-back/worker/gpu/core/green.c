/* SPDX-License-Identifier: MIT */
/*
 * Green contexts. The guest says by numbers which multiprocessors it means: groups of one split of
 * the device's, or of another green context's. The split is made anew for each command, so that
 * nothing that the driver wrote for itself comes from the guest. Streams in a green context are
 * streams of the primary context like others, and all other objects are the primary context's.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/green.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* Memory that the driver takes for one: an assumption, which no GPU has confirmed. */
#define GREEN_BYTES (16u << 20)

struct green_far {
	atomic_uint refs;
	struct gpu *gpu;
	CUgreenCtx far;
};

struct green {
	struct obj o;
	struct green_far *far; /* NULL: not made, or retired */
};

struct split {
	uint32_t flags, groups, minimum;
};

/* Resources at the far end: a split's groups, then what remains. */
struct parts {
	CUdevResource *at;
	uint32_t made;
};

struct green_far *green_get(struct green *g)
{
	atomic_fetch_add(&g->far->refs, 1);
	return g->far;
}

void green_put(struct green_far *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	f->gpu->far->cuGreenCtxDestroy(f->far);
	lease_put(f->gpu->w, GREEN_BYTES);
	free(f);
}

CUresult green_stream(const struct green_far *f, CUstream *out, unsigned int flags, int priority)
{
	return f->gpu->far->cuGreenCtxStreamCreate(out, f->far, flags, priority);
}

void green_retire(struct obj *o)
{
	struct green *g = (struct green *)o;

	if (g->far)
		green_put(g->far);
	g->far = NULL;
}

static bool far_green(const struct far *far)
{
	return far->cuDeviceGetDevResource && far->cuGreenCtxGetDevResource &&
	       far->cuDevSmResourceSplitByCount && far->cuDevResourceGenerateDesc &&
	       far->cuGreenCtxCreate && far->cuGreenCtxDestroy && far->cuGreenCtxStreamCreate;
}

/* All that the green context has, or the device. */
static int whole(struct gpu *g, struct green *origin, CUdevResource *out)
{
	const struct far *far = g->far;

	memset(out, 0, sizeof(*out));
	if (origin && !origin->far)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (origin)
		return (int)far->cuGreenCtxGetDevResource(origin->far->far, out,
							  CU_DEV_RESOURCE_TYPE_SM);
	return (int)far->cuDeviceGetDevResource(far->dev, out, CU_DEV_RESOURCE_TYPE_SM);
}

/* groups 0: only count them. */
static int split(struct gpu *g, const CUdevResource *all, const struct split *s, struct parts *p)
{
	unsigned int made = s->groups;
	int r;

	p->at = calloc(s->groups + 1, sizeof(*p->at));
	if (!p->at)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)g->far->cuDevSmResourceSplitByCount(s->groups ? p->at : NULL, &made, all,
						     &p->at[s->groups], s->flags, s->minimum);
	p->made = made;
	if (!r && s->groups && made > s->groups)
		r = CUDA_ERROR_UNKNOWN;
	return r;
}

int handle_sm_split(struct worker *w, const struct pvgpu_in_sm_split *in,
		    struct pvgpu_out_sm_split *out)
{
	const struct split s = {in->flags, in->groups, in->minimum};
	struct gpu *g = worker_gpu(w);
	struct parts p = {0};
	CUdevResource all;
	int r = obj_error(in->green);

	if (!r && in->device)
		r = CUDA_ERROR_INVALID_DEVICE;
	if (!r && !far_green(g->far))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r)
		r = whole(g, in->green, &all);
	if (r)
		return r;
	out->count = all.sm.smCount;
	out->least = all.sm.minSmPartitionSize;
	out->alignment = all.sm.smCoscheduledAlignment;
	if (!in->split)
		return 0;
	r = split(g, &all, &s, &p);
	if (!r) {
		out->made = p.made;
		out->each = p.made && s.groups ? p.at[0].sm.smCount : 0;
		out->rest = p.at[s.groups].type == CU_DEV_RESOURCE_TYPE_SM
				    ? p.at[s.groups].sm.smCount
				    : 0;
	}
	free(p.at);
	return r;
}

struct green_job {
	struct job job;
	struct green *o, *origin; /* referenced; origin NULL: the device */
	struct split split;
	uint32_t seq, parts;
	uint32_t part[PVGPU_SM_GROUPS_MAX + 1];
};

/* The named parts, moved together in p->at. */
static int pick(const struct green_job *j, const struct parts *p, CUdevResource *picked)
{
	bool taken[PVGPU_SM_GROUPS_MAX + 1] = {false};

	for (uint32_t i = 0; i < j->parts; i++) {
		const uint32_t n = j->part[i];

		if (n > j->split.groups || (n < j->split.groups && n >= p->made) || taken[n] ||
		    p->at[n].type != CU_DEV_RESOURCE_TYPE_SM)
			return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
		taken[n] = true;
		picked[i] = p->at[n];
	}
	return 0;
}

static int describe(struct gpu *g, const struct green_job *j, CUdevResourceDesc *desc)
{
	const unsigned int n = j->parts ? j->parts : 1;
	CUdevResource all, *picked;
	struct parts p = {0};
	int r = whole(g, j->origin, &all);

	if (r)
		return r;
	picked = calloc(n, sizeof(*picked));
	if (!picked)
		return CUDA_ERROR_OUT_OF_MEMORY;
	picked[0] = all;
	if (j->parts)
		r = split(g, &all, &j->split, &p);
	if (!r && j->parts)
		r = pick(j, &p, picked);
	if (!r)
		r = (int)g->far->cuDevResourceGenerateDesc(desc, picked, n);
	free(p.at);
	free(picked);
	return r;
}

static int make(struct gpu *g, const struct green_job *j, uint32_t *count)
{
	struct green_far *f = calloc(1, sizeof(*f));
	CUdevResourceDesc desc = NULL;
	CUdevResource has;
	int r;

	if (!f || !lease_get(g->w, GREEN_BYTES)) {
		free(f);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	atomic_init(&f->refs, 1);
	f->gpu = g;
	r = describe(g, j, &desc);
	if (!r)
		r = (int)g->far->cuGreenCtxCreate(&f->far, desc, g->far->dev,
						  CU_GREEN_CTX_DEFAULT_STREAM);
	if (r) {
		lease_put(g->w, GREEN_BYTES);
		free(f);
		return r;
	}
	j->o->far = f;
	r = whole(g, j->o, &has);
	*count = r ? 0 : has.sm.smCount;
	return 0;
}

static void run_make(struct gpu *g, struct job *job)
{
	struct green_job *j = (struct green_job *)job;
	struct pvgpu_out_green_create out = {0};
	const int r = make(g, j, &out.count);

	obj_ready(j->o, r);
	worker_reply_green_create(g->w, j->seq, r, &out);
	obj_unref(j->o);
	if (j->origin)
		obj_unref(j->origin);
	free(j);
}

int handle_green_create(struct worker *w, const struct pvgpu_in_green_create *in,
			struct pvgpu_out_green_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct green_job *j;
	struct green *o;
	int r = obj_error(c);

	if (!r)
		r = obj_error(in->origin);
	if (!r && !far_green(g->far))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r && !c->primary)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (!r && in->parts_len % sizeof(uint32_t))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o = obj_new(g, PVGPU_H_GREEN, in->green_h, sizeof(*o), c, &c->o, &r);
	if (!o) {
		free(j);
		return r;
	}
	j->o = obj_ref(o);
	j->origin = in->origin ? obj_ref(in->origin) : NULL;
	j->split = (struct split){in->flags, in->groups, in->minimum};
	j->parts = in->parts_len / (uint32_t)sizeof(uint32_t);
	memcpy(j->part, in->parts, in->parts_len);
	j->seq = in->hdr->seq;
	j->job.run = run_make;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct green_job *j = (struct green_job *)job;

	(void)g;
	green_retire(&j->o->o);
	obj_unref(j->o);
	free(j);
}

int handle_green_destroy(struct worker *w, const struct pvgpu_in_green_destroy *in,
			 struct pvgpu_out_green_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct green_job *j = calloc(1, sizeof(*j));

	obj_remove(g, in->green);
	if (!j) {
		obj_unref(in->green);
		return 0;
	}
	j->o = in->green;
	j->job.run = run_destroy;
	side_push(g, &j->job);
	return 0;
}

int handle_green_stream_create(struct worker *w, const struct pvgpu_in_green_stream_create *in,
			       struct pvgpu_out_green_stream_create *out)
{
	struct green *green = in->green;
	const int r = obj_error(green);
	const struct stream_wish wish = {.flags = CU_STREAM_NON_BLOCKING,
					 .priority = in->priority,
					 .refused = r ? r
						    : green->o.ctx != in->ctx
							    ? CUDA_ERROR_INVALID_CONTEXT
							    : 0,
					 .green = green};

	return stream_new(worker_gpu(w), in->ctx, in->stream_h, &wish);
}
