/* SPDX-License-Identifier: MIT */
/* Lanes: parking and its order, completion in order, deferred errors, marks, callbacks. */
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define MODULE    PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 1)
#define FUNCTION  PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 1, 1)
#define STREAM(i) PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, i)
#define EVENT(i)  PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, i)

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n";

static void stream_make(struct worker *w, uint32_t i)
{
	struct pvgpu_wire_stream_create c = {.ctx = FAKE_CTX, .stream = STREAM(i)};

	FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
}

static void load(struct worker *w)
{
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX,
		.image = w->arena_base,
		.image_len = sizeof(ptx),
		.module = MODULE,
	};
	struct pvgpu_wire_module_get_function f = {
		.module = MODULE,
		.function = FUNCTION,
		.name_len = 6,
	};

	fake_chunk(w, 0, 1u << 20);
	memcpy((void *)(uintptr_t)w->arena_base, ptx, sizeof(ptx));
	FAKE_SUBMIT(w, MODULE_LOAD, 3, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 3), 0);
	fake_submit(w, &f, sizeof(f), PVGPU_OP_MODULE_GET_FUNCTION, 4, "kernel\0", 7);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 4), 0);
}

static int launch_len(struct worker *w, uint64_t stream, uint32_t params)
{
	struct pvgpu_wire_launch l = {
		.ctx = FAKE_CTX,
		.stream = stream,
		.function = FUNCTION,
		.grid_x = 1,
		.grid_y = 1,
		.grid_z = 1,
		.block_x = 1,
		.block_y = 1,
		.block_z = 1,
		.params_len = params,
	};
	static const char values[64];

	return fake_submit(w, &l, sizeof(l), PVGPU_OP_LAUNCH, 0, values, params);
}

static int launch(struct worker *w, uint64_t stream)
{
	return launch_len(w, stream, 20);
}

static void post_sync(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
}

static int sync_ctx(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_ctx_synchronize s = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int query(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_query q = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_QUERY, seq, q);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static uint64_t launches(void)
{
	uint64_t n;

	pthread_mutex_lock(&fake_far.lock);
	n = fake_far.launches;
	pthread_mutex_unlock(&fake_far.lock);
	return n;
}

/* All work ends, from now on at once. */
static void run_freely(void)
{
	fake_far.manual = false;
	fake_complete(-1, UINT64_MAX);
}

static bool not_parked(struct worker *w, void *arg)
{
	return !w->gpu->park.count;
}

static bool no_jobs(struct worker *w, void *arg)
{
	return !atomic_load(&w->gpu->side.jobs);
}

START_TEST(in_flight_is_bounded)
{
	struct worker *w = fake_open(true);
	uint32_t n = 0;

	load(w);
	stream_make(w, 1);
	stream_make(w, 2);
	fake_far.manual = true;
	while (!w->gpu->park.count && n < 5000) {
		ck_assert_int_eq(launch(w, STREAM(1)), 0);
		n++;
	}
	ck_assert_uint_ge(launches(), 64);
	ck_assert_uint_le(launches(), 113); /* nine entries each: 1,021 */
	/* Another stream goes on, unless work of the legacy stream is between. */
	launch(w, STREAM(2));
	ck_assert_uint_eq(w->gpu->park.count, 1);
	ck_assert_uint_eq(launches(), n);
	launch(w, 0);
	launch(w, STREAM(2));
	ck_assert_uint_eq(w->gpu->park.count, 3);
	ck_assert_int_eq(query(w, 10, STREAM(2)), CUDA_ERROR_NOT_READY);
	ck_assert_int_eq(query(w, 11, 0), CUDA_ERROR_NOT_READY);
	fake_complete(-1, 200);
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_uint_eq(launches(), n + 3);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(sync_ctx(w, 12), 0);
	ck_assert_int_eq(query(w, 13, STREAM(2)), 0);
	fake_close(w);
}
END_TEST

static void make_apart(struct worker *w, uint32_t i)
{
	struct pvgpu_wire_stream_create c = {
		.ctx = FAKE_CTX, .stream = STREAM(i), .flags = CU_STREAM_NON_BLOCKING};

	FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
}

static void record_event(struct worker *w, uint32_t event, uint32_t stream)
{
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = STREAM(stream), .event = EVENT(event)};

	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
}

static void wait_for_event(struct worker *w, uint32_t event, uint32_t stream)
{
	struct pvgpu_wire_stream_wait_event r = {
		.ctx = FAKE_CTX, .stream = STREAM(stream), .event = EVENT(event)};

	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 0, r);
}

/* Streams 1, 2 and 3 are non-blocking, 1 is full; how many were launched there. */
static uint32_t fill_one(struct worker *w)
{
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(1)};
	uint32_t n = 0;

	load(w);
	for (uint32_t i = 1; i <= 3; i++)
		make_apart(w, i);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	fake_far.manual = true;
	while (!w->gpu->park.count && n < 5000) {
		ck_assert_int_eq(launch(w, STREAM(1)), 0);
		n++;
	}
	ck_assert_uint_eq(w->gpu->park.count, 1);
	return n;
}

/* A full stream holds its own work, and no other non-blocking stream's. */
START_TEST(a_full_stream_holds_itself)
{
	struct worker *w = fake_open(true);
	const uint32_t n = fill_one(w);

	for (uint32_t i = 0; i < 10; i++)
		launch(w, STREAM(2));
	launch(w, STREAM(1));
	ck_assert_uint_eq(w->gpu->park.count, 2);
	ck_assert_uint_eq(launches(), n - 1 + 10);
	post_sync(w, 20, STREAM(2));
	fake_complete(fake_number(w, FAKE_CTX, STREAM(2)), UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), 0);
	ck_assert_int_eq(query(w, 21, STREAM(1)), CUDA_ERROR_NOT_READY);
	/* The context's default stream waits for blocking streams only. */
	launch(w, 0);
	ck_assert_uint_eq(w->gpu->park.count, 2);
	run_freely();
	ck_assert_int_eq(sync_ctx(w, 22), 0);
	ck_assert_uint_eq(launches(), n + 12);
	fake_close(w);
}
END_TEST

/* Two full streams: each goes on as soon as it may itself. */
START_TEST(two_full_streams)
{
	struct worker *w = fake_open(true);
	uint32_t n = fill_one(w), parked = 1;

	while (w->gpu->park.count == parked && n < 10000) {
		launch(w, STREAM(2));
		n++;
	}
	for (; parked < 20; parked++, n++)
		launch(w, STREAM(2));
	launch(w, STREAM(1));
	n++;
	/* The second ends; the first is as full as before. */
	for (int i = 0; i < 10000 && w->gpu->park.count > 2; i++) {
		fake_complete(fake_number(w, FAKE_CTX, STREAM(2)), UINT64_MAX);
		gpu_kicked(w);
		usleep(1000);
	}
	ck_assert_uint_eq(w->gpu->park.count, 2);
	run_freely();
	ck_assert_int_eq(sync_ctx(w, 20), 0);
	ck_assert_uint_eq(launches(), n);
	fake_close(w);
}
END_TEST

/* An event that parked work records or waits for orders what names it. */
START_TEST(events_order_parked_work)
{
	struct worker *w = fake_open(true);
	const uint32_t n = fill_one(w);

	record_event(w, 1, 1);
	wait_for_event(w, 1, 2);
	launch(w, STREAM(2));
	launch(w, STREAM(3));
	ck_assert_uint_eq(w->gpu->park.count, 4);
	ck_assert_uint_eq(launches(), n - 1 + 1);
	/* A new record must not be taken for the one that the second stream waits for. */
	record_event(w, 1, 3);
	ck_assert_uint_eq(w->gpu->park.count, 5);
	gpu_kicked(w);
	ck_assert_uint_eq(w->gpu->park.count, 5);
	run_freely();
	ck_assert_int_eq(sync_ctx(w, 20), 0);
	ck_assert_uint_eq(launches(), n + 2);
	fake_close(w);
}
END_TEST

/* A command of no stream is overtaken by nothing. */
START_TEST(other_commands_hold)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX};
	const uint32_t n = fill_one(w);

	f.address = fake_alloc(w, 19, FAKE_CTX, 4096);
	FAKE_SUBMIT(w, MEM_FREE, 0, f);
	launch(w, STREAM(2));
	ck_assert_uint_eq(w->gpu->park.count, 3);
	ck_assert_uint_eq(launches(), n - 1);
	run_freely();
	ck_assert_int_eq(sync_ctx(w, 20), 0);
	ck_assert_uint_eq(launches(), n + 1);
	fake_close(w);
}
END_TEST

START_TEST(parked_work_keeps_its_order)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(1)};
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = STREAM(1), .event = EVENT(1)};
	struct pvgpu_wire_event_query q = {.event = EVENT(1)};
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM(1)};

	load(w);
	stream_make(w, 1);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	fake_far.manual = true;
	while (!w->gpu->park.count)
		launch(w, STREAM(1));
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	/* The event's record is parked: not ready, although it was never recorded at the far end.
	 */
	FAKE_SUBMIT(w, EVENT_QUERY, 10, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), CUDA_ERROR_NOT_READY);
	post_sync(w, 11, STREAM(1));
	FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
	ck_assert_uint_eq(w->gpu->park.count, 4);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 11));
	run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	FAKE_SUBMIT(w, EVENT_QUERY, 12, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	fake_close(w);
}
END_TEST

START_TEST(parking_is_bounded)
{
	struct worker *w = fake_open(true);
	uint32_t n = 0;
	int r = 0;

	load(w);
	stream_make(w, 1);
	fake_far.manual = true;
	while (!r && n < 200000) {
		r = launch(w, STREAM(1));
		n++;
	}
	ck_assert_int_eq(r, 1);
	ck_assert_uint_le(w->gpu->park.count, PARK_RECORDS_MAX);
	run_freely();
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_uint_eq(launches(), n);
	fake_close(w);
}
END_TEST

START_TEST(replies_in_stream_order)
{
	struct worker *w = fake_open(true);
	enum { N = 30 };

	load(w);
	stream_make(w, 1);
	fake_far.manual = true;
	for (uint32_t i = 0; i < N; i++) {
		launch(w, STREAM(1));
		post_sync(w, 100 + i, STREAM(1));
	}
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 100));
	fake_complete(fake_number(w, FAKE_CTX, STREAM(1)), 10);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 109), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 110));
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100 + N - 1), 0);
	for (uint32_t i = 1; i < N; i++)
		ck_assert_uint_lt(fake_order(w, PVGPU_REP_REPLY, 99 + i),
				  fake_order(w, PVGPU_REP_REPLY, 100 + i));
	fake_close(w);
}
END_TEST

/* More streams wait than there are threads; each wait is answered when its own work has ended. */
START_TEST(more_streams_than_threads)
{
	struct worker *w = fake_open(true);
	enum { N = 3 * COMPLETE_THREADS };

	load(w);
	fake_far.manual = true;
	for (uint32_t i = 0; i < N; i++) {
		stream_make(w, i);
		launch(w, STREAM(i));
		post_sync(w, 100 + i, STREAM(i));
	}
	for (uint32_t i = N; i-- > 0;) {
		fake_complete(fake_number(w, FAKE_CTX, STREAM(i)), 1);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100 + i), 0);
		if (i)
			ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 100 + i - 1));
	}
	fake_close(w);
}
END_TEST

START_TEST(event_of_the_past)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(1)};
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = STREAM(1), .event = EVENT(1)};
	struct pvgpu_wire_event_synchronize y = {.event = EVENT(1)};

	load(w);
	stream_make(w, 1);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	/* Never recorded: nothing to wait for. */
	FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 10, y);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	fake_far.manual = true;
	launch(w, STREAM(1));
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 11, y);
	/* Recorded again behind more work: a thread that already waits, waits for the first record.
	 */
	launch(w, STREAM(1));
	post_sync(w, 12, STREAM(1));
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 13, y);
	fake_complete(fake_number(w, FAKE_CTX, STREAM(1)), 1);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 12));
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 13));
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), 0);
	fake_close(w);
}
END_TEST

static int copy(struct worker *w, uint32_t seq, uint64_t dst, uint64_t src, uint64_t n)
{
	struct pvgpu_wire_copy c = {
		.hdr = {.flags = PVGPU_CMD_MARK},
		.ctx = FAKE_CTX,
		.dst = dst,
		.src = src,
		.size = n,
	};

	return FAKE_SUBMIT(w, COPY, seq, c);
}

/* A reply for an event must not overtake the mark of a copy before it. */
START_TEST(marks_come_first)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT(1)};
	struct pvgpu_wire_event_record r = {.ctx = FAKE_CTX, .event = EVENT(1)};
	struct pvgpu_wire_event_synchronize y = {.event = EVENT(1)};
	struct pvgpu_wire_event_query q = {.event = EVENT(1)};
	uint64_t a;

	load(w);
	a = fake_alloc(w, 10, FAKE_CTX, 4096);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	for (uint32_t i = 0; i < 200; i++) {
		fake_far.manual = true;
		copy(w, 1000 + i, a, w->arena_base, 4096);
		FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
		FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 2000 + i, y);
		fake_complete(-1, UINT64_MAX);
		FAKE_SUBMIT(w, EVENT_QUERY, 3000 + i, q);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 2000 + i), 0);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 3000 + i), 0);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 1000 + i), 0);
		ck_assert_uint_lt(fake_order(w, PVGPU_REP_MARK, 1000 + i),
				  fake_order(w, PVGPU_REP_REPLY, 2000 + i));
		ck_assert_uint_lt(fake_order(w, PVGPU_REP_MARK, 1000 + i),
				  fake_order(w, PVGPU_REP_REPLY, 3000 + i));
	}
	fake_close(w);
}
END_TEST

START_TEST(marks_carry_errors)
{
	struct worker *w = fake_open(true);
	uint64_t a;

	load(w);
	a = fake_alloc(w, 10, FAKE_CTX, 4096);
	copy(w, 11, a, w->arena_base, 4097);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 11), CUDA_ERROR_INVALID_VALUE);
	copy(w, 12, a, w->arena_base + (1u << 20) - 8, 16);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 12), CUDA_ERROR_INVALID_VALUE);
	copy(w, 13, (uintptr_t)&a, a, 8);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 13), CUDA_ERROR_INVALID_VALUE);
	/* The error is reported once. */
	ck_assert_int_eq(sync_ctx(w, 14), 0);
	fake_close(w);
}
END_TEST

START_TEST(deferred_errors_are_told_once)
{
	struct worker *w = fake_open(true);

	load(w);
	launch_len(w, 0, 16);
	launch_len(w, 0, 24);
	ck_assert_uint_eq(launches(), 0);
	ck_assert_int_eq(query(w, 10, 0), 0);
	ck_assert_int_eq(sync_ctx(w, 11), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(sync_ctx(w, 12), 0);
	launch(w, 0);
	ck_assert_int_eq(sync_ctx(w, 13), 0);
	ck_assert_uint_eq(launches(), 1);
	fake_close(w);
}
END_TEST

static CUresult launch_fails(const char *call)
{
	return strcmp(call, "launch") ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
}

START_TEST(first_deferred_error_stands)
{
	struct worker *w = fake_open(true);

	load(w);
	stream_make(w, 1);
	fake_far.fail = launch_fails;
	launch(w, STREAM(1));
	fake_far.fail = NULL;
	launch_len(w, STREAM(1), 8);
	post_sync(w, 10, STREAM(1));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	post_sync(w, 11, STREAM(1));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	fake_close(w);
}
END_TEST

START_TEST(device_faults_stay)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_mem_alloc m = {.ctx = FAKE_CTX, .size = 16};

	load(w);
	stream_make(w, 1);
	fake_far.manual = true;
	launch(w, STREAM(1));
	post_sync(w, 10, STREAM(1));
	fake_far.stuck = CUDA_ERROR_ILLEGAL_ADDRESS;
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_int_eq(sync_ctx(w, 11), CUDA_ERROR_ILLEGAL_ADDRESS);
	FAKE_SUBMIT(w, MEM_ALLOC, 12, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), CUDA_ERROR_ILLEGAL_ADDRESS);
	launch(w, STREAM(1));
	post_sync(w, 13, STREAM(1));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_ILLEGAL_ADDRESS);
	fake_close(w);
}
END_TEST

START_TEST(fetch)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_copy_fetch f = {.ctx = FAKE_CTX, .size = 16};
	struct pvgpu_wire_copy_inline i = {.ctx = FAKE_CTX, .data_len = 16};
	uint64_t a = fake_alloc(w, 10, FAKE_CTX, 16);
	const unsigned char *body;

	/* More than there are slots, all under way. */
	fake_far.manual = true;
	i.dst = f.src = a;
	for (uint32_t n = 0; n < 3 * STAGING_SLOTS; n++)
		fake_submit(w, &i, sizeof(i), PVGPU_OP_COPY_INLINE, 0, "0123456789abcdef", 16);
	for (uint32_t n = 0; n < 3 * STAGING_SLOTS; n++)
		FAKE_SUBMIT(w, COPY_FETCH, 100 + n, f);
	run_freely();
	for (uint32_t n = 0; n < 3 * STAGING_SLOTS; n++)
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100 + n), 0);
	body = fake_body(w, PVGPU_REP_REPLY, 100);
	ck_assert_uint_eq(body[0], 16);
	ck_assert_uint_eq(body[8], 0x5a);
	f.src = a + 512 - 15; /* behind what is mapped */
	FAKE_SUBMIT(w, COPY_FETCH, 99, f);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 99), CUDA_ERROR_INVALID_VALUE);
	fake_close(w);
}
END_TEST

static void copy_box(struct worker *w, uint32_t seq, uint64_t dst, uint64_t pitch, uint64_t width,
		     uint64_t height, int expect)
{
	struct pvgpu_wire_copy_3d c = {
		.hdr = {.flags = PVGPU_CMD_MARK},
		.ctx = FAKE_CTX,
		.dst = dst,
		.dst_pitch = pitch,
		.src = w->arena_base,
		.src_pitch = width,
		.width = width,
		.height = height,
		.depth = 1,
	};

	FAKE_SUBMIT(w, COPY_3D, seq, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, seq), expect);
}

START_TEST(boxes_are_checked)
{
	struct worker *w = fake_open(true);
	uint64_t a;

	load(w);
	a = fake_alloc(w, 10, FAKE_CTX, 1000);
	copy_box(w, 11, a, 100, 100, 10, 0);
	copy_box(w, 12, a, 110, 10, 10, 0);
	copy_box(w, 13, a, 113, 7, 10, 0);
	copy_box(w, 14, a, 113, 8, 10, CUDA_ERROR_INVALID_VALUE);
	copy_box(w, 15, a, UINT64_MAX / 2, 10, 3, CUDA_ERROR_INVALID_VALUE);
	copy_box(w, 16, a, 5, 10, 2, CUDA_ERROR_INVALID_VALUE);
	copy_box(w, 17, a, 0, 1000, 1, 0);
	fake_close(w);
}
END_TEST

START_TEST(callbacks_wait_for_the_guest)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .id = 77};
	const uint64_t *id;

	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	h.always = 1;
	h.id = 78;
	ck_assert_int_eq(fake_result(w, PVGPU_REP_CALLBACK, 0), 0);
	id = fake_body(w, PVGPU_REP_CALLBACK, 0);
	ck_assert_uint_eq(*id, 77);
	/* Answers to more callbacks than were asked for, or to earlier ones, are ignored. */
	callback_done(w, 5);
	ck_assert_uint_eq(w->gpu->cb.done, 0);
	callback_done(w, 1);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	callback_done(w, 0);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	/* A callback that the guest never runs does not keep the session open. */
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	fake_close(w);
}
END_TEST

/* The decoding thread is in a call of the far end that waits for the function. */
START_TEST(callbacks_end_without_the_decoding_thread)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .id = 77};
	uint32_t looks;

	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_CALLBACK, 0), 0);
	/* No more than were asked for. */
	atomic_store(&w->cb_done, 5);
	looks = atomic_load(&w->cb_looks);
	/* The first of them may have read the page before. */
	while (atomic_load(&w->cb_looks) - looks < 3)
		sched_yield();
	ck_assert_uint_eq(w->gpu->cb.done, 0);
	atomic_store(&w->cb_done, 1);
	fake_hosts_end();
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	/* It takes the news in later. */
	callback_done(w, 1);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	ck_assert(!callbacks_wait(w->gpu));
	fake_close(w);
}
END_TEST

/* A callback that the guest added before a fault reaches the far end after it: the guest has been
 * told that its call succeeded, so the callback must run, with the error. */
START_TEST(callbacks_run_after_a_fault)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .id = 79};
	const struct {
		uint64_t id;
		uint32_t status;
	} * told;

	fake_far.stuck = CUDA_ERROR_ILLEGAL_ADDRESS;
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	h.always = 1;
	h.id = 80;
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_CALLBACK, 0), 0);
	told = fake_body(w, PVGPU_REP_CALLBACK, 0);
	ck_assert_uint_eq(told->id, 80);
	ck_assert_uint_eq(told->status, CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_uint_eq(w->gpu->cb.sent, 1);
	callback_done(w, 1);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	fake_close(w);
}
END_TEST

START_TEST(modules_come_and_go)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_module_unload u = {.module = MODULE};
	struct pvgpu_wire_module_get_global q = {.module = MODULE, .name_len = 1};
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX,
		.image = w->arena_base,
		.image_len = 16,
		.module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 2),
	};
	uint64_t global;

	load(w);
	fake_submit(w, &q, sizeof(q), PVGPU_OP_MODULE_GET_GLOBAL, 10, "g", 2);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	memcpy(&global, fake_body(w, PVGPU_REP_REPLY, 10), sizeof(global));
	ck_assert_int_eq(mem_where(w->gpu, global, 64), AT_DEVICE);
	/* Small images and their variables share a page. */
	ck_assert_uint_eq(w->leased, w->gpu->mem.win.page);
	FAKE_SUBMIT(w, MODULE_UNLOAD, 0, u);
	ck_assert_int_eq(mem_where(w->gpu, global, 64), AT_NOWHERE);
	launch(w, 0);
	ck_assert_int_eq(sync_ctx(w, 11), CUDA_ERROR_INVALID_HANDLE);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.modules, 0);
	ck_assert_uint_eq(w->leased, 0);
	/* No image at all. */
	memset((void *)(uintptr_t)w->arena_base, 0x80, 64);
	FAKE_SUBMIT(w, MODULE_LOAD, 12, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), CUDA_ERROR_INVALID_IMAGE);
	/* Not in the arena's chunks. */
	m.image = w->arena_base + (1u << 20) - 8;
	FAKE_SUBMIT(w, MODULE_LOAD, 13, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_INVALID_VALUE);
	fake_close(w);
}
END_TEST

START_TEST(jit_options_are_numbers)
{
	struct worker *w = fake_open(true);
	static const struct {
		uint32_t id;
		int result;
	} row[] = {
		{CU_JIT_MAX_REGISTERS, 0},
		{CU_JIT_OPTIMIZATION_LEVEL, 0},
		{CU_JIT_INFO_LOG_BUFFER, CUDA_ERROR_INVALID_VALUE},
		{CU_JIT_ERROR_LOG_BUFFER, CUDA_ERROR_INVALID_VALUE},
		{CU_JIT_GLOBAL_SYMBOL_ADDRESSES, CUDA_ERROR_INVALID_VALUE},
		{CU_JIT_GLOBAL_SYMBOL_NAMES, CUDA_ERROR_INVALID_VALUE},
		{12345, CUDA_ERROR_INVALID_VALUE},
	};

	fake_chunk(w, 0, 4096);
	memcpy((void *)(uintptr_t)w->arena_base, ptx, sizeof(ptx));
	for (uint32_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pvgpu_jit_option o = {.id = row[i].id, .value = 1};
		struct pvgpu_wire_module_load m = {
			.ctx = FAKE_CTX,
			.image = w->arena_base,
			.image_len = sizeof(ptx),
			.options_len = sizeof(o),
			.module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 10 + i),
		};

		fake_submit(w, &m, sizeof(m), PVGPU_OP_MODULE_LOAD, 100 + i, &o, sizeof(o));
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100 + i), row[i].result);
	}
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker lanes");
	TCase *t = tcase_create("lanes");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, in_flight_is_bounded);
	tcase_add_test(t, a_full_stream_holds_itself);
	tcase_add_test(t, two_full_streams);
	tcase_add_test(t, events_order_parked_work);
	tcase_add_test(t, other_commands_hold);
	tcase_add_test(t, parked_work_keeps_its_order);
	tcase_add_test(t, parking_is_bounded);
	tcase_add_test(t, replies_in_stream_order);
	tcase_add_test(t, more_streams_than_threads);
	tcase_add_test(t, event_of_the_past);
	tcase_add_test(t, marks_come_first);
	tcase_add_test(t, marks_carry_errors);
	tcase_add_test(t, deferred_errors_are_told_once);
	tcase_add_test(t, first_deferred_error_stands);
	tcase_add_test(t, device_faults_stay);
	tcase_add_test(t, fetch);
	tcase_add_test(t, boxes_are_checked);
	tcase_add_test(t, callbacks_wait_for_the_guest);
	tcase_add_test(t, callbacks_end_without_the_decoding_thread);
	tcase_add_test(t, callbacks_run_after_a_fault);
	tcase_add_test(t, modules_come_and_go);
	tcase_add_test(t, jit_options_are_numbers);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
