/* SPDX-License-Identifier: MIT */
/*
 * Virtual time: a vGPU's tag advances by its use divided by its weight, and the vGPU with the
 * lowest tag is next. Tags only move forward, by use or to the position of the others, so that no
 * pattern of work and idleness brings more than the share and one slice.
 */
#include "xen-pvgpu-back/sched/internal.h"

/* A unit of virtual time is a nanosecond at this weight. */
#define UNIT        100u
#define SOON_SLICES 4u /* a pause in which a program that is starved of CPU comes back */

typedef unsigned __int128 wide;

uint64_t vtime_of(uint64_t ns, uint32_t weight)
{
	return (uint64_t)((wide)ns * UNIT / weight);
}

void vtime_use(struct tag *t, uint32_t weight, uint64_t ns)
{
	wide units = (wide)ns * UNIT + t->rest;

	t->at += (uint64_t)(units / weight);
	t->rest = (uint64_t)(units % weight);
}

void vtime_use_beside(struct tag *t, uint32_t weight, uint64_t ns, uint64_t clock, uint64_t slice)
{
	uint64_t most = clock + vtime_of(slice, weight);
	struct tag to = *t;

	vtime_use(&to, weight, ns);
	if (!heap_before(most, to.at))
		*t = to;
	else if (heap_before(t->at, most))
		*t = (struct tag){.at = most};
}

static uint32_t weight_of(const struct sched *s, const struct node *n, enum sched_class c)
{
	if (n->g && s->policy->groups)
		return settings_group_weight(n->g);
	return s->policy->weight(n->g ? queue_first(&n->g->level, c) : n->v);
}

/* Its lag behind the first of the others, up to one slice of that one. */
void vtime_leave(struct tag *t, const struct sched *s, const struct heap *others,
		 enum sched_class c)
{
	const struct heap_node *first = heap_first(others);
	uint64_t most;

	t->left = s->now;
	t->lag = 0;
	if (!s->policy->virtual_time || !first || !heap_before(t->at, first->key))
		return;
	most = vtime_of(s->slice_ns, weight_of(s, queue_node(first), c));
	t->lag = first->key - t->at;
	t->lag = t->lag < most ? t->lag : most;
}

uint64_t vtime_past(const struct level *l, const struct sched *s, enum sched_class c)
{
	const uint64_t credit = sched_credit(s), age = s->now - l->past[c][1].at;

	if (age >= credit)
		return l->clock[c]; /* it has not moved for half of that */
	return l->past[c][age >= credit / 2].clock;
}

/*
 * A vGPU that returns keeps what it is behind by, up to what it was due in the last credit_ns, and
 * a slice at least: after a longer pause one that is not lengthened for hand-overs' sake, since
 * that may be as long as the credit. One that was idle for less than a slice keeps its lag:
 * otherwise a queue that runs dry for an instant would cost the others' lead, which can be several
 * slices for a vGPU of great weight.
 */
void vtime_begin(struct tag *t, const struct sched *s, const struct level *l, enum sched_class c,
		 uint32_t weight)
{
	const uint64_t clock = l->clock[c];
	const bool soon = s->now - t->left <= SOON_SLICES * s->slice_ns;
	const uint64_t least = soon ? s->slice_ns : sched_slice_plain(s, s->wanting);
	const uint64_t slice = vtime_of(least, weight);
	uint64_t credit = vtime_of(sched_credit(s), weight), due = clock - vtime_past(l, s, c);

	credit = credit < due ? credit : due;
	credit = credit > slice ? credit : slice;
	if (s->now - t->left <= s->slice_ns && t->lag > credit)
		credit = t->lag;
	if (heap_before(t->at, clock - credit))
		*t = (struct tag){.at = clock - credit};
}

int64_t vtime_lead(const struct tag *t, uint64_t clock, uint32_t weight)
{
	return (int64_t)((__int128)(int64_t)(t->at - clock) * weight / UNIT);
}

void vtime_set_lead(struct tag *t, uint64_t clock, uint32_t weight, int64_t lead, uint64_t slice)
{
	if (lead < -(int64_t)slice)
		lead = -(int64_t)slice;
	t->at = clock + (uint64_t)(int64_t)((__int128)lead * UNIT / weight);
	t->rest = 0;
}

struct level *vtime_level(const struct sched_vgpu *v)
{
	return v->s->policy->groups && v->group ? &v->group->level : &v->s->level;
}

static void use(struct sched_vgpu *v, struct tag *t, uint64_t clock, uint32_t weight, uint64_t ns)
{
	struct sched *s = v->s;
	uint64_t left = v->slice_used < s->slice_ns ? s->slice_ns - v->slice_used : 0;
	uint64_t beside = v->reason == REASON_SHARE ? 0 : ns < left ? ns : left;

	/* A guarantee does not count against the share. Use beyond the slice is not guaranteed, and
	 * does. */
	if (beside)
		vtime_use_beside(t, weight, beside, clock, s->slice_ns);
	vtime_use(t, weight, ns - beside);
}

void vtime_policy_begin(struct sched_vgpu *v)
{
	const enum sched_class c = v->share.class;

	vtime_begin(&v->tag, v->s, vtime_level(v), c, v->s->policy->weight(v));
}

void vtime_policy_use(struct sched_vgpu *v, uint64_t ns)
{
	enum sched_class c = v->share.class;
	struct sched *s = v->s;

	use(v, &v->tag, vtime_level(v)->clock[c], s->policy->weight(v), ns);
	if (s->policy->groups && v->group)
		use(v, &v->group->tag[c], s->level.clock[c], settings_group_weight(v->group), ns);
}

void vtime_policy_end(struct sched_vgpu *v)
{
	/* The tag has already advanced with the use. */
}
