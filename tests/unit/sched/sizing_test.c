/* SPDX-License-Identifier: MIT */
/* Sizing, where the answer is known. */
#include <check.h>
#include <errno.h>

#include "xen-pvgpu-back/sched/sim/goal.h"
#include "xen-pvgpu-back/sched/sim/sizing.h"

#define GIB (1ull << 30)

static struct sizing z;
static struct sizing_answer a;

static void setup(void)
{
	sizing_init(&z);
	z.model.switch_ns = z.model.bell_ns = 0;
	z.duration_ns = 20 * SIM_S;
	z.n_loads = 1;
	sizing_load_init(&z.loads[0], "one");
}

static void find(void)
{
	ck_assert_int_eq(sizing_find(&z, &a), 0);
}

/*
 * Requests of 10 ms, 90 ms of thought: n of them wait n * 10 - 90 ms when the GPU is full; turns by
 * use make a few of many wait for one or two requests more.
 */
START_TEST(closed)
{
	static const struct {
		uint64_t goal_ms;
		size_t least, most;
	} cases[] = {{43, 12, 13}, {53, 13, 14}, {102, 17, 19}, {203, 27, 29}};
	struct sizing_load *l = &z.loads[0];

	l->arrival = SIZING_CLOSED;
	l->kernels = 1;
	l->kernel_ns = 10e6;
	l->duty = 0.1;
	l->p99_ns = cases[_i].goal_ms * SIM_MS;
	z.model.hw_slice_ns = 0;
	find();
	ck_assert_uint_ge(a.vgpus, cases[_i].least);
	ck_assert_uint_le(a.vgpus, cases[_i].most);
	ck_assert_double_eq_tol((double)a.loads[0].p50_ns, (double)a.vgpus * 10e6 - 90e6, 2e6);
	ck_assert_int_eq(a.limit, SIZING_BY_LATENCY);
	ck_assert(a.value > (double)l->p99_ns);
	ck_assert_uint_le(a.loads[0].p99_ns, l->p99_ns);
	ck_assert_double_eq_tol(a.busy, 1, 0.01);
}
END_TEST

/* Each uses a twelfth: twelve fill the GPU, and the thirteenth's requests are too many. */
START_TEST(steady)
{
	struct sizing_load *l = &z.loads[0];

	l->arrival = SIZING_STEADY;
	l->kernels = 4;
	l->kernel_ns = 1e6;
	l->duty = 1 / 12.0;
	find();
	ck_assert_uint_eq(a.vgpus, 12);
	ck_assert_int_eq(a.limit, SIZING_BY_BACKLOG);
	ck_assert_double_eq_tol(a.busy, 1, 0.01);
}
END_TEST

/* Hand-overs cost time: requests can use only what is left. */
START_TEST(handover_counts)
{
	size_t free_of_cost;

	z.loads[0].arrival = SIZING_STEADY;
	z.loads[0].kernels = 1;
	z.loads[0].kernel_ns = 1e6;
	z.loads[0].duty = 0.02;
	find();
	free_of_cost = a.vgpus;
	/* 2 % of the requests may be unanswered yet. */
	ck_assert_uint_ge(free_of_cost, 50);
	ck_assert_uint_le(free_of_cost, 51);
	z.model.switch_ns = SIM_MS;
	find();
	ck_assert_uint_lt(a.vgpus, 45);
	ck_assert_uint_gt(a.vgpus, 20);
}
END_TEST

START_TEST(memory)
{
	struct sizing_load *l = &z.loads[0];

	l->memory = 4 * GIB;
	l->duty = 0.001;
	z.memory = 80 * GIB;
	find();
	ck_assert_uint_eq(a.vgpus, 20);
	ck_assert_int_eq(a.limit, SIZING_BY_MEMORY);
	ck_assert_uint_eq(a.memory, 80 * GIB);
	z.overcommit_ppm = 1500000;
	find();
	ck_assert_uint_eq(a.vgpus, 30);
	l->memory = 81 * GIB * 2;
	find();
	ck_assert_uint_eq(a.vgpus, 0);
	ck_assert_int_eq(a.limit, SIZING_BY_MEMORY);
}
END_TEST

/* Saturating ones get 1/n: with at least 12 % each, eight. */
START_TEST(least)
{
	struct sizing_load *l = &z.loads[0];

	l->arrival = SIZING_CLOSED;
	l->duty = 1;
	l->least = 0.12;
	find();
	ck_assert_uint_eq(a.vgpus, 8);
	ck_assert_int_eq(a.limit, SIZING_BY_LEAST);
	ck_assert_double_eq_tol(a.value, 1 / 9.0, 0.002);
}
END_TEST

START_TEST(most)
{
	z.loads[0].duty = 0.0001;
	z.most = 37;
	find();
	ck_assert_uint_eq(a.vgpus, 37);
	ck_assert_int_eq(a.limit, SIZING_BY_MOST);
}
END_TEST

/* Three of four vGPUs are of the first load, whatever the number; only memory differs. */
START_TEST(mixes)
{
	z.n_loads = 2;
	sizing_load_init(&z.loads[1], "two");
	z.loads[0].part = 75;
	z.loads[1].part = 25;
	z.loads[0].duty = z.loads[1].duty = 0.001;
	z.loads[0].memory = GIB;
	z.loads[1].memory = 5 * GIB;
	z.memory = 80 * GIB;
	find();
	ck_assert_uint_eq(a.vgpus, 40);
	ck_assert_uint_eq(a.loads[0].vgpus, 30);
	ck_assert_uint_eq(a.loads[1].vgpus, 10);
	ck_assert_uint_eq(a.memory, 80 * GIB);
}
END_TEST

/* A stricter goal never means more. */
START_TEST(goals)
{
	size_t last = SIZING_MAX;

	for (uint64_t ms = 64; ms >= 8; ms /= 2) {
		z.loads[0].p99_ns = ms * SIM_MS;
		find();
		ck_assert_uint_le(a.vgpus, last);
		ck_assert_uint_ge(a.vgpus, 1);
		last = a.vgpus;
	}
	ck_assert_int_eq(a.limit, SIZING_BY_LATENCY);
}
END_TEST

/* Waits of vGPUs with goals: alone; of two; of many, by class; too many; the same each time. */
START_TEST(latency_goals)
{
	enum { MANY = 120 };
	struct goal_vgpu v[MANY];
	struct goal g = {.v = v, .n = 1};
	uint64_t two, class;

	for (size_t i = 0; i < MANY; i++)
		v[i] = (struct goal_vgpu){.share = {.class = SCHED_MEDIUM, .weight = 100}};
	v[0].goal_ns = 1;
	ck_assert_int_eq(goal_predict(&g), 0);
	ck_assert_uint_lt(v[0].p99_ns, 100 * SIM_US);
	g.n = 2;
	ck_assert_int_eq(goal_predict(&g), 0);
	two = v[0].p99_ns;
	ck_assert_uint_gt(two, SIM_MS);
	ck_assert_uint_lt(two, 10 * SIM_MS);
	ck_assert_int_eq(goal_predict(&g), 0);
	ck_assert_uint_eq(v[0].p99_ns, two);
	ck_assert_uint_eq(v[1].p99_ns, 0);
	g.n = 16;
	v[0].share.class = SCHED_HIGH;
	ck_assert_int_eq(goal_predict(&g), 0);
	class = v[0].p99_ns;
	v[0].share.class = SCHED_LOW;
	ck_assert_int_eq(goal_predict(&g), 0);
	ck_assert_uint_gt(v[0].p99_ns, 10 * class);
	/* One of a higher class waits for what is in flight, beside few as beside many. */
	for (size_t i = 0; i < MANY; i++)
		v[i].share.class = i ? SCHED_LOW : SCHED_HIGH;
	g.n = MANY;
	ck_assert_int_eq(goal_predict(&g), 0);
	ck_assert_uint_lt(v[0].p99_ns, 10 * SIM_MS);
	g.n = 0;
	ck_assert_int_lt(goal_predict(&g), 0);
}
END_TEST

START_TEST(nonsense)
{
	z.n_loads = 0;
	ck_assert_int_eq(sizing_find(&z, &a), -EINVAL);
	setup();
	z.loads[0].duty = 0;
	ck_assert_int_eq(sizing_find(&z, &a), -EINVAL);
	z.loads[0].duty = 1.5;
	ck_assert_int_eq(sizing_find(&z, &a), -EINVAL);
	setup();
	z.loads[0].part = 0;
	ck_assert_int_eq(sizing_find(&z, &a), -EINVAL);
	setup();
	z.loads[0].kernels = 0;
	ck_assert_int_eq(sizing_find(&z, &a), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sizing");
	TCase *t = tcase_create("sizing");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, closed, 0, 4);
	tcase_add_test(t, steady);
	tcase_add_test(t, handover_counts);
	tcase_add_test(t, memory);
	tcase_add_test(t, least);
	tcase_add_test(t, most);
	tcase_add_test(t, mixes);
	tcase_add_test(t, goals);
	tcase_add_test(t, latency_goals);
	tcase_add_test(t, nonsense);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
