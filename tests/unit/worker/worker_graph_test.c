/* SPDX-License-Identifier: MIT */
/*
 * Graphs and captures of a guest that keeps to no rule, on the simulated GPU, record by record.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"

#define STREAM   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define GRAPH(n) PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, n)

static struct far far;

static struct worker *open_sim(void)
{
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct worker *w;
	char reason[160];

	ck_assert_int_eq(far_load(&far, SIMCUDA, reason, sizeof(reason)), 0);
	ck_assert_int_eq(far.cuInit(0), 0);
	ck_assert_int_eq(far.cuDeviceGet(&far.dev, 0), 0);
	ck_assert_int_eq(far.cuDriverGetVersion(&far.driver_version), 0);
	w = fake_open_on(&far);
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
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu);
	return failed != 0;
}
