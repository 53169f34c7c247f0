/* SPDX-License-Identifier: MIT */
/* The page allocator beneath the arena, against a plain map of each byte's owner. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "link/pages.h"

enum { PAGES = 512, LIVE = 200 };

static struct pvgpu_pages p;
static unsigned char owner[PAGES * PVGPU_PAGE]; /* 0: free */

static void setup(void)
{
	ck_assert_int_eq(pvgpu_pages_init(&p, PAGES), 0);
	memset(owner, 0, sizeof(owner));
}

static void teardown(void)
{
	pvgpu_pages_destroy(&p);
}

START_TEST(sizes_and_alignment)
{
	for (uint64_t size = 1; size < 20000; size += 37) {
		int64_t at = pvgpu_pages_alloc(&p, size);

		ck_assert_int_ge(at, 0);
		ck_assert_int_eq(at % (size >= PVGPU_PAGE ? PVGPU_PAGE : 64), 0);
		ck_assert(pvgpu_pages_free(&p, (uint64_t)at));
		ck_assert(!pvgpu_pages_free(&p, (uint64_t)at));
		ck_assert_uint_eq(p.used, 0);
	}
}
END_TEST

START_TEST(everything_and_nothing)
{
	unsigned int failures = 0;

	ck_assert_int_eq(pvgpu_pages_alloc(&p, (PAGES + 1ull) * PVGPU_PAGE), -1);
	ck_assert_int_eq(pvgpu_pages_alloc(&p, UINT64_MAX), -1);
	ck_assert_int_eq(pvgpu_pages_alloc(&p, UINT64_MAX - PVGPU_PAGE), -1);
	ck_assert_int_eq(pvgpu_pages_alloc(&p, (uint64_t)PAGES * PVGPU_PAGE), 0);
	ck_assert_int_eq(pvgpu_pages_alloc(&p, 1), -1);
	ck_assert(!pvgpu_pages_free(&p, PVGPU_PAGE));
	ck_assert(!pvgpu_pages_free(&p, (uint64_t)PAGES * PVGPU_PAGE));
	ck_assert(!pvgpu_pages_free(&p, UINT64_MAX));
	ck_assert(pvgpu_pages_free(&p, 0));
	for (unsigned int i = 0; i < PAGES * 64; i++) /* 64-byte slots, all of them */
		failures += pvgpu_pages_alloc(&p, 64) < 0;
	ck_assert_int_eq(pvgpu_pages_alloc(&p, 1), -1);
	ck_assert_uint_eq(p.used, PAGES);
	for (unsigned int i = 0; i < PAGES * 64; i++)
		failures += !pvgpu_pages_free(&p, i * 64ull);
	ck_assert_uint_eq(failures, 0);
	/* All free runs have been merged again. */
	ck_assert_int_eq(pvgpu_pages_alloc(&p, (uint64_t)PAGES * PVGPU_PAGE), 0);
}
END_TEST

/* Change the owner of [at, at + len); false: not all of it had the first owner. */
static bool pass(uint64_t at, uint64_t len, unsigned char from, unsigned char to)
{
	bool ok = true;

	for (uint64_t i = at; i < at + len; i++) {
		ok &= owner[i] == from;
		owner[i] = to;
	}
	return ok;
}

START_TEST(random_use)
{
	struct {
		int64_t at;
		uint64_t len;
	} live[LIVE] = {{0}};
	unsigned int seed = (unsigned int)_i;

	for (int step = 0; step < 3000; step++) {
		const unsigned int k = (unsigned int)rand_r(&seed) % LIVE;

		if (live[k].len) {
			ck_assert(pvgpu_pages_free(&p, (uint64_t)live[k].at));
			ck_assert(
				pass((uint64_t)live[k].at, live[k].len, (unsigned char)(k + 1), 0));
			live[k].len = 0;
			continue;
		}
		live[k].len = 1 + (unsigned int)rand_r(&seed) % (step % 3 ? 3000 : 60000);
		live[k].at = pvgpu_pages_alloc(&p, live[k].len);
		if (live[k].at < 0)
			live[k].len = 0;
		else
			ck_assert(
				pass((uint64_t)live[k].at, live[k].len, 0, (unsigned char)(k + 1)));
	}
	for (unsigned int k = 0; k < LIVE; k++)
		if (live[k].len)
			ck_assert(pvgpu_pages_free(&p, (uint64_t)live[k].at));
	ck_assert_uint_eq(p.used, 0);
	ck_assert_int_eq(pvgpu_pages_alloc(&p, (uint64_t)PAGES * PVGPU_PAGE), 0);
}
END_TEST

/* No allocation begins in free pages, whatever began there before. */
START_TEST(stale_bookkeeping)
{
	int64_t a = pvgpu_pages_alloc(&p, 8 * PVGPU_PAGE), b, c;

	ck_assert(pvgpu_pages_free(&p, (uint64_t)a));
	b = pvgpu_pages_alloc(&p, 2 * PVGPU_PAGE);
	ck_assert_int_eq(a, b);
	for (uint64_t i = 2; i < 8; i++)
		ck_assert(!pvgpu_pages_free(&p, (uint64_t)a + i * PVGPU_PAGE));
	c = pvgpu_pages_alloc(&p, 100);
	ck_assert(!pvgpu_pages_free(&p, (uint64_t)c + 64));
	ck_assert(!pvgpu_pages_free(&p, (uint64_t)c + 128));
	ck_assert(pvgpu_pages_free(&p, (uint64_t)c));
	ck_assert(!pvgpu_pages_free(&p, (uint64_t)c));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arena");
	TCase *t = tcase_create("pages");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sizes_and_alignment);
	tcase_add_test(t, everything_and_nothing);
	tcase_add_loop_test(t, random_use, 0, 6);
	tcase_add_test(t, stale_bookkeeping);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
