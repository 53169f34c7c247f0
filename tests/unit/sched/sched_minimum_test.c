/* SPDX-License-Identifier: MIT */
/* Guaranteed minima. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/sched/sched_drive.h"

static const struct load busy = {.burst = 3600 * SEC};

/* Time that a vGPU had while no other wanted the GPU does not count against its minimum. */
START_TEST(a_minimum_is_not_used_up_alone)
{
	static const struct load later = {.burst = 3600 * SEC, .think = SEC};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share heavy = FULL, light = FULL;
	struct drive d;

	heavy.weight = 10000;
	light.weight = 1;
	light.min_ppm = 300000;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &light, &busy);
	drive_add(&d, -1, &heavy, &later);
	drive_run(&d, SEC + 10 * MS);
	drive_measure(&d);
	drive_run(&d, 200 * MS);
	ck_assert_uint_ge(d.c[0].used, 58 * MS);
	ck_assert_uint_le(d.c[0].used, 62 * MS);
	drive_end(&d);
}
END_TEST

/* Nor is a minimum a loan on its share. */
START_TEST(a_minimum_is_no_debt)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share heavy = FULL, light = FULL;
	struct drive d;

	heavy.weight = 10000;
	light.weight = 1;
	light.min_ppm = 500000;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &light, &busy);
	drive_add(&d, -1, &heavy, &busy);
	drive_run(&d, SEC);
	sched_set_share(d.c[0].v, &FULL, d.now);
	sched_set_share(d.c[1].v, &FULL, d.now);
	drive_measure(&d);
	drive_run(&d, 100 * MS);
	ck_assert_uint_ge(d.c[0].used, 46 * MS);
	ck_assert_uint_le(d.c[0].used, 54 * MS);
	drive_end(&d);
}
END_TEST

/* But time beyond a guaranteed slice is a loan. */
START_TEST(overruns_are_not_guaranteed)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct load endless = {.burst = 3600 * SEC, .overrun = 50 * MS};
	struct sched_share heavy = FULL, light = FULL;
	struct drive d;

	heavy.weight = 10000;
	light.weight = 1;
	light.min_ppm = 100000;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &light, &endless);
	drive_add(&d, -1, &heavy, &busy);
	drive_run(&d, 10 * SEC);
	ck_assert_uint_ge(drive_ppm(&d, 0, 10 * SEC), 98000);
	ck_assert_uint_le(drive_ppm(&d, 0, 10 * SEC), 107000);
	drive_end(&d);
}
END_TEST

/* Minima above the whole GPU compete, and a vGPU without one does not starve. */
START_TEST(minima_above_all_starve_nobody)
{
	struct sched_params p = {.policy = SCHED_FAIR, .starve_ns = 100 * MS};
	struct sched_share share = FULL;
	struct drive d;

	share.min_ppm = 800000;
	drive_init(&d, &p, 0, 1);
	d.check_waits = true;
	drive_add(&d, -1, &share, &busy);
	drive_add(&d, -1, &share, &busy);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	ck_assert_uint_ge(d.c[2].used, 9 * 2 * MS);
	ck_assert_uint_le(d.c[2].longest_wait, 110 * MS);
	drive_end(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched_minimum");
	TCase *t = tcase_create("sched_minimum");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, a_minimum_is_not_used_up_alone);
	tcase_add_test(t, a_minimum_is_no_debt);
	tcase_add_test(t, overruns_are_not_guaranteed);
	tcase_add_test(t, minima_above_all_starve_nobody);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
