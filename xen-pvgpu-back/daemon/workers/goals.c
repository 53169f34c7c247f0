/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/workers/goals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/sched/sim/goal.h"

#define SOON_S 0.2 /* many changes at a time make one prediction */
#define MOST   128 /* vGPUs: more take too long to simulate */

/* The pool's vGPUs as the simulation wants them. */
struct picture {
	struct goal goal;
	struct goal_vgpu *v;
	const struct config_vgpu **cfg;
	struct sched_share *groups;
	const char **names; /* of groups */
	unsigned int goals;
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

bool goals_refuse(const struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
		  char reason[POOL_REASON])
{
	bool missed = false;
	struct picture k;

	if (!picture_take(&k, p, cfg, v))
		return false;
	if (k.goals && k.goal.n > MOST) {
		snprintf(reason, POOL_REASON,
			 "pool %s: a GPU with a latency-goal takes %d vGPUs, and has %zu",
			 p->cfg.name, MOST, k.goal.n - 1);
		missed = true;
	} else if (k.goals && goal_predict(&k.goal) == 0) {
		for (size_t i = k.goal.n; !missed && i-- > 0;) {
			missed = k.v[i].goal_ns && k.v[i].p99_ns > k.v[i].goal_ns;
			if (missed)
				say(p, &k, i, cfg, reason);
		}
	}
	picture_free(&k);
	return missed;
}

static void on_predict(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;
	struct daemon *d = p->d;
	struct picture k;
	size_t at = 0;

	if (!picture_take(&k, p, NULL, NULL))
		return;
	if (k.goals && k.goal.n <= MOST)
		goal_predict(&k.goal);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (v->pool != p)
			continue;
		v->predicted_us = k.v[at].p99_ns / 1000;
		if (k.v[at].p99_ns > k.v[at].goal_ns)
			log_warning("vgpu %s: latency-goal is %.1f ms, %.1f ms are predicted "
				    "beside the pool's other vGPUs",
				    v->cfg.name, (double)k.v[at].goal_ns / 1e6,
				    (double)k.v[at].p99_ns / 1e6);
		at++;
	}
	picture_free(&k);
}

void goals_changed(struct pool *p)
{
	if (ev_is_active(&p->goals))
		return;
	ev_timer_set(&p->goals, SOON_S, 0.);
	ev_timer_start(p->d->loop, &p->goals);
}

void goals_init(struct pool *p)
{
	ev_timer_init(&p->goals, on_predict, 0., 0.);
	p->goals.data = p;
}

void goals_stop(struct pool *p)
{
	ev_timer_stop(p->d->loop, &p->goals);
}
