/* SPDX-License-Identifier: MIT */
/* Captures whose beginning and end nobody waits for, on the simulated GPU, record by record. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_sim.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define STREAM   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define OTHER    PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 2)
#define EVENT    PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1)

#define GRAPH(n) PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, n)

static struct far far;
static struct pvgpu_wire_memset fill;

static struct worker *open_sim(void)
{
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct worker *w = fake_open_sim(&far);

	fake_chunk(w, 0, 1u << 20);
	FAKE_SUBMIT(w, STREAM_CREATE, 5, s);
	fill = (struct pvgpu_wire_memset){.ctx = FAKE_CTX,
					  .stream = STREAM,
					  .dst = fake_alloc(w, 10, FAKE_CTX, 4096),
					  .element = 1,
					  .width = 64,
					  .height = 1};
	return w;
}

static void make_graph(struct worker *w, uint32_t n)
{
	struct pvgpu_wire_graph_create c = {.graph = GRAPH(n)};

	FAKE_SUBMIT(w, GRAPH_CREATE, 0, c);
}

static void open_capture(struct worker *w, uint64_t stream, uint32_t graph)
{
	struct pvgpu_wire_capture_open o = {
		.ctx = FAKE_CTX, .stream = stream, .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_OPEN, 0, o);
}

static void close_capture(struct worker *w, uint32_t graph, uint32_t nodes)
{
	struct pvgpu_wire_capture_close c = {
		.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(graph), .nodes = nodes};

	FAKE_SUBMIT(w, CAPTURE_CLOSE, 0, c);
}

static int end_capture(struct worker *w, uint32_t seq, uint32_t graph)
{
	struct pvgpu_wire_capture_end e = {
		.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_END, seq, e);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int synchronize_stream(struct worker *w, uint64_t stream, uint32_t seq)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int synchronize(struct worker *w, uint32_t seq)
{
	return synchronize_stream(w, STREAM, seq);
}

/* The graph has as many nodes as the guest says, or the next call that waits tells. */
START_TEST(a_close_tells_what_is_not_so)
{
	struct worker *w = open_sim();
	static const struct {
		uint32_t nodes;
		int told;
	} said[] = {{2, 0}, {0, 0}, {3, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED}};

	make_graph(w, 1);
	open_capture(w, STREAM, 1);
	ck_assert_uint_eq(w->gpu->capturing, 1);
	FAKE_SUBMIT(w, MEMSET, 0, fill);
	FAKE_SUBMIT(w, MEMSET, 0, fill);
	close_capture(w, 1, said[_i].nodes);
	ck_assert_uint_eq(w->gpu->capturing, 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 2);
	ck_assert_int_eq(synchronize(w, 20), said[_i].told);
	ck_assert_int_eq(synchronize(w, 21), 0);
	/* Once more: nothing is captured. */
	close_capture(w, 1, 2);
	ck_assert_int_eq(synchronize(w, 22), CUDA_ERROR_ILLEGAL_STATE);
	fake_close(w);
}
END_TEST

/* Where a capture cannot begin, what was to be captured does not run; the end says why. */
START_TEST(a_capture_that_has_not_begun_refuses)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM};

	/* A graph that another thread of the worker reads. */
	make_graph(w, 1);
	graph_reads(obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH, GRAPH(1)), 1);
	open_capture(w, STREAM, 1);
	ck_assert_uint_eq(w->gpu->capturing, 1);
	graph_reads(obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH, GRAPH(1)), -1);
	FAKE_SUBMIT(w, MEMSET, 0, fill);
	ck_assert_uint_eq(w->gpu->graph_nodes, 0);
	switch (_i) {
	case 0:
		ck_assert_int_eq(end_capture(w, 20, 1), CUDA_ERROR_ILLEGAL_STATE);
		break;
	case 1:
		close_capture(w, 1, 1);
		ck_assert_int_eq(synchronize(w, 21), CUDA_ERROR_ILLEGAL_STATE);
		break;
	default:
		FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
	}
	ck_assert_uint_eq(w->gpu->capturing, 0);
	if (_i < 2) {
		ck_assert_int_eq(synchronize(w, 22), 0);
		open_capture(w, STREAM, 1);
		FAKE_SUBMIT(w, MEMSET, 0, fill);
		ck_assert_int_eq(end_capture(w, 23, 1), 0);
		ck_assert_uint_eq(w->gpu->graph_nodes, 1);
	}
	fake_close(w);
}
END_TEST

/* A question for the legacy stream that comes while a blocking stream is captured is refused, and
 * the capture goes on. */
START_TEST(the_legacy_stream_is_not_asked)
{
	struct pvgpu_wire_stream_query q = {.ctx = FAKE_CTX};
	struct worker *w = open_sim();

	make_graph(w, 1);
	open_capture(w, STREAM, 1);
	FAKE_SUBMIT(w, MEMSET, 0, fill);
	ck_assert_int_eq(synchronize_stream(w, 0, 20), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	FAKE_SUBMIT(w, STREAM_QUERY, 21, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 21), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	ck_assert_int_eq(end_capture(w, 22, 1), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 1);
	ck_assert_int_eq(synchronize_stream(w, 0, 23), 0);
	fake_close(w);
}
END_TEST

/* As many as there is room for, each in a stream of its own; the rest is refused. */
START_TEST(captures_have_a_limit)
{
	struct worker *w = open_sim();

	for (uint32_t i = 0; i <= CAPTURES_MAX; i++) {
		const uint64_t stream = PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, i + 2);
		struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = stream};

		FAKE_SUBMIT(w, STREAM_CREATE, 0, s);
		make_graph(w, i + 1);
		open_capture(w, stream, i + 1);
		open_capture(w, stream, i + 1);
	}
	ck_assert_uint_eq(w->gpu->capturing, CAPTURES_MAX);
	fake_close(w);
}
END_TEST

/* Another stream's commands are part of a capture, and wait for the session's memory with all
 * others. Its end, a command of the capture's own stream, comes after them all the same. */
START_TEST(an_end_stays_behind_other_streams)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_stream_create other = {.ctx = FAKE_CTX, .stream = OTHER};
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT};
	struct pvgpu_wire_event_record record = {.ctx = FAKE_CTX, .stream = STREAM, .event = EVENT};
	struct pvgpu_wire_stream_wait_event wait = {
		.ctx = FAKE_CTX, .stream = OTHER, .event = EVENT};
	struct pvgpu_wire_capture_end end = {.ctx = FAKE_CTX, .stream = STREAM, .graph = GRAPH(1)};
	struct pvgpu_wire_memset there = fill;

	FAKE_SUBMIT(w, STREAM_CREATE, 0, other);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	make_graph(w, 1);
	atomic_store(&w->gpu->swap.state, SWAP_COMING);
	open_capture(w, STREAM, 1);
	FAKE_SUBMIT(w, EVENT_RECORD, 0, record);
	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, wait);
	there.stream = OTHER;
	FAKE_SUBMIT(w, MEMSET, 0, there);
	FAKE_SUBMIT(w, CAPTURE_END, 20, end);
	ck_assert_uint_eq(w->gpu->park.count, 5);
	atomic_store(&w->gpu->swap.state, SWAP_HERE);
	ck_assert_int_eq(gpu_kicked(w), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	ck_assert_uint_eq(w->gpu->graph_nodes, 1);
	ck_assert_int_eq(synchronize_stream(w, OTHER, 21), 0);
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker's captures on the simulated GPU");
	TCase *t = tcase_create("captures");
	char gpu[64];
	SRunner *r;
	int failed;

	snprintf(gpu, sizeof(gpu), "/dev/shm/worker_capture_test.%d", (int)getpid());
	setenv("SIMCUDA_GPU", gpu, 1);
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_close_tells_what_is_not_so, 0, 3);
	tcase_add_loop_test(t, a_capture_that_has_not_begun_refuses, 0, 3);
	tcase_add_test(t, the_legacy_stream_is_not_asked);
	tcase_add_test(t, captures_have_a_limit);
	tcase_add_test(t, an_end_stays_behind_other_streams);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu);
	return failed != 0;
}
