/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface objects. The guest gets the far end's numbers, since kernels take them, and
 * names the objects by handles. Memory behind a texture is checked when it is made; when it is
 * freed afterwards, the texture reads what this session has there, or faults.
 */
#include <stdlib.h>

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

struct texture_job {
	struct job job;
	struct texture *t; /* referenced */
	struct obj *a;     /* an array or a mipmapped one, referenced, or NULL */
	uint32_t seq;
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC desc;
};

static struct texture_job *job_new(struct texture *t, struct obj *a, uint32_t seq,
				   void (*run)(struct gpu *g, struct job *j))
{
	struct texture_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->t = obj_ref(t);
	j->a = a ? obj_ref(a) : NULL;
	j->seq = seq;
	j->job.run = run;
	return j;
}

static void job_free(struct texture_job *j)
{
	obj_unref(j->t);
	if (j->a)
		obj_unref(j->a);
	free(j);
}

/* The far end's array, if it is still there. */
static int resource_of(struct texture_job *j)
{
	if (!j->a)
		return 0;
	if (j->a->type == PVGPU_H_MIPMAP) {
		j->resource.res.mipmap.hMipmappedArray = ((struct mipmap *)j->a)->far;
		return j->resource.res.mipmap.hMipmappedArray ? 0 : CUDA_ERROR_INVALID_HANDLE;
	}
	j->resource.res.array.hArray = ((struct array *)j->a)->far;
	return j->resource.res.array.hArray ? 0 : CUDA_ERROR_INVALID_HANDLE;
}

static void run_create(struct gpu *g, struct job *job)
{
	struct texture_job *j = (struct texture_job *)job;
	struct pvgpu_out_tex_create out = {0};
	CUtexObject object = 0;
	int r = ctx_enter(j->t->o.ctx);

	if (!r)
		r = resource_of(j);
	if (!r)
		r = ctx_result(j->t->o.ctx, (int)g->far->cuTexObjectCreate(&object, &j->resource,
									   &j->desc, NULL));
	j->t->far = object;
	out.object = object;
	obj_ready(j->t, r);
	worker_reply_tex_create(g->w, j->seq, r, &out);
	job_free(j);
}

static void run_create_surface(struct gpu *g, struct job *job)
{
	struct texture_job *j = (struct texture_job *)job;
	struct pvgpu_out_surf_create out = {0};
	CUsurfObject object = 0;
	int r = ctx_enter(j->t->o.ctx);

	if (!r)
		r = resource_of(j);
	if (!r)
		r = ctx_result(j->t->o.ctx, (int)g->far->cuSurfObjectCreate(&object, &j->resource));
	j->t->far = object;
	out.object = object;
	obj_ready(j->t, r);
	worker_reply_surf_create(g->w, j->seq, r, &out);
	job_free(j);
}

/* The objects of a command: 0, or why it cannot be. */
static int check_objects(void *ctx, void *array, bool wants_array)
{
	const int r = obj_error(ctx);

	if (r || !wants_array)
		return r;
	return array ? obj_error(array) : CUDA_ERROR_INVALID_HANDLE;
}

/* A job that makes an object for the handle; NULL with *err set. */
static struct texture_job *begin(struct gpu *g, struct ctx *c, struct obj *a, uint64_t handle,
				 uint32_t seq, bool is_surface, int *err)
{
	struct texture *t = obj_new(g, PVGPU_H_TEXTURE, handle, sizeof(*t), c, &c->o, err);
	struct texture_job *j;

	if (!t)
		return NULL;
	t->is_surface = is_surface;
	j = job_new(t, a, seq, is_surface ? run_create_surface : run_create);
	if (j)
		return j;
	obj_ready(t, CUDA_ERROR_OUT_OF_MEMORY);
	*err = CUDA_ERROR_OUT_OF_MEMORY;
	return NULL;
}

/* Linear memory must be the session's, all of it that can be read. */
static int linear(struct gpu *g, const struct pvgpu_in_tex_create *in, CUDA_RESOURCE_DESC *d)
{
	uint64_t bytes;

	if (in->kind == CU_RESOURCE_TYPE_LINEAR) {
		d->res.linear.devPtr = in->address;
		d->res.linear.format = (CUarray_format)in->format;
		d->res.linear.numChannels = in->channels;
		d->res.linear.sizeInBytes = in->width;
	} else {
		d->res.pitch2D.devPtr = in->address;
		d->res.pitch2D.format = (CUarray_format)in->format;
		d->res.pitch2D.numChannels = in->channels;
		d->res.pitch2D.width = in->width;
		d->res.pitch2D.height = in->height;
		d->res.pitch2D.pitchInBytes = in->pitch;
	}
	bytes = pvgpu_texture_bytes(d);
	return bytes && mem_where(g, in->address, bytes) == AT_DEVICE ? 0
								      : CUDA_ERROR_INVALID_VALUE;
}

static void describe(const struct pvgpu_in_tex_create *in, CUDA_TEXTURE_DESC *d)
{
	*d = (CUDA_TEXTURE_DESC){
		.addressMode = {(CUaddress_mode)in->wrap_x, (CUaddress_mode)in->wrap_y,
				(CUaddress_mode)in->wrap_z},
		.filterMode = (CUfilter_mode)in->filter,
		.flags = in->flags,
		.maxAnisotropy = in->anisotropy,
		.mipmapFilterMode = (CUfilter_mode)in->mip_filter,
		.mipmapLevelBias = in->mip_bias,
		.minMipmapLevelClamp = in->mip_min,
		.maxMipmapLevelClamp = in->mip_max,
		.borderColor = {in->border_r, in->border_g, in->border_b, in->border_a},
	};
}

int handle_tex_create(struct worker *w, const struct pvgpu_in_tex_create *in,
		      struct pvgpu_out_tex_create *out)
{
	const bool mipmapped = in->kind == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
	const bool of_array = in->kind == CU_RESOURCE_TYPE_ARRAY || mipmapped;
	struct gpu *g = worker_gpu(w);
	CUDA_RESOURCE_DESC resource = {.resType = (CUresourcetype)in->kind};
	struct texture_job *j;
	int r = check_objects(in->ctx, in->array, of_array);

	if (r)
		return r;
	if (of_array && (in->array_type == PVGPU_H_MIPMAP) != mipmapped)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!g->far->cuTexObjectCreate || !g->far->cuTexObjectDestroy)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = of_array ? 0 : linear(g, in, &resource);
	if (r)
		return r;
	j = begin(g, in->ctx, of_array ? in->array : NULL, in->texture_h, in->hdr->seq, false, &r);
	if (!j)
		return r;
	j->resource = resource;
	describe(in, &j->desc);
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

int handle_surf_create(struct worker *w, const struct pvgpu_in_surf_create *in,
		       struct pvgpu_out_surf_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct texture_job *j;
	int r = check_objects(in->ctx, in->array, true);

	if (r)
		return r;
	if (!g->far->cuSurfObjectCreate || !g->far->cuSurfObjectDestroy)
		return CUDA_ERROR_NOT_SUPPORTED;
	j = begin(g, in->ctx, in->array, in->texture_h, in->hdr->seq, true, &r);
	if (!j)
		return r;
	j->resource.resType = CU_RESOURCE_TYPE_ARRAY;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

void texture_retire(struct gpu *g, struct texture *t)
{
	if (t->far && !ctx_enter(t->o.ctx)) {
		if (t->is_surface)
			g->far->cuSurfObjectDestroy(t->far);
		else
			g->far->cuTexObjectDestroy(t->far);
	}
	t->far = 0;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct texture_job *j = (struct texture_job *)job;

	texture_retire(g, j->t);
	job_free(j);
}

/* Programs destroy a texture when they have launched what reads it. */
int handle_tex_destroy(struct worker *w, const struct pvgpu_in_tex_destroy *in,
		       struct pvgpu_out_tex_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct texture *t = in->texture;
	struct ctx *c = t->o.ctx;
	struct texture_job *j = job_new(t, NULL, in->hdr->seq, run_destroy);

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	obj_remove(g, &t->o);
	obj_unref(t);
	side_after_work(g, c, &j->job);
	return 0;
}
