/* SPDX-License-Identifier: MIT */
/*
 * Graphs and captures of a guest that keeps to no rule, on the simulated GPU, record by record.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/gate_side.h"
#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_sim.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"

#define STREAM   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define OTHER    PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 2)
#define GRAPH(n) PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, n)
#define EXEC(n)  PVGPU_HANDLE(PVGPU_H_GRAPH_EXEC, 0, 1, n)

static struct far far;

static struct worker *open_sim(void)
{
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct worker *w = fake_open_sim(&far);

	fake_chunk(w, 0, 1u << 20);
	FAKE_SUBMIT(w, STREAM_CREATE, 5, s);
	return w;
}

#ifdef __SANITIZE_ADDRESS__
/*
 * The leak check reads the thread-local tables of running threads and follows a wrong pointer in
 * those that a library loaded by dlopen() has started: its own crash would be this test's failure.
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

static int add_node(struct worker *w, uint32_t seq, uint64_t graph, uint32_t kind, uint64_t object)
{
	const struct pvgpu_graph_node what = {.kind = kind, .object = object};
	struct pvgpu_wire_graph_add a = {.ctx = FAKE_CTX, .graph = graph, .what_len = sizeof(what)};

	fake_submit(w, &a, sizeof(a), PVGPU_OP_GRAPH_ADD, seq, &what, sizeof(what));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int child_of(struct worker *w, uint32_t seq, uint64_t graph, uint32_t node, uint64_t child)
{
	struct pvgpu_wire_graph_child c = {
		.ctx = FAKE_CTX, .graph = graph, .node = node, .child = child};

	FAKE_SUBMIT(w, GRAPH_CHILD, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int nodes_of(struct worker *w, uint32_t seq, uint64_t graph)
{
	struct pvgpu_wire_graph_nodes n = {.graph = graph};

	FAKE_SUBMIT(w, GRAPH_NODES, seq, n);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int drop_node(struct worker *w, uint32_t seq, uint64_t graph, uint32_t node)
{
	struct pvgpu_wire_graph_drop d = {.graph = graph, .node = node};

	FAKE_SUBMIT(w, GRAPH_DROP, seq, d);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy_graph(struct worker *w, uint64_t graph)
{
	struct pvgpu_wire_graph_destroy d = {.graph = graph};

	FAKE_SUBMIT(w, GRAPH_DESTROY, 0, d);
}

/* The far end's graph goes with its node: a guest that keeps the handle reaches nothing with it. */
START_TEST(a_graph_goes_with_its_node)
{
	struct worker *w = open_sim();

	for (uint32_t i = 1; i <= 3; i++) {
		struct pvgpu_wire_graph_create c = {.graph = GRAPH(i)};

		FAKE_SUBMIT(w, GRAPH_CREATE, 0, c);
	}
	/* 3 in 2 in 1: the handles 4 and 5. */
	ck_assert_int_eq(add_node(w, 10, GRAPH(3), CU_GRAPH_NODE_TYPE_EMPTY, 0), 0);
	ck_assert_int_eq(add_node(w, 11, GRAPH(2), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(3)), 0);
	ck_assert_int_eq(add_node(w, 12, GRAPH(1), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(2)), 0);
	ck_assert_int_eq(child_of(w, 13, GRAPH(1), 0, GRAPH(4)), 0);
	ck_assert_int_eq(nodes_of(w, 14, GRAPH(4)), 0);
	ck_assert_int_eq(child_of(w, 15, GRAPH(4), 0, GRAPH(5)), 0);
	ck_assert_int_eq(nodes_of(w, 16, GRAPH(5)), 0);
	/* A node gives one handle, another when that is given back. */
	ck_assert_int_eq(child_of(w, 17, GRAPH(1), 0, GRAPH(6)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(child_of(w, 18, GRAPH(1), 7, GRAPH(6)), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(child_of(w, 19, GRAPH(5), 0, GRAPH(6)), CUDA_ERROR_INVALID_VALUE);
	destroy_graph(w, GRAPH(5));
	ck_assert_int_eq(child_of(w, 20, GRAPH(4), 0, GRAPH(6)), 0);
	if (_i)
		ck_assert_int_eq(drop_node(w, 21, GRAPH(1), 0), 0);
	else
		destroy_graph(w, GRAPH(1));
	ck_assert_int_eq(nodes_of(w, 22, GRAPH(4)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(nodes_of(w, 23, GRAPH(6)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(drop_node(w, 24, GRAPH(6), 0), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(add_node(w, 25, GRAPH(6), CU_GRAPH_NODE_TYPE_EMPTY, 0),
			 CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(nodes_of(w, 26, GRAPH(2)), 0);
	fake_close(w);
}
END_TEST

/* A capture that the far end has found invalid, as by a call of a library: its end says so, and
 * nothing that was to be captured is an error of the context's afterwards. */
START_TEST(an_invalid_capture_leaves_no_error)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM,
				      .dst = fake_alloc(w, 10, FAKE_CTX, 4096),
				      .element = 1,
				      .width = 64,
				      .height = 1};
	struct pvgpu_wire_stream_synchronize sync = {.ctx = FAKE_CTX, .stream = STREAM};
	struct pvgpu_wire_graph_create g = {.graph = GRAPH(1)};
	struct pvgpu_wire_capture_begin b = {.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(1)};
	struct pvgpu_wire_capture_end e = {.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(1)};

	FAKE_SUBMIT(w, GRAPH_CREATE, 0, g);
	FAKE_SUBMIT(w, CAPTURE_BEGIN, 20, b);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), 0);
	ck_assert_int_eq(far.cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	FAKE_SUBMIT(w, CAPTURE_END, 21, e);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 21),
			 CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 22, sync);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 22), 0);
	fake_close(w);
}
END_TEST

static void make_graph(struct worker *w, uint32_t n)
{
	struct pvgpu_wire_graph_create c = {.graph = GRAPH(n)};

	FAKE_SUBMIT(w, GRAPH_CREATE, 0, c);
}

/* A graph of 2^levels empty nodes in all, and one for each copy that was made on the way. */
static int double_up(struct worker *w, uint32_t seq, unsigned int levels, uint32_t *last)
{
	int r = 0;

	make_graph(w, 1);
	ck_assert_int_eq(add_node(w, seq++, GRAPH(1), CU_GRAPH_NODE_TYPE_EMPTY, 0), 0);
	ck_assert_int_eq(add_node(w, seq++, GRAPH(1), CU_GRAPH_NODE_TYPE_EMPTY, 0), 0);
	for (*last = 1; *last < levels && !r; ++*last) {
		make_graph(w, *last + 1);
		for (int i = 0; i < 2 && !r; i++)
			r = add_node(w, seq++, GRAPH(*last + 1), CU_GRAPH_NODE_TYPE_GRAPH,
				     GRAPH(*last));
	}
	return r;
}

static int instantiate(struct worker *w, uint32_t seq, uint32_t n, uint32_t graph)
{
	struct pvgpu_wire_graph_instantiate i = {
		.ctx = FAKE_CTX, .graph = GRAPH(graph), .exec = EXEC(n)};

	FAKE_SUBMIT(w, GRAPH_INSTANTIATE, seq, i);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

/* Each pair of commands doubles what the worker holds. */
START_TEST(nodes_inside_of_nodes_count)
{
	struct worker *w = open_sim();
	uint32_t last, made = 0;
	int r;

	ck_assert_int_eq(double_up(w, 100, 18, &last), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_le(w->gpu->graph_nodes, 3 * PVGPU_GRAPH_NODES_MAX);
	/* Copies, and instances, are as many again. */
	for (r = 0; !r && made < 100; made++) {
		struct pvgpu_wire_graph_clone c = {.graph = GRAPH(last - 1),
						   .clone = GRAPH(100 + made)};

		FAKE_SUBMIT(w, GRAPH_CLONE, 1000 + made, c);
		r = fake_result(w, PVGPU_REP_REPLY, 1000 + made);
	}
	ck_assert_int_eq(r, CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(instantiate(w, 2000, 1, last - 1), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_le(w->gpu->graph_nodes, GRAPH_NODES_SESSION);
	/* Nodes that are given back can be had again. */
	for (uint32_t i = 0; i < made; i++)
		destroy_graph(w, GRAPH(100 + i));
	ck_assert_int_eq(instantiate(w, 2001, 2, last - 1), 0);
	for (uint32_t i = 1; i <= last; i++)
		destroy_graph(w, GRAPH(i));
	fake_close(w);
}
END_TEST

/* A node that is removed takes along what is inside. */
START_TEST(a_node_that_goes_counts_no_more)
{
	struct worker *w = open_sim();
	uint64_t before;
	uint32_t last;

	ck_assert_int_eq(double_up(w, 100, 4, &last), 0);
	make_graph(w, 50);
	before = w->gpu->graph_nodes;
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(
			add_node(w, 200 + i, GRAPH(50), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(last)), 0);
		ck_assert_uint_eq(w->gpu->graph_nodes, before + 31);
		ck_assert_int_eq(drop_node(w, 300 + i, GRAPH(50), i), 0);
		ck_assert_uint_eq(w->gpu->graph_nodes, before);
	}
	fake_close(w);
}
END_TEST

/* Recursions, here and at the far end, have an end. */
START_TEST(graphs_nest_to_a_depth)
{
	struct worker *w = open_sim();
	uint32_t n = 1;
	int r = 0;

	make_graph(w, 1);
	ck_assert_int_eq(add_node(w, 100, GRAPH(1), CU_GRAPH_NODE_TYPE_EMPTY, 0), 0);
	while (!r && n < 1000) {
		make_graph(w, ++n);
		r = add_node(w, 100 + n, GRAPH(n), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(n - 1));
	}
	ck_assert_int_eq(r, CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_uint_eq(n, GRAPH_DEPTH_MAX + 2);
	/* Nor from the inside. */
	ck_assert_int_eq(child_of(w, 2000, GRAPH(2), 0, GRAPH(2000)), 0);
	ck_assert_int_eq(add_node(w, 2001, GRAPH(2000), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(n - 1)),
			 CUDA_ERROR_NOT_SUPPORTED);
	fake_close(w);
}
END_TEST

static void begin_capture(struct worker *w, uint32_t seq, uint32_t graph)
{
	struct pvgpu_wire_capture_begin b = {
		.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_BEGIN, seq, b);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), 0);
}

static int end_capture(struct worker *w, uint32_t seq, uint32_t graph)
{
	struct pvgpu_wire_capture_end e = {
		.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_END, seq, e);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void launch(struct worker *w, uint32_t n)
{
	struct pvgpu_wire_graph_launch l = {.ctx = FAKE_CTX, .stream = STREAM, .exec = EXEC(n)};

	FAKE_SUBMIT(w, GRAPH_LAUNCH, 0, l);
}

/* Each command captured is a node. A launch cannot be captured, which the capture's end tells. */
START_TEST(captured_nodes_count)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM,
				      .dst = fake_alloc(w, 10, FAKE_CTX, 4096),
				      .element = 1,
				      .width = 64,
				      .height = 1};
	uint64_t before;
	uint32_t last;

	ck_assert_int_eq(double_up(w, 100, 14, &last), 0);
	ck_assert_int_eq(instantiate(w, 200, 1, last), 0);
	make_graph(w, 50);
	before = w->gpu->graph_nodes;
	begin_capture(w, 201, 50);
	for (int i = 0; i < 10; i++)
		FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_int_eq(end_capture(w, 202, 50), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, before + 10);
	begin_capture(w, 203, 50);
	launch(w, 1);
	ck_assert_int_eq(end_capture(w, 204, 50), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	ck_assert_uint_eq(w->gpu->graph_nodes, before + 10);
	fake_close(w);
}
END_TEST

/* A conditional node of graph 50 whose only body is graph 51. */
static void make_body(struct worker *w)
{
	struct pvgpu_wire_graph_condition c = {.ctx = FAKE_CTX, .graph = GRAPH(50)};
	struct pvgpu_wire_graph_conditional n = {.ctx = FAKE_CTX, .graph = GRAPH(50), .bodies = 1};
	struct pvgpu_wire_graph_body b = {.ctx = FAKE_CTX, .graph = GRAPH(50), .child = GRAPH(51)};

	make_graph(w, 50);
	FAKE_SUBMIT(w, GRAPH_CONDITION, 210, c);
	memcpy(&n.condition, fake_body(w, PVGPU_REP_REPLY, 210), sizeof(n.condition));
	FAKE_SUBMIT(w, GRAPH_CONDITIONAL, 211, n);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 211), 0);
	FAKE_SUBMIT(w, GRAPH_BODY, 212, b);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 212), 0);
}

/* Nodes captured into a body count like others of the graph around it, of which meanwhile no
 * instance is made, since another thread would read it. */
START_TEST(nodes_captured_inside_count)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM,
				      .dst = fake_alloc(w, 10, FAKE_CTX, 4096),
				      .element = 1,
				      .width = 64,
				      .height = 1};
	struct graph *outer;

	make_body(w);
	ck_assert_uint_eq(w->gpu->graph_nodes, 2);
	begin_capture(w, 220, 51);
	ck_assert_int_eq(instantiate(w, 221, 1, 50), CUDA_ERROR_ILLEGAL_STATE);
	for (int i = 0; i < 10; i++)
		FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_int_eq(end_capture(w, 222, 51), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 12);
	ck_assert_int_eq(instantiate(w, 223, 1, 50), 0);
	outer = obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH, GRAPH(50));
	atomic_fetch_add(&w->gpu->graph_nodes, PVGPU_GRAPH_NODES_MAX - 5 - outer->nodes);
	outer->nodes = PVGPU_GRAPH_NODES_MAX - 5;
	begin_capture(w, 224, 51);
	for (int i = 0; i < 10; i++)
		FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_int_eq(end_capture(w, 225, 51), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(outer->nodes, 17);
	fake_close(w);
}
END_TEST

/* The far end's graph goes with the node, or the graph around it: a capture into it ends before. */
START_TEST(a_capture_ends_with_its_node)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM,
				      .dst = fake_alloc(w, 10, FAKE_CTX, 4096),
				      .element = 1,
				      .width = 64,
				      .height = 1};

	make_body(w);
	begin_capture(w, 220, 51);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	if (_i)
		ck_assert_int_eq(drop_node(w, 221, GRAPH(50), 0), 0);
	else
		destroy_graph(w, GRAPH(50));
	ck_assert_uint_eq(w->gpu->capturing, 0);
	ck_assert_int_eq(end_capture(w, 222, 51), CUDA_ERROR_ILLEGAL_STATE);
	make_graph(w, 52);
	begin_capture(w, 223, 52);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_int_eq(end_capture(w, 224, 52), 0);
	if (_i)
		ck_assert_uint_eq(w->gpu->graph_nodes, 1);
	fake_close(w);
}
END_TEST

static int synchronize(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_synchronize sync = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, sync);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

/* Errors of captured commands are told by the capture's end alone, and not to a thread that waits
 * for another stream. */
START_TEST(other_streams_hear_nothing_of_a_capture)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_stream_create o = {.ctx = FAKE_CTX, .stream = OTHER};
	const uint64_t event = PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = event};
	struct pvgpu_wire_event_record record = {.ctx = FAKE_CTX, .stream = STREAM, .event = event};
	struct pvgpu_wire_stream_wait_event join = {
		.ctx = FAKE_CTX, .stream = OTHER, .event = event};

	FAKE_SUBMIT(w, STREAM_CREATE, 0, o);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	make_graph(w, 2);
	ck_assert_int_eq(instantiate(w, 200, 1, 2), 0);
	make_graph(w, 50);
	begin_capture(w, 201, 50);
	launch(w, 1);
	launch(w, 1);
	ck_assert_int_eq(synchronize(w, 202, OTHER), 0);
	ck_assert_int_eq(end_capture(w, 203, 50), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	ck_assert_int_eq(synchronize(w, 204, STREAM), 0);
	/* A stream that was to join one that is invalid. */
	begin_capture(w, 205, 50);
	FAKE_SUBMIT(w, EVENT_RECORD, 0, record);
	ck_assert_int_eq(far.cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, join);
	ck_assert_int_eq(synchronize(w, 206, OTHER), 0);
	ck_assert_int_eq(end_capture(w, 207, 50), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	fake_close(w);
}
END_TEST

/* A capture does not outlive the stream in which it began. */
START_TEST(a_capture_ends_with_its_stream)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM};

	make_graph(w, 50);
	begin_capture(w, 201, 50);
	FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
	ck_assert_uint_eq(w->gpu->capturing, 0);
	ck_assert_int_eq(far.cuCtxSynchronize(), 0);
	ck_assert_int_eq(synchronize(w, 202, 0), 0);
	destroy_graph(w, GRAPH(50));
	fake_close(w);
}
END_TEST

static unsigned int taken;

static CUresult CUDAAPI take_attribute(CUgraphNode node, CUlaunchAttributeID id,
				       const CUlaunchAttributeValue *value)
{
	taken += id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW && value;
	return CUDA_SUCCESS;
}

/* The far end would look at all memory of the GPU: a window is of the session's. */
START_TEST(windows_lie_in_own_memory)
{
	struct worker *w = open_sim();
	const uint64_t mem = fake_alloc(w, 10, FAKE_CTX, 4096);
	const struct {
		uint64_t base, bytes;
		int result;
	} row[] = {{mem, 4096, CUDA_SUCCESS},
		   {0, 0, CUDA_SUCCESS},
		   {mem, 1ull << 50, CUDA_ERROR_INVALID_VALUE},
		   {4096, 4096, CUDA_ERROR_INVALID_VALUE},
		   {mem - 4096, 4096, CUDA_ERROR_INVALID_VALUE}};
	CUlaunchAttributeValue v = {.accessPolicyWindow = {.hitRatio = 0.5f}};
	struct pvgpu_wire_graph_attr_set a = {.ctx = FAKE_CTX,
					      .graph = GRAPH(1),
					      .attr = CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
					      .value_len = sizeof(v)};

	far.cuGraphKernelNodeSetAttribute = take_attribute;
	make_graph(w, 1);
	ck_assert_int_eq(add_node(w, 100, GRAPH(1), CU_GRAPH_NODE_TYPE_EMPTY, 0), 0);
	for (uint32_t i = 0; i < 5; i++) {
		v.accessPolicyWindow.base_ptr = (void *)(uintptr_t)row[i].base;
		v.accessPolicyWindow.num_bytes = row[i].bytes;
		fake_submit(w, &a, sizeof(a), PVGPU_OP_GRAPH_ATTR_SET, 200 + i, &v, sizeof(v));
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 200 + i), row[i].result);
	}
	ck_assert_uint_eq(taken, 2);
	fake_close(w);
}
END_TEST

static int add_ops(struct worker *w, uint32_t seq, uint32_t graph, const struct pvgpu_mem_op *op)
{
	const struct {
		struct pvgpu_graph_node what;
		struct pvgpu_mem_op op;
	} parts = {{.kind = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP}, *op};
	struct pvgpu_wire_graph_add a = {.ctx = FAKE_CTX,
					 .graph = GRAPH(graph),
					 .what_len = sizeof(parts.what),
					 .params_len = sizeof(parts.op)};

	fake_submit(w, &a, sizeof(a), PVGPU_OP_GRAPH_ADD, seq, &parts, sizeof(parts));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

/* Words of nodes are the session's alone, and a launch that waits for one is known to wait. */
START_TEST(operations_lie_in_own_memory)
{
	struct worker *w = open_sim();
	const uint64_t mem = fake_alloc(w, 10, FAKE_CTX, 4096), at = w->arena_base;
	uint32_t own = 0, *word = (uint32_t *)(uintptr_t)at;
	const struct pvgpu_mem_op wait = {CU_STREAM_MEM_OP_WAIT_VALUE_32, 0, at, 1};
	const struct pvgpu_mem_op bad[] = {
		{CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, (uintptr_t)&own, 1},
		{CU_STREAM_MEM_OP_WAIT_VALUE_64, 0, mem + 4, 1},
		{CU_STREAM_MEM_OP_WRITE_VALUE_64, 0, UINT64_MAX - 7, 1},
		{CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, 0, 0, 0},
		{7, 0, mem, 1},
	};
	struct pvgpu_wire_graph_launch l = {.ctx = FAKE_CTX, .stream = STREAM, .exec = EXEC(1)};
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = STREAM};

	*word = 0;
	make_graph(w, 1);
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(add_ops(w, 100 + i, 1, &bad[i]), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(add_node(w, 120, GRAPH(1), CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, 0),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(add_ops(w, 121, 1, &wait), 0);
	ck_assert_int_eq(instantiate(w, 200, 1, 1), 0);
	FAKE_SUBMIT(w, GRAPH_LAUNCH, 0, l);
	ck_assert_uint_eq(w->gpu->gate.flying.words, 1);
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 210, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 210), 0);
	ck_assert_int_eq(w->ended, 0);
	fake_close(w);
}
END_TEST

/* An instance waits for words as soon as a node of it takes over a graph that does. */
START_TEST(a_graph_taken_over_waits)
{
	struct worker *w = open_sim();
	const uint64_t at = w->arena_base;
	const struct pvgpu_mem_op write = {CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, at, 1};
	const struct pvgpu_mem_op wait = {CU_STREAM_MEM_OP_WAIT_VALUE_32, 0, at, 1};
	struct pvgpu_wire_graph_exec_child c = {
		.ctx = FAKE_CTX, .exec = EXEC(1), .graph = GRAPH(3), .child = GRAPH(2)};
	const struct graph_exec *x;

	for (uint32_t i = 1; i <= 3; i++)
		make_graph(w, i);
	ck_assert_int_eq(add_ops(w, 100, 1, &write), 0);
	ck_assert_int_eq(add_ops(w, 101, 2, &wait), 0);
	ck_assert_int_eq(add_node(w, 102, GRAPH(3), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(1)), 0);
	ck_assert_int_eq(instantiate(w, 200, 1, 3), 0);
	x = obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH_EXEC, EXEC(1));
	ck_assert_uint_eq(x->sum.waits, 0);
	FAKE_SUBMIT(w, GRAPH_EXEC_CHILD, 201, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 201), 0);
	ck_assert_uint_eq(x->sum.waits, 1);
	fake_close(w);
}
END_TEST

/* The far end keeps something of every node in device memory. */
START_TEST(an_instance_is_charged_for_nodes_inside)
{
	struct worker *w = open_sim();
	uint64_t before;
	uint32_t last;

	ck_assert_int_eq(double_up(w, 100, 8, &last), 0);
	before = w->leased;
	ck_assert_int_eq(instantiate(w, 200, 1, last), 0);
	ck_assert_uint_eq(w->leased - before, (64u << 10) + 510 * 1024u);
	fake_close(w);
}
END_TEST

/* A copy within device memory, of so many bytes. */
static int add_copy(struct worker *w, uint32_t seq, uint32_t graph, uint64_t mem, uint64_t bytes)
{
	const struct pvgpu_graph_node what = {.kind = CU_GRAPH_NODE_TYPE_MEMCPY,
					      .dst = mem,
					      .src = mem + (1u << 20),
					      .dst_pitch = bytes,
					      .src_pitch = bytes,
					      .dst_height = 1,
					      .src_height = 1,
					      .width = bytes,
					      .height = 1,
					      .depth = 1};
	struct pvgpu_wire_graph_add a = {
		.ctx = FAKE_CTX, .graph = GRAPH(graph), .what_len = sizeof(what)};

	fake_submit(w, &a, sizeof(a), PVGPU_OP_GRAPH_ADD, seq, &what, sizeof(what));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static bool not_parked(struct worker *w, void *arg)
{
	return !w->gpu->park.count;
}

/* An instance of six copies of 64 KiB, three of them in each of two graphs inside. */
static struct worker *open_gated(struct gate_side *side)
{
	struct worker *w = open_sim();
	uint64_t mem = fake_alloc(w, 10, FAKE_CTX, 2u << 20);

	gate_side_make(side);
	ck_assert_int_eq(gate_side_give(side, w), 0);
	gate_side_set(&side->gate->open, 1);
	make_graph(w, 1);
	make_graph(w, 2);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(add_copy(w, 20 + i, 1, mem, 64u << 10), 0);
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(add_node(w, 30 + i, GRAPH(2), CU_GRAPH_NODE_TYPE_GRAPH, GRAPH(1)),
				 0);
	ck_assert_int_eq(instantiate(w, 40, 1, 2), 0);
	return w;
}

static void close_gated(struct worker *w, struct gate_side *side)
{
	struct pvgpu_wire_stream_synchronize sync = {.ctx = FAKE_CTX, .stream = STREAM};

	ck_assert(fake_until(w, not_parked, NULL));
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 9000, sync);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 9000), 0);
	fake_close(w);
	gate_side_free(side);
}

/* A launch pays for its nodes from the allowances of commands and bytes. */
START_TEST(a_launch_pays_for_its_nodes)
{
	struct gate_side side;
	struct worker *w = open_gated(&side);

	if (_i)
		gate_side_put(&side.gate->bytes, 6 * (64u << 10));
	else
		gate_side_put(&side.gate->commands, 6);
	launch(w, 1);
	ck_assert_uint_eq(w->gpu->park.count, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_bytes), 6 * (64u << 10));
	ck_assert_uint_eq(gate_side_number(&side.report->commands) +
				  gate_side_number(&side.report->nodes),
			  6);
	launch(w, 1);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	gate_side_put(&side.gate->bytes, PVGPU_GATE_NO_LIMIT);
	gate_side_put(&side.gate->commands, PVGPU_GATE_NO_LIMIT);
	gate_side_ring(w);
	close_gated(w, &side);
}
END_TEST

/* Nodes are in flight like commands. */
START_TEST(nodes_in_flight_count)
{
	struct gate_side side;
	struct worker *w = open_gated(&side);
	const struct stream *stream;

	launch(w, 1);
	stream = obj_lookup(&w->gpu->tables, PVGPU_H_STREAM, STREAM);
	ck_assert_uint_eq(stream->load.work, 6);
	close_gated(w, &side);
}
END_TEST

/* Copies of an instance can be changed: the sum never says less than they copy. */
START_TEST(a_changed_copy_pays_what_it_copies)
{
	struct gate_side side;
	struct worker *w = open_gated(&side);
	uint64_t mem = fake_alloc(w, 11, FAKE_CTX, 2u << 20), before;
	struct pvgpu_graph_node what = {.kind = CU_GRAPH_NODE_TYPE_MEMCPY,
					.dst = mem,
					.src = mem + (1u << 20),
					.dst_height = 1,
					.src_height = 1,
					.height = 1,
					.depth = 1};
	struct pvgpu_wire_graph_exec_set s = {
		.ctx = FAKE_CTX, .exec = EXEC(2), .graph = GRAPH(1), .what_len = sizeof(what)};

	ck_assert_int_eq(instantiate(w, 50, 2, 1), 0);
	launch(w, 2);
	before = gate_side_number(&side.report->copy_bytes);
	ck_assert_uint_eq(before, 3 * (64u << 10));
	for (uint64_t bytes = 1u << 20; bytes >= 1u << 10; bytes >>= 5) {
		what.width = what.dst_pitch = what.src_pitch = bytes;
		fake_submit(w, &s, sizeof(s), PVGPU_OP_GRAPH_EXEC_SET, 0, &what, sizeof(what));
		launch(w, 2);
		ck_assert_uint_eq(gate_side_number(&side.report->copy_bytes) - before,
				  bytes + 2 * (64u << 10));
		before = gate_side_number(&side.report->copy_bytes);
	}
	close_gated(w, &side);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker's graphs on the simulated GPU");
	TCase *t = tcase_create("graphs");
	char gpu[64];
	SRunner *r;
	int failed;

	snprintf(gpu, sizeof(gpu), "/dev/shm/worker_graph_test.%d", (int)getpid());
	setenv("SIMCUDA_GPU", gpu, 1);
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_graph_goes_with_its_node, 0, 2);
	tcase_add_test(t, an_invalid_capture_leaves_no_error);
	tcase_add_test(t, nodes_inside_of_nodes_count);
	tcase_add_test(t, a_node_that_goes_counts_no_more);
	tcase_add_test(t, graphs_nest_to_a_depth);
	tcase_add_test(t, captured_nodes_count);
	tcase_add_test(t, nodes_captured_inside_count);
	tcase_add_loop_test(t, a_capture_ends_with_its_node, 0, 2);
	tcase_add_test(t, other_streams_hear_nothing_of_a_capture);
	tcase_add_test(t, a_capture_ends_with_its_stream);
	tcase_add_test(t, windows_lie_in_own_memory);
	tcase_add_test(t, operations_lie_in_own_memory);
	tcase_add_test(t, a_graph_taken_over_waits);
	tcase_add_test(t, an_instance_is_charged_for_nodes_inside);
	tcase_add_loop_test(t, a_launch_pays_for_its_nodes, 0, 2);
	tcase_add_test(t, nodes_in_flight_count);
	tcase_add_test(t, a_changed_copy_pays_what_it_copies);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu);
	return failed != 0;
}
