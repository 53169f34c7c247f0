/* SPDX-License-Identifier: MIT */
/* Several vGPUs have the GPU at once: who may, who is ahead, and what each gets over a second. */
#include <stdlib.h>

#include "xen-pvgpu-back/sched/turn/internal.h"
#include "tests/unit/sched/sched_drive.h"

enum { MOST = 8, RUNS = 2000 };

static const struct sched_share full = {.class = SCHED_MEDIUM, .weight = 100};
static struct sched *s;
static struct sched_vgpu *v[MOST];

static void setup_of(int n, const struct sched_params *p, const struct sched_share *first)
{
	s = sched_new(p, 0);
	for (int i = 0; i < n; i++) {
		v[i] = sched_add(s, NULL, i ? &full : first, NULL, 0);
		sched_wants(v[i], true, 0);
	}
}

static void decide(uint64_t now)
{
	struct sched_decision d;

	sched_decide(s, now, &d);
	sched_granted(s, d.holder, now);
}

START_TEST(who_may)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share share = full;
	struct sched_group *g;

	setup_of(2, &p, &full);
	ck_assert(!sched_may_join(v[0])); /* nothing is decided yet */
	decide(MS);
	ck_assert(sched_may_join(v[0]) && sched_may_join(v[1]));
	sched_wants(v[1], false, MS);
	ck_assert(!sched_may_join(v[1]));
	sched_wants(v[1], true, MS);
	/* A maximum, until it is reached. */
	share.max_ppm = SCHED_PPM / 2;
	sched_set_share(v[1], &share, MS);
	decide(10 * MS);
	ck_assert(sched_may_join(v[0]) && sched_may_join(v[1]) && !sched_held(v[1]));
	sched_charge(v[1], 20 * MS, 10 * MS);
	decide(10 * MS);
	ck_assert(sched_may_join(v[0]) && !sched_may_join(v[1]) && sched_held(v[1]));
	sched_set_share(v[1], &full, 10 * MS);
	g = sched_group_add(s, &full, NULL, 10 * MS);
	sched_move(v[1], g, 10 * MS);
	ck_assert(!sched_may_join(v[1]));
	sched_move(v[1], NULL, 10 * MS);
	ck_assert(sched_may_join(v[1]));
	share = full;
	share.class = SCHED_HIGH;
	sched_set_share(v[1], &share, 10 * MS);
	ck_assert(!sched_may_join(v[0]));
	sched_set_share(v[1], &full, 10 * MS);
	/* A guarantee that is owed. */
	share = full;
	share.min_ppm = SCHED_PPM / 2;
	sched_set_share(v[1], &share, 10 * MS);
	ck_assert(!sched_may_join(v[0]) && !sched_may_join(v[1]));
	sched_free(s);

	for (int policy = SCHED_FAIR; policy < SCHED_POLICIES; policy++) {
		p = (struct sched_params){.policy = policy, .exclusive = policy == SCHED_FAIR};
		setup_of(2, &p, &full);
		decide(MS);
		if (p.exclusive || policy == SCHED_BEST_EFFORT)
			ck_assert(!sched_may_join(v[0]) && !sched_may_join(v[1]));
		else
			ck_assert(sched_may_join(v[0]) || sched_may_join(v[1]));
		sched_free(s);
	}
}
END_TEST

/* How much the holder may use until another one is first, by their tags and its weight. */
START_TEST(credit_of_the_holder)
{
	const struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share share = full;

	share.weight = 400;
	setup_of(3, &p, &share);
	ck_assert_uint_eq(sched_credit_left(v[0]), 0); /* it has no grant yet */
	decide(MS);
	for (int i = 1; i < 3; i++)
		sched_charge(v[i], i * 10 * MS, MS);
	sched_charge(v[0], 12 * MS, MS);
	ck_assert_uint_ge(sched_credit_left(v[0]), 27 * MS);
	ck_assert_uint_le(sched_credit_left(v[0]), 29 * MS);
	ck_assert_uint_eq(sched_credit_left(v[1]), 0);
	sched_charge(v[0], 40 * MS, MS);
	ck_assert_uint_eq(sched_credit_left(v[0]), 0);
	/* Only lower classes want the GPU. */
	share.class = SCHED_HIGH;
	sched_set_share(v[0], &share, MS);
	ck_assert_uint_eq(sched_credit_left(v[0]), SCHED_NEVER);
	sched_free(s);
}
END_TEST

/* A group's weight and use count, and those of others in it. */
START_TEST(credit_in_a_group)
{
	const struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share heavy = full;
	struct sched_group *g;

	heavy.weight = 400;
	setup_of(3, &p, &full);
	g = sched_group_add(s, &heavy, NULL, 0);
	sched_move(v[0], g, 0);
	for (int i = 1; i < 3; i++)
		sched_wants(v[i], false, 0);
	decide(MS);
	for (int i = 1; i < 3; i++)
		sched_wants(v[i], true, MS);
	sched_charge(v[2], 30 * MS, MS);
	sched_charge(v[1], 10 * MS, MS);
	sched_charge(v[0], 12 * MS, MS);
	ck_assert_uint_ge(sched_credit_left(v[0]), 27 * MS);
	ck_assert_uint_le(sched_credit_left(v[0]), 29 * MS);
	/* Another one of the group is as far as the group allows. */
	sched_move(v[2], g, MS);
	ck_assert_uint_le(sched_credit_left(v[0]), 29 * MS);
	sched_charge(v[0], 5 * MS, MS);
	ck_assert_uint_le(sched_credit_left(v[0]), 24 * MS);
	sched_free(s);
}
END_TEST

START_TEST(no_wait_while_it_has_the_gpu)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_stats st;

	setup_of(2, &p, &full);
	decide(MS);
	sched_joint(v[1], true, 2 * MS);
	sched_stats(v[1], 50 * MS, &st);
	ck_assert_uint_eq(st.waited_ns, 2 * MS);
	ck_assert_uint_eq(st.longest_wait_ns, 2 * MS);
	ck_assert_uint_eq(st.slices, 1);
	sched_charge(v[0], 20 * MS, 50 * MS);
	/* The grant changes, and no hand-over is paid: its use is all that counts. */
	decide(50 * MS);
	ck_assert_int_eq(sched_lead(v[1]), 0);
	sched_charge(v[1], 20 * MS, 50 * MS);
	ck_assert_int_le(llabs(sched_lead(v[0]) - sched_lead(v[1])), MS);
	sched_joint(v[1], false, 60 * MS);
	decide(60 * MS);
	sched_free(s);
}
END_TEST

/* Bursts of 12 hand-overs, or single kernels of 48, within limits, which are wider among equals. */
START_TEST(brief_by_handovers)
{
	static const struct {
		uint64_t handover, burst, kernel;
		bool alike;
	} cases[] = {
		{0, 500 * US, MS, false},
		{20 * US, 500 * US, MS, false},
		{50 * US, 600 * US, 1250 * US, false},
		{100 * US, 1200 * US, 1250 * US, false},
		{MS, 2 * MS, 1250 * US, false},
		{0, 2 * MS, 2500 * US, true},
		{MS, 2 * MS, 2500 * US, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(window_brief(cases[i].handover, cases[i].alike), cases[i].burst);
		ck_assert_uint_eq(window_brief_kernel(cases[i].handover, cases[i].alike),
				  cases[i].kernel);
	}
}
END_TEST

/* The lead by which one is held grows while the GPU is idle, and is half a slice again when it has
 * been busy. */
START_TEST(lead_by_looks)
{
	uint64_t ahead = 0;

	ahead = joint_ahead_look(ahead, 3 * MS, false);
	ck_assert_uint_eq(ahead, 1500 * US);
	for (int i = 0; i < 4; i++)
		ahead = joint_ahead_look(ahead, 3 * MS, true);
	ck_assert_uint_eq(ahead, 3500 * US);
	for (int i = 0; i < 100; i++)
		ahead = joint_ahead_look(ahead, 3 * MS, true);
	ck_assert_uint_eq(ahead, SCHED_AHEAD_NS);
	ck_assert_uint_lt(joint_ahead_look(ahead, 3 * MS, false), ahead);
	/* Idle at one look of 180: it goes back all the same. */
	for (int i = 0; i < 90000; i++)
		ahead = joint_ahead_look(ahead, 3 * MS, i % 180 == 0);
	ck_assert_uint_eq(ahead, 1500 * US);
	/* A slice that has become longer. */
	ck_assert_uint_eq(joint_ahead_look(ahead, 10 * MS, false), 2 * MS);
}
END_TEST

/* The rule of sched/turn/joint.c: the first in turn runs, the second up to a slice ahead, and
 * the others up to half of one. */
static int open_some(int n, bool open[MOST], int64_t slice)
{
	int first = 0, second = -1, count = 0;

	for (int i = 1; i < n; i++)
		first = sched_lead(v[i]) < sched_lead(v[first]) ? i : first;
	for (int i = 0; i < n; i++)
		if (i != first && (second < 0 || sched_lead(v[i]) < sched_lead(v[second])))
			second = i;
	for (int i = 0; i < n; i++) {
		int64_t lead = sched_lead(v[i]);

		open[i] = i == first || (i == second && lead <= slice) ||
			  lead <= (open[i] ? slice / 2 : slice / 4);
		count += open[i];
	}
	return count;
}

/* Whatever the weights and the lengths of kernels: none gets further ahead than a slice and what it
 * does between two looks, and each has its part of two seconds. */
START_TEST(shares_hold)
{
	for (unsigned int run = 0; run < RUNS; run++) {
		struct sched_params p = {.policy = SCHED_FAIR};
		uint64_t now = 0, used[MOST] = {0}, total = 0, sum = 0;
		uint32_t weight[MOST];
		bool open[MOST] = {false};
		int n;

		srand(run + 1);
		n = 2 + rand() % (MOST - 1);
		p.slice_ns = (uint64_t)(1 + rand() % 4) * MS;
		setup_of(n, &p, &full);
		for (int i = 0; i < n; i++) {
			struct sched_share share = full;

			weight[i] = share.weight = (uint32_t)(50 << rand() % 5);
			sched_set_share(v[i], &share, 0);
			sum += weight[i];
		}
		while (now < 2 * SEC) {
			const uint64_t step = (uint64_t)(200 + rand() % 1800) * US;
			int count;

			decide(now);
			count = open_some(n, open, (int64_t)p.slice_ns);
			now += step;
			for (int i = 0; i < n; i++) {
				sched_joint(v[i], open[i], now - step);
				if (!open[i])
					continue;
				sched_charge(v[i], step / (uint64_t)count, now);
				used[i] += step / (uint64_t)count;
				must_say(sched_lead(v[i]) <= (int64_t)(p.slice_ns + step),
					 "run %u: vGPU %d is %lld ahead", run, i,
					 (long long)sched_lead(v[i]));
			}
		}
		for (int i = 0; i < n; i++)
			total += used[i];
		for (int i = 0; i < n; i++) {
			double due = (double)total * weight[i] / (double)sum;
			double within = (double)(p.slice_ns + 2 * MS) *
					(1 + (double)weight[i] * n / (double)sum);

			must_say((double)used[i] > due - within && (double)used[i] < due + within,
				 "run %u: vGPU %d of weight %u has %.1f ms of %.1f", run, i,
				 weight[i], (double)used[i] * 1e-6, due * 1e-6);
		}
		sched_free(s);
	}
}
END_TEST

/* Three of equal weight, of which the first has a maximum: it has that, and the others the rest. It
 * is in until the maximum is reached, however little is saved, and then out until a slice is saved.
 */
START_TEST(maximum_holds)
{
	static const uint32_t percents[] = {5, 20, 30};
	const struct sched_params p = {.policy = SCHED_FAIR, .slice_ns = 2 * MS};
	struct sched_share share = full;
	uint64_t now = 0, used[3] = {0}, saved;
	unsigned int outs = 0;
	bool in[3], was = true;

	share.max_ppm = percents[_i] * (SCHED_PPM / 100);
	setup_of(3, &p, &share);
	while (now < 4 * SEC) {
		uint64_t step = sched_look(3);
		unsigned int count = 0;

		decide(now);
		for (int i = 0; i < 3; i++) {
			in[i] = sched_may_join(v[i]) && sched_lead(v[i]) < 4 * (int64_t)MS;
			sched_joint(v[i], in[i], now);
			count += in[i];
		}
		outs += was && !in[0];
		was = in[0];
		now += step;
		for (int i = 0; i < 3; i++) {
			used[i] += in[i] ? step / count : 0;
			sched_charge(v[i], in[i] ? step / count : 0, now);
		}
	}
	saved = 4 * p.slice_ns + sched_look(3);
	ck_assert_uint_gt(outs, 10);
	ck_assert_uint_le(used[0], 4 * SEC * percents[_i] / 100 + saved);
	ck_assert_uint_ge(used[0], 4 * SEC * percents[_i] * 96 / 10000);
	for (int i = 1; i < 3; i++)
		ck_assert_int_le(llabs((int64_t)used[i] - (int64_t)(4 * SEC - used[0]) / 2),
				 10 * MS);
	sched_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched_joint");
	TCase *c = tcase_create("joint");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 300);
	tcase_add_test(c, who_may);
	tcase_add_test(c, credit_of_the_holder);
	tcase_add_test(c, credit_in_a_group);
	tcase_add_test(c, no_wait_while_it_has_the_gpu);
	tcase_add_test(c, brief_by_handovers);
	tcase_add_test(c, lead_by_looks);
	tcase_add_test(c, shares_hold);
	tcase_add_loop_test(c, maximum_holds, 0, 3);
	suite_add_tcase(suite, c);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
