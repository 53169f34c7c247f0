/* SPDX-License-Identifier: MIT */
/* Ends that the worker tells the guest of. Commands ascend by seq. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"

#define STREAM PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define NEXT   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 2, 1) /* of the same slot */
#define EVENT  PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1)
#define SLOT   (PVGPU_ENDED_CTXS + 1) /* of the stream */
#define LEGACY 1                      /* of FAKE_CTX's default stream */

static uint64_t mem;

static struct worker *open_with_event(void)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT};

	fake_chunk(w, 0, 1u << 20);
	FAKE_SUBMIT(w, STREAM_CREATE, 3, s);
	FAKE_SUBMIT(w, EVENT_CREATE, 4, e);
	mem = fake_alloc(w, 5, FAKE_CTX, 4096);
	return w;
}

/* Work that ends when the test says so; with a mark. */
static void copy(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_copy c = {
		.hdr = {.flags = PVGPU_CMD_MARK},
		.ctx = FAKE_CTX,
		.stream = stream,
		.dst = mem,
		.src = w->arena_base,
		.size = 4096,
	};

	FAKE_SUBMIT(w, COPY, seq, c);
}

static void record(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_event_record r = {.ctx = FAKE_CTX, .stream = stream, .event = EVENT};

	FAKE_SUBMIT(w, EVENT_RECORD, seq, r);
}

static int query(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_event_query q = {.event = EVENT};

	FAKE_SUBMIT(w, EVENT_QUERY, seq, q);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

struct told {
	uint32_t slot;
	uint64_t number;
};

static uint64_t told(struct worker *w, uint32_t slot)
{
	uint64_t n;

	pthread_mutex_lock(&w->lock);
	n = w->told[slot];
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* Called with w->lock held. */
static bool is_told(struct worker *w, void *arg)
{
	const struct told *t = arg;

	return w->told[t->slot] >= t->number;
}

/* An event that was asked for: its end is told without another question. */
START_TEST(an_event_that_was_asked_for)
{
	struct worker *w = open_with_event();

	fake_far.manual = true;
	copy(w, 9, STREAM);
	record(w, 10, STREAM);
	ck_assert_int_eq(query(w, 11), CUDA_ERROR_NOT_READY);
	ck_assert_uint_lt(told(w, SLOT), 10);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_told, &(struct told){SLOT, 10}));
	/* Recorded again while nobody watches: the last end stands. */
	copy(w, 12, STREAM);
	record(w, 13, STREAM);
	ck_assert_uint_lt(told(w, SLOT), 13);
	ck_assert_int_eq(query(w, 14), CUDA_ERROR_NOT_READY);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_told, &(struct told){SLOT, 13}));
	fake_close(w);
}
END_TEST

/* Ended already when it is asked for, and known by calls that wait. */
START_TEST(calls_tell_what_they_saw)
{
	struct worker *w = open_with_event();
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct pvgpu_wire_stream_query q = {.ctx = FAKE_CTX};
	struct pvgpu_wire_ctx_synchronize c = {.ctx = FAKE_CTX};

	record(w, 10, STREAM);
	ck_assert_int_eq(query(w, 11), 0);
	ck_assert_uint_eq(told(w, SLOT), 10);
	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 12, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	ck_assert_uint_eq(told(w, SLOT), 12);
	ck_assert_uint_eq(told(w, LEGACY), 0);
	FAKE_SUBMIT(w, STREAM_QUERY, 13, q);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), 0);
	ck_assert_uint_eq(told(w, LEGACY), 13);
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 14, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	ck_assert_uint_eq(told(w, SLOT), 14);
	ck_assert_uint_eq(told(w, LEGACY), 14);
	fake_close(w);
}
END_TEST

/* Not before the marks of the copies before it. */
START_TEST(marks_come_first)
{
	struct worker *w = open_with_event();
	for (uint32_t i = 10; i < 600; i += 3) {
		fake_far.manual = true;
		copy(w, i, 0);
		record(w, i + 1, 0);
		ck_assert_int_eq(query(w, i + 2), CUDA_ERROR_NOT_READY);
		fake_complete(-1, UINT64_MAX);
		ck_assert(fake_until(w, is_told, &(struct told){LEGACY, i + 1}));
		ck_assert(fake_was_sent(w, PVGPU_REP_MARK, i));
	}
	fake_close(w);
}
END_TEST

/* Called with w->lock held. */
static bool has_one_stream(struct worker *w, void *arg)
{
	bool one;

	pthread_mutex_lock(&fake_far.lock);
	one = fake_far.streams == 1;
	pthread_mutex_unlock(&fake_far.lock);
	/* Destroyed streams go when the decoding thread looks at them. */
	if (!one)
		atomic_store(&w->kicked, true);
	return one;
}

/* The slot of a stream that was destroyed while it was busy is the next stream's: waits for the old
 * one's work, also those that are made later, say nothing of the new one's. */
START_TEST(a_slot_goes_to_another_stream)
{
	struct worker *w = open_with_event();
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM};
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = NEXT};
	struct pvgpu_wire_ctx_synchronize c = {.ctx = FAKE_CTX};
	const int old = fake_number(w, FAKE_CTX, STREAM);

	fake_far.manual = true;
	copy(w, 9, STREAM);
	FAKE_SUBMIT(w, STREAM_DESTROY, 10, d);
	FAKE_SUBMIT(w, STREAM_CREATE, 11, s);
	copy(w, 12, NEXT);
	record(w, 13, NEXT);
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 14, c);
	fake_complete(old, UINT64_MAX);
	ck_assert(fake_until(w, has_one_stream, NULL));
	ck_assert_uint_eq(told(w, SLOT), 10);
	ck_assert_int_eq(query(w, 15), CUDA_ERROR_NOT_READY);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	ck_assert(fake_until(w, is_told, &(struct told){SLOT, 14}));
	fake_close(w);
}
END_TEST

/* The legacy stream has not ended while a blocking stream has work: what comes next in it would
 * wait for that. */
START_TEST(the_legacy_stream_waits_for_others)
{
	struct worker *w = open_with_event();
	struct pvgpu_wire_ctx_synchronize c = {.ctx = FAKE_CTX};

	fake_far.manual = true;
	copy(w, 9, STREAM);
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 10, c);
	ck_assert_uint_eq(told(w, LEGACY), 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 11, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	ck_assert(fake_until(w, is_told, &(struct told){LEGACY, 11}));
	fake_close(w);
}
END_TEST

static CUresult illegal_address(const char *call)
{
	return !strcmp(call, "event_query") ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

START_TEST(a_fault_is_said)
{
	struct worker *w = open_with_event();

	record(w, 10, STREAM);
	ck_assert(!w->faulted);
	fake_far.fail = illegal_address;
	ck_assert_int_eq(query(w, 11), CUDA_ERROR_ILLEGAL_ADDRESS);
	fake_far.fail = NULL;
	ck_assert(w->faulted);
	ck_assert_uint_eq(told(w, SLOT), 0);
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_ended");
	TCase *t = tcase_create("ended");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_event_that_was_asked_for);
	tcase_add_test(t, calls_tell_what_they_saw);
	tcase_add_test(t, marks_come_first);
	tcase_add_test(t, a_slot_goes_to_another_stream);
	tcase_add_test(t, the_legacy_stream_waits_for_others);
	tcase_add_test(t, a_fault_is_said);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
