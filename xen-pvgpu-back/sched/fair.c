/* SPDX-License-Identifier: MIT */
/* Policy `fair`: weighted fair queueing in two levels, of groups and vGPUs without one, then of a
 * group's vGPUs. */
#include "xen-pvgpu-back/sched/internal.h"

static void limit(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole)
{
	*part = *whole = 1;
}

static uint32_t weight(const struct sched_vgpu *v)
{
	return v->share.weight;
}

const struct policy policy_fair = {
	.virtual_time = true,
	.groups = true,
	.guarantees = true,
	.limit = limit,
	.weight = weight,
	.begin = vtime_policy_begin,
	.use = vtime_policy_use,
	.end = vtime_policy_end,
	.wait = wait_fair,
};
