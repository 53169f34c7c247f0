/* SPDX-License-Identifier: MIT */
/* The GPU for several at once: who may have it beside the holder. */
#include "xen-pvgpu-back/sched/internal.h"

#define US        1000u
#define LOOK      (2000 * US)
#define LOOK_EACH ((uint64_t)50 * US)

uint64_t sched_look(uint32_t n)
{
	return LOOK_EACH * n + LOOK;
}

bool sched_may_join(const struct sched_vgpu *v)
{
	const struct sched *s = v->s;
	const struct sched_vgpu *h = s->granted ? s->granted : s->chosen;
	const struct heap_node *owed = heap_first(&s->level.owed);

	if (!v->queued || !h || !s->policy->virtual_time || s->params.exclusive)
		return false;
	if (v->group || h->reason != REASON_SHARE || (owed && !heap_before(s->now, owed->key)))
		return false;
	for (int c = 0; c < (int)v->share.class; c++)
		if (heap_first(&s->level.turn[c]))
			return false;
	return true;
}

int64_t sched_lead(const struct sched_vgpu *v)
{
	const struct heap_node *first = heap_first(&v->s->level.turn[v->share.class]);

	return first ? vtime_lead(&v->tag, first->key, v->s->policy->weight(v)) : 0;
}
