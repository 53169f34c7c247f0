/* SPDX-License-Identifier: MIT */
/* Copy nodes from and to memory that the worker does not reach: their commands and their areas. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdlib.h>

#include "guest_fake.h"

enum { BYTES = 3 << 20, KEPT = 32 << 20 };

static CUcontext ctx;
static CUdeviceptr dev;
static CUstream s;
static CUgraph g;
static CUgraphNode node;
static CUgraphExec exec;
static char *host;

#define OK(call)         ck_assert_int_eq(call, CUDA_SUCCESS)
#define FAILS(why, call) ck_assert_int_eq(call, CUDA_ERROR_##why)
#define COUNT(op)        fake.count[PVGPU_OP_##op]

static CUDA_MEMCPY3D to_device(const void *from, size_t bytes)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
			       .srcHost = from,
			       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			       .dstDevice = dev,
			       .WidthInBytes = bytes,
			       .Height = 1,
			       .Depth = 1};
}

static CUDA_MEMCPY3D from_device(void *to, size_t bytes)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			       .srcDevice = dev,
			       .dstMemoryType = CU_MEMORYTYPE_HOST,
			       .dstHost = to,
			       .WidthInBytes = bytes,
			       .Height = 1,
			       .Depth = 1};
}

static void setup(void)
{
	OK(cuInit(0));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
	OK(cuMemAlloc_v2(&dev, KEPT + BYTES));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuGraphCreate(&g, 0));
	host = malloc(BYTES);
}

static void teardown(void)
{
	free(host);
}

static void make(size_t bytes)
{
	const CUDA_MEMCPY3D p = to_device(host, bytes);

	OK(cuGraphAddMemcpyNode(&node, g, NULL, 0, &p, ctx));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
}

/* It is one node, which is known here, and one small command launches it. */
START_TEST(one_node)
{
	unsigned int before;
	CUgraphNodeType type;
	unsigned int on = 0;
	CUDA_MEMCPY3D p;
	CUgraph inside;

	make(BYTES);
	ck_assert_uint_eq(COUNT(GRAPH_ADD), 3); /* a function and a copy, and a graph with them */
	ck_assert_uint_eq(fake.arena_allocs, 1);
	before = fake_commands();
	OK(cuGraphNodeGetType(node, &type));
	ck_assert_int_eq(type, CU_GRAPH_NODE_TYPE_MEMCPY);
	OK(cuGraphMemcpyNodeGetParams(node, &p));
	ck_assert_ptr_eq(p.srcHost, host);
	ck_assert_uint_eq(p.dstDevice, dev);
	FAILS(INVALID_VALUE, cuGraphChildGraphNodeGetGraph(node, &inside));
	OK(cuGraphNodeGetEnabled(exec, node, &on));
	ck_assert_uint_eq(on, 1);
	FAILS(NOT_SUPPORTED, cuGraphNodeSetEnabled(exec, node, 0));
	FAILS(INVALID_VALUE, cuGraphExecChildGraphNodeSetParams(exec, node, g));
	OK(cuGraphNodeSetEnabled(exec, node, 1));
	ck_assert_uint_eq(fake_commands(), before);
	OK(cuGraphLaunch(exec, s));
	ck_assert_uint_eq(fake_commands(), before + 1);
}
END_TEST

/* Nodes that are given other memory before each launch take turns at a few areas. */
START_TEST(memory_in_turn)
{
	const CUDA_MEMCPY3D p[2] = {to_device(host, BYTES), to_device(host + 1, BYTES - 1)};
	unsigned int made;

	make(BYTES);
	fake.ended = UINT64_MAX;
	for (int i = 0; i < 4; i++)
		OK(cuGraphExecMemcpyNodeSetParams(exec, node, &p[i % 2], ctx));
	made = COUNT(GRAPH_CREATE);
	for (int i = 0; i < 100; i++) {
		OK(cuGraphExecMemcpyNodeSetParams(exec, node, &p[i % 2], ctx));
		OK(cuGraphLaunch(exec, s));
	}
	ck_assert_uint_eq(COUNT(GRAPH_CREATE), made);
	ck_assert_uint_eq(COUNT(GRAPH_EXEC_CHILD), 1);
	ck_assert_uint_eq(COUNT(GRAPH_EXEC_CHILD_AGAIN), 103);
	ck_assert_uint_le(fake.arena_allocs, 3);
	ck_assert_uint_eq(fake.arena_frees, 0);
}
END_TEST

/* So do graphs that a node of an instance takes over, one after the other. */
START_TEST(graphs_in_turn)
{
	const CUDA_MEMCPY3D p = to_device(host, BYTES);
	CUgraphNode outer, n;
	CUgraph of;

	OK(cuGraphCreate(&of, 0));
	OK(cuGraphAddMemcpyNode(&n, of, NULL, 0, &p, ctx));
	OK(cuGraphAddChildGraphNode(&outer, g, NULL, 0, of));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	fake.ended = UINT64_MAX;
	for (int i = 0; i < 20; i++) {
		OK(cuGraphDestroy(of));
		OK(cuGraphCreate(&of, 0));
		OK(cuGraphAddMemcpyNode(&n, of, NULL, 0, &p, ctx));
		OK(cuGraphExecChildGraphNodeSetParams(exec, outer, of));
		OK(cuGraphLaunch(exec, s));
	}
	ck_assert_uint_le(fake.arena_allocs, 4);
}
END_TEST

/* Nodes of g have empty graphs inside, as far as the worker knows. */
static void say_graph(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	struct pvgpu_wire_graph_nodes_reply *nodes = rep;
	struct pvgpu_wire_graph_get_reply *get = rep;
	struct pvgpu_graph_node *is = (struct pvgpu_graph_node *)(get + 1);

	if (h->op == PVGPU_OP_GRAPH_NODES) {
		*nodes = (struct pvgpu_wire_graph_nodes_reply){.total = 0};
		*len = sizeof(*nodes);
	} else if (h->op == PVGPU_OP_GRAPH_GET) {
		*get = (struct pvgpu_wire_graph_get_reply){.what_len = sizeof(*is)};
		*is = (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_GRAPH};
		*len = sizeof(*get) + sizeof(*is);
	}
}

/* A node that is destroyed releases the copies of the graph inside of it, also where a handle of
 * that graph has added them. */
START_TEST(children_come_and_go)
{
	const CUDA_MEMCPY3D p = to_device(host, BYTES);
	CUgraphNode outer, n;
	CUgraph of, inside;

	fake.twist = say_graph;
	for (int i = 0; i < 10; i++) {
		OK(cuGraphCreate(&of, 0));
		if (i % 2)
			OK(cuGraphAddMemcpyNode(&n, of, NULL, 0, &p, ctx));
		OK(cuGraphAddChildGraphNode(&outer, g, NULL, 0, of));
		OK(cuGraphDestroy(of));
		if (i % 2 == 0) {
			OK(cuGraphChildGraphNodeGetGraph(outer, &inside));
			OK(cuGraphAddMemcpyNode(&n, inside, NULL, 0, &p, ctx));
		}
		OK(cuGraphDestroyNode(outer));
		ck_assert_uint_eq(fake.arena_allocs, 1); /* each has the area of the one before */
	}
}
END_TEST

/* Areas stay while a launch may use them. */
START_TEST(launches_under_way)
{
	const CUDA_MEMCPY3D p = to_device(host, BYTES);

	make(BYTES);
	for (int i = 0; i < 10; i++) {
		OK(cuGraphLaunch(exec, s));
		OK(cuGraphExecMemcpyNodeSetParams(exec, node, &p, ctx));
	}
	ck_assert_uint_eq(fake.arena_allocs, 11);
	OK(cuGraphLaunch(exec, s));
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(g));
	ck_assert_uint_eq(fake.arena_frees, 0);
	/* All have ended: the next call finds it out, and keeps areas up to a limit. */
	fake.ended = UINT64_MAX;
	OK(cuGraphCreate(&g, 0));
	make(BYTES);
	ck_assert_uint_eq(fake.arena_allocs, 11);
	ck_assert_uint_eq(fake.arena_frees, 1);
}
END_TEST

/* An old worker does not say what has ended: a call that waits does. */
START_TEST(launches_that_were_waited_for)
{
	fake.old_worker = true;
	make(KEPT + 1);
	OK(cuGraphLaunch(exec, s));
	OK(cuGraphDestroy(g));
	OK(cuStreamSynchronize(s));
	OK(cuGraphExecDestroy(exec));
	ck_assert_uint_eq(fake.arena_frees, 1);
}
END_TEST

START_TEST(with_its_context)
{
	make(BYTES);
	OK(cuGraphLaunch(exec, s));
	OK(cuGraphDestroy(g));
	ck_assert_uint_eq(fake.arena_frees, 0);
	OK(cuCtxDestroy_v2(ctx));
	ck_assert_uint_eq(fake.arena_frees, fake.arena_allocs);
}
END_TEST

/* A node stays what it is: from the host, to the host, or one whose memory the worker reaches. */
START_TEST(other_kinds)
{
	const CUDA_MEMCPY3D there = to_device(host, 4096), back = from_device(host, 4096);
	CUDA_MEMCPY3D within = back;
	void *pinned;

	OK(cuMemAllocHost_v2(&pinned, 4096));
	make(4096);
	FAILS(INVALID_VALUE, cuGraphExecMemcpyNodeSetParams(exec, node, &back, ctx));
	FAILS(NOT_SUPPORTED, cuGraphMemcpyNodeSetParams(node, &back));
	within.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	within.dstDevice = dev + 4096;
	FAILS(INVALID_VALUE, cuGraphExecMemcpyNodeSetParams(exec, node, &within, ctx));
	within = to_device(pinned, 4096);
	OK(cuGraphExecMemcpyNodeSetParams(exec, node, &within, ctx));
	OK(cuGraphCreate(&g, 0));
	OK(cuGraphAddMemcpyNode(&node, g, NULL, 0, &within, ctx));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	FAILS(NOT_SUPPORTED, cuGraphExecMemcpyNodeSetParams(exec, node, &there, ctx));
	FAILS(NOT_SUPPORTED, cuGraphMemcpyNodeSetParams(node, &there));
}
END_TEST

/* Nothing is left of a node that could not be added, whatever failed. */
START_TEST(failures)
{
	const CUDA_MEMCPY3D p = to_device(host, KEPT + 1), small = to_device(host, BYTES);
	unsigned int areas;

	fake.arena_full = true;
	FAILS(OUT_OF_MEMORY, cuGraphAddMemcpyNode(&node, g, NULL, 0, &p, ctx));
	ck_assert_uint_eq(COUNT(GRAPH_ADD), 0);
	fake.arena_full = false;
	fake.fail_op = PVGPU_OP_GRAPH_ADD;
	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	FAILS(OUT_OF_MEMORY, cuGraphAddMemcpyNode(&node, g, NULL, 0, &p, ctx));
	ck_assert_uint_eq(fake.arena_frees, fake.arena_allocs);
	ck_assert_uint_eq(COUNT(GRAPH_DESTROY), COUNT(GRAPH_CREATE) - 1);
	fake.fail_result = 0;
	make(BYTES);
	fake.fail_op = PVGPU_OP_GRAPH_EXEC_CHILD;
	fake.fail_result = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	FAILS(GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecMemcpyNodeSetParams(exec, node, &small, ctx));
	areas = fake.arena_allocs;
	FAILS(GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecMemcpyNodeSetParams(exec, node, &small, ctx));
	ck_assert_uint_eq(fake.arena_allocs, areas); /* that of the first is used again */
	/* An area that nothing uses makes room for another. */
	fake.arena_full = true;
	areas = fake.arena_frees;
	FAILS(OUT_OF_MEMORY, cuGraphAddMemcpyNode(&node, g, NULL, 0, &p, ctx));
	ck_assert_uint_eq(fake.arena_frees, areas + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest_pageable");
	TCase *t = tcase_create("nodes");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_node);
	tcase_add_test(t, memory_in_turn);
	tcase_add_test(t, graphs_in_turn);
	tcase_add_test(t, children_come_and_go);
	tcase_add_test(t, launches_under_way);
	tcase_add_test(t, launches_that_were_waited_for);
	tcase_add_test(t, with_its_context);
	tcase_add_test(t, other_kinds);
	tcase_add_test(t, failures);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
