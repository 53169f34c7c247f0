/* SPDX-License-Identifier: MIT */
/*
 * Host functions of graphs: a launch calls those that its instance had when it was launched,
 * whatever happens to graphs and instances meanwhile; and a program may make more of them, one
 * after the other, than there is room for at one time.
 *
 *   hostnodes [FUNCTIONS]
 */
#include "tests/programs/common.h"

enum { EACH = 100 }; /* of one capture */

static uint64_t sum, calls;

static void CUDA_CB add(void *what)
{
	sum += (uintptr_t)what;
	calls++;
}

static CUDA_HOST_NODE_PARAMS adds(uint64_t what)
{
	return (CUDA_HOST_NODE_PARAMS){.fn = add, .userData = (void *)(uintptr_t)what};
}

static void want(CUstream s, uint64_t calls_now, uint64_t sum_now)
{
	CU(cuStreamSynchronize(s));
	CHECK(calls == calls_now && sum == sum_now, "%llu calls with %llu, not %llu with %llu",
	      (unsigned long long)calls, (unsigned long long)sum, (unsigned long long)calls_now,
	      (unsigned long long)sum_now);
	calls = sum = 0;
}

/* Others may get the places of those that are gone. */
static void make_others(uint64_t what)
{
	CUDA_HOST_NODE_PARAMS p = adds(what);
	CUgraphNode node;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	for (int i = 0; i < 8; i++)
		CU(cuGraphAddHostNode(&node, g, NULL, 0, &p));
	CU(cuGraphDestroy(g));
}

/* A node in a graph, and one in a graph inside of it. */
static CUgraph two(uint64_t first, uint64_t second, CUgraphNode *node, CUgraphNode *child)
{
	CUDA_HOST_NODE_PARAMS p = adds(first);
	CUgraph g, inside;
	CUgraphNode in;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddHostNode(node, g, NULL, 0, &p));
	CU(cuGraphCreate(&inside, 0));
	p = adds(second);
	CU(cuGraphAddHostNode(&in, inside, NULL, 0, &p));
	CU(cuGraphAddChildGraphNode(child, g, node, 1, inside));
	CU(cuGraphDestroy(inside));
	return g;
}

static void check_flight(CUstream s)
{
	CUDA_HOST_NODE_PARAMS p = adds(1000);
	CUgraphExecUpdateResultInfo info;
	CUgraphNode node, child, other;
	CUgraph g = two(1, 20, &node, &child), copy, inside;
	CUgraphExec exec;
	struct gate gate;

	CU(cuGraphClone(&copy, g));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	gate_close(&gate, s);
	CU(cuGraphLaunch(exec, s));
	CU(cuGraphExecHostNodeSetParams(exec, node, &p));
	make_others(7);
	CU(cuGraphLaunch(exec, s));
	p = adds(4000);
	CU(cuGraphHostNodeSetParams(node, &p));
	CU(cuGraphChildGraphNodeGetGraph(child, &inside));
	CU(cuGraphDestroyNode(child));
	CU(cuGraphAddEmptyNode(&other, g, NULL, 0));
	make_others(7);
	CU(cuGraphLaunch(exec, s));
	CU(cuGraphExecUpdate_v2(exec, copy, &info));
	CU(cuGraphDestroy(copy));
	CU(cuGraphDestroy(g));
	make_others(7);
	CU(cuGraphLaunch(exec, s));
	CU(cuGraphExecDestroy(exec));
	make_others(7);
	gate_open(&gate);
	want(s, 8, 1 + 20 + 1000 + 20 + 1000 + 20 + 1 + 20);
	printf("launches under way: all right\n");
}

/* What a node says that it calls. */
static void check_getters(CUstream s)
{
	CUDA_HOST_NODE_PARAMS p = adds(5), got;
	CUgraphNode node, child, in;
	CUgraph g = two(1, 20, &node, &child), inside;
	size_t count = 1;
	CUgraphExec exec;

	CU(cuGraphHostNodeSetParams(node, &p));
	CU(cuGraphHostNodeGetParams(node, &got));
	CHECK(got.fn == add && got.userData == p.userData, "another function");
	CU(cuGraphChildGraphNodeGetGraph(child, &inside));
	CU(cuGraphGetNodes(inside, &in, &count));
	CU(cuGraphHostNodeGetParams(in, &got));
	CHECK(got.userData == (void *)20, "another function inside");
	p = adds(60);
	CU(cuGraphHostNodeSetParams(in, &p));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	CU(cuGraphDestroy(g));
	make_others(7);
	CU(cuGraphLaunch(exec, s));
	want(s, 2, 65);
	CU(cuGraphExecDestroy(exec));
	printf("what nodes say: all right\n");
}

/* One instance is given so many functions, and launched now and then. */
static void check_instance(CUstream s, uint64_t functions)
{
	CUDA_HOST_NODE_PARAMS p = adds(0);
	uint64_t launches = 0, expected = 0;
	CUgraphExec exec;
	CUgraphNode node;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddHostNode(&node, g, NULL, 0, &p));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	for (uint64_t i = 1; i <= functions; i++) {
		p = adds(i);
		CU(cuGraphExecHostNodeSetParams(exec, node, &p));
		if (i % 5000 && i != functions)
			continue;
		CU(cuGraphLaunch(exec, s));
		launches++;
		expected += i;
	}
	want(s, launches, expected);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
}

/* Captures have as many. */
static void check_captures(CUstream s, uint64_t functions)
{
	CUgraphExec exec;
	CUgraph g = NULL;

	for (uint64_t i = 0; i < functions; i += EACH) {
		if (g)
			CU(cuGraphDestroy(g));
		CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
		for (uint64_t k = 1; k <= EACH; k++)
			CU(cuLaunchHostFunc(s, add, (void *)(uintptr_t)(i + k)));
		CU(cuStreamEndCapture(s, &g));
	}
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	CU(cuGraphDestroy(g));
	CU(cuGraphLaunch(exec, s));
	want(s, EACH, EACH * (functions - EACH) + EACH * (EACH + 1) / 2);
	CU(cuGraphExecDestroy(exec));
}

int main(int argc, char **argv)
{
	const uint64_t functions = argument(argc, argv, 1, 150000) / EACH * EACH;
	CUstream s;

	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_flight(s);
	check_getters(s);
	check_instance(s, functions);
	check_captures(s, functions);
	CU(cuStreamDestroy(s));
	finish();
	printf("%llu functions, one after the other\n", 2 * (unsigned long long)functions);
	return 0;
}
