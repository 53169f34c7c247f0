/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/sched/sched_drive.h"

static const struct load busy = {.burst = 3600 * SEC};
static const struct load idle = {0};

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

/* A vGPU of great weight runs dry for an instant now and then, as when it is starved of CPU: its
 * share is little less than with work all the time. */
START_TEST(an_instant_without_work_costs_an_instant)
{
	static const struct load dry = {.burst = 20 * MS, .think = 20 * US, .jitter = 1};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share heavy = FULL;
	struct drive d;
	int tenant;

	heavy.weight = 900;
	drive_init(&d, &p, 0, 1);
	tenant = _i ? drive_tenant(&d, &heavy) : -1;
	drive_add(&d, tenant, &heavy, &dry);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	ck_assert_uint_ge(drive_ppm(&d, 0, SEC), 890000);
	ck_assert_uint_le(drive_ppm(&d, 0, SEC), 905000);
	drive_end(&d);
}
END_TEST

/* The target: no longer than 1.3 times as alone and a slice, beside a tenant that always has work.
 */
START_TEST(high_goes_first)
{
	static const struct load bursts = {.burst = 5 * MS, .think = 7 * MS, .jitter = 1};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share high = FULL, low = FULL;
	struct drive d;

	high.class = SCHED_HIGH;
	low.class = SCHED_LOW;
	drive_init(&d, &p, 20 * US, 1);
	d.check_waits = true;
	drive_add(&d, -1, &high, &bursts);
	drive_add(&d, -1, &low, &busy);
	drive_run(&d, 10 * SEC);
	ck_assert_uint_ge(d.c[0].bursts, 500);
	ck_assert_uint_le(d.c[0].longest_burst, 5 * MS * 3 / 2 * 13 / 10 + 2 * MS);
	ck_assert_uint_le(d.c[0].took / d.c[0].bursts, 5 * MS * 11 / 10);
	drive_end(&d);
}
END_TEST

START_TEST(low_gets_its_starvation_bound)
{
	struct sched_params p = {.policy = _i, .starve_ns = 200 * MS};
	struct sched_share high = FULL, medium = FULL, low = FULL;
	struct drive d;

	high.class = SCHED_HIGH;
	low.class = SCHED_LOW;
	/* Equal and fixed: no vGPU is to be held back by a share. */
	high.fixed_ppm = medium.fixed_ppm = low.fixed_ppm = SCHED_PPM;
	drive_init(&d, &p, 0, 1);
	d.check_waits = true;
	drive_add(&d, -1, &high, &busy);
	drive_add(&d, -1, &medium, &busy);
	drive_add(&d, -1, &low, &busy);
	drive_run(&d, 10 * SEC);
	for (int i = 1; i < 3; i++) {
		ck_assert_uint_le(d.c[i].longest_wait, 208 * MS);
		ck_assert_uint_ge(d.c[i].used, 48 * 2 * MS);
	}
	ck_assert_uint_ge(drive_ppm(&d, 0, 10 * SEC), 950000 * (_i != SCHED_EQUAL));
	drive_end(&d);
}
END_TEST

/* However many vGPUs starve, the vGPUs of the higher class keep half. */
START_TEST(relief_takes_half_at_most)
{
	struct sched_params p = {.policy = SCHED_FAIR, .starve_ns = 10 * MS};
	struct sched_share high = FULL, low = FULL;
	struct drive d;

	high.class = SCHED_HIGH;
	low.class = SCHED_LOW;
	drive_init(&d, &p, 0, 1);
	d.check_waits = true;
	drive_add(&d, -1, &high, &busy);
	for (int i = 0; i < 50; i++)
		drive_add(&d, -1, &low, &busy);
	drive_run(&d, SEC);
	ck_assert_uint_ge(drive_ppm(&d, 0, SEC), 495000);
	for (int i = 1; i <= 50; i++)
		ck_assert_uint_ge(d.c[i].used, 8 * MS);
	drive_end(&d);
}
END_TEST

/* The high one stops for a moment whenever the low one has waited for nearly long enough. */
START_TEST(a_moment_is_no_relief)
{
	static const struct load tease = {.burst = 45 * MS, .think = 5 * US};
	struct sched_params p = {.policy = SCHED_FAIR, .starve_ns = 50 * MS};
	struct sched_share high = FULL;
	struct drive d;

	high.class = SCHED_HIGH;
	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &high, &tease);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	ck_assert_uint_ge(d.c[1].used, 8 * 2 * MS);
	drive_end(&d);
}
END_TEST

/* The overrun of a kernel that cannot be stopped is paid back: shares come out even. */
START_TEST(an_overrun_is_paid_for)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct load endless = {.burst = 3600 * SEC, .overrun = 50 * MS};
	struct drive d;

	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &FULL, &endless);
	drive_add(&d, -1, &FULL, &busy);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, 10 * SEC);
	drive_share_is(&d, 0, 10 * SEC, 333333);
	drive_share_is(&d, 1, 10 * SEC, 333333);
	drive_end(&d);
}
END_TEST

/* A vGPU that returns after a long pause is soon served, and then gets no more than the others. */
START_TEST(sleep_saves_nothing_up)
{
	static const struct load later = {.burst = 3600 * SEC, .think = 2 * SEC};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &FULL, &busy);
	drive_add(&d, -1, &FULL, &later);
	drive_run(&d, 2 * SEC + 1);
	drive_measure(&d);
	drive_run(&d, 100 * MS);
	ck_assert_uint_le(d.c[1].longest_wait, 2 * MS);
	/* Half of the credit more than half. */
	ck_assert_uint_le(d.c[1].used, 66 * MS);
	ck_assert_uint_ge(d.c[1].used, 48 * MS);
	drive_end(&d);
}
END_TEST

/* While one has work, slices are long where a hand-over is dear. Those that sleep meanwhile are
 * owed no such slice when they begin all at once. */
START_TEST(sleep_saves_no_long_slice_up)
{
	static const struct load early = {.burst = 20 * MS, .think = 200 * MS};
	static const struct load late = {.burst = 3600 * SEC, .think = 421 * MS};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 300 * US, 1);
	drive_add(&d, -1, &FULL, &early);
	for (int i = 0; i < 8; i++)
		drive_add(&d, -1, &FULL, &late);
	drive_run(&d, 400 * MS);
	ck_assert_uint_eq(d.c[0].used, 20 * MS);
	drive_measure(&d);
	drive_run(&d, 400 * MS);
	ck_assert_uint_ge(d.d.slice_ns, 14 * MS);
	/* One slice of each of the others. */
	ck_assert_uint_le(d.c[0].longest_wait, 8 * 15300 * US);
	drive_end(&d);
}
END_TEST

/* A vGPU of great weight works in bursts and pauses beside others that always have work, and a
 * hand-over is so dear that slices are long: it does not wait for their end. */
START_TEST(who_comes_back_behind_does_not_wait)
{
	static const struct load bursts = {.burst = 5 * MS, .think = MS, .jitter = 1};
	struct sched_params p = {.policy = _i ? SCHED_FAIR : SCHED_FIXED};
	struct sched_share heavy = FULL;
	struct drive d;

	heavy.weight = 300;
	heavy.fixed_ppm = 500000;
	drive_init(&d, &p, 150 * US, 1);
	d.check_waits = true;
	drive_add(&d, -1, &heavy, &bursts);
	for (int i = 0; i < 3; i++)
		drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, 4 * SEC);
	ck_assert_uint_eq(d.d.slice_ns, 15 * MS);
	ck_assert_uint_ge(drive_ppm(&d, 0, 4 * SEC), 450000);
	ck_assert_uint_le(drive_ppm(&d, 0, 4 * SEC), 510000);
	/* Its price: each interruption takes two hand-overs. */
	ck_assert_uint_le(d.idle_ns, 4 * SEC * 10 / 100);
	drive_end(&d);
}
END_TEST

/* A vGPU that never uses a slice up and is back at once gains nothing by it. */
START_TEST(cheating_does_not_pay)
{
	static const struct load cheat = {.burst = 3600 * SEC, .think = 1, .stop_before_end = 10};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 10 * US, 1);
	d.check_waits = true;
	drive_add(&d, -1, &FULL, &cheat);
	for (int i = 0; i < 3; i++)
		drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	ck_assert_uint_le(drive_ppm(&d, 0, SEC), 260000);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_ge(drive_ppm(&d, i, SEC), 240000);
	drive_end(&d);
}
END_TEST

/* Two that hand the GPU to each other all the time and hardly use it pay for that. */
START_TEST(crumbs_pay_for_their_handovers)
{
	static const struct load crumbs = {.burst = 1 * US, .think = 1};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 20 * US, 1);
	d.check_waits = true;
	drive_add(&d, -1, &FULL, &crumbs);
	drive_add(&d, -1, &FULL, &crumbs);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	/* Each of the two has a third, which it spends on hand-overs. */
	ck_assert_uint_ge(drive_ppm(&d, 2, SEC), 320000);
	drive_end(&d);
}
END_TEST

/* Short bursts are served before those that always have work, and quickly. */
START_TEST(bursts_are_favoured)
{
	static const struct load bursts = {.burst = 200 * US, .think = 20 * MS, .jitter = 1};
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 10 * US, 1);
	drive_add(&d, -1, &FULL, &bursts);
	for (int i = 0; i < 6; i++)
		drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, 2 * SEC);
	ck_assert_uint_ge(d.c[0].bursts, 80);
	ck_assert_uint_le(d.c[0].longest_wait, 2 * MS + 20 * US);
	drive_end(&d);
}
END_TEST

START_TEST(settings_change_live)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share share = FULL;
	struct drive d;

	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &FULL, &busy);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, SEC);
	share.weight = 300;
	sched_set_share(d.c[0].v, &share, d.now);
	drive_measure(&d);
	drive_run(&d, SEC);
	drive_share_is(&d, 0, SEC, 750000);
	share.max_ppm = d.c[0].share.max_ppm = 100000;
	sched_set_share(d.c[0].v, &share, d.now);
	drive_changed(&d);
	drive_measure(&d);
	drive_run(&d, SEC);
	drive_share_is(&d, 0, SEC, 100000);
	drive_share_is(&d, 1, SEC, 900000);
	d.params.policy = SCHED_EQUAL;
	sched_set(d.s, &d.params, d.now);
	share.max_ppm = d.c[0].share.max_ppm = 0;
	sched_set_share(d.c[0].v, &share, d.now);
	drive_changed(&d);
	drive_measure(&d);
	drive_run(&d, SEC);
	drive_share_is(&d, 0, SEC, 500000);
	drive_add(&d, -1, &FULL, &idle);
	drive_add(&d, -1, &FULL, &idle);
	drive_changed(&d);
	drive_measure(&d);
	drive_run(&d, SEC);
	drive_share_is(&d, 0, SEC, 250000);
	drive_end(&d);
}
END_TEST

/* The debt of an overrun moves along to another policy, group and class. */
START_TEST(debts_are_taken_along)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share share = FULL;
	struct drive d;

	drive_init(&d, &p, 0, 1);
	drive_add(&d, -1, &FULL, &busy);
	drive_add(&d, -1, &FULL, &busy);
	drive_tenant(&d, &FULL);
	drive_run(&d, 10 * MS);
	sched_charge(d.c[0].v, 500 * MS, d.now);
	drive_measure(&d);
	switch (_i) {
	case 0:
		sched_move(d.c[0].v, d.t[0].g, d.now);
		break;
	case 1:
		sched_move(d.c[0].v, d.t[0].g, d.now);
		sched_move(d.c[0].v, NULL, d.now);
		break;
	case 2:
		share.weight = 10000;
		sched_set_share(d.c[0].v, &share, d.now);
		sched_set_share(d.c[0].v, &FULL, d.now);
		break;
	case 3:
		share.class = SCHED_HIGH;
		sched_set_share(d.c[1].v, &share, d.now);
		sched_set_share(d.c[1].v, &FULL, d.now);
		break;
	default:
		d.params.policy = SCHED_FIXED;
		sched_set(d.s, &d.params, d.now);
		d.params.policy = SCHED_FAIR;
		sched_set(d.s, &d.params, d.now);
		break;
	}
	drive_run(&d, 400 * MS);
	ck_assert_uint_le(d.c[0].used, 10 * MS);
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
	tcase_add_loop_test(t, an_instant_without_work_costs_an_instant, 0, 2);
	tcase_add_test(t, high_goes_first);
	tcase_add_loop_test(t, low_gets_its_starvation_bound, 0, SCHED_POLICIES);
	tcase_add_test(t, relief_takes_half_at_most);
	tcase_add_test(t, a_moment_is_no_relief);
	tcase_add_test(t, an_overrun_is_paid_for);
	tcase_add_test(t, sleep_saves_nothing_up);
	tcase_add_test(t, sleep_saves_no_long_slice_up);
	tcase_add_loop_test(t, who_comes_back_behind_does_not_wait, 0, 2);
	tcase_add_test(t, cheating_does_not_pay);
	tcase_add_test(t, crumbs_pay_for_their_handovers);
	tcase_add_test(t, bursts_are_favoured);
	tcase_add_test(t, settings_change_live);
	tcase_add_loop_test(t, debts_are_taken_along, 0, 5);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
