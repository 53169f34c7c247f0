/* SPDX-License-Identifier: MIT */
/* The guarantees of vGPUs and groups, added up for each GPU. */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"

/* The guarantee of a vGPU in a pool of this policy. */
static unsigned int share_of(const struct config_vgpu *v, enum sched_policy policy)
{
	return policy == SCHED_FAIR    ? v->policy.min_share
	       : policy == SCHED_FIXED ? v->policy.fixed_share
				       : 0;
}

static size_t group_of(const struct config *c, const struct config_vgpu *v)
{
	size_t g = 0;

	while (g < c->group_n && strcmp(c->groups[g].name, v->group) != 0)
		g++;
	return g;
}

struct part {
	uint64_t sum; /* of its vGPUs */
	bool there;   /* it has some in this pool */
};

/* parts: room for all groups, and the vGPUs without one behind them. */
static uint64_t guaranteed(const struct config *c, const struct config_pool *p, struct part *parts)
{
	uint64_t sum;

	memset(parts, 0, (c->group_n + 1) * sizeof(*parts));
	for (unsigned int i = 0; i < c->vgpu_n; i++) {
		const struct config_vgpu *v = &c->vgpus[i];
		struct part *of = &parts[group_of(c, v)];

		if (v->pool[0] ? strcmp(v->pool, p->name) != 0 : c->pool_n > 1)
			continue;
		of->sum += share_of(v, p->policy);
		of->there = true;
	}
	sum = parts[c->group_n].sum;
	/* A group's guarantee is for all of its vGPUs, which may have guarantees within it. */
	for (size_t g = 0; g < c->group_n; g++) {
		const uint64_t own =
			parts[g].there && p->policy == SCHED_FAIR ? c->groups[g].min_ppm : 0;

		sum += parts[g].sum > own ? parts[g].sum : own;
	}
	return sum;
}

/* The vGPUs that name no pool may be on any of several. */
static uint64_t anywhere(const struct config *c)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; c->pool_n > 1 && i < c->vgpu_n; i++)
		if (!c->vgpus[i].pool[0])
			sum += c->vgpus[i].policy.min_share;
	return sum;
}

int config_guarantees(const struct config *c, char error[CONFIG_ERROR])
{
	struct part *parts = calloc(c->group_n + 1, sizeof(*parts));
	uint64_t all = anywhere(c), fair = 0;
	int r = 0;

	for (unsigned int i = 0; parts && !r && i < c->pool_n; i++) {
		const struct config_pool *p = &c->pools[i];
		const uint64_t sum = guaranteed(c, p, parts);

		all += p->policy == SCHED_FAIR ? sum : 0;
		fair += p->policy == SCHED_FAIR;
		if (sum <= SCHED_PPM)
			continue;
		snprintf(error, CONFIG_ERROR,
			 "pool %s: its vGPUs and groups are guaranteed %g%% of the GPU's time "
			 "together: lower %s of some until it is 100%% at most",
			 p->name, (double)sum / 1e4,
			 p->policy == SCHED_FIXED ? "fixed_share" : "min_share");
		r = -1;
	}
	free(parts);
	if (r || !fair || all <= fair * SCHED_PPM)
		return r;
	snprintf(error, CONFIG_ERROR,
		 "all vGPUs are guaranteed %g%% of a GPU's time together, and the pools have "
		 "%g%%: lower min_share of some",
		 (double)all / 1e4, (double)fair * 1e2);
	return -1;
}
