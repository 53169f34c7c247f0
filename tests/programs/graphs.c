/* SPDX-License-Identifier: MIT */
/*
 * Graphs and capture: what is captured runs at each launch with the memory that it named, in the
 * order of its edges; wrong arguments and wrong uses of streams that are captured are refused.
 * With a number as argument: so many launches of a graph of 100 kernels.
 */
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 4096, BYTES = WORDS * 4 };

static CUfunction fill;

static void launch(CUstream s, CUdeviceptr p, uint32_t seed)
{
	uint32_t n = WORDS;

	LAUNCH(fill, WORDS / 256, 256, 0, s, &p, &n, &seed);
}

static void clear(CUdeviceptr p)
{
	CU(cuMemsetD32(p, 0, WORDS));
	CU(cuCtxSynchronize());
}

static size_t nodes_of(CUgraph g)
{
	size_t n = 0;

	CU(cuGraphGetNodes(g, NULL, &n));
	return n;
}

/* One stream: kernel, copy, memset. */
static void check_line(CUstream s)
{
	CUdeviceptr a = device_alloc(BYTES), b = device_alloc(BYTES);
	CUstreamCaptureStatus status;
	CUgraphExec exec;
	cuuint64_t id = 0;
	uint32_t word;
	CUgraph g;

	CU(cuStreamIsCapturing(s, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE, "captured at first");
	clear(a);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuStreamIsCapturing(s, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE, "not captured");
	launch(s, a, 3);
	CU(cuMemcpyDtoDAsync(b, a, BYTES, s));
	CU(cuMemsetD32Async(a, 9, 1, s));
	CU(cuStreamGetCaptureInfo(s, &status, &id, NULL, NULL, NULL, NULL));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE && id, "the capture has no number");
	CU(cuStreamEndCapture(s, &g));
	CU(cuStreamIsCapturing(s, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE, "captured after the end");
	download(&word, a, 4);
	CHECK(!word, "a capture ran its kernel");
	CHECK(nodes_of(g) == 3, "%zu nodes", nodes_of(g));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphDestroy(g));
	for (int round = 0; round < 3; round++) {
		CU(cuMemsetD32Async(b, 0, WORDS, s));
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_filled(b, WORDS, 3, "a captured copy");
		download(&word, a, 4);
		CHECK(word == 9, "a captured memset: %u", word);
	}
	CU(cuGraphUpload(exec, s));
	CU(cuGraphExecDestroy(exec));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(exec, s));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(g));
	CU(cuMemFree(a));
	CU(cuMemFree(b));
	printf("one stream: all right\n");
}

/* Two streams, forked and joined by events. */
static void check_fork(CUstream s, CUstream t)
{
	CUdeviceptr a = device_alloc(BYTES), b = device_alloc(BYTES), c = device_alloc(BYTES);
	CUstreamCaptureStatus status;
	CUgraphExec exec;
	CUevent fork, join;
	CUgraph g;
	size_t edges = 0, roots = 0;

	CU(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	CU(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	launch(s, a, 1);
	CU(cuEventRecord(fork, s));
	CU(cuStreamWaitEvent(t, fork, 0));
	CU(cuStreamIsCapturing(t, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE, "the second stream is not captured");
	CU(cuMemcpyDtoDAsync(b, a, BYTES, t));
	launch(s, c, 2);
	CU(cuEventRecord(join, t));
	CU(cuStreamWaitEvent(s, join, 0));
	CU(cuMemcpyDtoDAsync(a, b, BYTES, s));
	CU(cuStreamEndCapture(s, &g));
	CU(cuStreamIsCapturing(t, &status));
	CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE, "the second stream is still captured");
	CU(cuGraphGetEdges(g, NULL, NULL, NULL, &edges));
	CU(cuGraphGetRootNodes(g, NULL, &roots));
	CHECK(nodes_of(g) == 4 && edges == 4 && roots == 1, "%zu nodes, %zu edges, %zu roots",
	      nodes_of(g), edges, roots);
	CU(cuGraphInstantiate(&exec, g, 0));
	clear(a);
	clear(b);
	CU(cuGraphLaunch(exec, t));
	CU(cuStreamSynchronize(t));
	check_filled(a, WORDS, 1, "behind the join");
	check_filled(c, WORDS, 2, "beside the fork");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuEventDestroy(fork));
	CU(cuEventDestroy(join));
	CU(cuMemFree(a));
	CU(cuMemFree(b));
	CU(cuMemFree(c));
	printf("two streams: all right\n");
}

static void end_invalid(CUstream s, CUresult want)
{
	CUgraph g = (CUgraph)&g;

	WANT(want, cuStreamEndCapture(s, &g));
	CHECK(!g, "a failed capture gives a graph");
}

/* Host memory that is given back waits for all other streams, and is nothing to a relaxed capture.
 */
static void check_frees(CUstream s, CUstream t, CUdeviceptr p)
{
	char *pinned, *own = host_alloc(BYTES);
	CUdeviceptr managed = 0;
	CUgraph g;
	int has;

	CU(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
	CU(cuMemHostAlloc((void **)&pinned, BYTES, 0));
	CU(cuMemHostRegister(own, BYTES, 0));
	if (has)
		CU(cuMemAllocManaged(&managed, BYTES, CU_MEM_ATTACH_GLOBAL));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	launch(s, p, 1);
	CU(cuMemcpyDtoHAsync(pinned, p, BYTES, t));
	CU(cuMemFreeHost(pinned));
	CU(cuMemcpyDtoHAsync(own, p, BYTES, t));
	CU(cuMemHostUnregister(own));
	launch(t, p, 2);
	if (has)
		CU(cuMemFree(managed));
	CU(cuStreamEndCapture(s, &g));
	CHECK(nodes_of(g) == 1, "%zu nodes", nodes_of(g));
	CU(cuGraphDestroy(g));
	free(own);
}

/* A capture ends with the stream, or the context, in which it began. */
static void check_gone(CUdeviceptr p)
{
	CUcontext before, own;
	CUdeviceptr q;
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	launch(s, p, 1);
	CU(cuStreamDestroy(s));
	CU(cuCtxGetCurrent(&before));
	CU(cuCtxCreate(&own, NULL, 0, 0));
	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuCtxDestroy(own));
	CU(cuCtxSetCurrent(before));
	/* None of these is allowed while there is a capture. */
	CU(cuMemsetD8Async(p, 0, 1, CU_STREAM_LEGACY));
	CU(cuCtxSynchronize());
	CU(cuMemAlloc(&q, 4));
	CU(cuMemFree(q));
}

static void CUDA_CB no_callback(CUstream s, CUresult status, void *arg)
{
	FAIL("a callback that was refused runs");
}

/* The legacy stream, while one that waits for it is captured: from the beginning, or as one that
 * has joined. */
static void check_implied(CUstream s, CUstream blocking, CUevent e, CUdeviceptr p)
{
	CU(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
	WANT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD8Async(p, 0, 1, CU_STREAM_LEGACY));
	end_invalid(blocking, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuEventRecord(e, s));
	CU(cuStreamWaitEvent(blocking, e, 0));
	WANT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD8Async(p, 0, 1, CU_STREAM_LEGACY));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

static void check_wrong(CUstream s, CUstream t)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CUdeviceptr p = device_alloc(BYTES), q;
	CUevent e, other;
	CUstream blocking;
	CUgraph g;

	CU(cuEventCreate(&e, 0));
	CU(cuEventCreate(&other, 0));
	CU(cuStreamCreate(&blocking, 0));
	WANT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(s, &g));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamBeginCapture(s, (CUstreamCaptureMode)3));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
	     cuStreamBeginCapture(CU_STREAM_LEGACY, CU_STREAM_CAPTURE_MODE_GLOBAL));
	/* Twice; waiting for it; a call that may wait. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_ILLEGAL_STATE, cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(s));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&q, 4));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxSynchronize());
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamAddCallback(s, no_callback, NULL, 0));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	/* In relaxed mode, of the capture or the thread, an allocation is allowed. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuMemAlloc(&q, 4));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphDestroy(g));
	CU(cuMemFree(q));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuThreadExchangeStreamCaptureMode(&mode));
	CU(cuMemAlloc(&q, 4));
	CU(cuThreadExchangeStreamCaptureMode(&mode));
	CU(cuStreamEndCapture(s, &g));
	CHECK(!nodes_of(g), "an empty capture has nodes");
	CU(cuGraphDestroy(g));
	CU(cuMemFree(q));
	check_frees(s, t, p);
	/* A stream that is not joined; one that ends what it did not begin. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuEventRecord(e, s));
	CU(cuStreamWaitEvent(t, e, 0));
	launch(t, p, 1);
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuEventRecord(e, s));
	CU(cuStreamWaitEvent(t, e, 0));
	launch(t, p, 1);
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(t, &g));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	/* An event that was recorded outside. */
	CU(cuEventRecord(other, t));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(s, other, 0));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	/* Two captures. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuStreamBeginCapture(t, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuEventRecord(e, s));
	WANT(CUDA_ERROR_STREAM_CAPTURE_MERGE, cuStreamWaitEvent(t, e, 0));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	end_invalid(t, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	check_implied(s, blocking, e, p);
	/* An event of a capture is no event to wait for. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuEventRecord(e, s));
	WANT(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(e));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU(cuEventRecord(e, s));
	CU(cuEventSynchronize(e));
	CU(cuEventDestroy(e));
	CU(cuEventDestroy(other));
	CU(cuStreamDestroy(blocking));
	check_gone(p);
	CU(cuMemFree(p));
	printf("wrong uses: all right\n");
}

static void CUDA_CB count_up(void *arg)
{
	++*(int *)arg;
}

/* Destroyed nodes, and those of other graphs, have no copy in a clone. */
static void check_clones(CUgraph other)
{
	CUgraphNode a, b, found = NULL;
	CUgraph g, clone;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddEmptyNode(&a, g, NULL, 0));
	CU(cuGraphAddEmptyNode(&b, g, NULL, 0));
	CU(cuGraphClone(&clone, g));
	CU(cuGraphNodeFindInClone(&found, a, clone));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeFindInClone(&found, found, clone));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeFindInClone(&found, a, other));
	CU(cuGraphNodeFindInClone(&found, a, clone));
	CU(cuGraphDestroyNode(found));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeFindInClone(&found, a, clone));
	CU(cuGraphDestroyNode(b));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeFindInClone(&found, b, clone));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(g));
}

/* Nodes added by hand, of all kinds, and changed. */
static void check_nodes(CUstream s)
{
	CUdeviceptr a = device_alloc(BYTES), b = device_alloc(BYTES);
	uint32_t n = WORDS, seed = 4, other = 5;
	void *params[] = {&a, &n, &seed}, *changed[] = {&a, &n, &other};
	CUDA_KERNEL_NODE_PARAMS kernel = {.func = fill,
					  .gridDimX = WORDS / 256,
					  .gridDimY = 1,
					  .gridDimZ = 1,
					  .blockDimX = 256,
					  .blockDimY = 1,
					  .blockDimZ = 1,
					  .kernelParams = params},
				got;
	CUDA_MEMSET_NODE_PARAMS set = {.dst = b, .elementSize = 4, .width = WORDS, .height = 1},
				got_set;
	CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			      .srcDevice = a,
			      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			      .dstDevice = b,
			      .WidthInBytes = BYTES,
			      .Height = 1,
			      .Depth = 1};
	int counted = 0;
	CUDA_HOST_NODE_PARAMS host = {count_up, &counted}, got_host;
	CUgraphNode k, m, c, h, e, nodes[8];
	CUgraphExecUpdateResultInfo info;
	CUgraphExec exec;
	CUgraphNodeType type;
	CUgraph g, clone;
	CUcontext ctx;
	size_t count;

	CU(cuCtxGetCurrent(&ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphCreate(&g, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphCreate(NULL, 0));
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddMemsetNode(&m, g, NULL, 0, &set, ctx));
	CU(cuGraphAddKernelNode(&k, g, &m, 1, &kernel));
	CU(cuGraphAddMemcpyNode(&c, g, &k, 1, &copy, ctx));
	CU(cuGraphAddHostNode(&h, g, &c, 1, &host));
	CU(cuGraphAddEmptyNode(&e, g, (CUgraphNode[]){k, h}, 2));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(&e, g, NULL, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(NULL, g, NULL, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddKernelNode(&k, g, NULL, 0, NULL));
	kernel.gridDimX = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddKernelNode(&k, g, NULL, 0, &kernel));
	kernel.gridDimX = WORDS / 256;
	set.dst = 0x1000;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemsetNode(&m, g, NULL, 0, &set, ctx));
	set.dst = b;
	copy.WidthInBytes = (size_t)1 << 30;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemcpyNode(&c, g, NULL, 0, &copy, ctx));
	copy.WidthInBytes = BYTES;
	count = 8;
	CU(cuGraphGetNodes(g, nodes, &count));
	CHECK(count == 5, "%zu nodes", count);
	CU(cuGraphNodeGetType(k, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_KERNEL, "type %d", (int)type);
	CU(cuGraphNodeGetType(e, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_EMPTY, "type %d", (int)type);
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeGetType(NULL, &type));
	count = 8;
	CU(cuGraphNodeGetDependencies(e, nodes, NULL, &count));
	CHECK(count == 2 && !nodes[2], "%zu dependencies", count);
	count = 8;
	CU(cuGraphNodeGetDependentNodes(k, nodes, NULL, &count));
	CHECK(count == 2, "%zu dependent nodes", count);
	CU(cuGraphKernelNodeGetParams(k, &got));
	CHECK(got.func == fill && got.gridDimX == WORDS / 256 && got.blockDimX == 256 &&
		      *(uint32_t *)got.kernelParams[2] == 4 &&
		      *(CUdeviceptr *)got.kernelParams[0] == a,
	      "a kernel node's parameters");
	CU(cuGraphMemsetNodeGetParams(m, &got_set));
	CHECK(got_set.dst == b && got_set.width == WORDS && got_set.elementSize == 4, "a memset's");
	CU(cuGraphHostNodeGetParams(h, &got_host));
	CHECK(got_host.fn == count_up && got_host.userData == &counted, "a host node's");
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphHostNodeGetParams(k, &got_host));
	CU(cuGraphClone(&clone, g));
	CU(cuGraphNodeFindInClone(&nodes[0], k, clone));
	check_clones(g);
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	CHECK(counted == 2, "the host node ran %d times", counted);
	check_filled(b, WORDS, 4, "nodes by hand");
	/* The instantiated graph is changed, the graph is not; then the other way round. */
	kernel.kernelParams = changed;
	CU(cuGraphExecKernelNodeSetParams(exec, k, &kernel));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(b, WORDS, 5, "a changed node");
	CU(cuGraphExecUpdate(exec, g, &info));
	CHECK(info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS, "update: %d", (int)info.result);
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(b, WORDS, 4, "an updated graph");
	CU(cuGraphKernelNodeSetParams(nodes[0], &kernel));
	CU(cuGraphExecUpdate(exec, clone, &info));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(b, WORDS, 5, "an update from a clone");
	CU(cuGraphRemoveDependencies(g, &h, &e, NULL, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphRemoveDependencies(g, &h, &e, NULL, 1));
	CU(cuGraphAddDependencies(g, &c, &e, NULL, 1));
	CU(cuGraphDestroyNode(h));
	CHECK(nodes_of(g) == 4, "%zu nodes after one is destroyed", nodes_of(g));
	WANT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec, g, &info));
	CHECK(info.result == CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, "update: %d",
	      (int)info.result);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(g));
	CU(cuMemFree(a));
	CU(cuMemFree(b));
	printf("nodes: all right\n");
}

/* A library's kernel in place of a function. */
static void check_kernel_of_library(CUstream s)
{
	CUdeviceptr a = device_alloc(BYTES);
	uint32_t n = WORDS, seed = 21, other = 22;
	void *params[] = {&a, &n, &seed}, *changed[] = {&a, &n, &other};
	CUDA_KERNEL_NODE_PARAMS p = {.gridDimX = WORDS / 256,
				     .gridDimY = 1,
				     .gridDimZ = 1,
				     .blockDimX = 256,
				     .blockDimY = 1,
				     .blockDimZ = 1,
				     .kernelParams = params},
				got;
	CUgraphExec exec;
	CUlibrary lib;
	CUgraphNode k;
	CUfunction f;
	CUgraph g, captured;
	size_t count;

	CU(cuLibraryLoadData(&lib, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuGraphCreate(&g, 0));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuGraphAddKernelNode(&k, g, NULL, 0, &p));
	CU(cuLibraryGetKernel(&p.kern, lib, "fill"));
	/* Captured, before anybody has asked for its function. */
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	LAUNCH((CUfunction)p.kern, WORDS / 256, 256, 0, s, &a, &n, &seed);
	CU(cuStreamEndCapture(s, &captured));
	count = 1;
	CU(cuGraphGetNodes(captured, &k, &count));
	CU(cuGraphKernelNodeGetParams(k, &got));
	CHECK((got.func || got.kern) && got.gridDimX == WORDS / 256,
	      "a captured kernel's parameters");
	CU(cuGraphDestroy(captured));
	CU(cuKernelGetFunction(&f, p.kern));
	CU(cuGraphAddKernelNode(&k, g, NULL, 0, &p));
	CU(cuGraphKernelNodeGetParams(k, &got));
	CHECK(got.func == f && *(uint32_t *)got.kernelParams[2] == 21, "another kernel");
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(a, WORDS, 21, "a library's kernel");
	p.kernelParams = changed;
	CU(cuGraphExecKernelNodeSetParams(exec, k, &p));
	CU(cuGraphKernelNodeSetParams(k, &p));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(a, WORDS, 22, "a library's kernel, changed");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuLibraryUnload(lib));
	CU(cuMemFree(a));
	printf("a library's kernel: all right\n");
}

/* A captured host function, in a graph that is a node of another; a launch into a capture, which is
 * refused; a capture into a graph that is there. */
static void check_nested(CUstream s)
{
	CUdeviceptr a = device_alloc(BYTES);
	CUgraph g, outer, to;
	CUgraphExec exec, nested;
	CUgraphNode child, empty;
	int counted = 0;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	launch(s, a, 6);
	CU(cuLaunchHostFunc(s, count_up, &counted));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuGraphLaunch(exec, s));
	end_invalid(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CHECK(!counted, "captured host functions ran");
	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphAddChildGraphNode(&child, outer, NULL, 0, g));
	CU(cuGraphInstantiate(&nested, outer, 0));
	clear(a);
	for (int i = 0; i < 5; i++)
		CU(cuGraphLaunch(nested, s));
	CU(cuStreamSynchronize(s));
	CHECK(counted == 5, "a captured host function ran %d times", counted);
	check_filled(a, WORDS, 6, "a graph in a graph");
	CU(cuGraphExecDestroy(nested));
	CU(cuGraphDestroy(outer));
	CU(cuGraphCreate(&to, 0));
	CU(cuGraphAddEmptyNode(&empty, to, NULL, 0));
	CU(cuStreamBeginCaptureToGraph(s, to, &empty, NULL, 1, CU_STREAM_CAPTURE_MODE_GLOBAL));
	launch(s, a, 7);
	CU(cuStreamEndCapture(s, &outer));
	CHECK(outer == to && nodes_of(to) == 2, "a capture to a graph: %zu nodes", nodes_of(to));
	CU(cuGraphInstantiate(&nested, to, 0));
	CU(cuGraphLaunch(nested, s));
	CU(cuStreamSynchronize(s));
	check_filled(a, WORDS, 7, "a capture to a graph");
	CU(cuGraphExecDestroy(nested));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(to));
	CU(cuMemFree(a));
	printf("nested: all right\n");
}

static void launch_many(CUstream s, size_t rounds)
{
	CUdeviceptr a = device_alloc(BYTES);
	CUgraphExec exec;
	CUgraph g;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (uint32_t i = 0; i < 100; i++)
		launch(s, a, i);
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphInstantiate(&exec, g, 0));
	for (size_t i = 0; i < rounds; i++)
		CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(a, WORDS, 99, "a hundred kernels");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuMemFree(a));
	printf("%zu launches: all right\n", rounds);
}

int main(int argc, char **argv)
{
	CUstream s, t;

	start();
	fill = function(load(ptx_vector), "fill");
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	if (argc == 1) {
		check_line(s);
		check_fork(s, t);
		check_wrong(s, t);
		check_nodes(s);
		check_kernel_of_library(s);
		check_nested(s);
	}
	launch_many(s, argument(argc, argv, 1, 20));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(t));
	finish();
	return 0;
}
