/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

static void string(struct text *t, const char *name, const char *text)
{
	text_add(t, "\"%s\":\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			text_add(t, "\\");
		text_add(t, "%c", *text >= ' ' && *text <= '~' ? *text : '?');
	}
	text_add(t, "\"");
}

static void values(struct text *t, const struct pvgpu_statistic *s, unsigned int n,
		   const uint64_t *value)
{
	for (unsigned int i = 0; i < n; i++)
		if (value[i] == PVGPU_UNKNOWN)
			text_add(t, ",\"%s\":null", s[i].name);
		else
			text_add(t, ",\"%s\":%" PRIu64, s[i].name, value[i]);
}

static void histogram(struct text *t, const char *name, const struct pvgpu_latency *l)
{
	text_add(t,
		 ",\"%s\":{\"count\":%" PRIu64 ",\"sum\":%" PRIu64 ",\"avg\":%" PRIu64
		 ",\"p50\":%" PRIu64 ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"buckets\":[",
		 name, pvgpu_latency_count(l), l->ns / 1000, pvgpu_latency_average_us(l),
		 pvgpu_latency_percentile_us(l, 50), pvgpu_latency_percentile_us(l, 95),
		 pvgpu_latency_percentile_us(l, 99));
	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++)
		text_add(t, "%s%" PRIu64, i ? "," : "", l->n[i]);
	text_add(t, "]}");
}

static void vgpu(struct text *t, const struct pvgpu_vgpu_record *v)
{
	text_add(t, "{");
	string(t, "name", v->name);
	text_add(t, ",");
	string(t, "pool", v->pool);
	text_add(t, ",");
	string(t, "group", v->group);
	text_add(t, ",");
	string(t, "state", v->state);
	if (v->domain != PVGPU_NO_DOMAIN)
		text_add(t, ",\"domain\":%" PRIu32 ",\"device\":%" PRIu32, v->domain, v->device);
	values(t, pvgpu_vgpu_statistics, PVGPU_VGPU_N, v->value);
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++)
		histogram(t, pvgpu_vgpu_histograms[k].name, &v->latency[k]);
	text_add(t, "}");
}

void statistics_json(struct text *t, const struct statistics *s, const char *only)
{
	const char *comma = "";

	text_add(t, "{\"time\":%.3f,\"daemon\":{", (double)s->header->realtime_ns * 1e-9);
	string(t, "version", s->own->version);
	values(t, pvgpu_daemon_statistics, PVGPU_DAEMON_N, s->own->value);
	text_add(t, "},\"gpus\":[");
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		const struct pvgpu_gpu_record *g = &s->gpus[i];

		text_add(t, "%s{", i ? "," : "");
		string(t, "name", g->name);
		text_add(t, ",");
		string(t, "model", g->model);
		text_add(t, ",");
		string(t, "health", g->health);
		values(t, pvgpu_gpu_statistics, PVGPU_GPU_N, g->value);
		text_add(t, "}");
	}
	text_add(t, "],\"vgpus\":[");
	for (uint32_t i = 0; i < s->header->vgpus; i++) {
		if (only && strcmp(only, s->vgpus[i].name) != 0)
			continue;
		text_add(t, "%s", comma);
		vgpu(t, &s->vgpus[i]);
		comma = ",";
	}
	text_add(t, "]}\n");
}
