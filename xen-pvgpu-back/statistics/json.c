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

void statistics_parts(const struct pvgpu_latency *l, uint64_t part[STATISTICS_PARTS])
{
	part[PVGPU_PART_AVG] = pvgpu_latency_average_us(l);
	part[PVGPU_PART_P50] = pvgpu_latency_percentile_us(l, 50);
	part[PVGPU_PART_P95] = pvgpu_latency_percentile_us(l, 95);
	part[PVGPU_PART_P99] = pvgpu_latency_percentile_us(l, 99);
}

/* l NULL: only its parts are known. */
static void histogram(struct text *t, const char *name, const struct pvgpu_latency *l,
		      const uint64_t part[STATISTICS_PARTS])
{
	text_add(t, ",\"%s\":{", name);
	if (l)
		text_add(t, "\"count\":%" PRIu64 ",\"sum\":%" PRIu64, pvgpu_latency_count(l),
			 l->ns / 1000);
	else
		text_add(t, "\"count\":null,\"sum\":null");
	text_add(t,
		 ",\"avg\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64
		 ",\"buckets\":%s",
		 part[PVGPU_PART_AVG], part[PVGPU_PART_P50], part[PVGPU_PART_P95],
		 part[PVGPU_PART_P99], l ? "[" : "null}");
	for (unsigned int i = 0; l && i < PVGPU_LATENCY_BUCKETS; i++)
		text_add(t, "%s%" PRIu64, i ? "," : "", l->n[i]);
	if (l)
		text_add(t, "]}");
}

static void of_vm(struct text *t, const struct pvgpu_vgpu_record *v)
{
	if (v->domain == PVGPU_NO_DOMAIN) {
		text_add(t, "\"vm\":null,\"id\":null,");
		return;
	}
	text_add(t, "\"vm\":{\"domid\":%" PRIu32 ",", v->domain);
	string(t, "name", v->vm);
	text_add(t, ",");
	string(t, "uuid", v->vm_uuid);
	text_add(t, "},\"id\":%" PRIu32 ",", v->device);
}

void statistics_json_vgpu(struct text *t, const char *name, const struct pvgpu_vgpu_record *v,
			  const uint64_t (*part)[STATISTICS_PARTS])
{
	text_add(t, "{");
	string(t, "name", name);
	text_add(t, ",");
	of_vm(t, v);
	string(t, "uuid", v->uuid);
	text_add(t, ",");
	string(t, "pool", v->pool);
	text_add(t, ",");
	string(t, "tenant", v->group);
	text_add(t, ",");
	string(t, "state", v->state);
	values(t, pvgpu_vgpu_statistics, PVGPU_VGPU_N, v->value);
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++) {
		uint64_t own[STATISTICS_PARTS];

		statistics_parts(&v->latency[k], own);
		histogram(t, pvgpu_vgpu_histograms[k].name, part ? NULL : &v->latency[k],
			  part ? part[k] : own);
	}
	text_add(t, "}");
}

void statistics_json(struct text *t, const struct statistics *s, const char *only)
{
	const char *comma = "";

	text_add(t, "{\"format\":%d,\"time\":%.3f,\"daemon\":{", STATISTICS_FORMAT,
		 (double)s->header->realtime_ns * 1e-9);
	string(t, "version", s->own->version);
	values(t, pvgpu_daemon_statistics, PVGPU_DAEMON_N, s->own->value);
	text_add(t, "},\"gpus\":[");
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		const struct pvgpu_gpu_record *g = &s->gpus[i];

		text_add(t, "%s{", i ? "," : "");
		string(t, "name", g->name);
		text_add(t, ",");
		if (g->uuid_comes)
			text_add(t, "\"uuid\":null");
		else
			string(t, "uuid", g->uuid);
		text_add(t, ",");
		string(t, "model", g->model);
		text_add(t, ",");
		string(t, "health", g->health);
		text_add(t, ",\"confidential\":%s", g->confidential ? "true" : "false");
		values(t, pvgpu_gpu_statistics, PVGPU_GPU_N, g->value);
		text_add(t, "}");
	}
	text_add(t, "],\"vgpus\":[");
	for (uint32_t i = 0; i < s->header->vgpus; i++) {
		if (only && strcmp(only, s->vgpus[i].name) != 0)
			continue;
		text_add(t, "%s", comma);
		statistics_json_vgpu(t, s->vgpus[i].name, &s->vgpus[i], NULL);
		comma = ",";
	}
	text_add(t, "]}\n");
}
