/* SPDX-License-Identifier: MIT */
/*
 * Work that does not drain: what others get meanwhile, and the moments in which the gate of its
 * vGPU lets pass what that work may wait for.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/daemon/schedule_clock.h"

#define VGPUS 3u

static struct tenant *t[VGPUS];
static struct fake f[VGPUS];
static unsigned int turns[VGPUS], moments;
static uint64_t moment_at[32];
static bool was_open[VGPUS], endless, exclusive_pool;

/* The first one's work does not end; the others always have work, which ends at once. */
static bool work(void)
{
	bool any = false;

	ck_assert(!(is_open(&f[1]) && is_open(&f[2])));
	for (unsigned int i = 0; i < VGPUS; i++) {
		const bool opens = is_open(&f[i]) && !was_open[i];

		was_open[i] = is_open(&f[i]);
		turns[i] += opens;
		if (i && opens) {
			f[i].says->drained = f[i].says->sleeps = 0;
			f[i].says->inflight_ns = MS / 10;
		} else if (i && !is_open(&f[i]) && !f[i].says->drained) {
			f[i].says->inflight_ns = 0;
			want(&f[i]);
			any = true;
		}
	}
	if (endless && is_open(&f[0])) {
		ck_assert_uint_eq(f[0].word->inflight_ns, 0);
		ck_assert_uint_eq(f[0].word->contended, 1);
		ck_assert(!exclusive_pool || !(is_open(&f[1]) || is_open(&f[2])));
	}
	if (endless && turns[0]) {
		ck_assert_uint_lt(moments, 32);
		moment_at[moments++] = clock_ns;
		turns[0] = 0;
	}
	return any;
}

/* The gate of the first has closed, and its work goes on. */
static void setup_endless(bool exclusive)
{
	start_clock();
	start(SCHED_FAIR, exclusive);
	exclusive_pool = exclusive;
	endless = false;
	moments = 0;
	for (unsigned int i = 0; i < VGPUS; i++) {
		const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};

		t[i] = tenant_new(s, NULL, &p, NULL);
		f[i] = join(t[i], false);
		was_open[i] = false;
		turns[i] = 0;
	}
	want(&f[0]);
	bells();
	ck_assert(is_open(&f[0]));
	f[0].says->drained = f[0].says->sleeps = 0;
	f[0].says->inflight_ns = f[0].says->drain_ns = MS / 10;
	f[0].says->oldest_ns = clock_ns;
	f[0].says->commands = 1;
	want(&f[1]);
	want(&f[2]);
	bells();
	for (unsigned int i = 0; is_open(&f[0]); i++) {
		ck_assert_uint_lt(i, 100);
		pass(MS, work);
	}
	ck_assert_uint_ne(gate_closing_since(f[0].g), 0);
	turns[0] = turns[1] = turns[2] = 0;
	endless = true;
}

static void teardown(void)
{
	for (unsigned int i = 0; i < VGPUS; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}

/* Nothing of it is parked: there is nothing to help with. Others take turns in a shared pool, and
 * each pays for its part of the GPU's time; in an exclusive one they wait. */
START_TEST(others_take_turns_beside)
{
	struct tenant_stats n;
	bool exclusive = _i;

	setup_endless(exclusive);
	pass(2000 * MS, work);
	ck_assert_uint_eq(moments, 0);
	tenant_stats(t[0], &n);
	if (exclusive) {
		ck_assert_uint_eq(turns[1] + turns[2], 0);
		ck_assert_uint_ge(n.gpu_ns, 1990 * MS);
	} else {
		ck_assert_uint_ge(turns[1], 500);
		ck_assert_uint_ge(turns[2], 500);
		ck_assert_uint_ge(n.gpu_ns, 990 * MS);
		ck_assert_uint_le(n.gpu_ns, 1010 * MS);
		ck_assert_uint_eq(f[1].word->learn, 0);
	}
	teardown();
}
END_TEST

/* Its work may wait for what is parked, or for the gate, behind a host function that has returned
 * meanwhile. The moments become rare: a kernel that is issued in one of them and lasts for ten
 * seconds, the default limit, has the next one to follow it at most. */
START_TEST(is_helped)
{
	const bool exclusive = _i % 2, parked = _i / 2;

	setup_endless(exclusive);
	f[0].says->parked = parked;
	f[0].says->sleeps = 1;
	pass(60000 * MS, work);
	ck_assert_uint_ge(moments, 7);
	ck_assert_uint_le(moments, 10);
	for (unsigned int i = 1; i + 1 < moments; i++)
		ck_assert_uint_ge(moment_at[i + 1] - moment_at[i],
				  2 * (moment_at[i] - moment_at[i - 1]) - 20 * MS);
	/* The watchdog's clock of the drain goes on meanwhile. */
	ck_assert_uint_le(gate_closing_since(f[0].g), clock_ns - 59000 * MS);
	ck_assert(exclusive || turns[1] > 500);
	teardown();
}
END_TEST

/* Where the GPU stands still for nothing but a host function that has returned, help comes at once,
 * and only once. */
START_TEST(a_returned_function_goes_on)
{
	const bool exclusive = _i;

	setup_endless(exclusive);
	pass(50 * MS, work);
	ck_assert_uint_eq(moments, 0);
	f[0].says->sleeps = 1;
	ring(&f[0]);
	bells();
	pass(20 * MS, work);
	ck_assert_uint_eq(moments, exclusive);
	pass(130 * MS, work);
	ck_assert_uint_eq(moments, exclusive);
	teardown();
}
END_TEST

/* The work that it waited for has passed: it drains, and all is as before. */
START_TEST(help_ends_the_drain)
{
	unsigned int before;

	setup_endless(_i);
	f[0].says->parked = 1;
	for (unsigned int i = 0; !moments; i++) {
		ck_assert_uint_lt(i, 1000);
		pass(MS, work);
	}
	ck_assert(is_open(&f[0]));
	f[0].says->parked = 0;
	f[0].says->inflight_ns = f[0].says->drain_ns = f[0].says->oldest_ns = 0;
	f[0].says->wants = 0;
	f[0].says->drained = 1;
	ring(&f[0]);
	bells();
	pass(30 * MS, work);
	ck_assert(!is_open(&f[0]));
	ck_assert_uint_eq(gate_closing_since(f[0].g), 0);
	before = turns[1];
	pass(100 * MS, work);
	ck_assert_uint_ge(turns[1], before + 20);
	ck_assert_uint_eq(moments, 1);
	teardown();
}
END_TEST

/* A new session of a vGPU whose work does not end has its turn with the others, and a gate that was
 * held closed stays so in a moment of help. */
START_TEST(held_gates_stay_closed)
{
	struct fake more;

	setup_endless(false);
	f[0].says->parked = 1;
	more = join(t[0], false);
	ck_assert(!is_open(&more));
	gate_keep_closed(f[0].g, true);
	pass(1000 * MS, work);
	ck_assert(!is_open(&f[0]));
	leave(&more);
	teardown();
}
END_TEST

/* Two that have the GPU at once make way for the turn of one that fills its queue. Its kernels run
 * when none of theirs are on the GPU any more, or their times would be those of others' work. */
START_TEST(turns_wait_for_all_that_had_it_at_once)
{
	start_clock();
	start(SCHED_FAIR, false);
	for (unsigned int i = 0; i < VGPUS; i++) {
		const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};

		t[i] = tenant_new(s, NULL, &p, NULL);
		f[i] = join(t[i], false);
		f[i].says->busy_ns = 100 * MS;
		f[i].says->counts_full = 1;
		want(&f[i]);
	}
	for (unsigned int i = 0; !(is_open(&f[0]) && is_open(&f[1]) && is_open(&f[2])); i++) {
		ck_assert_uint_lt(i, 1000);
		bells();
		fire();
	}
	for (unsigned int i = 0; i < VGPUS; i++) {
		f[i].says->drained = f[i].says->sleeps = 0;
		f[i].says->inflight_ns = f[i].says->drain_ns = 2 * MS;
		f[i].says->oldest_ns = clock_ns;
	}
	/* The first one is not brief any more, then it is its turn. */
	f[0].says->full++;
	for (unsigned int i = 0; is_open(&f[0]); i++) {
		ck_assert_uint_lt(i, 1000);
		fire();
	}
	f[0].says->inflight_ns = f[0].says->drain_ns = f[0].says->oldest_ns = 0;
	want(&f[0]);
	bells();
	for (unsigned int i = 0; is_open(&f[1]) || is_open(&f[2]); i++) {
		ck_assert_uint_lt(i, 1000);
		for (unsigned int k = 1; k < VGPUS; k++)
			f[k].says->busy_ns += MS;
		fire();
	}
	want(&f[2]);
	bells();
	ck_assert(!is_open(&f[0]));
	want(&f[1]);
	bells();
	ck_assert(is_open(&f[0]));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_help");
	TCase *tc = tcase_create("schedule_help");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, others_take_turns_beside, 0, 2);
	tcase_add_loop_test(tc, is_helped, 0, 4);
	tcase_add_loop_test(tc, a_returned_function_goes_on, 0, 2);
	tcase_add_loop_test(tc, help_ends_the_drain, 0, 2);
	tcase_add_test(tc, held_gates_stay_closed);
	tcase_add_test(tc, turns_wait_for_all_that_had_it_at_once);
	suite_add_tcase(suite, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
