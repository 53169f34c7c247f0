/* SPDX-License-Identifier: MIT */
/* Libraries that a program loads itself. Their kernels can be launched like those it registered. */
#include "cudart/rt.h"

RT_API(cudaLibraryLoadData, cudaLibrary_t *library, const void *code, void *jit_options,
       void **jit_values, unsigned int num_jit, void *options, void **values,
       unsigned int num_options)
{
	RT_THROUGH(cuLibraryLoadData(library, code, jit_options, jit_values, num_jit, options,
				     values, num_options));
}

RT_API(cudaLibraryLoadFromFile, cudaLibrary_t *library, const char *path, void *jit_options,
       void **jit_values, unsigned int num_jit, void *options, void **values,
       unsigned int num_options)
{
	RT_THROUGH(cuLibraryLoadFromFile(library, path, jit_options, jit_values, num_jit, options,
					 values, num_options));
}

RT_API(cudaLibraryUnload, cudaLibrary_t library)
{
	RT_ENTER();
	rt_kernels_forget(library);
	return rt_result(rt_cu.cuLibraryUnload(library));
}

RT_API(cudaLibraryGetKernel, cudaKernel_t *kernel, cudaLibrary_t library, const char *name)
{
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuLibraryGetKernel(kernel, library, name);
	if (!r && !rt_kernel_known(*kernel, library))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	return r == CUDA_ERROR_NOT_FOUND ? rt_fail(cudaErrorSymbolNotFound) : rt_result(r);
}

RT_API(cudaLibraryGetKernelCount, unsigned int *count, cudaLibrary_t library)
{
	RT_THROUGH(cuLibraryGetKernelCount(count, library));
}

RT_API(cudaLibraryEnumerateKernels, cudaKernel_t *kernels, unsigned int max, cudaLibrary_t library)
{
	unsigned int count;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuLibraryGetKernelCount(&count, library);
	if (!r)
		r = rt_cu.cuLibraryEnumerateKernels(kernels, max, library);
	for (unsigned int i = 0; !r && i < max && i < count; i++)
		if (!rt_kernel_known(kernels[i], library))
			r = CUDA_ERROR_OUT_OF_MEMORY;
	return rt_result(r);
}

RT_API(cudaLibraryGetGlobal, void **ptr, size_t *bytes, cudaLibrary_t library, const char *name)
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuLibraryGetGlobal(&addr, bytes, library, name);
	if (!r && ptr)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_API(cudaLibraryGetManaged, void **ptr, size_t *bytes, cudaLibrary_t library, const char *name)
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	r = rt_cu.cuLibraryGetManaged(&addr, bytes, library, name);
	if (!r && ptr)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_API(cudaLibraryGetUnifiedFunction, void **fn, cudaLibrary_t library, const char *symbol)
{
	RT_THROUGH(cuLibraryGetUnifiedFunction(fn, library, symbol));
}
