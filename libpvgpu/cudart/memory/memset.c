/* SPDX-License-Identifier: MIT */
/* Fills. */
#include "cudart/rt.h"

RT_DEFAULT(cudaMemset, (void *dst, int value, size_t bytes), (dst, value, bytes))
{
	const CUdeviceptr at = rt_addr(dst);

	RT_ENTER();
	if (!bytes)
		return cudaSuccess;
	return rt_result(own ? rt_cu.cuMemsetD8_v2_ptds(at, (unsigned char)value, bytes)
			     : rt_cu.cuMemsetD8_v2(at, (unsigned char)value, bytes));
}

RT_STREAM(cudaMemsetAsync, (void *dst, int value, size_t bytes, cudaStream_t stream),
	  (dst, value, bytes, stream))
{
	RT_ENTER();
	if (!bytes)
		return cudaSuccess;
	return rt_result(rt_cu.cuMemsetD8Async(rt_addr(dst), (unsigned char)value, bytes, stream));
}

RT_DEFAULT(cudaMemset2D, (void *dst, size_t pitch, int value, size_t width, size_t height),
	   (dst, pitch, value, width, height))
{
	const CUdeviceptr at = rt_addr(dst);

	RT_ENTER();
	if (!width || !height)
		return cudaSuccess;
	return rt_result(
		own ? rt_cu.cuMemsetD2D8_v2_ptds(at, pitch, (unsigned char)value, width, height)
		    : rt_cu.cuMemsetD2D8_v2(at, pitch, (unsigned char)value, width, height));
}

RT_STREAM(cudaMemset2DAsync,
	  (void *dst, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream),
	  (dst, pitch, value, width, height, stream))
{
	RT_ENTER();
	if (!width || !height)
		return cudaSuccess;
	return rt_result(rt_cu.cuMemsetD2D8Async(rt_addr(dst), pitch, (unsigned char)value, width,
						 height, stream));
}

/* Rows between slices belong to nobody's box and stay, so each slice is a fill of its own. */
static bool box_is_empty(struct cudaExtent extent)
{
	return !extent.width || !extent.height || !extent.depth;
}

RT_DEFAULT(cudaMemset3D, (struct cudaPitchedPtr dst, int value, struct cudaExtent extent),
	   (dst, value, extent))
{
	const size_t slice = dst.pitch * dst.ysize;
	CUdeviceptr at = rt_addr(dst.ptr);
	CUresult r = CUDA_SUCCESS;

	RT_ENTER();
	if (box_is_empty(extent))
		return cudaSuccess;
	if (extent.height > dst.ysize)
		return rt_fail(cudaErrorInvalidValue);
	for (size_t z = 0; !r && z < extent.depth; z++, at += slice)
		r = own ? rt_cu.cuMemsetD2D8_v2_ptds(at, dst.pitch, (unsigned char)value,
						     extent.width, extent.height)
			: rt_cu.cuMemsetD2D8_v2(at, dst.pitch, (unsigned char)value, extent.width,
						extent.height);
	return rt_result(r);
}

RT_STREAM(cudaMemset3DAsync,
	  (struct cudaPitchedPtr dst, int value, struct cudaExtent extent, cudaStream_t stream),
	  (dst, value, extent, stream))
{
	const size_t slice = dst.pitch * dst.ysize;
	CUdeviceptr at = rt_addr(dst.ptr);
	CUresult r = CUDA_SUCCESS;

	RT_ENTER();
	if (box_is_empty(extent))
		return cudaSuccess;
	if (extent.height > dst.ysize)
		return rt_fail(cudaErrorInvalidValue);
	for (size_t z = 0; !r && z < extent.depth; z++, at += slice)
		r = rt_cu.cuMemsetD2D8Async(at, dst.pitch, (unsigned char)value, extent.width,
					    extent.height, stream);
	return rt_result(r);
}
