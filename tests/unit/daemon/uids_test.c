/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/uids.h"

#define FIRST 1900000000u

START_TEST(each_is_given_once)
{
	struct uids u;

	ck_assert_int_eq(uids_init(&u, FIRST, FIRST + 2, 0), 0);
	ck_assert_uint_eq(uids_take(&u), FIRST);
	ck_assert_uint_eq(uids_take(&u), FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), FIRST + 2);
	ck_assert_uint_eq(uids_take(&u), 0);
	uids_put(&u, FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), 0);
	uids_free(&u);
}
END_TEST

START_TEST(what_was_given_back_comes_last)
{
	struct uids u;

	ck_assert_int_eq(uids_init(&u, FIRST, FIRST + 3, 5), 0);
	ck_assert_uint_eq(uids_take(&u), FIRST + 1);
	uids_put(&u, FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), FIRST + 2);
	ck_assert_uint_eq(uids_take(&u), FIRST + 3);
	ck_assert_uint_eq(uids_take(&u), FIRST);
	ck_assert_uint_eq(uids_take(&u), FIRST + 1);
	uids_free(&u);
}
END_TEST

START_TEST(adopted_ones_are_not_given)
{
	struct uids u;

	ck_assert_int_eq(uids_init(&u, FIRST, FIRST + 2, 0), 0);
	ck_assert_int_eq(uids_mark(&u, FIRST), 0);
	ck_assert_int_eq(uids_mark(&u, FIRST), -EEXIST);
	ck_assert_int_eq(uids_mark(&u, FIRST + 2), 0);
	ck_assert_uint_eq(uids_take(&u), FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), 0);
	uids_put(&u, FIRST);
	ck_assert_uint_eq(uids_take(&u), FIRST);
	uids_free(&u);
}
END_TEST

START_TEST(others_are_left_alone)
{
	struct uids u;

	ck_assert_int_eq(uids_init(&u, FIRST, FIRST, 7), 0);
	ck_assert_int_eq(uids_mark(&u, 0), 0);
	ck_assert_int_eq(uids_mark(&u, FIRST - 1), 0);
	ck_assert_int_eq(uids_mark(&u, FIRST + 1), 0);
	ck_assert_int_eq(uids_mark(&u, UINT32_MAX), 0);
	uids_put(&u, 0);
	uids_put(&u, FIRST + 1);
	ck_assert_uint_eq(uids_take(&u), FIRST);
	uids_free(&u);
}
END_TEST

START_TEST(there_may_be_none)
{
	struct uids u = {0};

	ck_assert_uint_eq(uids_take(&u), 0);
	ck_assert_int_eq(uids_mark(&u, FIRST), 0);
	uids_put(&u, FIRST);
	uids_free(&u);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uids");
	TCase *t = tcase_create("uids");
	SRunner *r;
	int failed;

	tcase_add_test(t, each_is_given_once);
	tcase_add_test(t, what_was_given_back_comes_last);
	tcase_add_test(t, adopted_ones_are_not_given);
	tcase_add_test(t, others_are_left_alone);
	tcase_add_test(t, there_may_be_none);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
