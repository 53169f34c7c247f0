/* SPDX-License-Identifier: MIT */
/* A fleet: up to 10,000 vGPUs on up to 500 GPUs, with the three placements. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/bench.h"

#define GIB (1ull << 30)

static uint64_t draw(uint64_t *state, uint64_t n)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % n;
}

/* Of ten tenants four are idle, three answer requests, two come in bursts, one trains now and then.
 */
static void mix(struct bench *b, size_t n, double seconds)
{
	struct sim_load idle = {.name = "idle"};
	struct sim_load serve = load_open("serving", 400e6, 8, 1e6);
	struct sim_load burst = {.name = "bursts",
				 .arrival = SIM_ONOFF,
				 .gap = {SIM_EXP, 60e6, 0},
				 .on = {SIM_EXP, 500e6, 0},
				 .off = {SIM_PARETO, 2e9, 1.5},
				 .kernels = {SIM_LOGNORMAL, 8, 1},
				 .kernel_ns = {SIM_CONST, 1.5e6, 0}};
	struct sim_load train = {.name = "training",
				 .arrival = SIM_CLOSED,
				 .gap = {SIM_EXP, 100e6, 0},
				 .kernels = {SIM_CONST, 10, 0},
				 .kernel_ns = {SIM_LOGNORMAL, 3e6, 0.5}};
	static const uint8_t which[10] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 3};
	static const uint32_t expected[4] = {0, 20000, 36000, 150000};
	uint64_t st = options.seed;
	struct sim_vgpu_spec *v;

	bench_load(b, &idle);
	bench_load(b, &serve);
	bench_load(b, &burst);
	bench_load(b, &train);
	v = bench_vgpus(b, 0, n);
	for (size_t i = 0; i < n; i++) {
		uint32_t kind = which[draw(&st, 10)];

		v[i].load = kind;
		v[i].load_ppm = expected[kind];
		v[i].memory = (1ull + kind) * GIB / (1 + draw(&st, 2));
		/* All come in the first second, in an order of their own. */
		v[i].attach_ns = draw(&st, SIM_S);
		if (draw(&st, 8) == 0)
			v[i].detach_ns = SIM_S + draw(&st, (uint64_t)(seconds * 1e9) + 1);
	}
}

static double least_busy(const struct sim_result *r, bool most)
{
	double x = most ? 0 : 1;

	for (size_t i = 0; i < r->n_gpus; i++) {
		double busy = (double)r->gpu[i].busy_ns / (double)r->time_ns;

		if (r->gpu[i].vgpus && (most ? busy > x : busy < x))
			x = busy;
	}
	return x;
}

static json_t *fleet_details(const struct bench *b, const struct sim_result *r, double took)
{
	json_t *d = details_of(b, r);

	json_object_set_new(d, "least_busy_gpu", json_real(least_busy(r, false)));
	json_object_set_new(d, "most_busy_gpu", json_real(least_busy(r, true)));
	json_object_set_new(d, "run_s", json_real(took));
	return d;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void run_placement(void)
{
	for (unsigned int p = 0; p < PLACE_POLICIES; p++) {
		struct bench b;
		struct sim_result *r;
		char name[64];
		double begun = seconds(), length;

		bench_init(&b, 10);
		length = (double)(b.c.duration_ns - b.c.warm_ns) / 1e9;
		bench_gpus(&b, 500, 80 * GIB);
		b.c.place = (enum place_policy)p;
		mix(&b, 10000, length);
		r = bench_run(&b, place_name(b.c.place));
		snprintf(name, sizeof(name), "fleet_10000_%s", place_name(b.c.place));
		row(name, (double)sim_hist_at(&r->load[1].latency, 0.99) / 1e6, "ms p99", ROW_NONE,
		    0, fleet_details(&b, r, seconds() - begun));
		snprintf(name, sizeof(name), "fleet_refused_%s", place_name(b.c.place));
		row(name, (double)r->refused, "vGPUs", ROW_MOST, 0, NULL);
		snprintf(name, sizeof(name), "fleet_gpus_used_%s", place_name(b.c.place));
		row(name, r->gpus_used, "GPUs", ROW_NONE, 0, NULL);
		sim_result_free(r);
		bench_free(&b);
	}
}

void run_scale(void)
{
	static const struct {
		size_t vgpus, gpus;
	} sizes[] = {{2, 1}, {8, 1}, {32, 1}, {100, 4}, {1000, 50}, {10000, 500}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench b;
		struct sim_result *r;
		char name[64];
		double begun = seconds(), length;

		bench_init(&b, 5);
		length = (double)(b.c.duration_ns - b.c.warm_ns) / 1e9;
		bench_gpus(&b, sizes[i].gpus, 80 * GIB);
		mix(&b, sizes[i].vgpus, length);
		snprintf(name, sizeof(name), "scale_%zu_vgpus_%zu_gpus", sizes[i].vgpus,
			 sizes[i].gpus);
		r = bench_run(&b, name);
		row(name, (double)sim_hist_at(&r->load[1].latency, 0.99) / 1e6, "ms p99", ROW_NONE,
		    0, fleet_details(&b, r, seconds() - begun));
		sim_result_free(r);
		bench_free(&b);
	}
}
