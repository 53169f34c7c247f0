/* SPDX-License-Identifier: MIT */
/* Stream-ordered allocation and its pools. Properties and attributes have the driver's shapes and
 * numbers. */
#include "cudart/rt.h"

_Static_assert(sizeof(struct cudaMemPoolProps) == 88, "the driver's properties have this size");

RT_STREAM(cudaMallocAsync, (void **ptr, size_t bytes, cudaStream_t stream), (ptr, bytes, stream))
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuMemAllocAsync(&addr, bytes, stream);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_STREAM(cudaMallocFromPoolAsync,
	  (void **ptr, size_t bytes, cudaMemPool_t pool, cudaStream_t stream),
	  (ptr, bytes, pool, stream))
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuMemAllocFromPoolAsync(&addr, bytes, pool, stream);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_STREAM(cudaFreeAsync, (void *ptr, cudaStream_t stream), (ptr, stream))
{
	RT_ENTER();
	return ptr ? rt_result(rt_cu.cuMemFreeAsync(rt_addr(ptr), stream)) : cudaSuccess;
}

static cudaError_t with_device(int device, CUdevice *dev)
{
	cudaError_t e;

	e = rt_enter();
	return e ? e : rt_device(device, dev);
}

RT_API(cudaDeviceGetDefaultMemPool, cudaMemPool_t *pool, int device)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetDefaultMemPool(pool, dev)));
}

RT_API(cudaDeviceGetMemPool, cudaMemPool_t *pool, int device)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetMemPool(pool, dev)));
}

RT_API(cudaDeviceSetMemPool, int device, cudaMemPool_t pool)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceSetMemPool(dev, pool)));
}

RT_API(cudaDeviceGetGraphMemAttribute, int device, int attr, void *value)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetGraphMemAttribute(dev, attr, value)));
}

RT_API(cudaDeviceSetGraphMemAttribute, int device, int attr, void *value)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceSetGraphMemAttribute(dev, attr, value)));
}

RT_API(cudaDeviceGraphMemTrim, int device)
{
	CUdevice dev;
	const cudaError_t e = with_device(device, &dev);

	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGraphMemTrim(dev)));
}

RT_API(cudaMemPoolCreate, cudaMemPool_t *pool, const struct cudaMemPoolProps *props)
{
	RT_THROUGH(cuMemPoolCreate(pool, props));
}

RT_API(cudaMemPoolDestroy, cudaMemPool_t pool)
{
	RT_THROUGH(cuMemPoolDestroy(pool));
}

RT_API(cudaMemPoolSetAttribute, cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value)
{
	RT_THROUGH(cuMemPoolSetAttribute(pool, (int)attr, value));
}

RT_API(cudaMemPoolGetAttribute, cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value)
{
	RT_THROUGH(cuMemPoolGetAttribute(pool, (int)attr, value));
}

RT_API(cudaMemPoolSetAccess, cudaMemPool_t pool, const void *descs, size_t count)
{
	RT_THROUGH(cuMemPoolSetAccess(pool, descs, count));
}

RT_API(cudaMemPoolGetAccess, int *flags, cudaMemPool_t pool, void *location)
{
	RT_THROUGH(cuMemPoolGetAccess(flags, pool, location));
}

RT_API(cudaMemPoolTrimTo, cudaMemPool_t pool, size_t keep)
{
	RT_THROUGH(cuMemPoolTrimTo(pool, keep));
}
