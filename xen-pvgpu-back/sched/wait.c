/* SPDX-License-Identifier: MIT */
/* The longest wait, as derived in docs/scheduling-model.md, with the names used there. */
#include "xen-pvgpu-back/sched/internal.h"

typedef unsigned __int128 wide;

static uint64_t add(uint64_t a, uint64_t b)
{
	return a < SCHED_NEVER - b ? a + b : SCHED_NEVER;
}

static uint64_t times(uint64_t a, uint64_t by, uint64_t over)
{
	wide r = ((wide)a * by + over - 1) / over;

	return r < SCHED_NEVER ? (uint64_t)r : SCHED_NEVER;
}

/* GPU time that a vGPU of weight w can get while another, of weight `of`, gets ns and waits for its
 * next slice. least: the least weight. */
static uint64_t before(uint64_t w, uint64_t of, uint64_t ns, const struct sched *s, uint64_t least)
{
	const uint64_t slice = sched_turn_most(s), credit = sched_credit(s);
	const uint64_t lag = times(slice, w, least);

	return add(add(times(ns, w, of), lag < credit ? credit : lag), slice);
}

/* Adds the most hand-overs that ns of GPU time can be spread over. Each grant may interrupt another
 * one, which then takes a hand-over more. */
static uint64_t with_handovers(const struct sched *s, uint64_t ns)
{
	uint64_t h = 2 * s->params.handover_ns,
		 least = sched_grant_least(s, sched_slice(s, UINT32_MAX));

	return add(add(ns, times(ns, h, least)), h);
}

uint64_t wait_flat(const struct sched_vgpu *v, uint64_t more)
{
	uint64_t slice = sched_turn_most(v->s), least = SCHED_NEVER, sum = 0;
	const struct policy *p = v->s->policy;

	for (const struct sched_vgpu *o = v->s->vgpus; o; o = o->next)
		if (o->share.class == v->share.class && p->weight(o) < least)
			least = p->weight(o);
	for (const struct sched_vgpu *o = v->s->vgpus; o; o = o->next)
		if (o != v && o->share.class == v->share.class)
			sum = add(sum, with_handovers(v->s, before(p->weight(o), p->weight(v),
								   slice, v->s, least)));
	return sum;
}

/* The least weight in the group g; NULL: of groups, and vGPUs without one. */
static uint64_t least_in(const struct sched_vgpu *v, const struct sched_group *g)
{
	const enum sched_class c = v->share.class;
	uint64_t least = SCHED_NEVER;

	for (const struct sched_vgpu *o = v->s->vgpus; o; o = o->next)
		if (o->group == g && o->share.class == c && o->share.weight < least)
			least = o->share.weight;
	for (const struct sched_group *o = g ? NULL : v->s->groups; o; o = o->next)
		if (o->class_n[c] && o->share.weight < least)
			least = o->share.weight;
	return least;
}

/* The time for which other vGPUs of the group g (NULL: vGPUs without one) come before v. */
static uint64_t inside(const struct sched_vgpu *v, const struct sched_group *g, uint64_t own,
		       uint64_t weight)
{
	uint64_t least = least_in(v, g);
	const struct sched *s = v->s;
	uint64_t sum = 0;

	for (const struct sched_vgpu *o = s->vgpus; o; o = o->next)
		if (o != v && o->group == g && o->share.class == v->share.class)
			sum = add(sum, with_handovers(
					       s, before(o->share.weight, weight, own, s, least)));
	return sum;
}

uint64_t wait_fair(const struct sched_vgpu *v, uint64_t more)
{
	const struct sched *s = v->s;
	uint64_t slice = sched_turn_most(s), weight = v->share.weight, own = slice, sum = 0, least;

	/* v may be further ahead where several have the GPU at once, and by their slice while one
	 * waits that is not among them. */
	if (!s->params.exclusive)
		own = (own < SCHED_AHEAD_NS ? SCHED_AHEAD_NS : own) + SCHED_JOINT_NS + slice;
	/* The pool sees the time until v's turn in its group like a slice of v. */
	if (v->group) {
		sum = inside(v, v->group, own, weight);
		own = add(add(own, sum), more);
		weight = v->group->share.weight;
	}
	sum = add(sum, inside(v, NULL, own, weight));
	least = least_in(v, NULL);
	for (const struct sched_group *g = s->groups; g; g = g->next)
		if (g != v->group && g->class_n[v->share.class])
			sum = add(sum, with_handovers(
					       s, before(g->share.weight, weight, own, s, least)));
	return sum;
}

uint64_t wait_in_turn(const struct sched_vgpu *v, uint64_t more)
{
	const struct sched *s = v->s;

	return times(sched_turn_most(s) + s->params.handover_ns, s->class_n[v->share.class] - 1, 1);
}

/* Can other classes or guarantees go before v? */
static bool others_go_first(const struct sched_vgpu *v)
{
	const struct sched *s = v->s;

	if (s->class_n[v->share.class] != s->vgpu_n)
		return true;
	if (!s->policy->guarantees)
		return false;
	for (const struct sched_vgpu *o = s->vgpus; o; o = o->next)
		if (pace_on(&o->min))
			return true;
	for (const struct sched_group *g = s->groups; g; g = g->next)
		if (pace_on(&g->min))
			return true;
	return false;
}

uint64_t sched_wait_bound(const struct sched_vgpu *v)
{
	const struct sched *s = v->s;
	const uint64_t most = sched_turn_most(s), turn = most + s->params.handover_ns;
	uint64_t wait = 2 * turn, starve = 0, over = most / 16;

	if (v->group && pace_on(&v->group->max))
		return SCHED_NEVER;
	if (others_go_first(v)) {
		starve = s->params.starve_ns;
		wait = add(wait, starve);
		wait = add(wait, times(turn, 2 * SCHED_CLASSES * s->class_n[v->share.class], 1));
	}
	wait = add(wait, s->policy->wait(v, starve));
	/* As one of several it may have exceeded its maximum for a look. */
	if (!s->params.exclusive && !v->group && over < sched_look(s->vgpu_n))
		over = sched_look(s->vgpu_n);
	if (pace_on(&v->max))
		wait = add(wait, pace_time(&v->max, most + over));
	return wait;
}
