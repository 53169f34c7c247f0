/* SPDX-License-Identifier: MIT */
/* Names that mean something else in CUDA 12, or are not there: here they are the newest revision.
 */
#include "cudart/memory/managed.h"
#include "cudart/properties.h"

const unsigned int rt_version = 13000;

RT_API(cudaGetDeviceProperties_v2, struct prop13 *prop, int device)
{
	return rt_fail(rt_properties13(prop, device));
}

RT_VISIBLE cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
	return rt_fail(rt_properties13((struct prop13 *)prop, device));
}

RT_API(cudaChooseDevice, int *device, const struct prop13 *prop)
{
	if (!device || !prop)
		return rt_fail(cudaErrorInvalidValue);
	return rt_fail(rt_choose(device, prop->totalGlobalMem, prop->major, prop->minor));
}

RT_STREAM(cudaMemPrefetchAsync,
	  (const void *ptr, size_t bytes, struct cudaMemLocation to, unsigned int flags,
	   cudaStream_t stream),
	  (ptr, bytes, to, flags, stream))
{
	return rt_prefetch_to(ptr, bytes, to, flags, stream);
}

RT_API(cudaMemGetDefaultMemPool, cudaMemPool_t *pool, struct cudaMemLocation *where, int type)
{
	RT_THROUGH(cuMemGetDefaultMemPool(pool, where, type));
}

RT_API(cudaMemGetMemPool, cudaMemPool_t *pool, struct cudaMemLocation *where, int type)
{
	RT_THROUGH(cuMemGetMemPool(pool, where, type));
}

RT_API(cudaMemSetMemPool, struct cudaMemLocation *where, int type, cudaMemPool_t pool)
{
	RT_THROUGH(cuMemSetMemPool(where, type, pool));
}

RT_API(cudaMemAdvise, const void *ptr, size_t bytes, int advice, struct cudaMemLocation where)
{
	return rt_advise_for(ptr, bytes, advice, where);
}

RT_STREAM(cudaMemcpyBatchAsync,
	  (void *const *dsts, const void *const *srcs, const size_t *sizes, size_t count,
	   void *attrs, size_t *indexes, size_t num_attrs, cudaStream_t stream),
	  (dsts, srcs, sizes, count, attrs, indexes, num_attrs, stream))
{
	RT_THROUGH(
		cuMemcpyBatchAsync_v2(dsts, srcs, sizes, count, attrs, indexes, num_attrs, stream));
}

/* The runtime's operands are laid out as the driver's. */
RT_STREAM(cudaMemcpy3DBatchAsync,
	  (size_t count, void *ops, unsigned long long flags, cudaStream_t stream),
	  (count, ops, flags, stream))
{
	RT_THROUGH(cuMemcpy3DBatchAsync_v2(count, ops, flags, stream));
}

RT_STREAM(cudaMemPrefetchBatchAsync,
	  (void **ptrs, size_t *sizes, size_t count, struct cudaMemLocation *places,
	   size_t *indexes, size_t num_places, unsigned long long flags, cudaStream_t stream),
	  (ptrs, sizes, count, places, indexes, num_places, flags, stream))
{
	RT_THROUGH(cuMemPrefetchBatchAsync(ptrs, sizes, count, places, indexes, num_places, flags,
					   stream));
}

RT_STREAM(cudaMemDiscardBatchAsync,
	  (void **ptrs, size_t *sizes, size_t count, unsigned long long flags, cudaStream_t stream),
	  (ptrs, sizes, count, flags, stream))
{
	RT_THROUGH(cuMemDiscardBatchAsync(ptrs, sizes, count, flags, stream));
}

RT_STREAM(cudaMemDiscardAndPrefetchBatchAsync,
	  (void **ptrs, size_t *sizes, size_t count, struct cudaMemLocation *places,
	   size_t *indexes, size_t num_places, unsigned long long flags, cudaStream_t stream),
	  (ptrs, sizes, count, places, indexes, num_places, flags, stream))
{
	RT_THROUGH(cuMemDiscardAndPrefetchBatchAsync(ptrs, sizes, count, places, indexes,
						     num_places, flags, stream));
}

/* The runtime's numbers of operations are the driver's. */
RT_API(cudaDeviceGetHostAtomicCapabilities, unsigned int *capabilities, const void *operations,
       unsigned int count, int device)
{
	CUdevice d;
	const cudaError_t e = rt_device(device, &d);

	return rt_fail(e ? e
			 : rt_error(rt_cu.cuDeviceGetHostAtomicCapabilities(capabilities,
									    operations, count, d)));
}

RT_API(cudaDeviceGetP2PAtomicCapabilities, unsigned int *capabilities, const void *operations,
       unsigned int count, int from, int to)
{
	CUdevice a, b;
	cudaError_t e = rt_device(from, &a);

	if (!e)
		e = rt_device(to, &b);
	return rt_fail(e ? e
			 : rt_error(rt_cu.cuDeviceGetP2PAtomicCapabilities(capabilities, operations,
									   count, a, b)));
}
