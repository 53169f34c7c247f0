/* SPDX-License-Identifier: MIT */
/*
 * Streams, and how much each has in flight. CUDA blocks a caller when a channel's 1,021 entries are
 * taken; an operation takes one, or nine when it is another engine's than the one before it, and
 * streams share 8 channels (docs/gpu.md: depth_of_stream, depth_of_all). The worker stays below: a
 * blocked decoding thread could not hear of a host function's end, which the channel may wait for.
 * It counts what it hands over and puts in an event ("fence") now and then: when it has ended, so
 * has everything before it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/green.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define IN_FLIGHT_MAX 96u  /* of one stream */
#define IN_FLIGHT_SUM 768u /* of all: many streams get less each */

void stream_init(struct stream *s)
{
	waitq_init(&s->q, &s->o);
	waitq_init(&s->fenceq, &s->o);
	s->number = atomic_fetch_add(&s->o.gpu->streams, 1) + 1;
}

void stream_limits(struct gpu *g)
{
	uint32_t each = g->live_streams ? IN_FLIGHT_SUM / g->live_streams : IN_FLIGHT_MAX;

	if (each > IN_FLIGHT_MAX)
		each = IN_FLIGHT_MAX;
	if (!each)
		each = 1;
	g->stream_limit = each;
	g->fence_every = each / 4;
}

static void set_full(struct stream *s, bool full)
{
	/* One that is destroyed takes no more, and is in no count. */
	if (s->full == full || (full && s->destroyed))
		return;
	s->full = full;
	if (full)
		s->o.gpu->full_streams++;
	else
		s->o.gpu->full_streams--;
}

static void fence_drop(struct stream *s)
{
	const uint32_t i = s->fence_head % FENCES;

	pool_put(s->o.gpu, s->o.ctx, s->fence[i].ev);
	s->fence_head++;
	s->fence_count--;
}

static void ended_to(struct stream *s, uint64_t at, const struct load *load)
{
	s->ended = at;
	if (load->work > s->done.work)
		gate_ended(s, load);
}

void stream_ended(struct stream *s)
{
	ended_to(s, s->issued, &s->load);
}

/* Take in the counts of completed waits. */
static void take_seen(struct stream *s)
{
	struct complete *k = &s->o.gpu->complete;
	struct load load;
	uint64_t seen;

	if (atomic_load_explicit(&s->seen, memory_order_relaxed) <= s->ended)
		return;
	pthread_mutex_lock(&k->lock);
	seen = atomic_load(&s->seen);
	load = s->seen_load;
	pthread_mutex_unlock(&k->lock);
	ended_to(s, seen, &load);
}

/* Take in the counts of completed waits, then query the oldest fences. */
static void poll_fences(struct stream *s)
{
	const struct far *far = s->o.gpu->far;

	take_seen(s);
	while (s->fence_count) {
		const uint32_t i = s->fence_head % FENCES;

		if (s->fence[i].at > s->ended) {
			/* An error ends everything in the stream. */
			if (far->cuEventQuery(s->fence[i].ev) == CUDA_ERROR_NOT_READY)
				return;
			ended_to(s, s->fence[i].at, &s->fence[i].load);
		}
		fence_drop(s);
	}
}

bool result_hides(int r)
{
	return r >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED &&
	       r <= CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
}

/* A CUresult. The event is given away. */
static int fence(struct stream *s, CUevent ev)
{
	const uint32_t i = (s->fence_head + s->fence_count) % FENCES;
	struct gpu *g = s->o.gpu;
	const int r = (int)g->far->cuEventRecord(ev, s->far);

	if (r) {
		pool_put(g, s->o.ctx, ev);
		return r;
	}
	s->fence[i].ev = ev;
	s->fence[i].at = s->issued;
	s->fence[i].load = s->load;
	s->fence_count++;
	s->load_fenced = s->load;
	return 0;
}

static void put_fence(struct stream *s)
{
	struct gpu *g = s->o.gpu;
	CUevent ev;
	int r;

	if (capture_bars(s))
		return;
	s->fenced = s->issued;
	poll_fences(s);
	if (s->fence_count < FENCES && !pool_get(g, s->o.ctx, &ev)) {
		r = fence(s, ev);
		if (r && !result_hides(r)) {
			stream_ended(s);
			s->load_fenced = s->load;
		}
	}
	if (s->issued - s->ended >= g->stream_limit)
		set_full(s, true);
}

void stream_recorded(struct stream *s)
{
	const struct gpu *g = s->o.gpu;

	s->issued++;
	if (s->issued - s->fenced >= g->fence_every ||
	    s->load.cost - s->load_fenced.cost >= g->gate.fence_cost ||
	    s->load.work - s->load_fenced.work >= g->gate.fence_work)
		put_fence(s);
}

void stream_issued(struct stream *s)
{
	if (s->capture)
		return;
	s->o.gpu->op_serial++;
	stream_recorded(s);
}

void stream_fence(struct stream *s)
{
	if (s->load.work <= s->load_fenced.work || ctx_enter(s->o.ctx))
		return;
	put_fence(s);
	/* The far end has no event, for want of memory or since the context is lost: ask the stream
	 * itself. */
	if (s->load.work > s->load_fenced.work && !s->fence_count)
		stream_idle(s);
}

static void room_done(struct gpu *g, struct wait *w, int result)
{
	atomic_store(&w->s->full_wait, false);
	worker_kick(g->w);
}

bool stream_wake(struct stream *s)
{
	const uint32_t i = s->fence_head % FENCES;
	struct gpu *g = s->o.gpu;
	struct wait *w;

	/* Only this thread sets it. */
	if (atomic_load(&s->full_wait))
		return true;
	w = s->fence_count ? wait_new(g, s->o.ctx) : NULL;
	if (!w)
		return false;
	atomic_store(&s->full_wait, true);
	w->done = room_done;
	s->fence_head++;
	s->fence_count--;
	wait_fence(g, w, s, s->fence[i].ev, s->fence[i].at, &s->fence[i].load);
	return true;
}

bool stream_room(struct stream *s)
{
	struct gpu *g = s->o.gpu;

	if (!s->full)
		return true;
	if (ctx_enter(s->o.ctx)) {
		set_full(s, false);
		return true;
	}
	poll_fences(s);
	if (s->issued - s->ended < g->stream_limit) {
		set_full(s, false);
		return true;
	}
	if (!stream_wake(s) && !s->fence_count)
		/* No fence could be made: ask the stream itself. */
		set_full(s, !stream_idle(s));
	return !s->full;
}

void stream_poll(struct stream *s)
{
	if (ctx_enter(s->o.ctx))
		stream_ended(s);
	else
		poll_fences(s);
}

bool stream_idle(struct stream *s)
{
	int r;

	poll_fences(s);
	if (s->issued == s->ended)
		return true;
	if (capture_bars(s))
		return false;
	r = (int)s->o.gpu->far->cuStreamQuery(s->far);
	if (r == CUDA_ERROR_NOT_READY || result_hides(r))
		return false;
	stream_ended(s);
	return true;
}

static struct fence *newest(struct stream *s)
{
	return s->fence_count ? &s->fence[(s->fence_head + s->fence_count - 1) % FENCES] : NULL;
}

bool stream_tail(struct stream *s, CUevent *ev)
{
	const struct fence *last = newest(s);

	if (!last || last->at != s->issued)
		return false;
	*ev = last->ev;
	s->fence_count--;
	return true;
}

int stream_settle(struct stream *s)
{
	const struct fence *last;
	CUevent ev;
	int r;

	if (capture_bars(s) || stream_idle(s))
		return 0;
	last = newest(s);
	if (last && last->at == s->issued)
		return 0;
	if (s->fence_count == FENCES) { /* the one before the new one is missed the least */
		ev = last->ev;
		s->fence_count--;
	} else {
		r = pool_get(s->o.gpu, s->o.ctx, &ev);
		if (r)
			return r;
	}
	s->fenced = s->issued;
	return fence(s, ev);
}

bool streams_idle(struct gpu *g)
{
	struct stream *s;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct ctx *c = (struct ctx *)o;

		if (o->type != PVGPU_H_CTX || obj_error(o) || ctx_enter(c))
			continue;
		if (!stream_idle(c->legacy))
			return false;
		TAILQ_FOREACH(s, &c->streams, in_ctx)
		{
			if (!stream_idle(s))
				return false;
		}
	}
	return true;
}

void stream_forget(struct gpu *g, struct stream *s)
{
	set_full(s, false);
	gate_dying(s);
	if (!s->last)
		s->last = g->number;
	if (s->destroyed)
		g->zombies--;
	else if (s != s->o.ctx->legacy)
		g->live_streams--;
	s->destroyed = true;
	stream_limits(g);
}

void stream_leave(struct stream *s)
{
	if (s->green)
		green_put(s->green);
	s->green = NULL;
}

void stream_retire(struct gpu *g, struct stream *s)
{
	while (s->fence_count)
		fence_drop(s);
	if (s->far)
		g->far->cuStreamDestroy_v2(s->far);
	stream_leave(s);
	obj_unref(s);
}

struct retire_job {
	struct job job;
	struct stream *s;
};

static void run_retire(struct gpu *g, struct job *job)
{
	struct retire_job *j = (struct retire_job *)job;

	if (!ctx_enter(j->s->o.ctx))
		stream_retire(g, j->s);
	else
		obj_unref(j->s); /* its context took it along */
	free(j);
}

static void reap_ctx(struct gpu *g, struct ctx *c)
{
	struct stream *s, *next;

	for (s = TAILQ_FIRST(&c->streams); s; s = next) {
		struct retire_job *j;

		next = TAILQ_NEXT(s, in_ctx);
		if (!s->destroyed || ctx_enter(c) || !stream_idle(s) || atomic_load(&s->waits))
			continue;
		j = calloc(1, sizeof(*j));
		if (!j)
			return;
		TAILQ_REMOVE(&c->streams, s, in_ctx);
		g->zombies--;
		j->s = s;
		j->job.run = run_retire;
		side_push(g, &j->job);
	}
}

void streams_reap(struct gpu *g)
{
	struct obj *o;

	for (o = TAILQ_FIRST(&g->root.owned); g->zombies && o; o = TAILQ_NEXT(o, of_owner)) {
		if (o->type == PVGPU_H_CTX && !obj_error(o))
			reap_ctx(g, (struct ctx *)o);
	}
}

int stream_new(struct gpu *g, struct ctx *c, uint64_t handle, const struct stream_wish *wish)
{
	struct stream *s;
	int err, r;

	s = obj_new(g, PVGPU_H_STREAM, handle, sizeof(*s), c, &c->o, &err);
	if (!s)
		return err;
	stream_init(s);
	s->slot = pvgpu_ended_slot(false, PVGPU_HANDLE_INDEX(handle));
	s->apart = wish->flags & CU_STREAM_NON_BLOCKING;
	r = obj_error(c);
	if (!r)
		r = wish->refused ? wish->refused : ctx_enter(c);
	if (!r && wish->green) {
		s->green = green_get(wish->green);
		r = (int)green_stream(s->green, &s->far, wish->flags, wish->priority);
	} else if (!r) {
		r = (int)g->far->cuStreamCreateWithPriority(&s->far, wish->flags, wish->priority);
	}
	obj_ready(s, ctx_result(c, r));
	if (r)
		return 0; /* the handle says it */
	obj_ref(s);
	TAILQ_INSERT_TAIL(&c->streams, s, in_ctx);
	g->live_streams++;
	stream_limits(g);
	return 0;
}

int handle_stream_create(struct worker *w, const struct pvgpu_in_stream_create *in,
			 struct pvgpu_out_stream_create *out)
{
	const struct stream_wish wish = {.flags = in->flags, .priority = in->priority};

	return stream_new(worker_gpu(w), in->ctx, in->stream_h, &wish);
}

/* The kick comes when the wait has gone: the stream is not reaped before. */
static void zombie_done(struct gpu *g, struct wait *w, int result)
{
}

int handle_stream_destroy(struct worker *w, const struct pvgpu_in_stream_destroy *in,
			  struct pvgpu_out_stream_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct stream *s = in->stream;
	struct wait *wait;

	obj_remove(g, &s->o);
	if (!obj_error(s)) {
		s->destroyed = true;
		s->last = g->number;
		g->live_streams--;
		g->zombies++;
		set_full(s, false);
		stream_limits(g);
		if (!ctx_enter(s->o.ctx))
			capture_abandon(s);
		if (!ctx_enter(s->o.ctx) && !stream_idle(s)) {
			wait = wait_new(g, s->o.ctx);
			if (wait) {
				wait->done = zombie_done;
				wait_work(g, wait, s);
			}
		}
		streams_reap(g);
	}
	obj_unref(s);
	return 0;
}
