/* SPDX-License-Identifier: MIT */
/*
 * Calls for graphs by every name that a library has for them: earlier revisions, setters of each
 * kind of node, capture in the thread's own stream, user objects. Each does its work, and refuses
 * what it is to refuse.
 */
#define __CUDA_API_VERSION_INTERNAL
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 8 << 10, BYTES = WORDS * 4 };
#define REFUSES(call) WANT(CUDA_ERROR_INVALID_VALUE, call)

static struct {
	CUcontext ctx;
	CUfunction fill;
	CUdeviceptr a, b;
	CUstream s;
	uint32_t n, seed;
	void *params[3];
} it;

static CUDA_KERNEL_NODE_PARAMS_v1 kernel_of(uint32_t seed)
{
	it.n = WORDS;
	it.seed = seed;
	it.params[0] = &it.a;
	it.params[1] = &it.n;
	it.params[2] = &it.seed;
	return (CUDA_KERNEL_NODE_PARAMS_v1){.func = it.fill,
					    .gridDimX = WORDS / 256,
					    .gridDimY = 1,
					    .gridDimZ = 1,
					    .blockDimX = 256,
					    .blockDimY = 1,
					    .blockDimZ = 1,
					    .kernelParams = it.params};
}

static CUDA_MEMCPY3D copy_of(CUdeviceptr from, CUdeviceptr to)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			       .srcDevice = from,
			       .dstDevice = to,
			       .WidthInBytes = BYTES,
			       .Height = 1,
			       .Depth = 1};
}

static CUDA_MEMSET_NODE_PARAMS fill_of(CUdeviceptr at, unsigned int value)
{
	return (CUDA_MEMSET_NODE_PARAMS){
		.dst = at, .value = value, .elementSize = 4, .width = WORDS, .height = 1};
}

static void run(CUgraphExec exec)
{
	CU(cuGraphLaunch(exec, it.s));
	CU(cuStreamSynchronize(it.s));
}

static void want_word(CUdeviceptr at, uint32_t want)
{
	uint32_t got = 0;

	download(&got, at + BYTES - 4, 4);
	CHECK(got == want, "%u, not %u", got, want);
}

static void check_kernel(void)
{
	CUDA_KERNEL_NODE_PARAMS_v1 p = kernel_of(1), got;
	CUgraphExec exec;
	CUgraphNode node;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddKernelNode(&node, g, NULL, 0, &p));
	REFUSES(cuGraphAddKernelNode(&node, g, NULL, 0, NULL));
	CU(cuGraphKernelNodeGetParams(node, &got));
	CHECK(got.func == it.fill && got.gridDimX == WORDS / 256 && got.blockDimX == 256 &&
		      *(uint32_t *)got.kernelParams[2] == 1,
	      "other parameters");
	REFUSES(cuGraphKernelNodeGetParams(node, NULL));
	p = kernel_of(2);
	CU(cuGraphKernelNodeSetParams(node, &p));
	REFUSES(cuGraphKernelNodeSetParams(node, NULL));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	run(exec);
	check_filled(it.a, WORDS, 2, "set in the graph");
	p = kernel_of(3);
	CU(cuGraphExecKernelNodeSetParams(exec, node, &p));
	REFUSES(cuGraphExecKernelNodeSetParams(exec, node, NULL));
	REFUSES(cuGraphExecKernelNodeSetParams(NULL, node, &p));
	run(exec);
	check_filled(it.a, WORDS, 3, "set in the instance");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("kernels: all right\n");
}

static int counted;

static void CUDA_CB count_up(void *by)
{
	counted += *(int *)by;
}

static void check_setters(void)
{
	CUDA_MEMSET_NODE_PARAMS fill = fill_of(it.a, 1), bad;
	CUDA_MEMCPY3D copy = copy_of(it.a, it.b), got;
	int one = 1, ten = 10;
	CUDA_HOST_NODE_PARAMS host = {count_up, &one}, none = {0};
	CUgraphNode f, c, h;
	CUgraphExec exec;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddMemsetNode(&f, g, NULL, 0, &fill, it.ctx));
	CU(cuGraphAddMemcpyNode(&c, g, &f, 1, &copy, it.ctx));
	CU(cuGraphAddHostNode(&h, g, &c, 1, &host));
	CU(cuGraphMemcpyNodeGetParams(c, &got));
	CHECK(got.srcDevice == it.a && got.dstDevice == it.b && got.WidthInBytes == BYTES,
	      "another copy");
	REFUSES(cuGraphMemcpyNodeGetParams(f, &got));
	fill = fill_of(it.a, 2);
	CU(cuGraphMemsetNodeSetParams(f, &fill));
	copy = copy_of(it.a, it.b);
	CU(cuGraphMemcpyNodeSetParams(c, &copy));
	host.userData = &ten;
	CU(cuGraphHostNodeSetParams(h, &host));
	bad = fill;
	bad.elementSize = 3;
	REFUSES(cuGraphMemsetNodeSetParams(f, &bad));
	REFUSES(cuGraphMemcpyNodeSetParams(c, NULL));
	REFUSES(cuGraphHostNodeSetParams(h, &none));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	counted = 0;
	run(exec);
	want_word(it.b, 2);
	CHECK(counted == 10, "counted %d", counted);
	/* In the instance. */
	fill = fill_of(it.b, 7);
	CU(cuGraphExecMemsetNodeSetParams(exec, f, &fill, it.ctx));
	copy = copy_of(it.b, it.a);
	CU(cuGraphExecMemcpyNodeSetParams(exec, c, &copy, it.ctx));
	host.userData = &one;
	CU(cuGraphExecHostNodeSetParams(exec, h, &host));
	REFUSES(cuGraphExecMemsetNodeSetParams(exec, f, &bad, it.ctx));
	REFUSES(cuGraphExecMemcpyNodeSetParams(exec, c, NULL, it.ctx));
	REFUSES(cuGraphExecHostNodeSetParams(exec, h, &none));
	counted = 0;
	run(exec);
	want_word(it.a, 7);
	CHECK(counted == 1, "counted %d", counted);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("setters: all right\n");
}

static void check_edges(void)
{
	CUgraphNode n[3], from[3], to[3];
	size_t count = 3;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	for (int i = 0; i < 3; i++)
		CU(cuGraphAddEmptyNode(&n[i], g, NULL, 0));
	CU(cuGraphAddDependencies(g, n, n + 1, 2));
	REFUSES(cuGraphAddDependencies(g, n, NULL, 1));
	REFUSES(cuGraphGetNodes(NULL, NULL, &count));
	CU(cuGraphGetEdges(g, from, to, &count));
	CHECK(count == 2, "%zu edges", count);
	REFUSES(cuGraphGetEdges(g, from, to, NULL));
	count = 3;
	CU(cuGraphNodeGetDependencies(n[1], from, &count));
	CHECK(count == 1 && from[0] == n[0], "%zu nodes before the second", count);
	REFUSES(cuGraphNodeGetDependencies(NULL, from, &count));
	count = 3;
	CU(cuGraphNodeGetDependentNodes(n[1], to, &count));
	CHECK(count == 1 && to[0] == n[2], "%zu nodes behind the second", count);
	REFUSES(cuGraphNodeGetDependentNodes(n[1], to, NULL));
	CU(cuGraphRemoveDependencies(g, n, n + 1, 1));
	REFUSES(cuGraphRemoveDependencies(g, NULL, n, 1));
	CU(cuGraphGetEdges(g, NULL, NULL, &count));
	CHECK(count == 1, "%zu edges are left", count);
	CU(cuGraphDestroy(g));
	printf("edges: all right\n");
}

static CUgraph one_fill(unsigned int value)
{
	const CUDA_MEMSET_NODE_PARAMS fill = fill_of(it.a, value);
	CUgraphNode node;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddMemsetNode(&node, g, NULL, 0, &fill, it.ctx));
	return g;
}

static void check_instances(void)
{
	CUgraphNodeParams any = {
		.type = CU_GRAPH_NODE_TYPE_MEMSET,
		.memset = {.dst = it.b, .value = 6, .elementSize = 4, .width = WORDS, .height = 1}};
	CUDA_GRAPH_INSTANTIATE_PARAMS p = {0};
	CUgraph g = one_fill(4), other = one_fill(5);
	CUgraphExecUpdateResult result;
	CUgraphNode node;
	CUgraphExec exec[4];
	cuuint64_t flags = 99;
	char log[16];

	CU(cuGraphInstantiate(&exec[0], g, &node, log, sizeof(log)));
	CU(cuGraphInstantiate_v2(&exec[1], g, NULL, NULL, 0));
	CU(cuGraphInstantiateWithParams(&exec[2], g, &p));
	CHECK(p.result_out == CUDA_GRAPH_INSTANTIATE_SUCCESS, "result %d", (int)p.result_out);
	p.flags = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
	CU(cuGraphInstantiateWithParams_ptsz(&exec[3], g, &p));
	REFUSES(cuGraphInstantiate(NULL, g, NULL, NULL, 0));
	REFUSES(cuGraphInstantiate_v2(&exec[0], NULL, NULL, NULL, 0));
	REFUSES(cuGraphInstantiateWithParams(&exec[0], g, NULL));
	REFUSES(cuGraphInstantiateWithParams_ptsz(&exec[0], NULL, &p));
	CU(cuGraphExecGetFlags(exec[3], &flags));
	CHECK(flags == CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH, "flags %llu",
	      (unsigned long long)flags);
	REFUSES(cuGraphExecGetFlags(exec[3], NULL));
	CU(cuGraphUpload_ptsz(exec[0], NULL));
	REFUSES(cuGraphUpload_ptsz(NULL, NULL));
	for (int i = 0; i < 4; i++) {
		CU(cuMemsetD8_v2(it.a, 0, BYTES));
		CU(cuCtxSynchronize());
		CU(cuGraphLaunch_ptsz(exec[i], NULL));
		CU(cuCtxSynchronize());
		want_word(it.a, 4);
	}
	REFUSES(cuGraphLaunch_ptsz(NULL, NULL));
	CU(cuGraphExecUpdate(exec[0], other, &node, &result));
	CHECK(result == CU_GRAPH_EXEC_UPDATE_SUCCESS, "result %d", (int)result);
	run(exec[0]);
	want_word(it.a, 5);
	REFUSES(cuGraphExecUpdate(exec[0], NULL, &node, &result));
	CU(cuGraphAddNode(&node, other, NULL, 0, &any));
	REFUSES(cuGraphAddNode(&node, other, NULL, 0, NULL));
	WANT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
	     cuGraphExecUpdate(exec[0], other, &node, &result));
	for (int i = 0; i < 4; i++)
		CU(cuGraphExecDestroy(exec[i]));
	CU(cuGraphInstantiateWithFlags(&exec[0], other, 0));
	run(exec[0]);
	want_word(it.b, 6);
	CU(cuGraphExecDestroy(exec[0]));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(other));
	printf("instances: all right\n");
}

/* The captured work of a stream, run in it.s; forms of one call are one after the other. */
static void replay(CUgraph g, unsigned int value)
{
	CUgraphExec exec;

	CU(cuMemsetD8_v2(it.a, 0, BYTES));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	run(exec);
	want_word(it.a, value);
	CU(cuGraphExecDestroy(exec));
}

static void check_infos(CUstream s, bool own)
{
	const CUgraphEdgeData *edges;
	const CUgraphNode *deps;
	CUstreamCaptureStatus status[4];
	cuuint64_t id[3] = {0};
	size_t count[2] = {9, 9};
	CUgraph g[2];

	if (own) {
		CU(cuStreamIsCapturing_ptsz(s, &status[0]));
		CU(cuStreamGetCaptureInfo_ptsz(s, &status[1], &id[0]));
		CU(cuStreamGetCaptureInfo_v2_ptsz(s, &status[2], &id[1], &g[0], &deps, &count[0]));
		CU(cuStreamGetCaptureInfo_v3_ptsz(s, &status[3], &id[2], &g[1], &deps, &edges,
						  &count[1]));
		REFUSES(cuStreamIsCapturing_ptsz(s, NULL));
		REFUSES(cuStreamGetCaptureInfo_ptsz(s, NULL, NULL));
		REFUSES(cuStreamGetCaptureInfo_v2_ptsz(s, NULL, NULL, NULL, NULL, NULL));
		REFUSES(cuStreamGetCaptureInfo_v3_ptsz(s, NULL, NULL, NULL, NULL, NULL, NULL));
	} else {
		CU(cuStreamIsCapturing(s, &status[0]));
		CU(cuStreamGetCaptureInfo(s, &status[1], &id[0]));
		CU(cuStreamGetCaptureInfo_v2(s, &status[2], &id[1], &g[0], &deps, &count[0]));
		CU(cuStreamGetCaptureInfo_v3(s, &status[3], &id[2], &g[1], &deps, &edges,
					     &count[1]));
		REFUSES(cuStreamGetCaptureInfo(s, NULL, NULL));
		REFUSES(cuStreamGetCaptureInfo_v2(s, NULL, NULL, NULL, NULL, NULL));
	}
	for (int i = 0; i < 4; i++)
		CHECK(status[i] == CU_STREAM_CAPTURE_STATUS_ACTIVE, "status %d", (int)status[i]);
	CHECK(id[0] && id[0] == id[1] && id[1] == id[2], "numbers differ");
	CHECK(g[0] == g[1] && count[0] == 1 && count[1] == 1, "%zu and %zu nodes", count[0],
	      count[1]);
}

static void check_capture(void)
{
	CUgraph g, to;
	CUgraphNode empty;

	CU(cuStreamBeginCapture(it.s));
	CU(cuMemsetD32Async(it.a, 21, WORDS, it.s));
	check_infos(it.s, false);
	CU(cuStreamEndCapture(it.s, &g));
	replay(g, 21);
	CU(cuGraphDestroy(g));
	/* The thread's own stream. */
	CU(cuStreamBeginCapture_ptsz(NULL));
	CU(cuMemsetD32Async_ptsz(it.a, 22, WORDS, NULL));
	check_infos(NULL, true);
	CU(cuStreamEndCapture_ptsz(NULL, &g));
	replay(g, 22);
	CU(cuGraphDestroy(g));
	/* Without a place for its graph the capture is ended all the same. */
	CU(cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuMemsetD32Async_ptsz(it.a, 23, WORDS, NULL));
	CU(cuStreamEndCapture_ptsz(NULL, NULL));
	CU(cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU(cuMemsetD32Async_ptsz(it.a, 23, WORDS, NULL));
	CU(cuStreamEndCapture_ptsz(NULL, &g));
	replay(g, 23);
	CU(cuGraphDestroy(g));
	CU(cuGraphCreate(&to, 0));
	CU(cuGraphAddEmptyNode(&empty, to, NULL, 0));
	CU(cuStreamBeginCaptureToGraph_ptsz(NULL, to, &empty, NULL, 1,
					    CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuMemsetD32Async_ptsz(it.a, 24, WORDS, NULL));
	CU(cuStreamEndCapture_ptsz(NULL, &g));
	CHECK(g == to, "another graph");
	replay(to, 24);
	CU(cuGraphDestroy(to));
	WANT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture_ptsz(NULL, &g));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(NULL));
	REFUSES(cuStreamBeginCapture_v2_ptsz(NULL, (CUstreamCaptureMode)3));
	REFUSES(cuStreamBeginCaptureToGraph_ptsz(NULL, NULL, NULL, NULL, 0,
						 CU_STREAM_CAPTURE_MODE_GLOBAL));
	printf("capture: all right\n");
}

/* A node between two captured ones, by each of the four names. */
static void check_dependencies(void)
{
	for (int form = 0; form < 4; form++) {
		const bool own = form & 1;
		const CUstream s = own ? NULL : it.s;
		CUstreamCaptureStatus status;
		const CUgraphNode *deps;
		size_t count, edges = 0;
		CUgraphNode mid;
		CUgraph g;
		CUresult wrong;

		CU(own ? cuStreamBeginCapture_v2_ptsz(s, CU_STREAM_CAPTURE_MODE_GLOBAL)
		       : cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
		CU(own ? cuMemsetD32Async_ptsz(it.a, 1, WORDS, s)
		       : cuMemsetD32Async(it.a, 1, WORDS, s));
		CU(own ? cuStreamGetCaptureInfo_v2_ptsz(s, &status, NULL, &g, &deps, &count)
		       : cuStreamGetCaptureInfo_v2(s, &status, NULL, &g, &deps, &count));
		CU(cuGraphAddEmptyNode(&mid, g, deps, count));
		switch (form) {
		case 0:
			CU(cuStreamUpdateCaptureDependencies(s, &mid, 1, 1));
			wrong = cuStreamUpdateCaptureDependencies(s, &mid, 1, 7);
			break;
		case 1:
			CU(cuStreamUpdateCaptureDependencies_ptsz(s, &mid, 1, 1));
			wrong = cuStreamUpdateCaptureDependencies_ptsz(s, &mid, 1, 7);
			break;
		case 2:
			CU(cuStreamUpdateCaptureDependencies_v2(s, &mid, NULL, 1, 1));
			wrong = cuStreamUpdateCaptureDependencies_v2(s, &mid, NULL, 1, 7);
			break;
		default:
			CU(cuStreamUpdateCaptureDependencies_v2_ptsz(s, &mid, NULL, 1, 1));
			wrong = cuStreamUpdateCaptureDependencies_v2_ptsz(s, &mid, NULL, 1, 7);
		}
		WANT(CUDA_ERROR_INVALID_VALUE, wrong);
		CU(own ? cuMemsetD32Async_ptsz(it.a, 31, WORDS, s)
		       : cuMemsetD32Async(it.a, 31, WORDS, s));
		CU(own ? cuStreamEndCapture_ptsz(s, &g) : cuStreamEndCapture(s, &g));
		CU(cuGraphGetEdges(g, NULL, NULL, &edges));
		CHECK(edges == 2, "%zu edges", edges);
		replay(g, 31);
		CU(cuGraphDestroy(g));
	}
	printf("dependencies of a capture: all right\n");
}

/* The driver may call from a thread of its own. */
static void CUDA_CB gone(void *what)
{
	sem_post(what);
}

static bool is_gone(sem_t *ended)
{
	return !sem_trywait(ended);
}

static void check_users(void)
{
	CUgraph g = one_fill(1), copy;
	CUuserObject u;
	CUgraphExec exec;
	sem_t ended;

	sem_init(&ended, 0, 0);
	REFUSES(cuUserObjectCreate(NULL, &ended, gone, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	REFUSES(cuUserObjectCreate(&u, &ended, NULL, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	REFUSES(cuUserObjectCreate(&u, &ended, gone, 0, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	REFUSES(cuUserObjectCreate(&u, &ended, gone, 1, 0));
	CU(cuUserObjectCreate(&u, &ended, gone, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	REFUSES(cuUserObjectRetain(u, 0));
	REFUSES(cuUserObjectRelease(u, 0));
	REFUSES(cuGraphRetainUserObject(g, u, 0, 0));
	REFUSES(cuGraphRetainUserObject(g, u, 1, 2));
	REFUSES(cuGraphRetainUserObject(NULL, u, 1, 0));
	/* The graph has none. */
	if (handles_are_checked())
		REFUSES(cuGraphReleaseUserObject(g, u, 1));
	/* The program's references: 1, 3, none; the graph's: 4, 2, 3. */
	CU(cuUserObjectRetain(u, 2));
	CU(cuGraphRetainUserObject(g, u, 4, 0));
	CU(cuGraphReleaseUserObject(g, u, 2));
	CU(cuGraphRetainUserObject(g, u, 1, CU_GRAPH_USER_OBJECT_MOVE));
	CU(cuUserObjectRelease(u, 2));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	CU(cuGraphClone(&copy, g));
	CU(cuGraphReleaseUserObject(g, u, 3));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(copy));
	run(exec);
	CHECK(!is_gone(&ended), "an object that an instance has is gone");
	CU(cuGraphExecDestroy(exec));
	CHECK(!sem_wait(&ended), "no end");
	CHECK(!is_gone(&ended), "two ends");
	sem_destroy(&ended);
	printf("user objects: all right\n");
}

int main(void)
{
	start();
	CU(cuCtxGetCurrent(&it.ctx));
	it.fill = function(load(ptx_vector), "fill");
	it.a = device_alloc(BYTES);
	it.b = device_alloc(BYTES);
	CU(cuStreamCreate(&it.s, CU_STREAM_NON_BLOCKING));
	check_kernel();
	check_setters();
	check_edges();
	check_instances();
	check_capture();
	check_dependencies();
	check_users();
	CU(cuStreamDestroy_v2(it.s));
	CU(cuMemFree_v2(it.a));
	CU(cuMemFree_v2(it.b));
	finish();
	return 0;
}
