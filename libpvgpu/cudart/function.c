/* SPDX-License-Identifier: MIT */
/* Facts and settings of kernels, occupancy. */
#include "cudart/rt.h"

static cudaError_t enter(const void *host, CUkernel *k)
{
	const cudaError_t e = rt_enter();

	return e ? e : rt_kernel(host, k);
}

/* An attribute that the driver does not know is 0; the first tells whether the kernel can be
 * loaded. */
static int ask(CUkernel k, int attr, CUdevice dev)
{
	int value;

	return rt_cu.cuKernelGetAttribute(&value, attr, k, dev) ? 0 : value;
}

RT_API(cudaFuncGetAttributes, struct cudaFuncAttributes *attrs, const void *fn)
{
	cudaError_t e;
	CUdevice dev;
	CUkernel k;
	int threads;

	e = attrs ? enter(fn, &k) : cudaErrorInvalidValue;
	if (e)
		return rt_fail(e);
	dev = rt_current_device();
	e = rt_error(rt_cu.cuKernelGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
						k, dev));
	if (e)
		return rt_fail(e);
	*attrs = (struct cudaFuncAttributes){
		.maxThreadsPerBlock = threads,
		.sharedSizeBytes = (size_t)ask(k, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, dev),
		.constSizeBytes = (size_t)ask(k, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, dev),
		.localSizeBytes = (size_t)ask(k, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, dev),
		.numRegs = ask(k, CU_FUNC_ATTRIBUTE_NUM_REGS, dev),
		.ptxVersion = ask(k, CU_FUNC_ATTRIBUTE_PTX_VERSION, dev),
		.binaryVersion = ask(k, CU_FUNC_ATTRIBUTE_BINARY_VERSION, dev),
		.cacheModeCA = ask(k, CU_FUNC_ATTRIBUTE_CACHE_MODE_CA, dev),
		.maxDynamicSharedSizeBytes =
			ask(k, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, dev),
		.preferredShmemCarveout =
			ask(k, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, dev),
		.clusterDimMustBeSet = ask(k, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET, dev),
		.requiredClusterWidth = ask(k, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, dev),
		.requiredClusterHeight = ask(k, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT, dev),
		.requiredClusterDepth = ask(k, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH, dev),
		.clusterSchedulingPolicyPreference =
			ask(k, CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE, dev),
		.nonPortableClusterSizeAllowed =
			ask(k, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, dev),
	};
	return cudaSuccess;
}

RT_API(cudaFuncSetAttribute, const void *fn, enum cudaFuncAttribute attr, int value)
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	return rt_fail(
		e ? e
		  : rt_error(rt_cu.cuKernelSetAttribute((int)attr, value, k, rt_current_device())));
}

RT_API(cudaKernelSetAttributeForDevice, cudaKernel_t kernel, enum cudaFuncAttribute attr, int value,
       int device)
{
	cudaError_t e;
	CUdevice dev;

	e = rt_device(device, &dev);
	return rt_fail(e ? e : rt_error(rt_cu.cuKernelSetAttribute((int)attr, value, kernel, dev)));
}

RT_API(cudaFuncSetCacheConfig, const void *fn, enum cudaFuncCache config)
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	return rt_fail(
		e ? e
		  : rt_error(rt_cu.cuKernelSetCacheConfig(k, (int)config, rt_current_device())));
}

RT_API(cudaFuncSetSharedMemConfig, const void *fn, enum cudaSharedMemConfig config)
{
	cudaError_t e;
	CUfunction f;
	CUresult r;

	r = rt_function(fn, &f, &e);
	return rt_fail(e ? e : rt_error(r ? r : rt_cu.cuFuncSetSharedMemConfig(f, (int)config)));
}

RT_API(cudaFuncGetName, const char **name, const void *fn)
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	return rt_fail(e ? e : rt_error(rt_cu.cuKernelGetName(name, k)));
}

RT_API(cudaFuncGetParamInfo, const void *fn, size_t index, size_t *offset, size_t *size)
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	return rt_fail(e ? e : rt_error(rt_cu.cuKernelGetParamInfo(k, index, offset, size)));
}

RT_API(cudaGetKernel, cudaKernel_t *kernel, const void *fn)
{
	cudaError_t e;
	CUkernel k;

	e = kernel ? rt_enter() : cudaErrorInvalidValue;
	if (!e)
		e = rt_kernel_handle(fn, &k);
	if (!e)
		*kernel = k;
	return rt_fail(e);
}

RT_API(cudaGetFuncBySymbol, cudaFunction_t *function, const void *symbol)
{
	cudaError_t e;
	CUfunction f;
	CUresult r;

	if (!function)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_function(symbol, &f, &e);
	if (!e && !r)
		*function = f;
	return rt_fail(e ? e : rt_error(r));
}

RT_API(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, int *blocks, const void *fn,
       int block_size, size_t shared, unsigned int flags)
{
	cudaError_t e;
	CUfunction f;
	CUresult r;

	r = rt_function(fn, &f, &e);
	if (!r)
		r = rt_cu.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
			blocks, f, block_size, shared, flags);
	return rt_fail(e ? e : rt_error(r));
}

RT_API(cudaOccupancyMaxActiveBlocksPerMultiprocessor, int *blocks, const void *fn, int block_size,
       size_t shared)
{
	return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, fn, block_size,
								      shared, 0);
}

RT_API(cudaOccupancyAvailableDynamicSMemPerBlock, size_t *bytes, const void *fn, int blocks,
       int block_size)
{
	cudaError_t e;
	CUfunction f;
	CUresult r;

	r = rt_function(fn, &f, &e);
	if (!r)
		r = rt_cu.cuOccupancyAvailableDynamicSMemPerBlock(bytes, f, blocks, block_size);
	return rt_fail(e ? e : rt_error(r));
}
