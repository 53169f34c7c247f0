/* SPDX-License-Identifier: MIT */
/*
 * A vGPU with a maximum that is alone: a program that launches a kernel, waits for it and goes on.
 * It is charged what it uses, and not the hand-overs that a turn for each kernel would take.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/daemon/schedule_clock.h"

#define US      1000ull
#define WAKE_NS (60 * US) /* from an open gate to the kernel's begin */

struct loop_of {
	uint64_t kernel_ns, pause_ns;
	uint32_t percent;     /* the maximum */
	unsigned int kernels; /* of a second: what it is due, less than it would use alone */
};

static const struct loop_of loops[] = {
	{100 * US, 100 * US, 20, 2000}, {100 * US, 100 * US, 50, 5000},
	{500 * US, 100 * US, 7, 140},   {500 * US, 100 * US, 50, 1000},
	{2000 * US, 200 * US, 50, 250}, {100 * US, 2000 * US, 50, 476},
	{100 * US, 10000 * US, 50, 98}, {20000 * US, 200 * US, 50, 25},
};

static const struct loop_of *now_of;
static struct tenant *t;
static struct fake f;
static uint64_t next_at; /* of the program or the GPU; SCHED_NEVER: it waits for its gate */
static unsigned int done;
static bool running, stopped;

static void setup_with(const struct loop_of *l)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM,
						  .weight = 100,
						  .max_ppm = l->percent * (SCHED_PPM / 100)}};
	const struct sched_params shared = {.policy = SCHED_FAIR, .slice_ns = 2 * MS};

	start_clock();
	start(SCHED_FAIR, false);
	schedule_set(s, &shared);
	now_of = l;
	t = tenant(100);
	tenant_set(t, &p);
	f = join(t, false);
	f.says->drained = 1;
	next_at = clock_ns;
	done = 0;
	running = stopped = false;
	fired = 0;
}

static void teardown(void)
{
	leave(&f);
	tenant_free(t);
	finish();
}

/* Its program has seen the end; the rest is said with the next command, unless others are to know
 * at once. */
static void say_idle(void)
{
	f.says->busy_ns = done * now_of->kernel_ns;
	f.says->inflight_ns = f.says->oldest_ns = f.says->wants = 0;
	f.says->drained = 1;
	ring(&f);
}

static void ends(void)
{
	running = false;
	done++;
	f.says->awaited = f.says->commands;
	next_at = stopped ? SCHED_NEVER : clock_ns + now_of->pause_ns;
	if (f.word->contended || !is_open(&f))
		say_idle();
}

static void launches(void)
{
	f.says->busy_ns = done * now_of->kernel_ns;
	f.says->inflight_ns = now_of->kernel_ns;
	f.says->oldest_ns = clock_ns;
	f.says->commands++;
	f.says->wants = 1;
	f.says->drained = f.says->sleeps = 0;
	running = true;
	next_at = clock_ns + now_of->kernel_ns;
}

static void acts(void)
{
	if (running) {
		ends();
	} else if (is_open(&f)) {
		launches();
	} else {
		f.says->busy_ns = done * now_of->kernel_ns;
		f.says->inflight_ns = f.says->oldest_ns = 0;
		want(&f);
		next_at = SCHED_NEVER;
	}
}

/* The worker is rung: its gate has opened, or it is asked whether it is idle. */
static void is_rung(void)
{
	if (!rung(&f) || running)
		return;
	if (is_open(&f) && f.says->sleeps)
		next_at = clock_ns + WAKE_NS;
	else if (f.word->contended)
		say_idle();
}

static void run(uint64_t ns)
{
	const uint64_t end = clock_ns + ns;

	for (;;) {
		bells();
		is_rung();
		bells();
		if (timer_at <= next_at && timer_at <= end) {
			fire();
		} else if (next_at <= end) {
			clock_ns = next_at;
			acts();
		} else {
			break;
		}
	}
	clock_ns = end;
}

/* It gets its maximum, or what it uses alone if that is less, and no more but for what is saved and
 * the last kernel. */
START_TEST(gets_its_maximum)
{
	const struct loop_of *l = &loops[_i];
	const unsigned int saved = (unsigned int)((2 * 2 * MS + 2 * MS) / l->kernel_ns) + 2;
	struct tenant_stats n;

	setup_with(l);
	run(1000 * MS);
	tenant_stats(t, &n);
	ck_assert_uint_ge(done, l->kernels * 95 / 100);
	ck_assert_uint_le(done, l->kernels + saved);
	ck_assert_uint_ge(n.gpu_ns, (done - 1) * l->kernel_ns);
	ck_assert_uint_le(n.gpu_ns, (done + 2) * l->kernel_ns + done * l->kernel_ns / 20 +
					    n.slices * WAKE_NS);
	teardown();
}
END_TEST

/* No bell and no timer for a kernel. */
START_TEST(is_not_woken_for_each_kernel)
{
	struct tenant_stats n;

	setup_with(&loops[1]);
	run(1000 * MS);
	tenant_stats(t, &n);
	ck_assert_uint_gt(done, 4500);
	ck_assert_uint_lt(n.slices, 300);
	ck_assert_uint_lt(schedule_wakeups(s), 3000);
	teardown();
}
END_TEST

/* While it rests nothing wakes pvgpud, and its gate is closed, so that it is heard when it goes on.
 */
START_TEST(rests_without_a_timer)
{
	uint64_t wakeups;

	setup_with(&loops[5]);
	run(1000 * MS);
	ck_assert(is_open(&f));
	stopped = true;
	run(100 * MS);
	ck_assert(!is_open(&f) && !t->vgpu.wants);
	wakeups = schedule_wakeups(s);
	run(100000 * MS);
	ck_assert_uint_eq(schedule_wakeups(s), wakeups);
	stopped = false;
	next_at = clock_ns;
	done = 0;
	run(1000 * MS);
	ck_assert_uint_gt(done, 400);
	teardown();
}
END_TEST

/* A kernel that does not end is charged while it runs. */
START_TEST(one_long_kernel)
{
	static const struct loop_of endless = {100000 * MS, MS, 50, 0};
	struct tenant_stats n;

	setup_with(&endless);
	run(1000 * MS);
	tenant_stats(t, &n);
	ck_assert_uint_ge(n.gpu_ns, 900 * MS);
	ck_assert(!is_open(&f));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_maximum");
	TCase *c = tcase_create("schedule_maximum");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, gets_its_maximum, 0, (int)(sizeof(loops) / sizeof(loops[0])));
	tcase_add_test(c, is_not_woken_for_each_kernel);
	tcase_add_test(c, rests_without_a_timer);
	tcase_add_test(c, one_long_kernel);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
