/* SPDX-License-Identifier: MIT */
/*
 * Parked commands: which of them wait for which. The first stream is full here; what is parked is
 * its command, and what must stay behind that.
 */
#include <string.h>

#include "tests/unit/worker/gate_case.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define EVENT(i) PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, i)

static void launch(uint32_t stream)
{
	gate_launch(w, stream ? GATE_STREAM(stream) : 0, 1);
}

/* A gate that is open, events 1 and 2, and stream 1 full, with one command parked. */
static void open_full(void)
{
	open_session();
	set_open(true);
	for (uint32_t i = 1; i <= 2; i++) {
		struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(i)};

		FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	}
	while (!w->gpu->park.count)
		launch(1);
}

static void record(uint32_t event, uint32_t stream)
{
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(stream), .event = EVENT(event)};

	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
}

static void wait_for(uint32_t event, uint32_t stream)
{
	struct pvgpu_wire_stream_wait_event r = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(stream), .event = EVENT(event)};

	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, r);
}

static void parked_are(uint32_t n)
{
	ck_assert_uint_eq(w->gpu->park.count, n);
}

/* All that is parked runs in the end. */
static void close_all(void)
{
	gate_run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	close_session();
}

/* Blocking streams are in order with the legacy stream, and with each other by that alone. */
START_TEST(legacy_between)
{
	open_full();
	launch(2);
	parked_are(1);
	launch(0);
	parked_are(2);
	launch(2);
	launch(3);
	parked_are(4);
	close_all();
}
END_TEST

/* The gate opens, and before the worker is rung the next command comes: it goes behind those that
 * waited for the gate, though their streams are not in order. */
START_TEST(open_before_the_ring)
{
	struct pvgpu_wire_stream_create c = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(5), .flags = CU_STREAM_NON_BLOCKING};

	open_session();
	FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
	launch(0);
	launch(1);
	parked_are(2);
	gate_side_set(&side.gate->open, 1);
	launch(5);
	parked_are(0);
	ck_assert_uint_eq(gate_launched(), 3);
	close_all();
}
END_TEST

/* Both directions, and another context has a legacy stream of its own. */
START_TEST(another_context)
{
	const uint64_t other = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	struct pvgpu_wire_ctx_create c = {.ctx = other};
	struct pvgpu_wire_memset m = {.ctx = other, .element = 1, .width = 16, .height = 1};

	open_session();
	FAKE_SUBMIT(w, CTX_CREATE, 60, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	m.dst = fake_alloc(w, 61, other, 4096);
	set_open(true);
	while (!w->gpu->park.count)
		launch(0);
	launch(1);
	parked_are(2);
	FAKE_SUBMIT(w, MEMSET, 0, m);
	parked_are(2);
	close_all();
}
END_TEST

/* A wait for an event stays behind the record that is parked before it, and the stream behind it;
 * other waits are not held by a wait. */
START_TEST(events_between_streams)
{
	uint64_t before;

	open_full();
	record(1, 1);
	wait_for(1, 2);
	launch(2);
	parked_are(4);
	launch(3);
	parked_are(4);
	/* A record stays behind waits that are to see the one before. */
	record(1, 3);
	parked_are(5);
	/* Event 2 was recorded: its waits go on in all streams that may. */
	before = w->gpu->gate.flying.work;
	record(2, 4);
	wait_for(2, 1);
	wait_for(2, 4);
	launch(4);
	parked_are(6);
	ck_assert_uint_eq(w->gpu->gate.flying.work, before + 1);
	/* But no record of it, while one is parked. */
	record(2, 4);
	parked_are(7);
	close_all();
}
END_TEST

/* A thread of the guest that waits for an event or a stream holds no others. */
START_TEST(waits_of_the_guest)
{
	struct pvgpu_wire_event_synchronize e = {.event = EVENT(1)};
	struct pvgpu_wire_event_query q = {.event = EVENT(1)};
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = GATE_STREAM(1)};

	open_full();
	record(1, 1);
	FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 60, e);
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 61, s);
	parked_are(4);
	launch(2);
	s.stream = GATE_STREAM(2);
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 62, s);
	parked_are(4);
	FAKE_SUBMIT(w, EVENT_QUERY, 63, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 63), CUDA_ERROR_NOT_READY);
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(2)), UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 62), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 60));
	gate_run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 61), 0);
	close_all();
}
END_TEST

/* A wait for the whole context waits for all that is parked, and what comes after it is behind it.
 */
START_TEST(a_whole_context)
{
	struct pvgpu_wire_ctx_synchronize c = {.ctx = FAKE_CTX};

	open_full();
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 60, c);
	launch(2);
	parked_are(3);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 60));
	gate_run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	close_all();
}
END_TEST

/* A destroy stays behind the parked commands that name its object, and holds no others. */
START_TEST(destroyed_while_parked)
{
	struct pvgpu_wire_event_destroy e = {.event = EVENT(1)};
	struct pvgpu_wire_stream_destroy s = {.stream = GATE_STREAM(1)};
	uint64_t launched;

	open_full();
	record(1, 1);
	FAKE_SUBMIT(w, EVENT_DESTROY, 0, e);
	FAKE_SUBMIT(w, STREAM_DESTROY, 0, s);
	parked_are(4);
	launched = gate_launched();
	launch(2);
	parked_are(4);
	gate_run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_uint_eq(gate_launched(), launched + 2);
	ck_assert_ptr_null(obj_lookup(&w->gpu->tables, PVGPU_H_EVENT, EVENT(1)));
	ck_assert_ptr_null(obj_lookup(&w->gpu->tables, PVGPU_H_STREAM, GATE_STREAM(1)));
	close_all();
}
END_TEST

/* A free stays behind all that is parked, and all stays behind it. */
START_TEST(frees_hold)
{
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX};

	open_session();
	f.address = fake_alloc(w, 60, FAKE_CTX, 4096);
	close_session();
	open_full();
	f.address = fake_alloc(w, 60, FAKE_CTX, 4096);
	FAKE_SUBMIT(w, MEM_FREE, 0, f);
	launch(2);
	parked_are(3);
	close_all();
}
END_TEST

static atomic_uint queries;

static CUresult count_queries(const char *call)
{
	queries += !strcmp(call, "event_query");
	return CUDA_SUCCESS;
}

/* A look costs as much as there are streams, not as there are parked commands. */
START_TEST(looks_are_cheap)
{
	enum { STREAMS = 100, EACH = 41 };

	w = gate_session(STREAMS);
	gate_side_make(&side);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
	for (uint32_t i = 0; i < EACH * STREAMS; i++)
		launch(1 + i % STREAMS);
	parked_are(EACH * STREAMS);
	/* One command of each stream, then none. */
	gate_side_put(&side.gate->inflight_ns, 0);
	set_open(true);
	parked_are((EACH - 1) * STREAMS);
	fake_far.fail = count_queries;
	queries = 0;
	gate_side_ring(w);
	ck_assert_uint_le(queries, 3 * STREAMS);
	parked_are((EACH - 1) * STREAMS);
	fake_far.fail = NULL;
	gate_side_put(&side.gate->inflight_ns, PVGPU_GATE_NO_LIMIT);
	close_all();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker park");
	TCase *t = tcase_create("park");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, legacy_between);
	tcase_add_test(t, open_before_the_ring);
	tcase_add_test(t, another_context);
	tcase_add_test(t, events_between_streams);
	tcase_add_test(t, waits_of_the_guest);
	tcase_add_test(t, a_whole_context);
	tcase_add_test(t, destroyed_while_parked);
	tcase_add_test(t, frees_hold);
	tcase_add_test(t, looks_are_cheap);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
