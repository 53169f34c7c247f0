/* SPDX-License-Identifier: MIT */
/* Makes the waits of replies, marks and jobs for GPU work; complete.c ends them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define SPARES_MAX    256
#define SOON_NS       100000u /* work estimated at no more is looked at before a sleep */
#define SPIN_MORE_NS  10000u
#define SPIN_ASKED_NS 1000000u /* where the context's flags ask for it */

struct wait *wait_new(struct gpu *g, struct ctx *c)
{
	struct complete *k = &g->complete;
	struct wait *w;

	pthread_mutex_lock(&k->lock);
	w = k->spare;
	if (w) {
		k->spare = w->next;
		k->spares--;
	}
	pthread_mutex_unlock(&k->lock);
	if (!w)
		w = malloc(sizeof(*w));
	if (!w)
		return NULL;
	*w = (struct wait){.ctx = obj_ref(c)};
	atomic_fetch_add(&c->waits, 1);
	atomic_fetch_add(&k->waits, 1);
	return w;
}

void wait_drop(struct gpu *g, struct wait *w)
{
	struct complete *k = &g->complete;
	struct ctx *c = w->ctx;
	bool destroy = false, kick = false;

	if (w->fev)
		fev_put(w->fev);
	if (w->e) {
		atomic_fetch_sub(&w->e->waits, 1);
		obj_unref(w->e);
	} else if (w->s) {
		kick = atomic_fetch_sub(&w->s->waits, 1) == 1 && atomic_load(&w->s->destroyed);
	}
	if (w->s)
		obj_unref(w->s);
	pthread_mutex_lock(&k->lock);
	if (w->ev && !w->fev)
		destroy = !event_pool_keep(&c->pool, w->ev);
	pthread_mutex_unlock(&k->lock);
	if (destroy)
		g->far->cuEventDestroy_v2(w->ev);
	pthread_mutex_lock(&k->lock);
	atomic_fetch_sub(&k->waits, 1);
	if (w->awaited)
		atomic_fetch_sub(&k->awaited, 1);
	atomic_fetch_sub(&c->waits, 1);
	pthread_cond_broadcast(&k->gone);
	if (k->spares < SPARES_MAX) {
		w->next = k->spare;
		k->spare = w;
		k->spares++;
		w = NULL;
	}
	pthread_mutex_unlock(&k->lock);
	free(w);
	obj_unref(c);
	if (atomic_exchange(&k->kick, false) || kick)
		worker_kick(g->w);
}

bool gpu_is_awaited(struct worker *w)
{
	return atomic_load_explicit(&worker_gpu(w)->complete.awaited, memory_order_relaxed);
}

bool waits_room(struct gpu *g)
{
	struct complete *k = &g->complete;

	if (atomic_load_explicit(&k->waits, memory_order_relaxed) < COMPLETE_WAITS_MAX)
		return true;
	atomic_store(&k->kick, true);
	return atomic_load(&k->waits) < COMPLETE_WAITS_MAX;
}

/* How many of the gate's commands have ended when those of s up to load have. 0: not known. */
static uint64_t idles(const struct gpu *g, const struct stream *s, const struct load *load)
{
	const uint64_t in_flight = s->load.work - s->done.work;

	return load->work == s->load.work && g->gate.flying.work == in_flight ? g->gate.commands
									      : 0;
}

/* How long a call that waits for so much estimated work looks before it sleeps. Decoding thread. */
static uint64_t spin_ns(struct gpu *g, const struct ctx *c, uint64_t cost)
{
	if (!g->complete.spin_cost_ns || c->sched == CU_CTX_SCHED_BLOCKING_SYNC)
		return 0;
	if (c->sched == CU_CTX_SCHED_SPIN)
		return SPIN_ASKED_NS;
	/* Beside other vGPUs' work the estimate says nothing of the end. */
	if (cost > g->complete.spin_cost_ns || gate_word(&g->gate.page->contended) ||
	    !gate_word(&g->gate.page->learn))
		return 0;
	return cost + cost / 2 + SPIN_MORE_NS;
}

static void wait_now(struct gpu *g, struct wait *w, int result)
{
	w->done(g, w, result);
	wait_drop(g, w);
}

/*
 * Up to which of the guest's commands the end of the stream's work is known with that of its last
 * operation. The next stream of a destroyed one's slot has greater numbers: they must not be said
 * to have ended when work of the old one does.
 */
static uint64_t number_of(const struct stream *s)
{
	return s->last ? s->last : s->o.gpu->number;
}

void wait_stream(struct gpu *g, struct wait *w, struct stream *s)
{
	int r = pool_get(g, w->ctx, &w->ev);

	if (!r) {
		r = (int)g->far->cuEventRecord(w->ev, s->far);
	} else {
		w->ev = NULL;
	}
	if (!r)
		stream_recorded(s);
	w->s = obj_ref(s);
	w->at = s->issued;
	w->load = s->load;
	w->idles = idles(g, s, &w->load);
	w->number = number_of(s);
	w->soon = s->load.cost - s->done.cost <= SOON_NS;
	if (w->flush)
		w->spin_ns = spin_ns(g, w->ctx, s->load.cost - s->done.cost);
	atomic_fetch_add(&s->waits, 1);
	if (r)
		wait_now(g, w, r);
	else
		complete_add(g, &s->q, w);
}

static void stand_behind(struct gpu *g, struct wait *w, struct stream *s, bool tell)
{
	w->s = obj_ref(s);
	w->at = s->issued;
	w->load = s->load;
	w->idles = idles(g, s, &w->load);
	w->number = tell ? number_of(s) : 0;
	atomic_fetch_add(&s->waits, 1);
}

void wait_behind(struct gpu *g, struct wait *w, struct stream *s, bool tell)
{
	stand_behind(g, w, s, tell);
	complete_add(g, &s->q, w);
}

bool wait_work(struct gpu *g, struct wait *w, struct stream *s)
{
	struct complete *k = &g->complete;
	bool awaited, fenced;

	if (!capture_bars(s)) {
		wait_stream(g, w, s);
		return true;
	}
	if (stream_idle(s) || stream_tail(s, &w->ev)) {
		wait_behind(g, w, s, false);
		return true;
	}
	/* Another wait has that fence, or an event of its own behind the same work. */
	pthread_mutex_lock(&k->lock);
	awaited = s->awaited >= s->issued;
	fenced = s->fences >= s->issued;
	pthread_mutex_unlock(&k->lock);
	if (awaited) {
		wait_behind(g, w, s, false);
	} else if (fenced) {
		stand_behind(g, w, s, false);
		complete_add_late(g, w, s);
	} else if (s->capture) {
		wait_drop(g, w);
		return false;
	} else {
		wait_stream(g, w, s); /* the far end has taken work in spite of the capture */
	}
	return true;
}

void wait_event(struct gpu *g, struct wait *w, struct event *e, bool ended)
{
	w->s = obj_ref(e->s);
	w->at = e->at;
	w->load = e->load;
	w->idles = idles(g, e->s, &w->load);
	w->number = e->number;
	w->soon = e->load.cost <= e->s->done.cost + SOON_NS;
	if (w->flush && e->load.cost > e->s->done.cost)
		w->spin_ns = spin_ns(g, w->ctx, e->load.cost - e->s->done.cost);
	w->e = obj_ref(e);
	if (!ended) {
		w->fev = fev_get(e->far);
		w->ev = e->far->ev;
	}
	atomic_fetch_add(&e->waits, 1);
	complete_add(g, &e->q, w);
}

void wait_fence(struct gpu *g, struct wait *w, struct stream *s, CUevent ev, uint64_t at,
		const struct load *load)
{
	w->s = obj_ref(s);
	w->at = at;
	w->load = *load;
	w->idles = idles(g, s, load);
	w->soon = load->cost <= s->done.cost + SOON_NS;
	w->ev = ev;
	atomic_fetch_add(&s->waits, 1);
	complete_add_late(g, w, s);
}

void stream_tell(struct stream *s)
{
	if (!atomic_load(&s->waits))
		worker_ended(s->o.gpu->w, s->slot, number_of(s));
}

void ctx_waits_drain(struct gpu *g, struct ctx *c)
{
	struct complete *k = &g->complete;

	pthread_mutex_lock(&k->lock);
	while (atomic_load(&c->waits))
		pthread_cond_wait(&k->gone, &k->lock);
	pthread_mutex_unlock(&k->lock);
}
