/* SPDX-License-Identifier: MIT */
/*
 * Mipmapped arrays. Their levels are arrays that the worker has anyway: one that is asked for gets
 * a handle, which goes with the mipmapped array.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/memory/array.h"

#include <pthread.h>
#include <stdatomic.h>

#include "pvgpu_cuda_array.h"
#include "pvgpu_stubs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the levels' handles */

int mipmap_enter(CUmipmappedArray h, struct mipmap **out)
{
	*out = object_find(PVGPU_H_MIPMAP, h);
	return *out ? atomic_load(&(*out)->o.ctx->state) : CUDA_ERROR_INVALID_HANDLE;
}

/* Of one and of two dimensions the limits are below those of other arrays. */
static int check(const CUDA_ARRAY3D_DESCRIPTOR *d, int dev)
{
	const int r = array_check(d, dev);

	if (r || d->Depth || (d->Flags & CUDA_ARRAY3D_LAYERED))
		return r;
	if (d->Height)
		return device_exceeds(dev, d->Width,
				      CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH) ||
				       device_exceeds(
					       dev, d->Height,
					       CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT)
			       ? CUDA_ERROR_INVALID_VALUE
			       : 0;
	return device_exceeds(dev, d->Width, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH)
		       ? CUDA_ERROR_INVALID_VALUE
		       : 0;
}

PUBLIC CUresult cuMipmappedArrayCreate(CUmipmappedArray *mipmap,
				       const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels)
{
	unsigned int most, tries = 0;
	struct mipmap *m;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!mipmap || !desc)
		return CUDA_ERROR_INVALID_VALUE;
	r = check(desc, c->device);
	if (r)
		return r;
	m = object_new(PVGPU_H_MIPMAP);
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	most = pvgpu_levels_most(desc);
	m->o.ctx = c;
	m->desc = *desc;
	m->levels = !levels ? 1 : levels < most ? levels : most;
	do {
		r = pvgpu_do_mipmap_create(session(), c->o.wire, desc->Width, desc->Height,
					   desc->Depth, (uint32_t)desc->Format, desc->NumChannels,
					   desc->Flags, m->levels, m->o.wire);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	if (r) {
		object_free(&m->o);
		return ctx_result(c, r);
	}
	object_publish(&m->o);
	*mipmap = object_handle(&m->o);
	return 0;
}

/* Under lock. */
static int name_level(struct mipmap *m, unsigned int n)
{
	const CUDA_ARRAY3D_DESCRIPTOR desc = pvgpu_level_of(&m->desc, n);
	struct array *a = object_new(PVGPU_H_ARRAY);
	int r;

	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	array_describe(a, m->o.ctx, &desc);
	a->is_level = true;
	r = pvgpu_do_mipmap_level(session(), m->o.wire, n, a->o.wire);
	if (r) {
		object_free(&a->o);
		return r;
	}
	object_publish(&a->o);
	m->level[n] = object_handle(&a->o);
	return 0;
}

PUBLIC CUresult cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray mipmap,
					 unsigned int level)
{
	struct mipmap *m;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	pthread_mutex_lock(&lock);
	r = mipmap_enter(mipmap, &m);
	if (!r && (!array || level >= m->levels))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r && !m->level[level])
		r = name_level(m, level);
	if (!r)
		*array = m->level[level];
	pthread_mutex_unlock(&lock);
	return r;
}

/* The worker forgets the levels' handles when it forgets the mipmapped array's. */
static int destroy(struct mipmap *m)
{
	const int r = pvgpu_do_mipmap_destroy(session(), m->o.wire);

	for (uint32_t n = 0; n < m->levels; n++) {
		struct array *a = object_find(PVGPU_H_ARRAY, m->level[n]);

		if (a && object_retire(&a->o))
			object_free(&a->o);
	}
	object_free(&m->o);
	return r;
}

PUBLIC CUresult cuMipmappedArrayDestroy(CUmipmappedArray mipmap)
{
	struct mipmap *m;
	int r = ctx_enter_any();

	if (r)
		return r;
	pthread_mutex_lock(&lock);
	r = mipmap_enter(mipmap, &m);
	if (!r)
		r = object_retire(&m->o) ? destroy(m) : CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_unlock(&lock);
	return r;
}

/* None is sparse or to be mapped later: array_check() sees to it. */
static int refuse(CUmipmappedArray mipmap)
{
	struct mipmap *m;
	const int r = mipmap_enter(mipmap, &m);

	return r ? r : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties,
						    CUmipmappedArray mipmap)
{
	(void)properties;
	return refuse(mipmap);
}

PUBLIC CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs,
						      CUmipmappedArray mipmap, CUdevice dev)
{
	const int r = guest_enter();

	(void)needs;
	if (r)
		return r;
	return device_at(dev) ? refuse(mipmap) : CUDA_ERROR_INVALID_DEVICE;
}
