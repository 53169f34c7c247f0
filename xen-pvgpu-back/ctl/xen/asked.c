/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a pvgpud in another domain, from its answer in JSON: as a snapshot of this
 * build, so that all that is made of snapshots can be made of it. That domain is not trusted: what
 * is missing or of another type is unknown or empty.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/sample.h"

static uint64_t number(const json_t *n)
{
	return json_is_integer(n) && json_integer_value(n) >= 0 ? (uint64_t)json_integer_value(n)
								: PVGPU_UNKNOWN;
}

static void take_values(const json_t *o, const struct pvgpu_statistic *s, unsigned int n,
			uint64_t *value)
{
	for (unsigned int i = 0; i < n; i++)
		value[i] = number(json_object_get(o, s[i].name));
}

#define TAKE_TEXT(o, key, to)                                                                      \
	snprintf(to, sizeof(to), "%.*s", (int)sizeof(to) - 1,                                      \
		 json_is_string(json_object_get(o, key))                                           \
			 ? json_string_value(json_object_get(o, key))                              \
			 : "")

static void take_gpu(const json_t *o, struct pvgpu_gpu_record *g)
{
	TAKE_TEXT(o, "name", g->name);
	TAKE_TEXT(o, "model", g->model);
	TAKE_TEXT(o, "health", g->health);
	TAKE_TEXT(o, "uuid", g->uuid);
	g->uuid_comes = json_is_null(json_object_get(o, "uuid"));
	g->confidential = json_is_true(json_object_get(o, "confidential"));
	take_values(o, pvgpu_gpu_statistics, PVGPU_GPU_N, g->value);
}

static void take_histogram(const json_t *o, struct pvgpu_latency *l)
{
	const uint64_t us = number(json_object_get(o, "sum"));
	const json_t *buckets = json_object_get(o, "buckets");

	l->ns = us == PVGPU_UNKNOWN ? 0 : us * 1000;
	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++) {
		const uint64_t n = number(json_array_get(buckets, i));

		l->n[i] = n == PVGPU_UNKNOWN ? 0 : n;
	}
}

static void take_vgpu(const json_t *o, struct pvgpu_vgpu_record *v)
{
	const json_t *vm = json_object_get(o, "vm");

	TAKE_TEXT(o, "name", v->name);
	TAKE_TEXT(o, "uuid", v->uuid);
	TAKE_TEXT(o, "pool", v->pool);
	TAKE_TEXT(o, "tenant", v->group);
	TAKE_TEXT(o, "state", v->state);
	TAKE_TEXT(vm, "name", v->vm);
	TAKE_TEXT(vm, "uuid", v->vm_uuid);
	v->domain = v->device = PVGPU_NO_DOMAIN;
	if (vm) {
		v->domain = (uint32_t)number(json_object_get(vm, "domid"));
		v->device = (uint32_t)number(json_object_get(o, "id"));
	}
	take_values(o, pvgpu_vgpu_statistics, PVGPU_VGPU_N, v->value);
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++)
		take_histogram(json_object_get(o, pvgpu_vgpu_histograms[k].name), &v->latency[k]);
}

static int take(struct statistics *s, const json_t *said)
{
	const json_t *daemon = json_object_get(said, "daemon"),
		     *gpus = json_object_get(said, "gpus"), *vgpus = json_object_get(said, "vgpus");
	const size_t gpu_n = json_array_size(gpus), vgpu_n = json_array_size(vgpus);
	struct pvgpu_snapshot_header *h;
	struct pvgpu_daemon_record *own;
	struct pvgpu_gpu_record *g;
	struct pvgpu_vgpu_record *v;
	const size_t size = sizeof(*h) + sizeof(*own) + gpu_n * sizeof(*g) + vgpu_n * sizeof(*v);
	char why[STATISTICS_WHY];

	if (!json_is_object(daemon) || !json_is_array(gpus) || !json_is_array(vgpus))
		return ctl_fail(EXIT_NOT_THERE, "pvgpud's answer has no statistics");
	h = calloc(1, size);
	if (!h)
		return ctl_fail(EXIT_REFUSED, "out of memory");
	own = (void *)(h + 1);
	g = (void *)(own + 1);
	v = (void *)(g + gpu_n);
	*h = (struct pvgpu_snapshot_header){.magic = PVGPU_SNAPSHOT_MAGIC,
					    .layout = PVGPU_STATISTICS_LAYOUT,
					    .gpus = (uint32_t)gpu_n,
					    .vgpus = (uint32_t)vgpu_n,
					    .daemon_size = sizeof(*own),
					    .gpu_size = sizeof(*g),
					    .vgpu_size = sizeof(*v),
					    .event_size = sizeof(struct pvgpu_event_record)};
	TAKE_TEXT(daemon, "version", own->version);
	take_values(daemon, pvgpu_daemon_statistics, PVGPU_DAEMON_N, own->value);
	for (size_t i = 0; i < gpu_n; i++)
		take_gpu(json_array_get(gpus, i), &g[i]);
	for (size_t i = 0; i < vgpu_n; i++)
		take_vgpu(json_array_get(vgpus, i), &v[i]);
	return statistics_take(s, h, size, why) ? ctl_fail(EXIT_REFUSED, "%s", why) : EXIT_DONE;
}

static int ask_one(uint32_t domid, struct statistics *s)
{
	json_t *request = json_pack("{s:s}", "op", "statistics"), *answer;
	int status = EXIT_DONE;

	answer = ask_domain(domid, request, &status);
	json_decref(request);
	if (answer && !json_is_true(json_object_get(answer, "ok")))
		status = ctl_fail(EXIT_REFUSED,
				  "domain %u: its pvgpud tells no statistics: update it, or read "
				  "pvgpu-exporter there",
				  domid);
	else if (answer)
		status = take(s, json_object_get(answer, "statistics"));
	json_decref(answer);
	return status;
}

int sample_asked(struct sample_asked *a)
{
	size_t n = 0;
	int worst, status;

	*a = (struct sample_asked){0};
	worst = ask_all(false, &a->domains, &n);
	if (!worst) {
		a->of = calloc(n, sizeof(*a->of));
		if (!a->of)
			worst = ctl_fail(EXIT_REFUSED, "out of memory");
	}
	for (size_t i = 0; a->of && i < n; i++) {
		struct statistics_of *of = &a->of[a->n];

		status = ask_one(a->domains[i].domid, &of->s);
		if (status) {
			worst = status;
			continue;
		}
		of->backend = n > 1 ? a->domains[i].name : NULL;
		a->n++;
	}
	return worst;
}

void sample_asked_free(struct sample_asked *a)
{
	for (size_t i = 0; i < a->n; i++)
		statistics_free(&a->of[i].s);
	free(a->of);
	free(a->domains);
}
