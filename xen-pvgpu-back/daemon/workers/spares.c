/* SPDX-License-Identifier: MIT */
/* Spare workers of each pool: as many are started as it lacks, and those that are too many end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define RETRY_S     0.25 /* after the first worker that failed to start; doubles */
#define RETRY_MAX_S 30.
#define SURPLUS_S   2.    /* from more spare workers than wanted to their end */
#define REFILL_S    0.003 /* the session that took the last spare worker is under way by then */

/*
 * The next one is started after a time that doubles. Openings wait on until a second start in a row
 * fails: one slow start on a busy machine refuses no other guest, nor does what ends all that are
 * under way.
 */
void spares_start_failed(struct worker *w)
{
	struct pool *p = w->pool;
	double wait = RETRY_S;

	for (unsigned int i = 0; i < p->failures && wait < RETRY_MAX_S; i++)
		wait *= 2;
	if (!p->failures || w->id >= p->failed_before) {
		p->failures++;
		p->failed_before = w->d->next_id;
	}
	snprintf(p->failure, sizeof(p->failure), "%s", w->reason);
	log_error("%s: did not start: %s", worker_name(w), w->reason);
	ev_timer_stop(w->d->loop, &p->retry);
	ev_timer_set(&p->retry, wait, 0.);
	ev_timer_start(w->d->loop, &p->retry);
	if (!pool_starts_fail(p))
		return;
	open_refuse_waiting(p, ENODEV, p->failure);
	canary_no_worker(p, p->failure);
	pool_evacuate(p);
	xenbus_host_changed(w->d);
	xenbus_memory_changed(w->d);
}

/* The restart is delayed, in case all spare workers die like this. */
void spares_gone(struct worker *w)
{
	struct daemon *d = w->d;
	struct pool *p = w->pool;

	log_line(d->stopping || w->surplus ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
		 "%s: spare worker died: %s", worker_name(w), w->reason);
	if (d->stopping || w->surplus || ev_is_active(&p->retry))
		return;
	ev_timer_set(&p->retry, RETRY_S, 0.);
	ev_timer_start(d->loop, &p->retry);
}

static unsigned int count(const struct pool *p)
{
	const struct worker *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, &p->d->workers, link)
	n += w->pool == p && !w->vgpu && (w->state == CHECK_STARTING || w->state == CHECK_SPARE);
	return n;
}

/* Starts a worker of the pool; -1: not possible now. */
static int start_one(struct pool *p)
{
	struct daemon *d = p->d;
	struct worker *w = supervise_new(p, d->next_id++);

	if (!w)
		return -1;
	if (spawn_worker(w) < 0) {
		snprintf(w->reason, sizeof(w->reason), "%s", p->failure);
		TAILQ_REMOVE(&d->workers, w, link);
		d->worker_n--;
		spares_start_failed(w);
		free(w);
		return -1;
	}
	d->workers_started++;
	supervise_watch(w);
	worker_deadline(w, d->cfg.start_ms, "did not become ready in time");
	log_debug("worker %u: pid %d, pool %s", w->id, (int)w->pid, p->cfg.name);
	return 0;
}

static unsigned int wanted(const struct pool *p)
{
	const struct daemon *d = p->d;
	const unsigned int want = d->cfg.spares + open_waiting(p) + canary_waits(p);

	if (p->no_workers)
		return 0;
	/* Adopted sessions and the toolstack need the GPU's memory, which only a worker can
	 * report. */
	if (!want && !p->device_memory && (d->session_n || d->xen))
		return 1;
	return want;
}

/* Guests that took their openings back have left spare workers. */
static void on_surplus(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;
	const unsigned int want = wanted(p);
	struct worker *w;

	for (unsigned int have = count(p); have > want; have--) {
		w = spares_take(p);
		if (!w)
			return;
		w->surplus = true;
		worker_kill(w, "one spare worker too many");
	}
}

static void watch_surplus(struct pool *p, bool on)
{
	if (on == ev_is_active(&p->surplus))
		return;
	ev_timer_stop(p->d->loop, &p->surplus);
	if (!on)
		return;
	ev_timer_init(&p->surplus, on_surplus, SURPLUS_S, 0.);
	p->surplus.data = p;
	ev_timer_start(p->d->loop, &p->surplus);
}

/* Starts a worker that the pool lacks and no opening waits for. */
static void on_refill(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;

	if (p->d->stopping)
		return;
	if (count(p) < wanted(p) && !ev_is_active(&p->retry))
		start_one(p);
	spares_keep(p->d);
}

/* One at a time: a start takes a millisecond, in which pvgpud serves no session. */
static void refill_soon(struct pool *p)
{
	if (ev_is_active(&p->refill))
		return;
	ev_timer_init(&p->refill, on_refill, REFILL_S, 0.);
	p->refill.data = p;
	ev_timer_start(p->d->loop, &p->refill);
}

void spares_keep(struct daemon *d)
{
	if (d->stopping)
		return;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];
		const unsigned int want = wanted(p), now = open_waiting(p) + canary_waits(p);
		unsigned int have = count(p);

		watch_surplus(p, have > want);
		if (ev_is_active(&p->retry) || p->no_workers)
			continue;
		for (; have < now; have++)
			if (start_one(p) < 0)
				break;
		if (have < want && !ev_is_active(&p->retry))
			refill_soon(p);
	}
}

struct worker *spares_take(struct pool *p)
{
	struct worker *w;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool == p && w->state == CHECK_SPARE)
			return w;
	}
	return NULL;
}
