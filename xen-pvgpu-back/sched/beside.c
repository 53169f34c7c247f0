/* SPDX-License-Identifier: MIT */
/*
 * The GPU for several at once: who may have it beside the holder, and the rules that
 * daemon/dispatch/joint.c and the simulator share.
 */
#include "xen-pvgpu-back/sched/internal.h"

#define US        1000u
#define LOOK      (2000 * US)
#define LOOK_EACH ((uint64_t)50 * US)
/* A turn costs a hand-over, so brief bursts and kernels are those of up to this many of them. A
 * kernel may be longer than a burst, but where weights differ not by much: a kernel is not stopped,
 * and a heavy one that comes back would wait for those of all others. */
#define BRIEF_PER   12u
#define BRIEF_LEAST (500 * US)
#define KERNEL_PER  48u
#define KERNEL_MOST (SCHED_BESIDE_NS + SCHED_BESIDE_NS / 4)
#define UNLIKE_MOST (1250 * US)
/* The lead by which one is held grows at a look at an idle GPU, and shrinks at another one: in
 * balance the GPU is idle at one look of 121. */
#define AHEAD_MORE (500 * US)
#define AHEAD_LESS (AHEAD_MORE / 120)

/* Long bursts of light ones stand in the way of a heavy one each time that it comes back, more than
 * its turns make up for. Among equals each waits for the others as they wait for it. */
uint64_t sched_brief(uint64_t handover_ns, bool alike)
{
	const uint64_t ns = alike ? SCHED_BESIDE_NS : handover_ns * BRIEF_PER;

	return ns < BRIEF_LEAST ? BRIEF_LEAST : ns > SCHED_BESIDE_NS ? SCHED_BESIDE_NS : ns;
}

uint64_t sched_brief_kernel(uint64_t handover_ns, bool alike)
{
	const uint64_t most = alike ? KERNEL_MOST : UNLIKE_MOST, per = handover_ns * KERNEL_PER,
		       least = 2 * sched_brief(handover_ns, alike), ns = per < least ? least : per;

	return ns < most ? ns : most;
}

uint64_t sched_ahead_least(uint64_t slice_ns)
{
	return slice_ns < 2ull * SCHED_BESIDE_NS ? slice_ns / 2 : SCHED_BESIDE_NS;
}

uint64_t sched_ahead_look(uint64_t ahead_ns, uint64_t slice_ns, bool idle)
{
	const uint64_t least = sched_ahead_least(slice_ns);

	ahead_ns = ahead_ns < least ? least : ahead_ns;
	if (!idle)
		return ahead_ns - least < AHEAD_LESS ? least : ahead_ns - AHEAD_LESS;
	return ahead_ns + AHEAD_MORE < SCHED_AHEAD_NS ? ahead_ns + AHEAD_MORE : SCHED_AHEAD_NS;
}

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
