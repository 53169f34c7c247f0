/* SPDX-License-Identifier: MIT */
/* Texture and surface objects. */
#include "cudart/memory/array.h"

#include <string.h>

_Static_assert(sizeof(struct cudaResourceDesc) == 64 && sizeof(struct cudaTextureDesc) == 72,
	       "the runtime's sizes");

/* The driver's. */
struct driver_resource {
	int type;
	union {
		CUarray array;
		CUmipmappedArray mipmapped;
		struct {
			CUdeviceptr ptr;
			CUarray_format format;
			unsigned int channels;
			size_t bytes;
		} linear;
		struct {
			CUdeviceptr ptr;
			CUarray_format format;
			unsigned int channels;
			size_t width, height, pitch;
		} pitched;
		int reserved[32];
	};
	unsigned int flags;
};

struct driver_texture {
	int address[3], filter;
	unsigned int flags, anisotropy;
	int mipmap_filter;
	float bias, min_level, max_level, border[4];
	int reserved[12];
};

_Static_assert(sizeof(struct driver_resource) == 144 && sizeof(struct driver_texture) == 104,
	       "the driver's sizes");

static cudaError_t to_driver(const struct cudaResourceDesc *r, struct driver_resource *d)
{
	bool good = true;

	*d = (struct driver_resource){.type = (int)r->resType};
	switch (r->resType) {
	case cudaResourceTypeArray:
		d->array = (CUarray)r->res.array.array;
		break;
	case cudaResourceTypeMipmappedArray:
		d->mipmapped = (CUmipmappedArray)r->res.mipmap.mipmap;
		break;
	case cudaResourceTypeLinear:
		d->linear.ptr = rt_addr(r->res.linear.devPtr);
		d->linear.bytes = r->res.linear.sizeInBytes;
		good = rt_array_format(&r->res.linear.desc, &d->linear.format, &d->linear.channels);
		break;
	case cudaResourceTypePitch2D:
		d->pitched.ptr = rt_addr(r->res.pitch2D.devPtr);
		d->pitched.width = r->res.pitch2D.width;
		d->pitched.height = r->res.pitch2D.height;
		d->pitched.pitch = r->res.pitch2D.pitchInBytes;
		good = rt_array_format(&r->res.pitch2D.desc, &d->pitched.format,
				       &d->pitched.channels);
		break;
	default:
		return cudaErrorInvalidValue;
	}
	return good ? cudaSuccess : cudaErrorInvalidChannelDescriptor;
}

/* Bits of the driver's flags */
enum { AS_INTEGER = 0x1, NORMALIZED = 0x2, SRGB = 0x10, NO_TRILINEAR = 0x20, SEAMLESS = 0x40 };

static struct driver_texture driver_form(const struct cudaTextureDesc *t)
{
	return (struct driver_texture){
		.address = {t->addressMode[0], t->addressMode[1], t->addressMode[2]},
		.filter = t->filterMode,
		.flags = (t->readMode == cudaReadModeElementType ? AS_INTEGER : 0) |
			 (t->normalizedCoords ? NORMALIZED : 0) | (t->sRGB ? SRGB : 0) |
			 (t->disableTrilinearOptimization ? NO_TRILINEAR : 0) |
			 (t->seamlessCubemap ? SEAMLESS : 0),
		.anisotropy = t->maxAnisotropy,
		.mipmap_filter = t->mipmapFilterMode,
		.bias = t->mipmapLevelBias,
		.min_level = t->minMipmapLevelClamp,
		.max_level = t->maxMipmapLevelClamp,
		.border = {t->borderColor[0], t->borderColor[1], t->borderColor[2],
			   t->borderColor[3]},
	};
}

static cudaError_t from_driver(const struct driver_resource *d, struct cudaResourceDesc *r)
{
	*r = (struct cudaResourceDesc){.resType = (enum cudaResourceType)d->type};
	switch (r->resType) {
	case cudaResourceTypeArray:
		r->res.array.array = (cudaArray_t)d->array;
		break;
	case cudaResourceTypeMipmappedArray:
		r->res.mipmap.mipmap = (cudaMipmappedArray_t)d->mipmapped;
		break;
	case cudaResourceTypeLinear:
		r->res.linear.devPtr = (void *)(uintptr_t)d->linear.ptr;
		r->res.linear.sizeInBytes = d->linear.bytes;
		r->res.linear.desc = rt_array_channels(d->linear.format, d->linear.channels);
		break;
	case cudaResourceTypePitch2D:
		r->res.pitch2D.devPtr = (void *)(uintptr_t)d->pitched.ptr;
		r->res.pitch2D.width = d->pitched.width;
		r->res.pitch2D.height = d->pitched.height;
		r->res.pitch2D.pitchInBytes = d->pitched.pitch;
		r->res.pitch2D.desc = rt_array_channels(d->pitched.format, d->pitched.channels);
		break;
	default:
		return cudaErrorUnknown;
	}
	return cudaSuccess;
}

static struct cudaTextureDesc runtime_form(const struct driver_texture *t)
{
	struct cudaTextureDesc d = {
		.filterMode = (enum cudaTextureFilterMode)t->filter,
		.readMode = t->flags & AS_INTEGER ? cudaReadModeElementType
						  : cudaReadModeNormalizedFloat,
		.sRGB = !!(t->flags & SRGB),
		.normalizedCoords = !!(t->flags & NORMALIZED),
		.maxAnisotropy = t->anisotropy,
		.mipmapFilterMode = (enum cudaTextureFilterMode)t->mipmap_filter,
		.mipmapLevelBias = t->bias,
		.minMipmapLevelClamp = t->min_level,
		.maxMipmapLevelClamp = t->max_level,
		.disableTrilinearOptimization = !!(t->flags & NO_TRILINEAR),
		.seamlessCubemap = !!(t->flags & SEAMLESS),
	};

	for (unsigned int i = 0; i < 3; i++)
		d.addressMode[i] = (enum cudaTextureAddressMode)t->address[i];
	memcpy(d.borderColor, t->border, sizeof(d.borderColor));
	return d;
}

/* Views of another format than the resource's are not offered. */
RT_API(cudaCreateTextureObject, cudaTextureObject_t *object,
       const struct cudaResourceDesc *resource, const struct cudaTextureDesc *texture,
       const void *view)
{
	struct driver_resource r;
	struct driver_texture t;
	cudaError_t e;

	RT_ENTER();
	if (!object || !resource || !texture)
		return rt_fail(cudaErrorInvalidValue);
	if (view)
		return rt_not_supported();
	e = to_driver(resource, &r);
	if (e)
		return rt_fail(e);
	t = driver_form(texture);
	return rt_result(rt_cu.cuTexObjectCreate(object, &r, &t, NULL));
}

RT_API(cudaDestroyTextureObject, cudaTextureObject_t object)
{
	RT_THROUGH(cuTexObjectDestroy(object));
}

RT_API(cudaGetTextureObjectResourceDesc, struct cudaResourceDesc *resource,
       cudaTextureObject_t object)
{
	struct driver_resource d;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuTexObjectGetResourceDesc(resource ? &d : NULL, object);
	return r ? rt_result(r) : rt_fail(from_driver(&d, resource));
}

RT_API(cudaGetTextureObjectTextureDesc, struct cudaTextureDesc *texture, cudaTextureObject_t object)
{
	struct driver_texture d;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuTexObjectGetTextureDesc(texture ? &d : NULL, object);
	if (r)
		return rt_result(r);
	*texture = runtime_form(&d);
	return cudaSuccess;
}

/* No texture has one. */
RT_API(cudaGetTextureObjectResourceViewDesc, void *view, cudaTextureObject_t object)
{
	RT_THROUGH(cuTexObjectGetResourceViewDesc(view, object));
}

RT_API(cudaCreateSurfaceObject, cudaSurfaceObject_t *object,
       const struct cudaResourceDesc *resource)
{
	struct driver_resource r;
	cudaError_t e;

	RT_ENTER();
	if (!object || !resource)
		return rt_fail(cudaErrorInvalidValue);
	e = to_driver(resource, &r);
	return rt_fail(e ? e : rt_error(rt_cu.cuSurfObjectCreate(object, &r)));
}

RT_API(cudaDestroySurfaceObject, cudaSurfaceObject_t object)
{
	RT_THROUGH(cuSurfObjectDestroy(object));
}

RT_API(cudaGetSurfaceObjectResourceDesc, struct cudaResourceDesc *resource,
       cudaSurfaceObject_t object)
{
	struct driver_resource d;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuSurfObjectGetResourceDesc(resource ? &d : NULL, object);
	return r ? rt_result(r) : rt_fail(from_driver(&d, resource));
}
