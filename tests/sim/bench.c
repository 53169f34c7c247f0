/* SPDX-License-Identifier: MIT */
#include "tests/sim/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (1ull << 30)

static json_t *rows;
static size_t failed, judged;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "pvsim: %s: %s\n", what, strerror(errno));
	exit(2);
}

void bench_init(struct bench *b, double seconds)
{
	memset(b, 0, sizeof(*b));
	if (options.duration_s > 0)
		seconds = options.duration_s;
	b->c.seed = options.seed;
	b->c.warm_ns = SIM_S;
	b->c.duration_ns = SIM_S + (uint64_t)(seconds * (double)SIM_S);
	b->c.loads = b->loads;
	b->c.groups = b->groups;
	sim_model_default(&b->c.model);
	bench_gpus(b, 1, 80 * GIB);
}

void bench_gpus(struct bench *b, size_t n, uint64_t memory)
{
	free(b->gpus);
	b->gpus = calloc(n, sizeof(*b->gpus));
	if (!b->gpus)
		die("GPUs");
	for (size_t i = 0; i < n; i++)
		b->gpus[i].memory = memory;
	b->c.gpus = b->gpus;
	b->c.n_gpus = n;
}

uint32_t bench_load(struct bench *b, const struct sim_load *load)
{
	if (b->c.n_loads == BENCH_LOADS)
		die("too many loads");
	b->loads[b->c.n_loads] = *load;
	return (uint32_t)b->c.n_loads++;
}

struct sim_vgpu_spec *bench_vgpus(struct bench *b, uint32_t load, size_t n)
{
	struct sim_vgpu_spec *v = reallocarray(b->vgpus, b->c.n_vgpus + n, sizeof(*v));

	if (!v)
		die("vGPUs");
	b->vgpus = v;
	b->c.vgpus = v;
	v += b->c.n_vgpus;
	for (size_t i = 0; i < n; i++)
		v[i] = (struct sim_vgpu_spec){
			.load = load,
			.share = {.class = SCHED_MEDIUM, .weight = 100},
		};
	b->c.n_vgpus += n;
	return v;
}

uint32_t bench_group(struct bench *b, const struct sched_share *share)
{
	if (b->c.n_groups == BENCH_GROUPS)
		die("too many groups");
	b->groups[b->c.n_groups] = *share;
	return (uint32_t)++b->c.n_groups;
}

static void show(void *arg, const struct sim_progress *p)
{
	fprintf(stderr, "\r%-40s %5.1f %%  %.1f M events", (const char *)arg,
		100.0 * (double)p->now_ns / (double)p->end_ns, (double)p->events / 1e6);
}

struct sim_result *bench_run(struct bench *b, const char *what)
{
	struct sim_result *r;

	b->c.progress = options.quiet ? NULL : show;
	b->c.arg = (void *)(uintptr_t)what;
	r = sim_run(&b->c);
	if (!r)
		die(what);
	if (!options.quiet)
		fprintf(stderr, "\r\033[K");
	return r;
}

uint64_t bench_draw(uint64_t *state, uint64_t n)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % n;
}

void bench_free(struct bench *b)
{
	free(b->vgpus);
	free(b->gpus);
	memset(b, 0, sizeof(*b));
}

double share_of(const struct sim_result *r, size_t vgpu)
{
	return (double)r->vgpu[vgpu].used_ns / (double)r->time_ns;
}

double busy_of(const struct sim_result *r)
{
	return (double)r->all.busy_ns / (double)r->time_ns / (double)r->n_gpus;
}

struct sim_load load_saturating(const char *name, double kernel_ns)
{
	return (struct sim_load){
		.name = name,
		.arrival = SIM_CLOSED,
		.depth = 8,
		.kernels = {SIM_CONST, 64, 0},
		.kernel_ns = {SIM_CONST, kernel_ns, 0},
	};
}

struct sim_load load_open(const char *name, double gap_ns, double kernels, double kernel_ns)
{
	return (struct sim_load){
		.name = name,
		.arrival = SIM_OPEN,
		.gap = {SIM_EXP, gap_ns, 0},
		.kernels = {SIM_CONST, kernels, 0},
		.kernel_ns = {SIM_CONST, kernel_ns, 0},
	};
}

/* ---- rows ---- */

static void add(const char *name, double value, const char *unit, enum compare how, double target,
		bool counts, json_t *details)
{
	static const char *const signs[] = {"", ">= ", "<= "};
	bool ok = how == ROW_LEAST ? value >= target : value <= target;
	char text[64] = "";
	json_t *o = json_pack("{s:s,s:f,s:s}", "name", name, "value", value, "unit", unit);

	if (!rows)
		rows = json_array();
	if (how != ROW_NONE) {
		snprintf(text, sizeof(text), "%s%.6g", signs[how], target);
		json_object_set_new(o, "target", json_string(text));
		json_object_set_new(o, "ok", json_boolean(ok));
		judged += counts;
		failed += counts && !ok;
	} else {
		json_object_set_new(o, "target", json_null());
		json_object_set_new(o, "ok", json_null());
	}
	if (details)
		json_object_set_new(o, "details", details);
	json_array_append_new(rows, o);
	printf("%-36s %12.5g %-10s %-12s %s\n", name, value, unit, text,
	       how == ROW_NONE ? ""
	       : ok            ? "ok"
	       : counts        ? "FAILED"
			       : "missed");
	fflush(stdout);
}

void row(const char *name, double value, const char *unit, enum compare how, double target,
	 json_t *details)
{
	add(name, value, unit, how, target, true, details);
}

void row_timed(const char *name, double value, const char *unit, enum compare how, double target,
	       json_t *details)
{
	add(name, value, unit, how, target, !options.quick, details);
}

json_t *rows_take(void)
{
	json_t *r = rows ? rows : json_array();

	rows = NULL;
	return r;
}

size_t rows_failed(void)
{
	return failed;
}

size_t rows_judged(void)
{
	return judged;
}

static json_t *ms(uint64_t ns)
{
	return json_real((double)ns / 1e6);
}

static json_t *load_details(const struct sim_load *l, const struct sim_load_result *res)
{
	json_t *o = json_object();

	json_object_set_new(o, "load", json_string(l->name ? l->name : ""));
	json_object_set_new(o, "vgpus", json_integer((json_int_t)res->vgpus));
	json_object_set_new(o, "requests", json_integer((json_int_t)res->latency.count));
	json_object_set_new(o, "dropped", json_integer((json_int_t)res->dropped));
	json_object_set_new(o, "gpu_s", json_real((double)res->used_ns / 1e9));
	if (res->latency.count) {
		json_object_set_new(o, "p50_ms", ms(sim_hist_at(&res->latency, 0.5)));
		json_object_set_new(o, "p95_ms", ms(sim_hist_at(&res->latency, 0.95)));
		json_object_set_new(o, "p99_ms", ms(sim_hist_at(&res->latency, 0.99)));
	}
	return o;
}

json_t *details_of(const struct bench *b, const struct sim_result *r)
{
	const struct sim_gpu_result *a = &r->all;
	double time = (double)r->time_ns * (double)r->n_gpus;
	json_t *o = json_pack("{s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:I,s:I,s:f,s:I,s:I,s:I}", "vgpus",
			      (json_int_t)r->n_vgpus, "gpus", (json_int_t)r->n_gpus, "busy",
			      (double)a->busy_ns / time, "handover", (double)a->switch_ns / time,
			      "drain_idle", (double)a->waste_ns / time, "jain_min", r->jain_min,
			      "jain_mean", r->jain_mean, "grants", (json_int_t)a->grants,
			      "context_switches", (json_int_t)a->context_switches,
			      "decisions_per_s", (double)a->decisions / ((double)r->time_ns / 1e9),
			      "events", (json_int_t)r->events, "refused", (json_int_t)r->refused,
			      "gpus_used", (json_int_t)r->gpus_used);
	json_t *loads = json_array();

	for (size_t i = 0; i < r->n_loads; i++)
		json_array_append_new(loads, load_details(&b->loads[i], &r->load[i]));
	json_object_set_new(o, "loads", loads);
	return o;
}
