/* SPDX-License-Identifier: MIT */
/* Handle tables: generations, chains, poisoned objects, limits, objects that end with a context. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define STREAM(gen, index) PVGPU_HANDLE(PVGPU_H_STREAM, 0, gen, index)
#define EVENT(gen, index)  PVGPU_HANDLE(PVGPU_H_EVENT, 0, gen, index)

static void *find(struct worker *w, uint64_t h)
{
	return obj_lookup(&w->gpu->tables, PVGPU_HANDLE_TYPE(h), h);
}

static void stream_make(struct worker *w, uint64_t h)
{
	struct pvgpu_wire_stream_create c = {.ctx = FAKE_CTX, .stream = h};

	FAKE_SUBMIT(w, STREAM_CREATE, 0, c);
}

static void stream_drop(struct worker *w, uint64_t h)
{
	struct pvgpu_wire_stream_destroy d = {.stream = h};

	FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
}

static int sync_ctx(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_ctx_synchronize s = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int sync_stream(struct worker *w, uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(generations)
{
	struct worker *w = fake_open(true);

	stream_make(w, STREAM(1, 7));
	ck_assert_ptr_nonnull(find(w, STREAM(1, 7)));
	ck_assert_ptr_null(find(w, STREAM(2, 7)));
	ck_assert_ptr_null(find(w, EVENT(1, 7)));
	stream_drop(w, STREAM(1, 7));
	ck_assert_ptr_null(find(w, STREAM(1, 7)));
	stream_make(w, STREAM(2, 7));
	ck_assert_ptr_nonnull(find(w, STREAM(2, 7)));
	ck_assert_int_eq(sync_stream(w, 10, STREAM(1, 7)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(sync_stream(w, 11, STREAM(2, 7)), 0);
	ck_assert_int_eq(w->ended, 0);
	fake_close(w);
}
END_TEST

/* The next generation is made while the last one's destroy is still parked. */
START_TEST(chains)
{
	struct worker *w = fake_open(true);
	void *old, *new;

	stream_make(w, STREAM(1, 7));
	stream_make(w, STREAM(2, 7));
	old = find(w, STREAM(1, 7));
	new = find(w, STREAM(2, 7));
	ck_assert(old && new &&old != new);
	stream_drop(w, STREAM(1, 7));
	ck_assert_ptr_null(find(w, STREAM(1, 7)));
	ck_assert_ptr_eq(find(w, STREAM(2, 7)), new);
	/* The same handle twice is refused; the first one stands. */
	stream_make(w, STREAM(2, 7));
	ck_assert_ptr_eq(find(w, STREAM(2, 7)), new);
	ck_assert_int_eq(sync_ctx(w, 10), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(sync_ctx(w, 11), 0);
	fake_close(w);
}
END_TEST

START_TEST(malformed_handles)
{
	static const uint64_t bad[] = {
		0,           STREAM(1, PVGPU_HANDLES_MAX), STREAM(1, UINT32_MAX),
		EVENT(1, 1), PVGPU_HANDLE(0xff, 0, 1, 1),  UINT64_MAX,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct worker *w = fake_open(true);
		struct pvgpu_wire_stream_create c = {.ctx = FAKE_CTX, .stream = bad[i]};

		ck_assert_int_eq(FAKE_SUBMIT(w, STREAM_CREATE, 0, c), PVGPU_FATAL);
		ck_assert_int_eq(w->ended, 1);
		fake_close(w);
	}
}
END_TEST

START_TEST(other_vgpu)
{
	struct worker *w = fake_open(true);

	stream_make(w, PVGPU_HANDLE(PVGPU_H_STREAM, 3, 1, 1));
	ck_assert_int_eq(sync_ctx(w, 10), CUDA_ERROR_INVALID_HANDLE);
	fake_close(w);
}
END_TEST

static CUresult no_stream(const char *call)
{
	return strcmp(call, "stream_create") ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* A failed one-way creation poisons that handle only. */
START_TEST(poisoned)
{
	struct worker *w = fake_open(true);

	fake_far.fail = no_stream;
	stream_make(w, STREAM(1, 1));
	fake_far.fail = NULL;
	stream_make(w, STREAM(1, 2));
	ck_assert_int_eq(sync_ctx(w, 10), 0);
	ck_assert_int_eq(sync_stream(w, 11, STREAM(1, 1)), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(sync_stream(w, 12, STREAM(1, 2)), 0);
	stream_drop(w, STREAM(1, 1));
	ck_assert_int_eq(sync_stream(w, 13, STREAM(1, 1)), CUDA_ERROR_INVALID_HANDLE);
	/* Without a destroy the next generation takes the slot. */
	fake_far.fail = no_stream;
	stream_make(w, STREAM(2, 1));
	fake_far.fail = NULL;
	stream_make(w, STREAM(3, 1));
	ck_assert_ptr_null(find(w, STREAM(2, 1)));
	ck_assert_int_eq(sync_stream(w, 14, STREAM(3, 1)), 0);
	fake_close(w);
}
END_TEST

/* Objects take the host's memory: a small vGPU has no more than is sure. */
START_TEST(a_small_vgpu_has_fewer)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX};

	w->quota = 64u << 20;
	for (uint32_t i = 0; i < 65536; i++) {
		e.event = EVENT(1, i);
		FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	}
	ck_assert_int_eq(sync_ctx(w, 10), 0);
	e.event = EVENT(1, 65536);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	ck_assert_int_eq(sync_ctx(w, 11), CUDA_ERROR_OUT_OF_MEMORY);
	fake_close(w);
}
END_TEST

START_TEST(as_many_as_allowed)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX};

	for (uint32_t i = 0; i < PVGPU_HANDLES_MAX; i++) {
		e.event = EVENT(1, i);
		FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	}
	ck_assert_uint_eq(w->gpu->tables.of[PVGPU_H_EVENT].count, PVGPU_HANDLES_MAX);
	ck_assert_int_eq(sync_ctx(w, 10), 0);
	e.event = EVENT(2, 5);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	ck_assert_int_eq(sync_ctx(w, 11), CUDA_ERROR_OUT_OF_MEMORY);
	fake_close(w);
}
END_TEST

/* One that processes share is the driver's, whatever its type's number: nothing of a library's is
 * given back with it. */
START_TEST(context_takes_a_shared_event_along)
{
	struct worker *w = fake_open(true);
	const uint64_t second = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	const uint64_t event = PVGPU_HANDLE(PVGPU_H_SHARED_EVENT, 0, 1, 9);
	struct pvgpu_wire_ctx_create c = {.ctx = second};
	struct pvgpu_wire_ctx_destroy d = {.ctx = second};
	struct pvgpu_wire_shared_event_create e = {.ctx = second, .event = event};

	FAKE_SUBMIT(w, CTX_CREATE, 10, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	FAKE_SUBMIT(w, SHARED_EVENT_CREATE, 11, e);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	FAKE_SUBMIT(w, CTX_DESTROY, 12, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	ck_assert_ptr_null(find(w, event));
	ck_assert_uint_eq(w->leased, 0);
	fake_close(w);
}
END_TEST

START_TEST(context_takes_all_along)
{
	struct worker *w = fake_open(true);
	const uint64_t second = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	struct pvgpu_wire_ctx_create c = {.ctx = second};
	struct pvgpu_wire_ctx_destroy d = {.ctx = second};
	struct pvgpu_wire_stream_create s = {.ctx = second, .stream = STREAM(1, 9)};
	struct pvgpu_wire_event_create e = {.ctx = second, .event = EVENT(1, 9)};
	uint64_t addr;

	FAKE_SUBMIT(w, CTX_CREATE, 10, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	FAKE_SUBMIT(w, STREAM_CREATE, 0, s);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, e);
	addr = fake_alloc(w, 11, second, 3u << 20);
	ck_assert(addr);
	ck_assert_int_eq(fake_far.streams, 1);
	FAKE_SUBMIT(w, CTX_DESTROY, 12, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	ck_assert_ptr_null(find(w, second));
	ck_assert_ptr_null(find(w, STREAM(1, 9)));
	ck_assert_ptr_null(find(w, EVENT(1, 9)));
	ck_assert_int_eq(mem_where(w->gpu, addr, 1), AT_NOWHERE);
	ck_assert_int_eq(fake_far.streams, 0);
	ck_assert_int_eq(fake_far.events, 0);
	ck_assert_int_eq(fake_far.ctxs, 1);
	ck_assert_uint_eq(w->leased, 0);
	FAKE_SUBMIT(w, CTX_DESTROY, 13, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_INVALID_HANDLE);
	fake_close(w);
}
END_TEST

/* A stream of another context is refused, whatever the guest says. */
/* Of the fake itself: a thread may ask for an event when its stream has gone, and another one has
 * come in its place. */
START_TEST(ended_with_its_stream)
{
	struct worker *v = fake_open(false);
	const struct far *f = &fake_far.far;
	CUstream s;
	CUevent e;

	ck_assert_int_eq(f->cuStreamCreateWithPriority(&s, 0, 0), 0);
	ck_assert_int_eq(f->cuEventCreate(&e, 0), 0);
	fake_issue(s);
	ck_assert_int_eq(f->cuEventRecord(e, s), 0);
	ck_assert_int_eq(f->cuStreamDestroy_v2(s), 0);
	ck_assert_int_eq(f->cuStreamCreateWithPriority(&s, 0, 0), 0);
	ck_assert_int_eq(f->cuEventQuery(e), 0);
	f->cuStreamDestroy_v2(s);
	f->cuEventDestroy_v2(e);
	fake_close(v);
}
END_TEST

START_TEST(strangers)
{
	struct worker *w = fake_open(true);
	const uint64_t second = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	struct pvgpu_wire_ctx_create c = {.ctx = second};
	struct pvgpu_wire_stream_create s = {.ctx = second, .stream = STREAM(1, 9)};

	FAKE_SUBMIT(w, CTX_CREATE, 10, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	FAKE_SUBMIT(w, STREAM_CREATE, 0, s);
	ck_assert_int_eq(sync_stream(w, 11, STREAM(1, 9)), CUDA_ERROR_INVALID_HANDLE);
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker objects");
	TCase *t = tcase_create("objects");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, generations);
	tcase_add_test(t, chains);
	tcase_add_test(t, malformed_handles);
	tcase_add_test(t, other_vgpu);
	tcase_add_test(t, poisoned);
	tcase_add_test(t, as_many_as_allowed);
	tcase_add_test(t, a_small_vgpu_has_fewer);
	tcase_add_test(t, context_takes_a_shared_event_along);
	tcase_add_test(t, context_takes_all_along);
	tcase_add_test(t, strangers);
	tcase_add_test(t, ended_with_its_stream);
	tcase_set_timeout(t, 60);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
