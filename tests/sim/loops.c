/* SPDX-License-Identifier: MIT */
/*
 * Closed loops: tenants of different weight that launch a burst of kernels, wait for its end,
 * think, and begin again. The part that each is due is reckoned as in tests/bench/loops.py:
 * what all of them use on the GPU without a scheduler is dealt out by weight, and nobody is dealt
 * more than it can use: an estimate, or what it got if that was more.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/bench.h"

#define TENANTS     4
/* Another vGPU's work that is on the GPU when one comes back: half a slice, or one kernel; and the
 * hand-overs there and back, a change of context and bells each. As in tests/bench/loops.py. */
#define IN_FLIGHT_US 1000.
#define HANDOVERS_US 160

static const uint32_t weights[TENANTS] = {100, 200, 100, 400};

struct loop {
	double us, burst, think_us;
};

static struct sim_load load_of(const struct loop *l)
{
	return (struct sim_load){
		.name = "loop",
		.arrival = SIM_CLOSED,
		/* A program needs a moment between a result and the next launch. */
		.gap = {SIM_UNIFORM, (l->think_us + 20) * 1e3, 0.5},
		.kernels = {SIM_CONST, l->burst, 0},
		.kernel_ns = {SIM_CONST, l->us * 1e3, 0},
	};
}

static void run_one(const struct loop *l, size_t tenants, bool native, double share[TENANTS],
		    json_t **details)
{
	const struct sim_load load = load_of(l);
	struct bench b;
	struct sim_result *r;

	bench_init(&b, options.quick ? 5 : 20);
	bench_load(&b, &load);
	for (size_t i = 0; i < tenants; i++)
		bench_vgpus(&b, 0, 1)->share.weight = weights[i];
	b.c.model.native = native;
	r = bench_run(&b, "loops");
	for (size_t i = 0; i < tenants; i++)
		share[i] = share_of(r, i);
	if (details)
		*details = details_of(&b, r);
	sim_result_free(r);
	bench_free(&b);
}

/* Water-filling: what all use natively, by weight, at most what each can use. */
static void deal(double left, const double can[TENANTS], double due[TENANTS])
{
	bool full[TENANTS] = {false}, more = true;
	double of = 0;

	while (more) {
		more = false;
		of = 0;
		for (size_t i = 0; i < TENANTS; i++)
			of += full[i] ? 0 : weights[i];
		for (size_t i = 0; i < TENANTS; i++) {
			if (full[i])
				continue;
			due[i] = left * weights[i] / of;
			if (due[i] < can[i])
				continue;
			due[i] = can[i];
			full[i] = true;
			left -= can[i];
			more = true;
			break;
		}
	}
}

static double sum(const double x[TENANTS])
{
	return x[0] + x[1] + x[2] + x[3];
}

/* The use of one alone, but for another one's work that it finds on the GPU each time it comes
 * back. */
static double unhindered(const struct loop *l, double alone)
{
	const double burst = l->us * l->burst;
	const double waits = fmax(l->us, fmin(burst, IN_FLIGHT_US)) + HANDOVERS_US;

	return burst / (burst / alone + waits);
}

static void run_loop(const struct loop *l)
{
	double alone[TENANTS] = {0}, native[TENANTS], got[TENANTS], can[TENANTS], due[TENANTS];
	double target = options.quick ? 0.8 : 0.9, least = 9;
	json_t *d;
	char name[64];

	run_one(l, 1, true, alone, NULL);
	run_one(l, TENANTS, true, native, NULL);
	run_one(l, TENANTS, false, got, &d);
	for (size_t i = 0; i < TENANTS; i++)
		can[i] = fmax(unhindered(l, alone[0]), got[i]);
	deal(sum(native), can, due);
	for (size_t i = 0; i < TENANTS; i++)
		least = got[i] / due[i] < least ? got[i] / due[i] : least;
	snprintf(name, sizeof(name), "loops_fair_%.0fus_%.0f_%.0fms", l->us, l->burst,
		 l->think_us / 1e3);
	row(name, least, "of due", ROW_LEAST, target, d);
	snprintf(name, sizeof(name), "loops_total_%.0fus_%.0f_%.0fms", l->us, l->burst,
		 l->think_us / 1e3);
	row(name, sum(got) / sum(native), "of native", ROW_LEAST, 0.97, NULL);
}

/*
 * One that never waits beside three that do, of equal weight: each is due a quarter of the GPU, or
 * what the three use beside each other in the three quarters that are theirs.
 */
static void run_mix(const struct loop *l)
{
	static const struct loop busy = {2000, 64, 0};
	const struct sim_load loads[] = {load_of(&busy), load_of(l)};
	double share[TENANTS] = {0}, three[TENANTS] = {0}, due, least;
	struct sim_result *r;
	struct bench b;
	char name[64];

	run_one(l, TENANTS - 1, true, three, NULL);
	bench_init(&b, options.quick ? 5 : 20);
	bench_load(&b, &loads[0]);
	bench_load(&b, &loads[1]);
	for (size_t i = 0; i < TENANTS; i++)
		bench_vgpus(&b, i > 0, 1);
	r = bench_run(&b, "mix");
	for (size_t i = 0; i < TENANTS; i++)
		share[i] = share_of(r, i);
	due = fmin(0.25, three[2] * 0.75);
	least = fmin(share[0] / 0.25, fmin(share[1], fmin(share[2], share[3])) / due);
	snprintf(name, sizeof(name), "mix_least_%.0fus_%.0f", l->us, l->burst);
	row(name, least, "of due", ROW_LEAST, 0.9, details_of(&b, r));
	sim_result_free(r);
	bench_free(&b);
}

void run_loops(void)
{
	static const struct loop waiting[] = {{100, 1, 0}, {100, 8, 0}, {500, 8, 0}};
	static const double us[] = {100, 500, 2000, 20000}, bursts[] = {1, 4, 8, 64},
			    think[] = {0, 1e3, 3e3, 10e3};

	for (size_t t = 0; t < 4; t++)
		for (size_t b = 0; b < 4; b++)
			for (size_t i = 0; i < 4; i++)
				run_loop(&(struct loop){us[t], bursts[b], think[i]});
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		run_mix(&waiting[i]);
}
