/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/dispatch/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/usage.h"

/* Statistics are polled at this interval while they change and more seldom while they do not: a
 * vGPU that is alone does not ring. */
#define TICK_S     1.
#define TICK_MAX_S 8.

/* A group in one pool. */
struct share_group {
	TAILQ_ENTRY(share_group) link;
	struct pool *p;
	struct pool_group *g;
	struct sched_group *in;
	unsigned int users;
};

struct share {
	struct usage *usage;
	TAILQ_HEAD(, share_group) groups;
	ev_timer tick;
	double wait;
};

static void fill_policy(const struct config_vgpu *cfg, struct tenant_policy *out)
{
	const struct pvgpu_backend_policy *p = &cfg->policy;

	*out = (struct tenant_policy){
		.share = share_of_vgpu(cfg),
		.commands_per_s = (unsigned int)p->rate_commands,
		.commands_burst = (unsigned int)p->burst_commands,
		.bytes_per_s = p->rate_bytes,
		.bytes_burst = p->burst_bytes,
		.depth = p->queue_depth,
	};
}

/* ---- groups ---- */

static struct share_group *find_group(struct daemon *d, struct pool *p, struct pool_group *g)
{
	struct share_group *sg;

	TAILQ_FOREACH(sg, &d->share->groups, link)
	{
		if (sg->p == p && sg->g == g)
			return sg;
	}
	return NULL;
}

static struct share_group *new_group(struct vgpu *v)
{
	struct share_group *sg = calloc(1, sizeof(*sg));
	struct sched_share share;

	if (!sg)
		return NULL;
	share = share_of_group(&v->group->cfg);
	sg->p = v->pool;
	sg->g = v->group;
	sg->in = schedule_group_add(v->pool->schedule, &share);
	if (!sg->in) {
		free(sg);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&v->d->share->groups, sg, link);
	return sg;
}

/* The limits of a group hold in all pools together. 0 or -ENOMEM. */
static int make_rates(struct pool_group *g)
{
	if (g->rates)
		return 0;
	g->rates = rates_new();
	if (!g->rates)
		return -ENOMEM;
	rates_set(g->rates, g->cfg.commands_per_s, g->cfg.bytes_per_s);
	return 0;
}

/* To be called when the vGPU is no member any more. */
static void leave_group(struct daemon *d, struct share_group *sg)
{
	struct rates *r = sg ? sg->g->rates : NULL;

	if (!sg)
		return;
	if (r && !rates_has_members(r)) {
		rates_free(r);
		sg->g->rates = NULL;
	}
	if (--sg->users)
		return;
	schedule_group_remove(sg->p->schedule, sg->in);
	TAILQ_REMOVE(&d->share->groups, sg, link);
	free(sg);
}

/* References the vGPU's group in its pool, made if it is the first member there. *sg NULL: no
 * group. 0 or -ENOMEM. */
static int enter_group(struct vgpu *v, struct share_group **sg)
{
	*sg = NULL;
	if (!v->cfg.group[0])
		return 0;
	if (!v->group)
		return -ENOMEM;
	*sg = find_group(v->d, v->pool, v->group);
	if (!*sg)
		*sg = new_group(v);
	if (!*sg)
		return -ENOMEM;
	(*sg)->users++;
	if (make_rates(v->group) == 0)
		return 0;
	leave_group(v->d, *sg);
	*sg = NULL;
	return -ENOMEM;
}

void share_group_changed(struct daemon *d, struct pool_group *g)
{
	struct sched_share share;
	struct share_group *sg;

	if (g->rates)
		rates_set(g->rates, g->cfg.commands_per_s, g->cfg.bytes_per_s);
	share = share_of_group(&g->cfg);
	TAILQ_FOREACH(sg, &d->share->groups, link)
	{
		if (sg->g == g)
			schedule_group_set(sg->p->schedule, sg->in, &share);
	}
}

/* ---- pools ---- */

void share_pool_changed(struct pool *p)
{
	struct sched_params params;

	params = share_params(&p->cfg);
	schedule_set(p->schedule, &params);
}

/* ---- vGPUs ---- */

int share_vgpu(struct vgpu *v)
{
	struct share *s = v->d->share;
	struct tenant_policy policy;

	fill_policy(&v->cfg, &policy);
	if (enter_group(v, &v->share_group) < 0)
		return -ENOMEM;
	v->tenant = tenant_new(v->pool->schedule, v->share_group ? v->share_group->in : NULL,
			       &policy, usage_of(s->usage, v->cfg.name, &v->fresh));
	if (v->tenant) {
		tenant_rates(v->tenant, v->share_group ? v->group->rates : NULL);
		return 0;
	}
	leave_group(v->d, v->share_group);
	v->share_group = NULL;
	return -ENOMEM;
}

void share_vgpu_gone(struct vgpu *v)
{
	tenant_free(v->tenant);
	leave_group(v->d, v->share_group);
	v->tenant = NULL;
	v->share_group = NULL;
	usage_forget(v->d->share->usage, v->cfg.name);
}

void share_policy(struct vgpu *v)
{
	struct tenant_policy policy;

	fill_policy(&v->cfg, &policy);
	tenant_set(v->tenant, &policy);
}

int share_moved(struct vgpu *v)
{
	struct share_group *old = v->share_group, *sg;

	if (enter_group(v, &sg) < 0)
		return -ENOMEM;
	if ((sg != old || tenant_schedule(v->tenant) != v->pool->schedule) &&
	    tenant_move(v->tenant, v->pool->schedule, sg ? sg->in : NULL) < 0) {
		leave_group(v->d, sg);
		return -ENOMEM;
	}
	v->share_group = sg;
	tenant_rates(v->tenant, sg ? v->group->rates : NULL);
	leave_group(v->d, old);
	return 0;
}

void share_restore(struct vgpu *v, const struct tenant_stats *before)
{
	if (v->fresh)
		tenant_restore(v->tenant, before);
	v->fresh = false;
}

void share_stats(const struct vgpu *v, struct tenant_stats *out)
{
	tenant_stats(v->tenant, out);
	usage_look(v->d->share->usage);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int events)
{
	struct daemon *d = t->data;
	struct share *s = d->share;
	struct tenant_stats n;
	bool news = false;

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (!v->sessions)
			continue;
		share_stats(v, &n);
		if (n.gpu_ns + n.commands == v->ticked)
			continue;
		v->ticked = n.gpu_ns + n.commands;
		news = true;
		if (v->xen)
			xenbus_changed(v->xen);
	}
	s->wait = news ? TICK_S : s->wait * 2 < TICK_MAX_S ? s->wait * 2 : TICK_MAX_S;
	if (!d->session_n)
		return;
	ev_timer_set(t, s->wait, 0.);
	ev_timer_start(loop, t);
}

int share_start(struct daemon *d)
{
	struct share *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	TAILQ_INIT(&s->groups);
	s->usage = usage_open(d->cfg.run_dir);
	ev_timer_init(&s->tick, on_tick, 0., 0.);
	s->tick.data = d;
	d->share = s;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];
		struct sched_params params;

		params = share_params(&p->cfg);
		p->schedule = schedule_new(d->loop, p->cfg.name, &params);
		if (!p->schedule)
			return -ENOMEM;
	}
	return 0;
}

void share_stop(struct daemon *d, bool leave)
{
	struct share *s = d->share;
	struct worker *w;

	if (!s)
		return;
	ev_timer_stop(d->loop, &s->tick);
	/* A worker of an exclusive pool may have work on the GPU when its gate is freed: the next
	 * one must not get the grant. */
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (d->pools[i]->schedule)
			schedule_stop(d->pools[i]->schedule);
	TAILQ_FOREACH(w, &d->workers, link)
	share_worker_gone(w);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (v->tenant)
			tenant_free(v->tenant);
		leave_group(d, v->share_group);
		v->tenant = NULL;
		v->share_group = NULL;
	}
	for (unsigned int i = 0; i < d->pool_n; i++) {
		if (d->pools[i]->schedule)
			schedule_free(d->pools[i]->schedule);
		d->pools[i]->schedule = NULL;
	}
	usage_close(s->usage, !leave);
	d->share = NULL;
	free(s);
}

/* ---- workers ---- */

void share_await(struct worker *w)
{
	w->awaited = true;
	schedule_await(w->pool->schedule, true);
}

static void has_come(struct worker *w)
{
	if (w->awaited)
		schedule_await(w->pool->schedule, false);
	w->awaited = false;
}

void share_worker(struct worker *w, bool adopted)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_GATE, .session = w->id};
	struct share *s = w->d->share;
	int fds[PVGPU_GATE_FDS], err;

	w->gate = gate_new(w->vgpu->tenant, adopted, fds);
	if (!w->gate) {
		/* It stays awaited until it is dead. */
		worker_kill(w, "cannot make its gate: %s", strerror(errno));
		return;
	}
	has_come(w);
	err = msg_send(w->control, &m, sizeof(m), fds, PVGPU_GATE_FDS);
	for (int i = 0; i < PVGPU_GATE_FDS; i++)
		close(fds[i]);
	if (err && err != -EPIPE)
		worker_kill(w, "does not read its control socket: %s", strerror(-err));
	s->wait = TICK_S;
	if (!ev_is_active(&s->tick)) {
		ev_timer_set(&s->tick, s->wait, 0.);
		ev_timer_start(w->d->loop, &s->tick);
	}
}

void share_worker_gone(struct worker *w)
{
	if (w->gate)
		gate_free(w->gate);
	w->gate = NULL;
	has_come(w);
}

bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	if (!w->gate)
		return false;
	gate_report(w->gate, out);
	return true;
}

void share_gate_ask(struct worker *w)
{
	if (w->gate)
		gate_ring(w->gate);
}

bool share_gate_unheard(const struct worker *w)
{
	return w->gate && gate_is_behind(w->gate);
}

void share_gate_hold(struct worker *w, bool on)
{
	if (w->gate)
		gate_keep_closed(w->gate, on);
}

uint64_t share_gate_others_ns(const struct worker *w)
{
	return w->gate ? gate_others_ns(w->gate) : 0;
}

uint64_t share_gate_closed_ns(const struct worker *w)
{
	return w->gate ? gate_closing_since(w->gate) : 0;
}
