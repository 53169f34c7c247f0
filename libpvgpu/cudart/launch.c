/* SPDX-License-Identifier: MIT */
/* Kernel launches, and the configuration that <<<...>>> leaves for the kernel's stub. */
#include "cudart/rt.h"

enum { NESTED_MAX = 16 };

/* Arguments of a launch may launch kernels themselves: the configurations are a stack. */
struct configuration {
	dim3 grid, block;
	size_t shared;
	cudaStream_t stream;
};
static __thread struct {
	struct configuration at[NESTED_MAX];
	unsigned int depth;
} pushed;

RT_VISIBLE unsigned int __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
						    struct CUstream_st *stream)
{
	if (pushed.depth == NESTED_MAX) {
		rt_fail(cudaErrorInvalidConfiguration);
		return 1;
	}
	pushed.at[pushed.depth++] = (struct configuration){grid, block, shared, stream};
	return 0;
}

RT_API(__cudaPopCallConfiguration, dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
	const struct configuration *c;

	if (!pushed.depth)
		return rt_fail(cudaErrorMissingConfiguration);
	c = &pushed.at[--pushed.depth];
	*grid = c->grid;
	*block = c->block;
	*shared = c->shared;
	*(cudaStream_t *)stream = c->stream;
	return cudaSuccess;
}

static bool within(unsigned int value, int attr, CUdevice dev)
{
	int most;

	return value &&
	       (rt_cu.cuDeviceGetAttribute(&most, attr, dev) || value <= (unsigned int)most);
}

static bool fits(dim3 grid, dim3 block)
{
	const CUdevice dev = rt_current_device();

	return within(grid.x, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, dev) &&
	       within(grid.y, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, dev) &&
	       within(grid.z, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, dev) &&
	       within(block.x, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, dev) &&
	       within(block.y, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, dev) &&
	       within(block.z, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, dev) &&
	       (uint64_t)block.x * block.y * block.z <= UINT32_MAX &&
	       within(block.x * block.y * block.z, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, dev);
}

/* The driver calls a bad grid or block an invalid value, the runtime an invalid configuration. */
static cudaError_t launched(CUresult r, dim3 grid, dim3 block)
{
	if (r == CUDA_ERROR_INVALID_VALUE && !fits(grid, block))
		return rt_fail(cudaErrorInvalidConfiguration);
	return rt_result(r);
}

static cudaError_t launch(CUkernel k, dim3 grid, dim3 block, void **args, size_t shared,
			  cudaStream_t stream)
{
	if (shared > UINT32_MAX)
		return rt_fail(cudaErrorInvalidValue);
	return launched(rt_cu.cuLaunchKernel((CUfunction)k, grid.x, grid.y, grid.z, block.x,
					     block.y, block.z, (unsigned int)shared, stream, args,
					     NULL),
			grid, block);
}

static cudaError_t enter(const void *host, CUkernel *k)
{
	const cudaError_t e = rt_enter();

	return e ? e : rt_kernel(host, k);
}

RT_STREAM(cudaLaunchKernel,
	  (const void *fn, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream),
	  (fn, grid, block, args, shared, stream))
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	return e ? rt_fail(e) : launch(k, grid, block, args, shared, stream);
}

/*
 * Stubs of newer compilers look the kernel up once, and do not look at the result: where it fails,
 * the host's name stands for the kernel, and the launch has the error.
 */
RT_API(__cudaGetKernel, cudaKernel_t *kernel, const void *fn)
{
	cudaError_t e;
	CUkernel k;

	*kernel = (cudaKernel_t)(uintptr_t)rt_addr(fn);
	e = rt_enter();
	if (!e)
		e = rt_kernel_handle(fn, &k);
	if (!e)
		*kernel = k;
	return rt_fail(e);
}

RT_STREAM(__cudaLaunchKernel,
	  (cudaKernel_t kernel, dim3 grid, dim3 block, void **args, size_t shared,
	   cudaStream_t stream),
	  (kernel, grid, block, args, shared, stream))
{
	CUkernel k;
	const cudaError_t e = enter(kernel, &k);

	return e ? rt_fail(e) : launch(k, grid, block, args, shared, stream);
}

RT_STREAM(cudaLaunchCooperativeKernel,
	  (const void *fn, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream),
	  (fn, grid, block, args, shared, stream))
{
	CUkernel k;
	const cudaError_t e = enter(fn, &k);

	if (e)
		return rt_fail(e);
	if (shared > UINT32_MAX)
		return rt_fail(cudaErrorInvalidValue);
	return launched(rt_cu.cuLaunchCooperativeKernel((CUfunction)k, grid.x, grid.y, grid.z,
							block.x, block.y, block.z,
							(unsigned int)shared, stream, args),
			grid, block);
}

_Static_assert(sizeof(cudaLaunchAttribute) == sizeof(CUlaunchAttribute) &&
		       offsetof(cudaLaunchAttribute, val) == offsetof(CUlaunchAttribute, value),
	       "attributes are handed through");

static CUlaunchConfig driver_config(const cudaLaunchConfig_t *c, cudaStream_t stream)
{
	return (CUlaunchConfig){
		.gridDimX = c->gridDim.x,
		.gridDimY = c->gridDim.y,
		.gridDimZ = c->gridDim.z,
		.blockDimX = c->blockDim.x,
		.blockDimY = c->blockDim.y,
		.blockDimZ = c->blockDim.z,
		.sharedMemBytes = (unsigned int)c->dynamicSmemBytes,
		.hStream = stream,
		.attrs = (CUlaunchAttribute *)c->attrs,
		.numAttrs = c->numAttrs,
	};
}

static cudaError_t launch_ex(const cudaLaunchConfig_t *config, const void *fn, void **args,
			     bool own)
{
	CUlaunchConfig c;
	cudaError_t e;
	CUkernel k;

	if (!config || config->dynamicSmemBytes > UINT32_MAX)
		return rt_fail(cudaErrorInvalidValue);
	e = enter(fn, &k);
	if (e)
		return rt_fail(e);
	c = driver_config(config, own ? rt_own(config->stream) : config->stream);
	return launched(rt_cu.cuLaunchKernelEx(&c, (CUfunction)k, args, NULL), config->gridDim,
			config->blockDim);
}

RT_API(cudaLaunchKernelExC, const cudaLaunchConfig_t *config, const void *fn, void **args)
{
	return launch_ex(config, fn, args, false);
}

RT_API(cudaLaunchKernelExC_ptsz, const cudaLaunchConfig_t *config, const void *fn, void **args)
{
	return launch_ex(config, fn, args, true);
}

RT_STREAM(cudaLaunchHostFunc, (cudaStream_t stream, cudaHostFn_t fn, void *user_data),
	  (stream, fn, user_data))
{
	RT_THROUGH(cuLaunchHostFunc(stream, fn, user_data));
}

CUresult rt_function(const void *host, CUfunction *fn, cudaError_t *error)
{
	CUkernel k;

	*error = enter(host, &k);
	return *error ? CUDA_ERROR_INVALID_HANDLE : rt_cu.cuKernelGetFunction(fn, k);
}

RT_API(cudaOccupancyMaxActiveClusters, int *clusters, const void *fn,
       const cudaLaunchConfig_t *config)
{
	CUlaunchConfig c;
	cudaError_t e;
	CUfunction f;
	CUresult r;

	if (!config)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_function(fn, &f, &e);
	c = driver_config(config, config->stream);
	return rt_fail(e ? e
			 : rt_error(r ? r : rt_cu.cuOccupancyMaxActiveClusters(clusters, f, &c)));
}

RT_API(cudaOccupancyMaxPotentialClusterSize, int *size, const void *fn,
       const cudaLaunchConfig_t *config)
{
	CUlaunchConfig c;
	cudaError_t e;
	CUfunction f;
	CUresult r;

	if (!config)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_function(fn, &f, &e);
	c = driver_config(config, config->stream);
	return rt_fail(e ? e
			 : rt_error(r ? r : rt_cu.cuOccupancyMaxPotentialClusterSize(size, f, &c)));
}
