/* SPDX-License-Identifier: MIT */
/* Device output: announced with a reply, pulled, bounded, and not lost with its context.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/worker.h"

static int sync_ctx(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_ctx_synchronize s = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(output_is_told_and_pulled)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_output_pull p = {.hdr = {.len = 0}};
	int out[2], err[2];
	const uint32_t *body;

	ck_assert_int_eq(pipe(out) | pipe(err), 0);
	ck_assert_int_eq(output_start(w, out[0], err[0]), 0);
	ck_assert_int_eq(output_flags(w), 0);
	ck_assert_int_eq(write(out[1], "hello", 5), 5);
	ck_assert_int_eq(write(err[1], "oh", 2), 2);
	ck_assert_int_eq(sync_ctx(w, 10), 0);
	ck_assert_int_eq(output_flags(w), PVGPU_REP_OUTPUT);
	FAKE_SUBMIT(w, OUTPUT_PULL, 11, p);
	body = fake_body(w, PVGPU_REP_REPLY, 11);
	ck_assert_uint_eq(body[0], 1);
	ck_assert_uint_eq(body[1], 1);
	ck_assert_uint_eq(body[2], 5);
	FAKE_SUBMIT(w, OUTPUT_PULL, 12, p);
	body = fake_body(w, PVGPU_REP_REPLY, 12);
	ck_assert_uint_eq(body[0], 2);
	ck_assert_uint_eq(body[1], 0);
	ck_assert_int_eq(output_flags(w), 0);
	FAKE_SUBMIT(w, OUTPUT_PULL, 13, p);
	body = fake_body(w, PVGPU_REP_REPLY, 13);
	ck_assert_uint_eq(body[2], 0);
	fake_close(w);
	close(out[1]);
	close(err[1]);
	close(out[0]);
	close(err[0]);
}
END_TEST

START_TEST(much_output_is_bounded)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_output_pull p = {.hdr = {.len = 0}};
	static const char block[4096];
	uint64_t pulled = 0;
	int out[2], err[2];
	const uint32_t *body;

	ck_assert_int_eq(pipe(out) | pipe(err), 0);
	ck_assert_int_eq(output_start(w, out[0], err[0]), 0);
	for (int i = 0; i < 400; i++)
		ck_assert_int_eq(write(out[1], block, sizeof(block)), sizeof(block));
	ck_assert_int_eq(sync_ctx(w, 10), 0);
	for (uint32_t seq = 11;; seq++) {
		FAKE_SUBMIT(w, OUTPUT_PULL, seq, p);
		body = fake_body(w, PVGPU_REP_REPLY, seq);
		pulled += body[2];
		if (!body[1])
			break;
	}
	/* A mebibyte, and a line about the rest. */
	ck_assert_uint_gt(pulled, 1u << 20);
	ck_assert_uint_lt(pulled, (1u << 20) + 100);
	fake_close(w);
	close(out[1]);
	close(err[1]);
	close(out[0]);
	close(err[0]);
}
END_TEST

/* Printed output arrives with a call that waits, also when the context is lost. */
static int assertion = -1;

static CUresult asserts(const char *call)
{
	const bool waits = !strcmp(call, "ctx_sync") || !strcmp(call, "sync");

	if (waits && assertion >= 0) {
		ck_assert_int_eq(write(assertion, "failed", 6), 6);
		assertion = -1;
	}
	return waits || !strcmp(call, "query") || !strcmp(call, "event_query") ? CUDA_ERROR_ASSERT
									       : CUDA_SUCCESS;
}

/* Each call that synchronises sees the error at its first look. */
START_TEST(a_lost_context_has_printed)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_output_pull p = {.hdr = {.len = 0}};
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX};
	struct pvgpu_wire_event_create c = {.ctx = FAKE_CTX,
					    .event = PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1)};
	struct pvgpu_wire_event_record r = {.ctx = FAKE_CTX, .event = c.event};
	struct pvgpu_wire_event_synchronize e = {.event = c.event};
	int out[2], err[2];
	const uint32_t *body;

	ck_assert_int_eq(pipe(out) | pipe(err), 0);
	ck_assert_int_eq(output_start(w, out[0], err[0]), 0);
	FAKE_SUBMIT(w, EVENT_CREATE, 0, c);
	FAKE_SUBMIT(w, EVENT_RECORD, 0, r);
	assertion = err[1];
	fake_far.fail = asserts;
	if (_i == 0) {
		FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, 10, s);
	} else if (_i == 1) {
		FAKE_SUBMIT(w, EVENT_SYNCHRONIZE, 10, e);
	} else {
		ck_assert_int_eq(sync_ctx(w, 10), CUDA_ERROR_ASSERT);
	}
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), CUDA_ERROR_ASSERT);
	ck_assert_int_eq(output_flags(w), PVGPU_REP_OUTPUT);
	fake_far.fail = NULL;
	FAKE_SUBMIT(w, OUTPUT_PULL, 11, p);
	body = fake_body(w, PVGPU_REP_REPLY, 11);
	ck_assert_uint_eq(body[0], 2);
	ck_assert_uint_eq(body[2], 6);
	fake_close(w);
	close(out[1]);
	close(err[1]);
	close(out[0]);
	close(err[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device output");
	TCase *t = tcase_create("output");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, output_is_told_and_pulled);
	tcase_add_test(t, much_output_is_bounded);
	tcase_add_loop_test(t, a_lost_context_has_printed, 0, 3);
	tcase_set_timeout(t, 60);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
