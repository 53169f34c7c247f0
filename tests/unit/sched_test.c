/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/sched_drive.h"

static const struct load busy = {.burst = 3600 * SEC};
static const struct load idle = {0};

/* a's part is within 2 % of what it is to be. */
static void share_is(const struct drive *d, int i, uint64_t of, uint64_t ppm)
{
	uint64_t got = drive_ppm(d, i, of);

	ck_assert_msg(got + ppm / 50 >= ppm && got <= ppm + ppm / 50,
		      "vGPU %d got %llu ppm instead of %llu", i, (unsigned long long)got,
		      (unsigned long long)ppm);
}

START_TEST(alone_gets_everything)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 20 * US, 1);
	drive_add(&d, -1, &FULL, &busy);
	for (int i = 0; i < 100; i++)
		drive_add(&d, -1, &FULL, &idle);
	drive_run(&d, 10 * MS);
	drive_measure(&d);
	drive_run(&d, SEC);
	ck_assert_uint_eq(drive_ppm(&d, 0, SEC), SCHED_PPM);
	ck_assert_uint_eq(d.handovers, 0);
	ck_assert_uint_eq(d.d.again, SCHED_NEVER);
	ck_assert(!d.d.contended);
	drive_end(&d);
}
END_TEST

START_TEST(equal_weights_share_equally)
{
	static const int counts[] = {2, 8, 32};
	struct sched_params p = {.policy = _i};
	struct drive d;

	for (int k = 0; k < 3; k++) {
		drive_init(&d, &p, 10 * US, 1);
		for (int i = 0; i < counts[k]; i++)
			drive_add(&d, -1, &FULL, &busy);
		drive_run(&d, 100 * MS);
		drive_measure(&d);
		drive_run(&d, SEC);
		ck_assert_uint_ge(drive_jain(&d), 990000);
		ck_assert_uint_le(d.handovers * 10 * US, SEC * 3 / 100);
		ck_assert_uint_le(d.idle_ns, SEC / 100);
		drive_end(&d);
	}
}
END_TEST

START_TEST(weights_are_kept)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share heavy = FULL;
	struct drive d;

	heavy.weight = 300;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &heavy, &busy);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	share_is(&d, 0, SEC, 750000);
	share_is(&d, 1, SEC, 250000);
	drive_end(&d);
}
END_TEST

START_TEST(a_maximum_holds_when_alone)
{
	struct sched_params p = {.policy = _i};
	struct sched_share capped = FULL;
	struct drive d;

	capped.max_ppm = 250000;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &capped, &busy);
	drive_run(&d, SEC);
	share_is(&d, 0, SEC, 250000);
	drive_end(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched");
	TCase *t = tcase_create("sched");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, alone_gets_everything);
	tcase_add_loop_test(t, equal_weights_share_equally, 0, SCHED_POLICIES);
	tcase_add_test(t, weights_are_kept);
	tcase_add_loop_test(t, a_maximum_holds_when_alone, 0, SCHED_POLICIES);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
