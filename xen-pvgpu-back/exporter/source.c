/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/exporter/exporter.h"

#define REUSE_MS 1000
#define LIMIT_MS 3000

long long clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const struct history *find(const struct source *s, const char *name)
{
	for (unsigned int i = 0; i < s->vgpus; i++)
		if (!strcmp(s->history[i].name, name))
			return &s->history[i];
	return NULL;
}

/* A sample of each vGPU's GPU time. One that is gone is forgotten; of a new one, the time before
 * counts as idle. */
static void remember(struct source *s, long long now)
{
	const uint32_t n = s->now.header->vgpus;
	const unsigned int full = s->samples == HISTORY_SAMPLES;
	struct history *next;

	if (s->samples && now - s->sample_ms[s->samples - 1] < HISTORY_STEP_MS)
		return;
	next = calloc(n + 1, sizeof(*next));
	if (!next)
		return;
	if (full) {
		memmove(s->sample_ms, s->sample_ms + 1,
			sizeof(s->sample_ms) - sizeof(*s->sample_ms));
		s->samples--;
	}
	s->sample_ms[s->samples] = now;
	for (uint32_t i = 0; i < n; i++) {
		const struct pvgpu_vgpu_record *v = &s->now.vgpus[i];
		const uint64_t gpu_us = v->value[PVGPU_VGPU_GPU_TIME];
		const struct history *was = find(s, v->name);

		memcpy(next[i].name, v->name, sizeof(next[i].name));
		for (unsigned int k = 0; k < s->samples; k++)
			next[i].gpu_us[k] = was ? was->gpu_us[k + full] : gpu_us;
		next[i].gpu_us[s->samples] = gpu_us;
	}
	free(s->history);
	s->history = next;
	s->vgpus = n;
	s->samples++;
}

static bool has_local(const struct statistics *s)
{
	for (uint32_t i = 0; i < s->header->vgpus; i++)
		if (s->vgpus[i].domain == PVGPU_NO_DOMAIN)
			return true;
	return false;
}

int source_look(struct source *s)
{
	const long long now = clock_ms();
	struct statistics fresh;

	if (s->tried_ms && now - s->tried_ms < REUSE_MS)
		return s->why[0] ? -1 : 0;
	s->why[0] = '\0';
	if (statistics_read(&fresh, s->run_dir, LIMIT_MS, s->why) < 0) {
		s->errors++;
		s->tried_ms = clock_ms();
		return -1;
	}
	s->local = has_local(&fresh);
	statistics_hide(&fresh);
	statistics_free(&s->now);
	s->now = fresh;
	s->read_ms = s->tried_ms = clock_ms();
	remember(s, s->read_ms);
	return 0;
}

void source_free(struct source *s)
{
	statistics_free(&s->now);
	free(s->history);
}
