/* SPDX-License-Identifier: MIT */
/* Device memory that images are charged, on a far end that does as the test says. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define PAGE      (2ull << 20)
#define MODULE(i) PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, i)
#define LIBRARY   PVGPU_HANDLE(PVGPU_H_LIBRARY, 0, 0, 0)
#define SECOND    PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 1)

#define HEAD      ".version 7.0\n.target sm_70\n.address_size 64\n"

static bool no_jobs(struct worker *w, void *arg)
{
	return !atomic_load(&w->gpu->side.jobs);
}

static uint64_t put(struct worker *w, const char *text)
{
	memcpy((void *)(uintptr_t)w->arena_base, text, strlen(text) + 1);
	return strlen(text) + 1;
}

static int load(struct worker *w, uint32_t seq, uint32_t i, uint64_t len)
{
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX, .image = w->arena_base, .image_len = len, .module = MODULE(i)};

	FAKE_SUBMIT(w, MODULE_LOAD, seq, m);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void unload(struct worker *w, uint32_t i)
{
	struct pvgpu_wire_module_unload u = {.module = MODULE(i)};

	FAKE_SUBMIT(w, MODULE_UNLOAD, 0, u);
	ck_assert(fake_until(w, no_jobs, NULL));
}

START_TEST(variables_are_leased_first)
{
	struct worker *w = fake_open(true);
	uint64_t len;

	fake_chunk(w, 0, 1u << 20);
	w->quota = 4 * PAGE;
	len = put(w, HEAD ".global .b8 x[900<<20];");
	ck_assert_int_eq(load(w, 11, 0, len), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(fake_far.modules, 0);
	len = put(w, HEAD ".global .b8 x[4<<20];");
	ck_assert_int_eq(load(w, 12, 1, len), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	/* A small one finds room in the last page. */
	len = put(w, HEAD ".global .b8 x[4096];");
	ck_assert_int_eq(load(w, 13, 2, len), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	len = put(w, HEAD ".global .b8 x[4<<20];");
	ck_assert_int_eq(load(w, 14, 3, len), CUDA_ERROR_OUT_OF_MEMORY);
	unload(w, 1);
	ck_assert_uint_eq(w->leased, PAGE);
	ck_assert_int_eq(load(w, 15, 4, len), 0);
	unload(w, 2);
	unload(w, 4);
	ck_assert_uint_eq(w->leased, 0);
	fake_close(w);
}
END_TEST

/* Nothing is copied, and so nothing is looked at, that the vGPU has no room for. */
START_TEST(the_lease_comes_before_the_copy)
{
	struct worker *w = fake_open(true);

	fake_chunk(w, 0, 1u << 20);
	w->quota = PAGE - 1;
	memset((void *)(uintptr_t)w->arena_base, 0x80, 4096);
	ck_assert_int_eq(load(w, 11, 0, 4096), CUDA_ERROR_OUT_OF_MEMORY);
	w->quota = PAGE;
	ck_assert_int_eq(load(w, 12, 1, 4096), CUDA_ERROR_INVALID_IMAGE);
	ck_assert_uint_eq(w->leased, 0);
	fake_close(w);
}
END_TEST

static int library_module(struct worker *w, uint32_t seq, uint64_t ctx, uint32_t i)
{
	struct pvgpu_wire_library_get_module m = {
		.library = LIBRARY, .ctx = ctx, .module = MODULE(i)};

	FAKE_SUBMIT(w, LIBRARY_GET_MODULE, seq, m);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(a_library_counts_in_each_context)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_library_load l = {.image = w->arena_base, .library = LIBRARY};
	struct pvgpu_wire_library_unload u = {.library = LIBRARY};
	struct pvgpu_wire_ctx_create c = {.ctx = SECOND};
	struct pvgpu_wire_ctx_destroy d = {.ctx = SECOND};

	fake_chunk(w, 0, 1u << 20);
	w->quota = 6 * PAGE;
	l.image_len = put(w, HEAD ".global .b8 x[4<<20];");
	FAKE_SUBMIT(w, LIBRARY_LOAD, 11, l);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	/* It has paid for the first. */
	ck_assert_int_eq(library_module(w, 12, FAKE_CTX, 0), 0);
	ck_assert_int_eq(library_module(w, 13, FAKE_CTX, 1), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	FAKE_SUBMIT(w, CTX_CREATE, 14, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	w->quota = 4 * PAGE;
	ck_assert_int_eq(library_module(w, 15, SECOND, 2), CUDA_ERROR_OUT_OF_MEMORY);
	w->quota = 6 * PAGE;
	ck_assert_int_eq(library_module(w, 16, SECOND, 3), 0);
	ck_assert_uint_eq(w->leased, 5 * PAGE);
	FAKE_SUBMIT(w, CTX_DESTROY, 17, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 17), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	FAKE_SUBMIT(w, LIBRARY_UNLOAD, 18, u);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 18), 0);
	ck_assert_uint_eq(w->leased, 0);
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker images");
	TCase *t = tcase_create("images");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, variables_are_leased_first);
	tcase_add_test(t, the_lease_comes_before_the_copy);
	tcase_add_test(t, a_library_counts_in_each_context);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
