/* SPDX-License-Identifier: MIT */
/*
 * Prometheus's text format, version 0.0.4. A histogram has every second bucket of a snapshot's, so
 * that a hundred vGPUs fit into a scrape.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define LABELS 160

void metric_family(struct text *t, const struct pvgpu_statistic *s)
{
	text_add(t, "# HELP %s %s%s\n# TYPE %s %s\n", s->metric, s->doc,
		 !strcmp(s->by, "worker") ? " (claimed by the worker)" : "", s->metric, s->kind);
}

void metric_value(struct text *t, const struct pvgpu_statistic *s, const char *labels, uint64_t n)
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
void metric_label(struct text *t, const char *name, const char *text)
{
	text_add(t, "%s=\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			text_add(t, "\\");
		text_add(t, "%c", *text >= ' ' && *text <= '~' ? *text : '?');
	}
	text_add(t, "\"");
}

static const char *vgpu_labels(const struct pvgpu_vgpu_record *v, char buf[LABELS])
{
	snprintf(buf, LABELS, "vgpu=\"%s\",pool=\"%s\"", v->name, v->pool);
	return buf;
}

static void infos(struct text *t, const struct statistics *s)
{
	text_add(t, "# HELP pvgpu_daemon_info the version of pvgpud\n"
		    "# TYPE pvgpu_daemon_info gauge\npvgpu_daemon_info{");
	metric_label(t, "version", s->own->version);
	text_add(t, "} 1\n# HELP pvgpu_gpu_info the model of the GPU\n"
		    "# TYPE pvgpu_gpu_info gauge\n");
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		text_add(t, "pvgpu_gpu_info{pool=\"%s\",", s->gpus[i].name);
		metric_label(t, "model", s->gpus[i].model);
		text_add(t, "} 1\n");
	}
	text_add(t, "# HELP pvgpu_vgpu_info domain, device and group of the vGPU\n"
		    "# TYPE pvgpu_vgpu_info gauge\n");
	for (uint32_t i = 0; i < s->header->vgpus; i++) {
		const struct pvgpu_vgpu_record *v = &s->vgpus[i];
		char labels[LABELS];

		text_add(t, "pvgpu_vgpu_info{%s,", vgpu_labels(v, labels));
		metric_label(t, "group", v->group);
		if (v->domain != PVGPU_NO_DOMAIN)
			text_add(t, ",domain=\"%" PRIu32 "\",device=\"%" PRIu32 "\"", v->domain,
				 v->device);
		text_add(t, "} 1\n");
	}
}

void statistics_metrics(struct text *t, const struct statistics *s)
{
	char labels[LABELS];

	infos(t, s);
	for (unsigned int k = 0; k < PVGPU_DAEMON_N; k++) {
		metric_family(t, &pvgpu_daemon_statistics[k]);
		metric_value(t, &pvgpu_daemon_statistics[k], "", s->own->value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_GPU_N; k++) {
		metric_family(t, &pvgpu_gpu_statistics[k]);
		for (uint32_t i = 0; i < s->header->gpus; i++) {
			snprintf(labels, sizeof(labels), "pool=\"%s\"", s->gpus[i].name);
			metric_value(t, &pvgpu_gpu_statistics[k], labels, s->gpus[i].value[k]);
		}
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_N; k++) {
		metric_family(t, &pvgpu_vgpu_statistics[k]);
		for (uint32_t i = 0; i < s->header->vgpus; i++)
			metric_value(t, &pvgpu_vgpu_statistics[k],
				     vgpu_labels(&s->vgpus[i], labels), s->vgpus[i].value[k]);
	}
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++) {
		metric_family(t, &pvgpu_vgpu_histograms[k]);
		for (uint32_t i = 0; i < s->header->vgpus; i++)
			histogram(t, &pvgpu_vgpu_histograms[k], vgpu_labels(&s->vgpus[i], labels),
				  &s->vgpus[i].latency[k]);
	}
}
