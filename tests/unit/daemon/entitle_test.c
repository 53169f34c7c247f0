/* SPDX-License-Identifier: MIT */
/* daemon/dispatch/entitle.c: how long a worker may have used the GPU, whatever it says. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/dispatch/entitle.h"

#define MS 1000000ull

static struct entitle e;

static void gate(uint64_t now, bool open, uint64_t commands, bool drained)
{
	const struct pvgpu_gate_report r = {.commands = commands, .drained = drained};

	entitle_gate(&e, open, &r, now);
}

START_TEST(open_counts)
{
	entitle_init(&e, false, 100);
	ck_assert_uint_eq(entitle_ns(&e, 200), 0);
	gate(200, true, 0, true);
	ck_assert_uint_eq(entitle_ns(&e, 300), 100);
	gate(300, true, 7, false);
	gate(400, false, 9, true);
	ck_assert_uint_eq(entitle_ns(&e, 1000), 200);
	/* A clock that other callers read a little earlier. */
	gate(390, false, 9, true);
	ck_assert_uint_eq(entitle_ns(&e, 395), 200);
}
END_TEST

START_TEST(drain_counts_until_drained)
{
	entitle_init(&e, false, 0);
	gate(0, true, 0, true);
	gate(100, false, 3, false);
	ck_assert_uint_eq(entitle_ns(&e, 150), 150);
	gate(160, false, 3, false);
	gate(180, false, 3, true);
	ck_assert_uint_eq(entitle_ns(&e, 500), 180);
	/* The same report again: no command was issued in between, so there is nothing to drain. */
	gate(500, true, 3, true);
	gate(600, false, 3, false);
	gate(900, true, 3, false);
	ck_assert_uint_eq(entitle_ns(&e, 900), 280);
}
END_TEST

START_TEST(drain_counts_until_open_again)
{
	entitle_init(&e, false, 0);
	gate(0, true, 0, true);
	gate(100, false, 3, false);
	gate(200, true, 3, false);
	gate(300, true, 5, false);
	ck_assert_uint_eq(entitle_ns(&e, 400), 400);
}
END_TEST

START_TEST(who_issues_while_closed_has_no_excuse)
{
	entitle_init(&e, false, 0);
	gate(0, true, 0, true);
	gate(100, false, 3, false);
	ck_assert_uint_eq(entitle_ns(&e, 200), 200);
	gate(200, false, 6, false);
	ck_assert_uint_eq(entitle_ns(&e, 300), 100);
	gate(300, false, 6, true);
	gate(400, true, 7, false);
	ck_assert_uint_eq(entitle_ns(&e, 500), 200);
	/* Each closing is judged by itself. */
	gate(500, false, 8, false);
	gate(600, false, 8, true);
	ck_assert_uint_eq(entitle_ns(&e, 700), 300);
}
END_TEST

START_TEST(found_out_at_the_opening)
{
	entitle_init(&e, false, 0);
	gate(0, true, 0, true);
	gate(100, false, 3, false);
	gate(300, true, 6, false);
	ck_assert_uint_eq(entitle_ns(&e, 300), 100);
}
END_TEST

/* A thread was preempted after it had seen an open gate. That excuse holds only now and then. */
START_TEST(slips_now_and_then)
{
	uint64_t commands = 0, t = 0, want = 0;

	entitle_init(&e, false, 0);
	for (int i = 0; i < 8; i++, t += 1000) {
		gate(t, true, commands, true);
		commands += 2;
		gate(t + 100, false, commands, false);
		gate(t + 200, false, commands + 1, false);
		gate(t + 300, false, commands + 2, false);
		gate(t + 400, false, commands + 2, true);
		commands += 2;
		want += i < 4 ? 400 : 100;
		ck_assert_uint_eq(entitle_ns(&e, t + 900), want);
	}
	/* The first command of all, issued when no work seemed to be in flight. */
	t += 1000000000;
	gate(t, true, commands, true);
	gate(t + 100, false, commands, false);
	ck_assert_uint_eq(entitle_ns(&e, t + 200), want + 100);
	gate(t + 200, false, ++commands, false);
	gate(t + 300, false, commands, true);
	want += 300;
	ck_assert_uint_eq(entitle_ns(&e, t + 400), want);
	/* A second later there are more. */
	t += 1000000000;
	gate(t, true, commands, true);
	gate(t + 100, false, commands + 1, false);
	gate(t + 200, false, commands + 2, false);
	gate(t + 300, false, commands + 4, false);
	gate(t + 300, false, commands + 4, true);
	/* Three commands do not pass. */
	ck_assert_uint_eq(entitle_ns(&e, t + 400), want + 100);
	t += 1000;
	gate(t, true, commands + 4, true);
	gate(t + 100, false, commands + 5, false);
	gate(t + 200, false, commands + 6, true);
	ck_assert_uint_eq(entitle_ns(&e, t + 400), want + 300);
}
END_TEST

START_TEST(who_says_nothing_has_nothing_to_drain)
{
	entitle_init(&e, false, 0);
	for (uint64_t t = 0; t < 1000; t += 200) {
		gate(t, true, 0, false);
		gate(t + 100, false, 0, false);
	}
	gate(1000, true, 0, false);
	ck_assert_uint_eq(entitle_ns(&e, 1000), 500);
	gate(1000, false, 0, false);
	ck_assert_uint_eq(entitle_ns(&e, 1000000000000), 500);
}
END_TEST

/* An honest worker is stopped for long before it announces a command, and then sees that the gate
 * has been closed: what it was once entitled to is not taken back. */
START_TEST(stopped_before_it_announces)
{
	uint64_t before = 0;

	entitle_init(&e, false, 0);
	gate(0, true, 7, true);
	gate(10 * MS, false, 7, false);
	for (uint64_t t = 10; t < 2000; t += 100) {
		gate(t * MS, false, 7, false);
		ck_assert_uint_ge(entitle_ns(&e, t * MS), before);
		before = entitle_ns(&e, t * MS);
	}
	gate(2000 * MS, false, 7, true);
	ck_assert_uint_ge(entitle_ns(&e, 2000 * MS), before);
	/* One that has announced it has all of the time to drain. */
	gate(2100 * MS, true, 7, true);
	gate(2110 * MS, false, 7, false);
	gate(2300 * MS, false, 8, false);
	ck_assert_uint_eq(entitle_ns(&e, 2300 * MS), 10 * MS + 200 * MS);
}
END_TEST

static void says(uint64_t now, bool open, uint64_t commands, uint64_t oldest)
{
	const struct pvgpu_gate_report r = {.wants = 1, .commands = commands, .oldest_ns = oldest};

	entitle_gate(&e, open, &r, now);
}

/* The worker does not report that it has drained, although by its own report no work is unfinished.
 */
START_TEST(who_has_nothing_unfinished_has_nothing_to_drain)
{
	const uint64_t open = 1000 * MS, blank = 200 * MS;
	uint64_t t = open;

	entitle_init(&e, false, 0);
	says(0, true, 7, 0);
	says(t, false, 7, 0);
	ck_assert_uint_eq(entitle_ns(&e, t + 100 * MS), open + 100 * MS);
	/* However often the gate opens for a moment: only those moments are added to the allowance.
	 */
	for (int i = 0; i < 20; i++) {
		says(t += 240 * MS, false, 7, 0);
		says(t += 260 * MS, true, 7, 0);
		says(t += 10 * MS, false, 7, 0);
		/* Other numbers that make no sense. */
		says(t, false, i % 7, 0);
		says(t, false, 7, 0);
	}
	ck_assert_uint_eq(entitle_ns(&e, t + 3000 * MS), open + 20 * 10 * MS + blank);
	/* Now the worker reports unfinished work: that case is the watchdog's. */
	says(t + 3000 * MS, false, 7, t);
	says(t + 4000 * MS, false, 7, t);
	ck_assert_uint_ge(entitle_ns(&e, t + 4000 * MS), open + 200 * MS + 4000 * MS);
}
END_TEST

/* An honest worker can be seen so once, between two words of its report; it may have long work. */
START_TEST(a_look_between_two_words)
{
	entitle_init(&e, false, 0);
	says(0, true, 7, 0);
	says(100 * MS, false, 7, 0);
	ck_assert_uint_eq(entitle_ns(&e, 900 * MS), 300 * MS);
	says(900 * MS, false, 7, 99 * MS);
	ck_assert_uint_eq(entitle_ns(&e, 9000 * MS), 9000 * MS);
	says(9000 * MS, false, 7, 0);
	gate(9001 * MS, false, 7, true);
	ck_assert_uint_eq(entitle_ns(&e, 20000 * MS), 9001 * MS);
}
END_TEST

/* Reports between two looks of pvgpud are unknown. */
START_TEST(long_between_two_looks)
{
	entitle_init(&e, false, 0);
	says(0, true, 7, 0);
	says(100 * MS, false, 8, 0);
	gate(900 * MS, false, 8, true);
	ck_assert_uint_eq(entitle_ns(&e, 2000 * MS), 900 * MS);
}
END_TEST

START_TEST(adopted_may_be_busy)
{
	entitle_init(&e, true, 0);
	gate(50, false, 1000, false);
	ck_assert_uint_eq(entitle_ns(&e, 100), 100);
	gate(100, false, 1001, true);
	ck_assert_uint_eq(entitle_ns(&e, 300), 100);
	gate(300, true, 1001, true);
	gate(400, false, 1100, false);
	ck_assert_uint_eq(entitle_ns(&e, 450), 250);
}
END_TEST

/* A worker whose new page has not been read yet has reported nothing.
 */
START_TEST(adopted_and_not_heard_of)
{
	entitle_init(&e, true, 0);
	gate(100 * MS, true, 0, false);
	gate(200 * MS, false, 0, false);
	gate(700 * MS, false, 0, false);
	ck_assert_uint_eq(entitle_ns(&e, 700 * MS), 700 * MS);
	/* The counter since the session began: none of it was issued while the gate was closed. */
	says(800 * MS, false, 500, 600 * MS);
	says(1500 * MS, false, 500, 600 * MS);
	gate(1600 * MS, false, 500, true);
	ck_assert_uint_eq(entitle_ns(&e, 5000 * MS), 1600 * MS);
	gate(5000 * MS, true, 500, true);
	says(5100 * MS, false, 501, 5050 * MS);
	says(5200 * MS, false, 504, 5050 * MS);
	ck_assert_uint_eq(entitle_ns(&e, 5300 * MS), 1700 * MS);
}
END_TEST

START_TEST(adopted_and_never_heard_of)
{
	entitle_init(&e, true, 0);
	for (uint64_t t = 0; t < 80; t++) {
		gate(t * 500 * MS + 200 * MS, true, 0, false);
		gate(t * 500 * MS + 300 * MS, false, 0, false);
	}
	gate(40000 * MS, false, 0, false);
	/* 30 s, then the time for which the gate is open, then at the end 0.1 s more. */
	ck_assert_uint_le(entitle_ns(&e, 40000 * MS), 30200 * MS + 20 * 100 * MS + 100 * MS);
	ck_assert_uint_ge(entitle_ns(&e, 40000 * MS), 30000 * MS + 20 * 100 * MS);
}
END_TEST

/* One that is starved of CPU after its adoption works on as if there were no pvgpud. */
START_TEST(adopted_and_starved)
{
	entitle_init(&e, true, 0);
	for (uint64_t t = 0; t <= 25000; t += 100)
		gate(t * MS, false, 0, false);
	ck_assert_uint_eq(entitle_ns(&e, 25000 * MS), 25000 * MS);
	says(25000 * MS, false, 500, 24990 * MS);
	gate(25100 * MS, false, 500, true);
	ck_assert_uint_eq(entitle_ns(&e, 26000 * MS), 25100 * MS);
	says(26000 * MS, true, 501, 26000 * MS);
	says(26100 * MS, false, 502, 26000 * MS);
	ck_assert_uint_eq(entitle_ns(&e, 26200 * MS), 25300 * MS);
}
END_TEST

/* pvgpud is starved between its reads of `commands` and of `drained`, and the worker withdraws an
 * announcement there: the command of that number comes with the next opening. */
START_TEST(announced_withdrawn_and_drained)
{
	entitle_init(&e, false, 0);
	gate(0, true, 0, true);
	gate(10 * MS, false, 3, false);
	gate(20 * MS, false, 4, true);
	ck_assert_uint_eq(entitle_ns(&e, 30 * MS), 20 * MS);
	gate(30 * MS, true, 3, true);
	says(31 * MS, false, 4, 30 * MS);
	ck_assert_uint_eq(entitle_ns(&e, 300 * MS), 290 * MS);
	gate(331 * MS, false, 4, true);
	ck_assert_uint_eq(entitle_ns(&e, 400 * MS), 321 * MS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("entitle");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, open_counts);
	tcase_add_test(tc, drain_counts_until_drained);
	tcase_add_test(tc, drain_counts_until_open_again);
	tcase_add_test(tc, who_issues_while_closed_has_no_excuse);
	tcase_add_test(tc, found_out_at_the_opening);
	tcase_add_test(tc, slips_now_and_then);
	tcase_add_test(tc, who_says_nothing_has_nothing_to_drain);
	tcase_add_test(tc, stopped_before_it_announces);
	tcase_add_test(tc, who_has_nothing_unfinished_has_nothing_to_drain);
	tcase_add_test(tc, a_look_between_two_words);
	tcase_add_test(tc, long_between_two_looks);
	tcase_add_test(tc, adopted_may_be_busy);
	tcase_add_test(tc, adopted_and_not_heard_of);
	tcase_add_test(tc, adopted_and_never_heard_of);
	tcase_add_test(tc, adopted_and_starved);
	tcase_add_test(tc, announced_withdrawn_and_drained);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
