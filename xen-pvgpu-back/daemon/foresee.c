/* SPDX-License-Identifier: MIT */
/* Whether the memory of the configuration's vGPUs fits the GPUs that a running pvgpud has found. */
#include "xen-pvgpu-back/daemon/foresee.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define LIMIT_MS 2000

/* 0: not known. */
static uint64_t memory_of(const struct statistics *s, const struct config_pool *p)
{
	for (uint32_t i = 0; i < s->header->gpus; i++)
		if (!strcmp(s->gpus[i].name, p->name))
			return s->gpus[i].value[PVGPU_GPU_MEMORY];
	return 0;
}

/* v names the pool; where there is one alone, it is meant. */
static bool is_in(const struct config *c, const struct config_vgpu *v, const struct config_pool *p)
{
	return v->pool[0] ? !strcmp(v->pool, p->name) : c->pool_n == 1;
}

/* Reserves, and memory that may be parked (workers/residency.h). */
static int look_at_reserves(const struct config *c, const struct config_pool *p, uint64_t memory,
			    char error[CONFIG_ERROR])
{
	uint64_t reserved = 0, parked = 0;

	for (unsigned int i = 0; i < c->vgpu_n; i++) {
		const struct config_vgpu *v = &c->vgpus[i];

		if (!is_in(c, v, p))
			continue;
		reserved += config_reserve(v);
		parked += v->memory - config_reserve(v);
		if (parked > p->park_memory) {
			snprintf(error, CONFIG_ERROR,
				 "vgpu %s: with it %" PRIu64 " MiB of pool %s might be parked, and "
				 "park_memory is %" PRIu64 " MiB: it would take no session; raise "
				 "park_memory or its memory_reserve",
				 v->name, parked >> 20, p->name, p->park_memory >> 20);
			return -1;
		}
		if (p->park_memory && memory && reserved > memory) {
			snprintf(error, CONFIG_ERROR,
				 "vgpu %s: with it the vGPUs of pool %s reserve %" PRIu64
				 " MiB, and the GPU has %" PRIu64
				 " MiB: it would take no session; lower its memory_reserve",
				 v->name, p->name, reserved >> 20, memory >> 20);
			return -1;
		}
	}
	return 0;
}

static int look(const struct config *c, const struct statistics *s, const struct config_pool *p,
		char error[CONFIG_ERROR])
{
	const uint64_t memory = memory_of(s, p);
	const uint64_t most = memory / 1000 * p->overcommit + memory % 1000 * p->overcommit / 1000;
	uint64_t n = 0;

	for (unsigned int i = 0; most && i < c->vgpu_n; i++) {
		if (!is_in(c, &c->vgpus[i], p))
			continue;
		n += c->vgpus[i].memory;
		if (n <= most)
			continue;
		snprintf(error, CONFIG_ERROR,
			 "vgpu %s: with it the vGPUs of pool %s have %" PRIu64 " MiB, and %" PRIu64
			 " MiB can be promised: it would take no session; lower its memory, or "
			 "raise overcommit",
			 c->vgpus[i].name, p->name, n >> 20, most >> 20);
		return -1;
	}
	return look_at_reserves(c, p, memory, error);
}

int foresee(const struct config *c, char error[CONFIG_ERROR])
{
	char why[STATISTICS_WHY];
	struct statistics s;
	int r = 0;

	if (statistics_read(&s, c->run_dir, LIMIT_MS, why) < 0)
		return 0;
	for (unsigned int i = 0; !r && i < c->pool_n; i++)
		r = look(c, &s, &c->pools[i], error);
	statistics_free(&s);
	return r;
}
