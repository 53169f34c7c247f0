/* SPDX-License-Identifier: MIT */
/*
 * Maxima. A waiting vGPU may get the grant once a whole slice is saved, so that hand-overs stay as
 * rare as without maxima. The holder, and one that has the GPU beside it, may go on until nothing
 * is saved. In between a vGPU with work, or a whole group, is held back: it is out of the queues
 * and has a timer.
 */
#include "xen-pvgpu-back/sched/internal.h"

bool maximum_any(const struct sched_vgpu *v)
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

/* False: must wait until *until. */
static bool may_wait(const struct sched *s, const struct pace *max, uint64_t *until)
{
	if (!pace_on(max))
		return true;
	*until = pace_saved_at(max, s->slice_ns);
	return !heap_before(s->now, *until);
}

/* False: nothing is left of it; a slice is saved again at *until. */
static bool is_left(const struct sched *s, const struct pace *max, uint64_t *until)
{
	if (!pace_on(max) || heap_before(max->at, s->now))
		return true;
	may_wait(s, max, until);
	return false;
}

void maximum_group(struct sched_group *g)
{
	struct sched *s = g->s;
	uint64_t until;

	/* While a vGPU of the group is chosen, maximum_holder decides at the end of its turn. */
	if (!(s->chosen && s->chosen->group == g) && !may_wait(s, &g->max, &until))
		hold_group(g, until);
}

void maximum_waiting(struct sched_vgpu *v)
{
	uint64_t until;

	if (v->joint ? !is_left(v->s, &v->max, &until) : !may_wait(v->s, &v->max, &until)) {
		hold(v, until);
	} else if (!v->queued) {
		maximum_forget(v);
		queue_enter(v);
	}
	if (v->group)
		maximum_group(v->group);
}

/* Bounds the time saved while it had no grant. */
static void save(struct sched *s, struct pace *max)
{
	uint64_t round = s->slice_ns * s->wanting;

	if (pace_on(max))
		pace_save_most(max, SCHED_SAVED_SLICES * s->slice_ns + pace_earns(max, round),
			       s->now);
}

void maximum_save(struct sched_vgpu *v)
{
	save(v->s, &v->max);
	if (v->group)
		save(v->s, &v->group->max);
}

bool maximum_holder(struct sched_vgpu *v)
{
	struct sched_group *g = v->group;
	struct sched *s = v->s;
	uint64_t until;

	maximum_save(v);
	if (!is_left(s, &v->max, &until)) {
		hold(v, until);
		return true;
	}
	if (g && !is_left(s, &g->max, &until)) {
		hold_group(g, until);
		return true;
	}
	return false;
}

uint64_t maximum_lasts(const struct sched_vgpu *v)
{
	/* A holder that is charged less than wall time would otherwise be checked at ever shorter
	 * intervals. */
	uint64_t least = v->s->slice_ns / 16, lasts = SCHED_NEVER, group;

	if (pace_on(&v->max))
		lasts = pace_lasts(&v->max, v->s->now);
	if (v->group && pace_on(&v->group->max)) {
		group = pace_lasts(&v->group->max, v->s->now);
		lasts = group < lasts ? group : lasts;
	}
	return lasts > least ? lasts : least;
}

bool sched_held(const struct sched_vgpu *v)
{
	return v->held || (v->group && v->group->held);
}

void maximum_forget(struct sched_vgpu *v)
{
	if (!v->held)
		return;
	stats_count(v);
	v->held = false;
	heap_take(&v->s->timers, &v->timer.h);
}

void maximum_use(struct sched_vgpu *v, uint64_t ns)
{
	/* The holder earns while it uses, so its saved time is bounded after the charge only; other
	 * vGPUs are charged later, so theirs is bounded before as well. */
	if (v != v->s->granted)
		maximum_save(v);
	if (pace_on(&v->max))
		pace_use(&v->max, ns, v->s->now);
	if (v->group && pace_on(&v->group->max))
		pace_use(&v->group->max, ns, v->s->now);
	maximum_save(v);
}

void maximum_group_free(struct sched_group *g)
{
	struct sched *s = g->s;

	if (!g->held)
		return;
	g->held_ns += s->now - g->held_since;
	g->held = false;
	heap_take(&s->timers, &g->timer.h);
	for (int c = 0; c < SCHED_CLASSES; c++)
		if (heap_first(&g->level.turn[c]))
			vtime_begin(&g->tag[c], s, &s->level, c, settings_group_weight(g));
	queue_group_all(g);
}

void maximum_release(struct sched *s)
{
	struct heap_node *h;

	while ((h = heap_first(&s->timers)) && !heap_before(s->now, h->key)) {
		struct node *n = (struct node *)((char *)h - offsetof(struct node, h));

		if (n->v) {
			maximum_forget(n->v);
			maximum_waiting(n->v);
		} else {
			maximum_group_free(n->g);
		}
	}
}
