/* SPDX-License-Identifier: MIT */
/*
 * Calls that few programs make: older names of the primary context's, contexts with parameters,
 * settings that newer devices ignore, images from files, links by their first names, occupancy with
 * flags and of clusters.
 */
#include <cudaProfiler.h>
#include <dlfcn.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

static void *library;

#define OLD(type, name) ((__typeof__(&type))symbol(#name))
#define REFUSES(call)   WANT(CUDA_ERROR_INVALID_VALUE, call)

static void *symbol(const char *name)
{
	void *fn = dlsym(library, name);

	CHECK(fn, "no %s", name);
	return fn;
}

static void primary(void)
{
	unsigned int flags;
	CUcontext ctx;
	int active;

	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxRetain(&ctx, 99));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(active, "not active");
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxGetState(99, &flags, &active));
	/* The first revision changes no context that is active. */
	WANT(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE,
	     OLD(cuDevicePrimaryCtxSetFlags_v2,
		 cuDevicePrimaryCtxSetFlags)(0, CU_CTX_SCHED_BLOCKING_SYNC));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(!flags, "flags %#x", flags);
	REFUSES(cuDevicePrimaryCtxSetFlags(0, 1u << 20));
	CU(cuDevicePrimaryCtxSetFlags(0, 0));
	CU(OLD(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease)(0));
	CU(OLD(cuDevicePrimaryCtxSetFlags_v2,
	       cuDevicePrimaryCtxSetFlags)(0, CU_CTX_SCHED_BLOCKING_SYNC));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(flags == CU_CTX_SCHED_BLOCKING_SYNC, "flags %#x", flags);
	CU(OLD(cuDevicePrimaryCtxReset_v2, cuDevicePrimaryCtxReset)(0));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxReset(99));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	printf("the primary context is %sactive after a reset\n", active ? "" : "not ");
}

static void contexts(void)
{
	CUsharedconfig config;
	unsigned int flags;
	CUcontext ctx, same;

	CU(OLD(cuCtxCreate_v2, cuCtxCreate_v2)(&ctx, CU_CTX_SCHED_SPIN, 0));
	WANT(CUDA_ERROR_INVALID_DEVICE, OLD(cuCtxCreate_v2, cuCtxCreate_v2)(&same, 0, 99));
	CU(cuCtxGetFlags(&flags));
	CHECK((flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_SPIN, "flags %#x", flags);
	REFUSES(cuCtxGetFlags(NULL));
	CU(cuCtxSetFlags(CU_CTX_SCHED_YIELD));
	CU(cuCtxGetFlags(&flags));
	CHECK((flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_YIELD, "flags %#x", flags);
	REFUSES(cuCtxSetFlags(1u << 20));
	CU(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE));
	REFUSES(cuCtxSetSharedMemConfig((CUsharedconfig)9));
	CU(cuCtxGetSharedMemConfig(&config));
	CHECK(config == CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE, "banks %d", config);
	REFUSES(cuCtxGetSharedMemConfig(NULL));
	CU(cuCtxAttach(&same, 0));
	CHECK(same == ctx, "another context");
	REFUSES(cuCtxAttach(NULL, 0));
	CU(cuCtxDetach(ctx));
	WANT(CUDA_SUCCESS, cuProfilerStart());
	WANT(CUDA_SUCCESS, cuProfilerStop());
	CU(cuCtxDestroy(ctx));
	CU(OLD(cuCtxCreate_v3, cuCtxCreate_v3)(&ctx, NULL, 0, 0, 0));
	REFUSES(OLD(cuCtxCreate_v3, cuCtxCreate_v3)(NULL, NULL, 0, 0, 0));
	CU(cuCtxDestroy(ctx));
}

/* The text in a file, whose name is removed afterwards. */
static void from_file(void)
{
	char path[] = "/tmp/pvgpu-settings-XXXXXX";
	const int fd = mkstemp(path);
	CUmoduleLoadingMode mode;
	CUlibrary lib;
	CUmodule module;
	CUfunction fn;
	CUkernel kernel;

	CHECK(fd >= 0, "no file %s", path);
	CHECK(write(fd, ptx_vector, strlen(ptx_vector)) == (ssize_t)strlen(ptx_vector), "short");
	close(fd);
	CU(cuModuleLoad(&module, path));
	CU(cuModuleGetFunction(&fn, module, "fill"));
	CU(cuModuleUnload(module));
	CU(cuLibraryLoadFromFile(&lib, path, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetKernel(&kernel, lib, "fill"));
	CU(cuLibraryUnload(lib));
	unlink(path);
	WANT(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, path));
	CU(cuModuleGetLoadingMode(&mode));
	REFUSES(cuModuleGetLoadingMode(NULL));
}

static void links(void)
{
	CUlinkState state;
	CUmodule module;
	CUfunction fn;
	void *image;
	size_t bytes;

	CU(OLD(cuLinkCreate_v2, cuLinkCreate)(0, NULL, NULL, &state));
	REFUSES(OLD(cuLinkCreate_v2, cuLinkCreate)(0, NULL, NULL, NULL));
	CU(OLD(cuLinkAddData_v2, cuLinkAddData)(state, CU_JIT_INPUT_PTX, (void *)ptx_vector,
						strlen(ptx_vector) + 1, "vector", 0, NULL, NULL));
	WANT(CUDA_ERROR_FILE_NOT_FOUND,
	     OLD(cuLinkAddFile_v2, cuLinkAddFile)(state, CU_JIT_INPUT_PTX, "/nonexistent/file", 0,
						  NULL, NULL));
	CU(cuLinkComplete(state, &image, &bytes));
	CU(cuModuleLoadData(&module, image));
	CU(cuModuleGetFunction(&fn, module, "fill"));
	CU(cuModuleUnload(module));
	CU(cuLinkDestroy(state));
}

static size_t CUDA_CB no_shared(int block)
{
	return 0;
}

static void occupancy(void)
{
	CUmodule module = load(ptx_vector);
	CUfunction fill = function(module, "fill");
	CUlaunchConfig config = {.gridDimX = 1,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 128,
				 .blockDimY = 1,
				 .blockDimZ = 1};
	int grid, block, plain_grid, plain_block;

	CU(cuFuncSetSharedMemConfig(fill, CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE));
	REFUSES(cuFuncSetSharedMemConfig(fill, (CUsharedconfig)9));
	CU(cuOccupancyMaxPotentialBlockSize(&plain_grid, &plain_block, fill, no_shared, 0, 0));
	CU(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, fill, no_shared, 0, 0, 0));
	CHECK(grid == plain_grid && block == plain_block, "%d of %d, not %d of %d", grid, block,
	      plain_grid, plain_block);
	REFUSES(cuOccupancyMaxPotentialBlockSizeWithFlags(NULL, &block, fill, no_shared, 0, 0, 0));
	REFUSES(cuOccupancyMaxActiveClusters(NULL, fill, &config));
	REFUSES(cuOccupancyMaxPotentialClusterSize(NULL, fill, &config));
	CU(cuModuleUnload(module));
}

/* A thread's mode of capture may be any number. */
static void modes(void)
{
	CUstreamCaptureMode mode = (CUstreamCaptureMode)77;

	CU(cuThreadExchangeStreamCaptureMode(&mode));
	CHECK(mode == CU_STREAM_CAPTURE_MODE_GLOBAL, "mode %d", mode);
	CU(cuThreadExchangeStreamCaptureMode(&mode));
}

static void devices(void)
{
	int yes;

	CU(cuDeviceGetExecAffinitySupport(&yes, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0));
	WANT(CUDA_ERROR_INVALID_DEVICE,
	     cuDeviceGetExecAffinitySupport(&yes, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 99));
}

int main(void)
{
	library = dlopen("libcuda.so.1", RTLD_NOW);
	CU(cuInit(0));
	primary();
	start();
	contexts();
	from_file();
	links();
	occupancy();
	modes();
	devices();
	finish();
	return 0;
}
