/* SPDX-License-Identifier: MIT */
/* pvgpuctl top and stats. The columns come from the description of statistics. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/sample.h"

#define LINE    80
#define CELL    7 /* the least width of a column, its blank included */
#define COLUMNS (PVGPU_VGPU_N + PVGPU_VGPU_HIST_N)

typedef int sampler(struct sample *s, const char *word);

/* ---- columns ---- */

struct column {
	const struct pvgpu_statistic *what;
	int value, latency; /* which one; -1: the other */
	int width;
};

static size_t columns_of(struct column out[COLUMNS])
{
	size_t n = 0;

	for (int i = 0; i < PVGPU_VGPU_N; i++)
		if (pvgpu_vgpu_statistics[i].column)
			out[n++] = (struct column){&pvgpu_vgpu_statistics[i], i, -1, 0};
	for (int i = 0; i < PVGPU_VGPU_HIST_N; i++)
		if (pvgpu_vgpu_histograms[i].column)
			out[n++] = (struct column){&pvgpu_vgpu_histograms[i], -1, i, 0};
	for (size_t i = 0; i < n; i++) {
		out[i].width = (int)strlen(out[i].what->column) + 1;
		if (out[i].width < CELL)
			out[i].width = CELL;
	}
	return n;
}

/* Work that is charged in one sample may have begun in the one before. */
static double percent(double x)
{
	return x < 100 ? x : 100;
}

/* A cell: counters of time as percent of the time between two samples, others of them a second,
 * bytes in MiB, parts as percent. */
static double cell(const struct column *c, const struct sample_row *now,
		   const struct sample_row *before, double s)
{
	uint64_t grown;

	if (c->latency >= 0)
		return (double)now->part[c->latency][PVGPU_PART_P99];
	if (!strcmp(c->what->kind, "counter")) {
		if (!before || s <= 0 || now->of.value[c->value] < before->of.value[c->value])
			return 0;
		grown = now->of.value[c->value] - before->of.value[c->value];
		return c->what->unit == PVGPU_UNIT_US ? percent((double)grown / s * 1e-4)
						      : (double)grown / s;
	}
	if (c->what->unit == PVGPU_UNIT_BYTES)
		return (double)(now->of.value[c->value] >> 20);
	if (c->what->unit == PVGPU_UNIT_PPM)
		return percent((double)now->of.value[c->value] * 1e-4);
	return (double)now->of.value[c->value];
}

/* Microseconds in at most six characters. */
static void time_text(double us, char buf[16])
{
	if (us < 1000)
		snprintf(buf, 16, "%.0fus", us);
	else if (us < 1e6)
		snprintf(buf, 16, "%.*fms", us < 1e5 ? 1 : 0, us / 1e3);
	else
		snprintf(buf, 16, "%.*fs", us < 1e8 ? 1 : 0, us / 1e6);
}

static void print_cell(const struct column *c, double v)
{
	char text[16];

	if (c->latency >= 0) {
		time_text(v, text);
		printf("%*s", c->width, text);
	} else if (c->what->unit == PVGPU_UNIT_PPM ||
		   (c->what->unit == PVGPU_UNIT_US && !strcmp(c->what->kind, "counter"))) {
		printf("%*.1f", c->width, v);
	} else {
		printf("%*.0f", c->width, v);
	}
}

/* ---- top ---- */

struct line {
	const struct sample_row *now, *before;
	double by;
};

static int compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->by != y->by)
		return x->by < y->by ? 1 : -1;
	return strcmp(x->now->name, y->now->name);
}

static const struct sample_row *find(const struct sample *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->rows[i].name, name))
			return &s->rows[i];
	return NULL;
}

/* The column that --sort names, by its head or its statistic; NULL: none. */
static const struct column *sorting(const struct column *c, size_t n)
{
	const char *by = ctl.sort ? ctl.sort : "gpu-time";

	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(by, c[i].what->column) || !strcmp(by, c[i].what->name))
			return &c[i];
	return NULL;
}

/* From one pvgpud: its counters of GPUs begin anew when it does. */
static void print_gpus(const struct sample *before, const struct sample *now)
{
	const struct statistics *s = &now->s, *was = &before->s;
	const double passed = (now->at - before->at) * 1e4; /* us of a percent */

	for (uint32_t i = 0; s->header && i < s->header->gpus; i++) {
		const struct pvgpu_gpu_record *g = &s->gpus[i];
		const uint64_t us = g->value[PVGPU_GPU_GPU_TIME];
		uint64_t then = us;

		if (was->header && i < was->header->gpus &&
		    was->gpus[i].value[PVGPU_GPU_GPU_TIME] <= us)
			then = was->gpus[i].value[PVGPU_GPU_GPU_TIME];
		printf("%-15s %5.1f%% busy, %" PRIu64 " of %" PRIu64 " vGPUs active, %" PRIu64
		       " of %" PRIu64 " MiB left, %.*s\n",
		       g->name, passed > 0 ? percent((double)(us - then) / passed) : 0,
		       g->value[PVGPU_GPU_ACTIVE_VGPUS], g->value[PVGPU_GPU_VGPUS],
		       g->value[PVGPU_GPU_MEMORY_FREE] >> 20, g->value[PVGPU_GPU_MEMORY] >> 20,
		       (int)strcspn(g->health, ":"), g->health);
		if (strchr(g->health, ':'))
			printf("  %.*s\n", LINE - 2, g->health);
	}
}

static bool has_any(const struct sample *s, const struct column *c)
{
	for (size_t i = 0; i < s->n; i++) {
		const uint64_t value = s->rows[i].of.value[c->value];

		if (value && value != PVGPU_UNKNOWN)
			return true;
	}
	return false;
}

/* Of all columns those that have something to say; how many. */
static size_t telling(const struct column *all, size_t n, const struct sample *s,
		      struct column out[COLUMNS])
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (!all[i].what->seldom || has_any(s, &all[i]))
			out[k++] = all[i];
	return k;
}

static int print_top(const struct sample *before, const struct sample *now,
		     const struct column *all, size_t all_n, const struct column *by)
{
	struct line *lines = calloc(now->n + 1, sizeof(*lines));
	struct column c[COLUMNS];
	const size_t n = telling(all, all_n, now, c);
	int name = LINE;

	if (!lines)
		return ctl_fail(EXIT_REFUSED, "out of memory");
	print_gpus(before, now);
	for (size_t i = 0; i < n; i++)
		name -= c[i].width;
	printf("%-*s", name, "vGPU");
	for (size_t i = 0; i < n; i++)
		printf("%*s", c[i].width, c[i].what->column);
	putchar('\n');
	for (size_t i = 0; i < now->n; i++) {
		lines[i].now = &now->rows[i];
		lines[i].before = find(before, now->rows[i].name);
		lines[i].by = cell(by, lines[i].now, lines[i].before, now->at - before->at);
	}
	qsort(lines, now->n, sizeof(*lines), compare);
	for (size_t i = 0; i < now->n; i++) {
		printf("%-*.*s", name, name - 1, lines[i].now->name);
		for (size_t k = 0; k < n; k++)
			print_cell(&c[k], cell(&c[k], lines[i].now, lines[i].before,
					       now->at - before->at));
		putchar('\n');
	}
	free(lines);
	fflush(stdout);
	return EXIT_DONE;
}

static int top(sampler *take)
{
	const bool live = isatty(STDOUT_FILENO);
	struct column c[COLUMNS];
	const size_t n = columns_of(c);
	const struct column *by = sorting(c, n);
	const double interval = ctl.interval_s;
	const struct timespec step = {(time_t)interval, (long)((interval - floor(interval)) * 1e9)};
	unsigned int times = ctl.times ? ctl.times : live ? ~0u : 1;
	struct sample before, now;
	int status;

	if (!by)
		return ctl_fail(EXIT_USAGE, "--sort %s: no column has that name", ctl.sort);
	status = take(&before, NULL);
	for (unsigned int i = 0; !status && i < times; i++) {
		nanosleep(&step, NULL);
		status = take(&now, NULL);
		if (status)
			break;
		if (live)
			fputs("\033[H\033[J", stdout);
		else if (i)
			putchar('\n');
		status = print_top(&before, &now, c, n, by);
		sample_free(&before);
		before = now;
	}
	sample_free(&before);
	return status;
}

int local_top(int argc, char **argv)
{
	return top(sample_local);
}

int xen_top(int argc, char **argv)
{
	return top(sample_xen);
}

/* ---- stats ---- */

static void print_values(const struct pvgpu_statistic *s, unsigned int n, const uint64_t *value)
{
	static const char *const units[] = {
		[PVGPU_UNIT_COUNT] = "",    [PVGPU_UNIT_BYTES] = "bytes", [PVGPU_UNIT_US] = "us",
		[PVGPU_UNIT_SECONDS] = "s", [PVGPU_UNIT_PPM] = "ppm",     [PVGPU_UNIT_BOOL] = "",
		[PVGPU_UNIT_CELSIUS] = "C", [PVGPU_UNIT_MW] = "mW",       [PVGPU_UNIT_MHZ] = "MHz",
	};

	for (unsigned int i = 0; i < n; i++)
		if (value[i] == PVGPU_UNKNOWN)
			printf("  %-22s %20s %-5s %s\n", s[i].name, "unknown", "", s[i].doc);
		else
			printf("  %-22s %20" PRIu64 " %-5s %s\n", s[i].name, value[i],
			       units[s[i].unit], s[i].doc);
}

static void print_row(const struct sample_row *r)
{
	printf("vGPU %s\n", r->name);
	print_values(pvgpu_vgpu_statistics, PVGPU_VGPU_N, r->of.value);
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++) {
		const uint64_t *p = r->part[k];
		char avg[16], p50[16], p95[16], p99[16];

		time_text((double)p[PVGPU_PART_AVG], avg);
		time_text((double)p[PVGPU_PART_P50], p50);
		time_text((double)p[PVGPU_PART_P95], p95);
		time_text((double)p[PVGPU_PART_P99], p99);
		printf("  %-22s avg %s p50 %s p95 %s p99 %s: %s\n", pvgpu_vgpu_histograms[k].name,
		       avg, p50, p95, p99, pvgpu_vgpu_histograms[k].doc);
	}
}

static int print_stats(const struct sample *s, bool all)
{
	if (all && s->s.header) {
		printf("pvgpud %s\n", s->s.own->version);
		print_values(pvgpu_daemon_statistics, PVGPU_DAEMON_N, s->s.own->value);
		for (uint32_t i = 0; i < s->s.header->gpus; i++) {
			printf("GPU %s: %s, %s\n", s->s.gpus[i].name, s->s.gpus[i].model,
			       s->s.gpus[i].health);
			print_values(pvgpu_gpu_statistics, PVGPU_GPU_N, s->s.gpus[i].value);
		}
	}
	for (size_t i = 0; i < s->n; i++)
		print_row(&s->rows[i]);
	return EXIT_DONE;
}

/* Prints the text and frees it. */
static int print_text(struct text *t)
{
	const int status = t->failed ? ctl_fail(EXIT_REFUSED, "out of memory") : EXIT_DONE;

	if (!status)
		fwrite(t->bytes, 1, t->n, stdout);
	text_free(t);
	return status;
}

static int metrics_of_all(const char *word)
{
	return ctl_fail(EXIT_USAGE, "--metrics is of all vGPUs: leave out %s", word);
}

int local_stats(int argc, char **argv)
{
	const char *word = argc ? argv[0] : NULL;
	struct text t = {0};
	struct sample s;
	int status = word && ctl.metrics ? metrics_of_all(word) : sample_local(&s, word);

	if (status)
		return status;
	if (ctl.json || ctl.metrics) {
		if (ctl.json) {
			statistics_json(&t, &s.s, word);
		} else {
			statistics_hide(&s.s); /* they are for an exporter's readers */
			statistics_metrics(&t, &s.s);
		}
		status = print_text(&t);
	} else {
		status = print_stats(&s, !word);
	}
	sample_free(&s);
	return status;
}

/* From xenstore: the values that the key has, and of histograms the parts. */
static int print_keys_json(const struct sample *s)
{
	struct timespec now;
	struct text t = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	text_add(&t, "{\"format\":%d,\"time\":%.3f,\"daemon\":null,\"gpus\":[],\"vgpus\":[",
		 STATISTICS_FORMAT, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
	for (size_t i = 0; i < s->n; i++) {
		text_add(&t, "%s", i ? "," : "");
		statistics_json_vgpu(&t, s->rows[i].name, &s->rows[i].of, s->rows[i].part);
	}
	text_add(&t, "]}\n");
	return print_text(&t);
}

/* xenstore has no histograms, and nothing of GPUs: the pvgpuds of those domains are asked. One that
 * does not answer does not hide the others. */
static int print_asked_metrics(void)
{
	struct sample_asked a;
	struct text t = {0};
	int status = sample_asked(&a), printed = EXIT_DONE;

	for (size_t i = 0; i < a.n; i++)
		statistics_hide(&a.of[i].s);
	if (a.n) {
		statistics_metrics_of(&t, a.of, a.n);
		printed = print_text(&t);
	}
	sample_asked_free(&a);
	return status ? status : printed;
}

int xen_stats(int argc, char **argv)
{
	struct sample s;
	int status;

	if (ctl.metrics)
		return argc ? metrics_of_all(argv[0]) : print_asked_metrics();
	status = sample_xen(&s, argc ? argv[0] : NULL);
	if (status)
		return status;
	status = ctl.json ? print_keys_json(&s) : print_stats(&s, false);
	sample_free(&s);
	return status;
}
