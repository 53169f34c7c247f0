/* SPDX-License-Identifier: MIT */
/*
 * Estimates of GPU work: how they are learned, how seldom, which measurements are ignored, and the
 * work in flight that they allow.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/clock_case.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

static atomic_uint elapsed, records; /* calls */
static _Atomic(const char *) failing;

static CUresult count(const char *call)
{
	const char *now = failing;

	elapsed += !strcmp(call, "elapsed");
	records += !strcmp(call, "event_record");
	return now && !strcmp(call, now) ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

static void open_session(bool learn)
{
	open_clocked(4, learn);
	fake_far.fail = count;
	elapsed = records = 0;
	failing = NULL;
}

START_TEST(kernels_are_learned)
{
	open_session(true);
	teach(2, 5);
	ck_assert_uint_eq(cost_of(2), 5 * MS);
	teach(3, 0.25f);
	ck_assert_uint_eq(cost_of(3), MS / 4);
	ck_assert_uint_eq(cost_of(2), 5 * MS);
	ck_assert_uint_eq(cost_of(1), GATE_KNOWN_NS);
	/* An unknown shape has the estimate of another shape of the function. */
	ck_assert_uint_ne(cost_of(77), ESTIMATE_UNKNOWN_NS);
	close_session();
}
END_TEST

/* The estimate follows changes slowly, but soon when it was far too low. */
START_TEST(it_follows)
{
	uint64_t last;

	open_session(true);
	teach(2, 4);
	fake_far.elapsed_ms = 8;
	last = cost_of(2);
	for (int i = 0; i < 40; i++) {
		const uint64_t now = cost_of(2);

		ck_assert_uint_ge(now, last);
		last = now;
	}
	ck_assert_uint_gt(last, 15 * MS / 2);
	fake_far.elapsed_ms = 1000;
	cost_of(2);
	cost_of(2);
	ck_assert_uint_eq(cost_of(2), 1000 * MS);
	close_session();
}
END_TEST

/* A measurement that was disturbed, once, changes nothing. */
START_TEST(one_surprise_is_none)
{
	open_session(true);
	teach(2, 4);
	fake_far.elapsed_ms = 100;
	cost_of(2);
	fake_far.elapsed_ms = 4;
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(cost_of(2), 4 * MS);
	close_session();
}
END_TEST

/* `learn` has been 0 meanwhile: others may have been there. */
START_TEST(another_time_alone)
{
	open_session(true);
	teach(2, 4);
	fake_far.elapsed_ms = 7;
	finish();
	gate_launch(w, GATE_STREAM(1), 2);
	gate_side_set(&side.gate->learn, 2);
	finish();
	ck_assert_uint_eq(cost_of(2), 4 * MS);
	close_session();
}
END_TEST

/* Sixteen programs at once, or a hundred with two kernels each: a kernel seems to take as long as
 * those of all. */
START_TEST(as_long_as_all_of_them)
{
	const uint64_t own_ns = _i ? MS / 2 : MS, all_ns = _i ? 100 * MS : 16 * MS;

	open_session(true);
	teach(2, (float)own_ns / MS);
	gate_side_set(&side.gate->learn, 0);
	fake_far.elapsed_ms = (float)all_ns / MS;
	for (int i = 0; i < 5; i++) {
		gate_launch(w, GATE_STREAM(1), 2);
		finish();
		estimates_compare(w->gpu, own_ns, all_ns);
	}
	ck_assert_uint_eq(cost_of(2), own_ns);
	/* Known from there only: the shortest time counts. */
	teach(3, 16);
	ck_assert_uint_eq(cost_of(3), 16 * MS);
	fake_far.elapsed_ms = 2;
	cost_of(3);
	fake_far.elapsed_ms = 16;
	cost_of(3);
	ck_assert_uint_eq(cost_of(3), 2 * MS);
	close_session();
}
END_TEST

/* Others can only have made it longer. */
START_TEST(shorter_beside_others)
{
	open_session(true);
	teach(2, 8);
	fake_far.elapsed_ms = 4;
	finish();
	gate_launch(w, GATE_STREAM(1), 2);
	gate_side_set(&side.gate->learn, 0);
	finish();
	ck_assert_uint_eq(cost_of(2), 7 * MS);
	close_session();
}
END_TEST

/* One pair of events in two milliseconds of estimated time, and fences. */
START_TEST(measured_seldom)
{
	open_session(true);
	gate_run_freely();
	fake_far.elapsed_ms = GATE_KNOWN_NS / 1e6f;
	for (int i = 0; i < 5000; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(gate_launched(), 5000);
	ck_assert_uint_ge(elapsed, 10);
	ck_assert_uint_le(elapsed, 5000 * GATE_KNOWN_NS / ESTIMATE_EVERY_NS + 2);
	ck_assert_uint_le(records, 2 * (elapsed + 2) + 5000 / 20);
	close_session();
}
END_TEST

/* Beside others' work unknown commands are measured, and then seldom; a measurement taken alone
 * replaces it. */
START_TEST(others_spoil_measures)
{
	open_session(false);
	for (int i = 0; i < 1000; i++)
		cost_of(1);
	ck_assert_uint_le(elapsed, 2 + 1000 * GATE_KNOWN_NS / ESTIMATE_EVERY_NS);
	teach(2, 9);
	ck_assert_uint_eq(cost_of(2), 9 * MS);
	gate_side_set(&side.gate->learn, 1);
	teach(2, 3);
	ck_assert_uint_eq(cost_of(2), 3 * MS);
	gate_side_set(&side.gate->learn, 0);
	teach(2, 9);
	ck_assert_uint_eq(cost_of(2), 3 * MS);
	close_session();
}
END_TEST

/* The first launch took a minute beside a vGPU that hung: the next ones do not count as minutes. A
 * kernel that is as long each time is believed in the end. */
START_TEST(a_minute_beside_others_is_doubted)
{
	uint64_t cost;

	open_session(false);
	fake_far.elapsed_ms = 60000;
	cost_of(2);
	fake_far.elapsed_ms = 1;
	ck_assert_uint_eq(cost_of(2), ESTIMATE_BESIDE_NS);
	ck_assert_uint_eq(cost_of(2), MS);
	fake_far.elapsed_ms = 60000;
	cost_of(3);
	cost = cost_of(3);
	ck_assert_uint_le(cost, 2 * ESTIMATE_BESIDE_NS);
	for (int i = 0; i < 12; i++) {
		const uint64_t now = cost_of(3);

		ck_assert_uint_ge(now, cost);
		cost = now;
	}
	ck_assert_uint_ge(cost, 50000 * MS);
	close_session();
}
END_TEST

static const float nonsense[] = {NAN, -1, -INFINITY};

START_TEST(nonsense_is_not_believed)
{
	open_session(true);
	teach(2, 3);
	teach(2, nonsense[_i]);
	ck_assert_uint_eq(cost_of(2), 3 * MS);
	teach(3, nonsense[_i]);
	ck_assert_uint_gt(cost_of(3), 0);
	ck_assert_uint_le(cost_of(3), ESTIMATE_MOST_NS);
	close_session();
}
END_TEST

START_TEST(extremes_are_bounded)
{
	open_session(true);
	teach(2, 0);
	ck_assert_uint_eq(cost_of(2), ESTIMATE_LEAST_NS);
	teach(3, INFINITY);
	ck_assert_uint_eq(cost_of(3), ESTIMATE_MOST_NS);
	teach(4, 1e30f);
	ck_assert_uint_eq(cost_of(4), ESTIMATE_MOST_NS);
	close_session();
}
END_TEST

START_TEST(many_shapes)
{
	open_session(true);
	gate_run_freely();
	fake_far.elapsed_ms = 0.02f;
	for (uint32_t i = 1; i < 20000; i++) {
		gate_launch(w, GATE_STREAM(1), i);
		fake_kicked(w);
	}
	ck_assert_uint_eq(gate_launched(), 19999);
	teach(12, 2);
	ck_assert_uint_eq(cost_of(12), 2 * MS);
	close_session();
}
END_TEST

/* A grid that grows with every launch is measured now and then, not each time. */
START_TEST(shapes_that_grow)
{
	unsigned int before;

	open_session(true);
	gate_run_freely();
	fake_far.elapsed_ms = 0.02f;
	before = elapsed;
	for (uint32_t i = 1000; i < 2000; i++) {
		gate_launch_grid(w, GATE_STREAM(1), (const uint32_t[3]){i, 1, 1});
		fake_kicked(w);
		w->gpu->est.unmeasured = 0;
	}
	ck_assert_uint_le(elapsed - before, 2 * 5);
	ck_assert_uint_ge(elapsed - before, 2);
	close_session();
}
END_TEST

/* Work that took much longer than estimated is measured again, however short its estimate is. */
START_TEST(doubts)
{
	open_session(true);
	teach(1, GATE_KNOWN_NS / 1e6f);
	fake_far.elapsed_ms = 500;
	ck_assert_uint_eq(cost_of(1), GATE_KNOWN_NS);
	ck_assert_uint_eq(cost_of(1), GATE_KNOWN_NS);
	estimates_compare(w->gpu, GATE_KNOWN_NS, 500 * MS);
	ck_assert(w->gpu->est.doubt);
	gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(cost_of(1), 500 * MS);
	close_session();
}
END_TEST

/* One of three shapes takes a hundred times as long as before. It is found, although the other two
 * are issued before it and all estimates are short: 30 us of work that took 3 ms. */
START_TEST(doubts_find_the_one)
{
	open_session(true);
	for (uint32_t i = 2; i <= 4; i++)
		teach(i, 0.01f);
	for (uint32_t i = 2; i <= 4; i++)
		gate_launch(w, GATE_STREAM(1), i);
	finish();
	estimates_compare(w->gpu, 30000, 3 * MS);
	for (uint32_t i = 2; i <= 4; i++) {
		fake_far.elapsed_ms = i == 4 ? 1 : 0.01f;
		gate_launch(w, GATE_STREAM(1), i);
		finish();
	}
	ck_assert_uint_eq(cost_of(2), MS / 100);
	ck_assert_uint_eq(cost_of(3), MS / 100);
	ck_assert_uint_eq(cost_of(4), MS);
	close_session();
}
END_TEST

/* However often work takes too long, a limited number of commands is measured again each time; the
 * next time it is others. */
START_TEST(doubts_are_bounded)
{
	const uint32_t shapes = 3 * ESTIMATE_DOUBTS;
	unsigned int before;

	open_session(true);
	for (uint32_t i = 2; i < 2 + shapes; i++)
		teach(i, 0.001f);
	fake_far.elapsed_ms = 0.01f;
	for (unsigned int round = 0; round < 3; round++) {
		before = elapsed;
		clock_ns += ESTIMATE_DOUBT_NS;
		for (uint32_t i = 2; i < 2 + shapes; i++) {
			w->gpu->est.unmeasured = 0;
			estimates_compare(w->gpu, 0, 100 * MS);
			gate_launch(w, GATE_STREAM(1), i);
			finish();
		}
		ck_assert_uint_eq(elapsed - before, ESTIMATE_DOUBTS);
	}
	for (uint32_t i = 2; i < 2 + shapes; i++)
		ck_assert_uint_eq(cost_of(i), MS / 100);
	close_session();
}
END_TEST

/* A function's general estimate stays as long as it is used. */
START_TEST(a_guess_stays)
{
	open_session(true);
	gate_run_freely();
	teach(2, 0.02f);
	for (uint32_t i = 10; i < 5000; i++)
		ck_assert_uint_ne(cost_of(i), ESTIMATE_UNKNOWN_NS);
	close_session();
}
END_TEST

START_TEST(copies_by_bytes)
{
	uint64_t device, small, one;

	open_session(true);
	device = fake_alloc(w, 50, FAKE_CTX, 8u << 20);
	fake_far.elapsed_ms = 0.01f;
	for (int i = 0; i < 3; i++) {
		gate_copy_to(w, device, 100);
		small = gate_side_number(&side.report->inflight_ns);
		finish();
	}
	ck_assert_uint_eq(small, 10000);
	fake_far.elapsed_ms = 1;
	for (int i = 0; i < 3; i++) {
		gate_copy_to(w, device, 1u << 20);
		one = gate_side_number(&side.report->inflight_ns);
		finish();
	}
	ck_assert_uint_ge(one, MS - 1000);
	ck_assert_uint_le(one, MS + 1000);
	gate_copy_to(w, device, 2u << 20);
	ck_assert_uint_ge(gate_side_number(&side.report->inflight_ns), 2 * MS - 20000);
	ck_assert_uint_le(gate_side_number(&side.report->inflight_ns), 2 * MS);
	finish();
	close_session();
}
END_TEST

START_TEST(what_has_ended_is_counted)
{
	struct pvgpu_wire_memset m = {
		.ctx = FAKE_CTX,
		.stream = GATE_STREAM(1),
		.element = 1,
		.width = 4096,
		.height = 1,
	};
	uint64_t device, busy, copy;

	open_session(true);
	device = m.dst = fake_alloc(w, 50, FAKE_CTX, 1u << 20);
	teach(2, 3);
	busy = gate_side_number(&side.report->busy_ns);
	copy = gate_side_number(&side.report->copy_ns);
	gate_launch(w, GATE_STREAM(1), 2);
	gate_launch(w, GATE_STREAM(2), 2);
	ck_assert_uint_eq(gate_side_number(&side.report->busy_ns), busy);
	finish();
	busy += 6 * MS;
	ck_assert_uint_eq(gate_side_number(&side.report->busy_ns), busy);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_ns), copy);
	gate_copy_to(w, device, 4096);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	busy += gate_side_number(&side.report->inflight_ns);
	copy += gate_side_number(&side.report->inflight_ns);
	finish();
	ck_assert_uint_eq(gate_side_number(&side.report->busy_ns), busy);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_ns), copy);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_bytes), 4096);
	close_session();
}
END_TEST

/* ---- in flight ---- */

static uint64_t in_flight(uint32_t streams, uint32_t blocks)
{
	uint64_t before;

	finish();
	before = gate_launched();
	for (uint32_t i = 0; i < 50; i++)
		gate_launch(w, GATE_STREAM(1 + i % streams), blocks);
	before = gate_launched() - before;
	ck_assert_uint_eq(w->gpu->park.count, 50 - before);
	return before;
}

static bool not_parked(struct worker *v, void *arg)
{
	fake_complete(-1, UINT64_MAX);
	return !v->gpu->park.count;
}

START_TEST(bounded_by_time)
{
	static const struct {
		float ms;
		bool contended;
		uint64_t limit, least, most;
	} row[] = {
		{0.5f, true, 2 * MS, 4, 4},     {1, true, 10 * MS, 10, 10},
		{50, true, 2 * MS, 1, 2},       {0.5f, false, PVGPU_GATE_ALONE_NS, 4, 4},
		{0.25f, false, MS, 4, 4},       {400, false, PVGPU_GATE_ALONE_NS, 1, 2},
		{0.001f, true, 2 * MS, 50, 50}, {2.5f, true, MS, 2, 2},
	};
	const uint32_t streams = _i % 2 ? 3 : 1;

	open_session(true);
	teach(2, row[_i / 2].ms);
	gate_side_put(&side.gate->inflight_ns, row[_i / 2].limit);
	gate_side_set(&side.gate->contended, row[_i / 2].contended);
	gate_side_ring(w);
	if (row[_i / 2].most < 50) {
		const uint64_t n = in_flight(streams, 2);

		ck_assert_uint_ge(n, row[_i / 2].least);
		ck_assert_uint_le(n, row[_i / 2].most);
		/* Held back by the work in flight, not by the gate. */
		ck_assert_uint_eq(gate_side_word(&side.report->sleeps), 0);
		ck_assert_uint_eq(gate_side_word(&side.report->wants), 1);
		/* One command is issued each time one ends. */
		fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(1)), UINT64_MAX);
	}
	ck_assert(fake_until(w, not_parked, NULL));
	close_session();
}
END_TEST

static bool two_fly(struct worker *v, void *arg)
{
	v->gpu->gate.look = true;
	gpu_kicked(v);
	return v->gpu->gate.flying.work == 2 && v->gpu->park.count == 1;
}

/*
 * Two kernels wait for a later command in another stream. That command is issued when they should
 * have ended long ago; the commands behind them in their own streams could not help.
 */
START_TEST(streams_that_wait_for_each_other)
{
	open_session(true);
	teach(2, 400);
	gate_side_put(&side.gate->inflight_ns, 2 * MS);
	gate_side_set(&side.gate->contended, (uint32_t)_i);
	for (uint32_t i = 0; i < 6; i++)
		gate_launch(w, GATE_STREAM(1 + i % 3), 2);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 2);
	clock_ns += 10000 * MS;
	gate_side_ring(w);
	ck_assert_uint_eq(w->gpu->park.count, 3);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 3);
	/* Once one of each has ended, the bound holds as before. */
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, two_fly, NULL));
	gate_launch(w, GATE_STREAM(1), 2);
	ck_assert_uint_eq(w->gpu->park.count, 2);
	ck_assert(fake_until(w, not_parked, NULL));
	close_session();
}
END_TEST

/* A command that waits for the guest does not lift the bound for the others. */
START_TEST(what_hangs_lifts_no_bound)
{
	open_session(true);
	teach(2, 400);
	gate_side_put(&side.gate->inflight_ns, 2 * MS);
	gate_side_set(&side.gate->contended, (uint32_t)_i);
	gate_launch(w, GATE_STREAM(1), 2);
	gate_launch(w, GATE_STREAM(2), 2);
	clock_ns += 10000 * MS;
	for (uint32_t i = 0; i < 10; i++)
		gate_launch(w, GATE_STREAM(3), 2);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 3);
	ck_assert_uint_eq(w->gpu->park.count, 9);
	ck_assert(fake_until(w, not_parked, NULL));
	close_session();
}
END_TEST

/* If an event cannot be created or recorded, only the measurement is lost. */
static const char *const calls[] = {"event_create", "event_record", "event_query", "elapsed"};

START_TEST(failing_events)
{
	open_session(true);
	failing = calls[_i];
	for (uint32_t i = 1; i <= 200; i++) {
		gate_launch(w, GATE_STREAM(1), i);
		fake_complete(-1, UINT64_MAX);
		gate_side_ring(w);
	}
	ck_assert_uint_eq(gate_launched(), 200);
	failing = NULL;
	teach(2, 3);
	ck_assert_uint_eq(cost_of(2), 3 * MS);
	close_session();
}
END_TEST

/* A context is destroyed while a command of it is being measured. */
START_TEST(a_context_goes)
{
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	open_session(true);
	gate_launch(w, GATE_STREAM(1), 5);
	gate_launch(w, 0, 6);
	ck_assert_uint_eq(w->gpu->est.timers, 2);
	FAKE_SUBMIT(w, CTX_DESTROY, 60, d);
	ck_assert_uint_eq(w->gpu->est.timers, 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	close_session();
}
END_TEST

/* An event whose second record failed keeps its first record, also while a thread waits for it. */
START_TEST(a_failing_record)
{
	const uint64_t event = PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1);
	struct pvgpu_wire_event_create c = {.ctx = FAKE_CTX, .event = event};
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .event = event};
	struct pvgpu_wire_event_synchronize y = {.event = event};
	struct pvgpu_wire_event_query q = {.event = event};

	open_session(true);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, c);
	gate_launch(w, GATE_STREAM(1), 1);
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 60, y);
	failing = "event_record";
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	failing = NULL;
	FAKE_SUBMIT(w, EVENT_QUERY, 61, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 61), CUDA_ERROR_NOT_READY);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	close_session();
}
END_TEST

static uint64_t alloc_in(uint64_t ctx, uint32_t seq)
{
	struct pvgpu_wire_ctx_create c = {.ctx = ctx};

	FAKE_SUBMIT(w, CTX_CREATE, seq, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), 0);
	return fake_alloc(w, seq + 1, ctx, 4096);
}

static void set_in(uint64_t ctx, uint64_t stream, uint64_t device)
{
	struct pvgpu_wire_memset m = {
		.ctx = ctx,
		.stream = stream,
		.dst = device,
		.element = 1,
		.width = 16,
		.height = 1,
	};

	FAKE_SUBMIT(w, MEMSET, 0, m);
}

/* Destroying its context does not make an endless kernel younger, whatever else runs and ends. */
START_TEST(age_of_a_dying_context)
{
	const uint64_t other = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	struct pvgpu_wire_stream_create c = {.ctx = other, .stream = GATE_STREAM(9)};
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};
	uint64_t device, oldest;

	open_session(true);
	device = alloc_in(other, 50);
	FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
	set_in(other, 0, device);
	oldest = clock_ns += MS;
	gate_launch(w, GATE_STREAM(1), 1);
	clock_ns += MS;
	FAKE_SUBMIT(w, CTX_DESTROY, 60, d);
	ck_assert_uint_eq(w->gpu->gate.oldest, oldest - MS);
	clock_ns += MS;
	set_in(other, GATE_STREAM(9), device);
	clock_ns += MS;
	fake_complete(0, UINT64_MAX);
	gate_side_ring(w);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 2);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), oldest);
	clock_ns += MS;
	fake_complete(fake_number(w, other, GATE_STREAM(9)), UINT64_MAX);
	gate_side_ring(w);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 1);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), oldest);
	/* It ends, and with it the context. */
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	gate_side_ring(w);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
	close_session();
}
END_TEST

static CUresult far_takes_time(const char *call)
{
	if (!strcmp(call, "launch"))
		clock_ns += MS;
	return count(call);
}

/* Between the announcement of a stream's first work and its begin time passes. */
START_TEST(age_of_what_goes_on)
{
	const uint64_t first = GATE_STREAM(1), second = GATE_STREAM(2);

	open_session(true);
	fake_far.fail = far_takes_time;
	gate_launch(w, first, 1);
	for (unsigned int i = 0; i < 8; i++) {
		/* One of them is always busy. */
		gate_launch(w, i % 2 ? first : second, 1);
		clock_ns += MS;
		fake_complete(fake_number(w, FAKE_CTX, i % 2 ? second : first), UINT64_MAX);
		gate_side_ring(w);
		gate_side_ring(w);
		ck_assert_uint_eq(w->gpu->gate.flying.work, 1);
		ck_assert_msg(gate_side_number(&side.report->oldest_ns) + 2 * MS >= clock_ns,
			      "round %u: %llu ms", i,
			      (unsigned long long)(clock_ns - w->gpu->gate.oldest) / MS);
	}
	fake_complete(-1, UINT64_MAX);
	gate_side_ring(w);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	close_session();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker estimate");
	TCase *t = tcase_create("estimate");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, kernels_are_learned);
	tcase_add_test(t, it_follows);
	tcase_add_test(t, one_surprise_is_none);
	tcase_add_test(t, another_time_alone);
	tcase_add_loop_test(t, as_long_as_all_of_them, 0, 2);
	tcase_add_test(t, shorter_beside_others);
	tcase_add_test(t, measured_seldom);
	tcase_add_test(t, others_spoil_measures);
	tcase_add_test(t, a_minute_beside_others_is_doubted);
	tcase_add_loop_test(t, nonsense_is_not_believed, 0,
			    (int)(sizeof(nonsense) / sizeof(nonsense[0])));
	tcase_add_test(t, extremes_are_bounded);
	tcase_add_test(t, many_shapes);
	tcase_add_test(t, shapes_that_grow);
	tcase_add_test(t, doubts);
	tcase_add_test(t, doubts_find_the_one);
	tcase_add_test(t, doubts_are_bounded);
	tcase_add_test(t, a_guess_stays);
	tcase_add_test(t, copies_by_bytes);
	tcase_add_test(t, what_has_ended_is_counted);
	tcase_add_loop_test(t, bounded_by_time, 0, 16);
	tcase_add_loop_test(t, streams_that_wait_for_each_other, 0, 2);
	tcase_add_loop_test(t, what_hangs_lifts_no_bound, 0, 2);
	tcase_add_loop_test(t, failing_events, 0, (int)(sizeof(calls) / sizeof(calls[0])));
	tcase_add_test(t, a_context_goes);
	tcase_add_test(t, a_failing_record);
	tcase_add_test(t, age_of_a_dying_context);
	tcase_add_test(t, age_of_what_goes_on);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
