/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/workers/goals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/sched/sim/goal.h"

#define SOON_S 0.2 /* many changes at a time make one prediction */
#define MOST   128 /* vGPUs: more take too long to simulate */
#define KEPT   4u  /* predictions of a pool, so that several vGPUs can wait for theirs */
/* A prediction of 100 vGPUs has up to 150,000 events, of which a turn of the loop does so many: a
 * tenth of a millisecond, and half at worst. Then others have their turns. */
#define EVENTS  1024u
#define PAUSE_S 0.001

/* The pool's vGPUs as the simulation wants them. */
struct picture {
	struct goal goal;
	struct goal_vgpu *v;
	const struct config_vgpu **cfg;
	struct sched_share *groups;
	const char **names; /* of groups */
	unsigned int goals;
};

/* A pool as it was simulated, with the answers. */
struct prediction {
	struct goal goal; /* v and groups are its own; n 0: a free place */
	bool known;
	uint64_t used; /* number of its last use */
};

struct goals {
	struct prediction kept[KEPT];
	struct prediction *running; /* NULL: none */
	struct goal_run *run;
	ev_timer step;
	uint64_t uses;
	bool again; /* the pool's own prediction waits for a free moment */
};

static const struct config_group *find_group(const struct daemon *d, const char *name)
{
	const struct pool_group *g;

	TAILQ_FOREACH(g, &d->groups, link)
	{
		if (!strcmp(g->cfg.name, name))
			return &g->cfg;
	}
	return NULL;
}

/* Its number in the picture; 0: none. */
static uint32_t group_of(const struct daemon *d, struct picture *k, const char *name)
{
	const struct config_group *g = name[0] ? find_group(d, name) : NULL;
	size_t i = 0;

	if (!name[0])
		return 0;
	while (i < k->goal.n_groups && strcmp(k->names[i], name) != 0)
		i++;
	if (i == k->goal.n_groups) {
		k->names[i] = name;
		k->groups[i] = g ? share_of_group(g) : (struct sched_share){.weight = 100};
		k->goal.n_groups++;
	}
	return (uint32_t)i + 1;
}

static void add(const struct daemon *d, struct picture *k, const struct config_vgpu *cfg)
{
	const size_t i = k->goal.n++;

	k->cfg[i] = cfg;
	k->v[i] = (struct goal_vgpu){.share = share_of_vgpu(cfg),
				     .group = group_of(d, k, cfg->group),
				     .goal_ns = cfg->policy.latency_goal * 1000ull};
	k->goals += k->v[i].goal_ns != 0;
}

static void picture_free(struct picture *k)
{
	free(k->v);
	free(k->cfg);
	free(k->groups);
	free(k->names);
}

/* more: one that is to be there, too; but: one that is left out. False: out of memory. */
static bool picture_take(struct picture *k, const struct pool *p, const struct config_vgpu *more,
			 const struct vgpu *but)
{
	const struct daemon *d = p->d;
	const size_t room = d->vgpu_n + 1;

	*k = (struct picture){.v = calloc(room, sizeof(*k->v)),
			      .cfg = calloc(room, sizeof(*k->cfg)),
			      .groups = calloc(room, sizeof(*k->groups)),
			      .names = calloc(room, sizeof(*k->names))};
	if (!k->v || !k->cfg || !k->groups || !k->names) {
		picture_free(k);
		return false;
	}
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i]->pool == p && d->vgpus[i] != but)
			add(d, k, &d->vgpus[i]->cfg);
	if (more)
		add(d, k, more);
	k->goal.params = share_params(&p->cfg);
	k->goal.groups = k->groups;
	k->goal.v = k->v;
	return true;
}

/* A guest can read the reason of its own vGPU; other vGPUs' names are not for it. */
static void say(const struct pool *p, const struct picture *k, size_t i,
		const struct config_vgpu *own, char reason[POOL_REASON])
{
	const char *whose = k->cfg[i] == own ? "its" : "another vGPU's";

	if (p->cfg.mode == POOL_CONFIDENTIAL)
		snprintf(reason, POOL_REASON,
			 "pool %s: %s latency-goal would be missed: raise it, or detach a vGPU",
			 p->cfg.name, whose);
	else
		snprintf(reason, POOL_REASON,
			 "pool %s: %s latency-goal is %.1f ms, %.1f ms are predicted: raise it, "
			 "give "
			 "priority=high, or detach a vGPU",
			 p->cfg.name, whose, (double)k->v[i].goal_ns / 1e6,
			 (double)k->v[i].p99_ns / 1e6);
}

/* ---- predictions that are kept, and the one that is being made ---- */

static bool same_params(const struct sched_params *a, const struct sched_params *b)
{
	return a->policy == b->policy && a->exclusive == b->exclusive &&
	       a->slice_ns == b->slice_ns && a->handover_ns == b->handover_ns &&
	       a->credit_ns == b->credit_ns && a->starve_ns == b->starve_ns;
}

static bool same_share(const struct sched_share *a, const struct sched_share *b)
{
	return a->class == b->class && a->weight == b->weight && a->min_ppm == b->min_ppm &&
	       a->max_ppm == b->max_ppm && a->fixed_ppm == b->fixed_ppm;
}

static bool same(const struct goal *a, const struct goal *b)
{
	if (a->n != b->n || a->n_groups != b->n_groups || !same_params(&a->params, &b->params))
		return false;
	for (size_t i = 0; i < a->n_groups; i++)
		if (!same_share(&a->groups[i], &b->groups[i]))
			return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_share(&a->v[i].share, &b->v[i].share) || a->v[i].group != b->v[i].group ||
		    a->v[i].goal_ns != b->v[i].goal_ns)
			return false;
	return true;
}

static void forget(struct prediction *e)
{
	free(e->goal.v);
	free((void *)e->goal.groups);
	*e = (struct prediction){0};
}

/* The place of the one that was not used for longest, emptied. */
static struct prediction *make_room(struct goals *g)
{
	struct prediction *oldest = NULL;

	for (unsigned int i = 0; i < KEPT; i++) {
		struct prediction *e = &g->kept[i];

		if (e != g->running && (!oldest || e->used < oldest->used))
			oldest = e;
	}
	forget(oldest);
	return oldest;
}

static void finish(struct pool *p)
{
	struct goals *g = p->goals;
	struct prediction *e = g->running;

	ev_timer_stop(p->d->loop, &g->step);
	e->known = goal_end(g->run) == 0;
	g->running = NULL;
	if (!e->known)
		forget(e);
}

static void on_step(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;
	struct daemon *d = p->d;

	if (goal_go(p->goals->run, EVENTS))
		return;
	finish(p);
	if (p->goals->again)
		goals_changed(p);
	p->goals->again = false;
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (!v->unsettled)
			continue;
		v->unsettled = false;
		vgpu_settle(v);
	}
	xenbus_predicted(d);
}

/* Takes v and groups away from the picture. False: it cannot be made. */
static bool begin(struct pool *p, struct picture *k)
{
	struct goals *g = p->goals;
	struct prediction *e = make_room(g);

	*e = (struct prediction){.goal = k->goal, .used = ++g->uses};
	k->v = NULL;
	k->groups = NULL;
	g->running = e;
	g->run = goal_begin(&e->goal);
	if (!g->run) {
		g->running = NULL;
		forget(e);
		return false;
	}
	ev_timer_start(p->d->loop, &g->step);
	return true;
}

enum answer { KNOWN, NOT_YET, NEVER };

/* With KNOWN the picture has the answers. Before the loop runs they are made at once. */
static enum answer predict(struct pool *p, struct picture *k)
{
	struct goals *g = p->goals;

	for (unsigned int i = 0; i < KEPT; i++) {
		struct prediction *e = &g->kept[i];

		if (!e->known || !same(&e->goal, &k->goal))
			continue;
		e->used = ++g->uses;
		for (size_t j = 0; j < k->goal.n; j++)
			k->v[j].p99_ns = e->goal.v[j].p99_ns;
		return KNOWN;
	}
	if (!ev_depth(p->d->loop) || p->d->predict_now)
		return goal_predict(&k->goal) ? NEVER : KNOWN;
	if (g->running || begin(p, k))
		return NOT_YET;
	return NEVER;
}

/* ---- what they are for ---- */

static enum goals_verdict judge(const struct pool *p, const struct picture *k,
				const struct config_vgpu *own, char reason[POOL_REASON])
{
	for (size_t i = k->goal.n; i-- > 0;) {
		if (!k->v[i].goal_ns || k->v[i].p99_ns <= k->v[i].goal_ns)
			continue;
		say(p, k, i, own, reason);
		return GOALS_MISSED;
	}
	return GOALS_MET;
}

enum goals_verdict goals_ask(struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
			     char reason[POOL_REASON])
{
	enum goals_verdict verdict = GOALS_MET;
	struct picture k;

	if (!p->goals || !picture_take(&k, p, cfg, v))
		return GOALS_MET;
	if (k.goals && k.goal.n > MOST) {
		snprintf(reason, POOL_REASON,
			 "pool %s: a GPU with a latency-goal takes %d vGPUs, and has %zu",
			 p->cfg.name, MOST, k.goal.n - 1);
		verdict = GOALS_MISSED;
	} else if (k.goals) {
		switch (predict(p, &k)) {
		case KNOWN:
			verdict = judge(p, &k, cfg, reason);
			break;
		case NOT_YET:
			verdict = GOALS_NOT_YET;
			break;
		case NEVER:
			break;
		}
	}
	picture_free(&k);
	return verdict;
}

static void publish(struct pool *p, const struct picture *k)
{
	const struct daemon *d = p->d;
	size_t at = 0;

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (v->pool != p)
			continue;
		v->predicted_us = k->v[at].p99_ns / 1000;
		if (k->v[at].p99_ns > k->v[at].goal_ns)
			log_warning("vgpu %s: latency-goal is %.1f ms, %.1f ms are predicted "
				    "beside the pool's other vGPUs",
				    v->cfg.name, (double)k->v[at].goal_ns / 1e6,
				    (double)k->v[at].p99_ns / 1e6);
		at++;
	}
}

static void on_predict(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;
	struct picture k;

	if (!picture_take(&k, p, NULL, NULL))
		return;
	if (k.goals && k.goal.n <= MOST && predict(p, &k) == NOT_YET)
		p->goals->again = true;
	else
		publish(p, &k);
	picture_free(&k);
}

void goals_changed(struct pool *p)
{
	if (!p->goals || ev_is_active(&p->goals_timer))
		return;
	ev_timer_set(&p->goals_timer, SOON_S, 0.);
	ev_timer_start(p->d->loop, &p->goals_timer);
}

/* Out of memory: the pool does without goals. */
void goals_init(struct pool *p)
{
	ev_timer_init(&p->goals_timer, on_predict, 0., 0.);
	p->goals_timer.data = p;
	p->goals = calloc(1, sizeof(*p->goals));
	if (!p->goals)
		return;
	ev_timer_init(&p->goals->step, on_step, PAUSE_S, PAUSE_S);
	p->goals->step.data = p;
}

void goals_stop(struct pool *p)
{
	ev_timer_stop(p->d->loop, &p->goals_timer);
	if (!p->goals)
		return;
	if (p->goals->running)
		finish(p);
	for (unsigned int i = 0; i < KEPT; i++)
		forget(&p->goals->kept[i]);
	free(p->goals);
	p->goals = NULL;
}
