/* SPDX-License-Identifier: MIT */
/* Calls that are refused at once and leave everything as it was. */
#include "tests/programs/errors.h"

PTX(ptx_vector);
PTX(ptx_sync);

void errors_uninitialised(void)
{
	const char *text = "";
	CUcontext ctx;
	CUdevice device;
	CUdeviceptr p;
	int v;

	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&v));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGet(&device, 0));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED,
		cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuDevicePrimaryCtxRetain(&ctx, 0));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuCtxGetCurrent(&ctx));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&p, 4));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuInit(1));
	REFUSED(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&v));
	CU(cuDriverGetVersion(&v));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuDriverGetVersion(NULL));
	CU(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
	CHECK(!strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"), "700 is called %s", text);
	CU(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK(text && *text, "nothing is said about 2");
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuGetErrorName((CUresult)12345, &text));
	CHECK(!text, "12345 is called %s", text);
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuGetErrorString((CUresult)-1, &text));
	CU(cuInit(0));
	CU(cuInit(0));
	CU(cuDeviceGetCount(&v));
}

void errors_no_context(void)
{
	CUcontext ctx = (CUcontext)1;
	CUdevice device;
	CUdeviceptr p;
	CUevent event;
	CUmodule module;
	CUstream s;
	size_t bytes;
	void *host;

	CU(cuInit(0));
	CU(cuCtxGetCurrent(&ctx));
	CHECK(!ctx, "there is a context");
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&device));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&ctx));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&p, 4));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemGetInfo(&bytes, &bytes));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemHostAlloc(&host, 4096, 0));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuStreamCreate(&s, 0));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuEventCreate(&event, 0));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuModuleLoadData(&module, ptx_vector));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemcpyHtoD(16, &p, 8));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuMemsetD8(16, 0, 8));
	REFUSED(CUDA_ERROR_INVALID_CONTEXT, cuStreamSynchronize(NULL));
}

void errors_null(void)
{
	CUdeviceptr p;
	CUmodule module;
	uint32_t word = 1;

	start();
	module = load(ptx_vector);
	p = device_alloc(4);
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuDeviceGetCount(NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuDeviceGet(NULL, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuCtxGetCurrent(NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(NULL, 4));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(NULL, 4, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(NULL, 4096, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p, NULL, 4));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(NULL, p, 4));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0, &word, 4));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(0, 1, 1));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(NULL, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuEventCreate(NULL, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(NULL, ptx_vector));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, NULL));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(NULL, module, "fill"));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(NULL, NULL, NULL));
	CU(cuMemcpyHtoD(p, &word, 4));
	CU(cuMemFree(p));
	finish();
}

void errors_values(void)
{
	CUcontext ctx;
	CUevent event;
	CUstream s;
	CUfunction fn;
	size_t value;
	void *host;
	int v;

	start();
	fn = function(load(ptx_vector), "fill");
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&s, 0x80));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&event, 0x80));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(&ctx, NULL, 0x1000, 0));
	REFUSED(CUDA_ERROR_INVALID_DEVICE, cuCtxCreate(&ctx, NULL, 0, 999));
	REFUSED(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxRetain(&ctx, -3));
	REFUSED2(CUDA_ERROR_UNSUPPORTED_LIMIT, CUDA_ERROR_INVALID_VALUE,
		 cuCtxGetLimit(&value, (CUlimit)77));
	REFUSED2(CUDA_ERROR_UNSUPPORTED_LIMIT, CUDA_ERROR_INVALID_VALUE,
		 cuCtxSetLimit((CUlimit)77, 1));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(&v, (CUfunction_attribute)99, fn));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(fn, CU_FUNC_ATTRIBUTE_NUM_REGS, 10));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(&host, 4096, 0x100));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(&v, 0, 0));
	CU(cuEventCreate(&event, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuStreamWaitEvent(NULL, event, 0x80));
	CU(cuEventDestroy(event));
	finish();
}

void errors_handles(void)
{
	uint32_t n = 1;
	CUdeviceptr p;
	CUfunction fn;
	CUevent event;
	float ms;

	start();
	p = device_alloc(4);
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuEventRecord(NULL, NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuEventQuery(NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuEventSynchronize(NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuEventDestroy(NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE,
		 cuStreamWaitEvent(NULL, NULL, 0));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuStreamDestroy(NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, cuModuleUnload(NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE,
		 cuModuleGetFunction(&fn, NULL, "fill"));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE,
		 cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&p, &n, &n}, NULL));
	CU(cuEventCreate(&event, 0));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE,
		 cuEventElapsedTime(&ms, event, NULL));
	CU(cuEventDestroy(event));
	CU(cuMemFree(p));
	finish();
}

void errors_images(void)
{
	static const char broken[] =
		".version 6.4\n.target sm_70\n.address_size 64\n"
		".visible .entry k() {\n\tjump.around.s32 %r1, 3;\n\tret;\n}\n";
	static const char cut[] =
		".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry k() {\n\tret";
	static const uint64_t fatbin[] = {0x00100001ba55ed50, 48, 0, 0, 0, 0, 0, 0};
	char log[1024] = "", words[] = "these are words, not an image of any kind";
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)(uintptr_t)sizeof(log)};
	CUdeviceptr p;
	CUfunction fn;
	CUlibrary library;
	CUmodule module;
	size_t bytes;

	start();
	REFUSED(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, broken));
	REFUSED(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, cut));
	REFUSED(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, broken, 2, options, values));
	CHECK(log[0] && strlen(log) < sizeof(log), "no word about what is wrong");
	CHECK(strstr(log, "jump") || strstr(log, "line"), "the log does not name it: %s", log);
	REFUSED2(CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_INVALID_PTX,
		 cuModuleLoadData(&module, words));
	REFUSED2(CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_NO_BINARY_FOR_GPU,
		 cuModuleLoadData(&module, fatbin));
	REFUSED(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nowhere/at/all.ptx"));
	REFUSED(CUDA_ERROR_INVALID_PTX,
		cuLibraryLoadData(&library, broken, NULL, NULL, 0, NULL, NULL, 0));
	REFUSED(CUDA_ERROR_FILE_NOT_FOUND, cuLibraryLoadFromFile(&library, "/nowhere/at/all.ptx",
								 NULL, NULL, 0, NULL, NULL, 0));
	module = load(ptx_vector);
	REFUSED(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&fn, module, "vec_sub"));
	REFUSED2(CUDA_ERROR_NOT_FOUND, CUDA_ERROR_INVALID_VALUE,
		 cuModuleGetFunction(&fn, module, ""));
	REFUSED(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&p, &bytes, module, "nothing"));
	CU(cuModuleUnload(module));
	finish();
}

static CUresult launch(CUfunction fn, const unsigned int *grid, const unsigned int *block,
		       unsigned int shared)
{
	static uint32_t n, seed;
	static CUdeviceptr p;
	void *params[] = {&p, &n, &seed};

	return cuLaunchKernel(fn, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared,
			      NULL, params, NULL);
}

#define SHAPE(x, y, z) ((const unsigned int[]){x, y, z})

void errors_launches(void)
{
	CUfunction fill, bounded;
	uint32_t n = 0, seed = 0;
	CUdeviceptr p = 0;
	void *params[] = {&p, &n, &seed};
	void *extra[] = {CU_LAUNCH_PARAM_END};
	unsigned int more;
	int optin;

	start();
	fill = function(load(ptx_vector), "fill");
	bounded = function(load(ptx_sync), "bounded");
	CU(launch(fill, SHAPE(1, 1, 1), SHAPE(32, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(0, 1, 1), SHAPE(32, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 0, 1), SHAPE(32, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 1), SHAPE(32, 1, 0), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 65536, 1), SHAPE(32, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 65536), SHAPE(32, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 1), SHAPE(1025, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 1), SHAPE(32, 33, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 1), SHAPE(1, 1, 65), 0));
	CU(cuDeviceGetAttribute(&optin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 0));
	more = (unsigned int)optin + 1;
	REFUSED(CUDA_ERROR_INVALID_VALUE, launch(fill, SHAPE(1, 1, 1), SHAPE(32, 1, 1), more));
	REFUSED2(CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
		 launch(bounded, SHAPE(1, 1, 1), SHAPE(129, 1, 1), 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE,
		cuLaunchKernel(fill, 1, 1, 1, 1, 1, 1, 0, NULL, params, extra));
	CU(launch(fill, SHAPE(1, 1, 1), SHAPE(1024, 1, 1), 0));
	finish();
}

void errors_memory(void)
{
	uint8_t bytes[64] = {0};
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = bytes,
			   .srcPitch = 8,
			   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			   .dstPitch = 8,
			   .WidthInBytes = 9,
			   .Height = 2};
	CUdeviceptr p, q, base;
	size_t pitch, range;
	unsigned int flags;

	start();
	p = device_alloc(4096);
	q = device_alloc(4096);
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&base, 0));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&base, &pitch, 100, 10, 3));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFree(p + 256));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFree((CUdeviceptr)1 << 45));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(bytes));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostGetFlags(&flags, bytes));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemHostGetDevicePointer(&base, bytes, 0));
	REFUSED(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(bytes));
	REFUSED2(CUDA_ERROR_NOT_FOUND, CUDA_ERROR_INVALID_VALUE,
		 cuMemGetAddressRange(&base, &range, (CUdeviceptr)1 << 45));
	c.dstDevice = p;
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&c));
	c.srcMemoryType = (CUmemorytype)9;
	c.WidthInBytes = 8;
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&c));
	CU(cuMemFree(q));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemFree(q));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(bytes, (CUdeviceptr)1 << 45, 64));
	REFUSED(CUDA_ERROR_INVALID_VALUE, cuMemsetD8((CUdeviceptr)1 << 45, 0, 64));
	CU(cuMemcpyDtoH(bytes, p, sizeof(bytes)));
	CU(cuMemFree(p));
	finish();
}

void errors_contexts(void)
{
	CUcontext other, popped;
	uint32_t n = 0, seed = 0;
	CUdeviceptr p = 0;
	CUfunction fill;
	CUevent event;
	CUstream s;

	start();
	fill = function(load(ptx_vector), "fill");
	CU(cuEventCreate(&event, 0));
	CU(cuCtxCreate(&other, NULL, 0, 0));
	CU(cuStreamCreate(&s, 0));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_CONTEXT,
		 cuLaunchKernel(fill, 1, 1, 1, 1, 1, 1, 0, s, (void *[]){&p, &n, &seed}, NULL));
	REFUSED2(CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_CONTEXT, cuEventRecord(event, s));
	CU(cuStreamSynchronize(s));
	CU(cuCtxPopCurrent(&popped));
	/* A stream can be used whichever context is current. */
	CU(cuStreamSynchronize(s));
	CU(cuCtxDestroy(other));
	CU(cuEventDestroy(event));
	finish();
}
