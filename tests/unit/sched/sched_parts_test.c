/* SPDX-License-Identifier: MIT */
/* The scheduler's parts (heap, pace), the token bucket, and the cost of decisions. */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/heap.h"
#include "xen-pvgpu-back/sched/pace.h"
#include "xen-pvgpu-back/sched/rate.h"
#include "xen-pvgpu-back/sched/sched.h"

#define MS  1000000u
#define SEC 1000000000ull

/* ---- heap ---- */
#define NODES 200

static bool first_of(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? heap_before(a->key, b->key) : a->turn < b->turn;
}

/* Random operations, compared with a linear search, with keys on both sides of the wrap. */
START_TEST(the_first_is_the_least)
{
	static struct heap_node node[NODES];
	struct heap_node *least;
	uint64_t steps = 0, turn = 0;
	struct heap h = {.steps = &steps};
	unsigned int seed = 1;
	size_t n;

	for (int k = 0; k < 20000; k++) {
		struct heap_node *x = &node[rand_r(&seed) % NODES];

		if (rand_r(&seed) % 3)
			heap_put(&h, x, (uint64_t)(rand_r(&seed) % 1000) - 500, ++turn);
		else
			heap_take(&h, x);
		least = NULL;
		n = 0;
		for (int i = 0; i < NODES; i++) {
			if (!node[i].in)
				continue;
			n++;
			if (!least || first_of(&node[i], least))
				least = &node[i];
		}
		if (heap_first(&h) != least || h.n != n)
			ck_abort_msg("step %d: not the least of %zu", k, n);
	}
	while ((least = heap_first(&h)))
		heap_take(&h, least);
	ck_assert_uint_eq(h.n, 0);
}
END_TEST

START_TEST(equal_keys_come_in_turn)
{
	struct heap_node node[9] = {{0}};
	uint64_t steps = 0;
	struct heap h = {.steps = &steps};

	for (int i = 0; i < 9; i++)
		heap_put(&h, &node[i], 7, i);
	for (int i = 0; i < 9; i++) {
		ck_assert_ptr_eq(heap_first(&h), &node[i]);
		heap_take(&h, &node[i]);
	}
	ck_assert_ptr_null(heap_first(&h));
}
END_TEST

/* ---- pace ---- */
/* A third, in pieces of a nanosecond: nothing is lost to rounding. */
START_TEST(a_pace_is_exact)
{
	struct pace p = {.at = 1000};

	pace_set(&p, 3, 7, 1000);
	ck_assert(pace_on(&p));
	for (int i = 0; i < 3000; i++)
		pace_use(&p, 1, 1000);
	ck_assert_uint_eq(p.at, 8000);
	ck_assert_uint_eq(pace_saved_at(&p, 30), 8070);
	ck_assert_uint_eq(pace_lasts(&p, 8000), 0);
	/* 7 ns behind are 3 ns saved, and those last 5.25 ns, as more is earned meanwhile. */
	ck_assert_uint_eq(pace_lasts(&p, 8007), 5);
}
END_TEST

START_TEST(another_share_keeps_what_is_owed)
{
	struct pace p = {0};

	pace_set(&p, 1, 4, 1000);
	ck_assert_uint_eq(p.at, 1000);
	pace_use(&p, 100, 1000);
	ck_assert_uint_eq(p.at, 1400);
	pace_set(&p, 1, 2, 1000);
	ck_assert_uint_eq(p.at, 1200);
	pace_set(&p, 1, 2, 1300);
	ck_assert_uint_eq(p.at, 1200);
	pace_set(&p, 1, 10, 1300);
	ck_assert_uint_eq(p.at, 800);
	/* Without a share nothing is kept. */
	pace_set(&p, 1, 1, 2000);
	ck_assert(!pace_on(&p));
	pace_set(&p, 1, 10, 5000);
	ck_assert_uint_eq(p.at, 5000);
}
END_TEST

START_TEST(a_pace_has_ends)
{
	struct pace p = {0};

	pace_set(&p, 1, 1000000, 0);
	for (int i = 0; i < 100; i++)
		pace_use(&p, UINT64_MAX, 5);
	ck_assert(heap_before(5, p.at));
	pace_owe_most(&p, 10, 5);
	ck_assert_uint_eq(p.at, 10000005);
	pace_save_most(&p, 1, 50000000);
	ck_assert_uint_eq(p.at, 49000000);
	ck_assert_uint_eq(pace_earns(&p, 3000000), 3);
}
END_TEST

/* ---- rate ---- */
START_TEST(a_rate_is_kept)
{
	struct rate r;
	uint64_t took = 0;

	rate_init(&r, 1000, 50, 0);
	ck_assert_uint_eq(rate_take(&r, 60, 0), 50);
	ck_assert_uint_eq(rate_take(&r, 1, 0), 0);
	ck_assert_uint_eq(rate_when(&r, 1, 0), MS);
	ck_assert_uint_eq(rate_when(&r, 7, 0), 7 * MS);
	ck_assert_uint_eq(rate_when(&r, 1000, 0), 50 * MS);
	ck_assert_uint_eq(rate_take(&r, 1, MS - 1), 0);
	ck_assert_uint_eq(rate_take(&r, 1, MS), 1);
	/* In steps in which a third of a token comes in: all of them in the end. */
	for (uint64_t t = MS; t <= SEC + MS; t += MS / 3)
		took += rate_take(&r, 5, t);
	ck_assert_uint_ge(took, 999);
	ck_assert_uint_le(took, 1000);
	/* No more than a burst is saved up. */
	ck_assert_uint_eq(rate_take(&r, 1000, 100 * SEC), 50);
	ck_assert_uint_eq(rate_when(&r, 0, 100 * SEC), 100 * SEC);
}
END_TEST

START_TEST(no_rate_is_no_limit)
{
	struct rate r;

	rate_init(&r, 0, 0, 5);
	ck_assert_uint_eq(rate_take(&r, UINT64_MAX, 5), UINT64_MAX);
	ck_assert_uint_eq(rate_when(&r, UINT64_MAX, 5), 5);
}
END_TEST

START_TEST(a_rate_changes_live)
{
	struct rate r;

	rate_init(&r, 10, 100, 0);
	ck_assert_uint_eq(rate_take(&r, 90, 0), 90);
	/* A second at the old rate: 20. */
	rate_set(&r, 1000, 1000, SEC);
	ck_assert_uint_eq(rate_take(&r, 1000, SEC), 20);
	ck_assert_uint_eq(rate_take(&r, 1000, SEC + 100 * MS), 100);
	rate_set(&r, 1, 5, 2 * SEC);
	ck_assert_uint_eq(rate_take(&r, 1000, 2 * SEC), 5);
	/* Back in time nothing comes in, nor is anything taken. */
	ck_assert_uint_eq(rate_take(&r, 1, SEC), 0);
	ck_assert_uint_eq(rate_take(&r, 2, 3 * SEC), 1);
}
END_TEST

START_TEST(rates_do_not_overflow)
{
	struct rate r;

	rate_init(&r, UINT64_MAX, UINT64_MAX, 0);
	ck_assert_uint_eq(rate_take(&r, UINT64_MAX, 0), UINT64_MAX);
	ck_assert_uint_eq(rate_take(&r, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	rate_init(&r, 1, UINT64_MAX, 0);
	rate_take(&r, UINT64_MAX, 0);
	ck_assert_uint_eq(rate_when(&r, UINT64_MAX, 0), UINT64_MAX);
	rate_init(&r, 1, 0, 0); /* one at least */
	ck_assert_uint_eq(rate_take(&r, 2, 0), 1);
	ck_assert_uint_eq(rate_take(&r, 2, SEC), 1);
}
END_TEST

/* ---- cost ---- */
struct cost {
	uint64_t most; /* comparisons for one slice: charge, decision, hand-over */
	double mean;
};

/* n vGPUs of any kind, all with work, some of which stop and begin; in groups of 16 if grouped. */
static struct cost cost_of(int n, enum sched_policy policy, bool grouped)
{
	struct sched_params p = {.policy = policy};
	struct sched *s = sched_new(&p, 0);
	struct sched_vgpu **v = calloc(n, sizeof(*v)), *held = NULL;
	struct sched_share share = {.class = SCHED_MEDIUM, .weight = 100};
	struct sched_group *g = NULL;
	struct sched_decision d;
	unsigned int seed = n;
	uint64_t now = 0, steps, all = 0;
	struct cost cost = {0};
	int slices = 3000;

	for (int i = 0; i < n; i++) {
		if (grouped && i % 16 == 0)
			g = sched_group_add(s, &share, NULL, 0);
		share.weight = 1 + rand_r(&seed) % 1000;
		share.class = rand_r(&seed) % SCHED_CLASSES;
		share.min_ppm = rand_r(&seed) % 4 ? 0 : 500000 / n;
		share.max_ppm = rand_r(&seed) % 4 ? 0 : 500000;
		v[i] = sched_add(s, g, &share, NULL, 0);
	}
	for (int i = 0; i < n; i++)
		sched_wants(v[i], true, 0);
	for (int k = 0; k < slices; k++) {
		struct sched_vgpu *o = v[rand_r(&seed) % n];

		steps = sched_steps(s);
		if (held)
			sched_charge(held, MS, now);
		sched_wants(o, rand_r(&seed) % 4, now);
		sched_decide(s, now, &d);
		if (d.holder != held)
			sched_granted(s, d.holder, now);
		held = d.holder;
		now += MS;
		steps = sched_steps(s) - steps;
		all += steps;
		cost.most = steps > cost.most ? steps : cost.most;
	}
	cost.mean = (double)all / slices;
	sched_free(s);
	free(v);
	return cost;
}

/* A thousand times as many vGPUs cost a few times as much: as the logarithm grows. */
START_TEST(decisions_cost_log_n)
{
	for (int grouped = 0; grouped < 2; grouped++) {
		struct cost ten = cost_of(10, _i, grouped), many;
		double log = 3.4;

		for (int n = 100; n <= 10000; n *= 10) {
			many = cost_of(n, _i, grouped);
			log += 3.33;
			ck_assert_msg(many.mean <= 30 * log, "%d vGPUs: %.0f comparisons a slice",
				      n, many.mean);
			ck_assert_msg(many.mean <= 4 * log / 3.4 * (ten.mean + 10),
				      "%d vGPUs: %.0f comparisons a slice, 10: %.0f", n, many.mean,
				      ten.mean);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched_parts");
	TCase *t = tcase_create("sched_parts");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_first_is_the_least);
	tcase_add_test(t, equal_keys_come_in_turn);
	tcase_add_test(t, a_pace_is_exact);
	tcase_add_test(t, another_share_keeps_what_is_owed);
	tcase_add_test(t, a_pace_has_ends);
	tcase_add_test(t, a_rate_is_kept);
	tcase_add_test(t, no_rate_is_no_limit);
	tcase_add_test(t, a_rate_changes_live);
	tcase_add_test(t, rates_do_not_overflow);
	tcase_add_loop_test(t, decisions_cost_log_n, 0, SCHED_POLICIES);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
