/* SPDX-License-Identifier: MIT */
/* The time that vGPUs are entitled to, against a plain reckoning at each step. sched_share_test
 * compares it with the time that they get. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/sched.h"

#define MS     1000000u
#define VGPUS  9
#define GROUPS 2
#define STEPS  4000

static uint64_t due(const struct sched_vgpu *v, uint64_t now)
{
	struct sched_stats n;

	sched_stats(v, now, &n);
	return n.due_ns;
}

/* One of a reckoning: group -1: none. */
struct one {
	struct sched_vgpu *v;
	struct sched_share share;
	int group;
	bool wants;
	double due;
};

static struct one one[VGPUS];
static uint32_t group_weight[GROUPS];

/* The first class with work has all of the time, by weight of groups, then of vGPUs. */
static void reckon(double ns)
{
	double in[GROUPS] = {0}, all = 0;
	enum sched_class c = SCHED_LOW;
	int n = 0;

	for (int i = 0; i < VGPUS; i++) {
		n += one[i].wants;
		if (one[i].wants && one[i].share.class < c)
			c = one[i].share.class;
	}
	if (n < 2)
		return;
	for (int i = 0; i < VGPUS; i++) {
		if (!one[i].wants || one[i].share.class != c)
			continue;
		if (one[i].group < 0)
			all += one[i].share.weight;
		else
			in[one[i].group] += one[i].share.weight;
	}
	for (int g = 0; g < GROUPS; g++)
		all += in[g] > 0 ? group_weight[g] : 0;
	for (int i = 0; i < VGPUS; i++) {
		const int g = one[i].group;

		if (!one[i].wants || one[i].share.class != c)
			continue;
		one[i].due += g < 0 ? ns * one[i].share.weight / all
				    : ns * group_weight[g] / all * one[i].share.weight / in[g];
	}
}

START_TEST(by_weight)
{
	struct sched *s = sched_new(&(struct sched_params){0}, 0);
	struct sched_group *group[GROUPS];
	unsigned int seed = (unsigned int)_i + 1;
	uint64_t now = 0;

	for (int g = 0; g < GROUPS; g++) {
		group_weight[g] = 50u + 100u * (uint32_t)g;
		group[g] = sched_group_add(s, &(struct sched_share){.weight = group_weight[g]},
					   NULL, 0);
	}
	for (int i = 0; i < VGPUS; i++) {
		one[i] = (struct one){.group = i % (GROUPS + 1) - 1};
		one[i].share.class = i < 6 ? SCHED_MEDIUM : SCHED_LOW;
		one[i].share.weight = 1 + (uint32_t)rand_r(&seed) % 500;
		one[i].v = sched_add(s, one[i].group < 0 ? NULL : group[one[i].group],
				     &one[i].share, NULL, 0);
	}
	for (int step = 0; step < STEPS; step++) {
		const uint64_t ns = (uint64_t)rand_r(&seed) % (3 * MS);
		struct one *o = &one[rand_r(&seed) % VGPUS];

		reckon((double)ns);
		now += ns;
		if (rand_r(&seed) % 8 == 0) {
			o->share.weight = 1 + (uint32_t)rand_r(&seed) % 500;
			sched_set_share(o->v, &o->share, now);
			continue;
		}
		o->wants = !o->wants;
		sched_wants(o->v, o->wants, now);
	}
	for (int i = 0; i < VGPUS; i++)
		ck_assert_double_eq_tol((double)due(one[i].v, now), one[i].due,
					STEPS + one[i].due * 1e-6);
	sched_free(s);
}
END_TEST

/* Nobody waits for one that is alone: what it uses counts, its last work too. */
START_TEST(alone)
{
	const struct sched_share share = {.class = SCHED_MEDIUM, .weight = 100};
	struct sched *s = sched_new(&(struct sched_params){0}, 0);
	struct sched_vgpu *a = sched_add(s, NULL, &share, NULL, 0),
			  *b = sched_add(s, NULL, &share, NULL, 0);
	struct sched_decision d;

	sched_wants(a, true, 0);
	sched_decide(s, 0, &d);
	sched_granted(s, a, 0);
	sched_charge(a, 3 * MS, 10 * MS);
	ck_assert_uint_eq(due(a, 10 * MS), 3 * MS);
	/* Charged when another begins, before and after it is told; then shared by weight. */
	sched_charge(a, MS, 20 * MS);
	sched_wants(b, true, 20 * MS);
	sched_charge(a, 2 * MS, 20 * MS);
	ck_assert_uint_eq(due(a, 20 * MS), 6 * MS);
	sched_charge(a, 4 * MS, 24 * MS);
	ck_assert_uint_eq(due(a, 24 * MS), 8 * MS);
	ck_assert_uint_eq(due(b, 24 * MS), 2 * MS);
	/* No more than the time alone. */
	sched_wants(b, false, 24 * MS);
	sched_charge(a, 50 * MS, 26 * MS);
	ck_assert_uint_eq(due(a, 26 * MS), 10 * MS);
	ck_assert_uint_eq(due(b, 26 * MS), 2 * MS);
	sched_free(s);
}
END_TEST

/* A higher class that has a maximum leaves the rest to the next. */
START_TEST(classes)
{
	const struct sched_share high = {.class = SCHED_HIGH, .weight = 1, .max_ppm = 200000};
	const struct sched_share low = {.class = SCHED_LOW, .weight = 100};
	struct sched *s = sched_new(&(struct sched_params){0}, 0);
	struct sched_vgpu *h = sched_add(s, NULL, &high, NULL, 0),
			  *l = sched_add(s, NULL, &low, NULL, 0);

	sched_wants(h, true, 0);
	sched_wants(l, true, 0);
	ck_assert_uint_eq(due(h, 100 * MS), 20 * MS);
	ck_assert_uint_eq(due(l, 100 * MS), 80 * MS);
	sched_free(s);
}
END_TEST

static const struct promise {
	enum sched_policy policy;
	struct sched_share group;
	struct {
		bool in;
		struct sched_share share;
		uint32_t ppm;
	} v[3];
} promises[] = {
	{SCHED_FAIR,
	 {.weight = 1},
	 {{false, {.weight = 300}, 600000},
	  {false, {.weight = 100}, 200000},
	  {false, {.weight = 100}, 200000}}},
	/* A third for the group, a quarter and three quarters of it. */
	{SCHED_FAIR,
	 {.weight = 50},
	 {{true, {.weight = 30}, 250000},
	  {true, {.weight = 10}, 83333},
	  {false, {.weight = 100}, 666666}}},
	{SCHED_FAIR,
	 {.weight = 100, .max_ppm = 400000},
	 {{true, {.weight = 10}, 400000},
	  {false, {.weight = 50, .min_ppm = 500000}, 500000},
	  {false, {.weight = 50, .max_ppm = 100000}, 100000}}},
	{SCHED_EQUAL,
	 {.weight = 1},
	 {{false, {.weight = 300}, 333333},
	  {false, {.weight = 100, .max_ppm = 300000}, 300000},
	  {false, {.weight = 100, .min_ppm = 900000}, 333333}}},
	{SCHED_FIXED,
	 {.weight = 1},
	 {{false, {.weight = 1, .fixed_ppm = 500000}, 500000},
	  {false, {.weight = 300}, 375000},
	  {false, {.weight = 100}, 125000}}},
	{SCHED_BEST_EFFORT,
	 {.weight = 1},
	 {{true, {.weight = 300}, 333333},
	  {true, {.weight = 100}, 333333},
	  {false, {.weight = 100}, 333333}}},
};

static void check_promise(const struct sched_vgpu *v, uint32_t ppm)
{
	ck_assert_double_eq_tol(sched_promise(v), ppm, 1.5);
}

START_TEST(promise)
{
	const struct promise *p = &promises[_i];
	struct sched *s = sched_new(&(struct sched_params){.policy = p->policy}, 0);
	struct sched_group *g = sched_group_add(s, &p->group, NULL, 0);
	struct sched_vgpu *v[3];

	for (int i = 0; i < 3; i++)
		v[i] = sched_add(s, p->v[i].in ? g : NULL, &p->v[i].share, NULL, 0);
	for (int i = 0; i < 3; i++)
		check_promise(v[i], p->v[i].ppm);
	/* As before, after each was away. */
	for (int i = 0; i < 3; i++) {
		sched_move(v[i], p->v[i].in ? NULL : g, 0);
		sched_move(v[i], p->v[i].in ? g : NULL, 0);
		check_promise(v[i], p->v[i].ppm);
	}
	sched_group_set(g, &(struct sched_share){.weight = 10000}, 0);
	sched_group_set(g, &p->group, 0);
	check_promise(v[0], p->v[0].ppm);
	sched_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched_due");
	TCase *t = tcase_create("due");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, by_weight, 0, 20);
	tcase_add_test(t, alone);
	tcase_add_test(t, classes);
	tcase_add_loop_test(t, promise, 0, (int)(sizeof(promises) / sizeof(promises[0])));
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
