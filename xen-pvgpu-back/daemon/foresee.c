/* SPDX-License-Identifier: MIT */
/* Whether the memory of the configuration's vGPUs fits the GPUs that a running pvgpud has found. */
#include "xen-pvgpu-back/daemon/foresee.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define LIMIT_MS 2000

static uint64_t capacity(const struct statistics *s, const struct config_pool *p)
{
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		const uint64_t n = s->gpus[i].value[PVGPU_GPU_MEMORY];

		if (!strcmp(s->gpus[i].name, p->name))
			return n / 1000 * p->overcommit + n % 1000 * p->overcommit / 1000;
	}
	return 0;
}

/* v names the pool; where there is one alone, it is meant. */
static bool is_in(const struct config *c, const struct config_vgpu *v, const struct config_pool *p)
{
	return v->pool[0] ? !strcmp(v->pool, p->name) : c->pool_n == 1;
}

static int look(const struct config *c, const struct statistics *s, const struct config_pool *p,
		char error[CONFIG_ERROR])
{
	const uint64_t most = capacity(s, p);
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
	return 0;
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
