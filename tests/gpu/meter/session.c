/* SPDX-License-Identifier: MIT */
/* The primary context, the kernels and how they are launched. */
#include "tests/gpu/meter/meter.h"

#include <string.h>

extern const char ptx_meter[], ptx_occupy[];

static CUcontext context;
static CUmodule module;
static CUfunction empty, work, occupy;
static CUstream stream;
static CUdeviceptr word;

CUresult own_stream(CUstream *s)
{
	if (!stream)
		TRY(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	*s = stream;
	return CUDA_SUCCESS;
}

CUresult launch_empty(CUstream s)
{
	TRY(cuLaunchKernel(empty, 1, 1, 1, 32, 1, 1, 0, s, NULL, NULL));
	return CUDA_SUCCESS;
}

CUresult launch_iterations(CUstream s, uint32_t iterations)
{
	void *args[] = {&iterations, &word};

	TRY(cuLaunchKernel(work, 1, 1, 1, 1, 1, 1, 0, s, args, NULL));
	return CUDA_SUCCESS;
}

/* Loaded when it is first wanted: how long a start takes is measured without it. */
static CUresult launch_naps(CUstream s, uint64_t us)
{
	uint32_t naps = (uint32_t)((us + 999) / 1000), value = 0;
	uint32_t ns = naps ? (uint32_t)(us * 1000 / naps) : 0;
	void *args[] = {&naps, &ns, &word, &value};
	CUmodule more;

	if (!occupy) {
		TRY(cuModuleLoadData(&more, ptx_occupy));
		TRY(cuModuleGetFunction(&occupy, more, "occupy"));
	}
	TRY(cuLaunchKernel(occupy, 1, 1, 1, 1, 1, 1, 0, s, args, NULL));
	return CUDA_SUCCESS;
}

CUresult launch_work(CUstream s, uint64_t us, uint32_t iterations)
{
	return iterations ? launch_iterations(s, iterations) : launch_naps(s, us);
}

static CUresult say_free(const char *key)
{
	size_t left = 0, total = 0;

	TRY(cuMemGetInfo(&left, &total));
	say_int(key, (int64_t)left);
	return CUDA_SUCCESS;
}

static uint64_t say_since(const char *key, uint64_t t)
{
	uint64_t now = now_ns();

	say_int(key, (int64_t)(now - t));
	return now_ns();
}

CUresult do_open(const struct words *w)
{
	uint64_t t = now_ns();
	char name[128] = "";
	CUdevice device;

	TRY(cuInit(0));
	t = say_since("init_ns", t);
	TRY(cuDeviceGet(&device, 0));
	TRY(cuDeviceGetName(name, sizeof(name), device));
	say_text("device", name);
	TRY(cuDevicePrimaryCtxRetain(&context, device));
	TRY(cuCtxSetCurrent(context));
	say_since("context_ns", t);
	TRY(say_free("free_context_bytes"));
	t = now_ns();
	TRY(cuModuleLoadData(&module, ptx_meter));
	TRY(cuModuleGetFunction(&empty, module, "empty"));
	TRY(cuModuleGetFunction(&work, module, "work"));
	TRY(cuMemAlloc(&word, sizeof(uint32_t)));
	say_since("module_ns", t);
	TRY(say_free("free_module_bytes"));
	if (!strcmp(w->word[0], "idle"))
		return CUDA_SUCCESS;
	t = now_ns();
	TRY(launch_empty(NULL));
	TRY(cuStreamSynchronize(NULL));
	say_int("first_kernel_at_ns", (int64_t)say_since("first_kernel_ns", t));
	TRY(say_free("free_kernel_bytes"));
	return CUDA_SUCCESS;
}

CUresult do_again(const struct words *w)
{
	CUcontext more;

	TRY(cuCtxCreate(&more, NULL, 0, 0));
	return CUDA_SUCCESS;
}

CUresult do_where(const struct words *w)
{
	char id[16] = "";

	TRY(cuDeviceGetPCIBusId(id, sizeof(id), 0));
	say_text("bus", id);
	return CUDA_SUCCESS;
}

CUresult do_close(const struct words *w)
{
	return context ? cuDevicePrimaryCtxRelease(0) : CUDA_SUCCESS;
}
