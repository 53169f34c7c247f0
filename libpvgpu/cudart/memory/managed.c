/* SPDX-License-Identifier: MIT */
/* Managed memory. */
#include "cudart/memory/managed.h"

RT_API(cudaMallocManaged, void **ptr, size_t bytes, unsigned int flags)
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!ptr || !bytes)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuMemAllocManaged(&addr, bytes, flags);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

cudaError_t rt_prefetch(const void *ptr, size_t bytes, int device, cudaStream_t stream)
{
	RT_THROUGH(cuMemPrefetchAsync(rt_addr(ptr), bytes, device, stream));
}

static CUmemLocation driver_location(struct cudaMemLocation l)
{
	return (CUmemLocation){(CUmemLocationType)l.type, l.id};
}

cudaError_t rt_prefetch_to(const void *ptr, size_t bytes, struct cudaMemLocation to,
			   unsigned int flags, cudaStream_t stream)
{
	RT_THROUGH(cuMemPrefetchAsync_v2(rt_addr(ptr), bytes, driver_location(to), flags, stream));
}

cudaError_t rt_advise(const void *ptr, size_t bytes, int advice, int device)
{
	RT_THROUGH(cuMemAdvise(rt_addr(ptr), bytes, advice, device));
}

cudaError_t rt_advise_for(const void *ptr, size_t bytes, int advice, struct cudaMemLocation where)
{
	RT_THROUGH(cuMemAdvise_v2(rt_addr(ptr), bytes, advice, driver_location(where)));
}

RT_STREAM(cudaMemPrefetchAsync_v2,
	  (const void *ptr, size_t bytes, struct cudaMemLocation to, unsigned int flags,
	   cudaStream_t stream),
	  (ptr, bytes, to, flags, stream))
{
	return rt_prefetch_to(ptr, bytes, to, flags, stream);
}

RT_API(cudaMemAdvise_v2, const void *ptr, size_t bytes, int advice, struct cudaMemLocation where)
{
	return rt_advise_for(ptr, bytes, advice, where);
}

RT_API(cudaMemRangeGetAttribute, void *data, size_t size, int attr, const void *ptr, size_t bytes)
{
	RT_THROUGH(cuMemRangeGetAttribute(data, size, attr, rt_addr(ptr), bytes));
}

RT_API(cudaMemRangeGetAttributes, void **data, size_t *sizes, int *attrs, size_t count,
       const void *ptr, size_t bytes)
{
	RT_THROUGH(cuMemRangeGetAttributes(data, sizes, attrs, count, rt_addr(ptr), bytes));
}
