/* SPDX-License-Identifier: MIT */
/*
 * Captures of a guest that keeps none of the library's rules, on the simulated GPU: what the worker
 * holds to be captured is so at the far end, too, and what runs is counted until it has ended.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_sim.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"

#define STREAM(n)  PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, n)
#define EVENT(n)   PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, n)
#define GRAPH(n)   PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, n)

#define STREAMS    3 /* 1 blocks, the others do not */
#define NOT_IN_ANY CU_STREAM_CAPTURE_STATUS_NONE

static struct far far;
static struct worker *w;
static uint64_t memory;

static void make_stream(uint32_t n, uint32_t flags)
{
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM(n), .flags = flags};

	FAKE_SUBMIT(w, STREAM_CREATE, 0, s);
}

static void setup(void)
{
	w = fake_open_sim(&far);
	fake_chunk(w, 0, 1u << 20);
	for (uint32_t i = 1; i <= STREAMS; i++) {
		struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(i)};
		struct pvgpu_wire_graph_create g = {.graph = GRAPH(i)};

		make_stream(i, i > 1 ? CU_STREAM_NON_BLOCKING : 0);
		FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
		FAKE_SUBMIT(w, GRAPH_CREATE, 0, g);
	}
	memory = fake_alloc(w, 10, FAKE_CTX, 1u << 20);
}

static void teardown(void)
{
	fake_close(w);
}

static struct stream *stream(uint32_t n)
{
	return obj_lookup(&w->gpu->tables, PVGPU_H_STREAM, STREAM(n));
}

static CUstreamCaptureStatus far_status(uint32_t n)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;

	ck_assert_int_eq(
		far.cuStreamGetCaptureInfo_v2(stream(n)->far, &status, NULL, NULL, NULL, NULL), 0);
	return status;
}

static void fill(uint32_t n, unsigned char value)
{
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM(n),
				      .dst = memory,
				      .element = 1,
				      .width = 64,
				      .height = 1,
				      .value = value};

	FAKE_SUBMIT(w, MEMSET, 0, m);
}

static unsigned char filled_with(void)
{
	unsigned char v = 0;
	CUstream s;

	ck_assert_int_eq(far.cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0), 0);
	ck_assert_int_eq(far.cuMemcpyDtoHAsync_v2(&v, memory, 1, s), 0);
	ck_assert_int_eq(far.cuStreamSynchronize(s), 0);
	far.cuStreamDestroy_v2(s);
	return v;
}

static void open_capture(uint32_t n, uint32_t graph)
{
	struct pvgpu_wire_capture_open o = {
		.ctx = FAKE_CTX, .stream = STREAM(n), .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_OPEN, 0, o);
}

static int end_capture(uint32_t seq, uint32_t n, uint32_t graph)
{
	struct pvgpu_wire_capture_end e = {
		.ctx = FAKE_CTX, .stream = STREAM(n), .graph = GRAPH(graph)};

	FAKE_SUBMIT(w, CAPTURE_END, seq, e);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void record(uint32_t n, uint32_t event, uint32_t flags)
{
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = STREAM(n), .event = EVENT(event), .flags = flags};

	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
}

static void follow(uint32_t n, uint32_t event, uint32_t flags)
{
	struct pvgpu_wire_stream_wait_event r = {
		.ctx = FAKE_CTX, .stream = STREAM(n), .event = EVENT(event), .flags = flags};

	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, r);
}

static int synchronize(uint32_t seq, uint32_t n)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = STREAM(n)};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

/* A wait that joins nothing takes no stream out of its capture: when that ends, a stream that took
 * part in it is behind the gate again. */
START_TEST(an_external_wait_moves_no_stream)
{
	static struct pvgpu_gate shut = {.open = 0,
					 .inflight_ns = PVGPU_GATE_NO_LIMIT,
					 .commands = PVGPU_GATE_NO_LIMIT,
					 .bytes = PVGPU_GATE_NO_LIMIT};
	const struct pvgpu_gate *was = w->gpu->gate.page;
	const unsigned char before = filled_with();
	uint64_t own;

	open_capture(1, 1);
	record(1, 1, 0);
	open_capture(2, 2);
	own = stream(2)->capture;
	record(2, 2, 0);
	follow(3, 2, 0);
	ck_assert_uint_eq(stream(3)->capture, own);
	follow(2, 1, CU_EVENT_WAIT_EXTERNAL);
	ck_assert_uint_eq(stream(2)->capture, own);
	ck_assert_int_eq(end_capture(20, 2, 2), CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_uint_eq(w->gpu->capturing, 1);
	ck_assert_uint_eq(stream(3)->capture, 0);
	ck_assert_int_eq(far_status(3), NOT_IN_ANY);
	w->gpu->gate.page = &shut;
	fill(3, (unsigned char)~before);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	ck_assert_int_eq(filled_with(), before);
	w->gpu->gate.page = was;
	fake_kicked(w);
	ck_assert_int_eq(synchronize(21, 3), 0);
	ck_assert_int_eq(filled_with(), (unsigned char)~before);
	ck_assert_int_eq(end_capture(22, 1, 1), 0);
}
END_TEST

/* A record that is a node leaves the event where it was: who waits for it takes part in the capture
 * for the worker, too. */
START_TEST(an_external_record_hides_no_capture)
{
	const struct event *e = obj_lookup(&w->gpu->tables, PVGPU_H_EVENT, EVENT(1));
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = STREAM(3), .id = 7};
	uint64_t own;

	open_capture(1, 1);
	own = stream(1)->capture;
	record(1, 1, 0);
	record(1, 1, CU_EVENT_RECORD_EXTERNAL);
	ck_assert_uint_eq(e->capture, own);
	follow(3, 1, 0);
	ck_assert_uint_eq(stream(3)->capture, own);
	ck_assert_int_eq(far_status(3), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	/* A host function that runs once is no node of a graph that is launched many times. */
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	ck_assert_uint_eq(w->gpu->cb.count, 0);
	record(3, 2, 0);
	follow(1, 2, 0);
	ck_assert_int_eq(end_capture(20, 1, 1), CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_uint_eq(w->gpu->graph_nodes, 0);
}
END_TEST

/* Outside of a capture they are refused, too, and leave the event as it was. */
START_TEST(nothing_is_external_outside_of_captures)
{
	record(1, 1, _i ? 0 : CU_EVENT_RECORD_EXTERNAL);
	if (_i)
		follow(2, 1, CU_EVENT_WAIT_EXTERNAL);
	ck_assert_int_eq(synchronize(20, 2), CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(synchronize(21, 1), 0);
}
END_TEST

/* The graph that is asked about, or whose nodes are named, is the one that gets the nodes: numbers
 * of another one's would be taken out of what that one counts. */
START_TEST(a_capture_knows_one_graph)
{
	const struct graph *other = obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH, GRAPH(2));
	struct pvgpu_wire_capture_get g = {.ctx = FAKE_CTX, .stream = STREAM(1), .graph = GRAPH(2)};
	struct pvgpu_wire_capture_set s = {
		.ctx = FAKE_CTX, .stream = STREAM(1), .graph = GRAPH(2), .set = 1};

	FAKE_SUBMIT(w, CAPTURE_GET, 19, g);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 19), CUDA_ERROR_ILLEGAL_STATE);
	open_capture(1, 1);
	fill(1, 1);
	FAKE_SUBMIT(w, CAPTURE_GET, 20, g);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), CUDA_ERROR_ILLEGAL_STATE);
	FAKE_SUBMIT(w, CAPTURE_SET, 21, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 21), CUDA_ERROR_ILLEGAL_STATE);
	ck_assert_uint_eq(other->count, 0);
	g.graph = GRAPH(1);
	FAKE_SUBMIT(w, CAPTURE_GET, 22, g);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 22), 0);
	ck_assert_int_eq(end_capture(23, 1, 1), 0);
	ck_assert_uint_eq(other->nodes, 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 1);
}
END_TEST

static void copy_lines(uint32_t n)
{
	struct pvgpu_copy_line line[PVGPU_COPIES_MAX];
	struct pvgpu_wire_copy_batch b = {
		.ctx = FAKE_CTX, .stream = STREAM(1), .lines_len = n * (uint32_t)sizeof(*line)};

	for (uint32_t i = 0; i < n; i++)
		line[i] = (struct pvgpu_copy_line){
			.dst = memory + 8 * i, .src = memory + 4096 + 8 * i, .size = 8};
	ck_assert_int_eq(fake_submit(w, &b, sizeof(b), PVGPU_OP_COPY_BATCH, 0, line, b.lines_len),
			 0);
}

/* Each line of a batch is a node, and counts before it is one: no more than a graph may have. */
START_TEST(a_batch_is_as_many_nodes_as_lines)
{
	const uint32_t most = PVGPU_GRAPH_NODES_MAX / PVGPU_COPIES_MAX;
	size_t nodes = 0;

	open_capture(1, 1);
	for (uint32_t i = 0; i < most; i++)
		copy_lines(PVGPU_COPIES_MAX);
	ck_assert_uint_eq(w->gpu->graph_nodes, most * PVGPU_COPIES_MAX);
	for (uint32_t i = 0; i < 100; i++)
		copy_lines(PVGPU_COPIES_MAX);
	ck_assert_uint_le(w->gpu->graph_nodes, PVGPU_GRAPH_NODES_MAX);
	ck_assert_int_eq(end_capture(20, 1, 1), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(
		far.cuGraphGetNodes(
			((struct graph *)obj_lookup(&w->gpu->tables, PVGPU_H_GRAPH, GRAPH(1)))->far,
			NULL, &nodes),
		0);
	ck_assert_uint_eq(nodes, PVGPU_GRAPH_NODES_MAX);
	ck_assert_uint_eq(w->gpu->graph_nodes, nodes);
}
END_TEST

/* So do the parts of a copy or a fill that reaches over chunks of the arena. */
START_TEST(each_part_is_a_node)
{
	const uint64_t border = w->arena_base + (1u << 20) - 4096;
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM(1),
				      .dst = border,
				      .element = 1,
				      .width = 8192,
				      .height = 1};
	struct pvgpu_wire_copy line = {
		.ctx = FAKE_CTX, .stream = STREAM(1), .dst = memory, .src = border, .size = 8192};
	struct pvgpu_wire_copy_3d box = {.ctx = FAKE_CTX,
					 .stream = STREAM(1),
					 .dst = memory,
					 .dst_pitch = 4096,
					 .dst_height = 2,
					 .src = border,
					 .src_pitch = 4096,
					 .src_height = 2,
					 .width = 4096,
					 .height = 2,
					 .depth = 1};
	uint64_t counted;

	fake_chunk(w, 1u << 20, 1u << 20);
	open_capture(1, 1);
	switch (_i) {
	case 0:
		FAKE_SUBMIT(w, MEMSET, 0, m);
		break;
	case 1:
		FAKE_SUBMIT(w, COPY, 0, line);
		break;
	default:
		FAKE_SUBMIT(w, COPY_3D, 0, box);
	}
	counted = w->gpu->graph_nodes;
	ck_assert_int_eq(end_capture(20, 1, 1), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 2);
	ck_assert_uint_eq(counted, 2);
}
END_TEST

#define ADDRESSES PVGPU_HANDLE(PVGPU_H_RESERVATION, 0, 1, 1)
#define SECOND    PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2)

/* Work that does not end before let_go(). */
static void keep_busy(uint64_t ctx, uint64_t in)
{
	struct pvgpu_wire_hold h = {.ctx = ctx, .stream = in, .word = w->arena_base, .value = 1};
	struct pvgpu_wire_memset m = {.ctx = ctx,
				      .stream = in,
				      .dst = memory,
				      .element = 1,
				      .width = 64,
				      .height = 1,
				      .value = 0x77};

	FAKE_SUBMIT(w, HOLD, 0, h);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_uint_gt(w->gpu->gate.flying.work, 0);
}

static void let_go(void)
{
	__atomic_store_n((uint32_t *)(uintptr_t)w->arena_base, 1, __ATOMIC_RELEASE);
}

/* Calls that come behind all work; they are answered, since nothing is mapped there. */
static void change_mappings(void)
{
	struct pvgpu_wire_mem_reserve a = {.size = 2u << 20, .reservation = ADDRESSES};
	struct pvgpu_wire_mem_unmap u = {.reservation = ADDRESSES, .size = 2u << 20};

	FAKE_SUBMIT(w, MEM_RESERVE, 50, a);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 50), 0);
	FAKE_SUBMIT(w, MEM_UNMAP, 51, u);
	FAKE_SUBMIT(w, MEM_UNMAP, 52, u);
	/* The side lane has been past what it could do. */
	fake_alloc(w, 53, FAKE_CTX, 4096);
	gpu_pause(w);
	ck_assert_int_eq(gpu_kicked(w), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 51));
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 52));
	ck_assert(!streams_idle(w->gpu));
	ck_assert_uint_gt(w->gpu->gate.flying.work, 0);
}

static bool nothing_runs(struct worker *at, void *arg)
{
	return streams_idle(at->gpu) && !at->gpu->gate.flying.work && !at->gpu->zombies;
}

static void mappings_have_changed(void)
{
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 51), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 52), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(w->ended, 0);
	ck_assert(fake_until(w, nothing_runs, NULL));
}

/* A capture says nothing of what its streams did before: it runs on when the stream is destroyed.
 */
START_TEST(a_stream_in_a_capture_is_busy_until_its_work_ends)
{
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM(3)};

	keep_busy(FAKE_CTX, STREAM(3));
	open_capture(1, 1);
	record(1, 1, 0);
	follow(3, 1, 0);
	ck_assert_int_eq(far_status(3), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
	ck_assert_uint_eq(w->gpu->zombies, 1);
	change_mappings();
	ck_assert_uint_eq(w->gpu->zombies, 1);
	let_go();
	mappings_have_changed();
	ck_assert_int_eq(end_capture(20, 1, 1), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	ck_assert_uint_eq(w->gpu->capturing, 0);
}
END_TEST

/* Nor of a legacy stream's work, which nobody may ask for meanwhile: of another handle of the
 * context, or barred by a stream that has joined the capture. */
START_TEST(a_legacy_stream_is_busy_through_a_capture)
{
	struct pvgpu_wire_ctx_primary_retain c = {.ctx = SECOND};
	const bool joins = _i == 1;

	if (_i == 2) {
		FAKE_SUBMIT(w, CTX_PRIMARY_RETAIN, 11, c);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	}
	keep_busy(_i == 2 ? SECOND : FAKE_CTX, 0);
	open_capture(joins ? 2 : 1, 1);
	if (joins) {
		record(2, 1, 0);
		follow(1, 1, 0);
	}
	change_mappings();
	ck_assert_int_eq(far_status(1), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	let_go();
	mappings_have_changed();
	fill(1, 1);
	ck_assert_int_eq(far_status(1), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	if (joins) {
		record(1, 2, 0);
		follow(2, 2, 0);
	}
	ck_assert_int_eq(end_capture(20, joins ? 2 : 1, 1), 0);
	ck_assert_uint_eq(w->gpu->graph_nodes, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("captures of a guest without rules");
	TCase *t = tcase_create("captures");
	char gpu[64];
	SRunner *r;
	int failed;

	snprintf(gpu, sizeof(gpu), "/dev/shm/worker_capture_rules_test.%d", (int)getpid());
	setenv("SIMCUDA_GPU", gpu, 1);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_external_wait_moves_no_stream);
	tcase_add_test(t, an_external_record_hides_no_capture);
	tcase_add_loop_test(t, nothing_is_external_outside_of_captures, 0, 2);
	tcase_add_test(t, a_capture_knows_one_graph);
	tcase_add_test(t, a_batch_is_as_many_nodes_as_lines);
	tcase_add_loop_test(t, each_part_is_a_node, 0, 3);
	tcase_add_test(t, a_stream_in_a_capture_is_busy_until_its_work_ends);
	tcase_add_loop_test(t, a_legacy_stream_is_busy_through_a_capture, 0, 3);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu);
	return failed != 0;
}
