/* SPDX-License-Identifier: MIT */
/* The scheduler's promises, as far as a model can show them: a row for each, with its target.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/bench.h"

#define KERNEL (100.0 * SIM_US)

/* GPU time that one saturating vGPU gets alone. */
static double alone(double kernel_ns)
{
	struct load_alone {
		double kernel, busy;
	};
	static struct load_alone known;
	struct bench b;
	struct sim_result *r;
	struct sim_load l = load_saturating("alone", kernel_ns);

	if (known.kernel > 0 && known.kernel >= kernel_ns && known.kernel <= kernel_ns)
		return known.busy;
	bench_init(&b, 10);
	bench_vgpus(&b, bench_load(&b, &l), 1);
	r = bench_run(&b, "alone");
	known = (struct load_alone){kernel_ns, busy_of(r)};
	sim_result_free(r);
	bench_free(&b);
	return known.busy;
}

void run_idle(void)
{
	struct sim_load l = load_saturating("busy", KERNEL), idle = {.name = "idle"};
	struct bench b;
	struct sim_result *r;

	bench_init(&b, 10);
	bench_vgpus(&b, bench_load(&b, &l), 1);
	bench_vgpus(&b, bench_load(&b, &idle), 99);
	r = bench_run(&b, "idle");
	row("one_busy_among_99_idle", share_of(r, 0) / alone(KERNEL), "of alone", ROW_LEAST, 0.99,
	    details_of(&b, r));
	sim_result_free(r);
	bench_free(&b);
}

void run_equal(void)
{
	static const unsigned int counts[] = {2, 8, 32};
	struct sim_load l = load_saturating("saturating", KERNEL);

	for (size_t i = 0; i < 3; i++) {
		struct bench b;
		struct sim_result *r;
		char name[48];

		bench_init(&b, 20);
		bench_vgpus(&b, bench_load(&b, &l), counts[i]);
		r = bench_run(&b, "equal weights");
		snprintf(name, sizeof(name), "jain_1s_%u_saturating", counts[i]);
		row(name, r->jain_min, "", ROW_LEAST, 0.99, details_of(&b, r));
		snprintf(name, sizeof(name), "total_%u_saturating", counts[i]);
		row(name, busy_of(r) / alone(KERNEL), "of alone", ROW_LEAST, 0.97, NULL);
		sim_result_free(r);
		bench_free(&b);
	}
}

/* ---- shares against entitlement ---- */

struct party {
	uint32_t weight, min_ppm, max_ppm, fixed_ppm;
	bool idle;
	double want; /* of the time that all together had; < 0: of the GPU's, not looked at */
};

/* The largest difference from what was promised, in parts of the GPU's time. */
static void shares(const char *name, enum sched_policy policy, bool of_gpu, const struct party *p,
		   size_t n)
{
	struct sim_load l = load_saturating("saturating", KERNEL), none = {.name = "idle"};
	json_t *list = json_array(), *d;
	struct bench b;
	struct sim_result *r;
	double worst = 0, busy;

	bench_init(&b, 20);
	bench_load(&b, &l);
	bench_load(&b, &none);
	b.c.params.policy = policy;
	for (size_t i = 0; i < n; i++) {
		struct sched_share *s = &bench_vgpus(&b, p[i].idle, 1)->share;

		s->weight = p[i].weight;
		s->min_ppm = p[i].min_ppm;
		s->max_ppm = p[i].max_ppm;
		s->fixed_ppm = p[i].fixed_ppm;
	}
	r = bench_run(&b, name);
	busy = of_gpu ? alone(KERNEL) : busy_of(r);
	for (size_t i = 0; i < n; i++) {
		double got = share_of(r, i) / busy;

		if (!p[i].idle && fabs(got - p[i].want) > worst)
			worst = fabs(got - p[i].want);
		json_array_append_new(list,
				      json_pack("{s:f,s:f}", "entitled", p[i].want, "share", got));
	}
	d = details_of(&b, r);
	json_object_set_new(d, "shares", list);
	row(name, 100 * worst, "% error", ROW_MOST, 2, d);
	sim_result_free(r);
	bench_free(&b);
}

void run_shares(void)
{
	static const struct party weights[] = {{.weight = 300, .want = 0.75},
					       {.weight = 100, .want = 0.25}};
	static const struct party caps[] = {{.weight = 100, .max_ppm = 750000, .want = 0.75},
					    {.weight = 100, .max_ppm = 250000, .want = 0.25}};
	static const struct party cap_alone[] = {{.weight = 100, .max_ppm = 250000, .want = 0.25}};
	static const struct party fixed[] = {
		{.weight = 100, .fixed_ppm = 500000, .want = 0.5},
		{.weight = 100, .fixed_ppm = 200000, .want = 0.2},
		{.weight = 100, .fixed_ppm = 300000, .idle = true, .want = 0},
	};
	static const struct party equal[] = {{.weight = 900, .want = 0.25},
					     {.weight = 100, .want = 0.25},
					     {.weight = 100, .want = 0.25},
					     {.weight = 100, .idle = true, .want = 0}};
	static const struct party least[] = {
		{.weight = 100, .min_ppm = 500000, .want = 0.5},
		{.weight = 100, .want = 0.125},
		{.weight = 100, .want = 0.125},
		{.weight = 100, .want = 0.125},
		{.weight = 100, .want = 0.125},
	};
	static const struct party turns[] = {{.weight = 900, .want = 0.5},
					     {.weight = 100, .want = 0.5}};

	shares("weights_3_to_1", SCHED_FAIR, false, weights, 2);
	shares("caps_75_25", SCHED_FAIR, true, caps, 2);
	shares("cap_25_alone", SCHED_FAIR, true, cap_alone, 1);
	shares("fixed_50_20_beside_idle", SCHED_FIXED, true, fixed, 3);
	shares("equal_beside_idle", SCHED_EQUAL, true, equal, 4);
	shares("minimum_50_beside_4", SCHED_FAIR, false, least, 5);
	shares("best_effort_no_weights", SCHED_BEST_EFFORT, false, turns, 2);
}

void run_processes(void)
{
	struct sim_load l = load_saturating("saturating", KERNEL);

	for (int native = 0; native < 2; native++) {
		struct bench b;
		struct sim_result *r;
		double used[2];

		bench_init(&b, 20);
		bench_load(&b, &l);
		bench_vgpus(&b, 0, 1)->processes = 16;
		bench_vgpus(&b, 0, 1);
		b.c.model.native = native;
		r = bench_run(&b, "16 processes");
		used[0] = share_of(r, 0);
		used[1] = share_of(r, 1);
		row(native ? "native_16_processes_to_1_jain" : "16_processes_to_1_jain",
		    sim_jain(used, 2), "", native ? ROW_NONE : ROW_LEAST, 0.98, details_of(&b, r));
		sim_result_free(r);
		bench_free(&b);
	}
}

/* A project with nine vGPUs against one with a single one. */
void run_groups(void)
{
	struct sim_load l = load_saturating("saturating", KERNEL);
	struct sched_share g = {.weight = 100};
	struct bench b;
	struct sim_result *r;
	struct sim_vgpu_spec *v;
	double many = 0;

	bench_init(&b, 20);
	bench_load(&b, &l);
	v = bench_vgpus(&b, 0, 10);
	for (size_t i = 0; i < 10; i++)
		v[i].group = i < 9 ? 1 : 2;
	bench_group(&b, &g);
	bench_group(&b, &g);
	r = bench_run(&b, "groups");
	for (size_t i = 0; i < 9; i++)
		many += share_of(r, i);
	row("group_of_9_against_1", 100 * fabs(many / busy_of(r) - 0.5), "% error", ROW_MOST, 2,
	    details_of(&b, r));
	sim_result_free(r);
	bench_free(&b);
}

/* ---- kernels that outlast their turns ---- */

struct piece {
	uint32_t weight;
	double ms;
	uint64_t start_ns;
};

/* The largest difference from the part that its weight promises, over ten longest kernels by total
 * weight by lightest, or a second if that is longer. */
static void long_kernels(const char *name, bool exclusive, const struct piece *p, size_t n)
{
	uint32_t total = 0, lightest = UINT32_MAX;
	double longest = 0, worst = 0, busy;
	struct sim_result *r;
	struct bench b;

	for (size_t i = 0; i < n; i++) {
		total += p[i].weight;
		lightest = p[i].weight < lightest ? p[i].weight : lightest;
		longest = fmax(longest, p[i].ms);
	}
	bench_init(&b, 10);
	b.c.duration_ns =
		b.c.warm_ns + (uint64_t)fmax(10 * longest * total / lightest * SIM_MS, SIM_S);
	b.c.params.exclusive = exclusive;
	for (size_t i = 0; i < n; i++) {
		struct sim_load l = load_saturating("long", p[i].ms * SIM_MS);

		l.start_ns = p[i].start_ns;
		bench_vgpus(&b, bench_load(&b, &l), 1)->share.weight = 100 * p[i].weight;
	}
	r = bench_run(&b, name);
	busy = busy_of(r);
	for (size_t i = 0; i < n; i++)
		worst = fmax(worst, fabs(share_of(r, i) / busy - (double)p[i].weight / total));
	row(name, 100 * worst, "points", ROW_MOST, 3, details_of(&b, r));
	sim_result_free(r);
	bench_free(&b);
}

void run_long(void)
{
	static const double ms[] = {0.5, 5, 12, 50, 100, 1000};
	static const struct piece beside[] = {{1, 300, 0}, {4, 1, 0}},
				  second[] = {{1, 1000, 0}, {4, 1, 0}},
				  three[] = {{1, 300, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}},
				  later[] = {{1, 300, 0}, {4, 1, SIM_S / 2}};
	char name[48];

	for (int e = 0; e < 2; e++) {
		const char *pool = e ? "_exclusive" : "";

		for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
			const struct piece four[] = {
				{1, ms[i], 0}, {2, ms[i], 0}, {1, ms[i], 0}, {4, ms[i], 0}};

			snprintf(name, sizeof(name), "long_1_2_1_4_%gms%s", ms[i], pool);
			long_kernels(name, e, four, 4);
		}
		snprintf(name, sizeof(name), "long_300ms_beside_1ms%s", pool);
		long_kernels(name, e, beside, 2);
		snprintf(name, sizeof(name), "long_300ms_then_1ms%s", pool);
		long_kernels(name, e, later, 2);
		snprintf(name, sizeof(name), "long_1s_beside_1ms%s", pool);
		long_kernels(name, e, second, 2);
		snprintf(name, sizeof(name), "long_300ms_beside_three_1ms%s", pool);
		long_kernels(name, e, three, 4);
	}
}

/* ---- priority ---- */

static double high_p99(struct bench *b, struct sim_result **r, const char *what)
{
	*r = bench_run(b, what);
	return (double)sim_hist_at(&(*r)->load[0].latency, 0.99);
}

/* Requests of 2 ms in kernels of 100 us, 20 % of the GPU, beside kernels of 50 us without end. */
void run_priority(void)
{
	struct sim_load high = load_open("high", 10 * SIM_MS, 20, KERNEL);
	struct sim_load low = load_saturating("low", 50 * SIM_US);
	struct sim_result *r;
	struct bench b;
	double lone, beside, native, slice;
	json_t *d;

	bench_init(&b, 60);
	bench_load(&b, &high);
	bench_load(&b, &low);
	bench_vgpus(&b, 0, 1)->share.class = SCHED_HIGH;
	lone = high_p99(&b, &r, "high alone");
	sim_result_free(r);
	bench_vgpus(&b, 1, 1)->share.class = SCHED_LOW;
	b.c.model.native = true;
	native = high_p99(&b, &r, "high beside low, native");
	sim_result_free(r);
	b.c.model.native = false;
	beside = high_p99(&b, &r, "high beside low");
	slice = (double)r->gpu[0].slice_ns;
	d = details_of(&b, r);
	json_object_set_new(d, "alone_p99_ms", json_real(lone / 1e6));
	json_object_set_new(d, "native_p99_ms", json_real(native / 1e6));
	json_object_set_new(d, "slice_ms", json_real(slice / 1e6));
	row("high_p99_beside_low", beside / 1e6, "ms", ROW_MOST, (1.3 * lone + slice) / 1e6, d);
	row("low_harvest_beside_high", share_of(r, 1), "of GPU", ROW_LEAST, 0.70, NULL);
	sim_result_free(r);
	/* And a high one that never ends: the low one still runs, within its bound. */
	b.loads[0] = load_saturating("high", KERNEL);
	bench_vgpus(&b, 0, 2)->share.class = SCHED_HIGH;
	b.vgpus[3].share.class = SCHED_MEDIUM;
	r = bench_run(&b, "starvation bound");
	row("low_starved_longest_wait", (double)r->vgpu[1].longest_wait_ns / 1e6, "ms", ROW_MOST,
	    (double)r->vgpu[1].bound_ns / 1e6, details_of(&b, r));
	row("low_starved_grants_per_s", (double)r->vgpu[1].grants / ((double)r->time_ns / 1e9),
	    "1/s", ROW_LEAST, 0.9, NULL);
	sim_result_free(r);
	bench_free(&b);
}

/* One that decodes (bursts of 38 kernels, then 2 ms of thought) in class high beside seven such low
 * ones. */
void run_decoders(void)
{
	static const uint64_t bells[] = {10 * SIM_US, 50 * SIM_US};
	struct sim_load l = {
		.name = "decoder",
		.arrival = SIM_CLOSED,
		.gap = {SIM_UNIFORM, 2.0 * SIM_MS, 0.5},
		.kernels = {SIM_CONST, 38, 0},
		.kernel_ns = {SIM_LOGNORMAL, KERNEL, 1},
	};

	for (size_t i = 0; i < 2; i++) {
		double lone, beside, busy;
		struct sim_result *r;
		struct bench b;
		char name[48];

		bench_init(&b, 20);
		b.c.model.bell_ns = bells[i];
		bench_vgpus(&b, bench_load(&b, &l), 1)->share.class = SCHED_HIGH;
		r = bench_run(&b, "a decoder alone");
		lone = (double)r->vgpu[0].requests;
		sim_result_free(r);
		bench_vgpus(&b, 0, 7);
		for (size_t k = 1; k < 8; k++)
			b.vgpus[k].share.class = SCHED_LOW;
		b.c.model.native = true;
		r = bench_run(&b, "decoders, native");
		busy = busy_of(r);
		sim_result_free(r);
		b.c.model.native = false;
		r = bench_run(&b, "decoders");
		beside = (double)r->vgpu[0].requests;
		snprintf(name, sizeof(name), "high_decoder_beside_7_low_bell_%.0fus",
			 (double)bells[i] / 1e3);
		row(name, beside / lone, "of alone", ROW_LEAST, 0.89, details_of(&b, r));
		snprintf(name, sizeof(name), "total_beside_7_low_bell_%.0fus",
			 (double)bells[i] / 1e3);
		row(name, busy_of(r) / busy, "of native", ROW_LEAST, 0.97, NULL);
		sim_result_free(r);
		bench_free(&b);
	}
}

/* ---- the bound on waiting ---- */

/* Any mix of loads, weights, classes; hand-overs cost what the scheduler is told. */
static void random_bench(struct bench *b, uint64_t seed)
{
	uint64_t st = seed * 0x9e3779b97f4a7c15ull + 1;
	size_t n = 2 + bench_draw(&st, 15);

	bench_init(b, 4);
	b->c.seed = seed;
	b->c.params.policy = bench_draw(&st, 4) ? SCHED_FAIR : SCHED_BEST_EFFORT;
	b->c.params.slice_ns = (1 + bench_draw(&st, 4)) * SIM_MS;
	b->c.params.handover_ns = 300 * SIM_US;
	for (size_t i = 0; i < n; i++) {
		struct sim_load l = load_saturating("saturating", 20 * SIM_US);
		struct sim_vgpu_spec *v;

		if (bench_draw(&st, 3) == 0)
			l = load_open("open", (double)(1 + bench_draw(&st, 40)) * SIM_MS,
				      (double)(1 + bench_draw(&st, 50)), 20 * SIM_US);
		else if (bench_draw(&st, 3) == 0)
			l.start_ns = bench_draw(&st, 3 * SIM_S);
		v = bench_vgpus(
			b, i < BENCH_LOADS ? bench_load(b, &l) : (uint32_t)(i % BENCH_LOADS), 1);
		v->share.weight = 10 + (uint32_t)bench_draw(&st, 990);
		v->share.class =
			bench_draw(&st, 4) ? SCHED_MEDIUM : (enum sched_class)bench_draw(&st, 3);
	}
}

void run_wait(void)
{
	size_t runs = options.quick ? 40 : 400, looked = 0;
	double worst = 0;

	for (size_t i = 0; i < runs; i++) {
		struct bench b;
		struct sim_result *r;

		random_bench(&b, options.seed + i);
		r = bench_run(&b, "random runs");
		for (size_t k = 0; k < r->n_vgpus; k++) {
			const struct sim_vgpu_result *v = &r->vgpu[k];

			if (v->bound_ns == SCHED_NEVER || !v->bound_ns)
				continue;
			looked++;
			/* The bound is for slices that are not overrun; half of one may be in
			 * flight at its end. */
			worst = fmax(worst,
				     (double)v->longest_wait_ns /
					     (double)(v->bound_ns + b.c.params.slice_ns / 2));
		}
		sim_result_free(r);
		bench_free(&b);
	}
	row("wait_bounds_looked_at", (double)looked, "waits", ROW_LEAST, (double)runs, NULL);
	row("longest_wait_to_bound", worst, "of bound", ROW_MOST, 1, NULL);
}

/* ---- a kernel that never ends ---- */

struct endless {
	double before, until, after; /* of the others, per second */
	uint64_t killed_ns;
};

static struct endless endless_run(bool native, uint64_t begins, uint64_t limit)
{
	struct sim_load bad = load_saturating("endless", KERNEL);
	struct sim_load good = load_saturating("good", KERNEL);
	struct endless e = {0};
	struct bench b;
	struct sim_result *r;
	uint64_t stop = begins + limit + SIM_S;
	size_t windows[3] = {0};

	bench_init(&b, 20);
	b.c.warm_ns = SIM_S;
	b.c.duration_ns = 21 * SIM_S;
	b.c.record = true;
	b.c.model.native = native;
	bad.depth = 1;
	bad.kernels.mean = 1;
	bad.endless_ns = begins;
	bench_load(&b, &bad);
	bench_load(&b, &good);
	bench_vgpus(&b, 0, 1)->kernel_limit_ns = limit;
	bench_vgpus(&b, 1, 3);
	r = bench_run(&b, "an endless kernel");
	for (size_t w = 0; w < r->windows; w++) {
		const uint64_t *used = r->window + w * r->n_vgpus;
		double good_ns = (double)(used[1] + used[2] + used[3]) / 1e9;
		uint64_t at = b.c.warm_ns + w * SIM_S;
		int part = at + SIM_S <= begins  ? 0
			   : at < begins + SIM_S ? -1
			   : at + SIM_S <= stop  ? 1
			   : at >= stop + SIM_S  ? 2
						 : -1;

		if (part < 0)
			continue;
		windows[part]++;
		*(part == 0 ? &e.before : part == 1 ? &e.until : &e.after) += good_ns;
	}
	e.before /= (double)(windows[0] ? windows[0] : 1);
	e.until /= (double)(windows[1] ? windows[1] : 1);
	e.after /= (double)(windows[2] ? windows[2] : 1);
	e.killed_ns = r->vgpu[0].killed_ns;
	sim_result_free(r);
	bench_free(&b);
	return e;
}

void run_endless(void)
{
	const uint64_t begins = 5 * SIM_S, limit = 6 * SIM_S;
	struct endless ours = endless_run(false, begins, limit);
	struct endless native = endless_run(true, begins, limit);
	json_t *d = json_pack("{s:f,s:f,s:f,s:f,s:f}", "before", ours.before, "until", ours.until,
			      "after", ours.after, "native_before", native.before, "native_until",
			      native.until);

	row("endless_kernel_stopped_after", (double)(ours.killed_ns - begins) / 1e9, "s", ROW_MOST,
	    (double)(limit + SIM_S) / 1e9 + 0.05, d);
	/* One of them at a time has its turn beside the kernel, of which the GPU's own time slices
	 * make half, but for hand-overs. */
	row("others_until_then", ours.until, "GPU s/s", ROW_LEAST, 0.4, NULL);
	row("others_afterwards", ours.after / alone(KERNEL), "of alone", ROW_LEAST, 0.97, NULL);
}
