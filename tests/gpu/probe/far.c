/* SPDX-License-Identifier: MIT */
/* libcuda, by dlopen. Every call is noted before it is made, so that one that hangs has a name. */
#include <dlfcn.h>

#include "tests/gpu/probe/core.h"

static void *library;

bool cuda_load(void)
{
	if (library)
		return true;
	say_note("dlopen of libcuda");
	library = dlopen(opt.libcuda, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		say_text("libcuda_error", "%s", dlerror());
	return library;
}

void *cuda_symbol(const char *name)
{
	say_note(name);
	return library ? dlsym(library, name) : NULL;
}

static bool seen(bool is)
{
	if (!is)
		say_lacking();
	return is;
}

bool cuda_device(CUdevice *dev)
{
	return seen(cuda_load() && CU(cuInit, 0) == CUDA_SUCCESS &&
		    CU(cuDeviceGet, dev, 0) == CUDA_SUCCESS);
}

bool cuda_context(CUdevice *dev, CUcontext *ctx)
{
	return cuda_device(dev) && seen(CU(cuDevicePrimaryCtxRetain, ctx, *dev) == CUDA_SUCCESS &&
					CU(cuCtxSetCurrent, *ctx) == CUDA_SUCCESS);
}

CUfunction cuda_kernel(const char *ptx, const char *name)
{
	CUmodule module;
	CUfunction f;

	if (CU(cuModuleLoadDataEx, &module, ptx, 0, NULL, NULL) != CUDA_SUCCESS)
		return NULL;
	return CU(cuModuleGetFunction, &f, module, name) == CUDA_SUCCESS ? f : NULL;
}

extern const char ptx_occupy[];

bool cuda_occupy(CUstream stream, unsigned int ms)
{
	CUfunction f = cuda_kernel(ptx_occupy, "occupy");
	uint32_t nanoseconds = 1000000, value = 0;
	CUdeviceptr word = 0;

	return f && CU(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, stream,
		       (void *[]){&ms, &nanoseconds, &word, &value}, NULL) == CUDA_SUCCESS;
}
