/* SPDX-License-Identifier: MIT */
/*
 * Launch attributes of kernels' nodes, nodes that an instance leaves out, graphs inside of graphs,
 * and the text for Graphviz: each with what it is to refuse.
 */
#include "tests/programs/common.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

PTX(ptx_vector);

enum { WORDS = 8 << 10, BYTES = WORDS * 4 };
#define REFUSES(call) WANT(CUDA_ERROR_INVALID_VALUE, call)

static struct {
	CUcontext ctx;
	CUfunction fill;
	CUdeviceptr a, b;
	CUstream s;
} it;

/* A kernel that fills a with numbers from seed on. */
static CUgraphNode add_kernel(CUgraph g, const CUgraphNode *behind, uint32_t seed)
{
	uint32_t n = WORDS;
	void *params[] = {&it.a, &n, &seed};
	const CUDA_KERNEL_NODE_PARAMS p = {.func = it.fill,
					   .gridDimX = WORDS / 256,
					   .gridDimY = 1,
					   .gridDimZ = 1,
					   .blockDimX = 256,
					   .blockDimY = 1,
					   .blockDimZ = 1,
					   .kernelParams = params};
	CUgraphNode node;

	CU(cuGraphAddKernelNode(&node, g, behind, behind != NULL, &p));
	return node;
}

static CUgraphNode add_copy(CUgraph g, const CUgraphNode *behind)
{
	const CUDA_MEMCPY3D p = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
				 .dstMemoryType = CU_MEMORYTYPE_DEVICE,
				 .srcDevice = it.a,
				 .dstDevice = it.b,
				 .WidthInBytes = BYTES,
				 .Height = 1,
				 .Depth = 1};
	CUgraphNode node;

	CU(cuGraphAddMemcpyNode(&node, g, behind, behind != NULL, &p, it.ctx));
	return node;
}

static CUgraphNode add_fill(CUgraph g, const CUgraphNode *behind, CUdeviceptr at,
			    unsigned int value)
{
	const CUDA_MEMSET_NODE_PARAMS p = {
		.dst = at, .value = value, .elementSize = 4, .width = WORDS, .height = 1};
	CUgraphNode node;

	CU(cuGraphAddMemsetNode(&node, g, behind, behind != NULL, &p, it.ctx));
	return node;
}

static void run(CUgraphExec exec)
{
	CU(cuGraphLaunch(exec, it.s));
	CU(cuStreamSynchronize(it.s));
}

static void want_word(CUdeviceptr at, uint32_t want, const char *what)
{
	uint32_t got = 0;

	download(&got, at + BYTES - 4, 4);
	CHECK(got == want, "%s: %u, not %u", what, got, want);
}

/* ---- attributes ---- */

static void want_values(CUgraphNode node, int priority, int cooperative, size_t window)
{
	CUkernelNodeAttrValue v;

	memset(&v, 0xff, sizeof(v));
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	CHECK(v.priority == priority, "priority %d, not %d", v.priority, priority);
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v));
	CHECK(v.cooperative == cooperative, "cooperative %d", v.cooperative);
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
	CHECK(v.accessPolicyWindow.num_bytes == window, "a window of %zu bytes, not %zu",
	      v.accessPolicyWindow.num_bytes, window);
	CHECK(!window || v.accessPolicyWindow.base_ptr == (void *)(uintptr_t)it.a,
	      "a window elsewhere");
}

static void set(CUgraphNode node, CUkernelNodeAttrID id, CUkernelNodeAttrValue v)
{
	CU(cuGraphKernelNodeSetAttribute(node, id, &v));
}

static CUkernelNodeAttrValue window(CUdeviceptr at, size_t bytes)
{
	return (CUkernelNodeAttrValue){
		.accessPolicyWindow = {.base_ptr = (void *)(uintptr_t)at,
				       .num_bytes = bytes,
				       .hitRatio = 0.5f,
				       .hitProp = CU_ACCESS_PROPERTY_PERSISTING,
				       .missProp = CU_ACCESS_PROPERTY_STREAMING}};
}

/* What is documented nowhere: the same on both ways. */
static void say(const char *what, CUresult r)
{
	printf("%s: %s\n", what, result_name(r));
}

/* Values of hints. */
static void check_hints(CUgraphNode node)
{
	CUkernelNodeAttrValue v;

	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP, &v));
	printf("map of domains: %u %u\n", v.memSyncDomainMap.default_, v.memSyncDomainMap.remote);
	set(node, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
	    (CUkernelNodeAttrValue){.memSyncDomain = CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE});
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, &v));
	CHECK(v.memSyncDomain == CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE, "another domain");
	set(node, CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
	    (CUkernelNodeAttrValue){.sharedMemCarveout = 50});
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
					 &v));
	CHECK(v.sharedMemCarveout == 50, "a carveout of %u", v.sharedMemCarveout);
	set(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
	    (CUkernelNodeAttrValue){.clusterDim = {1, 1, 1}});
	v = (CUkernelNodeAttrValue){.memSyncDomain = (CUlaunchMemSyncDomain)7};
	say("domain 7",
	    cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, &v));
	v = (CUkernelNodeAttrValue){.sharedMemCarveout = 101};
	say("carveout 101",
	    cuGraphKernelNodeSetAttribute(
		    node, CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, &v));
}

static void check_refused(CUgraph g, CUgraphNode kernel)
{
	CUgraphNode copy = add_copy(g, NULL);
	CUkernelNodeAttrValue v = {.priority = -1};

	REFUSES(cuGraphKernelNodeGetAttribute(copy, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	REFUSES(cuGraphKernelNodeSetAttribute(copy, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	REFUSES(cuGraphKernelNodeCopyAttributes(copy, kernel));
	REFUSES(cuGraphKernelNodeCopyAttributes(kernel, copy));
	/* Those of streams and of launches alone. */
	REFUSES(cuGraphKernelNodeSetAttribute(kernel, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
					      &v));
	REFUSES(cuGraphKernelNodeGetAttribute(kernel, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT, &v));
	CU(cuGraphDestroyNode(copy));
}

/* More blocks than can run at a time. */
static void check_too_large(CUgraph g)
{
	uint32_t n = WORDS, seed = 0;
	void *params[] = {&it.a, &n, &seed};
	const CUDA_KERNEL_NODE_PARAMS p = {.func = it.fill,
					   .gridDimX = 1 << 20,
					   .gridDimY = 1,
					   .gridDimZ = 1,
					   .blockDimX = 256,
					   .blockDimY = 1,
					   .blockDimZ = 1,
					   .kernelParams = params};
	CUkernelNodeAttrValue v = {.cooperative = 1};
	CUgraphNode node;

	CU(cuGraphAddKernelNode(&node, g, NULL, 0, &p));
	say("too many blocks",
	    cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v));
	CU(cuGraphDestroyNode(node));
}

static void check_attributes(void)
{
	CUgraphNode one, two, in_clone;
	CUgraph g, clone;
	CUgraphExec exec;

	CU(cuGraphCreate(&g, 0));
	one = add_kernel(g, NULL, 1);
	two = add_kernel(g, &one, 2);
	want_values(one, 0, 0, 0);
	set(one, CU_LAUNCH_ATTRIBUTE_PRIORITY, (CUkernelNodeAttrValue){.priority = -2});
	set(one, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, (CUkernelNodeAttrValue){.cooperative = 1});
	set(one, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, window(it.a, BYTES));
	check_hints(one);
	want_values(one, -2, 1, BYTES);
	want_values(two, 0, 0, 0);
	CU(cuGraphKernelNodeCopyAttributes(two, one));
	want_values(two, -2, 1, BYTES);
	set(two, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, window(it.a, 0));
	want_values(one, -2, 1, BYTES);
	check_refused(g, one);
	check_too_large(g);
	want_values(one, -2, 1, BYTES);
	/* A clone has them, and does not follow. */
	CU(cuGraphClone(&clone, g));
	CU(cuGraphNodeFindInClone(&in_clone, one, clone));
	set(one, CU_LAUNCH_ATTRIBUTE_PRIORITY, (CUkernelNodeAttrValue){.priority = 0});
	want_values(in_clone, -2, 1, BYTES);
	CU(cuGraphInstantiate(&exec, clone, 0));
	run(exec);
	check_filled(it.a, WORDS, 2, "a kernel with attributes");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(g));
	printf("attributes: all right\n");
}

/* Those of a captured launch are its node's. */
static void check_captured(void)
{
	uint32_t n = WORDS, seed = 4;
	void *params[] = {&it.a, &n, &seed};
	CUlaunchAttribute attr = {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY, .value = {.priority = -1}};
	CUlaunchConfig config = {.gridDimX = WORDS / 256,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 256,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = it.s,
				 .attrs = &attr,
				 .numAttrs = 1};
	CUgraphNode node;
	size_t count = 1;
	CUgraph g;

	CU(cuStreamBeginCapture(it.s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuLaunchKernelEx(&config, it.fill, params, NULL));
	CU(cuStreamEndCapture(it.s, &g));
	CU(cuGraphGetNodes(g, &node, &count));
	CHECK(count == 1, "%zu nodes", count);
	want_values(node, -1, 0, 0);
	CU(cuGraphDestroy(g));
	printf("captured: all right\n");
}

/* ---- nodes that are left out ---- */

static void want_enabled(CUgraphExec exec, CUgraphNode node, unsigned int want)
{
	unsigned int got = 7;

	CU(cuGraphNodeGetEnabled(exec, node, &got));
	CHECK(got == want, "enabled %u, not %u", got, want);
}

static void check_enabled(void)
{
	CUgraphNode kernel, copy, fill, empty;
	CUgraphExec exec;
	unsigned int on;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	fill = add_fill(g, NULL, it.a, 7);
	copy = add_copy(g, &fill);
	kernel = add_kernel(g, &copy, 3);
	CU(cuGraphAddEmptyNode(&empty, g, &kernel, 1));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuMemsetD32Async(it.b, 0, WORDS, it.s));
	want_enabled(exec, kernel, 1);
	CU(cuGraphNodeSetEnabled(exec, kernel, 0));
	want_enabled(exec, kernel, 0);
	want_enabled(exec, copy, 1);
	run(exec);
	want_word(it.a, 7, "without its kernel");
	want_word(it.b, 7, "without its kernel");
	CU(cuGraphNodeSetEnabled(exec, kernel, 1));
	CU(cuGraphNodeSetEnabled(exec, copy, 0));
	CU(cuGraphNodeSetEnabled(exec, fill, 0));
	CU(cuMemsetD32Async(it.b, 1, WORDS, it.s));
	run(exec);
	check_filled(it.a, WORDS, 3, "the kernel alone");
	want_word(it.b, 1, "the kernel alone");
	want_enabled(exec, fill, 0);
	/* In this instance only. */
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphInstantiate(&exec, g, 0));
	want_enabled(exec, fill, 1);
	REFUSES(cuGraphNodeGetEnabled(exec, kernel, NULL));
	REFUSES(cuGraphNodeGetEnabled(exec, NULL, &on));
	REFUSES(cuGraphNodeGetEnabled(NULL, kernel, &on));
	REFUSES(cuGraphNodeGetEnabled(exec, empty, &on));
	REFUSES(cuGraphNodeSetEnabled(exec, empty, 0));
	REFUSES(cuGraphNodeSetEnabled(exec, NULL, 0));
	REFUSES(cuGraphNodeSetEnabled(NULL, kernel, 0));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("nodes left out: all right\n");
}

/* ---- graphs inside ---- */

/* Two graphs of the same form, which the instance takes over in turn. */
static void check_in_turn(CUgraphExec exec, CUgraphNode child, CUgraph one)
{
	CUgraph other;
	CUgraphNode fill;

	CU(cuGraphCreate(&other, 0));
	fill = add_fill(other, NULL, it.a, 6);
	add_kernel(other, &fill, 12);
	for (int i = 0; i < 4; i++) {
		CU(cuGraphExecChildGraphNodeSetParams(exec, child, i % 2 ? other : one));
		run(exec);
		check_filled(it.b, WORDS, i % 2 ? 12 : 11, "another graph inside");
	}
	/* What changes in one of them, is taken over with it. */
	add_fill(other, NULL, it.a, 1);
	WANT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
	     cuGraphExecChildGraphNodeSetParams(exec, child, other));
	run(exec);
	check_filled(it.b, WORDS, 12, "the graph before the one that was refused");
	CU(cuGraphDestroy(other));
}

static void check_inside(void)
{
	CUgraphNode fill, copy, more, child, kernel;
	CUgraph inner, g, inside, again;
	CUgraphExec exec;
	size_t count = 0;

	CU(cuGraphCreate(&inner, 0));
	fill = add_fill(inner, NULL, it.a, 5);
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddChildGraphNode(&child, g, NULL, 0, inner));
	copy = add_copy(g, &child);
	CU(cuGraphChildGraphNodeGetGraph(child, &inside));
	CHECK(inside != inner && inside != g, "another graph's handle");
	CU(cuGraphChildGraphNodeGetGraph(child, &again));
	CHECK(inside == again, "two handles");
	/* The node's own graph: what is added to it runs, and the one it was made of stays. */
	CU(cuGraphGetNodes(inside, &more, (count = 1, &count)));
	CHECK(count == 1, "%zu nodes inside", count);
	kernel = add_kernel(inside, &more, 9);
	CU(cuGraphKernelNodeCopyAttributes(kernel, kernel));
	CU(cuGraphGetNodes(inner, NULL, &count));
	CHECK(count == 1, "%zu nodes in the first graph", count);
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec);
	check_filled(it.b, WORDS, 9, "a graph inside");
	/* Another graph of the same form, in the instance. */
	add_kernel(inner, &fill, 11);
	check_in_turn(exec, child, inner);
	add_fill(inner, NULL, it.a, 1);
	WANT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
	     cuGraphExecChildGraphNodeSetParams(exec, child, inner));
	REFUSES(cuGraphExecChildGraphNodeSetParams(exec, copy, inner));
	REFUSES(cuGraphExecChildGraphNodeSetParams(exec, child, NULL));
	REFUSES(cuGraphExecChildGraphNodeSetParams(NULL, child, inner));
	REFUSES(cuGraphChildGraphNodeGetGraph(child, NULL));
	REFUSES(cuGraphChildGraphNodeGetGraph(copy, &again));
	REFUSES(cuGraphChildGraphNodeGetGraph(NULL, &again));
	CU(cuGraphDestroyNode(child));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(inner));
	printf("graphs inside: all right\n");
}

static int called;

static void CUDA_CB count_call(void *by)
{
	called += *(int *)by;
}

/* Two levels, with a host function that is added at the innermost when the outer ones are made. A
 * graph inside of a node has no instance of its own. */
static void check_nested(void)
{
	CUgraph g[3], inside, innermost;
	CUDA_HOST_NODE_PARAMS host;
	CUgraphNode child[2], n;
	CUgraphExec exec, alone;
	int ten = 10;

	host = (CUDA_HOST_NODE_PARAMS){count_call, &ten};
	for (int i = 0; i < 3; i++)
		CU(cuGraphCreate(&g[i], 0));
	CU(cuGraphAddChildGraphNode(&child[1], g[1], NULL, 0, g[0]));
	CU(cuGraphAddChildGraphNode(&child[0], g[2], NULL, 0, g[1]));
	CU(cuGraphChildGraphNodeGetGraph(child[0], &inside));
	CU(cuGraphGetNodes(inside, &n, &(size_t){1}));
	CU(cuGraphChildGraphNodeGetGraph(n, &innermost));
	CU(cuGraphAddHostNode(&n, innermost, NULL, 0, &host));
	/* One of the outermost graph's own, which the inner ones do not call. */
	CU(cuGraphAddHostNode(&n, g[2], NULL, 0, &host));
	CU(cuGraphInstantiate(&exec, g[2], 0));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphInstantiate(&alone, innermost, 0));
	/* An instance outlives its graph. */
	CU(cuGraphDestroy(g[2]));
	run(exec);
	CHECK(called == 20, "called %d", called);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g[1]));
	CU(cuGraphDestroy(g[0]));
	printf("nested: all right\n");
}

/* ---- as a text ---- */

static unsigned int times(const char *text, const char *word)
{
	unsigned int n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

static void check_dot(void)
{
	char path[] = "/tmp/pvgpu-graph-XXXXXX", text[16 << 10] = "";
	const int fd = mkstemp(path);
	CUgraphNode fill, child, kernel;
	CUgraph g, inner;

	CHECK(fd >= 0, "no file");
	CU(cuGraphCreate(&inner, 0));
	add_copy(inner, NULL);
	CU(cuGraphCreate(&g, 0));
	fill = add_fill(g, NULL, it.a, 1);
	kernel = add_kernel(g, &fill, 1);
	CU(cuGraphAddChildGraphNode(&child, g, &kernel, 1, inner));
	CU(cuGraphDebugDotPrint(g, path, 0));
	CHECK(read(fd, text, sizeof(text) - 1) > 0, "nothing was written");
	CHECK(!strncmp(text, "digraph", 7), "it begins with %.10s", text);
	/* How it is laid out is the driver's affair. */
	CHECK(times(text, "subgraph") >= 1 && times(text, " -> ") >= 2, "graphs and edges: %s",
	      text);
	CHECK(strstr(text, "fill") && strstr(text, "MEMCPY") && strstr(text, "MEMSET"),
	      "names of nodes: %s", text);
	CU(cuGraphDebugDotPrint(g, path, CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE));
	REFUSES(cuGraphDebugDotPrint(NULL, path, 0));
	REFUSES(cuGraphDebugDotPrint(g, NULL, 0));
	if (handles_are_checked())
		REFUSES(cuGraphDebugDotPrint(g, path, 1u << 20));
	WANT(CUDA_ERROR_OPERATING_SYSTEM, cuGraphDebugDotPrint(g, "/nonexistent/graph.dot", 0));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(inner));
	close(fd);
	unlink(path);
	printf("text: all right\n");
}

int main(void)
{
	start();
	CU(cuCtxGetCurrent(&it.ctx));
	it.fill = function(load(ptx_vector), "fill");
	it.a = device_alloc(BYTES);
	it.b = device_alloc(BYTES);
	CU(cuStreamCreate(&it.s, CU_STREAM_NON_BLOCKING));
	check_attributes();
	check_captured();
	check_enabled();
	check_inside();
	check_nested();
	check_dot();
	CU(cuStreamDestroy(it.s));
	CU(cuMemFree(it.a));
	CU(cuMemFree(it.b));
	finish();
	return 0;
}
