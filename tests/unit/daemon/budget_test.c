/* SPDX-License-Identifier: MIT */
/* The budget of a worker's messages: rules/budget.c. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/budget.h"

#define S 1000000000ull

static unsigned int take_all(struct budget *b, uint64_t now)
{
	unsigned int n = 0;

	while (budget_take(b, now))
		n++;
	return n;
}

START_TEST(a_burst_and_a_rate)
{
	struct budget b = {0};
	uint64_t now = 1000 * S;

	ck_assert_uint_eq(take_all(&b, now), BUDGET_BURST);
	ck_assert_uint_eq(take_all(&b, now), 0);
	for (unsigned int i = 0; i < 50; i++) {
		now += BUDGET_PAUSE_NS;
		ck_assert_uint_le(take_all(&b, now), BUDGET_A_SECOND / 50 + 1);
	}
	/* However long the worker was silent, it saves up no more than a burst. */
	ck_assert_uint_eq(take_all(&b, now + 3600 * S), BUDGET_BURST);
}
END_TEST

START_TEST(at_the_machines_start)
{
	struct budget b = {0};

	ck_assert_uint_eq(take_all(&b, 0), 0);
	ck_assert_uint_ge(take_all(&b, S), BUDGET_A_SECOND - 1);
}
END_TEST

START_TEST(who_asks_and_waits_is_no_flood)
{
	struct budget b = {0};

	for (uint64_t now = S; now < 100 * S; now += BUDGET_PAUSE_NS)
		ck_assert(!budget_flooded(&b, BUDGET_UNREAD - 1, now));
}
END_TEST

START_TEST(a_flood)
{
	struct budget b = {0};
	const uint64_t begin = 1000 * S, step = BUDGET_PAUSE_NS;
	uint64_t now = begin;

	while (!budget_flooded(&b, BUDGET_UNREAD, now))
		now += step;
	ck_assert_uint_ge(now - begin, BUDGET_OVER_NS - 2 * step);
	ck_assert_uint_le(now - begin, BUDGET_OVER_NS);
	/* Now and then the flooding worker itself was starved of CPU. */
	b = (struct budget){0};
	for (unsigned int i = 0; !budget_flooded(&b, i % 4 ? 1000 : 0, now); i++)
		now += step;
	/* One burst a minute is no flood. */
	b = (struct budget){0};
	for (unsigned int i = 0; i < 100; i++) {
		now += 60 * S;
		for (unsigned int n = 0; n < 50; n++, now += step)
			ck_assert(!budget_flooded(&b, 1000, now));
	}
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
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
