/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/usage.h"
#include "xen-pvgpu-back/daemon/xenbus.h"

/*
 * Statistics are looked at that often while they change, and more seldom while they do not: a vGPU
 * that has the GPU for itself tells nobody that it works.
 */
#define TICK_S     1.
#define TICK_MAX_S 8.

/* A group as it is in one pool. */
struct share_part {
	TAILQ_ENTRY(share_part) link;
	struct pool *p;
	struct pool_group *g;
	struct sched_group *in;
	unsigned int users;
};

struct share {
	struct usage *usage;
	TAILQ_HEAD(, share_part) parts;
	ev_timer tick;
	double wait;
};

static void fill_params(const struct pool *p, struct sched_params *out)
{
	*out = (struct sched_params){
		.policy = p->cfg.policy,
		.exclusive = p->cfg.exclusive,
		.slice_ns = p->cfg.slice_ms * 1000000ull,
		.starve_ns = p->cfg.starvation_ms * 1000000ull,
	};
}

static void fill_policy(const struct config_vgpu *cfg, struct seat_policy *out)
{
	*out = (struct seat_policy){
		.share = cfg->share,
		.commands_per_s = cfg->rate_commands,
		.commands_burst = cfg->burst_commands,
		.bytes_per_s = cfg->rate_bytes,
		.bytes_burst = cfg->burst_bytes,
		.depth = cfg->queue_depth,
	};
}

static void fill_group(const struct pool_group *g, struct sched_share *out)
{
	*out = (struct sched_share){
		.class = SCHED_MEDIUM,
		.weight = g->cfg.weight,
		.min_ppm = g->cfg.min_ppm,
		.max_ppm = g->cfg.max_ppm,
	};
}

/* ---- groups ---- */

static struct share_part *find_part(struct daemon *d, struct pool *p, struct pool_group *g)
{
	struct share_part *part;

	TAILQ_FOREACH(part, &d->share->parts, link)
	{
		if (part->p == p && part->g == g)
			return part;
	}
	return NULL;
}

static struct share_part *new_part(struct vgpu *v)
{
	struct share_part *part = calloc(1, sizeof(*part));
	struct sched_share share;

	if (!part)
		return NULL;
	fill_group(v->group, &share);
	part->p = v->pool;
	part->g = v->group;
	part->in = schedule_group_add(v->pool->schedule, &share);
	if (!part->in) {
		free(part);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&v->d->share->parts, part, link);
	return part;
}

/* The vGPU's group in its pool, made if it is its first there; NULL: none. 0 or -ENOMEM. */
static int enter_part(struct vgpu *v, struct share_part **part)
{
	*part = NULL;
	if (!v->cfg.group[0])
		return 0;
	if (!v->group)
		return -ENOMEM;
	*part = find_part(v->d, v->pool, v->group);
	if (!*part)
		*part = new_part(v);
	if (!*part)
		return -ENOMEM;
	(*part)->users++;
	return 0;
}

static void leave_part(struct daemon *d, struct share_part *part)
{
	if (!part || --part->users)
		return;
	schedule_group_remove(part->p->schedule, part->in);
	TAILQ_REMOVE(&d->share->parts, part, link);
	free(part);
}

void share_group_changed(struct daemon *d, struct pool_group *g)
{
	struct sched_share share;
	struct share_part *part;

	fill_group(g, &share);
	TAILQ_FOREACH(part, &d->share->parts, link)
	{
		if (part->g == g)
			schedule_group_set(part->p->schedule, part->in, &share);
	}
}

/* ---- pools ---- */

void share_pool_changed(struct pool *p)
{
	struct sched_params params;

	fill_params(p, &params);
	schedule_set(p->schedule, &params);
}

/* ---- vGPUs ---- */

int share_vgpu(struct vgpu *v)
{
	struct share *s = v->d->share;
	struct seat_policy policy;

	fill_policy(&v->cfg, &policy);
	if (enter_part(v, &v->part) < 0)
		return -ENOMEM;
	v->seat = seat_new(v->pool->schedule, v->part ? v->part->in : NULL, &policy,
			   usage_of(s->usage, v->cfg.name, &v->fresh));
	if (v->seat)
		return 0;
	leave_part(v->d, v->part);
	v->part = NULL;
	return -ENOMEM;
}

void share_vgpu_gone(struct vgpu *v)
{
	seat_free(v->seat);
	leave_part(v->d, v->part);
	v->seat = NULL;
	v->part = NULL;
	usage_forget(v->d->share->usage, v->cfg.name);
}

void share_policy(struct vgpu *v)
{
	struct seat_policy policy;

	fill_policy(&v->cfg, &policy);
	seat_set(v->seat, &policy);
}

int share_moved(struct vgpu *v)
{
	struct share_part *old = v->part, *part;

	if (enter_part(v, &part) < 0)
		return -ENOMEM;
	if ((part != old || seat_schedule(v->seat) != v->pool->schedule) &&
	    seat_move(v->seat, v->pool->schedule, part ? part->in : NULL) < 0) {
		leave_part(v->d, part);
		return -ENOMEM;
	}
	v->part = part;
	leave_part(v->d, old);
	return 0;
}

void share_restore(struct vgpu *v, const struct seat_stats *before)
{
	if (v->fresh)
		seat_restore(v->seat, before);
	v->fresh = false;
}

void share_stats(const struct vgpu *v, struct seat_stats *out)
{
	seat_stats(v->seat, out);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int events)
{
	struct daemon *d = t->data;
	struct share *s = d->share;
	struct seat_stats n;
	bool news = false;

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (!v->sessions)
			continue;
		seat_stats(v->seat, &n);
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
	TAILQ_INIT(&s->parts);
	s->usage = usage_open(d->cfg.run_dir);
	ev_timer_init(&s->tick, on_tick, 0., 0.);
	s->tick.data = d;
	d->share = s;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];
		struct sched_params params;

		fill_params(p, &params);
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
	/* Of an exclusive pool's workers one may have work on the GPU while its gate goes. */
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (d->pools[i]->schedule)
			schedule_stop(d->pools[i]->schedule);
	TAILQ_FOREACH(w, &d->workers, link)
	share_worker_gone(w);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		struct vgpu *v = d->vgpus[i];

		if (v->seat)
			seat_free(v->seat);
		leave_part(d, v->part);
		v->seat = NULL;
		v->part = NULL;
	}
	for (unsigned int i = 0; i < d->pool_n; i++) {
		if (d->pools[i]->schedule)
			schedule_free(d->pools[i]->schedule);
		d->pools[i]->schedule = NULL;
	}
	usage_close(s->usage, d->cfg.run_dir, !leave);
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

	w->gate = gate_new(w->vgpu->seat, adopted, fds);
	if (!w->gate) {
		/* Awaited until it is dead. */
		sup_kill(w, "no gate can be made for it: %s", strerror(errno));
		return;
	}
	has_come(w);
	err = msg_send(w->control, &m, sizeof(m), fds, PVGPU_GATE_FDS);
	for (int i = 0; i < PVGPU_GATE_FDS; i++)
		close(fds[i]);
	if (err && err != -EPIPE)
		sup_kill(w, "does not read its control socket: %s", strerror(-err));
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

bool gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	if (!w->gate)
		return false;
	gate_report(w->gate, out);
	return true;
}

void gate_ask(struct worker *w)
{
	if (w->gate)
		gate_ring(w->gate);
}

void gate_hold(struct worker *w, bool on)
{
	if (w->gate)
		gate_keep_closed(w->gate, on);
}

uint64_t gate_closed_ns(const struct worker *w)
{
	return w->gate ? gate_closing_since(w->gate) : 0;
}
