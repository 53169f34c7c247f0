/* SPDX-License-Identifier: MIT */
/*
 * A part for each vGPU of the pool, with or without work: the one that is set, or by weight one of
 * what those leave. Groups only have their maxima. More than all may have been promised; then
 * everybody gets less in proportion, since these parts are the weights among those with work.
 */
#include "xen-pvgpu-back/sched/internal.h"

#define LEFT_LEAST (SCHED_PPM / 1000) /* for those by weight, whatever is set for others */

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
