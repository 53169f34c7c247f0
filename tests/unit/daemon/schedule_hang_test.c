/* SPDX-License-Identifier: MIT */
/*
 * The driver of the scheduling library, with a worker whose work does not end: what the others get
 * meanwhile. Assertions about time hold however slow the machine is.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/daemon/schedule_fake.h"

static void stay_closed(uint64_t ns, const struct fake *f, unsigned int n)
{
	uint64_t until = schedule_now() + ns;

	while (schedule_now() < until) {
		turn();
		for (unsigned int i = 0; i < n; i++)
			ck_assert(!is_open(&f[i]));
	}
}

static void one_at_a_time(struct fake *a, struct fake *b)
{
	for (unsigned int i = 0; i < 300; i++) {
		turn();
		ck_assert(!(is_open(a) && is_open(b)));
		saturate(a);
		saturate(b);
	}
}

/* The holder never says that its work is done: others wait for that in exclusive pools only. */
START_TEST(one_that_does_not_drain)
{
	struct tenant *a, *b;
	struct fake fa, fb;
	bool exclusive = _i;

	start(SCHED_FAIR, exclusive);
	a = tenant(100);
	b = tenant(100);
	fa = join(a, false);
	fb = join(b, false);
	want(&fa);
	UNTIL(is_open(&fa));
	fa.says->drained = fa.says->sleeps = 0;
	fa.says->inflight_ns = UINT64_MAX;
	want(&fb);
	UNTIL(!is_open(&fa));
	ck_assert_uint_ne(gate_closing_since(fa.g), 0);
	if (exclusive) {
		stay_closed(100 * MS, &fb, 1);
		fa.says->drained = 1;
		ring(&fa);
	}
	UNTIL(is_open(&fb));
	ck_assert_uint_eq(fb.word->contended, 1);
	ck_assert_uint_le(fb.word->inflight_ns, 30 * MS);
	/* Times that a worker measures now would include the other's work. */
	ck_assert_uint_eq(fb.word->learn, exclusive);
	fa.says->drained = 1;
	ck_assert_uint_eq(gate_closing_since(fa.g), 0);
	leave(&fa);
	leave(&fb);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

/* While another vGPU hangs, the gate opens at once for a new session, and for one that is no longer
 * held closed. */
static void one_more(struct tenant *t, struct fake *held)
{
	struct fake more = join(t, false);

	ck_assert(is_open(&more));
	ck_assert_uint_eq(more.word->contended, 1);
	want(&more);
	UNTIL(more.g->last.wants);
	gate_keep_closed(held->g, true);
	ck_assert(!is_open(held));
	gate_keep_closed(held->g, false);
	ck_assert(is_open(held));
	leave(&more);
}

/* The endless one keeps the GPU busy: others have their gates open together, until it is over. */
START_TEST(one_that_hangs)
{
	struct tenant *t[4];
	struct fake f[4];
	struct tenant_stats n;
	bool exclusive = _i;

	start(SCHED_FAIR, exclusive);
	for (unsigned int i = 0; i < 4; i++) {
		t[i] = tenant(100);
		f[i] = join(t[i], false);
	}
	want(&f[0]);
	UNTIL(is_open(&f[0]));
	f[0].says->drained = f[0].says->sleeps = 0;
	f[0].says->inflight_ns = MS / 10;
	want(&f[1]);
	want(&f[2]);
	if (exclusive) {
		stay_closed(500 * MS, &f[1], 2);
		goto out;
	}
	UNTIL(is_open(&f[1]) && is_open(&f[2]));
	ck_assert(!is_open(&f[0]));
	ck_assert(!is_open(&f[3]));
	ck_assert_uint_eq(f[2].word->contended, 1);
	ck_assert_uint_eq(f[2].word->learn, 0);
	/* A vGPU that begins to have work has the GPU at once; one without work is no longer
	 * charged. */
	want(&f[3]);
	UNTIL(is_open(&f[3]));
	f[3].says->wants = f[3].says->sleeps = 0;
	ring(&f[3]);
	UNTIL(!is_open(&f[3]));
	f[1].says->drained = f[2].says->drained = 0;
	one_more(t[1], &f[1]);
	/* Now and then its own gate is open, too: other work of it goes on. */
	UNTIL(is_open(&f[0]));
	UNTIL(!is_open(&f[0]));
	ck_assert(is_open(&f[1]) && is_open(&f[2]));
	/* The hang is over: one vGPU at a time again. */
	f[0].says->wants = f[0].says->sleeps = 0;
	f[0].says->drained = 1;
	ring(&f[0]);
	UNTIL(!is_open(&f[0]) && is_open(&f[1]) != is_open(&f[2]));
	one_at_a_time(&f[1], &f[2]);
	tenant_stats(t[1], &n);
	ck_assert_uint_gt(n.gpu_ns, 0);
out:
	for (unsigned int i = 0; i < 4; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}
END_TEST

/* No vGPU can make the others share in that way for ever. */
START_TEST(hanging_has_an_allowance)
{
	struct tenant *t[3];
	struct fake f[3];

	start(SCHED_FAIR, false);
	for (unsigned int i = 0; i < 3; i++) {
		t[i] = tenant(100);
		f[i] = join(t[i], false);
	}
	t[0]->hang_used = UINT64_MAX / 2;
	want(&f[0]);
	UNTIL(is_open(&f[0]));
	f[0].says->drained = f[0].says->sleeps = 0;
	want(&f[1]);
	want(&f[2]);
	UNTIL(t[0]->hangs);
	one_at_a_time(&f[1], &f[2]);
	for (unsigned int i = 0; i < 3; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_hang");
	TCase *t = tcase_create("schedule_hang");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, one_that_does_not_drain, 0, 2);
	tcase_add_loop_test(t, one_that_hangs, 0, 2);
	tcase_add_test(t, hanging_has_an_allowance);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
