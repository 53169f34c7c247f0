/* SPDX-License-Identifier: MIT */
/* Several vGPUs that have the GPU at once (joint.c), with workers that the test plays. */
#include "xen-pvgpu-back/sched/turn/internal.h"
#include "tests/unit/daemon/schedule_fake.h"

enum { N = 3 };

static struct tenant *t[N];
static struct fake f[N];

/* It has shown that it uses little at a time, and wants the GPU. */
static void brief(struct fake *w)
{
	w->says->counts_full = 1;
	w->says->busy_ns += 100 * MS;
	want(w);
}

static void setup_of(bool exclusive, const uint32_t weight[N])
{
	start(SCHED_FAIR, exclusive);
	for (unsigned int i = 0; i < N; i++) {
		t[i] = tenant(weight[i]);
		f[i] = join(t[i], false);
	}
}

/* All are brief, and have the GPU at once. */
static void setup_at_once(const uint32_t weight[N])
{
	setup_of(false, weight);
	for (unsigned int i = 0; i < N; i++)
		brief(&f[i]);
	UNTIL(is_open(&f[0]) && is_open(&f[1]) && is_open(&f[2]));
}

static void teardown(void)
{
	for (unsigned int i = 0; i < N; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}

static const uint32_t alike[N] = {100, 100, 100};

/* It has taken its gate's opening, and has work on the GPU. */
static void run(struct fake *w)
{
	if (!is_open(w))
		return;
	w->says->sleeps = w->says->drained = 0;
	if (!w->says->inflight_ns)
		w->says->inflight_ns = MS / 10;
}

/* The GPU serves those whose gates are open in turn: each has a part of the time. It is idle where
 * the test itself was not run for long: nobody gets more than is in flight at a look. */
static void serve(uint64_t *since)
{
	const uint64_t now = schedule_now(), passed = now - *since < 2 * MS ? now - *since : 2 * MS;
	uint64_t open = 0;

	for (unsigned int i = 0; i < N; i++)
		open += is_open(&f[i]) && f[i].says->wants;
	for (unsigned int i = 0; i < N; i++) {
		if (!is_open(&f[i]) && !f[i].says->drained)
			want(&f[i]);
		if (!is_open(&f[i]) || !f[i].says->wants)
			continue;
		run(&f[i]);
		f[i].says->commands++;
		f[i].says->busy_ns += passed / open;
	}
	*since = now;
}

static uint64_t charged(unsigned int i)
{
	struct tenant_stats n;

	tenant_stats(t[i], &n);
	return n.gpu_ns;
}

START_TEST(all_at_once)
{
	uint64_t since = schedule_now(), handovers;

	setup_at_once(alike);
	handovers = schedule_handovers(s);
	for (unsigned int i = 0; i < N; i++) {
		run(&f[i]);
		ck_assert_uint_eq(f[i].word->contended, 0);
		ck_assert_uint_eq(f[i].word->learn, 0);
		ck_assert_uint_eq(f[i].word->inflight_ns,
				  window_brief(schedule_handover_ns(s), true));
		rung(&f[i]);
	}
	/* They work on, and nobody is woken. */
	while (charged(0) + charged(1) + charged(2) < 60 * MS) {
		turn();
		serve(&since);
	}
	ck_assert_uint_eq(schedule_handovers(s), handovers);
	teardown();
}
END_TEST

/* Whatever makes turns necessary: two gates are never open together. */
enum { EXCLUSIVE, FULL, DEEP, OLD_WORKER, CLASS, CASES };

START_TEST(turns)
{
	struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};
	uint64_t since = schedule_now();

	setup_of(_i == EXCLUSIVE, alike);
	if (_i == CLASS)
		p.share.class = SCHED_HIGH;
	tenant_set(t[0], &p);
	for (unsigned int i = 0; i < N; i++) {
		f[i].says->busy_ns = 100 * MS;
		f[i].says->counts_full = i || _i != OLD_WORKER;
		f[i].says->full = !i && _i == FULL;
		f[i].says->inflight_ns = !i && _i == DEEP ? 20 * MS : 0;
		want(&f[i]);
	}
	for (unsigned int k = 0; k < 100; k++) {
		turn();
		for (unsigned int i = 1; i < N; i++)
			ck_assert(!is_open(&f[0]) || !is_open(&f[i]));
		if (is_open(&f[0]) && _i == FULL)
			f[0].says->full++;
		serve(&since);
	}
	teardown();
}
END_TEST

/* Those with a maximum have the GPU together until they reach it, and again when they have saved a
 * slice. */
START_TEST(with_maxima)
{
	const struct tenant_policy p = {
		.share = {.class = SCHED_MEDIUM, .weight = 100, .max_ppm = SCHED_PPM / 4}};
	uint64_t since, began, before[N];
	unsigned int with = 0, without = 0;

	setup_at_once(alike);
	for (unsigned int i = 0; i < N; i++)
		tenant_set(t[i], &p);
	since = began = schedule_now();
	for (unsigned int i = 0; i < N; i++)
		before[i] = charged(i);
	while (with < 100 || without < 100) {
		turn();
		serve(&since);
		with += is_open(&f[0]) && (is_open(&f[1]) || is_open(&f[2]));
		without += !is_open(&f[0]);
		ck_assert_uint_lt(since - began, LIMIT_S * 1000 * MS);
	}
	/* And what is saved, a look, and what is in flight. */
	for (unsigned int i = 0; i < N; i++)
		ck_assert_uint_le(charged(i) - before[i], (since - began) / 4 + 10 * MS);
	teardown();
}
END_TEST

/* One that fills its queue has turns of its own between those that the brief ones have together. */
START_TEST(turns_between)
{
	uint64_t since = schedule_now();

	setup_at_once(alike);
	for (unsigned int k = 0; k < 8; k++) {
		const bool own = k & 1;

		while (is_open(&f[0]) != own || is_open(&f[1]) == own || is_open(&f[2]) == own) {
			ck_assert(!k || !is_open(&f[0]) || !(is_open(&f[1]) || is_open(&f[2])));
			f[0].says->full++;
			turn();
			serve(&since);
		}
	}
	teardown();
}
END_TEST

/* Equals may have 2 ms in flight; one of another weight makes it less, until its session ends. */
START_TEST(bound_by_weight)
{
	static const uint32_t weight[N] = {100, 100, 400};
	uint64_t since = schedule_now(), brief_ns;

	setup_at_once(weight);
	brief_ns = window_brief(schedule_handover_ns(s), false);
	ck_assert_uint_lt(brief_ns, SCHED_JOINT_NS);
	ck_assert_uint_eq(f[0].word->inflight_ns, brief_ns);
	leave(&f[2]);
	while (f[0].word->inflight_ns != SCHED_JOINT_NS) {
		turn();
		for (unsigned int i = 0; i < 2; i++)
			want(&f[i]);
	}
	f[2] = join(t[2], false);
	brief(&f[2]);
	while (f[0].word->inflight_ns == SCHED_JOINT_NS) {
		turn();
		serve(&since);
	}
	teardown();
}
END_TEST

/* One begins to fill its queue: turns begin, and the others' gates are closed meanwhile. */
START_TEST(one_gets_greedy)
{
	setup_at_once(alike);
	for (unsigned int i = 0; i < N; i++)
		run(&f[i]);
	f[1].says->full++;
	UNTIL(is_open(&f[0]) + is_open(&f[1]) + is_open(&f[2]) == 1);
	teardown();
}
END_TEST

START_TEST(by_weight)
{
	static const uint32_t weight[N] = {100, 400, 100};
	uint64_t since = schedule_now(), sum = 0, least = 0;

	setup_of(false, weight);
	for (unsigned int i = 0; i < N; i++)
		brief(&f[i]);
	while (sum < 1200 * MS) {
		turn();
		serve(&since);
		sum = charged(0) + charged(1) + charged(2);
		least = charged(0) < charged(2) ? charged(0) : charged(2);
	}
	/* The part of each is right but for a few slices, of 30 ms at most, and the lead that the
	 * others may have. Equal parts would be 400 ms each. */
	ck_assert_uint_gt(charged(1) + 150 * MS, sum * 4 / 6);
	ck_assert_uint_lt(charged(1), sum * 4 / 6 + 150 * MS);
	ck_assert_uint_gt(least + 100 * MS, sum / 6);
	teardown();
}
END_TEST

/* One of great weight launches a little, waits for it and thinks. It has what it wants, and no
 * other is held until it has had its share. */
START_TEST(one_thinks)
{
	static const uint32_t weight[N] = {100, 400, 100};
	uint64_t since = schedule_now(), held = 0, looks = 0, had;

	setup_at_once(weight);
	for (had = charged(0); charged(0) < had + 200 * MS; looks++) {
		const uint64_t busy = f[1].says->busy_ns;

		turn();
		serve(&since);
		/* It is done before each look. */
		f[1].says->inflight_ns = 0;
		f[1].says->busy_ns = busy + MS / 100;
		ck_assert(is_open(&f[1]));
		held += !is_open(&f[0]);
	}
	ck_assert_uint_lt(held, looks / 2);
	teardown();
}
END_TEST

/* The worker of one of great weight is starved of a processor and does not see that its kernel has
 * ended: no other is held for it meanwhile. */
START_TEST(one_is_starved)
{
	static const uint32_t weight[N] = {100, 400, 100};
	uint64_t since = schedule_now(), held = 0, looks = 0, had;

	setup_at_once(weight);
	serve(&since);
	f[1].says->oldest_ns = schedule_now();
	for (had = charged(0); charged(0) < had + 40 * MS; looks++) {
		const uint64_t busy = f[1].says->busy_ns, commands = f[1].says->commands;

		turn();
		serve(&since);
		f[1].says->busy_ns = busy;
		f[1].says->commands = commands;
		f[1].says->inflight_ns = MS / 10;
		held += !is_open(&f[0]);
	}
	ck_assert_uint_lt(held, looks / 2);
	teardown();
}
END_TEST

/* One without work is asked, its gate stays open for a while, and then it is not with them. */
START_TEST(one_pauses)
{
	uint64_t since = schedule_now();

	setup_at_once(alike);
	run(&f[2]);
	while (!f[2].word->contended) {
		uint64_t busy = f[2].says->busy_ns;

		turn();
		serve(&since);
		f[2].says->busy_ns = busy;
	}
	f[2].says->wants = 0;
	f[2].says->drained = 1;
	ring(&f[2]);
	ck_assert(is_open(&f[2]));
	while (is_open(&f[2])) {
		turn();
		serve(&since);
	}
	ck_assert(is_open(&f[0]) || is_open(&f[1]));
	want(&f[2]);
	while (!is_open(&f[2])) {
		turn();
		serve(&since);
	}
	teardown();
}
END_TEST

/* Work of one does not end: the others have their turns, and it has its limit. */
START_TEST(one_hangs)
{
	uint64_t since = schedule_now();

	setup_at_once(alike);
	run(&f[2]);
	f[2].says->oldest_ns = schedule_now();
	while (!gate_closing_since(f[2].g)) {
		uint64_t busy = f[2].says->busy_ns;

		turn();
		serve(&since);
		f[2].says->wants = 1;
		f[2].says->drained = 0;
		f[2].says->busy_ns = busy;
	}
	teardown();
}
END_TEST

/* The charge to the first vGPU while its worker reports so much use. */
static uint64_t charge_of(uint64_t ns, uint64_t *since)
{
	const uint64_t was = charged(0), busy = f[0].says->busy_ns;

	while (f[0].says->busy_ns < busy + ns) {
		turn();
		serve(since);
	}
	return charged(0) - was;
}

/* The rate that the account of the driver gives changes what is charged. */
START_TEST(measured)
{
	uint64_t since = schedule_now(), busy;

	setup_at_once(alike);
	while (f[0].says->busy_ns < 200 * MS) {
		turn();
		busy = f[0].says->busy_ns;
		serve(&since);
		/* The driver counts half of what it says. */
		tenant_measured(t[0], (f[0].says->busy_ns - busy) / 2);
	}
	ck_assert_uint_lt(charge_of(50 * MS, &since), 45 * MS);
	teardown();
}
END_TEST

/* The driver counts all of it, but as it was 20 ms of use ago: nothing is missing. */
START_TEST(measured_late)
{
	const uint64_t late = 20 * MS;
	uint64_t since = schedule_now(), told = 0, busy;

	setup_at_once(alike);
	while (f[0].says->busy_ns < 140 * MS) {
		turn();
		serve(&since);
		busy = f[0].says->busy_ns > late ? f[0].says->busy_ns - late : 0;
		tenant_measured(t[0], busy - told);
		told = busy;
	}
	ck_assert_uint_gt(charge_of(50 * MS, &since), 47 * MS);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_joint");
	TCase *c = tcase_create("joint");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 300);
	tcase_add_test(c, all_at_once);
	tcase_add_test(c, with_maxima);
	tcase_add_loop_test(c, turns, 0, CASES);
	tcase_add_test(c, turns_between);
	tcase_add_test(c, bound_by_weight);
	tcase_add_test(c, one_gets_greedy);
	tcase_add_test(c, by_weight);
	tcase_add_test(c, one_thinks);
	tcase_add_test(c, one_is_starved);
	tcase_add_test(c, one_pauses);
	tcase_add_test(c, one_hangs);
	tcase_add_test(c, measured);
	tcase_add_test(c, measured_late);
	suite_add_tcase(suite, c);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
