/* SPDX-License-Identifier: MIT */
/* Policies under all kinds of load, latency by load, shares over time, exclusive pools. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/bench.h"

#define TENANTS 16

enum kind { POISSON, PARETO, ONOFF, THINK, KINDS };
static const char *const kinds[KINDS] = {"poisson", "pareto", "onoff", "think"};
static const char *const policies[SCHED_POLICIES] = {"fair", "equal", "fixed", "best_effort"};

/* Requests of 4 ms on average, kernels from tens of microseconds to milliseconds; `part` of a GPU.
 */
static struct sim_load load_of(enum kind kind, double part)
{
	const double request = 4e6;
	struct sim_load l = {
		.name = kinds[kind],
		.arrival = SIM_OPEN,
		.gap = {SIM_EXP, request / part, 0},
		.kernels = {SIM_LOGNORMAL, 16, 0.5},
		.kernel_ns = {SIM_LOGNORMAL, 250e3, 1},
	};

	if (kind == PARETO) {
		l.gap = (struct sim_dist){SIM_PARETO, request / part, 1.5};
	} else if (kind == ONOFF) {
		l.arrival = SIM_ONOFF;
		l.gap.mean = request / part / 5;
		l.on = (struct sim_dist){SIM_EXP, 200e6, 0};
		l.off = (struct sim_dist){SIM_PARETO, 800e6, 1.5};
	} else if (kind == THINK) {
		l.arrival = SIM_CLOSED;
		l.gap.mean = request * (1 / part - 1);
	}
	return l;
}

static double p99_ms(const struct sim_result *r, size_t load)
{
	return (double)sim_hist_at(&r->load[load].latency, 0.99) / 1e6;
}

/* All at 70 % of the GPU together, one of them a hog with a deep queue. */
static void policy_run(enum kind kind, int policy)
{
	struct sim_load l = load_of(kind, 0.5 / (TENANTS - 1)), hog = load_saturating("hog", 250e3);
	struct bench b;
	struct sim_result *r;
	char name[64];

	bench_init(&b, 20);
	bench_vgpus(&b, bench_load(&b, &l), TENANTS - 1);
	bench_vgpus(&b, bench_load(&b, &hog), 1);
	b.c.model.native = policy == SCHED_POLICIES;
	b.c.params.policy = b.c.model.native ? SCHED_FAIR : (enum sched_policy)policy;
	snprintf(name, sizeof(name), "p99_beside_hog_%s_%s", kinds[kind],
		 b.c.model.native ? "native" : policies[policy]);
	r = bench_run(&b, name);
	row(name, p99_ms(r, 0), "ms", ROW_NONE, 0, details_of(&b, r));
	sim_result_free(r);
	bench_free(&b);
}

void run_policies(void)
{
	for (int kind = 0; kind < KINDS; kind++)
		for (int policy = 0; policy <= SCHED_POLICIES; policy++)
			policy_run((enum kind)kind, policy);
}

/* ---- latency by load ---- */

static json_t *latency_curve(bool native, double *p99_at_half)
{
	json_t *list = json_array();

	for (int percent = 10; percent <= 90; percent += 10) {
		struct sim_load l = load_of(POISSON, percent / 100.0 / TENANTS);
		struct bench b;
		struct sim_result *r;
		const struct sim_hist *h;

		bench_init(&b, 30);
		bench_vgpus(&b, bench_load(&b, &l), TENANTS);
		b.c.model.native = native;
		r = bench_run(&b, "latency by load");
		h = &r->load[0].latency;
		json_array_append_new(list, json_pack("{s:i,s:f,s:f,s:f,s:f}", "load_percent",
						      percent, "busy", busy_of(r), "p50_ms",
						      (double)sim_hist_at(h, 0.5) / 1e6, "p95_ms",
						      (double)sim_hist_at(h, 0.95) / 1e6, "p99_ms",
						      (double)sim_hist_at(h, 0.99) / 1e6));
		if (percent == 50)
			*p99_at_half = p99_ms(r, 0);
		sim_result_free(r);
		bench_free(&b);
	}
	return list;
}

void run_latency(void)
{
	double half = 0;
	json_t *curve = latency_curve(false, &half);

	row("latency_p99_at_50_percent", half, "ms", ROW_NONE, 0,
	    json_pack("{s:o}", "latency_by_load", curve));
	curve = latency_curve(true, &half);
	row("native_latency_p99_at_50_percent", half, "ms", ROW_NONE, 0,
	    json_pack("{s:o}", "latency_by_load", curve));
}

/* ---- shares over time ---- */

static json_t *windows_of(const struct bench *b, const struct sim_result *r,
			  const char *const *names)
{
	json_t *series = json_array();
	double window = (double)b->c.window_ns;

	for (size_t v = 0; v < r->n_vgpus; v++) {
		json_t *list = json_array();

		for (size_t w = 0; w < r->windows; w++)
			json_array_append_new(
				list, json_real((double)r->window[w * r->n_vgpus + v] / window));
		json_array_append_new(series,
				      json_pack("{s:s,s:o}", "name", names[v], "share", list));
	}
	return json_pack("{s:f,s:f,s:o}", "from_s", (double)b->c.warm_ns / 1e9, "window_s",
			 window / 1e9, "series", series);
}

/* Weights 3, 2 and 1 that come and go, and one that is mostly idle. */
void run_timeline(void)
{
	static const char *const names[] = {"weight 300", "weight 200", "weight 100",
					    "on and off, weight 100"};
	struct sim_load hog = load_saturating("saturating", 200e3), bursts = load_of(ONOFF, 0.1);
	struct bench b;
	struct sim_result *r;
	struct sim_vgpu_spec *v;
	double error = 0;
	size_t looked = 0;

	bench_init(&b, 30);
	b.c.duration_ns = 30 * SIM_S;
	b.c.warm_ns = 0;
	b.c.window_ns = 250 * SIM_MS;
	b.c.record = true;
	v = bench_vgpus(&b, bench_load(&b, &hog), 3);
	v[0].share.weight = 300;
	v[0].attach_ns = 5 * SIM_S;
	v[0].detach_ns = 25 * SIM_S;
	v[1].share.weight = 200;
	v[1].attach_ns = 10 * SIM_S;
	v[1].detach_ns = 20 * SIM_S;
	bench_vgpus(&b, bench_load(&b, &bursts), 1);
	r = bench_run(&b, "timeline");
	/* All three there, and the fourth idle: 3/6 of the time for the first. */
	for (size_t w = 41; w < 79; w++) {
		const uint64_t *used = r->window + w * r->n_vgpus;
		double all = (double)(used[0] + used[1] + used[2]), d;

		d = (double)used[0] / all - 0.5;
		error += d < 0 ? -d : d;
		looked++;
	}
	row("timeline_mean_error_250_ms", 100 * error / (double)looked, "%", ROW_MOST, 2,
	    windows_of(&b, r, names));
	sim_result_free(r);
	bench_free(&b);
}

void run_exclusive(void)
{
	struct sim_load l = load_saturating("saturating", 100e3);
	struct bench b;
	struct sim_result *r;

	bench_init(&b, 10);
	b.c.params.exclusive = true;
	bench_vgpus(&b, bench_load(&b, &l), 4);
	r = bench_run(&b, "exclusive");
	row("exclusive_4_saturating_jain_1s", r->jain_min, "", ROW_LEAST, 0.99, details_of(&b, r));
	row("exclusive_4_saturating_total", busy_of(r), "of GPU", ROW_NONE, 0, NULL);
	sim_result_free(r);
	bench_free(&b);
}
