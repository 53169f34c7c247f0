/* SPDX-License-Identifier: MIT */
/*
 * Prometheus's text format, version 0.0.4. A histogram has every second bucket of a snapshot's, so
 * that a hundred vGPUs fit into a scrape.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

static void metric_family(struct text *t, const struct pvgpu_statistic *s)
{
	text_add(t, "# HELP %s %s%s\n# TYPE %s %s\n", s->metric, s->doc,
		 !strcmp(s->by, "worker") ? " (claimed by the worker)" : "", s->metric, s->kind);
}

static void metric_value(struct text *t, const struct pvgpu_statistic *s, const char *labels,
			 uint64_t n)
{
	const bool labelled = labels[0] != '\0';

	if (n == PVGPU_UNKNOWN)
		return;

	text_add(t, "%s%s%s%s ", s->metric, labelled ? "{" : "", labels, labelled ? "}" : "");
	switch (s->unit) {
	case PVGPU_UNIT_US:
	case PVGPU_UNIT_PPM:
		text_add(t, "%" PRIu64 ".%06" PRIu64 "\n", n / 1000000, n % 1000000);
		break;
	case PVGPU_UNIT_MW:
		text_add(t, "%" PRIu64 ".%03" PRIu64 "\n", n / 1000, n % 1000);
		break;
	case PVGPU_UNIT_MHZ:
		text_add(t, "%" PRIu64 "000000\n", n);
		break;
	default:
		text_add(t, "%" PRIu64 "\n", n);
	}
}

static void histogram(struct text *t, const struct pvgpu_statistic *s, const char *labels,
		      const struct pvgpu_latency *l)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i + 1 < PVGPU_LATENCY_BUCKETS; i++) {
		n += l->n[i];
		if (i % 2 == 0)
			text_add(t, "%s_bucket{%s,le=\"%.9g\"} %" PRIu64 "\n", s->metric, labels,
				 (double)pvgpu_latency_bound_us(i) * 1e-6, n);
	}
	n += l->n[PVGPU_LATENCY_BUCKETS - 1];
	text_add(t,
		 "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n%s_sum{%s} %.9f\n%s_count{%s} %" PRIu64
		 "\n",
		 s->metric, labels, n, s->metric, labels, (double)l->ns * 1e-9, s->metric, labels,
		 n);
}

/* A label's value, its quotes and backslashes escaped. */
static void metric_label(struct text *t, const char *name, const char *text)
{
	text_add(t, "%s=\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			text_add(t, "\\");
		text_add(t, "%c", *text >= ' ' && *text <= '~' ? *text : '?');
	}
	text_add(t, "\"");
}

/* A backend's statistics, and what the lines of itself, of each GPU and of each vGPU have between
 * their braces; NULL: a GPU or vGPU has no lines. */
struct source {
	const struct statistics *s;
	char *own;
	char **gpus, **vgpus;
};

/* An empty label is the same as none. */
static void add(struct text *t, const char *name, const char *text)
{
	if (!text[0])
		return;
	if (t->n)
		text_add(t, ",");
	metric_label(t, name, text);
}

static char *keep(struct text *t)
{
	char *labels = t->n && !t->failed ? strdup(t->bytes) : NULL;

	t->failed |= t->n && !labels;
	t->n = 0;
	return labels;
}

static const struct pvgpu_gpu_record *gpu_of(const struct statistics *s, const char *pool)
{
	for (uint32_t i = 0; i < s->header->gpus; i++)
		if (!strcmp(s->gpus[i].name, pool))
			return &s->gpus[i];
	return NULL;
}

/* Nothing that changes when a VM is started again. */
static void add_vgpu(struct text *t, const struct pvgpu_vgpu_record *v,
		     const struct pvgpu_gpu_record *g)
{
	char number[16];
	const char *name = v->name;

	snprintf(number, sizeof(number), "%" PRIu32, v->device);
	if (v->domain != PVGPU_NO_DOMAIN)
		name = v->vm[0] || v->vm_uuid[0] ? number : v->uuid;
	add(t, "vm", v->vm);
	add(t, "vm_uuid", v->vm_uuid);
	add(t, "vgpu", name);
	add(t, "tenant", v->group);
	add(t, "pool", v->pool);
	add(t, "gpu_uuid", g ? g->uuid : "");
}

/* The vGPU of a VM's domain before is still there when that of the next one is, for a moment: the
 * last one counts. */
static void leave_one_of_each(char **labels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = i + 1; labels[i] && k < n; k++)
			if (labels[k] && !strcmp(labels[i], labels[k])) {
				free(labels[i]);
				labels[i] = NULL;
			}
}

static void add_backend(struct text *t, const struct statistics_of *of)
{
	if (of->backend)
		add(t, "backend", of->backend);
}

/* A GPU whose UUID is about to come, and its vGPUs, have no lines: they would be series of their
 * own. */
static int open_source(struct source *o, const struct statistics_of *of)
{
	const struct statistics *s = &of->s;
	struct text t = {0};
	int failed;

	*o = (struct source){.s = s,
			     .gpus = calloc(s->header->gpus + 1, sizeof(char *)),
			     .vgpus = calloc(s->header->vgpus + 1, sizeof(char *))};
	add_backend(&t, of);
	o->own = keep(&t);
	for (uint32_t i = 0; o->gpus && i < s->header->gpus; i++) {
		if (s->gpus[i].uuid_comes)
			continue;
		add_backend(&t, of);
		add(&t, "pool", s->gpus[i].name);
		add(&t, "gpu_uuid", s->gpus[i].uuid);
		o->gpus[i] = keep(&t);
	}
	for (uint32_t i = 0; o->vgpus && i < s->header->vgpus; i++) {
		const struct pvgpu_gpu_record *g = gpu_of(s, s->vgpus[i].pool);

		if (g && g->uuid_comes)
			continue;
		add_backend(&t, of);
		add_vgpu(&t, &s->vgpus[i], g);
		o->vgpus[i] = keep(&t);
	}
	if (o->vgpus)
		leave_one_of_each(o->vgpus, s->header->vgpus);
	failed = t.failed || !o->gpus || !o->vgpus;
	text_free(&t);
	return failed ? -1 : 0;
}

static void free_all(char **labels, uint32_t n)
{
	for (uint32_t i = 0; labels && i < n; i++)
		free(labels[i]);
	free(labels);
}

static void close_source(struct source *o)
{
	free(o->own);
	if (!o->s)
		return;
	free_all(o->gpus, o->s->header->gpus);
	free_all(o->vgpus, o->s->header->vgpus);
}

static void infos(struct text *t, const struct source *of, size_t n)
{
	text_add(t, "# HELP pvgpu_daemon_info the version of pvgpud\n"
		    "# TYPE pvgpu_daemon_info gauge\n");
	for (const struct source *o = of; o < of + n; o++) {
		text_add(t, "pvgpu_daemon_info{%s%s", o->own ? o->own : "", o->own ? "," : "");
		metric_label(t, "version", o->s->own->version);
		text_add(t, "} 1\n");
	}
	text_add(t, "# HELP pvgpu_gpu_info the model of the GPU\n"
		    "# TYPE pvgpu_gpu_info gauge\n");
	for (const struct source *o = of; o < of + n; o++)
		for (uint32_t i = 0; i < o->s->header->gpus; i++) {
			if (!o->gpus[i])
				continue;
			text_add(t, "pvgpu_gpu_info{%s,", o->gpus[i]);
			metric_label(t, "model", o->s->gpus[i].model);
			text_add(t, "} 1\n");
		}
}

static void gpu_values(struct text *t, unsigned int k, const struct source *o)
{
	for (uint32_t i = 0; i < o->s->header->gpus; i++)
		if (o->gpus[i])
			metric_value(t, &pvgpu_gpu_statistics[k], o->gpus[i],
				     o->s->gpus[i].value[k]);
}

static void vgpu_values(struct text *t, unsigned int k, const struct source *o)
{
	for (uint32_t i = 0; i < o->s->header->vgpus; i++)
		if (o->vgpus[i])
			metric_value(t, &pvgpu_vgpu_statistics[k], o->vgpus[i],
				     o->s->vgpus[i].value[k]);
}

static void vgpu_histograms(struct text *t, unsigned int k, const struct source *o)
{
	for (uint32_t i = 0; i < o->s->header->vgpus; i++)
		if (o->vgpus[i])
			histogram(t, &pvgpu_vgpu_histograms[k], o->vgpus[i],
				  &o->s->vgpus[i].latency[k]);
}

static void values(struct text *t, const struct source *of, size_t n)
{
	for (unsigned int k = 0; k < PVGPU_DAEMON_N; k++) {
		metric_family(t, &pvgpu_daemon_statistics[k]);
		for (const struct source *o = of; o < of + n; o++)
			metric_value(t, &pvgpu_daemon_statistics[k], o->own ? o->own : "",
				     o->s->own->value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_GPU_N; k++) {
		metric_family(t, &pvgpu_gpu_statistics[k]);
		for (size_t i = 0; i < n; i++)
			gpu_values(t, k, &of[i]);
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_N; k++) {
		metric_family(t, &pvgpu_vgpu_statistics[k]);
		for (size_t i = 0; i < n; i++)
			vgpu_values(t, k, &of[i]);
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++) {
		metric_family(t, &pvgpu_vgpu_histograms[k]);
		for (size_t i = 0; i < n; i++)
			vgpu_histograms(t, k, &of[i]);
	}
}

void statistics_metrics_of(struct text *t, const struct statistics_of *of, size_t n)
{
	struct source *sources = calloc(n + 1, sizeof(*sources));
	bool failed = !sources;

	for (size_t i = 0; !failed && i < n; i++)
		failed = open_source(&sources[i], &of[i]) < 0;
	if (failed) {
		t->failed = 1;
	} else {
		infos(t, sources, n);
		values(t, sources, n);
	}
	for (size_t i = 0; sources && i < n; i++)
		close_source(&sources[i]);
	free(sources);
}

void statistics_metrics(struct text *t, const struct statistics *s)
{
	const struct statistics_of of = {.s = *s};

	statistics_metrics_of(t, &of, 1);
}
