/* SPDX-License-Identifier: MIT */
/*
 * The driver of the scheduling library, under a clock that the test sets (ld --wrap): how long
 * workers that lie about draining are allowed to, and how often limits wake pvgpud.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

#include "tests/unit/daemon/schedule_fake.h"
#include "xen-pvgpu-back/daemon/rules/judge.h"
#include "xen-pvgpu-back/daemon/rules/overdue.h"

#define LIMIT_NS (2000 * MS) /* kernel-limit */
#define GRACE_NS (300 * MS)
#define ROUND_MS 100u /* of the far end's accounting */
#define LAG_NS   (50 * MS)

static uint64_t clock_ns, timer_at, fired;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);

/* The scheduler's clock is the only one that this program asks for. */
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = (struct timespec){.tv_sec = (time_t)(clock_ns / (1000 * MS)),
			       .tv_nsec = (long)(clock_ns % (1000 * MS))};
	return 0;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was)
{
	ck_assert_int_eq(flags, TFD_TIMER_ABSTIME);
	timer_at = (uint64_t)at->it_value.tv_sec * 1000 * MS + (uint64_t)at->it_value.tv_nsec;
	return 0;
}

static void setup(void)
{
	clock_ns = 1000000 * MS;
	timer_at = SCHED_NEVER;
	start(SCHED_FAIR, false);
}

static void bells(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void fire(void)
{
	const struct itimerspec at_once = {.it_value.tv_nsec = 1};
	uint64_t before = schedule_wakeups(s);

	clock_ns = timer_at > clock_ns ? timer_at : clock_ns;
	timer_at = SCHED_NEVER;
	fired++;
	__real_timerfd_settime(s->timer, 0, &at_once, NULL);
	while (schedule_wakeups(s) == before)
		ev_run(loop, EVRUN_ONCE);
}

/* Time passes, and `work` plays the workers after each event. It returns true if they did anything.
 */
static void pass(uint64_t ns, bool (*work)(void))
{
	uint64_t end = clock_ns + ns;

	for (;;) {
		while (work())
			bells();
		if (timer_at > end)
			break;
		fire();
	}
	clock_ns = end;
	while (work())
		bells();
}

/* ---- a worker that does not stop when its gate closes ---- */

enum lie {
	OLDEST_NONE,   /* not drained, and nothing is unfinished */
	OLDEST_NOW,    /* unfinished work, always reported as just begun */
	OLDEST_CREEPS, /* unfinished work, reported as younger each time */
	OLDEST_STANDS, /* one long kernel */
	ISSUES, /* one long kernel, and another one in each moment in which its gate is open */
	HONEST  /* one long kernel, and it is true */
};

static struct tenant *good_tenant, *bad_tenant;
static struct fake good, bad;
static enum lie how;
static bool began, was_open;

static bool work(void)
{
	bool open = is_open(&bad), rings = !is_open(&good) && !good.says->drained;

	saturate(&good);
	if (!began) {
		began = open;
		bad.says->oldest_ns = open ? clock_ns : 0;
		bad.says->commands += open;
	}
	if (!began)
		return rings;
	bad.says->drained = bad.says->sleeps = 0;
	bad.says->wants = 1;
	bad.says->inflight_ns = MS / 10;
	if (how == OLDEST_NONE)
		bad.says->oldest_ns = 0;
	else if (how == OLDEST_NOW)
		bad.says->oldest_ns = clock_ns;
	else if (how == OLDEST_CREEPS)
		bad.says->oldest_ns++;
	else if (how == ISSUES && open && !was_open)
		bad.says->commands++, bad.says->oldest_ns = clock_ns;
	was_open = open;
	return rings;
}

static void meet(enum lie lie, uint32_t weight)
{
	how = lie;
	began = was_open = false;
	good_tenant = tenant(100);
	bad_tenant = tenant(weight);
	good = join(good_tenant, false);
	bad = join(bad_tenant, false);
	want(&bad);
	bells();
	want(&good);
	bells();
}

static void part(void)
{
	leave(&good);
	leave(&bad);
	tenant_free(good_tenant);
	tenant_free(bad_tenant);
	finish();
}

/* The watchdog's verdict, and when it came. */
static enum overdue_do watch_it(uint64_t for_ns, uint64_t *closed)
{
	struct overdue w = {0};
	uint64_t end = clock_ns + for_ns, again = 0, next = 0;
	enum overdue_do what = OVERDUE_NOTHING;

	*closed = 0;
	while (clock_ns < end && what != OVERDUE_END) {
		struct overdue_view v = {
			.session_began = 1000000 * MS, .limit_ns = LIMIT_NS, .grace_ns = GRACE_NS};

		pass(5 * MS, work);
		if (!*closed)
			*closed = gate_closing_since(bad.g);
		if (clock_ns < next)
			continue;
		v.now = clock_ns;
		v.oldest = bad.says->oldest_ns;
		v.closed = gate_closing_since(bad.g);
		overdue_take(&w, &v);
		what = overdue_look(&w, &v, &again);
		if (what == OVERDUE_HOLD)
			gate_keep_closed(bad.g, true);
		next = clock_ns + again;
	}
	return what;
}

/* pvgpud itself is starved of CPU between reading the clock and reading the report. */
START_TEST(drained_while_nobody_looked)
{
	struct tenant *a, *b;
	struct fake f, other;
	uint64_t before, then, at;

	setup();
	a = tenant(100);
	b = tenant(100);
	f = join(a, false);
	other = join(b, false);
	want(&f);
	bells();
	ck_assert(is_open(&f));
	f.says->sleeps = f.says->drained = 0;
	f.says->commands = 1;
	f.says->oldest_ns = clock_ns;
	want(&other);
	bells();
	while (is_open(&f))
		fire();
	then = clock_ns;
	before = gate_granted_time(f.g, &at);
	clock_ns += 600 * MS;
	f.says->drained = 1;
	f.says->oldest_ns = 0;
	gate_take(f.g, then);
	ck_assert_uint_eq(gate_granted_time(f.g, &at), before + 600 * MS);
	leave(&f);
	leave(&other);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

/* Whatever the worker reports, and whenever its gate opens for a moment because its work hangs. */
START_TEST(held_to_the_kernel_limit)
{
	uint64_t closed;

	setup();
	meet((enum lie)_i, 100);
	ck_assert_int_eq(watch_it(60000 * MS, &closed), OVERDUE_END);
	ck_assert_uint_gt(closed, 0);
	ck_assert_uint_le(clock_ns,
			  closed + (how == OLDEST_STANDS ? 1 : 2) * LIMIT_NS + GRACE_NS + 20 * MS);
	part();
}
END_TEST

/* A worker that issues another kernel whenever its gate opens: each kernel has the limit, and the
 * gate opens so only as long as the others lose nothing by it. */
START_TEST(held_when_it_issues_more)
{
	uint64_t closed;

	setup();
	meet(ISSUES, 1);
	ck_assert_int_eq(watch_it(120000 * MS, &closed), OVERDUE_END);
	ck_assert_uint_le(clock_ns, closed + 30000 * MS + 2 * LIMIT_NS + GRACE_NS + 1000 * MS);
	part();
}
END_TEST

/* ---- honest workers with kernels of nearly the limit ---- */

static const struct honest {
	unsigned int streams, others; /* others: vGPUs with long work, too, that get their parts */
	bool behind;                  /* each kernel has another one behind it */
} honest_ones[] = {{1, 0, false}, {2, 0, false}, {1, 0, true}, {1, 1, false}, {1, 3, false}};
static uint64_t ends[2]; /* of what is in flight in its streams; 0: nothing */
static bool queued;      /* one more behind it */
static unsigned int done;
static const struct honest *shape;
#define KERNEL_NS (1900 * MS * (shape->others + 1))

/* A kernel in each stream, and another one behind it when it has ended and the gate is open. */
static bool long_kernels(void)
{
	bool rings = !is_open(&good) && !good.says->drained, open = is_open(&bad);
	uint64_t oldest = 0;

	saturate(&good);
	for (unsigned int i = 0; i < shape->streams; i++) {
		if (ends[i] && clock_ns >= ends[i]) {
			ends[i] = queued ? ends[i] + KERNEL_NS : 0;
			queued = false;
			done++;
		}
		if (!ends[i] && open) {
			ends[i] = clock_ns + KERNEL_NS;
			queued = shape->behind;
			bad.says->commands += 1 + queued;
		}
		if (ends[i] && (!oldest || ends[i] - KERNEL_NS < oldest))
			oldest = ends[i] - KERNEL_NS;
	}
	bad.says->oldest_ns = oldest;
	bad.says->inflight_ns = oldest ? KERNEL_NS : 0;
	if (oldest) {
		bad.says->drained = bad.says->sleeps = 0;
	} else if (!bad.says->drained) {
		want(&bad);
		rings = true;
	}
	return rings;
}

START_TEST(honest_ones_are_left_alone)
{
	struct overdue w = {0};
	uint64_t end;

	setup();
	shape = &honest_ones[_i];
	memset(ends, 0, sizeof(ends));
	done = 0;
	queued = false;
	meet(HONEST, 100);
	for (end = clock_ns + (shape->others + 1) * 50000 * MS; clock_ns < end;) {
		struct overdue_view v = {.session_began = 1000000 * MS,
					 .limit_ns = LIMIT_NS,
					 .grace_ns = GRACE_NS,
					 .others = shape->others};
		uint64_t again;

		pass(5 * MS, long_kernels);
		v.now = clock_ns;
		v.oldest = bad.says->oldest_ns;
		v.closed = gate_closing_since(bad.g);
		overdue_take(&w, &v);
		ck_assert_int_le(overdue_look(&w, &v, &again), OVERDUE_ASK);
	}
	ck_assert_uint_gt(done, 20 * shape->streams);
	part();
}
END_TEST

/* ---- the far end's accounting ---- */

/* The far end counts half of the GPU for the worker while its gate is closed. */
START_TEST(found_by_the_accounting)
{
	bool honest = _i == HONEST;
	uint64_t begin, from, used = 0, granted, now;
	struct judge j = {0};
	bool found = false;
	char why[128];

	setup();
	meet((enum lie)_i, 100);
	while (!gate_closing_since(bad.g))
		pass(MS, work);
	begin = from = clock_ns;
	/* A kernel of 1.9 s, in the honest one's case. */
	while (!found && clock_ns < begin + 1900 * MS) {
		used = 0;
		for (unsigned int i = 0; i < ROUND_MS; i++) {
			pass(MS, work);
			used += is_open(&good) ? MS / 2 : MS;
		}
		clock_ns += LAG_NS;
		granted = gate_granted_time(bad.g, &now);
		found = judge_use(&j, from, clock_ns - LAG_NS, used, granted, now, why,
				  sizeof(why));
		clock_ns -= LAG_NS;
		from = clock_ns;
	}
	ck_assert_int_eq(found, !honest);
	if (!honest)
		ck_assert_uint_le(clock_ns - begin, 800 * MS);
	part();
}
END_TEST

/* ---- limits ---- */

#define TENANTS   8u
#define WAKEUPS_S 4u

static struct fake limited[TENANTS];
static uint64_t issued;

/* The workers use their whole allowance at once, then wait for more. */
static bool use_up(void)
{
	bool any = false;

	for (unsigned int i = 0; i < TENANTS; i++) {
		struct fake *f = &limited[i];

		if (!f->g || f->says->commands >= f->word->commands)
			continue;
		issued += f->word->commands - f->says->commands;
		f->says->commands = f->word->commands;
		want(f);
		any = true;
	}
	return any;
}

static const struct {
	uint64_t per_s, burst;
} rates_[] = {{1, 1}, {700, 1}, {5000, 3}, {1000000000, 1}, {1000000000, 1000000000}};

/* Whatever the settings, limits wake pvgpud at most 1,000 times a second, and the promised rates
 * are met. */
START_TEST(wakeups_of_limits)
{
	struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
				  .commands_per_s = rates_[_i].per_s,
				  .commands_burst = rates_[_i].burst};
	unsigned int n = 1;
	struct tenant *t[TENANTS];

	for (; n <= TENANTS; n += TENANTS - 1) {
		setup();
		issued = 0;
		memset(limited, 0, sizeof(limited));
		for (unsigned int i = 0; i < n; i++) {
			t[i] = tenant_new(s, NULL, &p, NULL);
			limited[i] = join(t[i], false);
			/* All gates are open all the time: only limits act. */
			limited[i].says->drained = 1;
		}
		fired = 0;
		pass(WAKEUPS_S * 1000 * MS, use_up);
		/* Several hand over to each other, too, as those do that have no limits. */
		ck_assert_uint_le(fired, (n > 1 ? 2 : 1) * WAKEUPS_S * 1001);
		ck_assert_uint_ge(issued, n * WAKEUPS_S * p.commands_per_s * 95 / 100);
		ck_assert_uint_le(issued, n * (WAKEUPS_S * p.commands_per_s + p.commands_burst +
					       p.commands_per_s / 500 + 2));
		for (unsigned int i = 0; i < n; i++) {
			leave(&limited[i]);
			tenant_free(t[i]);
		}
		finish();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_clock");
	TCase *t = tcase_create("schedule_clock");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, drained_while_nobody_looked);
	tcase_add_loop_test(t, held_to_the_kernel_limit, OLDEST_NONE, OLDEST_STANDS + 1);
	tcase_add_test(t, held_when_it_issues_more);
	tcase_add_loop_test(t, honest_ones_are_left_alone, 0,
			    (int)(sizeof(honest_ones) / sizeof(honest_ones[0])));
	tcase_add_test(t, found_by_the_accounting);
	tcase_add_loop_test(t, found_by_the_accounting, HONEST, HONEST + 1);
	tcase_add_loop_test(t, wakeups_of_limits, 0, (int)(sizeof(rates_) / sizeof(rates_[0])));
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
