/* SPDX-License-Identifier: MIT */
/*
 * vGPUs and groups with their settings. When a setting changes, a queued vGPU leaves its queue, is
 * changed, and returns with the same lead or lag in GPU time, so that a change brings neither gain
 * nor loss.
 */
#include "xen-pvgpu-back/sched/internal.h"

#include <assert.h>
#include <stdlib.h>

#define STARVE_DEFAULT 1000000000u /* ns */
#define WEIGHT_MOST    10000u
/* Guarantees may add up to more than the GPU: a missed guarantee is made up for within this bound,
 * and that of the time by which others' work has outlasted their slices. */
#define OWED_SLICES 8

static const struct policy *const policies[SCHED_POLICIES] = {
	[SCHED_FAIR] = &policy_fair,
	[SCHED_EQUAL] = &policy_equal,
	[SCHED_FIXED] = &policy_fixed,
	[SCHED_BEST_EFFORT] = &policy_best_effort,
};

uint32_t settings_group_weight(const struct sched_group *g)
{
	return g->share.weight;
}

/* Clamps a share to the allowed ranges. */
static struct sched_share in_range(const struct sched_share *share)
{
	struct sched_share r = *share;

	if (r.class >= SCHED_CLASSES)
		r.class = SCHED_LOW;
	if (!r.weight)
		r.weight = 1;
	if (r.weight > WEIGHT_MOST)
		r.weight = WEIGHT_MOST;
	if (r.min_ppm > SCHED_PPM)
		r.min_ppm = SCHED_PPM;
	if (r.max_ppm > SCHED_PPM)
		r.max_ppm = SCHED_PPM;
	if (r.fixed_ppm > SCHED_PPM)
		r.fixed_ppm = SCHED_PPM;
	return r;
}

static void set_params(struct sched *s, const struct sched_params *p)
{
	s->params = *p;
	if (s->params.policy >= SCHED_POLICIES)
		s->params.policy = SCHED_FAIR;
	if (!s->params.starve_ns)
		s->params.starve_ns = STARVE_DEFAULT;
	s->policy = policies[s->params.policy];
	s->slice_ns = sched_slice(s, s->wanting);
}

/* ---- guarantees ---- */
static void use_guarantee(struct pace *min, const struct sched_vgpu *v, uint64_t ns)
{
	struct sched *s = v->s;
	uint64_t was = min->at;

	if (!pace_on(min))
		return;
	pace_save_most(min, OWED_SLICES * s->slice_ns + s->overrun_ns, s->now);
	pace_use(min, ns, s->now);
	if (v->reason == REASON_GUARANTEE)
		return;
	/* Use by share, or while alone, does not use up the guarantee; it only satisfies it for the
	 * moment. */
	pace_owe_most(min, s->slice_ns, s->now);
	if (heap_before(min->at, was))
		min->at = was;
}

void settings_use_guarantees(struct sched_vgpu *v, uint64_t ns)
{
	use_guarantee(&v->min, v, ns);
	if (v->group)
		use_guarantee(&v->group->min, v, ns);
}

/* ---- maxima ---- */
static void set_limit(struct sched_vgpu *v)
{
	uint64_t part, whole, max = v->share.max_ppm ? v->share.max_ppm : SCHED_PPM;
	struct sched *s = v->s;

	s->policy->limit(v, &part, &whole);
	if ((unsigned __int128)part * SCHED_PPM > (unsigned __int128)max * whole) {
		part = max;
		whole = SCHED_PPM;
	}
	pace_set(&v->max, part, whole, s->now);
	if (v->fresh && pace_on(&v->max))
		v->max.at = s->now - pace_time(&v->max, s->slice_ns);
	v->fresh = false;
}

void settings_refresh(struct sched *s)
{
	if (!s->stale)
		return;
	s->stale = false;
	for (struct sched_vgpu *v = s->vgpus; v; v = v->next) {
		set_limit(v);
		if (v->wants)
			due_enter(v);
		if (v->wants && v != s->chosen)
			maximum_waiting(v);
	}
	for (struct sched_group *g = s->groups; g; g = g->next) {
		maximum_group_free(g);
		maximum_group(g);
	}
}

/* ---- changes ---- */
static void count_share(struct sched_vgpu *v, int by)
{
	const int64_t weight = (int64_t)by * v->share.weight;
	struct sched_group *g = v->group;
	const bool was = g && g->weights;

	if (!g) {
		v->s->shares += (uint64_t)weight;
		return;
	}
	g->weights += (uint64_t)weight;
	if (was != (g->weights != 0))
		v->s->shares += (uint64_t)((int64_t)by * g->share.weight);
}

static void count_in(struct sched_vgpu *v, int by)
{
	struct sched *s = v->s;

	s->class_n[v->share.class] += by;
	if (v->group)
		v->group->class_n[v->share.class] += by;
	count_share(v, by);
	if (v->share.fixed_ppm)
		s->fixed_ppm += (int64_t)by * v->share.fixed_ppm;
	else
		s->weights += (int64_t)by * v->share.weight;
	if (s->policy->pool_wide)
		s->stale = true;
}

/* GPU time that v is ahead of its share. alone: includes its group's lead if no other vGPU of the
 * group and class has work, because the lead is then v's. */
static int64_t lead_of(const struct sched_vgpu *v, bool alone)
{
	const struct policy *p = v->s->policy;
	enum sched_class c = v->share.class;
	const struct sched_group *g = v->group;
	int64_t lead, group;

	if (!p->virtual_time)
		return 0;
	lead = vtime_lead(&v->tag, vtime_level(v)->clock[c], p->weight(v));
	if (!alone || !p->groups || !g || g->level.turn[c].n > (v->queued ? 1 : 0))
		return lead;
	group = vtime_lead(&g->tag[c], v->s->level.clock[c], g->share.weight);
	return group > lead ? group : lead;
}

static void out(struct sched_vgpu *v)
{
	stats_count(v);
	due_leave(v);
	queue_leave(v);
	maximum_forget(v);
}

/* In a group without other work the group takes over the lead; otherwise it would be lost. */
static void lead_to_group(struct sched_group *g, enum sched_class c, int64_t lead)
{
	struct sched *s = g->s;

	if (heap_first(&g->level.turn[c]))
		return;
	if (vtime_lead(&g->tag[c], s->level.clock[c], g->share.weight) < lead)
		vtime_set_lead(&g->tag[c], s->level.clock[c], g->share.weight, lead, s->slice_ns);
}

static void back(struct sched_vgpu *v, int64_t lead, bool moved)
{
	enum sched_class c = v->share.class;
	struct sched *s = v->s;

	if (s->policy->virtual_time) {
		if (moved && lead < 0)
			lead = 0;
		if (moved && s->policy->groups && v->group)
			lead_to_group(v->group, c, lead);
		vtime_set_lead(&v->tag, vtime_level(v)->clock[c], s->policy->weight(v), lead,
			       s->slice_ns);
	}
	v->group_held = v->group ? stats_group_held(v->group) : 0;
	v->cut = false;
	set_limit(v);
	pace_set(&v->min, v->share.min_ppm, SCHED_PPM, s->now);
	if (v->wants)
		due_enter(v);
	if (v->wants && v == s->chosen)
		queue_enter(v);
	else if (v->wants)
		maximum_waiting(v);
}

void sched_set_share(struct sched_vgpu *v, const struct sched_share *share, uint64_t now)
{
	struct sched_share to = in_range(share);
	bool moved = to.class != v->share.class;
	int64_t lead;

	sched_clock(v->s, now);
	lead = lead_of(v, moved);
	out(v);
	count_in(v, -1);
	v->share = to;
	count_in(v, 1);
	back(v, lead, moved);
}

void sched_move(struct sched_vgpu *v, struct sched_group *group, uint64_t now)
{
	int64_t lead;

	sched_clock(v->s, now);
	if (v->group == group)
		return;
	lead = lead_of(v, true);
	out(v);
	count_in(v, -1);
	v->group = group;
	count_in(v, 1);
	back(v, lead, true);
}

/* Tags of different policies cannot be compared: leads are carried over in GPU time. */
static void change_policy(struct sched *s, const struct sched_params *p)
{
	for (struct sched_vgpu *v = s->vgpus; v; v = v->next)
		v->lead = lead_of(v, true);
	for (struct sched_vgpu *v = s->vgpus; v; v = v->next)
		out(v);
	for (int c = 0; c < SCHED_CLASSES; c++) {
		for (struct sched_group *g = s->groups; g; g = g->next) {
			g->tag[c] = (struct tag){.at = 0};
			queue_restart(&g->level, c);
		}
		queue_restart(&s->level, c);
	}
	set_params(s, p);
	for (struct sched_vgpu *v = s->vgpus; v; v = v->next)
		back(v, v->lead, true);
	s->stale = false;
}

void sched_set(struct sched *s, const struct sched_params *p, uint64_t now)
{
	uint64_t slice = s->slice_ns;

	sched_clock(s, now);
	settings_refresh(s);
	if (p->policy != s->params.policy)
		change_policy(s, p);
	else
		set_params(s, p);
	if (s->slice_ns != slice)
		s->stale = true; /* held back vGPUs wait for a slice of the new length */
}

/* ---- making and removing ---- */
struct sched *sched_new(const struct sched_params *p, uint64_t now)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->now = now;
	queue_level_init(s, &s->level);
	s->timers.steps = &s->steps;
	set_params(s, p);
	return s;
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	while (s->vgpus) {
		struct sched_vgpu *v = s->vgpus;

		s->vgpus = v->next;
		free(v);
	}
	while (s->groups) {
		struct sched_group *g = s->groups;

		s->groups = g->next;
		free(g);
	}
	free(s);
}

static void set_group_limits(struct sched_group *g)
{
	struct sched *s = g->s;

	pace_set(&g->max, g->share.max_ppm, SCHED_PPM, s->now);
	pace_set(&g->min, g->share.min_ppm, SCHED_PPM, s->now);
}

struct sched_group *sched_group_add(struct sched *s, const struct sched_share *share, void *owner,
				    uint64_t now)
{
	struct sched_group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	sched_clock(s, now);
	g->s = s;
	g->owner = owner;
	g->share = in_range(share);
	queue_level_init(s, &g->level);
	for (int c = 0; c < SCHED_CLASSES; c++) {
		g->turn[c].g = g->wait[c].g = g;
		g->tag[c].at = s->level.clock[c];
	}
	g->owed.g = g->owed_inside.g = g->timer.g = g;
	set_group_limits(g);
	if (pace_on(&g->max))
		g->max.at = s->now - pace_time(&g->max, s->slice_ns);
	g->next = s->groups;
	if (g->next)
		g->next->prev = g;
	s->groups = g;
	return g;
}

void sched_group_set(struct sched_group *g, const struct sched_share *share, uint64_t now)
{
	struct sched *s = g->s;
	struct sched_share to;
	int64_t lead;

	sched_clock(s, now);
	for (int c = 0; c < SCHED_CLASSES; c++) {
		lead = vtime_lead(&g->tag[c], s->level.clock[c], g->share.weight);
		vtime_set_lead(&g->tag[c], s->level.clock[c], in_range(share).weight, lead,
			       s->slice_ns);
	}
	to = in_range(share);
	if (g->weights)
		s->shares += to.weight - (uint64_t)g->share.weight;
	due_group_set(g, &to);
	maximum_group_free(g);
	set_group_limits(g);
	maximum_group(g);
	queue_group_all(g);
}

void sched_group_remove(struct sched_group *g, uint64_t now)
{
	struct sched *s = g->s;

	sched_clock(s, now);
	for (int c = 0; c < SCHED_CLASSES; c++)
		assert(!g->class_n[c]);
	maximum_group_free(g);
	if (g->prev)
		g->prev->next = g->next;
	else
		s->groups = g->next;
	if (g->next)
		g->next->prev = g->prev;
	free(g);
}

struct sched_vgpu *sched_add(struct sched *s, struct sched_group *group,
			     const struct sched_share *share, void *owner, uint64_t now)
{
	struct sched_vgpu *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	sched_clock(s, now);
	v->s = s;
	v->group = group;
	v->owner = owner;
	v->share = in_range(share);
	v->counted = s->now;
	v->fresh = true;
	v->turn.v = v->wait.v = v->promised.v = v->overdue.v = v->owed.v = v->timer.v = v;
	s->vgpu_n++;
	count_in(v, 1);
	v->next = s->vgpus;
	if (v->next)
		v->next->prev = v;
	s->vgpus = v;
	back(v, 0, true);
	return v;
}

void sched_remove(struct sched_vgpu *v, uint64_t now)
{
	struct sched *s = v->s;

	sched_clock(s, now);
	sched_wants(v, false, now);
	s->vgpu_n--;
	count_in(v, -1);
	if (s->granted == v)
		s->granted = NULL;
	if (s->chosen == v)
		s->chosen = NULL;
	if (v->prev)
		v->prev->next = v->next;
	else
		s->vgpus = v->next;
	if (v->next)
		v->next->prev = v->prev;
	free(v);
}
