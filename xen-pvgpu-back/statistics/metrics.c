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

/* What the lines of each GPU and of each vGPU have between their braces; NULL: they have none. */
struct labels {
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

/* A GPU whose UUID is about to come, and its vGPUs, have no lines: they would be series of their
 * own. */
static int make_labels(struct labels *l, const struct statistics *s)
{
	struct text t = {0};
	int failed;

	*l = (struct labels){calloc(s->header->gpus + 1, sizeof(char *)),
			     calloc(s->header->vgpus + 1, sizeof(char *))};
	for (uint32_t i = 0; l->gpus && i < s->header->gpus; i++) {
		if (s->gpus[i].uuid_comes)
			continue;
		add(&t, "pool", s->gpus[i].name);
		add(&t, "gpu_uuid", s->gpus[i].uuid);
		l->gpus[i] = keep(&t);
	}
	for (uint32_t i = 0; l->vgpus && i < s->header->vgpus; i++) {
		const struct pvgpu_gpu_record *g = gpu_of(s, s->vgpus[i].pool);

		if (g && g->uuid_comes)
			continue;
		add_vgpu(&t, &s->vgpus[i], g);
		l->vgpus[i] = keep(&t);
	}
	if (l->vgpus)
		leave_one_of_each(l->vgpus, s->header->vgpus);
	failed = t.failed || !l->gpus || !l->vgpus;
	text_free(&t);
	return failed ? -1 : 0;
}

static void free_all(char **labels, uint32_t n)
{
	for (uint32_t i = 0; labels && i < n; i++)
		free(labels[i]);
	free(labels);
}

static void infos(struct text *t, const struct statistics *s, const struct labels *l)
{
	text_add(t, "# HELP pvgpu_daemon_info the version of pvgpud\n"
		    "# TYPE pvgpu_daemon_info gauge\npvgpu_daemon_info{");
	metric_label(t, "version", s->own->version);
	text_add(t, "} 1\n# HELP pvgpu_gpu_info the model of the GPU\n"
		    "# TYPE pvgpu_gpu_info gauge\n");
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		if (!l->gpus[i])
			continue;
		text_add(t, "pvgpu_gpu_info{%s,", l->gpus[i]);
		metric_label(t, "model", s->gpus[i].model);
		text_add(t, "} 1\n");
	}
}

static void values(struct text *t, const struct statistics *s, const struct labels *l)
{
	for (unsigned int k = 0; k < PVGPU_DAEMON_N; k++) {
		metric_family(t, &pvgpu_daemon_statistics[k]);
		metric_value(t, &pvgpu_daemon_statistics[k], "", s->own->value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_GPU_N; k++) {
		metric_family(t, &pvgpu_gpu_statistics[k]);
		for (uint32_t i = 0; i < s->header->gpus; i++)
			if (l->gpus[i])
				metric_value(t, &pvgpu_gpu_statistics[k], l->gpus[i],
					     s->gpus[i].value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_N; k++) {
		metric_family(t, &pvgpu_vgpu_statistics[k]);
		for (uint32_t i = 0; i < s->header->vgpus; i++)
			if (l->vgpus[i])
				metric_value(t, &pvgpu_vgpu_statistics[k], l->vgpus[i],
					     s->vgpus[i].value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++) {
		metric_family(t, &pvgpu_vgpu_histograms[k]);
		for (uint32_t i = 0; i < s->header->vgpus; i++)
			if (l->vgpus[i])
				histogram(t, &pvgpu_vgpu_histograms[k], l->vgpus[i],
					  &s->vgpus[i].latency[k]);
	}
}

void statistics_metrics(struct text *t, const struct statistics *s)
{
	struct labels l;

	if (make_labels(&l, s)) {
		t->failed = 1;
	} else {
		infos(t, s, &l);
		values(t, s, &l);
	}
	free_all(l.gpus, s->header->gpus);
	free_all(l.vgpus, s->header->vgpus);
}
