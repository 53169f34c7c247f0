/* SPDX-License-Identifier: MIT */
/*
 * Calls that the other programs make with right arguments alone, here with a wrong one: each is
 * refused, and its result is printed, so that it is the same on every way to the GPU. Each is
 * called by the name that a library has for it.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

static struct {
	void *library;
	CUcontext ctx;
	CUmodule module;
	CUfunction fill;
	CUlibrary code;
	CUkernel kernel;
	CUstream s;
	CUdeviceptr a;
} it;

/* As CUDA 11.3 had it. */
CUresult CUDAAPI cuGetProcAddress_one(const char *name, void **fn, int version, cuuint64_t flags);

static void say(const char *call, CUresult r)
{
	CHECK(r != CUDA_SUCCESS, "%s is not refused", call);
	printf("%s: %s\n", call, result_name(r));
}

/* name: in the library; as: the call whose prototype it has. */
#define REFUSED_AS(name, as, ...)                                                                  \
	do {                                                                                       \
		__typeof__(&as) fn_ = (__typeof__(&as))dlsym(it.library, #name);                   \
		CHECK(fn_, "there is no " #name);                                                  \
		if (asks_at(__FILE__, __LINE__, #name))                                            \
			say(#name, fn_(__VA_ARGS__));                                              \
	} while (0)
#define REFUSED(name, ...) REFUSED_AS(name, name, __VA_ARGS__)

static void devices(void)
{
	const CUdevice none = 1000;
	int major, minor;
	CUdevprop prop;
	CUmemoryPool pool;
	CUdevice dev;
	CUuuid uuid;
	size_t bytes;
	char text[64];

	REFUSED(cuDeviceCanAccessPeer, NULL, 0, 0);
	REFUSED(cuDeviceCanAccessPeer, &major, none, 0);
	REFUSED(cuDeviceComputeCapability, &major, &minor, none);
	REFUSED(cuDeviceComputeCapability, NULL, &minor, 0);
	REFUSED(cuDeviceGetByPCIBusId, &dev, NULL);
	REFUSED(cuDeviceGetByPCIBusId, NULL, "0000:01:00.0");
	REFUSED(cuDeviceGetMemPool, NULL, 0);
	REFUSED(cuDeviceGetMemPool, &pool, none);
	REFUSED(cuDeviceGetName, NULL, 0, 0);
	REFUSED(cuDeviceGetName, text, sizeof(text), none);
	REFUSED(cuDeviceGetPCIBusId, NULL, 0, 0);
	REFUSED(cuDeviceGetPCIBusId, text, sizeof(text), none);
	REFUSED(cuDeviceGetProperties, NULL, 0);
	REFUSED(cuDeviceGetProperties, &prop, none);
	REFUSED_AS(cuDeviceGetUuid, cuDeviceGetUuid_v2, NULL, 0);
	REFUSED(cuDeviceGetUuid_v2, &uuid, none);
	REFUSED_AS(cuDeviceTotalMem, cuDeviceTotalMem_v2, NULL, 0);
	REFUSED(cuDeviceTotalMem_v2, &bytes, none);
}

static void contexts(void)
{
	unsigned long long id;
	size_t bytes, total;
	CUcontext ctx;
	void *fn;

	REFUSED(cuCtxGetApiVersion, it.ctx, NULL);
	REFUSED(cuCtxGetDevice_v2, NULL, it.ctx);
	REFUSED(cuCtxDetach, NULL);
	/* Where there is no such call. NULL for a name or a result crashes the driver. */
	REFUSED_AS(cuGetProcAddress, cuGetProcAddress_one, "cuMakeCoffee", &fn, 12000, 0);
	REFUSED(cuCtxGetId, it.ctx, NULL);
	REFUSED_AS(cuMemGetInfo, cuMemGetInfo_v2, &bytes, &total);
	REFUSED(cuThreadExchangeStreamCaptureMode, NULL);
	REFUSED(cuStreamGetCtx, it.s, NULL);
	REFUSED_AS(cuStreamGetCtx_ptsz, cuStreamGetCtx, it.s, NULL);
	/* Without a context. */
	CU(cuCtxPopCurrent(&ctx));
	REFUSED_AS(cuCtxPopCurrent, cuCtxPopCurrent_v2, &ctx);
	REFUSED(cuCtxGetId, NULL, &id);
	CU(cuCtxPushCurrent(it.ctx));
}

static void streams_and_events(void)
{
	CUstreamCaptureStatus status;
	CUstream s;

	REFUSED(cuStreamCreateWithPriority, NULL, 0, 0);
	REFUSED(cuStreamCreateWithPriority, &s, 1u << 8, 0);
	REFUSED_AS(cuStreamDestroy, cuStreamDestroy_v2, NULL);
	REFUSED(cuStreamIsCapturing, it.s, NULL);
	REFUSED(cuStreamGetCaptureInfo_v3, it.s, NULL, NULL, NULL, NULL, NULL, NULL);
	REFUSED(cuStreamBeginCaptureToGraph, it.s, NULL, NULL, NULL, 0,
		CU_STREAM_CAPTURE_MODE_GLOBAL);
	CU(cuStreamIsCapturing(it.s, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE, "a capture has begun");
	REFUSED_AS(cuStreamWaitEvent_ptsz, cuStreamWaitEvent, it.s, NULL, 0);
	REFUSED_AS(cuEventDestroy, cuEventDestroy_v2, NULL);
	REFUSED_AS(cuEventRecord_ptsz, cuEventRecord, NULL, it.s);
	REFUSED_AS(cuEventRecordWithFlags_ptsz, cuEventRecordWithFlags, NULL, it.s, 0);
}

/* What a capture makes impossible, by the names that mean the thread's own stream, too. */
static void captured(void)
{
	CUstream s;
	CUgraph g;

	REFUSED_AS(cuStreamBeginCapture_ptsz, cuStreamQuery, CU_STREAM_LEGACY);
	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	REFUSED(cuMemcpy, it.a, it.a + 8, 8);
	REFUSED(cuMemcpyAsync, it.a, it.a + 8, 8, s);
	REFUSED(cuMemcpyAsync_ptsz, it.a, it.a + 8, 8, s);
	REFUSED_AS(cuStreamQuery_ptsz, cuStreamQuery, s);
	REFUSED_AS(cuStreamSynchronize_ptsz, cuStreamSynchronize, s);
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
	CU(cuStreamDestroy(s));
}

static void modules(void)
{
	CUkernel kernel;
	CUmodule module;
	CUdeviceptr at;
	size_t bytes;

	REFUSED(cuModuleLoadFatBinary, &module, NULL);
	REFUSED(cuModuleEnumerateFunctions, NULL, 1, it.module);
	REFUSED(cuModuleGetGlobal_v2, &at, &bytes, it.module, "nothing");
	REFUSED(cuLibraryUnload, NULL);
	REFUSED(cuLibraryEnumerateKernels, NULL, 1, it.code);
	REFUSED(cuLibraryEnumerateKernels, &kernel, 1, NULL);
	REFUSED(cuLibraryGetModule, NULL, it.code);
	REFUSED(cuLibraryGetModule, &module, NULL);
	REFUSED_AS(cuLinkAddData, cuLinkAddData_v2, NULL, CU_JIT_INPUT_PTX, (void *)ptx_vector,
		   ptx_vector_size, "vector", 0, NULL, NULL);
}

static void kernels(void)
{
	CUlibrary library;
	const char *name;
	CUfunction fn;
	int value;

	REFUSED(cuFuncGetModule, NULL, it.fill);
	REFUSED(cuFuncGetName, NULL, it.fill);
	REFUSED(cuFuncGetName, &name, NULL);
	REFUSED(cuFuncIsLoaded, NULL, it.fill);
	REFUSED(cuFuncLoad, NULL);
	REFUSED(cuKernelGetFunction, NULL, it.kernel);
	REFUSED(cuKernelGetFunction, &fn, NULL);
	REFUSED(cuKernelGetLibrary, NULL, it.kernel);
	REFUSED(cuKernelGetLibrary, &library, NULL);
	REFUSED(cuKernelGetName, NULL, it.kernel);
	REFUSED(cuKernelGetName, &name, NULL);
	REFUSED(cuKernelGetAttribute, NULL, CU_FUNC_ATTRIBUTE_NUM_REGS, it.kernel, 0);
	REFUSED(cuKernelGetAttribute, &value, (CUfunction_attribute)1000, it.kernel, 0);
	REFUSED(cuKernelSetAttribute, CU_FUNC_ATTRIBUTE_NUM_REGS, 1, it.kernel, 0);
	REFUSED(cuKernelSetCacheConfig, it.kernel, (CUfunc_cache)1000, 0);
	REFUSED(cuOccupancyMaxActiveBlocksPerMultiprocessor, NULL, it.fill, 128, 0);
	REFUSED(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &value, it.fill, 128, 0, 64);
	REFUSED(cuOccupancyAvailableDynamicSMemPerBlock, NULL, it.fill, 1, 128);
	REFUSED(cuOccupancyMaxPotentialBlockSize, NULL, &value, it.fill, NULL, 0, 0);
}

static void memory(void)
{
	CUpointer_attribute attribute = CU_POINTER_ATTRIBUTE_CONTEXT;
	CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST, 0};
	CUmemAccess_flags flags;
	CUmemoryPool pool;
	CUdeviceptr base;
	size_t bytes;

	CU(cuDeviceGetMemPool(&pool, 0));
	REFUSED(cuMemGetAddressRange_v2, &base, &bytes, 4096);
	REFUSED(cuMemPoolGetAccess, NULL, pool, &host);
	REFUSED(cuMemPoolGetAccess, &flags, pool, NULL);
	REFUSED(cuMemcpy3DPeer, NULL);
	REFUSED_AS(cuMemcpy3DPeer_ptds, cuMemcpy3DPeer, NULL);
	REFUSED(cuMemcpy3DPeerAsync, NULL, it.s);
	REFUSED_AS(cuMemcpy3DPeerAsync_ptsz, cuMemcpy3DPeerAsync, NULL, it.s);
	REFUSED(cuPointerGetAttributes, 1, &attribute, NULL, it.a);
	REFUSED(cuPointerGetAttributes, 0, &attribute, NULL, it.a);
}

/* An instance of a graph with a fill and a kernel behind it. */
static CUgraphExec make_graph(CUgraph *g, CUgraphNode *fill, CUgraphNode *kernel)
{
	const CUDA_MEMSET_NODE_PARAMS set = {
		.dst = it.a, .elementSize = 4, .width = 64, .height = 1};
	uint32_t n = 64, seed = 1;
	void *params[] = {&it.a, &n, &seed};
	const CUDA_KERNEL_NODE_PARAMS run = {.func = it.fill,
					     .gridDimX = 1,
					     .gridDimY = 1,
					     .gridDimZ = 1,
					     .blockDimX = 64,
					     .blockDimY = 1,
					     .blockDimZ = 1,
					     .kernelParams = params};
	CUgraphExec exec;

	CU(cuGraphCreate(g, 0));
	CU(cuGraphAddMemsetNode(fill, *g, NULL, 0, &set, it.ctx));
	CU(cuGraphAddKernelNode(kernel, *g, fill, 1, &run));
	CU(cuGraphInstantiate(&exec, *g, 0));
	return exec;
}

static void graphs(void)
{
	CUDA_KERNEL_NODE_PARAMS params = {0};
	CUDA_MEMSET_NODE_PARAMS set;
	CUgraphNode fill, kernel, n;
	CUDA_HOST_NODE_PARAMS none = {0};
	CUgraphExec exec, other;
	size_t count = 1;
	CUgraph g;

	exec = make_graph(&g, &fill, &kernel);
	REFUSED(cuGraphAddDependencies_v2, g, &kernel, &kernel, NULL, 1);
	REFUSED(cuGraphAddDependencies_v2, NULL, &fill, &kernel, NULL, 1);
	REFUSED(cuGraphAddHostNode, &n, g, NULL, 0, &none);
	REFUSED(cuGraphAddHostNode, &n, NULL, NULL, 0, &none);
	REFUSED(cuGraphExecKernelNodeSetParams_v2, exec, kernel, NULL);
	REFUSED(cuGraphExecKernelNodeSetParams_v2, exec, NULL, &params);
	REFUSED(cuGraphGetEdges_v2, g, NULL, NULL, NULL, NULL);
	REFUSED(cuGraphGetEdges_v2, g, &n, NULL, NULL, &count);
	REFUSED(cuGraphGetRootNodes, g, &n, NULL);
	REFUSED(cuGraphGetRootNodes, NULL, &n, &count);
	REFUSED(cuGraphInstantiateWithFlags, NULL, g, 0);
	REFUSED(cuGraphInstantiateWithFlags, &other, g, 1ull << 20);
	REFUSED(cuGraphKernelNodeGetParams_v2, kernel, NULL);
	REFUSED(cuGraphKernelNodeGetParams_v2, fill, &params);
	REFUSED(cuGraphKernelNodeSetParams_v2, kernel, NULL);
	REFUSED(cuGraphMemsetNodeGetParams, fill, NULL);
	REFUSED(cuGraphMemsetNodeGetParams, kernel, &set);
	REFUSED(cuGraphNodeFindInClone, &n, kernel, NULL);
	REFUSED(cuGraphNodeFindInClone, NULL, kernel, g);
	REFUSED(cuGraphNodeGetDependencies_v2, kernel, &n, NULL, NULL);
	REFUSED(cuGraphNodeGetDependencies_v2, NULL, &n, NULL, &count);
	REFUSED(cuGraphNodeGetDependentNodes_v2, fill, &n, NULL, NULL);
	REFUSED(cuGraphNodeGetDependentNodes_v2, NULL, &n, NULL, &count);
	REFUSED(cuGraphUpload, NULL, it.s);
	REFUSED(cuGraphExecDestroy, NULL);
	CU(cuGraphLaunch(exec, it.s));
	CU(cuStreamSynchronize(it.s));
	check_filled(it.a, 64, 1, "a graph that has stayed");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
}

int main(void)
{
	it.library = dlopen("libcuda.so.1", RTLD_NOW);
	start();
	CU(cuCtxGetCurrent(&it.ctx));
	it.module = load(ptx_vector);
	it.fill = function(it.module, "fill");
	CU(cuLibraryLoadData(&it.code, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetKernel(&it.kernel, it.code, "fill"));
	CU(cuStreamCreate(&it.s, CU_STREAM_NON_BLOCKING));
	it.a = device_alloc(4096);
	devices();
	contexts();
	streams_and_events();
	captured();
	modules();
	kernels();
	memory();
	graphs();
	CU(cuMemFree(it.a));
	CU(cuStreamDestroy(it.s));
	CU(cuLibraryUnload(it.code));
	finish();
	return 0;
}
