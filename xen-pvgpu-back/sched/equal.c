/* SPDX-License-Identifier: MIT */
/* Policy `equal`: the same share for each vGPU of the pool, with or without work. Of groups only
 * the maxima count. */
#include "xen-pvgpu-back/sched/internal.h"

static void limit(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole)
{
	*part = 1;
	*whole = v->s->vgpu_n;
}

static uint32_t weight(const struct sched_vgpu *v)
{
	return 1;
}

const struct policy policy_equal = {
	.virtual_time = true,
	.pool_wide = true,
	.limit = limit,
	.weight = weight,
	.begin = vtime_policy_begin,
	.use = vtime_policy_use,
	.end = vtime_policy_end,
	.wait = wait_flat,
};
