/* SPDX-License-Identifier: MIT */
/* The reply stream: what the guest reads of a session that has ended. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_decode.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/frame/frame.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define SIZE 65536u

static struct worker *w;
static struct pvgpu_ring guest;

/* ---- behind send.c ---- */

void worker_end(struct worker *v, int end, const char *fmt, ...)
{
	atomic_store(&v->ended, true);
}

void worker_kick(struct worker *v)
{
}

void link_ring_guest(const struct worker *v)
{
}

uint16_t output_flags(struct worker *v)
{
	return 0;
}

/* ---- */

static void open_session(void)
{
	const size_t bytes = pvgpu_ring_bytes(SIZE, SIZE);

	w = calloc(1, sizeof(*w));
	w->page = aligned_alloc(4096, bytes);
	memset(w->page, 0, bytes);
	pvgpu_ring_format(w->page, SIZE, SIZE);
	send_init(w, SIZE, SIZE);
	pvgpu_ring_init_consumer(&guest, w->page, PVGPU_RING_REP, SIZE, SIZE);
}

static void reply(uint32_t seq, int32_t result)
{
	struct pvgpu_rep_hdr m = {
		.len = sizeof(m), .kind = PVGPU_REP_REPLY, .seq = seq, .result = result};

	worker_send(w, &m, sizeof(m));
}

START_TEST(what_was_said_before_the_end_is_read)
{
	open_session();
	reply(1, CUDA_SUCCESS);
	worker_ended(w, 0, 1);
	worker_end(w, PVGPU_END_DRAINED, "over");
	ck_assert_int_eq(pvgpu_ring_avail(&guest), sizeof(struct pvgpu_rep_hdr));
	ck_assert_uint_eq(pvgpu_load_acquire(&w->page->ended[0]), 1);
}
END_TEST

/* Such as "out of memory", because pvgpud is not asked for any more. */
START_TEST(nothing_is_said_after_the_end)
{
	open_session();
	worker_end(w, PVGPU_END_DRAINED, "over");
	reply(1, CUDA_ERROR_OUT_OF_MEMORY);
	worker_mark(w, 2, CUDA_ERROR_OUT_OF_MEMORY);
	worker_ended(w, 0, 1);
	ck_assert_int_eq(pvgpu_ring_avail(&guest), 0);
	ck_assert_uint_eq(pvgpu_load_acquire(&w->page->ended[0]), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("send");
	TCase *t = tcase_create("send");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, what_was_said_before_the_end_is_read);
	tcase_add_test(t, nothing_is_said_after_the_end);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
