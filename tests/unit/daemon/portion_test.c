/* SPDX-License-Identifier: MIT */
/* Parts of what all vGPUs share: what is guaranteed to one, nobody else can take. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/portion.h"

#define VGPUS 12u

static uint64_t has[VGPUS];

static uint64_t room(const struct portion_rule *r, unsigned int who, uint64_t kept)
{
	struct portion_sum s = {0};

	for (unsigned int i = 0; i < VGPUS; i++)
		if (i != who)
			portion_other(&s, r, has[i]);
	return portion_room(&s, r, has[who], kept);
}

static uint64_t sum(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < VGPUS; i++)
		n += has[i];
	return n;
}

/* Whatever the others take, and in whatever order. */
START_TEST(a_guarantee_is_one)
{
	static const struct portion_rule rules[] = {
		{.total = 1200, .each = 100},
		{.total = 1200, .each = 100, .most = 600},
		{.total = 5000, .each = 17, .most = 2500},
		{.total = 1200, .each = 0},
	};
	const struct portion_rule *r = &rules[_i];

	srand(1);
	for (unsigned int i = 0; i < VGPUS; i++)
		has[i] = 0;
	for (unsigned int i = 0; i < 20000; i++) {
		const unsigned int who = (unsigned int)rand() % VGPUS;
		const uint64_t most = r->most ? r->most : r->total, free = room(r, who, 0);

		ck_assert_uint_ge(has[who] + free, r->each);
		ck_assert_uint_le(has[who] + free, most);
		ck_assert_uint_le(sum() + free, r->total);
		if (rand() % 3)
			has[who] += rand() % 2 ? free : free / 2;
		else
			has[who] -= has[who] ? (uint64_t)rand() % has[who] : 0;
	}
}
END_TEST

/* Eleven that take all they can leave the twelfth its part. */
START_TEST(all_but_one_are_greedy)
{
	const struct portion_rule r = {.total = 1000, .each = 50, .most = 500};

	for (unsigned int i = 0; i < VGPUS; i++)
		has[i] = 0;
	for (unsigned int i = 1; i < VGPUS; i++)
		has[i] += room(&r, i, 0);
	ck_assert_uint_eq(sum(), 950);
	ck_assert_uint_eq(room(&r, 0, 0), 50);
	ck_assert_uint_eq(room(&r, 1, 0), 0);
}
END_TEST

/* The surplus pays for it, never a guarantee. */
START_TEST(some_is_kept)
{
	const struct portion_rule r = {.total = 1000, .each = 50};

	for (unsigned int i = 0; i < VGPUS; i++)
		has[i] = 0;
	ck_assert_uint_eq(room(&r, 0, 0), 450);
	ck_assert_uint_eq(room(&r, 0, 100), 350);
	ck_assert_uint_eq(room(&r, 0, 10000), 50);
}
END_TEST

/* Sessions of a former pvgpud, or a lowered total: less than nothing is nothing. */
START_TEST(more_than_all)
{
	const struct portion_rule r = {.total = 100, .each = 50};

	for (unsigned int i = 0; i < VGPUS; i++)
		has[i] = 0;
	has[1] = 90;
	ck_assert_uint_eq(room(&r, 0, 0), 10);
	has[1] = 900;
	ck_assert_uint_eq(room(&r, 0, 0), 0);
	ck_assert_uint_eq(room(&r, 1, 0), 0);
}
END_TEST

START_TEST(how_many_fit)
{
	const struct portion_rule r = {.total = 1000, .each = 50}, none = {.total = 1000};

	ck_assert(portion_fits(&r, 20));
	ck_assert(!portion_fits(&r, 21));
	ck_assert(portion_fits(&none, 1000000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("portion");
	TCase *t = tcase_create("portion");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, a_guarantee_is_one, 0, 4);
	tcase_add_test(t, all_but_one_are_greedy);
	tcase_add_test(t, some_is_kept);
	tcase_add_test(t, more_than_all);
	tcase_add_test(t, how_many_fit);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
