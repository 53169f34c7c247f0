/* SPDX-License-Identifier: MIT */
/* From a guest's request to a session, on either link. The guest waits for a spare worker, and gets
 * another one if that dies before it serves. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/rules/portion.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"

#define TRIES 3u /* workers that a guest is given one after the other when they die */

static void on_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	struct opening *o = t->data;

	open_refuse(o, ETIMEDOUT,
		    o->asked ? "no worker became ready in time" : "no request in time");
}

static void start_limit(struct opening *o, unsigned int ms)
{
	struct ev_loop *loop = o->vgpu->d->loop;

	ev_timer_stop(loop, &o->limit);
	ev_timer_set(&o->limit, ms / 1e3, 0.);
	ev_timer_start(loop, &o->limit);
}

void open_init(struct opening *o, const struct opening_ops *ops, struct vgpu *v)
{
	struct daemon *d = v->d;

	o->ops = ops;
	o->vgpu = v;
	o->user = 0;
	o->asked = false;
	o->w = NULL;
	o->tries = o->silent = 0;
	ev_timer_init(&o->limit, on_limit, 0., 0.);
	o->limit.data = o;
	start_limit(o, d->cfg.open_ms);
	TAILQ_INSERT_TAIL(&d->openings, o, link);
	v->openings++;
}

void open_drop(struct opening *o)
{
	struct daemon *d = o->vgpu->d;

	ev_timer_stop(d->loop, &o->limit);
	if (o->w)
		o->w->opening = NULL;
	TAILQ_REMOVE(&d->openings, o, link);
	o->vgpu->openings--;
	vgpu_less_crowded(o->vgpu);
	o->ops->free(o);
}

/* The guest broke the protocol, or its vGPU's state says why. */
static bool is_known(int error)
{
	return error == EPROTO || error == EPROTONOSUPPORT || error == EINVAL || error == EPERM ||
	       error == ESHUTDOWN;
}

void open_count_refusal(struct vgpu *v, int error, const char *reason)
{
	v->refused++;
	if (!is_known(error))
		snprintf(v->refusing, sizeof(v->refusing), "%s", reason);
}

void open_refuse(struct opening *o, int error, const char *reason)
{
	if (!reason[0])
		reason = strerror(error);
	/* A guest that asks for nothing is no sign of a fault here. */
	open_count_refusal(o->vgpu, error == ETIMEDOUT && !o->asked ? EPROTO : error, reason);
	o->ops->refused(o, error, reason);
	open_drop(o);
}

void open_refuse_all(struct daemon *d, struct vgpu *v, int error, const char *reason)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (!v || o->vgpu == v)
			open_refuse(o, error, reason);
	}
}

void open_drop_all(struct daemon *d)
{
	while (!TAILQ_EMPTY(&d->openings))
		open_drop(TAILQ_FIRST(&d->openings));
}

void open_refuse_user(struct vgpu *v, uint32_t user, int error, const char *reason)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&v->d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->vgpu == v && o->user == user)
			open_refuse(o, error, reason);
	}
}

void open_refuse_pool(struct pool *p, int error, const char *reason)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&p->d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->vgpu->pool == p)
			open_refuse(o, error, reason);
	}
}

static bool waits(const struct opening *o)
{
	return o->asked && !o->w;
}

void open_refuse_waiting(struct pool *p, int error, const char *reason)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&p->d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->vgpu->pool == p && waits(o))
			open_refuse(o, error, reason);
	}
}

unsigned int open_waiting(const struct pool *p)
{
	struct daemon *d = p->d;
	const struct opening *o;
	unsigned int n = 0;

	d->counts++;
	TAILQ_FOREACH(o, &d->openings, link)
	{
		if (!waits(o) || o->vgpu->pool != p || o->vgpu->counted == d->counts)
			continue;
		o->vgpu->counted = d->counts;
		n++;
	}
	return n;
}

void open_sealed(struct worker *w)
{
	if (!w->opening)
		return; /* the guest has gone in the meantime */
	w->opening->vgpu->refusing[0] = '\0';
	w->opening->ops->given(w->opening);
	open_drop(w->opening);
}

void open_failed(struct worker *w)
{
	struct opening *o = w->opening;

	if (!o)
		return;
	w->opening = NULL;
	o->w = NULL;
	o->ops->unmake(o);
	/* On a busy machine the next one is given more time, until the guest's is over. */
	o->silent += w->silent;
	if (w->end >= 0 || (!w->silent && ++o->tries == TRIES))
		open_refuse(o, ENODEV, w->reason);
}

/* Each vGPU is sure of one. */
static bool may_have_session(const struct vgpu *v)
{
	const struct daemon *d = v->d;
	const struct portion_rule r = {.total = d->cfg.max_sessions, .each = 1};
	struct portion_sum others = {0};

	if (d->session_n + d->vgpu_n < r.total)
		return true;
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i] != v)
			portion_other(&others, &r, d->vgpus[i]->sessions);
	return portion_room(&others, &r, v->sessions, 0) > 0;
}

/* NULL, or why this user of the vGPU may not have one more session. */
static const char *full(const struct vgpu *v, uint32_t user, int *error)
{
	static char reason[CHECK_REASON];
	const struct daemon *d = v->d;

	*error = ESHUTDOWN;
	if (d->stopping)
		return "pvgpud is stopping";
	if (v->drain)
		return "the vGPU is draining";
	*error = EPERM;
	if (faults_refuse(v, user, reason))
		return reason;
	*error = ENOMEM;
	if (v->unfit[0])
		return v->unfit;
	*error = ENODEV;
	if (canary_refuses(v->pool))
		return canary_refuses(v->pool);
	*error = EUSERS;
	if (v->sessions >= v->cfg.policy.max_sessions)
		return "the vGPU's max_sessions is reached";
	if (!may_have_session(v))
		return "pvgpud's max_sessions is reached: the rest is promised to other vGPUs";
	return NULL;
}

/* One for which there is a worker: of the vGPU that was served the longest time ago. */
static struct opening *next_waiting(struct daemon *d)
{
	struct opening *o, *best = NULL;

	TAILQ_FOREACH(o, &d->openings, link)
	{
		if (waits(o) && (!best || o->vgpu->served < best->vgpu->served) &&
		    spares_take(o->vgpu->pool))
			best = o;
	}
	return best;
}

/* The vGPU's others wait for their turns, which come: their time begins anew. */
static void have_patience(const struct vgpu *v)
{
	struct daemon *d = v->d;
	struct opening *o;

	TAILQ_FOREACH(o, &d->openings, link)
	{
		if (o->vgpu == v && waits(o))
			start_limit(o, d->cfg.start_ms);
	}
}

static void serve(struct opening *o)
{
	struct worker *w = spares_take(o->vgpu->pool);
	char reason[CHECK_REASON];
	int error;

	o->vgpu->served = ++o->vgpu->d->served;
	have_patience(o->vgpu);
	error = session_start(o, w, reason);
	/* The worker is at fault: the guest gets the next one. */
	if (error == -EOWNERDEAD)
		worker_kill(w, "cannot be given a session");
	else if (error)
		open_refuse(o, -error, reason);
}

static bool refuse_if_full(struct opening *o)
{
	int error;
	const char *why = full(o->vgpu, o->user, &error);

	if (why)
		open_refuse(o, error, why);
	return why;
}

void open_serve(struct daemon *d)
{
	struct opening *o, *next;

	for (unsigned int i = 0; i < d->pool_n; i++)
		canary_serve(d->pools[i]);
	for (o = TAILQ_FIRST(&d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (waits(o))
			refuse_if_full(o);
	}
	while ((o = next_waiting(d)))
		if (!refuse_if_full(o))
			serve(o);
	spares_keep(d);
}

int open_ask(struct opening *o, char reason[CHECK_REASON])
{
	struct daemon *d = o->vgpu->d;
	const struct pool *p = o->vgpu->pool;
	int error;
	const char *why = full(o->vgpu, o->user, &error);

	if (!why && pool_starts_fail(p) && ev_is_active(&p->retry)) {
		error = ENODEV;
		why = p->failure[0] ? p->failure : "workers do not start";
	}
	if (why) {
		snprintf(reason, CHECK_REASON, "%.103s", why);
		return -error;
	}
	o->asked = true;
	start_limit(o, d->cfg.start_ms);
	open_serve(d);
	return 0;
}
