/* SPDX-License-Identifier: MIT */
/* Arrays and their elements. A runtime array is the driver's. */
#include "cudart/memory/array.h"

#include "pvgpu_cuda_array.h"

cudaError_t rt_array_element(cudaArray_const_t array, size_t *bytes)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUresult r;

	r = rt_cu.cuArray3DGetDescriptor_v2(&d, (CUarray)(uintptr_t)array);
	if (r)
		return rt_error(r);
	*bytes = pvgpu_channel_bytes(d.Format) * d.NumChannels;
	return *bytes ? cudaSuccess : cudaErrorInvalidChannelDescriptor;
}

RT_VISIBLE struct cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w,
							      enum cudaChannelFormatKind f);
RT_VISIBLE struct cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w,
							      enum cudaChannelFormatKind f)
{
	return (struct cudaChannelFormatDesc){x, y, z, w, f};
}

bool rt_array_format(const struct cudaChannelFormatDesc *c, CUarray_format *format,
		     unsigned int *channels)
{
	static const CUarray_format of[3][3] = {
		{CU_AD_FORMAT_SIGNED_INT8, CU_AD_FORMAT_SIGNED_INT16, CU_AD_FORMAT_SIGNED_INT32},
		{CU_AD_FORMAT_UNSIGNED_INT8, CU_AD_FORMAT_UNSIGNED_INT16,
		 CU_AD_FORMAT_UNSIGNED_INT32},
		{0, CU_AD_FORMAT_HALF, CU_AD_FORMAT_FLOAT},
	};
	const int size = c->x == 8 ? 0 : c->x == 16 ? 1 : c->x == 32 ? 2 : -1;

	if (size < 0 || (unsigned int)c->f > cudaChannelFormatKindFloat || !of[c->f][size])
		return false;
	*channels = c->w ? 4 : c->z ? 3 : c->y ? 2 : 1;
	if ((c->y && c->y != c->x) || (c->z && c->z != c->x) || (c->w && c->w != c->x) ||
	    *channels == 3)
		return false;
	*format = of[c->f][size];
	return true;
}

struct cudaChannelFormatDesc rt_array_channels(CUarray_format format, unsigned int channels)
{
	const int bits = 8 * (int)pvgpu_channel_bytes(format);

	return (struct cudaChannelFormatDesc){
		.x = bits,
		.y = channels > 1 ? bits : 0,
		.z = channels > 2 ? bits : 0,
		.w = channels > 3 ? bits : 0,
		.f = format == CU_AD_FORMAT_FLOAT || format == CU_AD_FORMAT_HALF
			     ? cudaChannelFormatKindFloat
		     : format < CU_AD_FORMAT_SIGNED_INT8 ? cudaChannelFormatKindUnsigned
							 : cudaChannelFormatKindSigned,
	};
}

static cudaError_t describe(const struct cudaChannelFormatDesc *desc, struct cudaExtent extent,
			    unsigned int flags, CUDA_ARRAY3D_DESCRIPTOR *d)
{
	*d = (CUDA_ARRAY3D_DESCRIPTOR){
		.Width = extent.width,
		.Height = extent.height,
		.Depth = extent.depth,
		.Flags = flags,
	};
	if (!desc)
		return cudaErrorInvalidValue;
	return rt_array_format(desc, &d->Format, &d->NumChannels)
		       ? cudaSuccess
		       : cudaErrorInvalidChannelDescriptor;
}

static cudaError_t create(cudaArray_t *array, const struct cudaChannelFormatDesc *desc,
			  struct cudaExtent extent, unsigned int flags)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUarray made;
	cudaError_t e;

	RT_ENTER();
	e = array ? describe(desc, extent, flags, &d) : cudaErrorInvalidValue;
	if (!e)
		e = rt_error(rt_cu.cuArray3DCreate_v2(&made, &d));
	if (!e)
		*array = (cudaArray_t)made;
	return rt_fail(e);
}

RT_API(cudaMallocArray, cudaArray_t *array, const struct cudaChannelFormatDesc *desc, size_t width,
       size_t height, unsigned int flags)
{
	return create(array, desc, (struct cudaExtent){width, height, 0}, flags);
}

RT_API(cudaMalloc3DArray, cudaArray_t *array, const struct cudaChannelFormatDesc *desc,
       struct cudaExtent extent, unsigned int flags)
{
	return create(array, desc, extent, flags);
}

RT_API(cudaFreeArray, cudaArray_t array)
{
	RT_ENTER();
	return array ? rt_result(rt_cu.cuArrayDestroy((CUarray)array)) : cudaSuccess;
}

RT_API(cudaMallocMipmappedArray, cudaMipmappedArray_t *array,
       const struct cudaChannelFormatDesc *desc, struct cudaExtent extent, unsigned int levels,
       unsigned int flags)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUmipmappedArray made;
	cudaError_t e;

	RT_ENTER();
	e = array ? describe(desc, extent, flags, &d) : cudaErrorInvalidValue;
	if (!e)
		e = rt_error(rt_cu.cuMipmappedArrayCreate(&made, &d, levels));
	if (!e)
		*array = (cudaMipmappedArray_t)made;
	return rt_fail(e);
}

RT_API(cudaGetMipmappedArrayLevel, cudaArray_t *level, cudaMipmappedArray_const_t array,
       unsigned int n)
{
	RT_THROUGH(
		cuMipmappedArrayGetLevel((CUarray *)level, (CUmipmappedArray)(uintptr_t)array, n));
}

RT_API(cudaFreeMipmappedArray, cudaMipmappedArray_t array)
{
	RT_ENTER();
	return array ? rt_result(rt_cu.cuMipmappedArrayDestroy((CUmipmappedArray)array))
		     : cudaSuccess;
}

RT_API(cudaArrayGetInfo, struct cudaChannelFormatDesc *desc, struct cudaExtent *extent,
       unsigned int *flags, cudaArray_t array)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuArray3DGetDescriptor_v2(&d, (CUarray)array);
	if (r)
		return rt_result(r);
	if (desc)
		*desc = rt_array_channels(d.Format, d.NumChannels);
	if (extent)
		*extent = (struct cudaExtent){d.Width, d.Height, d.Depth};
	if (flags)
		*flags = d.Flags;
	return cudaSuccess;
}

RT_API(cudaGetChannelDesc, struct cudaChannelFormatDesc *desc, cudaArray_const_t array)
{
	if (!desc)
		return rt_fail(cudaErrorInvalidValue);
	return cudaArrayGetInfo(desc, NULL, NULL, (cudaArray_t)(uintptr_t)array);
}

RT_API(cudaArrayGetPlane, cudaArray_t *plane, cudaArray_t array, unsigned int index)
{
	RT_THROUGH(cuArrayGetPlane((CUarray *)(void *)plane, (CUarray)(uintptr_t)array, index));
}

/* The driver fills the runtime's structures: their layouts are the same. */
RT_API(cudaArrayGetSparseProperties, void *properties, cudaArray_t array)
{
	RT_THROUGH(cuArrayGetSparseProperties(properties, (CUarray)(uintptr_t)array));
}

RT_API(cudaArrayGetMemoryRequirements, void *needs, cudaArray_t array, int device)
{
	RT_THROUGH(cuArrayGetMemoryRequirements(needs, (CUarray)(uintptr_t)array, device));
}

RT_API(cudaMipmappedArrayGetSparseProperties, void *properties, cudaMipmappedArray_t array)
{
	RT_THROUGH(cuMipmappedArrayGetSparseProperties(properties,
						       (CUmipmappedArray)(uintptr_t)array));
}

RT_API(cudaMipmappedArrayGetMemoryRequirements, void *needs, cudaMipmappedArray_t array, int device)
{
	RT_THROUGH(cuMipmappedArrayGetMemoryRequirements(needs, (CUmipmappedArray)(uintptr_t)array,
							 device));
}
