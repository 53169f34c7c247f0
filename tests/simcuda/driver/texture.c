/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface objects: small numbers that kernels take. As on a GPU, where descriptions lie
 * in a table, one that is destroyed goes on to work for kernels that run, until its place is needed
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define CHUNK  256u
#define CHUNKS 1024u
#define KEEP   1024u /* free places that are not used again, so that the oldest is old */

struct texture {
	struct ptx_texture t;
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC desc;
	struct sim_ctx *ctx;
	bool is_surface;
	/* Below: not copied from what is made. A thread that reads number or live sees all above.
	 */
	_Atomic bool live;
	_Atomic uint32_t number; /* counts from 1 */
	uint32_t next;           /* next free one, oldest first */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct texture *) chunk[CHUNKS];
static uint32_t used, free_count, free_first, free_last;

static struct texture *at(uint64_t number)
{
	struct texture *c;

	if (!number || number > (uint64_t)CHUNK * CHUNKS)
		return NULL;
	c = atomic_load_explicit(&chunk[(number - 1) / CHUNK], memory_order_acquire);
	return c ? &c[(number - 1) % CHUNK] : NULL;
}

const struct ptx_texture *texture_find(uint64_t handle, bool is_surface)
{
	const struct texture *x = at(handle);

	return x && x->number && x->is_surface == is_surface ? &x->t : NULL;
}

/* Under lock. NULL: no memory. */
static struct texture *take_place(void)
{
	struct texture *x;

	if (free_count > KEEP || used == CHUNK * CHUNKS) {
		x = at(free_first);
		if (!x)
			return NULL;
		free_first = x->next;
		free_count--;
		return x;
	}
	if (used % CHUNK == 0) {
		x = calloc(CHUNK, sizeof(*x));
		if (!x)
			return NULL;
		atomic_store_explicit(&chunk[used / CHUNK], x, memory_order_release);
	}
	return at(++used);
}

static uint64_t publish(const struct texture *made)
{
	uint32_t number = 0;
	struct texture *x;

	pthread_mutex_lock(&lock);
	x = take_place();
	if (x) {
		number = x->number ? x->number : used;
		memcpy(x, made, offsetof(struct texture, live));
		atomic_store(&x->number, number);
		atomic_store(&x->live, true);
	}
	pthread_mutex_unlock(&lock);
	return number;
}

/* Under lock. */
static void retire(struct texture *x)
{
	x->live = false;
	x->next = 0;
	if (free_count++)
		at(free_last)->next = x->number;
	else
		free_first = x->number;
	free_last = x->number;
}

static CUresult get(uint64_t handle, bool is_surface, const struct texture **out)
{
	const struct texture *x = at(handle);

	CURRENT(ctx);
	if (!x || !x->live || x->is_surface != is_surface)
		return CUDA_ERROR_INVALID_VALUE;
	*out = x;
	return CUDA_SUCCESS;
}

static CUresult destroy(uint64_t handle, bool is_surface)
{
	struct texture *x = at(handle);
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	if (x && x->live && x->is_surface == is_surface) {
		retire(x);
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void texture_drop_ctx(struct sim_ctx *ctx)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 1; i <= used; i++) {
		struct texture *x = at(i);

		if (x && x->live && x->ctx == ctx)
			retire(x);
	}
	pthread_mutex_unlock(&lock);
}

static enum ptx_texel texel_of(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
		return PTX_U8;
	case CU_AD_FORMAT_UNSIGNED_INT16:
		return PTX_U16;
	case CU_AD_FORMAT_UNSIGNED_INT32:
		return PTX_U32;
	case CU_AD_FORMAT_SIGNED_INT8:
		return PTX_S8;
	case CU_AD_FORMAT_SIGNED_INT16:
		return PTX_S16;
	case CU_AD_FORMAT_SIGNED_INT32:
		return PTX_S32;
	case CU_AD_FORMAT_HALF:
		return PTX_HALF;
	default:
		return PTX_FLOAT;
	}
}

static CUresult from_array(CUarray handle, struct ptx_texture *t)
{
	struct sim_array *a;

	TRY(array_get(handle, &a));
	if (!a->addr)
		return CUDA_ERROR_INVALID_VALUE;
	t->base = a->addr;
	t->pitch = a->desc.Height ? a->pitch : a->slice;
	t->slice = a->slice;
	t->layered = a->desc.Flags & CUDA_ARRAY3D_LAYERED;
	t->dims = !a->desc.Height ? 1 : a->desc.Depth && !t->layered ? 3 : 2;
	t->size[0] = (uint32_t)a->desc.Width;
	t->size[1] = (uint32_t)(t->dims > 1 ? a->rows : a->slices);
	t->size[2] = (uint32_t)a->slices;
	t->texel = texel_of(a->desc.Format);
	t->channels = a->desc.NumChannels;
	return CUDA_SUCCESS;
}

static CUresult from_mipmap(CUmipmappedArray handle, struct ptx_texture *t)
{
	struct sim_mipmap *m;

	TRY(mipmap_get(handle, &m));
	TRY(from_array((CUarray)m->level[0], t));
	for (uint32_t i = 1; i < m->levels; i++) {
		struct ptx_texture level = {0};

		TRY(from_array((CUarray)m->level[i], &level));
		t->level[i] = level.level[0];
	}
	t->levels = sim_fault.first_level ? 1 : m->levels;
	return CUDA_SUCCESS;
}

static uint64_t limit(int attribute)
{
	int value = 0;

	device_attribute(attribute, &value);
	return (uint64_t)value;
}

/* Linear memory: len bytes of it, whose texels have these channels. */
static CUresult from_memory(CUdeviceptr addr, uint64_t len, CUarray_format format,
			    unsigned int channels, struct ptx_texture *t)
{
	uint64_t lo, hi;

	if (!array_channel_bytes(format) || (channels != 1 && channels != 2 && channels != 4) ||
	    !len || !addr || addr % limit(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT) ||
	    !range_check(addr, len, false, &lo, &hi))
		return CUDA_ERROR_INVALID_VALUE;
	t->base = addr;
	t->texel = texel_of(format);
	t->channels = channels;
	return CUDA_SUCCESS;
}

static CUresult from_resource(const CUDA_RESOURCE_DESC *d, struct ptx_texture *t)
{
	uint64_t texel, pitch;

	switch (d->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		return from_array(d->res.array.hArray, t);
	case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
		return from_mipmap(d->res.mipmap.hMipmappedArray, t);
	case CU_RESOURCE_TYPE_LINEAR:
		texel = array_channel_bytes(d->res.linear.format) * d->res.linear.numChannels;
		if (!texel || d->res.linear.sizeInBytes / texel > limit(69) ||
		    d->res.linear.sizeInBytes < texel)
			return CUDA_ERROR_INVALID_VALUE;
		t->is_buffer = true;
		t->dims = 1;
		t->size[0] = (uint32_t)(d->res.linear.sizeInBytes / texel);
		return from_memory(d->res.linear.devPtr, d->res.linear.sizeInBytes,
				   d->res.linear.format, d->res.linear.numChannels, t);
	case CU_RESOURCE_TYPE_PITCH2D:
		texel = array_channel_bytes(d->res.pitch2D.format) * d->res.pitch2D.numChannels;
		pitch = d->res.pitch2D.pitchInBytes;
		if (!d->res.pitch2D.width || !d->res.pitch2D.height ||
		    d->res.pitch2D.width > limit(70) || d->res.pitch2D.height > limit(71) ||
		    pitch > limit(72) || pitch < d->res.pitch2D.width * texel ||
		    pitch % limit(CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT))
			return CUDA_ERROR_INVALID_VALUE;
		t->dims = 2;
		t->pitch = pitch;
		t->size[0] = (uint32_t)d->res.pitch2D.width;
		t->size[1] = (uint32_t)d->res.pitch2D.height;
		return from_memory(d->res.pitch2D.devPtr,
				   (t->size[1] - 1) * pitch + t->size[0] * texel,
				   d->res.pitch2D.format, d->res.pitch2D.numChannels, t);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

#define FLAGS_KNOWN                                                                                \
	(CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES |                                \
	 CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION)
#define FLAGS_REFUSED (CU_TRSF_SRGB | CU_TRSF_SEAMLESS_CUBEMAP)

static CUresult how_it_is_read(const CUDA_TEXTURE_DESC *d, struct ptx_texture *t)
{
	for (int i = 0; i < 3; i++) {
		if ((unsigned int)d->addressMode[i] > CU_TR_ADDRESS_MODE_BORDER)
			return CUDA_ERROR_INVALID_VALUE;
		t->wrap[i] = (enum ptx_wrap)d->addressMode[i];
	}
	if ((d->flags & ~(unsigned int)(FLAGS_KNOWN | FLAGS_REFUSED)) ||
	    (unsigned int)d->filterMode > CU_TR_FILTER_MODE_LINEAR ||
	    (unsigned int)d->mipmapFilterMode > CU_TR_FILTER_MODE_LINEAR)
		return CUDA_ERROR_INVALID_VALUE;
	if (d->flags & FLAGS_REFUSED)
		return CUDA_ERROR_NOT_SUPPORTED;
	t->is_linear = d->filterMode == CU_TR_FILTER_MODE_LINEAR && !sim_fault.filter;
	t->is_normalized = d->flags & CU_TRSF_NORMALIZED_COORDINATES;
	if (t->levels && !t->is_normalized)
		return CUDA_ERROR_INVALID_VALUE; /* as the driver's manual asks */
	t->mixes_levels = d->mipmapFilterMode == CU_TR_FILTER_MODE_LINEAR;
	t->bias = d->mipmapLevelBias;
	t->least_level = d->minMipmapLevelClamp;
	t->most_level = d->maxMipmapLevelClamp;
	t->as_integer = d->flags & CU_TRSF_READ_AS_INTEGER;
	for (int i = 0; i < 4; i++)
		t->border[i] = d->borderColor[i];
	return CUDA_SUCCESS;
}

API(cuTexObjectCreate, CUtexObject *tex, const CUDA_RESOURCE_DESC *resource,
    const CUDA_TEXTURE_DESC *texture, const CUDA_RESOURCE_VIEW_DESC *view)
{
	struct texture x = {0};

	ENTER();
	CURRENT(ctx);
	if (!tex || !resource || !texture || resource->flags)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(from_resource(resource, &x.t));
	TRY(how_it_is_read(texture, &x.t));
	if (view)
		return resource->resType == CU_RESOURCE_TYPE_ARRAY ||
				       resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY
			       ? CUDA_ERROR_NOT_SUPPORTED
			       : CUDA_ERROR_INVALID_VALUE;
	x.resource = *resource;
	x.desc = *texture;
	x.ctx = ctx;
	*tex = publish(&x);
	return *tex ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API(cuSurfObjectCreate, CUsurfObject *surface, const CUDA_RESOURCE_DESC *resource)
{
	struct texture x = {.is_surface = true};
	struct sim_array *a;

	ENTER();
	CURRENT(ctx);
	if (!surface || !resource || resource->flags || resource->resType != CU_RESOURCE_TYPE_ARRAY)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(array_get(resource->res.array.hArray, &a));
	if (!(a->desc.Flags & CUDA_ARRAY3D_SURFACE_LDST))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(from_resource(resource, &x.t));
	if (sim_fault.surface_row && x.t.dims > 1)
		x.t.size[1]--;
	x.resource = *resource;
	x.ctx = ctx;
	*surface = publish(&x);
	return *surface ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API(cuTexObjectDestroy, CUtexObject tex)
{
	ENTER_ANY();
	return destroy(tex, false);
}

API(cuSurfObjectDestroy, CUsurfObject surface)
{
	ENTER_ANY();
	return destroy(surface, true);
}

#define GETTER(name, type, handle, is_surface, what)                                               \
	API(name, type *out, handle object)                                                        \
	{                                                                                          \
		const struct texture *x;                                                           \
                                                                                                   \
		ENTER();                                                                           \
		TRY(get(object, is_surface, &x));                                                  \
		if (!out)                                                                          \
			return CUDA_ERROR_INVALID_VALUE;                                           \
		*out = x->what;                                                                    \
		return CUDA_SUCCESS;                                                               \
	}
GETTER(cuTexObjectGetResourceDesc, CUDA_RESOURCE_DESC, CUtexObject, false, resource)
GETTER(cuTexObjectGetTextureDesc, CUDA_TEXTURE_DESC, CUtexObject, false, desc)
GETTER(cuSurfObjectGetResourceDesc, CUDA_RESOURCE_DESC, CUsurfObject, true, resource)

API(cuTexObjectGetResourceViewDesc, CUDA_RESOURCE_VIEW_DESC *view, CUtexObject tex)
{
	const struct texture *x;

	ENTER();
	TRY(get(tex, false, &x));
	return CUDA_ERROR_INVALID_VALUE; /* it has none */
}
