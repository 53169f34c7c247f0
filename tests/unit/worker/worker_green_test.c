/* SPDX-License-Identifier: MIT */
/* Green contexts: what a hostile guest may ask for, what the vGPU pays, what goes before what. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define GREEN(i)  PVGPU_HANDLE(PVGPU_H_GREEN, 0, 0, i)
#define STREAM(i) PVGPU_HANDLE(PVGPU_H_STREAM, 0, 0, i)

static struct worker *w;

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void setup(void)
{
	w = fake_open(true);
	fake_far.greens_last = true;
}

static void teardown(void)
{
	fake_far.greens_last = false;
	fake_close(w);
}

static int create(uint32_t seq, uint64_t ctx, uint64_t origin, uint32_t groups,
		  const uint32_t *part, uint32_t parts)
{
	struct pvgpu_wire_green_create c = {.ctx = ctx,
					    .origin = origin,
					    .groups = groups,
					    .green = GREEN(seq),
					    .parts_len = parts * 4};

	fake_submit(w, &c, sizeof(c), PVGPU_OP_GREEN_CREATE, seq, part, parts * 4);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy(uint32_t i)
{
	struct pvgpu_wire_green_destroy d = {.green = GREEN(i)};

	FAKE_SUBMIT(w, GREEN_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
}

static void stream(uint64_t green, uint32_t i)
{
	struct pvgpu_wire_green_stream_create s = {
		.ctx = FAKE_CTX, .green = green, .stream = STREAM(i)};

	FAKE_SUBMIT(w, GREEN_STREAM_CREATE, 0, s);
}

static int sync_stream(uint32_t seq, uint32_t i)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = STREAM(i)};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(splits)
{
	struct pvgpu_wire_sm_split s = {.split = 1, .groups = 3, .minimum = 1};
	const struct pvgpu_out_sm_split *out;

	FAKE_SUBMIT(w, SM_SPLIT, 10, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	out = fake_body(w, PVGPU_REP_REPLY, 10);
	ck_assert(out->count == 16 && out->made == 3 && out->each == 4 && out->rest == 4);
	s.groups = 0;
	FAKE_SUBMIT(w, SM_SPLIT, 11, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	out = fake_body(w, PVGPU_REP_REPLY, 11);
	ck_assert(out->made == 4 && !out->each);
	s.minimum = UINT32_MAX;
	FAKE_SUBMIT(w, SM_SPLIT, 12, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), CUDA_ERROR_INVALID_VALUE);
	s.device = 1;
	FAKE_SUBMIT(w, SM_SPLIT, 13, s);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_INVALID_DEVICE);
}
END_TEST

/* Parts that the split does not have, twice the same, or none whole: refused, and nothing is left.
 */
START_TEST(bad_parts)
{
	static const struct {
		uint32_t groups, parts, part[3];
	} bad[] = {
		{2, 1, {3}},          /* no such group */
		{2, 1, {UINT32_MAX}}, /* nor that */
		{8, 1, {5}},          /* not made */
		{4, 1, {4}},          /* nothing remains */
		{2, 2, {1, 1}},       /* twice */
	};
	const uint32_t good[] = {0, 2};

	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(
			create(10 + i, FAKE_CTX, 0, bad[i].groups, bad[i].part, bad[i].parts),
			CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(create(30, FAKE_CTX, 0, 2, good, 2), 0); /* a group and the rest */
	ck_assert_int_eq(create(31, FAKE_CTX, GREEN(30), 0, NULL, 0), 0);
	ck_assert_int_eq(w->ended, 0);
}
END_TEST

START_TEST(is_paid_for)
{
	w->quota = 20u << 20;
	ck_assert_int_eq(create(10, FAKE_CTX, 0, 0, NULL, 0), 0);
	ck_assert_uint_eq(w->leased, 16u << 20);
	ck_assert_int_eq(create(11, FAKE_CTX, 0, 0, NULL, 0), CUDA_ERROR_OUT_OF_MEMORY);
	destroy(10);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(create(12, FAKE_CTX, 0, 0, NULL, 0), 0);
}
END_TEST

/* It stays at the far end while it has streams. */
START_TEST(streams_first)
{
	struct pvgpu_wire_stream_destroy d = {.stream = STREAM(1)};

	ck_assert_int_eq(create(10, FAKE_CTX, 0, 0, NULL, 0), 0);
	stream(GREEN(10), 1);
	ck_assert_int_eq(sync_stream(20, 1), 0);
	destroy(10);
	ck_assert_int_eq(fake_far.greens, 1);
	ck_assert_int_eq(sync_stream(21, 1), 0);
	FAKE_SUBMIT(w, STREAM_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.greens, 0);
	ck_assert_int_eq(create(11, FAKE_CTX, 0, 0, NULL, 0), 0);
	stream(GREEN(11), 2); /* the context takes both along */
}
END_TEST

START_TEST(wrong_contexts)
{
	const uint64_t second = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2);
	struct pvgpu_wire_ctx_create c = {.ctx = second};
	struct pvgpu_wire_green_stream_create s = {.ctx = second, .stream = STREAM(3)};

	FAKE_SUBMIT(w, CTX_CREATE, 10, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	ck_assert_int_eq(create(11, second, 0, 0, NULL, 0), CUDA_ERROR_INVALID_CONTEXT);
	ck_assert_int_eq(create(12, FAKE_CTX, 0, 0, NULL, 0), 0);
	s.green = GREEN(12);
	FAKE_SUBMIT(w, GREEN_STREAM_CREATE, 0, s);
	ck_assert_int_eq(sync_stream(13, 3), CUDA_ERROR_INVALID_CONTEXT);
}
END_TEST

static CUresult fail_green(const char *call)
{
	return strcmp(call, "green_create") ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

START_TEST(far_end_fails)
{
	fake_far.fail = fail_green;
	ck_assert_int_eq(create(10, FAKE_CTX, 0, 0, NULL, 0), CUDA_ERROR_OUT_OF_MEMORY);
	fake_far.fail = NULL;
	ck_assert_uint_eq(w->leased, 0);
	stream(GREEN(10), 1); /* of a handle that is poisoned */
	ck_assert_int_eq(sync_stream(11, 1), CUDA_ERROR_OUT_OF_MEMORY);
	fake_far.far.cuGreenCtxStreamCreate = NULL; /* a driver from before CUDA 12.5 */
	ck_assert_int_eq(create(12, FAKE_CTX, 0, 0, NULL, 0), CUDA_ERROR_NOT_SUPPORTED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_green");
	TCase *t = tcase_create("green");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, splits);
	tcase_add_test(t, bad_parts);
	tcase_add_test(t, is_paid_for);
	tcase_add_test(t, streams_first);
	tcase_add_test(t, wrong_contexts);
	tcase_add_test(t, far_end_fails);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
