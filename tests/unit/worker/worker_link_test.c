/* SPDX-License-Identifier: MIT */
/* Links: inputs, logs, the image, what the vGPU pays, and reads beyond the image. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define PAGE    (2ull << 20)
#define LINK(i) PVGPU_HANDLE(PVGPU_H_LINK, 0, 0, i)
#define TEXT    ".version 7.0\n.target sm_70\n.address_size 64\n"

static struct worker *w;

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void setup(void)
{
	w = fake_open(true);
	w->quota = 8 * PAGE;
	fake_chunk(w, 0, 1u << 20);
}

static void teardown(void)
{
	fake_close(w);
}

static int create(uint32_t seq, uint32_t i)
{
	struct pvgpu_wire_link_create c = {.ctx = FAKE_CTX, .error_log_size = 16, .link = LINK(i)};

	FAKE_SUBMIT(w, LINK_CREATE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int add(uint32_t seq, uint32_t i, uint32_t kind, const char *text)
{
	struct pvgpu_wire_link_add a = {.link = LINK(i),
					.kind = kind,
					.image = w->arena_base,
					.image_len = strlen(text),
					.name_len = 5};

	memcpy((void *)(uintptr_t)w->arena_base, text, strlen(text));
	fake_submit(w, &a, sizeof(a), PVGPU_OP_LINK_ADD, seq, "input\0\0", 8);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int complete(uint32_t seq, uint32_t i)
{
	struct pvgpu_wire_link_complete c = {.link = LINK(i)};

	FAKE_SUBMIT(w, LINK_COMPLETE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int get(uint32_t seq, uint32_t i, uint64_t offset, uint64_t len)
{
	struct pvgpu_wire_link_read r = {
		.link = LINK(i), .offset = offset, .to = w->arena_base + 4096, .to_len = len};

	FAKE_SUBMIT(w, LINK_READ, seq, r);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy(uint32_t i)
{
	struct pvgpu_wire_link_destroy d = {.link = LINK(i)};

	FAKE_SUBMIT(w, LINK_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
}

START_TEST(a_link_from_begin_to_end)
{
	const struct pvgpu_wire_link_complete_reply *reply;

	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(fake_far.links, 1);
	ck_assert_int_eq(add(12, 0, CU_JIT_INPUT_PTX, TEXT), 0);
	ck_assert_int_eq(add(13, 0, CU_JIT_INPUT_LIBRARY, "!<arch>\n"), 0);
	ck_assert_uint_eq(w->leased, PAGE);
	ck_assert_int_eq(complete(14, 0), 0);
	reply = (const void *)((const char *)fake_body(w, PVGPU_REP_REPLY, 14) -
			       sizeof(struct pvgpu_rep_hdr));
	ck_assert_uint_eq(reply->size, 10);
	ck_assert_int_eq(get(15, 0, 3, 4), 0);
	ck_assert(!memcmp((const void *)(uintptr_t)(w->arena_base + 4096), "3456", 4));
	destroy(0);
	ck_assert_int_eq(fake_far.links, 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

START_TEST(bad_inputs_leave_nothing)
{
	const char *body;

	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(add(12, 0, CU_JIT_INPUT_PTX, "// bad"), CUDA_ERROR_INVALID_PTX);
	body = fake_body(w, PVGPU_REP_REPLY, 12);
	/* the log's length, then the log */
	ck_assert(memmem(body, sizeof(((struct fake_sent *)0)->body), "input is bad", 12) != NULL);
	ck_assert_int_eq(add(13, 0, CU_JIT_INPUT_LIBRARY, TEXT), CUDA_ERROR_INVALID_IMAGE);
	ck_assert_int_eq(add(14, 0, CU_JIT_INPUT_CUBIN, "!<arch>\n"), CUDA_ERROR_INVALID_IMAGE);
	ck_assert_uint_eq(w->leased, 0);
	w->quota = 0;
	ck_assert_int_eq(add(15, 0, CU_JIT_INPUT_PTX, TEXT), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(complete(16, 0), CUDA_ERROR_OUT_OF_MEMORY);
	w->quota = PAGE;
	ck_assert_int_eq(complete(17, 0), 0);
	destroy(0);
}
END_TEST

START_TEST(only_what_is_there_is_read)
{
	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(get(12, 0, 0, 1), CUDA_ERROR_INVALID_VALUE); /* not linked yet */
	ck_assert_int_eq(complete(13, 0), 0);
	ck_assert_int_eq(get(14, 0, 0, 10), 0);
	ck_assert_int_eq(get(15, 0, 0, 11), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(get(16, 0, 10, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(get(17, 0, UINT64_MAX, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(get(18, 0, 0, 2u << 20), CUDA_ERROR_INVALID_VALUE); /* no such chunk */
	ck_assert_int_eq(get(19, 1, 0, 1), CUDA_ERROR_INVALID_HANDLE);
	destroy(0);
	ck_assert_int_eq(get(20, 0, 0, 1), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(complete(21, 0), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(links_go_with_their_context)
{
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(add(12, 0, CU_JIT_INPUT_PTX, TEXT), 0);
	ck_assert_int_eq(create(13, 1), 0);
	FAKE_SUBMIT(w, CTX_DESTROY, 14, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	ck_assert_int_eq(fake_far.links, 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker links");
	TCase *t = tcase_create("links");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_link_from_begin_to_end);
	tcase_add_test(t, bad_inputs_leave_nothing);
	tcase_add_test(t, only_what_is_there_is_read);
	tcase_add_test(t, links_go_with_their_context);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
