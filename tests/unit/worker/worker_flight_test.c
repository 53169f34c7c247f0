/* SPDX-License-Identifier: MIT */
/* The work in flight: the time to drain, what may be added to it, and what pvgpud is told of it. */
#include "tests/unit/worker/clock_case.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

/* Kernels by their shape. */
#define LONG    2u /* 300 ms */
#define SHORT   3u /* 10 us */
#define OTHER   4u /* as the test says */
#define UNKNOWN 9u

static void open_bound(bool contended)
{
	gate_side_put(&side.gate->inflight_ns, 2 * MS);
	gate_side_set(&side.gate->contended, contended);
	gate_side_ring(w);
}

static void open_taught(bool contended, float other)
{
	open_clocked(4, true);
	teach(LONG, 300);
	teach(SHORT, 0.01f);
	teach(OTHER, other);
	open_bound(contended);
}

static uint64_t flying(void)
{
	return w->gpu->gate.flying.work;
}

static uint64_t drain(void)
{
	return gate_side_number(&side.report->drain_ns);
}

static void launch(uint32_t stream, uint32_t blocks, uint32_t n)
{
	while (n--)
		gate_launch(w, GATE_STREAM(stream), blocks);
}

static void end(uint32_t stream)
{
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(stream)), UINT64_MAX);
}

static bool are_flying(struct worker *v, void *n)
{
	v->gpu->gate.look = true;
	gpu_kicked(v);
	return flying() == *(const uint64_t *)n;
}

/* So many are in flight as soon as what has ended has been seen. */
static void await_flying(uint64_t n)
{
	ck_assert(fake_until(w, are_flying, &n));
}

/* ---- one piece ---- */

/* Of long kernels there is one in flight, and the others of its stream are parked. */
START_TEST(one_long_piece)
{
	open_taught(_i, 1);
	launch(1, LONG, 4);
	ck_assert_uint_eq(flying(), 1);
	ck_assert_uint_eq(drain(), 300 * MS);
	clock_ns += 300 * MS;
	end(1);
	while (w->gpu->park.count == 3)
		await_flying(1);
	ck_assert_uint_eq(w->gpu->park.count, 2);
	close_session();
}
END_TEST

/* It holds no other stream: short kernels and copies go on, as long as they fit the bound. */
START_TEST(others_beside_a_long_piece)
{
	uint64_t device;

	open_taught(_i, 1);
	device = fake_alloc(w, 50, FAKE_CTX, 1u << 20);
	launch(2, LONG, 3);
	launch(3, SHORT, 20);
	ck_assert_uint_eq(flying(), 21);
	for (int i = 0; i < 10; i++)
		gate_copy_to(w, device, 4096);
	ck_assert_uint_eq(flying(), 31);
	ck_assert_uint_eq(w->gpu->park.count, 2);
	ck_assert_uint_eq(w->gpu->gate.drain, gate_side_number(&side.report->inflight_ns));
	launch(3, SHORT, 400);
	ck_assert_uint_le(w->gpu->gate.drain, 302 * MS);
	ck_assert_uint_ge(w->gpu->gate.drain, 301 * MS);
	close_session();
}
END_TEST

/* A stream that has nothing in flight may begin something short while no other vGPU has work. */
START_TEST(an_idle_stream_alone)
{
	open_taught(false, 1);
	launch(1, OTHER, 8);
	ck_assert_uint_eq(flying(), 2);
	launch(2, SHORT, 1);
	ck_assert_uint_eq(flying(), 3);
	close_session();
}
END_TEST

/* A second piece beside one: always with short ones, of longer ones while no other vGPU waits. */
START_TEST(a_second_piece)
{
	static const struct {
		float ms;
		bool contended;
		uint64_t flying;
	} row[] = {{2.5f, true, 2}, {4, true, 1}, {5, false, 2}, {8, false, 1}};

	open_taught(row[_i].contended, row[_i].ms);
	gate_side_put(&side.gate->inflight_ns, MS);
	launch(1, OTHER, 5);
	ck_assert_uint_eq(flying(), row[_i].flying);
	close_session();
}
END_TEST

/* ---- unknown lengths ---- */

/* One is in flight until it has ended, however late it is: those that come behind it in its stream
 * cannot be what it waits for. Then it is known how long they are. */
START_TEST(unknown_lengths)
{
	open_clocked(4, true);
	open_bound(_i);
	launch(1, UNKNOWN, 20);
	ck_assert_uint_eq(flying(), 1);
	for (int i = 0; i < 10; i++) {
		clock_ns += 100 * MS;
		gate_side_ring(w);
	}
	ck_assert_uint_eq(flying(), 1);
	fake_far.elapsed_ms = 300;
	end(1);
	await_flying(1);
	close_session();
}
END_TEST

/* Each may wait for one in a stream that has nothing in flight: one more goes each time that all
 * are late. */
START_TEST(unknown_lengths_in_streams)
{
	open_clocked(4, true);
	open_bound(_i);
	for (uint32_t stream = 1; stream <= 4; stream++)
		launch(stream, UNKNOWN, 1);
	launch(1, UNKNOWN, 1);
	for (uint64_t n = 1; n <= 4; n++) {
		gate_side_ring(w);
		ck_assert_uint_eq(flying(), n);
		clock_ns += 100 * MS;
		gate_side_ring(w);
	}
	ck_assert_uint_eq(flying(), 4);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	close_session();
}
END_TEST

/* ---- no fences ---- */

static const char *refused; /* a call of the far end */
static CUresult refusal;

static CUresult refuses(const char *call)
{
	return strcmp(call, refused) ? CUDA_SUCCESS : refusal;
}

static bool are_parked(struct worker *v, void *n)
{
	v->gpu->gate.look = true;
	gpu_kicked(v);
	return v->gpu->park.count == *(const uint32_t *)n;
}

/* The far end has no event for a fence, for want of memory or since the context is lost: the stream
 * itself says when its work has ended. */
START_TEST(no_event_for_a_fence)
{
	static const CUresult all[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_ILLEGAL_ADDRESS};

	open_clocked(4, true);
	open_bound(_i % 2);
	finish();
	pool_empty(w->gpu, ctx_any(w->gpu));
	refused = "event_create";
	refusal = all[_i / 2];
	fake_far.fail = refuses;
	launch(1, UNKNOWN, 3);
	ck_assert_uint_eq(flying(), 1);
	for (uint32_t left = 2; left--;) {
		ck_assert_uint_eq(w->gpu->park.count, left + 1);
		clock_ns += 300 * MS;
		end(1);
		ck_assert(fake_until(w, are_parked, &left));
		ck_assert_uint_eq(flying(), 1);
	}
	fake_far.fail = NULL;
	close_session();
}
END_TEST

/* Where a fence cannot be recorded, the context is lost and its work has ended: what is refused for
 * that work's sake has room. */
START_TEST(no_fence_is_recorded)
{
	open_taught(false, 1);
	launch(1, SHORT, 1);
	refused = "event_record";
	refusal = CUDA_ERROR_ILLEGAL_ADDRESS;
	fake_far.fail = refuses;
	gate_side_set(&side.gate->contended, 1);
	launch(1, LONG, 1);
	ck_assert_uint_eq(w->gpu->park.count, 0);
	fake_far.fail = NULL;
	close_session();
}
END_TEST

static bool busy;

static CUresult nothing_but_queries(const char *call)
{
	if (!strcmp(call, "query") && busy)
		return CUDA_ERROR_NOT_READY;
	return strcmp(call, "event_create") ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The same where the stream is full of what is no GPU work: it is asked now and then. */
START_TEST(a_full_stream_without_fences)
{
	const uint64_t event = PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = event};
	struct pvgpu_wire_stream_wait_event r = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .event = event};
	uint32_t none = 0;

	open_clocked(4, true);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	finish();
	ck_assert_int_eq(gpu_gate_look_ms(w), -1);
	pool_empty(w->gpu, ctx_any(w->gpu));
	busy = true;
	fake_far.fail = nothing_but_queries;
	for (uint32_t n = 0; n < 5000 && !w->gpu->park.count; n++)
		FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, r);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	ck_assert_uint_eq(flying(), 0);
	ck_assert_int_gt(gpu_gate_look_ms(w), 0);
	busy = false;
	ck_assert(fake_until(w, are_parked, &none));
	ck_assert_int_eq(gpu_gate_look_ms(w), -1);
	fake_far.fail = NULL;
	close_session();
}
END_TEST

/* A full stream is in no count when its context has gone. */
START_TEST(a_full_stream_goes)
{
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	open_clocked(4, true);
	for (uint32_t n = 0; n < 5000 && !w->gpu->full_streams; n++)
		gate_launch(w, _i ? GATE_STREAM(1) : 0, SHORT);
	ck_assert_uint_eq(w->gpu->full_streams, 1);
	ck_assert_uint_eq(w->gpu->park.count, 0);
	FAKE_SUBMIT(w, CTX_DESTROY, 60, d);
	ck_assert_uint_eq(w->gpu->full_streams, 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	ck_assert_uint_eq(w->gpu->full_streams, 0);
	close_session();
}
END_TEST

/* ---- a moment ---- */

START_TEST(a_moment)
{
	open_taught(_i, 1);
	launch(1, LONG, 2);
	gate_side_set(&side.gate->open, 0);
	gate_side_put(&side.gate->inflight_ns, 0);
	launch(2, LONG, 2);
	launch(3, SHORT, 2);
	ck_assert_uint_eq(flying(), 1);
	gate_side_set(&side.gate->open, 1);
	gate_side_ring(w);
	/* One of each stream that had nothing in flight. */
	ck_assert_uint_eq(flying(), 3);
	ck_assert_uint_eq(w->gpu->park.count, 3);
	launch(4, UNKNOWN, 1);
	launch(4, SHORT, 1);
	ck_assert_uint_eq(flying(), 4);
	close_session();
}
END_TEST

/* ---- the time to drain ---- */

START_TEST(the_time_to_drain)
{
	open_taught(true, 0.5f);
	ck_assert_uint_eq(drain(), 0);
	launch(1, OTHER, 2);
	ck_assert_uint_eq(drain(), MS);
	/* Nothing is known of the streams' overlap: they may not. pvgpud waits for what shows it.
	 */
	launch(2, OTHER, 1);
	ck_assert_uint_eq(w->gpu->gate.drain, 3 * MS / 2);
	ck_assert_uint_eq(drain(), MS);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 3 * MS / 2);
	end(1);
	await_flying(1);
	ck_assert_uint_eq(drain(), MS / 2);
	end(2);
	await_flying(0);
	ck_assert_uint_eq(drain(), 0);
	close_session();
}
END_TEST

static bool have_ended(struct worker *v, void *so_far)
{
	v->gpu->gate.look = true;
	gpu_kicked(v);
	return w->gpu->gate.busy_ns > *(const uint64_t *)so_far;
}

/* All in flight end after so many ms, and what may follow is issued; n times. */
static void rounds(uint32_t n, uint64_t took)
{
	while (n--) {
		const uint64_t so_far = w->gpu->gate.busy_ns + w->gpu->gate.flying.cost - 1;

		clock_ns += took * MS - MS / 100;
		gate_side_ring(w);
		clock_ns += MS / 100;
		fake_complete(-1, UINT64_MAX);
		ck_assert(fake_until(w, have_ended, (void *)&so_far));
		/* The look that saw the end comes behind what the same kick let go on. */
		gate_side_ring(w);
	}
}

/* How far streams overlap is learned from what ends. Several verdicts
 * may be needed. */
START_TEST(overlap_is_learned)
{
	open_taught(true, 50);
	for (uint32_t i = 0; i < 180; i++)
		launch(1 + i % 3, OTHER, 1);
	ck_assert_uint_eq(flying(), 2);
	/* They do. */
	for (int i = 0; i < 20 && (flying() != 3 || drain() > 51 * MS); i++)
		rounds(1, 50);
	ck_assert_uint_eq(flying(), 3);
	ck_assert_uint_le(drain(), 51 * MS);
	/* They do no more: one at a time, for now. */
	for (int i = 0; i < 20 && flying() != 1; i++)
		rounds(1, 150);
	ck_assert_uint_eq(flying(), 1);
	/* Then two are tried again. */
	for (int i = 0; i < 40 && flying() < 2; i++)
		rounds(1, 50);
	ck_assert_uint_ge(flying(), 2);
	close_session();
}
END_TEST

/* A turn begins while the former holder's last work ends, and the next one begins while the last of
 * this session's ends: pieces that are much longer than that count as its own. */
START_TEST(overlap_in_turns)
{
	open_taught(true, 50);
	for (uint32_t i = 0; i < 180; i++)
		launch(1 + i % 3, OTHER, 1);
	ck_assert_uint_eq(flying(), 2);
	for (int i = 0; i < 20 && flying() != 3; i++) {
		/* As in a turn of its own each time. */
		gate_side_put(&side.gate->learn_ns, clock_ns + 2 * MS);
		gate_side_put(&side.gate->learn_end_ns, clock_ns + 48 * MS);
		gate_side_set(&side.gate->learn, 0);
		rounds(1, 50);
	}
	ck_assert_uint_eq(flying(), 3);
	close_session();
}
END_TEST

/* Beside another vGPU all takes twice as long. The streams overlap nonetheless, until they do not.
 */
START_TEST(overlap_beside_others)
{
	open_taught(true, 50);
	gate_side_set(&side.gate->learn, 0);
	for (uint32_t i = 0; i < 360; i++)
		launch(1 + i % 4, OTHER, 1);
	ck_assert_uint_eq(flying(), 2);
	for (int i = 0; i < 10 && flying() != 4; i++)
		rounds(1, 100);
	ck_assert_uint_eq(flying(), 4);
	/* It is not known how long they take together. */
	ck_assert_uint_eq(w->gpu->gate.drain, 4 * 50 * MS);
	for (int i = 0; i < 10 && flying() > 2; i++)
		rounds(1, 100 * flying());
	ck_assert_uint_le(flying(), 2);
	/* More are tried again later. */
	for (int i = 0; i < 60 && flying() <= 2; i++)
		rounds(1, 100);
	ck_assert_uint_gt(flying(), 2);
	close_session();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker flight");
	TCase *t = tcase_create("flight");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, one_long_piece, 0, 2);
	tcase_add_loop_test(t, others_beside_a_long_piece, 0, 2);
	tcase_add_test(t, an_idle_stream_alone);
	tcase_add_loop_test(t, a_second_piece, 0, 4);
	tcase_add_loop_test(t, unknown_lengths, 0, 2);
	tcase_add_loop_test(t, unknown_lengths_in_streams, 0, 2);
	tcase_add_loop_test(t, no_event_for_a_fence, 0, 4);
	tcase_add_test(t, no_fence_is_recorded);
	tcase_add_test(t, a_full_stream_without_fences);
	tcase_add_loop_test(t, a_full_stream_goes, 0, 2);
	tcase_add_loop_test(t, a_moment, 0, 2);
	tcase_add_test(t, the_time_to_drain);
	tcase_add_test(t, overlap_is_learned);
	tcase_add_test(t, overlap_in_turns);
	tcase_add_test(t, overlap_beside_others);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
