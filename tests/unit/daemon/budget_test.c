/* SPDX-License-Identifier: MIT */
/* The budget of a worker's messages: rules/budget.c. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/budget.h"

#define S 1000000000ull

static unsigned int take_all(struct budget *b, uint64_t now)
{
	unsigned int n = 0;

	while (budget_take(b, &budget_worker, 1, now))
		n++;
	return n;
}

START_TEST(a_burst_and_a_rate)
{
	struct budget b = {0};
	uint64_t now = 1000 * S;

	ck_assert_uint_eq(take_all(&b, now), budget_worker.burst);
	ck_assert_uint_eq(take_all(&b, now), 0);
	for (unsigned int i = 0; i < 50; i++) {
		now += budget_worker.pause_ns;
		ck_assert_uint_le(take_all(&b, now), budget_worker.a_second / 50 + 1);
	}
	/* However long the worker was silent, it saves up no more than a burst. */
	ck_assert_uint_eq(take_all(&b, now + 3600 * S), budget_worker.burst);
}
END_TEST

START_TEST(at_the_machines_start)
{
	struct budget b = {0};

	ck_assert_uint_eq(take_all(&b, 0), 0);
	ck_assert_uint_ge(take_all(&b, S), budget_worker.a_second - 1);
}
END_TEST

START_TEST(who_asks_and_waits_is_no_flood)
{
	struct budget b = {0};

	for (uint64_t now = S; now < 100 * S; now += budget_worker.pause_ns)
		ck_assert(!budget_flooded(&b, &budget_worker, false, now));
}
END_TEST

START_TEST(a_flood)
{
	struct budget b = {0};
	const uint64_t begin = 1000 * S, step = budget_worker.pause_ns;
	uint64_t now = begin;

	while (!budget_flooded(&b, &budget_worker, true, now))
		now += step;
	ck_assert_uint_ge(now - begin, budget_worker.over_ns - 2 * step);
	ck_assert_uint_le(now - begin, budget_worker.over_ns);
	/* Now and then the flooding worker itself was starved of CPU. */
	b = (struct budget){0};
	for (unsigned int i = 0; !budget_flooded(&b, &budget_worker, i % 4, now); i++)
		now += step;
	/* One burst a minute is no flood. */
	b = (struct budget){0};
	for (unsigned int i = 0; i < 100; i++) {
		now += 60 * S;
		for (unsigned int n = 0; n < 50; n++, now += step)
			ck_assert(!budget_flooded(&b, &budget_worker, true, now));
	}
}
END_TEST

/* A request that costs many units waits for all of them, and takes none until they are there. */
START_TEST(dear_ones)
{
	const struct budget_rule *r = &budget_worker;
	const uint32_t dear = 1024;
	struct budget b = {0};
	uint64_t now = 1000 * S;
	unsigned int n = 0;

	while (budget_take(&b, r, dear, now))
		n++;
	ck_assert_uint_eq(n, r->burst / dear);
	ck_assert(!budget_take(&b, r, dear, now + S * (dear - 1) / r->a_second));
	ck_assert(budget_take(&b, r, dear, now + S * (dear + 1) / r->a_second));
	ck_assert(!budget_take(&b, r, dear, now + S * (dear + 1) / r->a_second));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("budget");
	TCase *t = tcase_create("budget");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_test(t, a_burst_and_a_rate);
	tcase_add_test(t, at_the_machines_start);
	tcase_add_test(t, who_asks_and_waits_is_no_flood);
	tcase_add_test(t, a_flood);
	tcase_add_test(t, dear_ones);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
