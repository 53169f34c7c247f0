/* SPDX-License-Identifier: MIT */
/* Pools without latency goals: none of them decodes anything, and the scheduler's simulator stays
 * out of the fuzzers. */
#include "xen-pvgpu-back/daemon/workers/goals.h"

enum goals_verdict goals_ask(struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
			     char reason[POOL_REASON])
{
	return GOALS_MET;
}

void goals_changed(struct pool *p)
{
}

void goals_init(struct pool *p)
{
}

void goals_stop(struct pool *p)
{
}
