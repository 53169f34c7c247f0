/* SPDX-License-Identifier: MIT */
/*
 * Maxima. Whoever waits may have the grant once a whole slice is saved up, so that switches stay as
 * rare as without maxima; who has it may go on until nothing is saved any more. In between a vGPU
 * with work, or a whole group, is out of the queues and has a timer.
 */
#include "xen-pvgpu-back/sched/internal.h"

bool limit_any(const struct sched_vgpu *v)
{
	return pace_on(&v->max) || (v->group && pace_on(&v->group->max));
}

static void hold(struct sched_vgpu *v, uint64_t until)
{
	stats_count(v);
	queue_leave(v);
	v->held = true;
	heap_put(&v->s->timers, &v->timer.h, until, 0);
}

static void hold_group(struct sched_group *g, uint64_t until)
{
	if (!g->held) {
		g->held = true;
		g->held_since = g->s->now;
		queue_group_all(g);
	}
	heap_put(&g->s->timers, &g->timer.h, until, 0);
}

/* When whoever waits may go on. */
static bool may_wait(const struct sched *s, const struct pace *max, uint64_t *until)
{
	if (!pace_on(max))
		return true;
	*until = pace_saved_at(max, s->slice_ns);
	return !heap_before(s->now, *until);
}

void limit_group(struct sched_group *g)
{
	struct sched *s = g->s;
	uint64_t until;

	/* Not while one of the group is chosen: that one's turn ends in its time. */
	if (!(s->chosen && s->chosen->group == g) && !may_wait(s, &g->max, &until))
		hold_group(g, until);
}

void limit_waiting(struct sched_vgpu *v)
{
	uint64_t until;

	if (!may_wait(v->s, &v->max, &until)) {
		hold(v, until);
	} else if (!v->queued) {
		limit_forget(v);
		queue_enter(v);
	}
	if (v->group)
		limit_group(v->group);
}

/* What was not had while there was no grant is kept for later up to this. */
static void save(struct sched *s, struct pace *max)
{
	uint64_t round = s->slice_ns * s->wanting;

	if (pace_on(max))
		pace_save_most(max, SCHED_SAVED_SLICES * s->slice_ns + pace_earns(max, round),
			       s->now);
}

void limit_save(struct sched_vgpu *v)
{
	save(v->s, &v->max);
	if (v->group)
		save(v->s, &v->group->max);
}

bool limit_holder(struct sched_vgpu *v)
{
	struct sched_group *g = v->group;
	struct sched *s = v->s;
	uint64_t until;

	limit_save(v);
	if (pace_on(&v->max) && !heap_before(v->max.at, s->now)) {
		may_wait(s, &v->max, &until);
		hold(v, until);
		return true;
	}
	if (g && pace_on(&g->max) && !heap_before(g->max.at, s->now)) {
		may_wait(s, &g->max, &until);
		hold_group(g, until);
		return true;
	}
	return false;
}

uint64_t limit_lasts(const struct sched_vgpu *v)
{
	/* Whoever is charged less than all the time would be asked about ever sooner. */
	uint64_t least = v->s->slice_ns / 16, lasts = SCHED_NEVER, group;

	if (pace_on(&v->max))
		lasts = pace_lasts(&v->max, v->s->now);
	if (v->group && pace_on(&v->group->max)) {
		group = pace_lasts(&v->group->max, v->s->now);
		lasts = group < lasts ? group : lasts;
	}
	return lasts > least ? lasts : least;
}

void limit_forget(struct sched_vgpu *v)
{
	if (!v->held)
		return;
	stats_count(v);
	v->held = false;
	heap_take(&v->s->timers, &v->timer.h);
}

void limit_use(struct sched_vgpu *v, uint64_t ns)
{
	/* The holder has used it since it was last looked at, and earned meanwhile; who has not
	 * the grant has not. */
	if (v != v->s->granted)
		limit_save(v);
	if (pace_on(&v->max))
		pace_use(&v->max, ns, v->s->now);
	if (v->group && pace_on(&v->group->max))
		pace_use(&v->group->max, ns, v->s->now);
	limit_save(v);
}

void limit_group_free(struct sched_group *g)
{
	struct sched *s = g->s;

	if (!g->held)
		return;
	g->held_ns += s->now - g->held_since;
	g->held = false;
	heap_take(&s->timers, &g->timer.h);
	for (int c = 0; c < SCHED_CLASSES; c++)
		if (heap_first(&g->level.turn[c]))
			vtime_begin(&g->tag[c], s, s->level.clock[c], share_group_weight(g));
	queue_group_all(g);
}

void limit_release(struct sched *s)
{
	struct heap_node *h;

	while ((h = heap_first(&s->timers)) && !heap_before(s->now, h->key)) {
		struct node *n = (struct node *)((char *)h - offsetof(struct node, h));

		if (n->v) {
			limit_forget(n->v);
			limit_waiting(n->v);
		} else {
			limit_group_free(n->g);
		}
	}
}
