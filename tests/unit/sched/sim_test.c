/* SPDX-License-Identifier: MIT */
/* The simulation against known results: queues, switches, shares, placement, repeatability.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/sched/sim/sim.h"

static struct sim_config c;
static struct sim_load loads[4];
static struct sim_vgpu_spec vgpus[64];
static struct place_gpu gpus[4];

/* A perfect GPU: nothing costs anything. */
static void setup(void)
{
	memset(&c, 0, sizeof(c));
	memset(loads, 0, sizeof(loads));
	memset(vgpus, 0, sizeof(vgpus));
	memset(gpus, 0, sizeof(gpus));
	for (size_t i = 0; i < 64; i++)
		vgpus[i].share = (struct sched_share){.class = SCHED_MEDIUM, .weight = 100};
	sim_model_default(&c.model);
	c.model.switch_ns = c.model.bell_ns = 0;
	c.seed = 1;
	c.warm_ns = SIM_S;
	c.duration_ns = 11 * SIM_S;
	c.gpus = gpus;
	c.n_gpus = 1;
	c.loads = loads;
	c.n_loads = 1;
	c.vgpus = vgpus;
	c.n_vgpus = 1;
}

static struct sim_result *run(void)
{
	struct sim_result *r = sim_run(&c);

	ck_assert_ptr_nonnull(r);
	return r;
}

static void closed(struct sim_load *l, double think_ns, double kernels, double kernel_ns)
{
	*l = (struct sim_load){.arrival = SIM_CLOSED,
			       .gap = {SIM_CONST, think_ns, 0},
			       .kernels = {SIM_CONST, kernels, 0},
			       .kernel_ns = {SIM_CONST, kernel_ns, 0}};
}

#define NEAR(a, b, part) ck_assert_double_eq_tol((double)(a), (double)(b), (part) * (double)(b))

/* One alone: 10 ms of work and 30 ms of thought: a quarter of the GPU, 25 requests a second. */
START_TEST(alone)
{
	struct sim_result *r;

	closed(&loads[0], 30e6, 10, 1e6);
	r = run();
	NEAR(r->all.busy_ns, r->time_ns / 4, 0.01);
	NEAR(r->vgpu[0].requests, 250, 0.01);
	NEAR(sim_hist_at(&r->load[0].latency, 0.99), 10e6, 0.02);
	ck_assert_uint_eq(r->all.context_switches, 0);
	ck_assert_uint_eq(r->all.waste_ns, 0);
	NEAR(r->vgpu[0].charged_ns, r->vgpu[0].used_ns, 0.001);
	sim_result_free(r);
}
END_TEST

/* n of them: the response time is n * S - Z once the GPU is full, and the GPU is full. */
START_TEST(closed_loop)
{
	struct sim_result *r;
	size_t n = 6 + 4 * (size_t)_i;

	closed(&loads[0], 30e6, 1, 10e6);
	c.n_vgpus = n;
	r = run();
	NEAR(r->all.busy_ns, r->time_ns, 0.001);
	NEAR(r->load[0].latency.sum / (double)r->load[0].latency.count, (double)n * 10e6 - 30e6,
	     0.02);
	NEAR(r->load[0].latency.count, 1000, 0.02);
	sim_result_free(r);
}
END_TEST

/* A queue with one server, Poisson arrivals, constant service: waiting is S * rho / (2 (1 - rho)).
 */
START_TEST(open_queue)
{
	struct sim_result *r;

	closed(&loads[0], 10e6, 1, 5e6);
	loads[0].arrival = SIM_OPEN;
	loads[0].gap.kind = SIM_EXP;
	c.duration_ns = 501 * SIM_S;
	r = run();
	NEAR(r->all.busy_ns, r->time_ns / 2, 0.02);
	NEAR(r->load[0].latency.sum / (double)r->load[0].latency.count, 7.5e6, 0.03);
	sim_result_free(r);
}
END_TEST

START_TEST(switches_cost)
{
	struct sim_result *r;

	c.model.switch_ns = 100 * SIM_US;
	closed(&loads[0], 0, 64, 50e3);
	loads[0].depth = 4;
	c.n_vgpus = 2;
	c.params.slice_ns = 2 * SIM_MS;
	r = run();
	NEAR(r->all.busy_ns + r->all.switch_ns + r->all.waste_ns, r->time_ns, 0.001);
	NEAR(r->all.switch_ns, r->all.context_switches * 100 * SIM_US, 0.001);
	ck_assert_uint_gt(r->all.context_switches, 100);
	NEAR(r->vgpu[0].used_ns, r->vgpu[1].used_ns, 0.01);
	ck_assert(r->jain_min > 0.999);
	ck_assert_uint_ge(r->jain_windows, 9);
	sim_result_free(r);
}
END_TEST

/* Without a gate the GPU slices time by context, with a gate by vGPU. */
START_TEST(native_counts_contexts)
{
	struct sim_result *r;

	closed(&loads[0], 0, 64, 100e3);
	loads[0].depth = 4;
	c.n_vgpus = 2;
	vgpus[0].processes = 3;
	c.model.native = true;
	r = run();
	NEAR(r->vgpu[0].used_ns, 3 * r->vgpu[1].used_ns, 0.02);
	sim_result_free(r);
	c.model.native = false;
	r = run();
	NEAR(r->vgpu[0].used_ns, r->vgpu[1].used_ns, 0.02);
	sim_result_free(r);
}
END_TEST

/* One of class high beside saturating ones of class medium waits for what is in flight, and so
 * does one that comes while a former holder drains. */
START_TEST(higher_class)
{
	struct sim_result *r;

	sim_model_default(&c.model);
	closed(&loads[0], 20e6, 1, 100e3);
	loads[0].arrival = SIM_OPEN;
	loads[0].gap.kind = SIM_EXP;
	closed(&loads[1], 0, 1e6, 1e6);
	c.n_loads = 2;
	c.n_vgpus = 4 + 4 * (size_t)_i;
	for (size_t i = 1; i < c.n_vgpus; i++)
		vgpus[i].load = 1;
	vgpus[0].share.class = SCHED_HIGH;
	r = run();
	NEAR(r->vgpu[0].requests, 500, 0.2);
	ck_assert_uint_lt(sim_hist_at(&r->load[0].latency, 0.99), 10 * SIM_MS);
	sim_result_free(r);
}
END_TEST

/* Four of weights 1, 2, 1, 4 that think between bursts: the GPU is not idle for the one that is
 * behind, and bursts that are worth a turn have one, so that it does not wait for the others'. */
START_TEST(bursts_and_thoughts)
{
	static const struct {
		double kernels, kernel_ns;
		uint64_t bell_ns;
		double total, heavy; /* of native; of the time */
	} cases[] = {
		{4, 100e3, 10 * SIM_US, 0.96, 0.2},
		{8, 100e3, 10 * SIM_US, 0.97, 0.3},
		{4, 500e3, 50 * SIM_US, 0.95, 0.44},
	};
	struct sim_result *r;
	uint64_t native;

	sim_model_default(&c.model);
	c.model.bell_ns = cases[_i].bell_ns;
	closed(&loads[0], 1020e3, cases[_i].kernels, cases[_i].kernel_ns);
	loads[0].gap.kind = SIM_UNIFORM;
	loads[0].gap.shape = 0.5;
	c.n_vgpus = 4;
	vgpus[1].share.weight = 200;
	vgpus[3].share.weight = 400;
	c.model.native = true;
	r = run();
	native = r->all.busy_ns;
	sim_result_free(r);
	c.model.native = false;
	r = run();
	ck_assert_double_ge((double)r->all.busy_ns, cases[_i].total * (double)native);
	ck_assert_double_ge((double)r->vgpu[3].used_ns, cases[_i].heavy * (double)r->time_ns);
	sim_result_free(r);
}
END_TEST

START_TEST(repeats)
{
	struct sim_result *a, *b;

	closed(&loads[0], 20e6, 5, 1e6);
	loads[0].gap = (struct sim_dist){SIM_PARETO, 20e6, 1.5};
	loads[0].kernel_ns = (struct sim_dist){SIM_LOGNORMAL, 1e6, 1};
	loads[1] = loads[0];
	loads[1].arrival = SIM_ONOFF;
	loads[1].on = (struct sim_dist){SIM_EXP, 100e6, 0};
	loads[1].off = (struct sim_dist){SIM_UNIFORM, 100e6, 0.5};
	c.n_loads = 2;
	c.n_vgpus = 8;
	for (size_t i = 4; i < 8; i++)
		vgpus[i].load = 1;
	a = run();
	b = run();
	ck_assert_uint_eq(a->events, b->events);
	ck_assert_int_eq(memcmp(a->vgpu, b->vgpu, 8 * sizeof(*a->vgpu)), 0);
	ck_assert_int_eq(memcmp(&a->all, &b->all, sizeof(a->all)), 0);
	sim_result_free(b);
	c.seed = 2;
	b = run();
	ck_assert_uint_ne(a->events, b->events);
	sim_result_free(a);
	sim_result_free(b);
}
END_TEST

START_TEST(traces)
{
	static const struct sim_row rows[] = {
		{2 * SIM_S, 10 * SIM_MS}, {2 * SIM_S, 5 * SIM_MS}, {3 * SIM_S, 2500 * SIM_US}};
	struct sim_result *r;

	loads[0] = (struct sim_load){.arrival = SIM_TRACE, .kernel_ns = {SIM_CONST, 1e6, 0}};
	vgpus[0].rows = rows;
	vgpus[0].n_rows = 3;
	r = run();
	ck_assert_uint_eq(r->vgpu[0].requests, 3);
	ck_assert_uint_eq(r->vgpu[0].used_ns, 17500 * SIM_US);
	NEAR(r->load[0].latency.max, 15e6, 0.001);
	sim_result_free(r);
}
END_TEST

START_TEST(come_and_go)
{
	struct sim_result *r;

	closed(&loads[0], 0, 8, 1e6);
	c.n_gpus = 2;
	c.n_vgpus = 5;
	gpus[0].memory = gpus[1].memory = 2;
	for (size_t i = 0; i < 5; i++)
		vgpus[i].memory = 1;
	vgpus[0].detach_ns = 6 * SIM_S;
	vgpus[4].attach_ns = 6 * SIM_S + 1;
	vgpus[3].attach_ns = 2 * SIM_S;
	c.n_vgpus = 5;
	r = run();
	/* The fifth has the place that the first one left. */
	ck_assert_uint_eq(r->refused, 0);
	ck_assert_uint_eq(r->vgpu[4].gpu, r->vgpu[0].gpu);
	NEAR(r->all.busy_ns, 2 * r->time_ns, 0.01);
	sim_result_free(r);
	vgpus[0].detach_ns = 0;
	r = run();
	ck_assert_uint_eq(r->refused, 1);
	ck_assert_uint_eq(r->vgpu[4].gpu, PLACE_NONE);
	ck_assert_uint_eq(r->vgpu[4].used_ns, 0);
	sim_result_free(r);
}
END_TEST

START_TEST(watchdog)
{
	struct sim_result *r;

	closed(&loads[0], 1e6, 1, 1e6);
	loads[1] = loads[0];
	loads[1].endless_ns = 3 * SIM_S;
	c.n_loads = 2;
	c.n_vgpus = 2;
	vgpus[1].load = 1;
	vgpus[1].kernel_limit_ns = 2 * SIM_S;
	r = run();
	ck_assert_uint_ge(r->vgpu[1].killed_ns, 6 * SIM_S);
	ck_assert_uint_le(r->vgpu[1].killed_ns, 6 * SIM_S + 50 * SIM_MS);
	ck_assert_uint_eq(r->vgpu[0].killed_ns, 0);
	/* Ten seconds of half its time, but for three in which it had half the GPU. */
	ck_assert(r->vgpu[0].used_ns > 3 * SIM_S);
	sim_result_free(r);
}
END_TEST

START_TEST(nonsense)
{
	closed(&loads[0], 0, 1, 1e6);
	c.duration_ns = 0;
	ck_assert_ptr_null(sim_run(&c));
	ck_assert_int_eq(errno, EINVAL);
	setup();
	closed(&loads[0], 0, 1, 0);
	ck_assert_ptr_null(sim_run(&c));
	setup();
	closed(&loads[0], 0, 1, 1e6);
	vgpus[0].load = 1;
	ck_assert_ptr_null(sim_run(&c));
	vgpus[0].load = 0;
	vgpus[0].group = 1;
	ck_assert_ptr_null(sim_run(&c));
	vgpus[0].group = 0;
	loads[0].gap = (struct sim_dist){SIM_PARETO, 1e6, 1};
	ck_assert_ptr_null(sim_run(&c));
}
END_TEST

START_TEST(histogram)
{
	struct sim_hist *h = calloc(1, sizeof(*h));

	ck_assert_ptr_nonnull(h);
	ck_assert_uint_eq(sim_hist_at(h, 0.5), 0);
	for (uint64_t v = 1; v <= 1000000; v++)
		sim_hist_add(h, v);
	NEAR(sim_hist_at(h, 0.5), 500000, 0.016);
	NEAR(sim_hist_at(h, 0.99), 990000, 0.016);
	NEAR(sim_hist_at(h, 0.001), 1000, 0.016);
	ck_assert_uint_eq(sim_hist_at(h, 1), 1000000);
	sim_hist_add(h, UINT64_MAX);
	ck_assert_uint_gt(sim_hist_at(h, 1), 1ull << 50);
	free(h);
}
END_TEST

/* Distributions have the mean that was asked for; heavy tails are cut at a thousand means. */
START_TEST(draws)
{
	static const struct sim_dist dists[] = {{SIM_CONST, 5, 0},       {SIM_UNIFORM, 5, 0.5},
						{SIM_EXP, 5, 0},         {SIM_PARETO, 5, 2.5},
						{SIM_LOGNORMAL, 5, 0.8}, {SIM_RARE, 5, 40}};
	uint64_t st = 7;

	for (size_t i = 0; i < sizeof(dists) / sizeof(dists[0]); i++) {
		double sum = 0;

		for (size_t k = 0; k < 200000; k++) {
			double x = sim_draw(&dists[i], &st);

			ck_assert(x >= 0 && x <= 5000);
			sum += x;
		}
		NEAR(sum / 200000, 5, 0.02);
	}
}
END_TEST

START_TEST(jain)
{
	const double same[] = {3, 3, 3, 3}, one[] = {0, 0, 0, 9}, none[] = {0, 0};

	ck_assert_double_eq_tol(sim_jain(same, 4), 1, 1e-9);
	ck_assert_double_eq_tol(sim_jain(one, 4), 0.25, 1e-9);
	ck_assert_double_eq_tol(sim_jain(none, 2), 1, 1e-9);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim");
	TCase *t = tcase_create("sim");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, alone);
	tcase_add_loop_test(t, closed_loop, 0, 3);
	tcase_add_test(t, open_queue);
	tcase_add_test(t, switches_cost);
	tcase_add_test(t, native_counts_contexts);
	tcase_add_loop_test(t, higher_class, 0, 3);
	tcase_add_loop_test(t, bursts_and_thoughts, 0, 3);
	tcase_add_test(t, repeats);
	tcase_add_test(t, traces);
	tcase_add_test(t, come_and_go);
	tcase_add_test(t, watchdog);
	tcase_add_test(t, nonsense);
	tcase_add_test(t, histogram);
	tcase_add_test(t, draws);
	tcase_add_test(t, jain);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
