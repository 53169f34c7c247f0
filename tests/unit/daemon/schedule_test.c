/* SPDX-License-Identifier: MIT */
/*
 * The driver of the scheduling library, with workers that the test plays on the real pages and
 * bells. Time is the machine's; assertions about it hold however slow the machine is.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/daemon/schedule_fake.h"

START_TEST(pages_are_sealed)
{
	struct tenant *t;
	struct gate *g;
	int fds[PVGPU_GATE_FDS];

	start(SCHED_FAIR, false);
	t = tenant(100);
	g = gate_new(t, false, fds);
	ck_assert_ptr_nonnull(g);
	ck_assert_ptr_eq(
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[PVGPU_GATE_FD_GATE], 0),
		MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(pwrite(fds[PVGPU_GATE_FD_GATE], "x", 1, 0), 0);
	for (int i = PVGPU_GATE_FD_GATE; i <= PVGPU_GATE_FD_REPORT; i++) {
		ck_assert_int_lt(ftruncate(fds[i], 0), 0);
		ck_assert_int_lt(ftruncate(fds[i], (off_t)2 * PAGE), 0);
	}
	for (int i = 0; i < PVGPU_GATE_FDS; i++)
		close(fds[i]);
	gate_free(g);
	tenant_free(t);
	finish();
}
END_TEST

START_TEST(alone_costs_nothing)
{
	struct tenant_stats n;
	struct tenant *t;
	struct fake f;
	uint64_t wakeups;

	start(SCHED_FAIR, false);
	t = tenant(100);
	f = join(t, false);
	ck_assert(!is_open(&f));
	want(&f);
	UNTIL(is_open(&f));
	ck_assert(rung(&f)); /* it sleeps */
	ck_assert_uint_eq(f.word->contended, 0);
	ck_assert_uint_eq(f.word->learn, 1);
	f.says->sleeps = f.says->drained = 0;
	wakeups = schedule_wakeups(s);
	for (unsigned int i = 0; i < 50; i++)
		turn();
	ck_assert_uint_eq(schedule_wakeups(s), wakeups);
	/* Reported use is charged, up to the time that has passed. */
	f.says->busy_ns = 10 * MS;
	tenant_stats(t, &n);
	ck_assert_uint_eq(n.gpu_ns, 10 * MS);
	f.says->busy_ns = UINT64_MAX;
	tenant_stats(t, &n);
	ck_assert_uint_lt(n.gpu_ns, LIMIT_S * 1000 * MS);
	leave(&f);
	tenant_free(t);
	finish();
}
END_TEST

static uint64_t bound_of(const struct fake *f)
{
	return __atomic_load_n(&f->word->inflight_ns, __ATOMIC_RELAXED);
}

/* A newcomer waits for the work in flight: less is in flight where a newcomer may have a higher
 * class. */
START_TEST(alone_with_idle_ones)
{
	struct tenant_policy low = {.share = {.class = SCHED_LOW, .weight = 100}};
	struct tenant_policy high = {.share = {.class = SCHED_HIGH, .weight = 100}};
	struct tenant *t[2];
	struct fake f[2];

	start(SCHED_FAIR, false);
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = tenant(100);
		tenant_set(t[i], &low);
	}
	f[0] = join(t[0], false);
	want(&f[0]);
	UNTIL(is_open(&f[0]));
	ck_assert_uint_eq(bound_of(&f[0]), PVGPU_GATE_ALONE_NS);
	tenant_set(t[1], &high);
	ck_assert_uint_eq(bound_of(&f[0]), PVGPU_GATE_ALONE_NS);
	f[1] = join(t[1], false);
	UNTIL(bound_of(&f[0]) < PVGPU_GATE_ALONE_NS);
	ck_assert(is_open(&f[0]));
	ck_assert_uint_eq(f[0].word->contended, 0);
	tenant_set(t[1], &low);
	ck_assert_uint_eq(bound_of(&f[0]), PVGPU_GATE_ALONE_NS);
	tenant_set(t[1], &high);
	ck_assert_uint_lt(bound_of(&f[0]), PVGPU_GATE_ALONE_NS);
	leave(&f[1]);
	UNTIL(bound_of(&f[0]) == PVGPU_GATE_ALONE_NS);
	leave(&f[0]);
	for (unsigned int i = 0; i < 2; i++)
		tenant_free(t[i]);
	finish();
}
END_TEST

/* Two that always want the GPU have half a slice in flight, and less while a vGPU of a higher class
 * or a heavier one has a session. */
START_TEST(turns_below_an_idle_one)
{
	const struct sched_params p = {.policy = SCHED_FAIR, .slice_ns = 30 * MS};
	struct tenant_policy high = {
		.share = {.class = _i ? SCHED_MEDIUM : SCHED_HIGH, .weight = _i ? 400 : 100}};
	struct tenant *t[3];
	struct fake f[3];

	start(SCHED_FAIR, false);
	schedule_set(s, &p);
	for (unsigned int i = 0; i < 3; i++)
		t[i] = tenant(100);
	tenant_set(t[2], &high);
	for (unsigned int i = 0; i < 2; i++) {
		f[i] = join(t[i], false);
		want(&f[i]);
	}
	UNTIL(is_open(&f[0]) || is_open(&f[1]));
	UNTIL(bound_of(&f[!is_open(&f[0])]) == 15 * MS);
	f[2] = join(t[2], false);
	UNTIL(bound_of(&f[!is_open(&f[0])]) < 15 * MS);
	for (unsigned int i = 0; i < 3; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}
END_TEST

START_TEST(taking_turns)
{
	struct tenant_stats na, nb;
	struct tenant *a, *b;
	struct fake fa, fb;
	bool exclusive = _i;
	uint64_t before, late = 0;

	start(SCHED_FAIR, exclusive);
	a = tenant(100);
	b = tenant(100);
	fa = join(a, false);
	fb = join(b, false);
	want(&fa);
	want(&fb);
	before = schedule_now();
	do {
		turn();
		ck_assert(!(is_open(&fa) && is_open(&fb)));
		if (exclusive)
			ck_assert(!(is_open(&fa) && !fb.says->drained));
		saturate(&fa);
		saturate(&fb);
		tenant_stats(a, &na);
		tenant_stats(b, &nb);
		late = schedule_now() - before > late ? schedule_now() - before : late;
		before = schedule_now();
	} while (na.slices < 30 || nb.slices < 30 || na.gpu_ns + nb.gpu_ns < 1000 * MS);
	ck_assert_uint_eq(fa.word->exclusive, exclusive);
	/* Slices are 30 ms at most, overrun by as much as the machine is late: until this side
	 * looks, closes, hears that it is drained, and opens the other. */
	ck_assert_uint_lt(na.gpu_ns, nb.gpu_ns * 13 / 10 + 4 * late);
	ck_assert_uint_lt(nb.gpu_ns, na.gpu_ns * 13 / 10 + 4 * late);
	ck_assert_uint_gt(na.wait_ns, 0);
	ck_assert_uint_ge(schedule_handovers(s), 59);
	leave(&fa);
	leave(&fb);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

/* A higher class comes while the former holder drains: the one that was chosen before gets the
 * GPU, and loses it at the next look, which nobody's bell may bring. */
START_TEST(higher_class_during_a_drain)
{
	const struct tenant_policy high = {.share = {.class = SCHED_HIGH, .weight = 100}};
	struct tenant *t[3];
	struct fake f[3];

	start(SCHED_FAIR, false);
	for (unsigned int i = 0; i < 3; i++) {
		t[i] = tenant(100);
		f[i] = join(t[i], false);
	}
	tenant_set(t[2], &high);
	want(&f[0]);
	UNTIL(is_open(&f[0]));
	f[0].says->sleeps = f[0].says->drained = 0;
	f[0].says->inflight_ns = 20 * MS;
	want(&f[1]);
	UNTIL(!is_open(&f[0]));
	want(&f[2]);
	UNTIL(is_open(&f[1]) || is_open(&f[2]));
	ck_assert(is_open(&f[2]) || s->turns.again != SCHED_NEVER);
	UNTIL(is_open(&f[2]));
	for (unsigned int i = 0; i < 3; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}
END_TEST

START_TEST(dead_or_held)
{
	struct tenant *a, *b;
	struct fake fa, fb;

	start(SCHED_FAIR, false);
	a = tenant(100);
	b = tenant(100);
	fa = join(a, false);
	fb = join(b, false);
	want(&fa);
	UNTIL(is_open(&fa));
	gate_keep_closed(fa.g, true);
	ck_assert(!is_open(&fa));
	want(&fa);
	want(&fb);
	UNTIL(is_open(&fb));
	ck_assert(!is_open(&fa));
	gate_keep_closed(fa.g, false);
	want(&fa);
	leave(&fb); /* it dies with the grant */
	UNTIL(is_open(&fa));
	leave(&fa);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

START_TEST(pvgpud_leaves)
{
	struct tenant *a, *b;
	struct fake fa, fb;

	start(SCHED_FAIR, true);
	a = tenant(100);
	b = tenant(100);
	fa = join(a, false);
	fb = join(b, false);
	want(&fa);
	UNTIL(is_open(&fa));
	fa.says->drained = 0;
	schedule_stop(s);
	want(&fb);
	leave(&fa);
	for (unsigned int i = 0; i < 20; i++)
		turn();
	ck_assert(!is_open(&fb)); /* the other's work is on the GPU still */
	leave(&fb);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

START_TEST(rates)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
					.commands_per_s = 500,
					.commands_burst = 20,
					.depth = 7};
	uint64_t begin, passed;
	struct tenant_stats n;
	struct tenant *t;
	struct fake f;

	start(SCHED_FAIR, false);
	begin = schedule_now();
	t = tenant_new(s, NULL, &p, NULL);
	f = join(t, false);
	ck_assert_uint_eq(f.word->depth, 7);
	ck_assert_uint_eq(f.word->bytes, PVGPU_GATE_NO_LIMIT);
	want(&f);
	while (f.says->commands < 150) {
		turn();
		if (!is_open(&f) || f.says->commands >= f.word->commands)
			continue;
		f.says->commands = f.word->commands; /* the whole allowance, at once */
		passed = schedule_now() - begin;
		ck_assert_uint_le(f.says->commands, 20 + passed / (1000 * MS / 500) + 1);
		want(&f);
	}
	tenant_stats(t, &n);
	ck_assert_uint_gt(n.throttled_ns, 0);
	ck_assert_uint_eq(n.commands, f.says->commands);
	/* Live: no limit any more. */
	tenant_set(t, &(struct tenant_policy){.share = p.share});
	ck_assert_uint_eq(f.word->commands, PVGPU_GATE_NO_LIMIT);
	ck_assert_uint_eq(f.word->depth, 0);
	leave(&f);
	tenant_free(t);
	finish();
}
END_TEST

/* Nodes of graphs use up the allowance like commands, and are not counted as commands. */
START_TEST(graphs_pay_for_their_nodes)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
					.commands_per_s = 10,
					.commands_burst = 10};
	struct tenant_stats n;
	struct tenant *t;
	struct fake f;
	uint64_t allowed;

	start(SCHED_FAIR, false);
	t = tenant_new(s, NULL, &p, NULL);
	f = join(t, false);
	want(&f);
	UNTIL(f.word->commands > 0);
	f.says->commands = 1;
	f.says->nodes = 9;
	want(&f);
	UNTIL(f.g->last.nodes == 9);
	allowed = f.word->commands;
	UNTIL(f.word->commands > allowed);
	ck_assert_uint_gt(f.word->commands, 10);
	tenant_stats(t, &n);
	ck_assert_uint_eq(n.commands, 1);
	/* A worker that says too much gets nothing for it. */
	f.says->nodes = UINT64_MAX;
	want(&f);
	UNTIL(f.g->last.nodes == UINT64_MAX);
	ck_assert(rate_limits_used_up(f.g));
	leave(&f);
	tenant_free(t);
	finish();
}
END_TEST

/* The worker fell asleep after pvgpud had read its report and before its allowance grew. */
START_TEST(no_ring_is_lost)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
					.commands_per_s = 10,
					.commands_burst = 10};
	struct tenant *t;
	struct fake f;

	start(SCHED_FAIR, false);
	t = tenant_new(s, NULL, &p, NULL);
	f = join(t, false);
	f.says->wants = 1;
	f.says->commands = f.word->commands;
	gate_take(f.g, schedule_now());
	f.says->sleeps = 1;
	ck_assert(!rung(&f));
	rate_limits_run(t, schedule_now() + 1000 * MS);
	ck_assert_uint_gt(f.word->commands, f.says->commands);
	ck_assert(rung(&f));
	leave(&f);
	tenant_free(t);
	finish();
}
END_TEST

/* One vGPU's ring does not make pvgpud look at all vGPUs that have rate limits. */
START_TEST(bells_of_others)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100},
					.commands_per_s = 10,
					.commands_burst = 10};
	struct tenant *t, *u;
	struct fake f, g;
	uint64_t taken, wakeups;

	start(SCHED_FAIR, false);
	t = tenant(100);
	u = tenant_new(s, NULL, &p, NULL);
	f = join(t, false);
	g = join(u, false);
	taken = g.g->taken_at;
	wakeups = schedule_wakeups(s);
	want(&f);
	UNTIL(schedule_wakeups(s) > wakeups && is_open(&f));
	ck_assert_uint_eq(g.g->taken_at, taken);
	/* But when its rate allows more, pvgpud gives it without a ring. */
	want(&g);
	UNTIL(g.g->last.sleeps);
	g.says->commands = g.word->commands;
	ring(&g);
	UNTIL(g.word->commands > g.says->commands);
	leave(&f);
	leave(&g);
	tenant_free(t);
	tenant_free(u);
	finish();
}
END_TEST

START_TEST(lies_are_bounded)
{
	struct tenant_stats n;
	struct tenant *t;
	struct fake f;
	uint64_t begin, most;

	start(SCHED_FAIR, false);
	begin = schedule_now();
	t = tenant(100);
	f = join(t, false);
	f.says->launches = f.says->commands = f.says->copy_bytes = f.says->busy_ns =
		f.says->inflight_ns = UINT64_MAX;
	f.says->oldest_ns = UINT64_MAX;
	want(&f);
	UNTIL(is_open(&f));
	tenant_stats(t, &n);
	most = (schedule_now() - begin) / 1000 * 64 + 8192;
	ck_assert_uint_le(n.launches, most);
	ck_assert_uint_le(n.commands, most);
	ck_assert_uint_lt(n.copy_bytes, 1ull << 40);
	ck_assert_uint_le(n.gpu_ns, schedule_now() - begin);
	ck_assert_uint_lt(n.inflight_ns, 1ull << 40);
	/* Counters that go back count nothing. */
	f.says->launches = f.says->commands = 5;
	most = n.launches;
	tenant_stats(t, &n);
	ck_assert_uint_eq(n.launches, most);
	leave(&f);
	tenant_free(t);
	finish();
}
END_TEST

START_TEST(a_storm_of_bells)
{
	uint64_t begin, wakeups, windows;
	struct tenant *t, *u;
	struct fake f, g;

	start(SCHED_FAIR, false);
	t = tenant(100);
	u = tenant(100);
	f = join(t, false);
	g = join(u, false);
	wakeups = schedule_wakeups(s);
	begin = schedule_now();
	for (unsigned int i = 0; i < 20000; i++) {
		ring(&f);
		ev_run(loop, EVRUN_NOWAIT);
	}
	windows = (schedule_now() - begin) / (5 * MS) + 2;
	ck_assert_uint_le(schedule_wakeups(s) - wakeups, windows * 60);
	/* The other vGPU's rings are read meanwhile, and this one's again afterwards. */
	want(&g);
	UNTIL(is_open(&g));
	want(&f);
	UNTIL(is_open(&f));
	leave(&f);
	leave(&g);
	tenant_free(t);
	tenant_free(u);
	finish();
}
END_TEST

START_TEST(adopted)
{
	struct tenant_stats kept = {.gpu_ns = 77, .launches = 1000, .slices = 3}, n;
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};
	struct tenant *a, *b;
	struct fake fa, fb;

	start(SCHED_FAIR, true);
	schedule_await(s, true);
	a = tenant_new(s, NULL, &p, &kept);
	b = tenant(100);
	fb = join(b, true);
	fb.says->commands = 1;
	want(&fb);
	for (unsigned int i = 0; i < 50; i++) {
		turn();
		ck_assert(!is_open(&fb)); /* there is one that has not answered yet */
	}
	fa = join(a, true);
	schedule_await(s, false);
	for (unsigned int i = 0; i < 50; i++) {
		turn();
		ck_assert(!is_open(&fb)); /* the adopted one may have work on the GPU */
	}
	fa.says->commands = fa.says->launches = 1000; /* counted by another pvgpud */
	fa.says->drained = 1;
	ring(&fa);
	UNTIL(is_open(&fb));
	tenant_stats(a, &n);
	ck_assert_uint_eq(n.launches, 1000);
	fa.says->commands = fa.says->launches = 1005;
	ring(&fa);
	UNTIL(kept.launches == 1005); /* in the memory that was given for it */
	ck_assert_uint_eq(kept.slices, 3);
	ck_assert_uint_ge(kept.gpu_ns, 77);
	leave(&fa);
	leave(&fb);
	tenant_free(a);
	tenant_free(b);
	finish();
}
END_TEST

START_TEST(pools_and_groups)
{
	const struct sched_params p = {.policy = SCHED_FAIR};
	const struct sched_share share = {.class = SCHED_MEDIUM, .weight = 100};
	struct schedule *other;
	struct sched_group *g;
	struct tenant *t, *u;
	struct fake f, waits;

	start(SCHED_FAIR, false);
	other = schedule_new(loop, "other", &p);
	t = tenant(100);
	g = schedule_group_add(other, &share);
	ck_assert_int_eq(tenant_move(t, other, g), 0);
	ck_assert_ptr_eq(tenant_schedule(t), other);
	f = join(t, false);
	want(&f);
	UNTIL(is_open(&f));
	ck_assert_int_eq(tenant_move(t, other, NULL), 0);
	schedule_group_remove(other, g);
	ck_assert(is_open(&f));
	u = tenant_new(other, NULL, &(struct tenant_policy){.share = share}, NULL);
	waits = join(u, false);
	ck_assert_uint_eq(waits.word->exclusive, 0);
	schedule_set(other, &(struct sched_params){.policy = SCHED_EQUAL, .exclusive = true});
	ck_assert_uint_eq(f.word->exclusive, 1);
	/* If pvgpud ends now, a vGPU without the grant must not take the GPU. */
	ck_assert_uint_eq(waits.word->exclusive, 1);
	leave(&waits);
	tenant_free(u);
	leave(&f);
	tenant_free(t);
	schedule_free(other);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule");
	TCase *t = tcase_create("schedule");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, pages_are_sealed);
	tcase_add_test(t, alone_costs_nothing);
	tcase_add_test(t, alone_with_idle_ones);
	tcase_add_loop_test(t, turns_below_an_idle_one, 0, 2);
	tcase_add_loop_test(t, taking_turns, 0, 2);
	tcase_add_test(t, higher_class_during_a_drain);
	tcase_add_test(t, dead_or_held);
	tcase_add_test(t, pvgpud_leaves);
	tcase_add_test(t, rates);
	tcase_add_test(t, graphs_pay_for_their_nodes);
	tcase_add_test(t, no_ring_is_lost);
	tcase_add_test(t, bells_of_others);
	tcase_add_test(t, lies_are_bounded);
	tcase_add_test(t, a_storm_of_bells);
	tcase_add_test(t, adopted);
	tcase_add_test(t, pools_and_groups);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
