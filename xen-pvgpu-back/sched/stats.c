/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/internal.h"

uint64_t stats_group_held(const struct sched_group *g)
{
	return g->held_ns + (g->held ? g->s->now - g->held_since : 0);
}

static void count(struct sched_vgpu *v, bool holds)
{
	uint64_t group = v->group ? stats_group_held(v->group) : 0;
	uint64_t ns = v->s->now - v->counted, held = v->held ? ns : group - v->group_held;

	if (v->wants) {
		v->stats.wanted_ns += ns;
		if (!holds) {
			v->stats.waited_ns += ns;
			v->stats.capped_ns += held;
		}
	}
	v->counted = v->s->now;
	v->group_held = group;
}

/* To be called before a change of wants, held or the grant. */
void stats_count(struct sched_vgpu *v)
{
	count(v, v->s->granted == v || v->joint);
}

void sched_stats(const struct sched_vgpu *v, uint64_t now, struct sched_stats *out)
{
	struct sched_vgpu at = *v;
	struct sched *s = v->s;
	uint64_t waits;

	sched_clock(s, now);
	count(&at, s->granted == v || v->joint);
	if (v->wants && s->granted != v && !v->joint) {
		waits = s->now - v->waits_since;
		if (waits > at.stats.longest_wait_ns)
			at.stats.longest_wait_ns = waits;
	}
	*out = at.stats;
	out->due_ns = due_of(v);
}
