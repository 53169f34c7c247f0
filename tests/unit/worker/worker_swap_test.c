/* SPDX-License-Identifier: MIT */
/* Parked memory: what leaves, what waits for it, and what becomes of errors on either way. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/worker/worker_fake_far.h"
#include "tests/unit/worker/worker_fake_sim.h"
#include "xen-pvgpu-back/contract/supervise.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define MIB    (1ull << 20)
#define STREAM PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define ALL    UINT64_MAX

static struct far sim;
static const char *failing;
static atomic_int failures, skips;

static CUresult planted(const char *call)
{
	if (strcmp(call, failing) != 0 || atomic_load(&failures) <= 0 ||
	    atomic_fetch_sub(&skips, 1) > 0)
		return CUDA_SUCCESS;
	atomic_fetch_sub(&failures, 1);
	return strcmp(call, "create") ? CUDA_ERROR_UNKNOWN : CUDA_ERROR_OUT_OF_MEMORY;
}

static void plant(const char *call, int times)
{
	failing = call;
	failures = times;
	atomic_store(&skips, 0);
	fake_far.fail = planted;
}

static bool answered(struct worker *w, void *n)
{
	return w->park_answers >= *(unsigned int *)n;
}

static bool resumed(struct worker *w, void *n)
{
	return w->resumes >= *(unsigned int *)n;
}

/* The worker looks every two milliseconds. */
static bool resumed_by_looking(struct worker *w, void *n)
{
	w->gpu->gate.look = true;
	atomic_store(&w->kicked, true);
	return resumed(w, n);
}

static bool has_ended(struct worker *w, void *arg)
{
	return w->ended;
}

static bool no_jobs(struct worker *w, void *arg)
{
	return !atomic_load(&w->gpu->side.jobs);
}

/* The reason of pvgpud's answer; "": it is parked. */
static const char *park(struct worker *w, uint64_t most)
{
	unsigned int n = w->park_answers + 1;

	/* Answers come before their jobs' ends. */
	ck_assert(fake_until(w, no_jobs, NULL));
	gpu_park(w, n, most, PVGPU_SUP_PARK_SAFE, 0);
	ck_assert(fake_until(w, answered, &n));
	ck_assert(fake_until(w, no_jobs, NULL));
	return w->park_reason;
}

static void memset_(struct worker *w, uint64_t at, uint64_t n, uint32_t value)
{
	struct pvgpu_wire_memset m = {
		.ctx = FAKE_CTX, .dst = at, .value = value, .element = 1, .width = n, .height = 1};

	FAKE_SUBMIT(w, MEMSET, 0, m);
}

static int synchronize(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_ctx_synchronize s = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static struct worker *open_with(uint64_t bytes, uint64_t *at)
{
	struct worker *w = fake_open(true);

	*at = fake_alloc(w, 3, FAKE_CTX, bytes);
	ck_assert(*at);
	return w;
}

static void close_all(struct worker *w)
{
	fake_far.fail = NULL;
	fake_close(w);
}

/* Its leases and physical memory go, its addresses stay, and the next command brings it back. */
START_TEST(leaves_and_comes_back)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);
	const uint64_t leased = w->leased;

	ck_assert_str_eq(park(w, ALL), "");
	ck_assert_uint_eq(w->parked, 8 * MIB);
	ck_assert_uint_eq(w->leased, leased - 8 * MIB);
	ck_assert_int_eq(fake_far.mapped, 0);
	ck_assert_int_eq(fake_far.physical, 0);
	ck_assert_str_ne(park(w, ALL), "");
	memset_(w, at, MIB, 1);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_uint_eq(w->leased, leased);
	ck_assert_uint_eq(fake_far.bytes_mapped, 8 * MIB);
	ck_assert_int_eq(w->ended, 0);
	close_all(w);
}
END_TEST

/* As pvgpud asks, too; and only as much as there is room for. */
START_TEST(as_much_as_asked)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert(fake_alloc(w, 4, FAKE_CTX, 16 * MIB));
	ck_assert(fake_alloc(w, 5, FAKE_CTX, 4 * MIB));
	ck_assert_str_eq(park(w, 13 * MIB), "");
	ck_assert_uint_eq(w->parked, 12 * MIB);
	gpu_park(w, 9, 0, PVGPU_SUP_PARK_SAFE, 0);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_uint_eq(fake_far.bytes_mapped, 28 * MIB);
	ck_assert_str_ne(park(w, MIB), "");
	close_all(w);
}
END_TEST

/* For another session, which lacks so many MiB. */
static void make_room(struct worker *w, uint64_t most, uint64_t mib)
{
	unsigned int n = w->park_answers + 1;

	ck_assert(fake_until(w, no_jobs, NULL));
	gpu_park(w, n, most, PVGPU_SUP_PARK_SAFE | PVGPU_SUP_PARK_BUSY, mib << 32 | 600000);
	ck_assert(fake_until(w, answered, &n));
	ck_assert(fake_until(w, no_jobs, NULL));
}

/* A session with allocations of 8, 32, 4 and 16 MiB. */
START_TEST(no_more_than_is_missing)
{
	static const struct {
		uint64_t most, lacks, leaves; /* MiB */
	} c[] = {
		{60, 3, 4},   {60, 4, 4},   {60, 9, 12},  {60, 12, 12}, {60, 20, 20},
		{60, 29, 32}, {60, 33, 36}, {60, 60, 60}, {60, 99, 60}, {20, 17, 20},
		{14, 13, 12}, {3, 3, 0},    {60, 57, 60}, {36, 34, 36}, {35, 34, 32},
	};

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint64_t at;
		struct worker *w = open_with(8 * MIB, &at);

		ck_assert(fake_alloc(w, 4, FAKE_CTX, 32 * MIB));
		ck_assert(fake_alloc(w, 5, FAKE_CTX, 4 * MIB));
		ck_assert(fake_alloc(w, 6, FAKE_CTX, 16 * MIB));
		make_room(w, c[i].most * MIB, c[i].lacks);
		ck_assert_uint_eq(w->parked / MIB, c[i].leaves);
		ck_assert_uint_eq(fake_far.bytes_mapped / MIB, 60 - c[i].leaves);
		close_all(w);
	}
}
END_TEST

/* Some of it is away, and more is asked for; all of it comes back at once. */
START_TEST(leaves_in_parts)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert(fake_alloc(w, 4, FAKE_CTX, 16 * MIB));
	ck_assert(fake_alloc(w, 5, FAKE_CTX, 4 * MIB));
	make_room(w, ALL, 2);
	ck_assert_uint_eq(w->parked, 4 * MIB);
	/* An operator's question is no reason to move the rest. */
	ck_assert_str_eq(park(w, ALL), "its memory is parked already, or about to be");
	make_room(w, ALL, 5);
	ck_assert_uint_eq(w->parked, 12 * MIB);
	make_room(w, ALL, 1);
	ck_assert_uint_eq(w->parked, 28 * MIB);
	make_room(w, ALL, 1);
	ck_assert_str_eq(w->park_reason, "none of its memory can be moved");
	ck_assert_uint_eq(w->parked, 28 * MIB);
	ck_assert_int_eq(fake_far.physical, 0);
	memset_(w, at, MIB, 1);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_uint_eq(fake_far.bytes_mapped, 28 * MIB);
	close_all(w);
}
END_TEST

static bool asks(struct worker *w, void *arg)
{
	return w->asks;
}

/* It waits to come back, and has to give more: it asks again. _i: that cannot be copied. */
START_TEST(gives_more_while_it_waits)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert(fake_alloc(w, 4, FAKE_CTX, 16 * MIB));
	make_room(w, ALL, 2);
	ck_assert_uint_eq(w->parked, 8 * MIB);
	w->no_memory = true;
	memset_(w, at, MIB, 1);
	ck_assert(w->asks);
	if (_i)
		plant("copy", 1);
	make_room(w, ALL, 2);
	ck_assert_uint_eq(w->parked, (_i ? 8 : 24) * MIB);
	fake_far.fail = NULL;
	ck_assert(fake_until(w, asks, NULL));
	ck_assert_uint_eq(w->resumes, 0);
	ck_assert_int_eq(w->gpu->park.count, 1);
	/* A question that is not for more withdraws it, too. */
	ck_assert_str_ne(park(w, ALL), "");
	ck_assert(fake_until(w, asks, NULL));
	fake_grant(w);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_uint_eq(fake_far.bytes_mapped, 24 * MIB);
	ck_assert_int_eq(w->ended, 0);
	close_all(w);
}
END_TEST

/* The GPU is full for the second of two batches: the first one's is given back meanwhile. */
START_TEST(waits_for_memory_for_all_parts)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert(fake_alloc(w, 4, FAKE_CTX, 16 * MIB));
	make_room(w, ALL, 2);
	make_room(w, ALL, 2);
	ck_assert_uint_eq(w->parked, 24 * MIB);
	failing = "create";
	atomic_store(&skips, 1);
	failures = 1;
	fake_far.fail = planted;
	memset_(w, at, MIB, 1);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(failures, 0);
	ck_assert_int_eq(fake_far.physical, 2);
	ck_assert_int_eq(synchronize(w, 10), 0);
	close_all(w);
}
END_TEST

START_TEST(only_when_idle)
{
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	fake_far.manual = true;
	memset_(w, at, MIB, 1);
	ck_assert_str_eq(park(w, ALL), "it is not idle");
	ck_assert(w->park_busy);
	ck_assert_uint_eq(w->parked, 0);
	fake_far.manual = false;
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_str_eq(park(w, ALL), "");
	close_all(w);
}
END_TEST

/* It has to leave with work on the GPU and more to come: that work ends, the rest waits, and
 * brings the memory back. */
START_TEST(leaves_in_the_middle_of_its_work)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	fake_far.manual = true;
	memset_(w, at, MIB, 1);
	gpu_park(w, 1, ALL, PVGPU_SUP_PARK_SAFE | PVGPU_SUP_PARK_BUSY, 600000);
	ck_assert_int_ge(gpu_gate_look_ms(w), 0);
	memset_(w, at, MIB, 2);
	ck_assert_int_eq(w->gpu->park.count, 1);
	ck_assert_uint_eq(w->park_answers, 0);
	ck_assert_uint_eq(w->parked, 0);
	/* It is asked once more meanwhile. */
	gpu_park(w, 2, ALL, PVGPU_SUP_PARK_SAFE | PVGPU_SUP_PARK_BUSY, 600000);
	ck_assert_uint_eq(w->park_answers, 1);
	ck_assert_str_eq(w->park_reason, "its memory is parked already, or about to be");
	fake_far.manual = false;
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, resumed_by_looking, &one));
	ck_assert_uint_eq(w->park_answers, 2);
	ck_assert(!w->park_busy);
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_int_eq(w->ended, 0);
	close_all(w);
}
END_TEST

/* Work that does not end in time: all goes on as if nothing had been asked. */
START_TEST(stays_with_work_that_does_not_end)
{
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	fake_far.manual = true;
	memset_(w, at, MIB, 1);
	gpu_park(w, 1, ALL, PVGPU_SUP_PARK_SAFE | PVGPU_SUP_PARK_BUSY, 0);
	ck_assert_uint_eq(w->park_answers, 1);
	ck_assert(w->park_busy);
	ck_assert_str_eq(w->park_reason, "its work has not ended");
	memset_(w, at, MIB, 2);
	ck_assert_int_eq(w->gpu->park.count, 0);
	fake_far.manual = false;
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_uint_eq(w->parked, 0);
	close_all(w);
}
END_TEST

static struct worker *confidential(void)
{
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	w->gpu->evict.on = true;
	return w;
}

/* Its bytes would lie in host memory while others have the GPU. */
START_TEST(not_in_a_confidential_pool)
{
	struct worker *w = confidential();

	ck_assert_str_eq(park(w, ALL), "it is in a confidential pool");
	w->gpu->evict.on = false;
	close_all(w);
}
END_TEST

/* A query that needs no memory is answered, however long other commands wait for it. */
START_TEST(queries_are_answered)
{
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct pvgpu_wire_stream_query q = {.ctx = FAKE_CTX, .stream = STREAM};
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	FAKE_SUBMIT(w, STREAM_CREATE, 4, s);
	ck_assert_str_eq(park(w, ALL), "");
	w->no_memory = true;
	FAKE_SUBMIT(w, STREAM_QUERY, 5, q);
	ck_assert(fake_was_sent(w, PVGPU_REP_REPLY, 5));
	memset_(w, at, MIB, 1);
	ck_assert_int_eq(w->gpu->park.count, 1);
	FAKE_SUBMIT(w, STREAM_QUERY, 6, q);
	ck_assert(fake_was_sent(w, PVGPU_REP_REPLY, 6));
	/* New memory can be had meanwhile. */
	ck_assert(fake_alloc(w, 7, FAKE_CTX, 2 * MIB));
	fake_grant(w);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(synchronize(w, 8), 0);
	ck_assert_int_eq(w->gpu->park.count, 0);
	close_all(w);
}
END_TEST

static void stays(const char *call)
{
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);
	const uint64_t leased = w->leased;

	plant(call, 1);
	ck_assert_str_ne(park(w, ALL), "");
	ck_assert_uint_eq(w->parked, 0);
	ck_assert_uint_eq(w->leased, leased);
	ck_assert_uint_eq(fake_far.bytes_mapped, 8 * MIB);
	fake_far.fail = NULL;
	memset_(w, at, MIB, 1);
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_int_eq(w->ended, 0);
	ck_assert_uint_eq(w->resumes, 0);
	close_all(w);
}

START_TEST(all_stays_when_it_cannot_be_copied)
{
	stays("copy");
	stays("event_record");
	stays("event_create");
	stays("stream_create");
}
END_TEST

/* The GPU is full: nothing is held meanwhile. */
START_TEST(waits_for_memory)
{
	unsigned int one = 1;
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert(fake_alloc(w, 4, FAKE_CTX, 4 * MIB));
	ck_assert_str_eq(park(w, ALL), "");
	plant("create", 4);
	memset_(w, at, MIB, 1);
	ck_assert(fake_until(w, resumed, &one));
	ck_assert_int_eq(failures, 0);
	ck_assert_int_eq(fake_far.physical, 2);
	ck_assert_int_eq(synchronize(w, 10), 0);
	ck_assert_int_eq(w->ended, 0);
	close_all(w);
}
END_TEST

/* Its contents are lost, so its programs must not go on with others. */
START_TEST(ends_when_it_cannot_be_copied_back)
{
	static const char *const calls[] = {"copy", "map", "access", "event_record"};

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t at;
		struct worker *w = open_with(8 * MIB, &at);

		ck_assert_str_eq(park(w, ALL), "");
		plant(calls[i], 1);
		memset_(w, at, MIB, 1);
		ck_assert(fake_until(w, has_ended, NULL));
		ck_assert_ptr_nonnull(strstr(w->why, "8 MiB of parked memory"));
		ck_assert_uint_eq(w->resumes, 0);
		ck_assert_int_eq(w->gpu->park.count, 1);
		close_all(w);
	}
}
END_TEST

/* While it is parked, and while it waits. */
START_TEST(a_parked_session_ends)
{
	uint64_t at;
	struct worker *w = open_with(8 * MIB, &at);

	ck_assert_str_eq(park(w, ALL), "");
	close_all(w);
	w = open_with(8 * MIB, &at);
	ck_assert_str_eq(park(w, ALL), "");
	w->no_memory = true;
	memset_(w, at, MIB, 1);
	ck_assert(w->asks);
	close_all(w);
}
END_TEST

static void copy(struct worker *w, uint32_t seq, uint64_t dst, uint64_t src, uint64_t n)
{
	struct pvgpu_wire_copy c = {.hdr = {.flags = PVGPU_CMD_MARK},
				    .ctx = FAKE_CTX,
				    .dst = dst,
				    .src = src,
				    .size = n};

	FAKE_SUBMIT(w, COPY, seq, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, seq), 0);
}

static void fill(unsigned char *p, uint64_t n, unsigned int seed)
{
	for (uint64_t k = 0; k < n; k++)
		p[k] = (unsigned char)(k * 7 + k / 4093 + seed);
}

/* On the simulated GPU: areas that are larger than a slot, no multiple of it, and of small blocks.
 */
START_TEST(the_bytes_are_the_same)
{
	static const uint64_t sizes[] = {4 * MIB, 10 * MIB, 2 * MIB, 4096, 700000};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	struct worker *w = fake_open_sim(&sim);
	unsigned char *h = (unsigned char *)(uintptr_t)w->arena_base;
	uint64_t at[N];

	fake_chunk(w, 0, FAKE_ARENA);
	for (unsigned int i = 0; i < N; i++) {
		at[i] = fake_alloc(w, 10 + i, FAKE_CTX, sizes[i]);
		fill(h, sizes[i], i);
		copy(w, 20 + i, at[i], w->arena_base, sizes[i]);
	}
	for (unsigned int round = 1; round <= 3; round++) {
		for (unsigned int part = 1; part < round; part++)
			make_room(w, ALL, 2 * part);
		if (round == 1)
			ck_assert_str_eq(park(w, ALL), "");
		else
			make_room(w, ALL, 20);
		ck_assert_uint_eq(w->parked, 20 * MIB);
		for (unsigned int i = 0; i < N; i++) {
			memset(h, 0, sizes[i]);
			copy(w, 100 * round + i, w->arena_base, at[i], sizes[i]);
			fill(h + FAKE_ARENA / 2, sizes[i], i);
			ck_assert_int_eq(memcmp(h, h + FAKE_ARENA / 2, sizes[i]), 0);
		}
		ck_assert_uint_eq(w->resumes, round);
	}
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_swap");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, leaves_and_comes_back);
	tcase_add_test(t, as_much_as_asked);
	tcase_add_test(t, no_more_than_is_missing);
	tcase_add_test(t, leaves_in_parts);
	tcase_add_loop_test(t, gives_more_while_it_waits, 0, 2);
	tcase_add_test(t, waits_for_memory_for_all_parts);
	tcase_add_test(t, only_when_idle);
	tcase_add_test(t, leaves_in_the_middle_of_its_work);
	tcase_add_test(t, stays_with_work_that_does_not_end);
	tcase_add_test(t, not_in_a_confidential_pool);
	tcase_add_test(t, queries_are_answered);
	tcase_add_test(t, all_stays_when_it_cannot_be_copied);
	tcase_add_test(t, waits_for_memory);
	tcase_add_test(t, ends_when_it_cannot_be_copied_back);
	tcase_add_test(t, a_parked_session_ends);
	tcase_add_test(t, the_bytes_are_the_same);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
