/* SPDX-License-Identifier: MIT */
/*
 * Nodes of graphs by the one structure for all kinds: each kind added, changed
 * in the graph and in its instance, and what is refused.
 */
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 16 << 10, BYTES = WORDS * 4 };

static CUdeviceptr out;
static int calls;

static void CUDA_CB count_call(void *by)
{
	calls += *(int *)by;
}

static CUgraphNodeParams kernel_of(CUfunction fill, void **params)
{
	return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_KERNEL,
				   .kernel = {.func = fill,
					      .gridDimX = WORDS / 256,
					      .gridDimY = 1,
					      .gridDimZ = 1,
					      .blockDimX = 256,
					      .blockDimY = 1,
					      .blockDimZ = 1,
					      .kernelParams = params}};
}

static CUgraphNodeParams copy_of(CUdeviceptr from)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

	CU(cuCtxGetCurrent(&p.memcpy.copyCtx));
	p.memcpy.copyParams = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
					      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
					      .srcDevice = from,
					      .dstDevice = out,
					      .WidthInBytes = BYTES,
					      .Height = 1,
					      .Depth = 1};
	return p;
}

static CUgraphNodeParams fill_of(CUdeviceptr at, unsigned int value)
{
	CUgraphNodeParams p = {
		.type = CU_GRAPH_NODE_TYPE_MEMSET,
		.memset = {
			.dst = at, .value = value, .elementSize = 4, .width = WORDS, .height = 1}};

	CU(cuCtxGetCurrent(&p.memset.ctx));
	return p;
}

static void run(CUgraphExec exec, CUstream s, uint32_t seed, int want)
{
	calls = 0;
	CU(cuMemsetD8Async(out, 0, BYTES, s));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(out, WORDS, seed, "by nodes");
	CHECK(calls == want, "host functions have added %d, not %d", calls, want);
}

/* Memory of the graph, filled by a kernel, copied out and freed; a host
 * function at the end. */
static void check_kinds(CUstream s, CUfunction fill)
{
	CUgraphNodeParams alloc = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC,
				   .alloc = {.poolProps = {.allocType =
								   CU_MEM_ALLOCATION_TYPE_PINNED,
							   .location = {CU_MEM_LOCATION_TYPE_DEVICE,
									0}},
					     .bytesize = BYTES}},
			  empty = {.type = CU_GRAPH_NODE_TYPE_EMPTY}, kernel, copy, release, host;
	uint32_t n = WORDS, seed = 5;
	void *params[] = {&alloc.alloc.dptr, &n, &seed};
	CUgraphNode a, e, k, c, f, h;
	CUgraphNodeType type;
	int one = 1, ten = 10;
	CUgraphExec exec;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddNode(&a, g, NULL, NULL, 0, &alloc));
	CHECK(alloc.alloc.dptr, "no address");
	CU(cuGraphAddNode(&e, g, &a, NULL, 1, &empty));
	kernel = kernel_of(fill, params);
	CU(cuGraphAddNode(&k, g, &e, NULL, 1, &kernel));
	copy = copy_of(alloc.alloc.dptr);
	CU(cuGraphAddNode(&c, g, &k, NULL, 1, &copy));
	release = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEM_FREE,
				      .free = {alloc.alloc.dptr}};
	CU(cuGraphAddNode(&f, g, &c, NULL, 1, &release));
	host = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_HOST, .host = {count_call, &one}};
	CU(cuGraphAddNode(&h, g, &c, NULL, 1, &host));
	CU(cuGraphNodeGetType(f, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_MEM_FREE, "type %d", (int)type);
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec, s, 5, 1);
	/* In the instance only, and then in the graph, for the next instance. */
	seed = 6;
	CU(cuGraphExecNodeSetParams(exec, k, &kernel));
	host.host.userData = &ten;
	CU(cuGraphExecNodeSetParams(exec, h, &host));
	run(exec, s, 6, 10);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec, s, 5, 1);
	CU(cuGraphExecDestroy(exec));
	seed = 7;
	CU(cuGraphNodeSetParams(k, &kernel));
	CU(cuGraphNodeSetParams(h, &host));
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec, s, 7, 10);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("kinds: all right\n");
}

/* A fill, and a copy in a child graph, changed too. */
static void check_copies(CUstream s)
{
	CUdeviceptr from = device_alloc(BYTES), other = device_alloc(BYTES);
	CUgraphNodeParams fill = fill_of(from, 3), copy = copy_of(from), child;
	CUgraphNode f, c, inside;
	uint32_t got;
	CUgraphExec exec;
	CUgraph g, inner;

	CU(cuGraphCreate(&inner, 0));
	CU(cuGraphAddNode(&inside, inner, NULL, NULL, 0, &copy));
	child = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = inner}};
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddNode(&f, g, NULL, NULL, 0, &fill));
	CU(cuGraphAddNode(&c, g, &f, NULL, 1, &child));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&got, out + BYTES - 4, 4);
	CHECK(got == 3, "%u, not 3", got);
	fill = fill_of(from, 4);
	CU(cuGraphExecNodeSetParams(exec, f, &fill));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&got, out + BYTES - 4, 4);
	CHECK(got == 4, "%u, not 4", got);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuMemsetD32Async(other, 9, WORDS, s));
	copy = copy_of(other);
	CU(cuGraphNodeSetParams(inside, &copy));
	CU(cuGraphInstantiate(&exec, inner, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&got, out, 4);
	CHECK(got == 9, "%u, not 9", got);
	copy = copy_of(from);
	CU(cuGraphExecNodeSetParams(exec, inside, &copy));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&got, out, 4);
	CHECK(got == 4, "%u, not 4 again", got);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(inner));
	CU(cuMemFree(from));
	CU(cuMemFree(other));
	printf("copies: all right\n");
}

/* A graph that becomes a node's keeps its handle and its nodes, and goes with the node. */
static void check_moved(CUstream s)
{
	CUgraphNodeParams inside = fill_of(out, 1), p = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
	CUgraph outer, child, got, deep;
	CUgraphNode first, second, node, last, deepest;
	CUgraphExec exec;
	uint32_t value;
	size_t n = 0;

	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphCreate(&child, 0));
	CU(cuGraphCreate(&deep, 0));
	CU(cuGraphAddNode(&first, child, NULL, NULL, 0, &inside));
	p.graph.graph = child;
	p.graph.ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;
	CU(cuGraphAddNode(&node, outer, NULL, NULL, 0, &p));
	CU(cuGraphChildGraphNodeGetGraph(node, &got));
	CHECK(got == child, "the graph inside has another handle");
	/* Its nodes are still to be changed, and it grows. */
	inside = fill_of(out, 7);
	CU(cuGraphNodeSetParams(first, &inside));
	inside = fill_of(out, 9);
	CU(cuGraphAddNode(&second, child, &first, NULL, 1, &inside));
	CU(cuGraphGetNodes(child, NULL, &n));
	CHECK(n == 2, "%zu nodes inside", n);
	/* One graph deeper, into the one inside. */
	inside = fill_of(out, 21);
	CU(cuGraphAddNode(&deepest, deep, NULL, NULL, 0, &inside));
	p.graph.graph = deep;
	CU(cuGraphAddNode(&last, child, &second, NULL, 1, &p));
	CU(cuGraphInstantiate(&exec, outer, 0));
	CU(cuMemsetD8(out, 0, BYTES));
	CU(cuCtxSynchronize());
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&value, out, sizeof(value));
	CHECK(value == 21, "a graph that was moved left %u", value);
	/* Nodes inside are changed in the instantiated graph by their own handles, as XLA does. */
	inside = fill_of(out, 33);
	CU(cuGraphExecNodeSetParams(exec, deepest, &inside));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	download(&value, out, sizeof(value));
	CHECK(value == 33, "changed in the instantiated graph it left %u", value);
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(child));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&last, outer, NULL, NULL, 0, &p));
	p.graph.graph = outer;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&last, outer, NULL, NULL, 0, &p));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&last, child, NULL, NULL, 0, &p));
	p.graph.ownership = (CUgraphChildGraphNodeOwnership)2;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&last, outer, NULL, NULL, 0, &p));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroyNode(node));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuGraphGetNodes(child, NULL, &n));
	CU(cuGraphDestroy(outer));
	printf("graphs that become a node's: all right\n");
}

static void want_edge(CUgraph g, CUgraphNode from, CUgraphNode to, const CUgraphEdgeData *want)
{
	CUgraphEdgeData got[2];
	CUgraphNode a[2], b[2];
	size_t n = 2;

	CU(cuGraphGetEdges(g, a, b, got, &n));
	CHECK(n == 1 && a[0] == from && b[0] == to, "%zu edges, or another", n);
	CHECK(!memcmp(got, want, sizeof(*want)), "an edge of other data");
}

/* An edge by which a kernel may begin before the one before it has ended. */
static void check_edges(CUstream s, CUfunction fill)
{
	const CUgraphEdgeData early = {.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC,
				       .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC},
			      order = {.from_port = CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER},
			      untyped = {.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC},
			      into = {.to_port = 1};
	CUdeviceptr other = device_alloc(BYTES);
	uint32_t n = WORDS, seed = 8;
	CUgraphNodeParams one = kernel_of(fill, (void *[]){&other, &n, &seed}),
			  two = kernel_of(fill, (void *[]){&out, &n, &seed}),
			  set = fill_of(other, 1);
	CUgraphNode a, b, c, got;
	CUgraphEdgeData data;
	CUgraphExec exec;
	size_t count = 1;
	CUgraph g, clone;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddNode(&a, g, NULL, NULL, 0, &one));
	CU(cuGraphAddNode(&b, g, &a, &early, 1, &two));
	want_edge(g, a, b, &early);
	WANT(CUDA_ERROR_LOSSY_QUERY, cuGraphGetEdges(g, &got, &c, NULL, &count));
	CU(cuGraphNodeGetDependencies(b, &got, &data, (count = 1, &count)));
	CHECK(count == 1 && got == a && !memcmp(&data, &early, sizeof(data)), "before it");
	CU(cuGraphNodeGetDependentNodes(a, &got, &data, (count = 1, &count)));
	CHECK(count == 1 && got == b && !memcmp(&data, &early, sizeof(data)), "behind it");
	WANT(CUDA_ERROR_LOSSY_QUERY, cuGraphNodeGetDependencies(b, &got, NULL, &count));
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec, s, 8, 0);
	check_filled(other, WORDS, 8, "by the node before");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphClone(&clone, g));
	CU(cuGraphInstantiate(&exec, clone, 0));
	run(exec, s, 8, 0);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(clone));
	CU(cuGraphRemoveDependencies(g, &a, &b, &early, 1));
	CU(cuGraphAddDependencies(g, &a, &b, &order, 1));
	want_edge(g, a, b, &order);
	CU(cuGraphAddNode(&c, g, NULL, NULL, 0, &set));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(g, &c, &b, &early, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(g, &b, &c, &early, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(g, &b, &c, &untyped, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(g, &b, &c, &into, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&got, g, &b, &early, 1, &set));
	CU(cuGraphGetNodes(g, NULL, &count));
	CHECK(count == 3, "%zu nodes", count);
	CU(cuGraphDestroy(g));
	CU(cuMemFree(other));
	printf("edges: all right\n");
}

static void check_refused(void)
{
	CUgraphNodeParams p = fill_of(out, 1), bad;
	CUgraphEdgeData edge = {.from_port = 1}, flat = {0};
	CUgraphExec exec;
	CUgraphNode n, m;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(NULL, g, NULL, NULL, 0, &p));
	bad = p;
	bad.reserved0[1] = 1;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, &bad));
	bad = p;
	bad.reserved2 = 1;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, &bad));
	bad = p;
	bad.type = (CUgraphNodeType)99;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, &bad));
	bad.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, &bad));
	bad = p;
	bad.memset.width = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&n, g, NULL, NULL, 0, &bad));
	CU(cuGraphAddNode(&n, g, NULL, NULL, 0, &p));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&m, g, &n, &edge, 1, &p));
	CU(cuGraphAddNode(&m, g, &n, &flat, 1, &p));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeSetParams(n, NULL));
	bad = (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_EMPTY};
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphNodeSetParams(n, &bad));
	CU(cuGraphInstantiate(&exec, g, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecNodeSetParams(exec, n, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecNodeSetParams(exec, n, &bad));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("wrong arguments are refused\n");
}

int main(void)
{
	CUfunction fill;
	CUstream s;

	start();
	fill = function(load(ptx_vector), "fill");
	out = device_alloc(BYTES);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_kinds(s, fill);
	check_copies(s);
	check_moved(s);
	check_edges(s, fill);
	check_refused();
	CU(cuStreamDestroy(s));
	CU(cuMemFree(out));
	finish();
	return 0;
}
