/* SPDX-License-Identifier: MIT */
/*
 * Policy `fixed`: a share for each vGPU of the pool, with or without work: the one that is set, or
 * else a part, by weight, of what the set shares leave. Of groups only the maxima count. The shares
 * may add up to more than the GPU; then each vGPU gets less in proportion, because the shares are
 * also the weights among vGPUs with work.
 */
#include "xen-pvgpu-back/sched/internal.h"

#define LEFT_LEAST (SCHED_PPM / 1000) /* the least that is left for shares by weight */

static void limit(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole)
{
	const struct sched *s = v->s;
	uint64_t left = s->fixed_ppm < SCHED_PPM ? SCHED_PPM - s->fixed_ppm : 0;

	if (v->share.fixed_ppm) {
		*part = v->share.fixed_ppm;
		*whole = SCHED_PPM;
		return;
	}
	*part = v->share.weight * (left > LEFT_LEAST ? left : LEFT_LEAST);
	*whole = s->weights * SCHED_PPM;
}

static uint32_t weight(const struct sched_vgpu *v)
{
	uint64_t part, whole, ppm;

	limit(v, &part, &whole);
	ppm = (uint64_t)((unsigned __int128)part * SCHED_PPM / whole);
	return ppm ? (uint32_t)ppm : 1;
}

const struct policy policy_fixed = {
	.virtual_time = true,
	.pool_wide = true,
	.limit = limit,
	.weight = weight,
	.begin = vtime_policy_begin,
	.use = vtime_policy_use,
	.end = vtime_policy_end,
	.wait = wait_flat,
};
