/* SPDX-License-Identifier: MIT */
/* The pages of the worker's gate: pvgpud ends and restarts, invalid pages, absurd numbers. */
#include <check.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/worker/gate_case.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

/* ---- pvgpud ends, and restarts ---- */

START_TEST(a_new_pvgpud)
{
	struct gate_side old;

	open_session();
	set_open(true);
	for (int i = 0; i < 3; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	gpu_gate_lost(w);
	/* The gate is open while no pvgpud runs, whatever the old page says. */
	gate_side_set(&side.gate->open, 0);
	gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(gate_launched(), 4);
	old = side;
	gate_side_make(&side);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), 4);
	ck_assert_uint_eq(gate_side_number(&side.report->launches), 4);
	ck_assert_uint_ne(gate_side_number(&side.report->inflight_ns), 0);
	ck_assert_uint_ne(gate_side_number(&side.report->oldest_ns), 0);
	state_is(1, 0, 0);
	gate_side_set(&old.gate->open, 1);
	gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(gate_launched(), 4);
	state_is(1, 0, 1);
	gate_side_free(&old);
	set_open(true);
	ck_assert_uint_eq(gate_launched(), 5);
	close_session();
}
END_TEST

START_TEST(parked_when_pvgpud_goes)
{
	open_session();
	gate_side_set(&side.gate->exclusive, (uint32_t)_i);
	gate_launch(w, GATE_STREAM(1), 1);
	gpu_gate_lost(w);
	fake_kicked(w);
	ck_assert_uint_eq(gate_launched(), !_i);
	if (_i) {
		/* Others' work may be on the GPU until the new pvgpud has checked. */
		gate_side_set(&side.gate->open, 1);
		gate_side_ring(w);
		ck_assert_uint_eq(gate_launched(), 0);
	}
	gate_side_free(&side);
	gate_side_make(&side);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
	state_is(1, _i, _i);
	set_open(true);
	ck_assert_uint_eq(gate_launched(), 1);
	close_session();
}
END_TEST

/* ---- invalid pages ---- */

static int refused(int gate, int report, int bell)
{
	char reason[160] = "";
	const int r = gpu_gate_take(w, gate, report, bell, reason, sizeof(reason));

	ck_assert_int_ne(reason[0], 0);
	return r;
}

static int file_of(size_t size, int seals)
{
	const int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(pages_are_checked)
{
	const int small = file_of(64, F_SEAL_SHRINK), large = file_of(1u << 20, F_SEAL_SHRINK);
	const int loose = file_of(4096, 0), none = eventfd(0, EFD_CLOEXEC);
	const int fixed = file_of(4096, F_SEAL_SHRINK | F_SEAL_WRITE);
	const int bad[] = {small, large, loose, none, fixed};

	open_session();
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (bad[i] != fixed) /* the only valid one */
			ck_assert_int_eq(refused(bad[i], side.files[1], side.bell), -1);
		ck_assert_int_eq(refused(side.files[0], bad[i], side.bell), -1);
	}
	ck_assert_int_eq(refused(side.files[0], side.files[1], -1), -1);
	/* The gate that was there still holds. */
	gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(gate_launched(), 0);
	set_open(true);
	ck_assert_uint_eq(gate_launched(), 1);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		close(bad[i]);
	close_session();
}
END_TEST

static bool word_is_clear(struct worker *v, void *word)
{
	return !gate_side_word(word);
}

/* Whatever numbers a page holds, each stream has a command in flight while the gate is open. */
START_TEST(absurd_numbers)
{
	open_session();
	gate_side_put(&side.gate->inflight_ns, _i ? UINT64_MAX : 0);
	gate_side_set(&side.gate->depth, _i ? UINT32_MAX : 0);
	gate_side_set(&side.gate->learn, 77);
	gate_side_set(&side.gate->contended, 1);
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(2), 1);
	gate_launch(w, GATE_STREAM(3), 1);
	ck_assert_uint_eq(gate_launched(), 3);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, not_parked, NULL));
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_clear, &side.report->wants));
	ck_assert_uint_eq(gate_launched(), 3);
	close_session();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker gate pages");
	TCase *t = tcase_create("pages");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, a_new_pvgpud);
	tcase_add_loop_test(t, parked_when_pvgpud_goes, 0, 2);
	tcase_add_test(t, pages_are_checked);
	tcase_add_loop_test(t, absurd_numbers, 0, 2);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
