/* SPDX-License-Identifier: MIT */
/* Texture and surface objects. */
#include "cudart/memory/array.h"

enum { ARRAY, MIPMAPPED, LINEAR, PITCHED };

/* The runtime's descriptions; CUDA 13 made the first longer at its end. */
struct resource {
	int type;
	union {
		cudaArray_t array;
		cudaMipmappedArray_t mipmapped;
		struct {
			void *ptr;
			struct cudaChannelFormatDesc desc;
			size_t bytes;
		} linear;
		struct {
			void *ptr;
			struct cudaChannelFormatDesc desc;
			size_t width, height, pitch;
		} pitched;
	};
};

struct texture {
	int address[3], filter, read, srgb;
	float border[4];
	int normalized;
	unsigned int anisotropy;
	int mipmap_filter;
	float bias, min_level, max_level;
	int no_trilinear, seamless;
};

_Static_assert(sizeof(struct resource) == 64 && sizeof(struct texture) == 72,
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

static cudaError_t to_driver(const struct resource *r, struct driver_resource *d)
{
	bool good = true;

	*d = (struct driver_resource){.type = r->type};
	switch (r->type) {
	case ARRAY:
		d->array = (CUarray)r->array;
		break;
	case MIPMAPPED:
		d->mipmapped = (CUmipmappedArray)r->mipmapped;
		break;
	case LINEAR:
		d->linear.ptr = rt_addr(r->linear.ptr);
		d->linear.bytes = r->linear.bytes;
		good = rt_array_format(&r->linear.desc, &d->linear.format, &d->linear.channels);
		break;
	case PITCHED:
		d->pitched.ptr = rt_addr(r->pitched.ptr);
		d->pitched.width = r->pitched.width;
		d->pitched.height = r->pitched.height;
		d->pitched.pitch = r->pitched.pitch;
		good = rt_array_format(&r->pitched.desc, &d->pitched.format, &d->pitched.channels);
		break;
	default:
		return cudaErrorInvalidValue;
	}
	return good ? cudaSuccess : cudaErrorInvalidChannelDescriptor;
}

/* Bits of the driver's flags */
enum { AS_INTEGER = 0x1, NORMALIZED = 0x2, SRGB = 0x10, NO_TRILINEAR = 0x20, SEAMLESS = 0x40 };

static struct driver_texture driver_form(const struct texture *t)
{
	return (struct driver_texture){
		.address = {t->address[0], t->address[1], t->address[2]},
		.filter = t->filter,
		.flags = (t->read ? 0 : AS_INTEGER) | (t->normalized ? NORMALIZED : 0) |
			 (t->srgb ? SRGB : 0) | (t->no_trilinear ? NO_TRILINEAR : 0) |
			 (t->seamless ? SEAMLESS : 0),
		.anisotropy = t->anisotropy,
		.mipmap_filter = t->mipmap_filter,
		.bias = t->bias,
		.min_level = t->min_level,
		.max_level = t->max_level,
		.border = {t->border[0], t->border[1], t->border[2], t->border[3]},
	};
}

/* A view of a resource begins alike in both; a NULL one, the usual case, is handed on. */
RT_API(cudaCreateTextureObject, cudaTextureObject_t *object, const struct resource *resource,
       const struct texture *texture, const void *view)
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

RT_API(cudaCreateSurfaceObject, cudaSurfaceObject_t *object, const struct resource *resource)
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
