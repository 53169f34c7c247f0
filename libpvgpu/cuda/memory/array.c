/* SPDX-License-Identifier: MIT */
/* Arrays: the worker has them, descriptions are answered here. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/memory/array.h"

#include <stdatomic.h>

#include "pvgpu_cuda_array.h"
#include "pvgpu_stubs.h"

/* Flags that the worker knows, and those that are refused: cube maps and the like. */
#define FLAGS_KNOWN                                                                                \
	(CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_TEXTURE_GATHER |          \
	 CUDA_ARRAY3D_COLOR_ATTACHMENT)
#define FLAGS_REFUSED                                                                              \
	(CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_SPARSE |                 \
	 CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)

int array_enter(CUarray h, const struct array **out)
{
	*out = object_find(PVGPU_H_ARRAY, h);
	return *out ? atomic_load(&(*out)->o.ctx->state) : CUDA_ERROR_INVALID_HANDLE;
}

bool array_holds(const struct array *a, uint64_t x, uint64_t width, uint64_t y, uint64_t rows,
		 uint64_t z, uint64_t depth)
{
	return !(x % a->texel_bytes) && !(width % a->texel_bytes) && x <= a->row_bytes &&
	       width <= a->row_bytes - x && y <= a->rows && rows <= a->rows - y && z <= a->slices &&
	       depth <= a->slices - z;
}

/* Each kind of array has limits of its own. */
static bool too_large(const CUDA_ARRAY3D_DESCRIPTOR *d, int dev)
{
	if (d->Flags & CUDA_ARRAY3D_LAYERED)
		return d->Height
			       ? device_exceeds(
					 dev, d->Width,
					 CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_WIDTH) ||
					 device_exceeds(
						 dev, d->Height,
						 CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_HEIGHT) ||
					 device_exceeds(
						 dev, d->Depth,
						 CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_LAYERS)
			       : device_exceeds(
					 dev, d->Width,
					 CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_WIDTH) ||
					 device_exceeds(
						 dev, d->Depth,
						 CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_LAYERS);
	if (d->Depth)
		return device_exceeds(dev, d->Width, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH) ||
		       device_exceeds(dev, d->Height,
				      CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT) ||
		       device_exceeds(dev, d->Depth, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH);
	if (d->Height)
		return device_exceeds(dev, d->Width, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_WIDTH) ||
		       device_exceeds(dev, d->Height, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_HEIGHT);
	return device_exceeds(dev, d->Width, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_WIDTH);
}

int array_check(const CUDA_ARRAY3D_DESCRIPTOR *d, int device)
{
	const bool layered = d->Flags & CUDA_ARRAY3D_LAYERED;

	if ((d->Flags & ~(unsigned int)(FLAGS_KNOWN | FLAGS_REFUSED)) ||
	    (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	if ((d->Flags & FLAGS_REFUSED) ||
	    (!pvgpu_channel_bytes(d->Format) && (unsigned int)d->Format > CU_AD_FORMAT_FLOAT))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!d->Width || (layered ? !d->Depth : !d->Height && d->Depth))
		return CUDA_ERROR_INVALID_VALUE;
	return !pvgpu_channel_bytes(d->Format) || too_large(d, device) ? CUDA_ERROR_INVALID_VALUE
								       : 0;
}

void array_describe(struct array *a, struct ctx *c, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	a->o.ctx = c;
	a->desc = *d;
	a->texel_bytes = pvgpu_texel_bytes(d->Format, d->NumChannels);
	a->row_bytes = d->Width * a->texel_bytes;
	a->rows = d->Height ? d->Height : 1;
	a->slices = d->Depth ? d->Depth : 1;
}

static int create(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	unsigned int tries = 0;
	struct array *a;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!out || !d)
		return CUDA_ERROR_INVALID_VALUE;
	r = array_check(d, c->device);
	if (r)
		return r;
	a = object_new(PVGPU_H_ARRAY);
	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	array_describe(a, c, d);
	do {
		r = pvgpu_do_array_create(session(), c->o.wire, d->Width, d->Height, d->Depth,
					  (uint32_t)d->Format, d->NumChannels, d->Flags, a->o.wire);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	if (r) {
		object_free(&a->o);
		return ctx_result(c, r);
	}
	object_publish(&a->o);
	*out = object_handle(&a->o);
	return 0;
}

PUBLIC CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
	return create(array, desc);
}

PUBLIC CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *desc)
{
	CUDA_ARRAY3D_DESCRIPTOR d = {0};

	if (desc) {
		d.Width = desc->Width;
		d.Height = desc->Height;
		d.Format = desc->Format;
		d.NumChannels = desc->NumChannels;
	}
	return create(array, desc ? &d : NULL);
}

PUBLIC CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *desc, CUarray array)
{
	const struct array *a;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!desc)
		return CUDA_ERROR_INVALID_VALUE;
	r = array_enter(array, &a);
	if (!r)
		*desc = a->desc;
	return r;
}

PUBLIC CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *desc, CUarray array)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	const CUresult r = cuArray3DGetDescriptor_v2(desc ? &d : NULL, array);

	if (!r)
		*desc = (CUDA_ARRAY_DESCRIPTOR){.Width = d.Width,
						.Height = d.Height,
						.Format = d.Format,
						.NumChannels = d.NumChannels};
	return r;
}

PUBLIC CUresult cuArrayDestroy(CUarray array)
{
	struct array *a;
	uint64_t wire;
	int r = ctx_enter_any();

	if (r)
		return r;
	a = object_find(PVGPU_H_ARRAY, array);
	if (!a || a->is_level) /* a level goes with its mipmapped array */
		return CUDA_ERROR_INVALID_HANDLE;
	r = atomic_load(&a->o.ctx->state);
	wire = a->o.wire;
	if (r || !object_retire(&a->o))
		return r ? r : CUDA_ERROR_INVALID_HANDLE;
	r = pvgpu_do_array_destroy(session(), wire);
	object_free(&a->o);
	return r;
}

/* No array is of a format with planes, sparse, or mapped later: FLAGS_REFUSED and the formats see
 * to it. */
static int refuse(const void *out, CUarray array)
{
	const struct array *a;
	const int r = array_enter(array, &a);

	(void)out;
	return r ? r : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuArrayGetPlane(CUarray *plane, CUarray array, unsigned int index)
{
	return refuse(plane, array);
}

PUBLIC CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray array)
{
	return refuse(properties, array);
}

PUBLIC CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUarray array,
					     CUdevice dev)
{
	const int r = guest_enter();

	if (r)
		return r;
	return device_at(dev) ? refuse(needs, array) : CUDA_ERROR_INVALID_DEVICE;
}
