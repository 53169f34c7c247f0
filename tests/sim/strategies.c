/* SPDX-License-Identifier: MIT */
/*
 * A search for a way to cheat: one tenant with a random strategy (lengths of kernels, alike or with
 * rare long ones; bursts and pauses; depth; processes; a lone start) beside three that always have
 * work. Its gain is what it gets of the time used, less the part that its weight promises, over ten
 * of its longest kernels in each process by total weight by lightest.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/bench.h"

#define HONEST   3
#define WORST    20
#define KERNELS  10 /* the longest ones, and */
#define PAUSES   40 /* the pauses on average, in a run */
#define SHORTEST (20.0 * SIM_US)
#define LONGEST  (3.0 * SIM_S)

struct strategy {
	struct sim_load load;
	uint32_t processes;
	double longest_ns;            /* of its kernels */
	uint32_t weights[1 + HONEST]; /* its own first */
	double honest_ns[HONEST];     /* their kernels */
	uint64_t honest_start_ns;
	bool exclusive;
	double gain; /* points */
};

/* From `least` to `most`, each order of magnitude as often as any other. */
static double draw_scale(uint64_t *st, double least, double most)
{
	return least * pow(most / least, (double)bench_draw(st, 1001) / 1000);
}

static void draw_kernels(struct strategy *t, uint64_t *st)
{
	struct sim_dist *d = &t->load.kernel_ns;
	const double ns = draw_scale(st, SHORTEST, LONGEST);

	t->longest_ns = ns;
	switch (bench_draw(st, 3)) {
	case 0:
		*d = (struct sim_dist){SIM_CONST, ns, 0};
		break;
	case 1:
		*d = (struct sim_dist){SIM_UNIFORM, ns / 2, 0.99};
		break;
	default:
		d->kind = SIM_RARE;
		d->shape = fmin(draw_scale(st, 2, 10000), ns / SHORTEST);
		d->mean = ns / d->shape * (SIM_RARE_PER - 1 + d->shape) / SIM_RARE_PER;
		break;
	}
}

static void draw_arrivals(struct strategy *t, uint64_t *st)
{
	static const enum sim_dist_kind kinds[] = {SIM_CONST, SIM_UNIFORM, SIM_EXP, SIM_RARE};
	struct sim_load *l = &t->load;
	const uint64_t way = bench_draw(st, 4);

	l->arrival = SIM_CLOSED;
	l->kernels = (struct sim_dist){SIM_CONST, (double)(1u << bench_draw(st, 8)), 0};
	if (way == 0) { /* It always has work. */
		l->depth = 1u << bench_draw(st, 5);
		return;
	}
	if (way == 1) {
		l->arrival = SIM_ONOFF;
		l->on = (struct sim_dist){SIM_EXP, draw_scale(st, SIM_MS, SIM_S), 0};
		l->off = (struct sim_dist){SIM_EXP, draw_scale(st, SIM_MS, SIM_S), 0};
		l->gap = (struct sim_dist){
			SIM_CONST,
			l->kernel_ns.mean * l->kernels.mean / (double)(1 + bench_draw(st, 4)), 0};
		return;
	}
	l->gap = (struct sim_dist){kinds[bench_draw(st, 4)],
				   draw_scale(st, 10.0 * SIM_US, SIM_S / 2.0), 0};
	if (l->gap.kind == SIM_UNIFORM)
		l->gap.shape = 0.9;
	else if (l->gap.kind == SIM_RARE)
		l->gap.shape = draw_scale(st, 2, 1000);
}

static struct strategy draw_strategy(uint64_t number)
{
	static const uint32_t processes[] = {1, 1, 1, 2, 4, 8};
	static const double honest[] = {100.0 * SIM_US, 1.0 * SIM_MS, 10.0 * SIM_MS};
	uint64_t st = options.seed * 1000003 + number;
	struct strategy t = {.load.name = "strategy"};
	bool alike;

	bench_draw(&st, 2);
	draw_kernels(&t, &st);
	draw_arrivals(&t, &st);
	t.processes = processes[bench_draw(&st, sizeof(processes) / sizeof(processes[0]))];
	alike = bench_draw(&st, 2);
	for (size_t i = 0; i <= HONEST; i++)
		t.weights[i] = alike ? 1 : 1u << bench_draw(&st, 3);
	for (size_t i = 0; i < HONEST; i++)
		t.honest_ns[i] = honest[bench_draw(&st, 3)];
	t.honest_start_ns = bench_draw(&st, 3) ? 0 : bench_draw(&st, SIM_S);
	t.exclusive = bench_draw(&st, 4) == 0;
	return t;
}

static double due_of(const struct strategy *t)
{
	uint32_t total = 0;

	for (size_t i = 0; i <= HONEST; i++)
		total += t->weights[i];
	return (double)t->weights[0] / total;
}

static uint64_t duration_of(const struct strategy *t)
{
	const struct sim_load *l = &t->load;
	uint32_t lightest = t->weights[0];
	double ns;

	for (size_t i = 1; i <= HONEST; i++)
		lightest = t->weights[i] < lightest ? t->weights[i] : lightest;
	ns = KERNELS * t->longest_ns * t->processes * t->weights[0] / due_of(t) / lightest;
	ns = fmax(ns, PAUSES * fmax(l->gap.mean, l->on.mean + l->off.mean));
	return (uint64_t)fmax(ns, 5.0 * SIM_S);
}

static void try(struct strategy *t)
{
	struct sim_result *r;
	struct bench b;

	bench_init(&b, 1);
	b.c.duration_ns = b.c.warm_ns + duration_of(t);
	b.c.params.exclusive = t->exclusive;
	bench_vgpus(&b, bench_load(&b, &t->load), 1)->processes = t->processes;
	for (size_t i = 0; i < HONEST; i++) {
		struct sim_load l = load_saturating("honest", t->honest_ns[i]);

		l.start_ns = t->honest_start_ns;
		bench_vgpus(&b, bench_load(&b, &l), 1);
	}
	for (size_t i = 0; i <= HONEST; i++)
		b.vgpus[i].share.weight = 100 * t->weights[i];
	r = bench_run(&b, "strategies");
	t->gain = 100 * (share_of(r, 0) / busy_of(r) - due_of(t));
	sim_result_free(r);
	bench_free(&b);
}

static int by_gain(const void *a, const void *b)
{
	const double x = ((const struct strategy *)a)->gain, y = ((const struct strategy *)b)->gain;

	return (x < y) - (x > y);
}

/* As far as it helps to try it elsewhere. */
static void describe(const struct strategy *t, char *text, size_t size)
{
	static const char *const kinds[] = {[SIM_CONST] = "each",
					    [SIM_UNIFORM] = "uniform, mean",
					    [SIM_EXP] = "exponential, mean",
					    [SIM_RARE] = "rarely long, mean"};
	const struct sim_load *l = &t->load;
	char when[96] = "always work";

	if (l->arrival == SIM_ONOFF)
		snprintf(when, sizeof(when), "a burst each %.3g ms, on %.3g ms, off %.3g ms",
			 l->gap.mean / 1e6, l->on.mean / 1e6, l->off.mean / 1e6);
	else if (l->gap.mean > 0)
		snprintf(when, sizeof(when), "pauses %s %.3g ms", kinds[l->gap.kind],
			 l->gap.mean / 1e6);
	snprintf(text, size,
		 "%+.2f of %.1f: kernels %s %.3g ms, longest %.3g, bursts of %g, %u deep, %s; "
		 "%u processes; weight %u beside %u,%u,%u with kernels of %g,%g,%g ms from %.3g "
		 "ms on%s",
		 t->gain, 100 * due_of(t), kinds[l->kernel_ns.kind], l->kernel_ns.mean / 1e6,
		 t->longest_ns / 1e6, l->kernels.mean, l->depth ? l->depth : 1, when, t->processes,
		 t->weights[0], t->weights[1], t->weights[2], t->weights[3], t->honest_ns[0] / 1e6,
		 t->honest_ns[1] / 1e6, t->honest_ns[2] / 1e6, (double)t->honest_start_ns / 1e6,
		 t->exclusive ? "; exclusive" : "");
}

static json_t *data_of_dist(const struct sim_dist *d)
{
	return json_pack("{s:i,s:f,s:f}", "kind", (int)d->kind, "mean", d->mean, "shape", d->shape);
}

/* For tests/bench/strategies.py. Times in nanoseconds; kinds are those of enum sim_dist_kind. */
static json_t *data_of(const struct strategy *t, const char *text)
{
	const struct sim_load *l = &t->load;
	json_t *weights = json_array(), *honest = json_array();

	for (size_t i = 0; i <= HONEST; i++)
		json_array_append_new(weights, json_integer(t->weights[i]));
	for (size_t i = 0; i < HONEST; i++)
		json_array_append_new(honest, json_real(t->honest_ns[i]));
	return json_pack("{s:s,s:f,s:f,s:I,s:b,s:o,s:o,s:I,s:i,s:i,s:b,s:f,s:o,s:o,s:o,s:o}",
			 "text", text, "gain", t->gain, "due", 100 * due_of(t), "duration_ns",
			 (json_int_t)duration_of(t), "exclusive", t->exclusive, "weights", weights,
			 "honest_ns", honest, "honest_start_ns", (json_int_t)t->honest_start_ns,
			 "processes", t->processes, "depth", l->depth ? l->depth : 1, "on_off",
			 l->arrival == SIM_ONOFF, "kernels", l->kernels.mean, "kernel_ns",
			 data_of_dist(&l->kernel_ns), "gap", data_of_dist(&l->gap), "on",
			 data_of_dist(&l->on), "off", data_of_dist(&l->off));
}

void run_strategies(void)
{
	const size_t n = options.quick ? 60 : 600;
	struct strategy *t = calloc(n, sizeof(*t));
	json_t *worst = json_array();
	char text[512];

	if (!t)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		t[i] = draw_strategy(i);
		try(&t[i]);
	}
	qsort(t, n, sizeof(*t), by_gain);
	for (size_t i = 0; i < WORST; i++) {
		describe(&t[i], text, sizeof(text));
		if (!options.quick)
			printf("  %s\n", text);
		json_array_append_new(worst, data_of(&t[i], text));
	}
	row("strategies_tried", (double)n, "", ROW_NONE, 0, NULL);
	row("strategies_most_gained", t[0].gain, "points", ROW_MOST, 3,
	    json_pack("{s:o}", "worst", worst));
	free(t);
}
