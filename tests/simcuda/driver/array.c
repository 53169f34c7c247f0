/* SPDX-License-Identifier: MIT */
/* Arrays of one to three dimensions, layered ones too. Cube maps, sparse arrays and formats of
 * compressed or video data are refused. */
#include "tests/simcuda/driver/sim.h"

#define ROW_ALIGN  64u /* rows of a real array lie in tiles of 64 bytes and 8 rows */
#define ROWS_ALIGN 8u
#define FLAGS_KNOWN                                                                                \
	(CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_TEXTURE_GATHER |          \
	 CUDA_ARRAY3D_COLOR_ATTACHMENT | CUDA_ARRAY3D_DEFERRED_MAPPING)
#define FLAGS_REFUSED                                                                              \
	(CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_SPARSE |                 \
	 CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)

static struct pool array_pool = POOL(struct sim_array);

CUresult array_get(CUarray handle, struct sim_array **out)
{
	*out = (struct sim_array *)handle;
	if (!*out || !pool_live(&array_pool, *out))
		return CUDA_ERROR_INVALID_HANDLE;
	return ctx_status((*out)->ctx);
}

size_t array_channel_bytes(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return 1;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 0;
	}
}

static size_t limit(int attribute)
{
	int value = 0;

	device_attribute(attribute, &value);
	return (size_t)value;
}

/* Each kind of array has limits of its own, by the numbers of three attributes. */
static CUresult check_size(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	const bool layered = d->Flags & CUDA_ARRAY3D_LAYERED;

	if (!d->Width || (layered && !d->Depth))
		return CUDA_ERROR_INVALID_VALUE;
	if (!d->Height) {
		if (d->Depth && !layered)
			return CUDA_ERROR_INVALID_VALUE;
		return d->Width > limit(layered ? 42 : 21) || d->Depth > limit(43)
			       ? CUDA_ERROR_INVALID_VALUE
			       : CUDA_SUCCESS;
	}
	if (layered || !d->Depth)
		return d->Width > limit(layered ? 27 : 22) ||
				       d->Height > limit(layered ? 28 : 23) || d->Depth > limit(29)
			       ? CUDA_ERROR_INVALID_VALUE
			       : CUDA_SUCCESS;
	return d->Width > limit(24) || d->Height > limit(25) || d->Depth > limit(26)
		       ? CUDA_ERROR_INVALID_VALUE
		       : CUDA_SUCCESS;
}

CUresult array_check(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	if ((d->Flags & ~(unsigned int)(FLAGS_KNOWN | FLAGS_REFUSED)) ||
	    (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	if ((d->Flags & FLAGS_REFUSED) ||
	    (!array_channel_bytes(d->Format) && (unsigned int)d->Format > CU_AD_FORMAT_FLOAT))
		return CUDA_ERROR_NOT_SUPPORTED;
	return array_channel_bytes(d->Format) ? check_size(d) : CUDA_ERROR_INVALID_VALUE;
}

static size_t align_up(size_t v, size_t a)
{
	return (v + a - 1) & ~(a - 1);
}

struct sim_array *array_new(struct sim_ctx *ctx, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	struct sim_array *a = pool_new(&array_pool);

	if (!a)
		return NULL;
	a->ctx = ctx;
	a->desc = *d;
	a->texel_bytes = array_channel_bytes(d->Format) * d->NumChannels;
	a->row_bytes = d->Width * a->texel_bytes;
	a->rows = d->Height ? d->Height : 1;
	a->slices = d->Depth ? d->Depth : 1;
	a->pitch = align_up(a->row_bytes, ROW_ALIGN);
	a->slice = a->pitch * (d->Height ? align_up(d->Height, ROWS_ALIGN) : 1);
	a->size = a->slice * a->slices;
	return a;
}

void array_free(struct sim_array *a)
{
	pool_free(&array_pool, a);
}

static CUresult create(CUarray *out, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	struct sim_array *a;
	CUresult r;

	CURRENT(ctx);
	if (!out || !d)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(array_check(d));
	a = array_new(ctx, d);
	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = d->Flags & CUDA_ARRAY3D_DEFERRED_MAPPING ? CUDA_SUCCESS
						     : memory_alloc_waiting(ctx, a->size, &a->addr);
	if (r != CUDA_SUCCESS) {
		array_free(a);
		return r;
	}
	*out = (CUarray)a;
	return CUDA_SUCCESS;
}

API(cuArray3DCreate_v2, CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
	ENTER();
	return create(array, desc);
}

API(cuArrayCreate_v2, CUarray *array, const CUDA_ARRAY_DESCRIPTOR *desc)
{
	CUDA_ARRAY3D_DESCRIPTOR d = {0};

	ENTER();
	if (desc) {
		d.Width = desc->Width;
		d.Height = desc->Height;
		d.Format = desc->Format;
		d.NumChannels = desc->NumChannels;
	}
	return create(array, desc ? &d : NULL);
}

API(cuArray3DGetDescriptor_v2, CUDA_ARRAY3D_DESCRIPTOR *desc, CUarray array)
{
	struct sim_array *a;

	ENTER();
	CURRENT(ctx);
	if (!desc)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(array_get(array, &a));
	*desc = a->desc;
	return CUDA_SUCCESS;
}

API(cuArrayGetDescriptor_v2, CUDA_ARRAY_DESCRIPTOR *desc, CUarray array)
{
	struct sim_array *a;

	ENTER();
	CURRENT(ctx);
	if (!desc)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(array_get(array, &a));
	*desc = (CUDA_ARRAY_DESCRIPTOR){.Width = a->desc.Width,
					.Height = a->desc.Height,
					.Format = a->desc.Format,
					.NumChannels = a->desc.NumChannels};
	return CUDA_SUCCESS;
}

API(cuArrayGetMemoryRequirements, CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUarray array,
    CUdevice dev)
{
	struct sim_array *a;

	ENTER();
	CURRENT(ctx);
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	TRY(array_get(array, &a));
	if (!needs || a->addr)
		return CUDA_ERROR_INVALID_VALUE;
	*needs = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = memory_mapped(a->size), .alignment = 512};
	return CUDA_SUCCESS;
}

/* None has planes. */
API(cuArrayGetPlane, CUarray *plane, CUarray array, unsigned int index)
{
	struct sim_array *a;

	ENTER_ANY();
	TRY(array_get(array, &a));
	return CUDA_ERROR_INVALID_VALUE;
}

API(cuArrayGetSparseProperties, CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray array)
{
	struct sim_array *a;

	ENTER_ANY();
	TRY(array_get(array, &a));
	return CUDA_ERROR_INVALID_VALUE;
}

API(cuArrayDestroy, CUarray array)
{
	struct sim_array *a;

	ENTER_ANY();
	TRY(array_get(array, &a));
	if (a->is_level)
		return CUDA_ERROR_INVALID_HANDLE; /* it goes with its mipmapped array */
	exec_ctx_wait(a->ctx);
	if (a->addr)
		memory_free_now(a->addr);
	array_free(a);
	return CUDA_SUCCESS;
}

static void drop(void *obj, void *arg)
{
	struct sim_array *a = obj;

	if (a->ctx == arg)
		array_free(a);
}

/* Its memory goes with the context's. */
void array_drop_ctx(struct sim_ctx *ctx)
{
	pool_each(&array_pool, drop, ctx);
}
