/* SPDX-License-Identifier: MIT */
/*
 * The driver of the scheduling library, under a clock that the test sets (ld --wrap): how long
 * workers that lie about draining are allowed to, and how often limits wake pvgpud.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/daemon/schedule_clock.h"
#include "xen-pvgpu-back/daemon/rules/judge.h"
#include "xen-pvgpu-back/daemon/rules/overdue.h"

#define LIMIT_NS  (2000 * MS) /* kernel-limit */
#define GRACE_NS  (300 * MS)
#define ROUND_MS  100u /* of the far end's accounting */
#define LAG_NS    (50 * MS)
#define CHANGE_NS (MS / 50) /* the GPU changes contexts */

static void setup(void)
{
	start_clock();
	start(SCHED_FAIR, false);
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
					 .others_ns = clock_ns / (shape->others + 1) *
						      shape->others};
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
static uint64_t issued, issued_by[TENANTS];
static unsigned int idle; /* this one asks for nothing; TENANTS: none */

/* The workers use their whole allowance at once, then wait for more. */
static bool use_up(void)
{
	bool any = false;

	for (unsigned int i = 0; i < TENANTS; i++) {
		struct fake *f = &limited[i];

		if (!f->g || i == idle || f->says->commands >= f->word->commands)
			continue;
		issued += f->word->commands - f->says->commands;
		issued_by[i] += f->word->commands - f->says->commands;
		f->says->commands = f->word->commands;
		want(f);
		any = true;
	}
	return any;
}

static void setup_limits(void)
{
	setup();
	issued = 0;
	idle = TENANTS;
	memset(issued_by, 0, sizeof(issued_by));
	memset(limited, 0, sizeof(limited));
}

static struct fake join_limited(struct tenant *t)
{
	struct fake f = join(t, false);

	f.says->drained = 1;
	return f;
}

/* Passes so many seconds and forgets what was issued before. */
static void pass_seconds(unsigned int n)
{
	issued = 0;
	memset(issued_by, 0, sizeof(issued_by));
	pass(n * 1000 * MS, use_up);
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
		setup_limits();
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

/* Each of a vGPU's sessions gets its part of the vGPU's rate. */
START_TEST(sessions_share_a_rate)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
					.commands_per_s = 1000};
	struct tenant *t;

	setup_limits();
	t = tenant_new(s, NULL, &p, NULL);
	for (unsigned int i = 0; i < 3; i++)
		limited[i] = join_limited(t);
	pass_seconds(WAKEUPS_S);
	ck_assert_uint_ge(issued, WAKEUPS_S * 1000 * 95 / 100);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_uint_ge(issued_by[i], issued / 3 * 80 / 100);
	for (unsigned int i = 0; i < 3; i++)
		leave(&limited[i]);
	tenant_free(t);
	finish();
}
END_TEST

static void between(uint64_t n, uint64_t least, uint64_t most)
{
	ck_assert_uint_ge(n, least);
	ck_assert_uint_le(n, most);
}

static const uint64_t group_rates[] = {5, 700, 20000, 1000000000};

/* vGPUs whose rate is limited together: what one leaves goes to the others, in equal parts. */
START_TEST(rates_of_a_group)
{
	const uint64_t per_s = group_rates[_i], all = WAKEUPS_S * per_s;
	struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};
	struct rates *r = rates_new();
	struct tenant *t[4];

	setup_limits();
	ck_assert_ptr_nonnull(r);
	rates_set(r, per_s, 0);
	for (unsigned int i = 0; i < 4; i++) {
		t[i] = tenant_new(s, NULL, &p, NULL);
		/* One has a session when it comes. */
		if (i == 3)
			limited[i] = join_limited(t[i]);
		tenant_rates(t[i], r);
		if (i < 3)
			limited[i] = join_limited(t[i]);
	}
	fired = 0;
	pass_seconds(WAKEUPS_S);
	ck_assert_uint_le(fired, 2 * WAKEUPS_S * 1001);
	between(issued, all * 95 / 100, all + per_s / 10 + per_s / 500 + 8);
	for (unsigned int i = 0; i < 4; i++)
		between(issued_by[i], all / 4 * 85 / 100, all / 4 * 115 / 100 + per_s / 20 + 2);
	/* One that has nothing to do leaves its part to the others. */
	idle = 0;
	pass_seconds(WAKEUPS_S);
	ck_assert_uint_eq(issued_by[0], 0);
	between(issued, all * 95 / 100, all + 8);
	between(issued_by[1], all / 3 * 85 / 100, all / 3 * 115 / 100 + 2);
	/* So does one with a lower limit of its own. */
	idle = TENANTS;
	p.commands_per_s = per_s / 10 + 1;
	tenant_set(t[1], &p);
	pass_seconds(WAKEUPS_S);
	between(issued_by[1], 0, WAKEUPS_S * p.commands_per_s + p.commands_per_s / 5 + 4);
	between(issued, all * 90 / 100, all + per_s / 10 + per_s / 500 + 8);
	/* Live; one that is no member any more has only its own limit. */
	rates_set(r, per_s * 2, 0);
	tenant_rates(t[1], NULL);
	pass_seconds(WAKEUPS_S);
	between(issued_by[1], WAKEUPS_S * p.commands_per_s * 90 / 100,
		(WAKEUPS_S + 1) * p.commands_per_s + p.commands_per_s / 500 + 4);
	between(issued - issued_by[1], 2 * all * 90 / 100, 2 * all + per_s + 8);
	rates_set(r, 0, 0);
	for (unsigned int i = 0; i < 4; i++) {
		if (i != 1)
			ck_assert_uint_eq(limited[i].word->commands, PVGPU_GATE_NO_LIMIT);
		leave(&limited[i]);
		tenant_free(t[i]);
	}
	ck_assert(!rates_has_members(r));
	rates_free(r);
	finish();
}
END_TEST

/* The vGPUs of a group may be on several GPUs. */
START_TEST(rates_of_a_group_in_two_pools)
{
	const struct sched_params params = {.policy = SCHED_FAIR, .slice_ns = MS};
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};
	struct rates *r = rates_new();
	struct schedule *other;
	struct tenant *t[2];

	setup_limits();
	other = schedule_new(loop, "other", &params);
	ck_assert_ptr_nonnull(other);
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = tenant_new(i ? other : s, NULL, &p, NULL);
		tenant_rates(t[i], r);
		limited[i] = join_limited(t[i]);
		ck_assert_uint_eq(limited[i].word->commands, PVGPU_GATE_NO_LIMIT);
	}
	rates_set(r, 1000, 0);
	/* Two timers cannot be played here: what each has at once is within one burst. */
	use_up();
	between(issued, 2, 102);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_uint_gt(issued_by[i], 0);
		leave(&limited[i]);
		tenant_free(t[i]);
	}
	rates_free(r);
	schedule_free(other);
	finish();
}
END_TEST

/* No turn of the loop and no time passes between a change of settings and the decision by it. */
START_TEST(a_setting_decides_at_once)
{
	struct tenant_policy p = {.share = {.class = SCHED_LOW, .weight = 100}};
	struct tenant *a, *b;
	struct fake fa, fb;

	setup();
	a = tenant(100);
	b = tenant(100);
	tenant_set(a, &p);
	tenant_set(b, &p);
	fa = join(a, false);
	fb = join(b, false);
	want(&fa);
	bells();
	ck_assert(is_open(&fa));
	fa.says->drained = fa.says->sleeps = 0;
	fa.says->inflight_ns = MS / 10;
	want(&fb);
	bells();
	ck_assert(is_open(&fa) && !is_open(&fb));
	p.share.class = SCHED_HIGH;
	tenant_set(b, &p);
	ck_assert(!is_open(&fa));
	fa.says->drained = 1;
	fa.says->inflight_ns = 0;
	ring(&fa);
	bells();
	ck_assert(is_open(&fb));
	leave(&fa);
	leave(&fb);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

static struct fake both[2];

static bool both_work(void)
{
	const bool rings = !is_open(&both[0]) && !both[0].says->drained;
	const bool ring_too = !is_open(&both[1]) && !both[1].says->drained;

	saturate(&both[0]);
	saturate(&both[1]);
	return rings || ring_too;
}

/* Each timer is late by so much, and the workers take no time: what is left is the GPU's change of
 * contexts. In an exclusive pool no hand-over begins before the end of what is in flight. */
START_TEST(cost_of_a_hand_over)
{
	static const struct sched_params alone = {
		.policy = SCHED_FAIR, .exclusive = true, .slice_ns = MS};
	static const uint64_t late[] = {0, MS / 10, MS / 2};
	struct tenant *t[2];

	setup();
	schedule_set(s, &alone);
	late_ns = late[_i];
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = tenant(100);
		both[i] = join(t[i], false);
		want(&both[i]);
	}
	bells();
	pass(10000 * MS, both_work);
	ck_assert_uint_gt(schedule_handovers(s), 50);
	ck_assert_uint_ge(schedule_handover_ns(s), (CHANGE_NS + late_ns) * 99 / 100);
	ck_assert_uint_le(schedule_handover_ns(s), CHANGE_NS + late_ns);
	for (unsigned int i = 0; i < 2; i++) {
		leave(&both[i]);
		tenant_free(t[i]);
	}
	finish();
}
END_TEST

static bool low_works(void)
{
	saturate(&bad);
	return false;
}

/* Less is in flight while one of a higher class comes and goes; more again when it stays away. */
START_TEST(a_high_one_comes_and_goes)
{
	const struct tenant_policy high = {.share = {.class = SCHED_HIGH, .weight = 100}};
	struct tenant_stats n;

	setup();
	bad_tenant = tenant(100);
	good_tenant = tenant(100);
	tenant_set(good_tenant, &high);
	bad = join(bad_tenant, false);
	good = join(good_tenant, false);
	want(&bad);
	bells();
	pass(10 * MS, low_works);
	ck_assert(is_open(&bad));
	ck_assert_uint_eq(bad.word->inflight_ns, PVGPU_GATE_ALONE_NS * 3 / 4);
	want(&good);
	bells();
	pass(10 * MS, low_works);
	ck_assert(is_open(&good) && !is_open(&bad));
	good.says->wants = 0;
	ring(&good);
	bells();
	pass(10 * MS, low_works);
	ck_assert(is_open(&bad) && !is_open(&good));
	ck_assert_uint_eq(bad.word->contended, 0);
	ck_assert_uint_eq(bad.word->inflight_ns, PVGPU_GATE_ALONE_NS * 3 / 8);
	pass(1000 * MS, low_works);
	tenant_stats(bad_tenant, &n);
	ck_assert_uint_eq(bad.word->inflight_ns, PVGPU_GATE_ALONE_NS * 3 / 4);
	leave(&good);
	leave(&bad);
	tenant_free(good_tenant);
	tenant_free(bad_tenant);
	finish();
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
	tcase_add_test(t, a_setting_decides_at_once);
	tcase_add_test(t, a_high_one_comes_and_goes);
	tcase_add_loop_test(t, cost_of_a_hand_over, 0, 3);
	tcase_add_loop_test(t, held_to_the_kernel_limit, OLDEST_NONE, OLDEST_STANDS + 1);
	tcase_add_test(t, held_when_it_issues_more);
	tcase_add_loop_test(t, honest_ones_are_left_alone, 0,
			    (int)(sizeof(honest_ones) / sizeof(honest_ones[0])));
	tcase_add_test(t, found_by_the_accounting);
	tcase_add_loop_test(t, found_by_the_accounting, HONEST, HONEST + 1);
	tcase_add_test(t, sessions_share_a_rate);
	tcase_add_loop_test(t, rates_of_a_group, 0,
			    (int)(sizeof(group_rates) / sizeof(group_rates[0])));
	tcase_add_test(t, rates_of_a_group_in_two_pools);
	tcase_add_loop_test(t, wakeups_of_limits, 0, (int)(sizeof(rates_) / sizeof(rates_[0])));
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
