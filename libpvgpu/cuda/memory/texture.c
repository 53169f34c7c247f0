/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface objects. Their numbers are the driver's, since kernels take them, so objects
 * are looked up in a list of their own: by number, and of two contexts' by the one that is current.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"
#include "cuda/memory/array.h"
#include "cuda/memory/memory_map.h"

#include <pthread.h>

#include "pvgpu_cuda_array.h"
#include "pvgpu_stubs.h"

enum { BUCKETS = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct texture *bucket[BUCKETS];

static void list_add(struct texture *t)
{
	struct texture **at = &bucket[t->number % BUCKETS];

	pthread_mutex_lock(&lock);
	t->next = *at;
	*at = t;
	pthread_mutex_unlock(&lock);
}

static void list_remove(struct texture *t)
{
	struct texture **at = &bucket[t->number % BUCKETS];

	pthread_mutex_lock(&lock);
	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	pthread_mutex_unlock(&lock);
}

void texture_forget(struct texture *t)
{
	list_remove(t);
	object_free(&t->o);
}

/* Under lock. */
static struct texture *look(uint64_t number, bool is_surface)
{
	struct texture *best = NULL;

	for (struct texture *t = bucket[number % BUCKETS]; t; t = t->next) {
		if (t->number != number || t->is_surface != is_surface)
			continue;
		if (!best || t->o.ctx == (self.current.ctx ? self.current.ctx->root : NULL))
			best = t;
	}
	return best;
}

/* The descriptions that it was made from. */
static int describe(uint64_t number, bool is_surface, CUDA_RESOURCE_DESC *resource,
		    CUDA_TEXTURE_DESC *desc)
{
	const struct texture *t;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	pthread_mutex_lock(&lock);
	t = look(number, is_surface);
	if (t && resource)
		*resource = t->resource;
	if (t && desc)
		*desc = t->desc;
	pthread_mutex_unlock(&lock);
	return t ? 0 : CUDA_ERROR_INVALID_VALUE;
}

/* The wire handle of the array, mipmapped or not, or 0; linear memory must be the application's. */
static int check_resource(const CUDA_RESOURCE_DESC *d, uint64_t *array)
{
	uint64_t addr, bytes;
	const struct array *a;
	struct mipmap *m;
	struct range range;
	int r;

	*array = 0;
	switch (d->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		r = array_enter(d->res.array.hArray, &a);
		if (!r)
			*array = a->o.wire;
		return r;
	case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
		r = mipmap_enter(d->res.mipmap.hMipmappedArray, &m);
		if (!r)
			*array = m->o.wire;
		return r;
	case CU_RESOURCE_TYPE_LINEAR:
	case CU_RESOURCE_TYPE_PITCH2D:
		addr = d->resType == CU_RESOURCE_TYPE_LINEAR ? d->res.linear.devPtr
							     : d->res.pitch2D.devPtr;
		bytes = pvgpu_texture_bytes(d);
		return bytes && range_find_device(addr, &range) && range.kind != RANGE_PINNED &&
				       range_holds(&range, addr, bytes)
			       ? 0
			       : CUDA_ERROR_INVALID_VALUE;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static int ask_texture(const struct texture *t, uint64_t array, uint64_t *number)
{
	const CUDA_RESOURCE_DESC *d = &t->resource;
	const CUDA_TEXTURE_DESC *x = &t->desc;
	const bool linear = d->resType == CU_RESOURCE_TYPE_LINEAR;
	const bool pitch = d->resType == CU_RESOURCE_TYPE_PITCH2D;

	return pvgpu_do_tex_create(
		session(), t->o.ctx->o.wire, (uint32_t)d->resType, array,
		linear  ? d->res.linear.devPtr
		: pitch ? d->res.pitch2D.devPtr
			: 0,
		linear  ? (uint32_t)d->res.linear.format
		: pitch ? (uint32_t)d->res.pitch2D.format
			: 0,
		linear  ? d->res.linear.numChannels
		: pitch ? d->res.pitch2D.numChannels
			: 0,
		linear  ? d->res.linear.sizeInBytes
		: pitch ? d->res.pitch2D.width
			: 0,
		pitch ? d->res.pitch2D.height : 0, pitch ? d->res.pitch2D.pitchInBytes : 0,
		(uint32_t)x->addressMode[0], (uint32_t)x->addressMode[1],
		(uint32_t)x->addressMode[2], (uint32_t)x->filterMode, x->flags, x->maxAnisotropy,
		(uint32_t)x->mipmapFilterMode, x->mipmapLevelBias, x->minMipmapLevelClamp,
		x->maxMipmapLevelClamp, x->borderColor[0], x->borderColor[1], x->borderColor[2],
		x->borderColor[3], t->o.wire, number);
}

/* desc NULL: a surface. */
static int create(struct ctx *c, const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *desc,
		  uint64_t array, uint64_t *out)
{
	struct texture *t = object_new(PVGPU_H_TEXTURE);
	int r;

	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	t->o.ctx = c;
	t->is_surface = !desc;
	t->resource = *resource;
	if (desc)
		t->desc = *desc;
	r = desc ? ask_texture(t, array, &t->number)
		 : pvgpu_do_surf_create(session(), c->o.wire, array, t->o.wire, &t->number);
	if (r) {
		object_free(&t->o);
		return ctx_result(c, r);
	}
	list_add(t);
	*out = t->number;
	object_publish(&t->o);
	return 0;
}

PUBLIC CUresult cuTexObjectCreate(CUtexObject *tex, const CUDA_RESOURCE_DESC *resource,
				  const CUDA_TEXTURE_DESC *texture,
				  const CUDA_RESOURCE_VIEW_DESC *view)
{
	uint64_t array, number;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!tex || !resource || !texture || resource->flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_resource(resource, &array);
	if (r)
		return r;
	if (view)
		return array ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
	r = create(c, resource, texture, array, &number);
	if (!r)
		*tex = number;
	return r;
}

PUBLIC CUresult cuSurfObjectCreate(CUsurfObject *surface, const CUDA_RESOURCE_DESC *resource)
{
	uint64_t array, number;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!surface || !resource || resource->flags || resource->resType != CU_RESOURCE_TYPE_ARRAY)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_resource(resource, &array);
	if (!r)
		r = create(c, resource, NULL, array, &number);
	if (!r)
		*surface = number;
	return r;
}

static int destroy(uint64_t number, bool is_surface)
{
	struct texture *t;
	uint64_t wire;
	bool mine;
	int r = ctx_enter_any();

	if (r)
		return r;
	/* retired under the lock: its slot is not used again before */
	pthread_mutex_lock(&lock);
	t = look(number, is_surface);
	wire = t ? t->o.wire : 0;
	mine = t && object_retire(&t->o);
	pthread_mutex_unlock(&lock);
	if (!mine)
		return CUDA_ERROR_INVALID_VALUE;
	/* One-way: the worker destroys it when the work that may use it has ended. */
	r = pvgpu_do_tex_destroy(session(), wire);
	texture_forget(t);
	return r;
}

PUBLIC CUresult cuTexObjectDestroy(CUtexObject tex)
{
	return destroy(tex, false);
}

PUBLIC CUresult cuSurfObjectDestroy(CUsurfObject surface)
{
	return destroy(surface, true);
}

PUBLIC CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject tex)
{
	const int r = describe(tex, false, resource, NULL);

	return r || resource ? r : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *texture, CUtexObject tex)
{
	const int r = describe(tex, false, NULL, texture);

	return r || texture ? r : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *view, CUtexObject tex)
{
	const int r = describe(tex, false, NULL, NULL);

	return r ? r : CUDA_ERROR_INVALID_VALUE; /* it has none */
}

PUBLIC CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject surface)
{
	const int r = describe(surface, true, resource, NULL);

	return r || resource ? r : CUDA_ERROR_INVALID_VALUE;
}
