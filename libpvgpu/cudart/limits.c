/* SPDX-License-Identifier: MIT */
/* Settings of the current context, under their present names and those of before CUDA 4. */
#include "cudart/rt.h"

RT_API(cudaDeviceGetLimit, size_t *value, enum cudaLimit limit)
{
	RT_THROUGH(cuCtxGetLimit(value, (int)limit));
}

RT_API(cudaDeviceSetLimit, enum cudaLimit limit, size_t value)
{
	RT_THROUGH(cuCtxSetLimit((int)limit, value));
}

RT_API(cudaDeviceGetCacheConfig, enum cudaFuncCache *config)
{
	RT_THROUGH(cuCtxGetCacheConfig((int *)config));
}

RT_API(cudaDeviceSetCacheConfig, enum cudaFuncCache config)
{
	RT_THROUGH(cuCtxSetCacheConfig((int)config));
}

RT_API(cudaDeviceGetSharedMemConfig, enum cudaSharedMemConfig *config)
{
	RT_THROUGH(cuCtxGetSharedMemConfig((int *)config));
}

RT_API(cudaDeviceSetSharedMemConfig, enum cudaSharedMemConfig config)
{
	RT_THROUGH(cuCtxSetSharedMemConfig((int)config));
}

RT_API(cudaDeviceGetStreamPriorityRange, int *least, int *greatest)
{
	RT_THROUGH(cuCtxGetStreamPriorityRange(least, greatest));
}

RT_API(cudaCtxResetPersistingL2Cache, void)
{
	RT_THROUGH(cuCtxResetPersistingL2Cache());
}

RT_API(cudaDeviceFlushGPUDirectRDMAWrites, int target, int scope)
{
	RT_THROUGH(cuFlushGPUDirectRDMAWrites(target, scope));
}

RT_API(cudaDeviceGetTexture1DLinearMaxWidth, size_t *elements,
       const struct cudaChannelFormatDesc *format, int device)
{
	cudaError_t e;
	CUdevice dev;
	int bits;

	e = rt_device(device, &dev);
	if (!e && (!elements || !format))
		e = cudaErrorInvalidValue;
	if (e)
		return rt_fail(e);
	/* The limit is one of elements, whatever they are. */
	e = rt_error(rt_cu.cuDeviceGetAttribute(
		&bits, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, dev));
	if (!e)
		*elements = (size_t)bits;
	return rt_fail(e);
}

RT_API(cudaThreadSynchronize, void)
{
	RT_THROUGH(cuCtxSynchronize());
}

RT_API(cudaThreadGetLimit, size_t *value, enum cudaLimit limit)
{
	RT_THROUGH(cuCtxGetLimit(value, (int)limit));
}

RT_API(cudaThreadSetLimit, enum cudaLimit limit, size_t value)
{
	RT_THROUGH(cuCtxSetLimit((int)limit, value));
}

RT_API(cudaThreadGetCacheConfig, enum cudaFuncCache *config)
{
	RT_THROUGH(cuCtxGetCacheConfig((int *)config));
}

RT_API(cudaThreadSetCacheConfig, enum cudaFuncCache config)
{
	RT_THROUGH(cuCtxSetCacheConfig((int)config));
}

RT_VISIBLE cudaError_t cudaDeviceReset(void);
RT_API(cudaThreadExit, void)
{
	return cudaDeviceReset();
}
