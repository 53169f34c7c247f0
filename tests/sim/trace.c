/* SPDX-License-Identifier: MIT */
/*
 * Load as traces have it. Built in: generators with the quantiles of published ones (between two
 * arrivals, lengths, parts of a GPU asked for); docs/simulator.md names the sources. Or a file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/bench.h"

#define GIB     (1ull << 30)
#define STEPS   10 /* demands are rounded up to tenths of a GPU: a load each */
#define COLUMNS 32
#define MAX_ROW 4000000u
#define MAX_S   1e8

static void trace_row(const struct bench *b, const struct sim_result *r, const char *name)
{
	struct sim_hist *all = calloc(1, sizeof(*all));
	double p99;

	if (!all)
		abort();
	for (size_t i = 0; i < r->n_loads; i++) {
		const struct sim_hist *h = &r->load[i].latency;

		/* A vGPU that always has requests waiting has no meaningful latency. */
		if (b->loads[i].arrival == SIM_CLOSED && b->loads[i].gap.mean <= 0)
			continue;
		for (size_t k = 0; k < SIM_HIST_SIZE; k++)
			all->bucket[k] += h->bucket[k];
		all->count += h->count;
		all->max = h->max > all->max ? h->max : all->max;
	}
	p99 = (double)sim_hist_at(all, 0.99) / 1e6;
	free(all);
	row(name, p99, "ms p99", ROW_NONE, 0, details_of(b, r));
}

/* ---- requests of language models: gaps, and tokens of answers at 1 ms each ---- */

static void llm(const char *name, double gap_cv, double tokens, double tokens_cv)
{
	struct sim_load l = {.name = name,
			     .arrival = SIM_OPEN,
			     .gap = {SIM_LOGNORMAL, tokens * 1e6 / 0.15, gap_cv},
			     .kernels = {SIM_LOGNORMAL, tokens, tokens_cv},
			     .kernel_ns = {SIM_CONST, 1e6, 0}};
	static const char *const how[2] = {"", "native_"};

	for (int native = 0; native < 2; native++) {
		struct bench b;
		struct sim_result *r;
		char full[64];

		bench_init(&b, options.quick ? 60 : 600);
		bench_vgpus(&b, bench_load(&b, &l), 4);
		b.c.model.native = native;
		snprintf(full, sizeof(full), "%strace_%s", how[native], name);
		r = bench_run(&b, full);
		trace_row(&b, r, full);
		sim_result_free(r);
		bench_free(&b);
	}
}

/* ---- tasks that ask for parts of a GPU, come and go ---- */

static void demand_loads(struct bench *b)
{
	static const char *const names[STEPS] = {"10 %", "20 %", "30 %", "40 %", "50 %",
						 "60 %", "70 %", "80 %", "90 %", "whole"};

	for (uint32_t i = 0; i < STEPS; i++) {
		struct sim_load l = load_open(names[i], 5e6 * STEPS / (i + 1), 5, 1e6);

		if (i == STEPS - 1)
			l = load_saturating(names[i], 1e6);
		bench_load(b, &l);
	}
}

static void demand(struct sim_vgpu_spec *v, double milli, bool best_effort)
{
	uint32_t step = milli >= 1000 ? STEPS - 1 : (uint32_t)(milli * STEPS / 1000);

	v->load = step;
	v->load_ppm = (step + 1) * (PLACE_PPM / STEPS);
	v->share.weight = 100 * (step + 1);
	v->share.class = best_effort ? SCHED_LOW : SCHED_MEDIUM;
	v->memory = (uint64_t)(milli / 1000 * 40) * GIB;
}

static void tasks_run(struct bench *b, const char *name)
{
	struct sim_result *r;
	char text[80];

	for (unsigned int p = 0; p < PLACE_POLICIES; p++) {
		b->c.place = (enum place_policy)p;
		snprintf(text, sizeof(text), "%s_%s", name, place_name(b->c.place));
		r = bench_run(b, text);
		trace_row(b, r, text);
		sim_result_free(r);
	}
}

static void tasks_generated(void)
{
	const struct sim_dist gap = {SIM_LOGNORMAL, 414, 1.6}, life = {SIM_LOGNORMAL, 4330, 6.5};
	static const double parts[] = {220, 460, 470, 810};
	const double speed = 2000;
	uint64_t st = options.seed;
	struct bench b;
	struct sim_vgpu_spec *v;
	size_t n = options.quick ? 100 : 400;
	double at = 0;

	bench_init(&b, (double)n * gap.mean / speed);
	bench_gpus(&b, 16, 80 * GIB);
	demand_loads(&b);
	v = bench_vgpus(&b, 0, n);
	for (size_t i = 0; i < n; i++) {
		double pick = sim_draw(&(struct sim_dist){SIM_UNIFORM, 0.5, 1}, &st), milli = 1000;

		at += sim_draw(&gap, &st) / speed;
		if (pick < 0.44)
			milli = parts[(size_t)(pick / 0.44 * 4) & 3];
		demand(&v[i], milli, sim_draw(&(struct sim_dist){SIM_UNIFORM, 0.5, 1}, &st) < 0.42);
		v[i].attach_ns = (uint64_t)(at * 1e9);
		v[i].detach_ns =
			v[i].attach_ns + (uint64_t)(sim_draw(&life, &st) / speed * 1e9) + 1;
	}
	tasks_run(&b, "trace_tasks");
	bench_free(&b);
}

/* ---- files ---- */

struct table {
	FILE *f;
	const char *path;
	char *line;
	size_t cap, number;
	char *head[COLUMNS], *cell[COLUMNS];
	char *heads;
	size_t columns;
};

static _Noreturn void wrong(const struct table *t, const char *what)
{
	fprintf(stderr, "pvsim: %s:%zu: %s\n", t->path, t->number, what);
	exit(2);
}

static size_t split(char *line, char **cell)
{
	size_t n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *c; n < COLUMNS && (c = strsep(&line, ","));)
		cell[n++] = c;
	return n;
}

static bool table_next(struct table *t)
{
	if (getline(&t->line, &t->cap, t->f) < 0)
		return false;
	t->number++;
	if (t->number > MAX_ROW)
		wrong(t, "more than 4,000,000 lines");
	if (split(t->line, t->cell) < t->columns)
		wrong(t, "fewer columns than the first line names");
	return true;
}

static void table_open(struct table *t, const char *path)
{
	*t = (struct table){.path = path, .f = fopen(path, "re")};
	if (!t->f || getline(&t->line, &t->cap, t->f) < 0) {
		fprintf(stderr, "pvsim: --trace %s: %s\n", path,
			t->f && !ferror(t->f) ? "is empty" : strerror(errno));
		exit(2);
	}
	t->number = 1;
	t->heads = strdup(t->line);
	t->columns = t->heads ? split(t->heads, t->head) : 0;
}

static void table_close(struct table *t)
{
	fclose(t->f);
	free(t->line);
	free(t->heads);
}

/* COLUMNS: it has none. */
static size_t column(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->columns; i++)
		if (!strcmp(t->head[i], name))
			return i;
	return COLUMNS;
}

static double cell(const struct table *t, size_t at, double most)
{
	char *end;
	double x = strtod(t->cell[at], &end);

	if (end == t->cell[at] || *end || !(x >= 0) || x > most)
		wrong(t, "not a number that can be");
	return x;
}

struct file_row {
	uint32_t vgpu;
	struct sim_row r;
};

static int by_vgpu(const void *a, const void *b)
{
	const struct file_row *x = a, *y = b;

	if (x->vgpu != y->vgpu)
		return x->vgpu < y->vgpu ? -1 : 1;
	return x->r.at_ns < y->r.at_ns ? -1 : x->r.at_ns > y->r.at_ns;
}

static struct file_row *read_requests(struct table *t, size_t *n, const size_t at[3])
{
	struct file_row *rows = NULL;
	size_t cap = 0;

	for (*n = 0; table_next(t); ++*n) {
		if (*n == cap) {
			cap = cap ? 2 * cap : 1024;
			rows = reallocarray(rows, cap, sizeof(*rows));
			if (!rows)
				wrong(t, strerror(ENOMEM));
		}
		rows[*n] = (struct file_row){
			.vgpu = (uint32_t)cell(t, at[2], 99999),
			.r = {(uint64_t)(cell(t, at[0], MAX_S) / options.trace_speed * 1e9),
			      (uint64_t)(cell(t, at[1], 1e9) * 1e6)}};
	}
	if (!*n)
		wrong(t, "no rows");
	qsort(rows, *n, sizeof(*rows), by_vgpu);
	return rows;
}

/* arrival_s,duration_ms,vgpu: each vGPU of the file is one here. */
static void requests_file(struct table *t, const size_t at[3])
{
	struct sim_load l = {
		.name = "file", .arrival = SIM_TRACE, .kernel_ns = {SIM_CONST, 1e6, 0}};
	size_t n, begin = 0;
	struct file_row *rows = read_requests(t, &n, at);
	struct sim_row *all = calloc(n, sizeof(*all));
	struct bench b;
	uint64_t last = 0;

	if (!all)
		wrong(t, strerror(ENOMEM));
	bench_init(&b, 1);
	bench_gpus(&b, options.trace_gpus, options.trace_memory);
	bench_load(&b, &l);
	for (size_t i = 0; i < n; i++) {
		all[i] = rows[i].r;
		last = all[i].at_ns > last ? all[i].at_ns : last;
		if (i + 1 < n && rows[i + 1].vgpu == rows[i].vgpu)
			continue;
		*bench_vgpus(&b, 0, 1) =
			(struct sim_vgpu_spec){.share = {.class = SCHED_MEDIUM, .weight = 100},
					       .rows = all + begin,
					       .n_rows = i + 1 - begin};
		begin = i + 1;
	}
	b.c.warm_ns = 0;
	b.c.duration_ns = last + 10 * SIM_S;
	tasks_run(&b, "file");
	bench_free(&b);
	free(rows);
	free(all);
}

/* creation_time, deletion_time, num_gpu, gpu_milli: a vGPU for each row with one GPU. */
static void tasks_file(struct table *t, const size_t at[4], size_t qos)
{
	struct bench b;
	double first = -1, last = 0;

	bench_init(&b, 1);
	bench_gpus(&b, options.trace_gpus, options.trace_memory);
	demand_loads(&b);
	while (table_next(t)) {
		double from = cell(t, at[0], MAX_S), to = cell(t, at[1], MAX_S);
		struct sim_vgpu_spec *v;

		if (cell(t, at[2], 1e6) > 1.5 || cell(t, at[2], 1e6) < 0.5 || to <= from)
			continue;
		if (first < 0)
			first = from;
		if (from < first)
			wrong(t, "rows must be in the order of creation_time");
		v = bench_vgpus(&b, 0, 1);
		demand(v, cell(t, at[3], 1e6), qos < COLUMNS && !strcmp(t->cell[qos], "BE"));
		v->attach_ns = (uint64_t)((from - first) / options.trace_speed * 1e9);
		v->detach_ns = (uint64_t)((to - first) / options.trace_speed * 1e9) + 1;
		last = to > last ? to : last;
	}
	if (!b.c.n_vgpus)
		wrong(t, "no row asks for one GPU or a part of one");
	b.c.warm_ns = 0;
	b.c.duration_ns = options.duration_s > 0
				  ? (uint64_t)(options.duration_s * 1e9)
				  : (uint64_t)((last - first) / options.trace_speed * 1e9) + SIM_S;
	tasks_run(&b, "file");
	bench_free(&b);
}

static void run_file(void)
{
	struct table t;
	size_t request[3], task[4];

	table_open(&t, options.trace);
	request[0] = column(&t, "arrival_s");
	request[1] = column(&t, "duration_ms");
	request[2] = column(&t, "vgpu");
	task[0] = column(&t, "creation_time");
	task[1] = column(&t, "deletion_time");
	task[2] = column(&t, "num_gpu");
	task[3] = column(&t, "gpu_milli");
	if (request[0] < COLUMNS && request[1] < COLUMNS && request[2] < COLUMNS)
		requests_file(&t, request);
	else if (task[0] < COLUMNS && task[1] < COLUMNS && task[2] < COLUMNS && task[3] < COLUMNS)
		tasks_file(&t, task, column(&t, "qos"));
	else
		wrong(&t, "the first line must name arrival_s,duration_ms,vgpu or "
			  "creation_time,deletion_time,num_gpu,gpu_milli");
	table_close(&t);
}

void run_trace(void)
{
	if (options.trace) {
		run_file();
		return;
	}
	llm("conversation", 1.09, 211, 1.29);
	llm("code", 13, 28, 1.9);
	tasks_generated();
}
