/* SPDX-License-Identifier: MIT */
/*
 * Conditional nodes of graphs: loops, branches and switches by what kernels set, in each other, in
 * graphs that move into a node, captured and changed; and what is refused.
 */
#include <pthread.h>

#include "tests/programs/common.h"

PTX(ptx_condition);

enum { ROUNDS = 10000, WORD = 4 };
#define REFUSES(call) WANT(CUDA_ERROR_INVALID_VALUE, call)

static struct {
	CUcontext ctx;
	CUfunction round_of, set_to, set_odd, add_to;
	CUdeviceptr count, sum, which;
	CUstream s;
} it;

static void set_word(CUdeviceptr at, uint32_t value)
{
	CU(cuMemsetD32Async(at, value, 1, it.s));
}

static void want_word(CUdeviceptr at, uint32_t want, const char *what)
{
	uint32_t got = 0;

	download(&got, at, sizeof(got));
	CHECK(got == want, "%s: %u, not %u", what, got, want);
}

static void run(CUgraphExec exec)
{
	CU(cuGraphLaunch(exec, it.s));
	CU(cuStreamSynchronize(it.s));
}

static CUDA_KERNEL_NODE_PARAMS one_thread(CUfunction f, void **params)
{
	return (CUDA_KERNEL_NODE_PARAMS){.func = f,
					 .gridDimX = 1,
					 .gridDimY = 1,
					 .gridDimZ = 1,
					 .blockDimX = 1,
					 .blockDimY = 1,
					 .blockDimZ = 1,
					 .kernelParams = params};
}

static CUgraphNode add_kernel(CUgraph g, const CUgraphNode *behind, CUfunction f, void **params)
{
	const CUDA_KERNEL_NODE_PARAMS p = one_thread(f, params);
	CUgraphNode node = NULL;

	CU(cuGraphAddKernelNode(&node, g, behind, behind != NULL, &p));
	return node;
}

static CUgraphNode add_sum(CUgraph g, const CUgraphNode *behind, uint32_t n)
{
	return add_kernel(g, behind, it.add_to, (void *[]){&it.sum, &n});
}

static CUgraphNode add_round(CUgraph g, const CUgraphNode *behind, uint32_t rounds,
			     CUgraphConditionalHandle h)
{
	return add_kernel(g, behind, it.round_of, (void *[]){&it.count, &rounds, &h});
}

static CUgraphNode add_setter(CUgraph g, const CUgraphNode *behind, CUfunction f, CUdeviceptr from,
			      CUgraphConditionalHandle h)
{
	return add_kernel(g, behind, f, (void *[]){&from, &h});
}

static CUgraphConditionalHandle condition(CUgraph g, unsigned int value, unsigned int flags)
{
	CUgraphConditionalHandle h = 0;

	CU(cuGraphConditionalHandleCreate(&h, g, it.ctx, value, flags));
	return h;
}

static CUgraphNode add_conditional(CUgraph g, const CUgraphNode *behind, CUgraphConditionalHandle h,
				   CUgraphConditionalNodeType type, unsigned int size,
				   CUgraph *body)
{
	CUgraphNodeParams p = {
		.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
		.conditional = {.handle = h, .type = type, .size = size, .ctx = it.ctx}};
	CUgraphNodeType is = CU_GRAPH_NODE_TYPE_EMPTY;
	CUgraphNode node = NULL;

	CU(cuGraphAddNode(&node, g, behind, NULL, behind != NULL, &p));
	CU(cuGraphNodeGetType(node, &is));
	CHECK(is == CU_GRAPH_NODE_TYPE_CONDITIONAL, "type %d", (int)is);
	for (unsigned int i = 0; i < size && p.conditional.phGraph_out; i++)
		body[i] = p.conditional.phGraph_out[i];
	return node;
}

/* ---- loops ---- */

/* Each launch begins with the condition's first value. */
static void check_while(void)
{
	CUgraphConditionalHandle h;
	CUgraph g, body = NULL;
	CUgraphNode loop, n;
	CUgraphExec exec;

	CU(cuGraphCreate(&g, 0));
	h = condition(g, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	loop = add_conditional(g, NULL, h, CU_GRAPH_COND_TYPE_WHILE, 1, &body);
	n = add_sum(body, NULL, 3);
	add_round(body, &n, ROUNDS, h);
	add_sum(g, &loop, 1);
	CU(cuGraphInstantiate(&exec, g, 0));
	for (int i = 0; i < 2; i++) {
		set_word(it.count, 0);
		set_word(it.sum, 0);
		run(exec);
		want_word(it.count, ROUNDS, "rounds");
		want_word(it.sum, 3 * ROUNDS + 1, "what the rounds have added");
	}
	/* It is over after the first round. */
	run(exec);
	want_word(it.count, ROUNDS + 1, "one round more");
	/* A launch lasts as long as it does, whatever becomes of its graph. */
	set_word(it.count, 0);
	CU(cuGraphLaunch(exec, it.s));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuStreamSynchronize(it.s));
	want_word(it.count, ROUNDS, "rounds without a graph");
	printf("%d rounds: all right\n", ROUNDS);
}

/* ---- branches ---- */

static void check_if(unsigned int size)
{
	CUgraph g, body[2] = {NULL, NULL};
	CUgraphConditionalHandle h;
	CUgraphNode set, branch;
	CUgraphExec exec;

	CU(cuGraphCreate(&g, 0));
	h = condition(g, 0, 0);
	set = add_setter(g, NULL, it.set_to, it.which, h);
	branch = add_conditional(g, &set, h, CU_GRAPH_COND_TYPE_IF, size, body);
	add_sum(body[0], NULL, 10);
	if (size > 1)
		add_sum(body[1], NULL, 100);
	add_sum(g, &branch, 1);
	CU(cuGraphInstantiate(&exec, g, 0));
	for (uint32_t v = 0; v < 3; v++) {
		set_word(it.which, v);
		set_word(it.sum, 0);
		run(exec);
		want_word(it.sum, v ? 11 : size > 1 ? 101 : 1, "a branch");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("if with %u bodies: all right\n", size);
}

static void check_switch(void)
{
	CUgraphConditionalHandle h;
	CUgraph g, body[4] = {0};
	CUgraphExec exec;
	CUgraphNode set;

	CU(cuGraphCreate(&g, 0));
	h = condition(g, 0, 0);
	set = add_setter(g, NULL, it.set_to, it.which, h);
	add_conditional(g, &set, h, CU_GRAPH_COND_TYPE_SWITCH, 4, body);
	/* One of them does nothing. */
	for (uint32_t i = 0; i < 3; i++)
		add_sum(body[i], NULL, 5 + i);
	CU(cuGraphInstantiate(&exec, g, 0));
	for (uint32_t v = 0; v < 6; v++) {
		set_word(it.which, v);
		set_word(it.sum, 0);
		run(exec);
		want_word(it.sum, v < 3 ? 5 + v : 0, "a case");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("switch: all right\n");
}

/* ---- in each other ---- */

/* A loop with a branch in each round, in a graph that has moved into a node. The conditions are the
 * outer graph's, and the body's own. */
static void check_nested(void)
{
	CUgraphConditionalHandle loop, odd;
	CUgraph g, moved, body = NULL, then = NULL;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH,
			       .graph = {.ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE}};
	CUgraphNode set, branch, node;
	CUgraphExec exec;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphCreate(&moved, 0));
	loop = condition(moved, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	add_conditional(moved, NULL, loop, CU_GRAPH_COND_TYPE_WHILE, 1, &body);
	odd = condition(body, 0, 0);
	set = add_setter(body, NULL, it.set_odd, it.count, odd);
	branch = add_conditional(body, &set, odd, CU_GRAPH_COND_TYPE_IF, 1, &then);
	add_sum(then, NULL, 7);
	add_round(body, &branch, 20, loop);
	p.graph.graph = moved;
	CU(cuGraphAddNode(&node, g, NULL, NULL, 0, &p));
	CU(cuGraphInstantiate(&exec, g, 0));
	set_word(it.count, 0);
	set_word(it.sum, 0);
	run(exec);
	want_word(it.count, 20, "rounds of a nested loop");
	want_word(it.sum, 70, "its branches");
	CU(cuGraphExecDestroy(exec));
	/* A node goes with what is inside. */
	CU(cuGraphDestroyNode(node));
	if (handles_are_checked())
		REFUSES(cuGraphAddEmptyNode(&node, then, NULL, 0));
	CU(cuGraphInstantiate(&exec, g, 0));
	run(exec);
	want_word(it.sum, 70, "a graph without its node");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("nested: all right\n");
}

/* ---- bodies that are captured, and changed ---- */

static void check_captured(void)
{
	uint32_t rounds = 5, n = 2;
	CUgraphConditionalHandle h;
	CUgraph g, body = NULL, out;
	CUgraphExec exec;
	CUgraphNode node;
	size_t count = 0;

	CU(cuGraphCreate(&g, 0));
	h = condition(g, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	add_conditional(g, NULL, h, CU_GRAPH_COND_TYPE_WHILE, 1, &body);
	CU(cuStreamBeginCaptureToGraph(it.s, body, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_RELAXED));
	LAUNCH(it.add_to, 1, 1, 0, it.s, &it.sum, &n);
	LAUNCH(it.round_of, 1, 1, 0, it.s, &it.count, &rounds, &h);
	CU(cuStreamEndCapture(it.s, &out));
	CHECK(out == body, "another graph");
	CU(cuGraphGetNodes(body, NULL, &count));
	CHECK(count == 2, "%zu nodes", count);
	CU(cuGraphGetRootNodes(body, &node, (count = 1, &count)));
	CU(cuGraphInstantiate(&exec, g, 0));
	set_word(it.count, 0);
	set_word(it.sum, 0);
	run(exec);
	want_word(it.sum, 10, "a captured body");
	/* In the instance, by the body's node. */
	n = 3;
	{
		const CUDA_KERNEL_NODE_PARAMS p = one_thread(it.add_to, (void *[]){&it.sum, &n});

		CU(cuGraphExecKernelNodeSetParams(exec, node, &p));
	}
	set_word(it.count, 0);
	run(exec);
	want_word(it.sum, 25, "a changed body");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("captured: all right\n");
}

/* A conditional node in a stream that is captured. */
static void check_in_capture(void)
{
	CUgraphConditionalHandle h;
	const CUgraphNode *deps;
	CUstreamCaptureStatus status;
	CUgraph g, out, body = NULL;
	CUgraphNode node;
	CUgraphExec exec;
	uint32_t n = 1;
	cuuint64_t id;
	size_t count;

	CU(cuStreamBeginCapture(it.s, CU_STREAM_CAPTURE_MODE_RELAXED));
	LAUNCH(it.add_to, 1, 1, 0, it.s, &it.sum, &n);
	CU(cuStreamGetCaptureInfo_v2(it.s, &status, &id, &g, &deps, &count));
	CHECK(count == 1, "%zu dependencies", count);
	h = condition(g, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	node = add_conditional(g, deps, h, CU_GRAPH_COND_TYPE_IF, 1, &body);
	add_sum(body, NULL, 10);
	CU(cuStreamUpdateCaptureDependencies(it.s, &node, NULL, 1,
					     CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	LAUNCH(it.add_to, 1, 1, 0, it.s, &it.sum, &n);
	CU(cuStreamEndCapture(it.s, &out));
	CU(cuGraphInstantiate(&exec, out, 0));
	set_word(it.sum, 0);
	run(exec);
	want_word(it.sum, 12, "a branch in a capture");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(out));
	printf("in a capture: all right\n");
}

/* ---- an instance and its graph go at the same time ---- */

static void *destroy_instance(void *exec)
{
	CU(cuGraphExecDestroy(exec));
	return NULL;
}

/* The instance has a copy of the graph, and its conditions are the graph's. */
static void check_both_go(void)
{
	for (int i = 0; i < 20; i++) {
		CUgraphConditionalHandle h;
		CUgraph g, body = NULL;
		CUgraphExec exec;
		pthread_t t;

		CU(cuGraphCreate(&g, 0));
		h = condition(g, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
		add_conditional(g, NULL, h, CU_GRAPH_COND_TYPE_IF, 1, &body);
		add_sum(body, NULL, 1);
		CU(cuGraphInstantiate(&exec, g, 0));
		set_word(it.sum, 0);
		run(exec);
		want_word(it.sum, 1, "an instance");
		CHECK(!pthread_create(&t, NULL, destroy_instance, exec), "no thread");
		CU(cuGraphDestroy(g));
		CHECK(!pthread_join(t, NULL), "no end");
	}
	printf("both go: all right\n");
}

/* ---- what is refused ---- */

static CUresult add_with(CUgraph g, CUgraphConditionalHandle h, int type, unsigned int size)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
			       .conditional = {.handle = h,
					       .type = (CUgraphConditionalNodeType)type,
					       .size = size,
					       .ctx = it.ctx}};
	CUgraphNode node;

	return cuGraphAddNode(&node, g, NULL, NULL, 0, &p);
}

static void CUDA_CB nothing(void *arg)
{
}

static void check_refused(void)
{
	const CUDA_HOST_NODE_PARAMS host = {nothing, NULL};
	CUgraphConditionalHandle h, other;
	CUgraph g, g2, clone, body = NULL;
	CUgraphNode node, around;
	CUgraphExec exec;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphCreate(&g2, 0));
	REFUSES(cuGraphConditionalHandleCreate(NULL, g, it.ctx, 0, 0));
	REFUSES(cuGraphConditionalHandleCreate(&h, NULL, it.ctx, 0, 0));
	REFUSES(cuGraphConditionalHandleCreate(&h, g, it.ctx, 0, 2));
	h = condition(g, 0, 0);
	other = condition(g2, 0, 0);
	REFUSES(add_with(g, h, CU_GRAPH_COND_TYPE_IF, 0));
	REFUSES(add_with(g, h, CU_GRAPH_COND_TYPE_IF, 3));
	REFUSES(add_with(g, h, CU_GRAPH_COND_TYPE_WHILE, 2));
	REFUSES(add_with(g, h, CU_GRAPH_COND_TYPE_SWITCH, 0));
	REFUSES(add_with(g, h, 3, 1));
	if (handles_are_checked()) {
		REFUSES(add_with(g, 0, CU_GRAPH_COND_TYPE_IF, 1));
		REFUSES(add_with(g, h + 8, CU_GRAPH_COND_TYPE_IF, 1));
	}
	REFUSES(add_with(g, other, CU_GRAPH_COND_TYPE_IF, 1));
	/* A condition of no node. */
	REFUSES(cuGraphInstantiate(&exec, g2, 0));
	node = add_conditional(g, NULL, h, CU_GRAPH_COND_TYPE_IF, 1, &body);
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphClone(&clone, g));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphAddChildGraphNode(&around, g2, NULL, 0, g));
	REFUSES(cuGraphDestroy(body));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphInstantiate(&exec, body, 0));
	CU(cuGraphAddHostNode(&around, body, NULL, 0, &host));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphDestroyNode(node));
	CU(cuGraphDestroy(g));
	CU(cuGraphDestroy(g2));
	printf("refused: all right\n");
}

int main(void)
{
	CUmodule m;

	start();
	m = load(ptx_condition);
	it.round_of = function(m, "round_of");
	it.set_to = function(m, "set_to");
	it.set_odd = function(m, "set_odd");
	it.add_to = function(m, "add_to");
	it.count = device_alloc(WORD);
	it.sum = device_alloc(WORD);
	it.which = device_alloc(WORD);
	CU(cuCtxGetCurrent(&it.ctx));
	CU(cuStreamCreate(&it.s, CU_STREAM_NON_BLOCKING));
	check_while();
	check_if(1);
	check_if(2);
	check_switch();
	check_nested();
	check_captured();
	check_in_capture();
	check_both_go();
	check_refused();
	CU(cuStreamDestroy(it.s));
	CU(cuMemFree(it.count));
	CU(cuMemFree(it.sum));
	CU(cuMemFree(it.which));
	finish();
	return 0;
}
