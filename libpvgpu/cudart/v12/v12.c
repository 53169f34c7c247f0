/* SPDX-License-Identifier: MIT */
/* Names that mean something else in CUDA 13. */
#include "cudart/memory/managed.h"
#include "cudart/properties.h"

#include <string.h>

const unsigned int rt_version = 12090;

RT_API(cudaGetDeviceProperties_v2, struct prop12 *prop, int device)
{
	return rt_fail(rt_properties12(prop, device));
}

/* The name without a revision is CUDA 11's, whose structure is shorter. */
RT_VISIBLE cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
	struct prop12 all;
	const cudaError_t e = prop ? rt_properties12(&all, device) : cudaErrorInvalidValue;

	if (!e)
		memcpy((void *)prop, &all, offsetof(struct prop12, hostRegisterSupported));
	return rt_fail(e);
}

RT_API(cudaChooseDevice, int *device, const struct prop12 *prop)
{
	if (!device || !prop)
		return rt_fail(cudaErrorInvalidValue);
	return rt_fail(rt_choose(device, prop->totalGlobalMem, prop->major, prop->minor));
}

RT_STREAM(cudaMemPrefetchAsync, (const void *ptr, size_t bytes, int device, cudaStream_t stream),
	  (ptr, bytes, device, stream))
{
	return rt_prefetch(ptr, bytes, device, stream);
}

RT_API(cudaMemAdvise, const void *ptr, size_t bytes, int advice, int device)
{
	return rt_advise(ptr, bytes, advice, device);
}

RT_STREAM(cudaMemcpyBatchAsync,
	  (void **dsts, void **srcs, size_t *sizes, size_t count, void *attrs, size_t *indexes,
	   size_t num_attrs, size_t *failed, cudaStream_t stream),
	  (dsts, srcs, sizes, count, attrs, indexes, num_attrs, failed, stream))
{
	RT_THROUGH(cuMemcpyBatchAsync(dsts, srcs, sizes, count, attrs, indexes, num_attrs, failed,
				      stream));
}

/* The runtime's operands are laid out as the driver's. */
RT_STREAM(cudaMemcpy3DBatchAsync,
	  (size_t count, void *ops, size_t *failed, unsigned long long flags, cudaStream_t stream),
	  (count, ops, failed, flags, stream))
{
	RT_THROUGH(cuMemcpy3DBatchAsync(count, ops, failed, flags, stream));
}
