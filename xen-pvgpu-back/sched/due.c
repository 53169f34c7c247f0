/* SPDX-License-Identifier: MIT */
/*
 * The GPU time that each vGPU is entitled to while it has work: its part by weight among those with
 * work in its class, of what higher classes leave; at least its guarantee, at most its maximum.
 * Time that another one's maximum leaves is given to no vGPU here, and the time of guarantees is
 * not subtracted from others.
 *
 * A level (the pool, or a group) has a clock for each class, which advances by the level's time
 * divided by the weights there. A member's part is its weight times the clock's advance, so an
 * event touches one vGPU and its group.
 *
 * Time of a vGPU that is alone counts as far as it is used: pvgpud is not told whether it had work
 * all the time, as no other one waits for it.
 */
#include "xen-pvgpu-back/sched/internal.h"

#define UNIT 32 /* bits of the clocks' fractions */

typedef unsigned __int128 wide;

static uint64_t of_ppm(uint64_t ns, uint64_t ppm)
{
	return (uint64_t)((wide)ns * ppm / SCHED_PPM);
}

static uint32_t most_of(const struct sched_share *share)
{
	return share->max_ppm ? share->max_ppm : SCHED_PPM;
}

/* The most by its settings and the policy's. */
static uint32_t most(const struct sched_vgpu *v)
{
	uint64_t part, whole, ppm;

	v->s->policy->limit(v, &part, &whole);
	ppm = (uint64_t)((wide)part * SCHED_PPM / whole);
	return ppm < most_of(&v->share) ? (uint32_t)ppm : most_of(&v->share);
}

static uint32_t least(const struct sched *s, const struct sched_share *share)
{
	return s->policy->guarantees ? share->min_ppm : 0;
}

/* A member's part of its level's time since its mark. */
static uint64_t part(const struct sched *s, const struct due_level *l, int c, const struct due *d)
{
	const uint64_t ns = (uint64_t)((l->clock[c] - d->mark) * d->weight >> UNIT);
	const uint64_t passed = s->shared_ns - d->since;
	const uint64_t lo = of_ppm(passed, d->least), hi = of_ppm(passed, d->most);

	return ns < lo ? lo : ns > hi ? hi : ns;
}

/* Each class has what its members' maxima allow of what is left. */
static void pool_to_now(struct sched *s)
{
	struct due_level *l = &s->level.due;
	const uint64_t passed = s->now - s->due_at;
	uint64_t left = passed;

	s->due_at = s->now;
	if (s->due_n == 1) {
		s->lone_ns += passed;
		return;
	}
	s->shared_ns += passed;
	for (int c = 0; c < SCHED_CLASSES && left; c++) {
		const uint64_t may = of_ppm(passed, l->most[c]);
		const uint64_t ns = may < left ? may : left;

		if (!l->weight[c])
			continue;
		l->clock[c] += ((wide)ns << UNIT) / l->weight[c];
		left -= ns;
	}
}

static void group_to_now(struct sched_group *g)
{
	struct sched *s = g->s;
	struct due_level *l = &g->level.due;

	pool_to_now(s);
	for (int c = 0; c < SCHED_CLASSES; c++) {
		struct due *d = &g->due[c];

		if (d->weight)
			l->clock[c] += ((wide)part(s, &s->level.due, c, d) << UNIT) / l->weight[c];
		d->mark = s->level.due.clock[c];
		d->since = s->shared_ns;
	}
}

static struct due_level *to_now(const struct sched_vgpu *v)
{
	if (!v->group) {
		pool_to_now(v->s);
		return &v->s->level.due;
	}
	group_to_now(v->group);
	return &v->group->level.due;
}

static uint64_t pending(const struct sched_vgpu *v)
{
	const struct due_level *l = to_now(v);

	return v->due.weight ? part(v->s, l, v->share.class, &v->due) : 0;
}

/* Changes a member of a level, whose time so far is settled. */
static void place(struct sched *s, struct due_level *l, int c, struct due *d, struct due to)
{
	l->weight[c] += to.weight - d->weight;
	l->most[c] += to.most - (uint64_t)d->most;
	*d = to;
	d->mark = l->clock[c];
	d->since = s->shared_ns;
}

static void place_group(struct sched_group *g)
{
	struct sched *s = g->s;

	for (int c = 0; c < SCHED_CLASSES; c++) {
		struct due to = {.weight = g->level.due.weight[c],
				 .least = least(s, &g->share),
				 .most = most_of(&g->share)};

		if (to.weight && s->policy->groups)
			to.weight = settings_group_weight(g);
		else if (!to.weight)
			to = (struct due){0};
		place(s, &s->level.due, c, &g->due[c], to);
	}
}

static void change(struct sched_vgpu *v, struct due to)
{
	const uint32_t by = (uint32_t)(to.weight != 0) - (v->due.weight != 0);
	struct sched *s = v->s;

	v->stats.due_ns += pending(v);
	place(s, v->group ? &v->group->level.due : &s->level.due, v->share.class, &v->due, to);
	if (v->group)
		place_group(v->group);
	if (!by)
		return;
	if (s->due_n == 1)
		s->lone_ended = s->now;
	s->due_n += by;
	if (s->due_n == 1)
		s->lone_ns = 0;
}

void due_enter(struct sched_vgpu *v)
{
	change(v, (struct due){.weight = v->s->policy->weight(v),
			       .least = least(v->s, &v->share),
			       .most = most(v)});
}

void due_leave(struct sched_vgpu *v)
{
	change(v, (struct due){0});
}

void due_group_set(struct sched_group *g, const struct sched_share *share)
{
	group_to_now(g);
	g->share = *share;
	place_group(g);
}

void due_used(struct sched_vgpu *v, uint64_t ns)
{
	struct sched *s = v->s;

	pool_to_now(s);
	/* The last charge of a time alone comes with the event that ends it. */
	if (!(s->due_n == 1 && v->due.weight) && !(s->lone_ended == s->now && s->granted == v))
		return;
	ns = ns < s->lone_ns ? ns : s->lone_ns;
	s->lone_ns -= ns;
	v->stats.due_ns += ns;
}

uint64_t due_of(const struct sched_vgpu *v)
{
	return v->stats.due_ns + pending(v);
}

static uint64_t clamp(uint64_t ppm, uint32_t lo, uint32_t hi)
{
	return ppm < lo ? lo : ppm > hi ? hi : ppm;
}

uint32_t sched_promise(const struct sched_vgpu *v)
{
	const struct sched *s = v->s;
	const struct sched_group *g = v->group;
	uint64_t ppm = SCHED_PPM;

	if (s->policy->groups && g) {
		ppm = clamp(ppm * g->share.weight / s->shares, least(s, &g->share),
			    most_of(&g->share));
		ppm = ppm * v->share.weight / g->weights;
	} else if (s->policy->groups) {
		ppm = ppm * v->share.weight / s->shares;
	} else if (!s->policy->pool_wide) {
		ppm /= s->vgpu_n;
	}
	return (uint32_t)clamp(ppm, least(s, &v->share), most(v));
}

bool sched_any_queued(const struct sched *s)
{
	for (int c = 0; c < SCHED_CLASSES; c++)
		if (heap_first(&s->level.turn[c]))
			return true;
	return false;
}
