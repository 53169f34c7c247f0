/* SPDX-License-Identifier: MIT */
/*
 * Conditional nodes of a guest that keeps to no rule, record by record: what it names must be its
 * graph's, and nothing outlives the node.
 */
#include <check.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define GRAPH(n) PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, n)

static struct worker *w;
static uint32_t seq = 100;

static void make_graph(uint32_t n)
{
	struct pvgpu_wire_graph_create c = {.graph = GRAPH(n)};

	FAKE_SUBMIT(w, GRAPH_CREATE, 0, c);
}

static void setup(void)
{
	w = fake_open(true);
	make_graph(1);
}

static void teardown(void)
{
	fake_close(w);
}

static int condition(uint32_t graph, uint64_t *out)
{
	struct pvgpu_wire_graph_condition c = {.ctx = FAKE_CTX, .graph = GRAPH(graph)};
	int r;

	FAKE_SUBMIT(w, GRAPH_CONDITION, ++seq, c);
	r = fake_result(w, PVGPU_REP_REPLY, seq);
	memcpy(out, fake_body(w, PVGPU_REP_REPLY, seq), sizeof(*out));
	return r;
}

static int conditional(uint32_t graph, uint64_t of, uint32_t bodies)
{
	struct pvgpu_wire_graph_conditional c = {.ctx = FAKE_CTX,
						 .graph = GRAPH(graph),
						 .condition = of,
						 .kind = CU_GRAPH_COND_TYPE_SWITCH,
						 .bodies = bodies};

	FAKE_SUBMIT(w, GRAPH_CONDITIONAL, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int body(uint32_t graph, uint32_t node, uint32_t number, uint32_t child)
{
	struct pvgpu_wire_graph_body b = {.ctx = FAKE_CTX,
					  .graph = GRAPH(graph),
					  .node = node,
					  .body = number,
					  .child = GRAPH(child)};

	FAKE_SUBMIT(w, GRAPH_BODY, ++seq, b);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int add_empty(uint32_t graph)
{
	const struct pvgpu_graph_node what = {.kind = CU_GRAPH_NODE_TYPE_EMPTY};
	struct pvgpu_wire_graph_add a = {
		.ctx = FAKE_CTX, .graph = GRAPH(graph), .what_len = sizeof(what)};

	fake_submit(w, &a, sizeof(a), PVGPU_OP_GRAPH_ADD, ++seq, &what, sizeof(what));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int drop_node(uint32_t graph, uint32_t node)
{
	struct pvgpu_wire_graph_drop d = {.graph = GRAPH(graph), .node = node};

	FAKE_SUBMIT(w, GRAPH_DROP, ++seq, d);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy_graph(uint32_t n)
{
	struct pvgpu_wire_graph_destroy d = {.graph = GRAPH(n)};

	FAKE_SUBMIT(w, GRAPH_DESTROY, 0, d);
}

/* A condition of the graph, or of one around it. */
START_TEST(conditions_of_the_graph)
{
	uint64_t one, two, inner;

	make_graph(2);
	ck_assert_int_eq(condition(1, &one), 0);
	ck_assert_int_eq(condition(2, &two), 0);
	ck_assert_int_eq(conditional(1, 0, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(conditional(1, ~0ull, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(conditional(1, one + 1, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(conditional(1, two, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(conditional(1, one, 1), 0);
	ck_assert_int_eq(body(1, 0, 0, 3), 0);
	ck_assert_int_eq(condition(3, &inner), 0);
	ck_assert_int_eq(conditional(3, inner, 2), 0);
	ck_assert_int_eq(conditional(3, one, 2), 0);
	ck_assert_int_eq(conditional(3, two, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(conditional(1, inner, 1), CUDA_ERROR_INVALID_VALUE);
	/* They go with their graph. */
	destroy_graph(2);
	make_graph(2);
	ck_assert_int_eq(conditional(2, two, 1), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* A body gives one handle at a time, and each goes with the node. */
START_TEST(bodies_go_with_their_node)
{
	uint64_t h;

	ck_assert_int_eq(condition(1, &h), 0);
	ck_assert_int_eq(conditional(1, h, 2), 0);
	ck_assert_int_eq(add_empty(1), 0);
	ck_assert_int_eq(body(1, 0, 2, 3), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(body(1, 1, 0, 3), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(body(1, 7, 0, 3), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(body(1, 0, 0, 3), 0);
	ck_assert_int_eq(body(1, 0, 1, 4), 0);
	ck_assert_int_eq(body(1, 0, 1, 5), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(conditional(4, h, 1), 0);
	ck_assert_int_eq(body(4, 0, 0, 5), 0);
	destroy_graph(5);
	ck_assert_int_eq(body(4, 0, 0, 6), 0);
	ck_assert_int_eq(add_empty(6), 0);
	ck_assert_uint_eq(atomic_load(&w->gpu->conditions.nodes), 2);
	if (_i) {
		ck_assert_int_eq(drop_node(1, 0), 0);
		ck_assert_uint_eq(atomic_load(&w->gpu->conditions.nodes), 0);
		ck_assert_uint_eq(w->gpu->graph_nodes, 1);
	} else {
		destroy_graph(1);
	}
	ck_assert_int_eq(add_empty(3), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(add_empty(6), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(conditional(4, h, 1), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

/* Bodies count like nodes, and so does what is in them. */
START_TEST(bodies_count)
{
	uint64_t h;
	int r = 0;

	ck_assert_int_eq(condition(1, &h), 0);
	ck_assert_int_eq(conditional(1, h, 3), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 4);
	ck_assert_int_eq(body(1, 0, 2, 3), 0);
	ck_assert_int_eq(add_empty(3), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 5);
	for (uint32_t i = 0; i < 100 && !r; i++)
		r = conditional(1, h, PVGPU_GRAPH_BODIES_MAX);
	ck_assert_int_eq(r, CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_le(w->gpu->graph_nodes, PVGPU_GRAPH_NODES_MAX);
}
END_TEST

START_TEST(bodies_nest_to_a_depth)
{
	uint32_t depth = 0;
	uint64_t h;
	int r = 0;

	ck_assert_int_eq(condition(1, &h), 0);
	while (depth < 100 && !r) {
		r = conditional(depth + 1, h, 1);
		if (!r)
			r = body(depth + 1, 0, 0, depth + 2);
		depth += !r;
	}
	ck_assert_int_eq(r, CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_uint_eq(depth, GRAPH_DEPTH_MAX);
}
END_TEST

/* An edge's data is what the far end's headers define, and its ends are nodes of the graph. */
START_TEST(edges_have_known_data)
{
	static const struct {
		uint32_t to;
		CUgraphEdgeData data;
		int result;
	} row[] = {
		{1, {0}, 0},
		{1, {.from_port = CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER}, 0},
		{1, {.from_port = 1, .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC}, 0},
		{2, {0}, CUDA_ERROR_INVALID_VALUE},
		{UINT32_MAX, {0}, CUDA_ERROR_INVALID_VALUE},
		{1, {.from_port = 3}, CUDA_ERROR_INVALID_VALUE},
		{1, {.to_port = 1}, CUDA_ERROR_INVALID_VALUE},
		{1, {.type = 2}, CUDA_ERROR_INVALID_VALUE},
		{1, {.reserved = {0, 0, 0, 0, 1}}, CUDA_ERROR_INVALID_VALUE},
	};
	struct pvgpu_graph_edge e = {0};
	struct pvgpu_wire_graph_link_data l = {.graph = GRAPH(1), .on = 1, .edges_len = sizeof(e)};

	ck_assert_int_eq(add_empty(1), 0);
	ck_assert_int_eq(add_empty(1), 0);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		e.to = row[i].to;
		memcpy(e.data, &row[i].data, sizeof(e.data));
		fake_submit(w, &l, sizeof(l), PVGPU_OP_GRAPH_LINK_DATA, ++seq, &e, sizeof(e));
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), row[i].result);
	}
	l.edges_len--;
	fake_submit(w, &l, sizeof(l), PVGPU_OP_GRAPH_LINK_DATA, ++seq, &e, l.edges_len);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(conditions_are_bounded)
{
	uint64_t h;

	atomic_store(&w->gpu->conditions.count, PVGPU_GRAPH_CONDITIONS_MAX - 5);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_int_eq(condition(1, &h), 0);
	ck_assert_int_eq(condition(1, &h), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(atomic_load(&w->gpu->conditions.count), PVGPU_GRAPH_CONDITIONS_MAX);
}
END_TEST

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

/* The far end keeps those of a graph inside, whatever becomes of its handle. */
START_TEST(conditions_inside_stay_bounded)
{
	uint64_t h;

	ck_assert_int_eq(condition(1, &h), 0);
	ck_assert_int_eq(conditional(1, h, 1), 0);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(body(1, 0, 0, 2), 0);
		ck_assert_int_eq(condition(2, &h), 0);
		destroy_graph(2);
	}
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_uint_eq(atomic_load(&w->gpu->conditions.count), 4);
	destroy_graph(1);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_uint_eq(atomic_load(&w->gpu->conditions.count), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker's conditional nodes");
	TCase *t = tcase_create("conditions");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, conditions_of_the_graph);
	tcase_add_loop_test(t, bodies_go_with_their_node, 0, 2);
	tcase_add_test(t, bodies_count);
	tcase_add_test(t, bodies_nest_to_a_depth);
	tcase_add_test(t, edges_have_known_data);
	tcase_add_test(t, conditions_are_bounded);
	tcase_add_test(t, conditions_inside_stay_bounded);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
