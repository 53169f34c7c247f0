/* SPDX-License-Identifier: MIT */
/* When work has been on the GPU for too long. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/rules/overdue.h"

#define MS 1000000ull

static struct overdue w;
static struct overdue_view v;
static uint64_t again;
static unsigned int others; /* each has the same part of the time */

static void setup(void)
{
	others = 0;
	w = (struct overdue){0};
	v = (struct overdue_view){.now = 1000000 * MS,
				  .session_began = 900000 * MS,
				  .limit_ns = 1000 * MS,
				  .grace_ns = 300 * MS};
}

static enum overdue_do look(uint64_t later_ms)
{
	v.now += later_ms * MS;
	v.others_ns += later_ms * MS / (others + 1) * others;
	overdue_take(&w, &v);
	return overdue_look(&w, &v, &again);
}

/* As the timer does: look whenever it is due, for that time or until there is something to do
 * other than asking the worker. */
static enum overdue_do run(uint64_t ms)
{
	uint64_t end = v.now + ms * MS;
	enum overdue_do what = look(0);

	while ((what == OVERDUE_NOTHING || what == OVERDUE_ASK) && v.now < end) {
		const uint64_t ns = again < end - v.now ? again : end - v.now;

		v.now += ns;
		v.others_ns += ns / (others + 1) * others;
		what = look(0);
	}
	return what;
}

START_TEST(idle_is_nothing)
{
	ck_assert_int_eq(run(100000), OVERDUE_NOTHING);
	ck_assert_uint_le(again, 500 * MS);
}
END_TEST

START_TEST(endless_work_is_ended_in_time)
{
	uint64_t begin = v.now;

	v.oldest = begin;
	ck_assert_int_eq(run(100000), OVERDUE_HOLD);
	ck_assert_uint_eq(v.now - begin, 1000 * MS);
	ck_assert(w.oldest.asked);
	v.closed = v.now; /* holding a vGPU closes its gate */
	ck_assert_int_eq(run(100000), OVERDUE_END);
	ck_assert_uint_eq(v.now - begin, 1300 * MS);
	ck_assert_uint_eq(overdue_age(&w, v.now), 1300 * MS);
}
END_TEST

/* A simulated GPU on a busy machine: time without a processor does not count. */
START_TEST(a_simulated_gpu_has_its_own_time)
{
	const uint64_t begin = v.now;

	v.starved_known = true;
	v.starved_ns = 77 * MS;
	v.oldest = begin;
	/* It gets a tenth of the time; the first look comes after 50 ms. */
	while (v.now - begin < 8000 * MS) {
		look(50);
		ck_assert_uint_eq(w.held, 0);
		v.starved_ns += 45 * MS;
	}
	ck_assert_uint_ge(overdue_age(&w, v.now), 800 * MS);
	ck_assert_uint_le(overdue_age(&w, v.now), 850 * MS);
	/* Several threads that wait: no more than the clock. */
	v.starved_ns += 500 * MS;
	look(100);
	ck_assert_uint_le(overdue_age(&w, v.now), 850 * MS);
	/* A worker that sleeps is not starved. */
	ck_assert_int_eq(look(400), OVERDUE_HOLD);
}
END_TEST

/* How long it has waited for a processor is asked from an eighth of the limit on. */
START_TEST(starved_is_asked_late)
{
	const uint64_t begin = v.now;

	v.oldest = begin;
	look(0);
	while (!overdue_asks_starved(&w, &v)) {
		look(25);
		ck_assert_uint_le(v.now - begin, 125 * MS);
	}
	ck_assert_uint_eq(v.now - begin, 125 * MS);
	/* A tenth of the time, and the eighth. */
	while (v.now - begin < 8000 * MS) {
		v.starved_known = overdue_asks_starved(&w, &v);
		look(50);
		ck_assert_uint_eq(w.held, 0);
		v.starved_ns += 45 * MS;
	}
	ck_assert_uint_ge(overdue_age(&w, v.now), 900 * MS);
	/* Of 36 that share the GPU each is young for long. */
	others = 35;
	v.oldest = v.now;
	v.starved_known = false;
	for (int i = 0; i < 3600 / 50; i++) {
		look(50);
		ck_assert(!overdue_asks_starved(&w, &v));
	}
	others = 0;
	v.limit_ns = 0;
	look(100000);
	ck_assert(!overdue_asks_starved(&w, &v));
}
END_TEST

/* In an exclusive pool others wait for it: the clock counts. */
START_TEST(an_exclusive_simulated_gpu)
{
	v.exclusive = v.starved_known = true;
	v.oldest = v.now;
	look(0);
	v.starved_ns = 100000 * MS;
	ck_assert_int_eq(run(100000), OVERDUE_HOLD);
}
END_TEST

START_TEST(the_worker_is_asked_before_it_is_judged)
{
	v.oldest = v.now;
	ck_assert_int_eq(look(499), OVERDUE_NOTHING);
	ck_assert_int_eq(look(1), OVERDUE_ASK);
	ck_assert_int_eq(look(1), OVERDUE_NOTHING);
	v.oldest = 0; /* it had ended long ago */
	ck_assert_int_eq(run(10000), OVERDUE_NOTHING);
}
END_TEST

START_TEST(work_that_goes_on_is_never_too_long)
{
	for (int i = 0; i < 1000; i++) {
		v.oldest = v.now;
		ck_assert_int_eq(run(900), OVERDUE_NOTHING);
	}
}
END_TEST

START_TEST(what_ends_in_the_grace_is_forgiven)
{
	v.oldest = v.now;
	ck_assert_int_eq(run(100000), OVERDUE_HOLD);
	v.closed = v.now;
	ck_assert_int_eq(look(299), OVERDUE_NOTHING);
	v.oldest = v.closed = 0;
	ck_assert_int_eq(look(1), OVERDUE_RELEASE);
	ck_assert_int_eq(run(10000), OVERDUE_NOTHING);
	/* The next piece of work has the full limit. */
	v.oldest = v.now;
	ck_assert_int_eq(look(999), OVERDUE_ASK);
	ck_assert_int_eq(look(1), OVERDUE_HOLD);
}
END_TEST

START_TEST(without_a_limit_nothing_is_too_long)
{
	v.limit_ns = 0;
	v.oldest = v.now;
	ck_assert_int_eq(run(10000000), OVERDUE_NOTHING);
	/* A limit that is set later also applies to running work; removing the limit releases the
	 * work. */
	v.limit_ns = 1000 * MS;
	ck_assert_int_eq(look(0), OVERDUE_ASK);
	ck_assert_int_eq(look(1), OVERDUE_HOLD);
	v.limit_ns = 0;
	ck_assert_int_eq(look(1), OVERDUE_RELEASE);
}
END_TEST

/* An impossible start time is corrected, in either direction. */
START_TEST(hostile_reports)
{
	v.oldest = 1;
	look(0);
	ck_assert_uint_eq(w.oldest.begin, v.session_began);
	v.oldest = UINT64_MAX;
	look(0);
	ck_assert_uint_eq(w.oldest.begin, v.now);
	ck_assert_uint_eq(overdue_age(&w, v.now), 0);
}
END_TEST

/* The worker reports no work in flight, or newer work, and yet has not drained: it may be draining
 * two kernels, one behind the other. */
START_TEST(not_drained_is_in_flight)
{
	v.closed = v.now;
	ck_assert_int_eq(look(1999), OVERDUE_ASK);
	v.oldest = v.now;
	ck_assert_int_eq(look(1), OVERDUE_HOLD);
	v.oldest = v.now;
	ck_assert_int_eq(look(300), OVERDUE_END);
}
END_TEST

/* No report about its work resets the clock that began when the gate closed. */
START_TEST(words_set_nothing_back)
{
	uint64_t begin = v.now, end = begin + 5000 * MS;
	enum overdue_do what = OVERDUE_NOTHING;

	v.closed = begin;
	for (uint64_t i = 0; what != OVERDUE_END; i++) {
		const uint64_t words[] = {v.now, begin + i, begin - i, begin - i % 2,
					  i % 2 ? 0 : 1};

		v.oldest = words[_i];
		ck_assert_uint_lt(v.now, end);
		what = look(7);
		if (what == OVERDUE_HOLD)
			ck_assert_uint_lt(v.now - begin, 2007 * MS);
	}
	ck_assert_uint_lt(v.now - begin, 2314 * MS);
	/* The worker reports that it has drained: from now on the far end's accounting judges it.
	 */
	v.oldest = v.closed = 0;
	ck_assert_int_eq(look(1), OVERDUE_RELEASE);
}
END_TEST

/* Another vGPU has half of the GPU's time, so 1.9 s count as 0.95 s. */
START_TEST(time_of_others_does_not_count)
{
	v.oldest = v.now;
	others = 1;
	ck_assert_int_ne(run(1900), OVERDUE_HOLD);
	ck_assert_uint_le(overdue_age(&w, v.now), 980 * MS);
	ck_assert_uint_ge(overdue_age(&w, v.now), 940 * MS);
	ck_assert_uint_le(again, 50 * MS);
	others = 0; /* the other one was ended */
	ck_assert_int_eq(run(1000), OVERDUE_HOLD);
	ck_assert_uint_ge(overdue_age(&w, v.now), 1000 * MS);
	ck_assert_uint_le(overdue_age(&w, v.now), 1001 * MS);
}
END_TEST

/* Two workers of a vGPU that is alone have long work. */
START_TEST(time_of_siblings_does_not_count)
{
	v.oldest = v.now;
	v.siblings = 1;
	ck_assert_int_ne(run(1900), OVERDUE_HOLD);
	ck_assert_uint_le(overdue_age(&w, v.now), 960 * MS);
	ck_assert_uint_ge(overdue_age(&w, v.now), 940 * MS);
	v.siblings = 0;
	ck_assert_int_eq(run(100), OVERDUE_HOLD);
}
END_TEST

START_TEST(what_waits_does_not_run)
{
	v.oldest = v.now;
	v.used_known = true;
	v.used_ns = 77;
	look(400);
	v.used_ns += 400 * MS;                          /* use of earlier work, reported late */
	ck_assert_int_eq(run(100000), OVERDUE_NOTHING); /* behind a host function, say */
	v.used_ns += 2000 * MS;
	ck_assert_int_eq(run(1000), OVERDUE_HOLD);
	ck_assert_int_eq(look(300), OVERDUE_END);
}
END_TEST

/* Where others wait until it has drained, the limit applies all the same. */
START_TEST(what_waits_blocks_an_exclusive_pool)
{
	v.used_known = true;
	v.exclusive = true;
	v.oldest = v.now;
	ck_assert_int_eq(run(100000), OVERDUE_NOTHING); /* no other vGPU waits for it */
	v.closed = v.now;
	ck_assert_int_eq(run(999), OVERDUE_NOTHING);
	/* Also when the worker reports nothing in flight, but not that it has drained. */
	v.oldest = 0;
	ck_assert_int_eq(run(1000), OVERDUE_NOTHING);
	ck_assert_int_eq(run(1), OVERDUE_HOLD);
	ck_assert_int_eq(look(300), OVERDUE_END);
}
END_TEST

START_TEST(long_work)
{
	v.oldest = v.now;
	look(0);
	ck_assert(!overdue_is_long(&w, v.now + 99 * MS));
	ck_assert(overdue_is_long(&w, v.now + 100 * MS));
	v.oldest = 0;
	look(1);
	ck_assert(!overdue_is_long(&w, v.now + 1000 * MS));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("overdue");
	TCase *t = tcase_create("overdue");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, idle_is_nothing);
	tcase_add_test(t, endless_work_is_ended_in_time);
	tcase_add_test(t, a_simulated_gpu_has_its_own_time);
	tcase_add_test(t, starved_is_asked_late);
	tcase_add_test(t, an_exclusive_simulated_gpu);
	tcase_add_test(t, the_worker_is_asked_before_it_is_judged);
	tcase_add_test(t, work_that_goes_on_is_never_too_long);
	tcase_add_test(t, what_ends_in_the_grace_is_forgiven);
	tcase_add_test(t, without_a_limit_nothing_is_too_long);
	tcase_add_test(t, hostile_reports);
	tcase_add_test(t, not_drained_is_in_flight);
	tcase_add_loop_test(t, words_set_nothing_back, 0, 5);
	tcase_add_test(t, time_of_others_does_not_count);
	tcase_add_test(t, time_of_siblings_does_not_count);
	tcase_add_test(t, what_waits_does_not_run);
	tcase_add_test(t, what_waits_blocks_an_exclusive_pool);
	tcase_add_test(t, long_work);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
