/* SPDX-License-Identifier: MIT */
/* The values that a guest may know of the GPU that it shares. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/rules/facts_rules.h"

static struct pvgpu_gpu_card gpu(void)
{
	return (struct pvgpu_gpu_card){.driver_major = 580,
				       .brand = 14,
				       .power_limit = 700000,
				       .temperature = 43,
				       .power = 97531,
				       .clock_graphics = 1749,
				       .clock_sm = 1750,
				       .clock_memory = UINT32_MAX,
				       .clock_video = UINT32_MAX - 1,
				       .performance_state = 2,
				       .link_generation = 4,
				       .sent = 3333333,
				       .received = 1,
				       .uncorrected = 3};
}

START_TEST(coarse)
{
	struct pvgpu_gpu_card g = gpu();

	facts_for_guest(&g, true);
	ck_assert_uint_eq(g.temperature, 45);
	ck_assert_uint_eq(g.power, 100000);
	ck_assert_uint_eq(g.clock_graphics, 1700);
	ck_assert_uint_eq(g.clock_sm, 1800);
	ck_assert_uint_eq(g.clock_memory, UINT32_MAX);
	ck_assert_uint_eq(g.clock_video, UINT32_MAX);
	ck_assert_uint_eq(g.performance_state, 2);
	ck_assert_uint_eq(g.sent, 3u << 20);
	ck_assert_uint_eq(g.received, 0);
	ck_assert_uint_eq(g.uncorrected, 3);
	ck_assert_uint_eq(g.power_limit, 700000);
}
END_TEST

START_TEST(off)
{
	struct pvgpu_gpu_card g = gpu(), with;

	with = g;
	facts_for_guest(&g, false);
	ck_assert_uint_eq(g.temperature, UINT32_MAX);
	ck_assert_uint_eq(g.power, UINT32_MAX);
	ck_assert_uint_eq(g.clock_graphics, UINT32_MAX);
	ck_assert_uint_eq(g.clock_sm, UINT32_MAX);
	ck_assert_uint_eq(g.performance_state, UINT32_MAX);
	ck_assert_uint_eq(g.link_generation, UINT32_MAX);
	ck_assert_uint_eq(g.sent, UINT32_MAX);
	ck_assert_uint_eq(g.received, UINT32_MAX);
	ck_assert(g.uncorrected == UINT64_MAX);
	/* All before the sensors stays. */
	ck_assert_int_eq(memcmp(&g, &with, offsetof(struct pvgpu_gpu_card, temperature)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("facts_rules");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, coarse);
	tcase_add_test(t, off);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
