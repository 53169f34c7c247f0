/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/ledger.h"

START_TEST(takes_up_to_the_quota)
{
	struct ledger l = {.quota = 1000};
	uint64_t a = 0, b = 0;

	ck_assert(ledger_take(&l, &a, 600));
	ck_assert(!ledger_take(&l, &b, 401));
	ck_assert(ledger_take(&l, &b, 400));
	ck_assert_uint_eq(ledger_free(&l), 0);
	ck_assert(!ledger_take(&l, &b, 1));
	ck_assert_uint_eq(a, 600);
	ck_assert_uint_eq(b, 400);
}
END_TEST

START_TEST(believes_no_overflow)
{
	struct ledger l = {.quota = 1000, .used = 10};
	uint64_t a = 10;

	ck_assert(!ledger_take(&l, &a, UINT64_MAX));
	ck_assert(!ledger_take(&l, &a, UINT64_MAX - 9));
	ck_assert_int_eq(ledger_give(&l, &a, 11), -EPROTO);
	ck_assert_int_eq(ledger_give(&l, &a, UINT64_MAX), -EPROTO);
	ck_assert_uint_eq(l.used, 10);
	ck_assert_uint_eq(a, 10);
}
END_TEST

START_TEST(a_death_gives_everything_back)
{
	struct ledger l = {.quota = 1000};
	uint64_t a = 0, b = 0;

	ledger_take(&l, &a, 300);
	ledger_take(&l, &b, 500);
	ledger_end(&l, &a);
	ck_assert_uint_eq(a, 0);
	ck_assert_uint_eq(l.used, 500);
	ck_assert_int_eq(ledger_give(&l, &b, 200), 0);
	ck_assert_uint_eq(ledger_free(&l), 700);
}
END_TEST

START_TEST(adopts_more_than_a_lowered_quota)
{
	struct ledger l = {.quota = 100};
	uint64_t a = 0;

	ledger_adopt(&l, &a, 300);
	ck_assert_uint_eq(ledger_free(&l), 0);
	ck_assert(!ledger_take(&l, &a, 1));
	ck_assert_int_eq(ledger_give(&l, &a, 250), 0);
	ck_assert_uint_eq(ledger_free(&l), 50);
}
END_TEST

/* Nothing wraps, whatever the record says. */
START_TEST(adopts_a_damaged_record)
{
	struct ledger l = {.quota = 100};
	uint64_t a = 0, b = 0;

	ledger_adopt(&l, &a, UINT64_MAX - 1);
	ledger_adopt(&l, &b, 5);
	ck_assert_uint_eq(l.used, UINT64_MAX);
	ck_assert_uint_eq(a + b, l.used);
	ledger_end(&l, &a);
	ck_assert_uint_eq(l.used, b);
}
END_TEST

/* Memory that processes have beside their leases counts, and is not granted to others. */
START_TEST(measured_counts)
{
	struct ledger l = {.quota = 1000};
	uint64_t a = 0, x = 0, y = 0;

	ledger_take(&l, &a, 300);
	ledger_measured(&l, &x, 400);
	ledger_measured(&l, &y, 200);
	ck_assert_uint_eq(ledger_used(&l), 900);
	ck_assert(!ledger_take(&l, &a, 101));
	ledger_measured(&l, &x, 50);
	ck_assert_uint_eq(ledger_free(&l), 450);
	ck_assert(ledger_take(&l, &a, 450));
	/* More than there is: nothing is free, and what was leased can be returned. */
	ledger_measured(&l, &y, 5000);
	ck_assert_uint_eq(ledger_free(&l), 0);
	ck_assert_int_eq(ledger_give(&l, &a, 750), 0);
	ledger_measured(&l, &y, UINT64_MAX);
	ck_assert_uint_eq(ledger_used(&l), UINT64_MAX);
	ledger_measured(&l, &y, 0);
	ledger_measured(&l, &x, 0);
	ck_assert_uint_eq(ledger_used(&l), 0);
}
END_TEST

/* The ledger's total is always the sum over its sessions. */
START_TEST(sums_hold_at_random)
{
	struct ledger l = {.quota = 1 << 20};
	uint64_t leased[16] = {0};
	unsigned int seed = 1;

	for (int i = 0; i < 100000; i++) {
		uint64_t *s = &leased[rand_r(&seed) % 16], sum = 0;
		uint64_t n = (uint64_t)rand_r(&seed) % 200000;

		switch (rand_r(&seed) % 8) {
		case 0:
			ledger_end(&l, s);
			break;
		case 1:
		case 2:
		case 3:
			ledger_give(&l, s, n);
			break;
		default:
			ledger_take(&l, s, n);
			break;
		}
		for (int j = 0; j < 16; j++)
			sum += leased[j];
		ck_assert_uint_eq(sum, l.used);
		ck_assert_uint_le(l.used, l.quota);
	}
}
END_TEST

/* Parked bytes count against the quota, and are not leased. */
START_TEST(parked)
{
	struct ledger l = {.quota = 100};
	uint64_t leased = 0, away = 0, other = 0;

	ck_assert(ledger_take(&l, &leased, 60));
	ck_assert_int_eq(ledger_park(&l, &leased, &away, 61), -EPROTO);
	ck_assert_uint_eq(away, 0);
	ck_assert_int_eq(ledger_park(&l, &leased, &away, 40), 0);
	ck_assert_uint_eq(leased, 20);
	ck_assert_uint_eq(l.parked, 40);
	ck_assert_uint_eq(ledger_used(&l), 60);
	ck_assert(!ledger_take(&l, &other, 41));
	ck_assert_int_eq(ledger_give(&l, &leased, 21), -EPROTO);
	ledger_resume(&l, &leased, &away);
	ck_assert_uint_eq(leased, 60);
	ck_assert_uint_eq(away, 0);
	ck_assert_uint_eq(l.parked, 0);
	ledger_end(&l, &leased);
	ck_assert_uint_eq(ledger_used(&l), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, takes_up_to_the_quota);
	tcase_add_test(t, believes_no_overflow);
	tcase_add_test(t, a_death_gives_everything_back);
	tcase_add_test(t, adopts_more_than_a_lowered_quota);
	tcase_add_test(t, adopts_a_damaged_record);
	tcase_add_test(t, measured_counts);
	tcase_add_test(t, parked);
	tcase_add_test(t, sums_hold_at_random);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
