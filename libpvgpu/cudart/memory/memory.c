/* SPDX-License-Identifier: MIT */
/* Device memory and pinned host memory. */
#include "cudart/rt.h"

/* An allocation of nothing is NULL, and no error. */
RT_API(cudaMalloc, void **ptr, size_t bytes)
{
	CUdeviceptr addr = 0;
	CUresult r = CUDA_SUCCESS;

	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	if (bytes)
		r = rt_cu.cuMemAlloc_v2(&addr, bytes);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

static cudaError_t pitched(void **ptr, size_t *pitch, size_t width, size_t rows)
{
	CUdeviceptr addr = 0;
	CUresult r = CUDA_SUCCESS;

	RT_ENTER();
	*pitch = 0;
	if (width && rows)
		r = rt_cu.cuMemAllocPitch_v2(&addr, pitch, width, rows, 4);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_API(cudaMallocPitch, void **ptr, size_t *pitch, size_t width, size_t height)
{
	if (!ptr || !pitch)
		return rt_fail(cudaErrorInvalidValue);
	return pitched(ptr, pitch, width, height);
}

RT_API(cudaMalloc3D, struct cudaPitchedPtr *ptr, struct cudaExtent extent)
{
	size_t rows;

	if (!ptr || __builtin_mul_overflow(extent.height, extent.depth, &rows))
		return rt_fail(cudaErrorInvalidValue);
	ptr->xsize = extent.width;
	ptr->ysize = extent.height;
	return pitched(&ptr->ptr, &ptr->pitch, extent.width, rows);
}

RT_API(cudaFree, void *ptr)
{
	RT_ENTER();
	return ptr ? rt_result(rt_cu.cuMemFree_v2(rt_addr(ptr))) : cudaSuccess;
}

RT_API(cudaHostAlloc, void **ptr, size_t bytes, unsigned int flags)
{
	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	if (!bytes) {
		*ptr = NULL;
		return cudaSuccess;
	}
	return rt_result(rt_cu.cuMemHostAlloc(ptr, bytes, flags));
}

RT_API(cudaMallocHost, void **ptr, size_t bytes)
{
	return cudaHostAlloc(ptr, bytes, 0);
}

RT_API(cudaFreeHost, void *ptr)
{
	RT_ENTER();
	return ptr ? rt_result(rt_cu.cuMemFreeHost(ptr)) : cudaSuccess;
}

RT_API(cudaHostRegister, void *ptr, size_t bytes, unsigned int flags)
{
	RT_THROUGH(cuMemHostRegister_v2(ptr, bytes, flags));
}

RT_API(cudaHostUnregister, void *ptr)
{
	RT_THROUGH(cuMemHostUnregister(ptr));
}

RT_API(cudaHostGetDevicePointer, void **dev, void *host, unsigned int flags)
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!dev)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuMemHostGetDevicePointer_v2(&addr, host, flags);
	if (!r)
		*dev = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_API(cudaHostGetFlags, unsigned int *flags, void *host)
{
	RT_THROUGH(cuMemHostGetFlags(flags, host));
}

RT_API(cudaMemGetInfo, size_t *free_bytes, size_t *total)
{
	RT_THROUGH(cuMemGetInfo_v2(free_bytes, total));
}

/* The bytes after the four members belong to newer versions of the structure and are left alone. */
RT_API(cudaPointerGetAttributes, struct cudaPointerAttributes *attrs, const void *ptr)
{
	enum { ASKED = 5 };
	int which[ASKED] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
			    CU_POINTER_ATTRIBUTE_HOST_POINTER, CU_POINTER_ATTRIBUTE_IS_MANAGED,
			    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
	CUdeviceptr dev = 0;
	unsigned int type = 0, managed = 0; /* a bool is one byte of it */
	void *host = NULL;
	int ordinal = -2;
	CUresult r;

	RT_ENTER();
	if (!attrs)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuPointerGetAttributes(ASKED, which,
					 (void *[ASKED]){&type, &dev, &host, &managed, &ordinal},
					 rt_addr(ptr));
	if (r)
		return rt_result(r);
	*attrs = (struct cudaPointerAttributes){
		.type = managed & 0xff                 ? cudaMemoryTypeManaged
			: type == CU_MEMORYTYPE_HOST   ? cudaMemoryTypeHost
			: type == CU_MEMORYTYPE_DEVICE ? cudaMemoryTypeDevice
						       : cudaMemoryTypeUnregistered,
		.device = type ? ordinal : -2,
		.devicePointer = (void *)(uintptr_t)dev,
		.hostPointer = type ? host : (void *)(uintptr_t)rt_addr(ptr),
	};
	return cudaSuccess;
}
