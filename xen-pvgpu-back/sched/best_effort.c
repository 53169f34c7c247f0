/* SPDX-License-Identifier: MIT */
/* Round robin: the tag is the position in the queue. */
#include "xen-pvgpu-back/sched/internal.h"

static void limit(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole)
{
	*part = *whole = 1;
}

static uint32_t weight(const struct sched_vgpu *v)
{
	return 1;
}

static void to_the_end(struct sched_vgpu *v)
{
	v->tag.at = ++v->s->turns;
}

static void end(struct sched_vgpu *v)
{
	to_the_end(v);
	queue_moved(v);
}

static void use(struct sched_vgpu *v, uint64_t ns)
{
	/* The length of a turn does not matter. */
}

const struct policy policy_best_effort = {
	.limit = limit,
	.weight = weight,
	.begin = to_the_end,
	.use = use,
	.end = end,
	.wait = wait_in_turn,
};
