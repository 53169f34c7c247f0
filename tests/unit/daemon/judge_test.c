/* SPDX-License-Identifier: MIT */
/* daemon/rules/judge.c: a worker that cheats is found, an honest one never is. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/rules/judge.h"

#define MS  1000000ull
#define GIB (1ull << 30)

static struct judge j;
static char why[200];

static void set_up(void)
{
	j = (struct judge){0};
	why[0] = '\0';
}

/*
 * A world with time in ms: the gate is open for `open` of each `cycle`, the worker uses the GPU for
 * honest% of the open time and cheat% of the rest. Numbers come each `period` and are `lag` late.
 * Returns the time in ms at which the worker is found, 0: never.
 */
struct world {
	unsigned int open, cycle, period, lag;
	unsigned int honest, cheat;
};

static uint64_t open_until(const struct world *w, uint64_t t)
{
	uint64_t rest = t % w->cycle;

	return t / w->cycle * w->open + (rest < w->open ? rest : w->open);
}

static uint64_t used_until(const struct world *w, uint64_t t)
{
	uint64_t open = open_until(w, t);

	return (open * w->honest + (t - open) * w->cheat) * (MS / 100);
}

/* Whole percents; the remainders are carried into later samples, as the simulated GPU does. */
static uint64_t find(const struct world *w, uint64_t limit)
{
	uint64_t last = 0, said = 0;

	for (uint64_t t = 0; t < limit; t += w->period) {
		uint64_t end = t > w->lag ? t - w->lag : 0, span = (end - last) * MS, percent;

		if (end == last)
			continue;
		percent = (used_until(w, end) - said) * 100 / span;
		if (percent > 100)
			percent = 100;
		said += percent * span / 100;
		if (judge_use(&j, last * MS, end * MS, percent * span / 100, open_until(w, t) * MS,
			      t * MS, why, sizeof(why)))
			return t;
		last = end;
	}
	return 0;
}

START_TEST(honest_is_never_found)
{
	static const struct world worlds[] = {
		{2, 4, 100, 0, 100, 0},        {1, 64, 100, 7, 100, 0},
		{500, 1000, 100, 0, 100, 0},   {500, 1000, 100, 90, 100, 0},
		{700, 3000, 100, 350, 100, 0}, {1000, 9000, 1000, 1000, 100, 0},
		{30, 900, 100, 250, 100, 0},   {400, 401, 50, 3, 100, 0},
		{0, 100, 100, 50, 0, 0},       {3, 7, 130, 40, 100, 4},
	};

	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		set_up();
		ck_assert_msg(find(&worlds[i], 600000) == 0, "world %zu: %s", i, why);
	}
}
END_TEST

/* As NVIDIA's NVML says it of two workers that take turns: whole periods, of both. */
START_TEST(coarse_use_proves_little)
{
	uint64_t t = 10000, entitled = 0;

	for (int i = 0; i < 1000; i++, t += 200) {
		entitled += 66;
		ck_assert_uint_eq(
			judge_credible(&j, t * MS, 199 * MS, entitled * MS, (t + 200) * MS), 0);
	}
	/* Its gate stays closed. Samples may be of a while ago. */
	for (int i = 0; i < 15; i++, t += 200)
		ck_assert_uint_eq(
			judge_credible(&j, t * MS, 199 * MS, entitled * MS, (t + 200) * MS), 0);
	t += 400;
	ck_assert_uint_eq(judge_credible(&j, t * MS, 199 * MS, entitled * MS, (t + 200) * MS),
			  199 * MS);
	ck_assert_uint_eq(judge_credible(&j, t * MS, 199 * MS, (entitled + 1) * MS, (t + 200) * MS),
			  0);
}
END_TEST

START_TEST(cheating_is_found_in_time)
{
	static const struct {
		struct world w;
		uint64_t limit;
	} cases[] = {
		{{0, 100, 100, 0, 0, 100}, 400},   /* always closed, uses it all */
		{{2, 4, 100, 0, 100, 50}, 700},    /* has a half, takes half of its neighbour's */
		{{1, 8, 100, 20, 100, 50}, 600},   /* with seven */
		{{2, 4, 100, 100, 100, 50}, 1100}, /* numbers come 0.1 s late */
		{{0, 100, 100, 10, 0, 20}, 1000},  /* a fifth of it */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t t;

		set_up();
		t = find(&cases[i].w, 60000);
		ck_assert_msg(t && t <= cases[i].limit, "case %zu: %" PRIu64, i, t);
		ck_assert_ptr_nonnull(strstr(why, "used the GPU for"));
	}
}
END_TEST

/* A long honest time earns no more credit than its last 0.2 s and the numbers' periods. */
START_TEST(no_credit)
{
	const struct world good = {90, 100, 100, 0, 10, 0};
	uint64_t used = 100 * MS;
	uint64_t t = 60000;

	ck_assert_uint_eq(find(&good, t), 0);
	for (int i = 0; i < 5; i++, t += 100)
		if (judge_use(&j, (t - 100) * MS, t * MS, used, open_until(&good, 60000) * MS,
			      t * MS, why, sizeof(why)))
			break;
	ck_assert_uint_lt(t, 60500);
}
END_TEST

/* Of a period in milliseconds, with numbers that come at once. */
static bool period(uint64_t *t, uint64_t ms, uint64_t busy, uint64_t *entitled, uint64_t open)
{
	const uint64_t begin = *t;

	*t += ms;
	*entitled += open;
	return judge_use(&j, begin * MS, *t * MS, busy * MS, *entitled * MS, *t * MS, why,
			 sizeof(why));
}

/* On a busy machine use is reported a period late, however often that happens. */
START_TEST(use_of_the_period_before)
{
	uint64_t t = 0, entitled = 0;

	ck_assert(!period(&t, 100, 0, &entitled, 0));
	for (int i = 0; i < 100; i++) {
		ck_assert_msg(!period(&t, 100, 0, &entitled, 97), "round %d: %s", i, why);
		ck_assert_msg(!period(&t, 105, 95, &entitled, 0), "round %d: %s", i, why);
	}
}
END_TEST

/* Or two periods late, where a record waits longer than a period lasts. */
START_TEST(use_of_two_periods_before)
{
	uint64_t t = 0, entitled = 0;

	ck_assert(!period(&t, 100, 0, &entitled, 0));
	for (int i = 0; i < 100; i++) {
		ck_assert_msg(!period(&t, 100, 0, &entitled, 80), "round %d: %s", i, why);
		ck_assert_msg(!period(&t, 100, 0, &entitled, 0), "round %d: %s", i, why);
		ck_assert_msg(!period(&t, 101, 101, &entitled, 21), "round %d: %s", i, why);
	}
}
END_TEST

/* A kernel from `begin` to `end` whose use the account shows `late` ms afterwards. */
static uint64_t shown_until(uint64_t begin, uint64_t end, uint64_t late, uint64_t t)
{
	if (t <= begin + late)
		return 0;
	return t < end + late ? t - begin - late : end - begin;
}

/*
 * A session's first kernel ran while its gate was open, and the account shows it late: whatever it
 * had been entitled to before its first numbers came, it had been entitled to.
 */
START_TEST(late_at_the_beginning)
{
	for (uint64_t begin = 0; begin < 250; begin += 10) {
		for (uint64_t late = 0; late <= 190; late += 10) {
			const uint64_t end = begin + 100;

			set_up();
			for (uint64_t t = 100; t < 1000; t += 100) {
				const uint64_t busy = shown_until(begin, end, late, t) -
						      shown_until(begin, end, late, t - 100);

				ck_assert_msg(!judge_use(&j, (t - 100) * MS, t * MS, busy * MS,
							 shown_until(begin, end, 0, t + 3) * MS,
							 (t + 3) * MS, why, sizeof(why)),
					      "from %" PRIu64 ", %" PRIu64 " late, at %" PRIu64
					      ": %s",
					      begin, late, t, why);
			}
		}
	}
}
END_TEST

/* In ms: a worker uses its turns, which come at random, and each turn's use shows late by its own
 * time; numbers come late as well. */
#define TURNS 64u

static uint64_t shown_of(uint64_t turns[TURNS][3], uint64_t t)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < TURNS; i++)
		sum += shown_until(turns[i][0], turns[i][1], turns[i][2], t);
	return sum;
}

static uint64_t entitled_of(uint64_t turns[TURNS][3], uint64_t t)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < TURNS; i++)
		sum += shown_until(turns[i][0], turns[i][1], 0, t);
	return sum;
}

START_TEST(late_at_random)
{
	uint64_t turns[TURNS][3];

	srand(1);
	for (unsigned int round = 0; round < 500; round++) {
		uint64_t t = 0, now = 0;

		set_up();
		for (unsigned int i = 0; i < TURNS; i++) {
			turns[i][0] = t + (uint64_t)rand() % 200;
			turns[i][1] = t = turns[i][0] + 1 + (uint64_t)rand() % 200;
			turns[i][2] = (uint64_t)rand() % 2 ? 0 : (uint64_t)rand() % 200;
		}
		for (uint64_t end = 100; end < t; end += 100) {
			const uint64_t busy = shown_of(turns, end) - shown_of(turns, end - 100);
			const uint64_t at = end + (uint64_t)rand() % 300;

			now = at > now ? at : now;
			ck_assert_msg(!judge_use(&j, (end - 100) * MS, end * MS, busy * MS,
						 entitled_of(turns, now) * MS, now * MS, why,
						 sizeof(why)),
				      "round %u, at %" PRIu64 ": %s", round, end, why);
		}
	}
}
END_TEST

/* That is no licence: what was left unused counts once, and only in the next two periods. */
START_TEST(credit_of_two_periods)
{
	uint64_t t = 0, entitled = 0;

	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(!period(&t, 100, 0, &entitled, 100));
	ck_assert(!period(&t, 100, 100, &entitled, 0));
	ck_assert(period(&t, 100, 100, &entitled, 0));
	set_up();
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(!period(&t, 100, 0, &entitled, 100));
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(!period(&t, 100, 100, &entitled, 0));
	ck_assert(period(&t, 100, 100, &entitled, 0));
	set_up();
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(!period(&t, 100, 0, &entitled, 100));
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	ck_assert(period(&t, 100, 100, &entitled, 0));
	/* Out of its turn always, and never more than its turns: no more than its share. */
	set_up();
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	for (int i = 0; i < 100; i++) {
		ck_assert(!period(&t, 100, 0, &entitled, 50));
		ck_assert(!period(&t, 100, 50, &entitled, 0));
	}
	for (int i = 0; i < 9; i++) {
		if (period(&t, 100, 0, &entitled, 50) || period(&t, 100, 100, &entitled, 0))
			break;
	}
	ck_assert_str_ne(why, "");
}
END_TEST

/* Nor is a long life before the first numbers, or a pause between them. */
START_TEST(credit_of_the_beginning)
{
	uint64_t t = 60000, entitled = 60000;

	ck_assert(!period(&t, 100, 0, &entitled, 0));
	for (int i = 0; i < 2; i++)
		ck_assert(!period(&t, 100, 100, &entitled, 0));
	ck_assert(period(&t, 100, 100, &entitled, 0));
	set_up();
	ck_assert(!period(&t, 100, 0, &entitled, 0));
	t += 60000;
	ck_assert(!judge_use(&j, t * MS, (t + 100) * MS, 0, (entitled + 60000) * MS,
			     (t + 9000) * MS, why, sizeof(why)));
	t += 9000;
	entitled += 60000;
	for (int i = 0; i < 2; i++)
		ck_assert(!period(&t, 100, 100, &entitled, 0));
	ck_assert(period(&t, 100, 100, &entitled, 0));
}
END_TEST

START_TEST(an_excuse_that_was_none)
{
	ck_assert(!judge_use(&j, 0, 100 * MS, 0, 0, 100 * MS, why, sizeof(why)));
	ck_assert(
		!judge_use(&j, 100 * MS, 400 * MS, 300 * MS, 300 * MS, 400 * MS, why, sizeof(why)));
	/* Time that had counted as draining turns out to be none. */
	ck_assert(judge_use(&j, 400 * MS, 500 * MS, 0, 100 * MS, 500 * MS, why, sizeof(why)));
	ck_assert_str_eq(why, "issued GPU work with its gate closed: used the GPU for 196 ms "
			      "without right");
}
END_TEST

START_TEST(what_was_before)
{
	/* Begun before it was known: nothing is known of that time. */
	ck_assert(!judge_use(&j, 0, 900 * MS, 900 * MS, 0, 1000 * MS, why, sizeof(why)));
	ck_assert(!judge_use(&j, 900 * MS, 1900 * MS, 1000 * MS, 0, 1900 * MS, why, sizeof(why)));
	/* Too late to be of use. */
	ck_assert(!judge_use(&j, 1900 * MS, 2900 * MS, 1000 * MS, 0, 9000 * MS, why, sizeof(why)));
	/* Nonsense. */
	ck_assert(!judge_use(&j, 9500 * MS, 9400 * MS, UINT64_MAX, 0, 9600 * MS, why, sizeof(why)));
}
END_TEST

static bool memory(uint64_t t, uint64_t mem, uint64_t leased)
{
	return judge_memory(&j, t * MS, mem, leased, GIB, (t + 3) * MS, why, sizeof(why));
}

START_TEST(memory_within_lease)
{
	for (uint64_t t = 0; t < 10000; t += 100) {
		/* Allocations and frees, each within a lease. */
		uint64_t now = t / 300 % 2 ? 4 * GIB : 0;

		judge_lease(&j, 4 * GIB, (t + 1) * MS);
		ck_assert(!memory(t, now + GIB, t / 300 % 2 ? 4 * GIB : 0));
	}
}
END_TEST

START_TEST(memory_returned_meanwhile)
{
	ck_assert(!memory(0, 5 * GIB, 4 * GIB));
	for (uint64_t t = 100; t < 5000; t += 100) {
		judge_lease(&j, 4 * GIB, (t + 2) * MS);
		ck_assert(!memory(t, 5 * GIB, 0));
	}
}
END_TEST

START_TEST(memory_beyond_lease)
{
	uint64_t t = 0;

	while (t < 2000 && !memory(t, 2 * GIB + 1, GIB))
		t += 100;
	ck_assert_uint_ge(t, JUDGE_MEMORY_NS / MS);
	ck_assert_uint_le(t, 500);
	ck_assert_str_eq(why, "has 2048 MiB of device memory, of which it leased 1024 MiB "
			      "(1024 MiB more are tolerated)");
}
END_TEST

START_TEST(memory_kept_after_return)
{
	uint64_t t = 0;

	for (; t < 1000; t += 100)
		ck_assert(!memory(t, 3 * GIB, 2 * GIB));
	judge_lease(&j, 2 * GIB, t * MS);
	while (t < 3000 && !memory(t, 3 * GIB, 0))
		t += 100;
	ck_assert_uint_le(t, 1700);
}
END_TEST

/* Beside leases: contexts, or memory that was never asked for. */
START_TEST(memory_beside_leases)
{
	uint64_t n = 7;

	judge_lease(&j, GIB, 1 * MS);
	ck_assert(!judge_beyond(&j, 1 * MS, 3 * GIB, &n));
	ck_assert_uint_eq(n, 7);
	judge_lease(&j, GIB, 150 * MS);
	ck_assert(judge_beyond(&j, 149 * MS, 3 * GIB, &n));
	ck_assert_uint_eq(n, 2 * GIB);
	ck_assert(judge_beyond(&j, 149 * MS, GIB / 2, &n));
	ck_assert_uint_eq(n, 0);
	/* It was leased when it was read. */
	judge_lease(&j, 0, 160 * MS);
	ck_assert(judge_beyond(&j, 149 * MS, GIB, &n));
	ck_assert_uint_eq(n, 0);
	judge_lease(&j, 0, 300 * MS);
	judge_lease(&j, 0, 450 * MS);
	ck_assert(judge_beyond(&j, 440 * MS, GIB, &n));
	ck_assert_uint_eq(n, GIB);
	ck_assert(!judge_beyond(&j, 100 * MS, GIB, &n));
}
END_TEST

START_TEST(memory_of_all_sessions)
{
	uint64_t t = 0;

	for (; t < 1000; t += 100)
		ck_assert(!judge_total(&j, t * MS, 5 * GIB, 4 * GIB, GIB, (t + 3) * MS));
	while (t < 3000 && !judge_total(&j, t * MS, 5 * GIB + 1, 4 * GIB, GIB, (t + 3) * MS))
		t += 100;
	ck_assert_uint_ge(t, 1000 + JUDGE_MEMORY_NS / MS);
	ck_assert_uint_le(t, 1400);
	/* The quota was lowered: what was leased before may stay. */
	t += 1000;
	ck_assert(!judge_total(&j, t * MS, 5 * GIB, 4 * GIB, GIB, (t + 3) * MS));
	/* No number is too large. */
	ck_assert(!judge_total(&j, t * MS, UINT64_MAX, UINT64_MAX, GIB, (t + 3) * MS));
}
END_TEST

START_TEST(memory_unsteady)
{
	/* One reading above the lease proves nothing. */
	for (uint64_t t = 0; t < 10000; t += 100)
		ck_assert(!memory(t, t % 300 ? 3 * GIB : GIB, GIB));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("judge");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, honest_is_never_found);
	tcase_add_test(tc, coarse_use_proves_little);
	tcase_add_test(tc, cheating_is_found_in_time);
	tcase_add_test(tc, no_credit);
	tcase_add_test(tc, use_of_the_period_before);
	tcase_add_test(tc, use_of_two_periods_before);
	tcase_add_test(tc, late_at_the_beginning);
	tcase_add_test(tc, late_at_random);
	tcase_add_test(tc, credit_of_two_periods);
	tcase_add_test(tc, credit_of_the_beginning);
	tcase_add_test(tc, an_excuse_that_was_none);
	tcase_add_test(tc, what_was_before);
	tcase_add_test(tc, memory_within_lease);
	tcase_add_test(tc, memory_returned_meanwhile);
	tcase_add_test(tc, memory_beyond_lease);
	tcase_add_test(tc, memory_kept_after_return);
	tcase_add_test(tc, memory_beside_leases);
	tcase_add_test(tc, memory_of_all_sessions);
	tcase_add_test(tc, memory_unsteady);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
