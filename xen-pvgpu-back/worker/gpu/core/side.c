/* SPDX-License-Identifier: MIT */
/*
 * The side lane: calls that may block inside CUDA, on one thread, in order. A call that must wait
 * for GPU work stands behind a barrier and joins the queue when that work has ended, so that an
 * endless kernel holds up nothing else.
 *
 * Code is loaded in a lane of its own, or memory would be had and given back only when another
 * thread of the guest has its code compiled. Loads, and what uses or ends what was loaded, keep
 * their order there, behind the jobs of the side lane that came before them. A job that must come
 * after them (SIDE_BEHIND) passes through that lane and runs in the side lane.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_wire.h"
#include "ring/poll.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/worker.h"

struct barrier {
	atomic_uint left;
	atomic_bool
		barred; /* it has the last fence of a stream, whose commands may wait for that */
	struct job *head, **tail; /* side.lock */
};

/* The rest with s->lock held, but for what has a struct gpu. */
static void queue(struct lane *l, struct job *j)
{
	j->next = NULL;
	*l->tail = j;
	l->tail = &j->next;
	pthread_cond_signal(&l->more);
}

static struct job *take(struct lane *l)
{
	struct job *j = l->head;

	if (!j)
		return NULL;
	l->head = j->next;
	if (!l->head)
		l->tail = &l->head;
	return j;
}

static void run(struct gpu *g, struct job *j)
{
	struct side *s = &g->side;

	j->run(g, j);
	if (atomic_fetch_sub(&s->jobs, 1) <= SIDE_JOBS_MAX && atomic_exchange(&s->kick, false))
		worker_kick(g->w);
}

static void leave(struct side *s, struct lane *l)
{
	l->exited = true;
	pthread_cond_broadcast(&s->gone);
	pthread_mutex_unlock(&s->lock);
}

/* Nothing is to be done, but for spare memory that goes back at `next`; 0: none does. Returns the
 * new time. */
static uint64_t rest(struct gpu *g, struct lane *l, uint64_t next)
{
	const uint64_t now = pvgpu_poll_now();
	const struct timespec until = pvgpu_poll_after(next > now ? next - now : 0);
	struct side *s = &g->side;

	if (!next) {
		pthread_cond_wait(&l->more, &s->lock);
		return 0;
	}
	if (next > now && pthread_cond_timedwait(&l->more, &s->lock, &until) != ETIMEDOUT)
		return next;
	pthread_mutex_unlock(&s->lock);
	next = mem_linger(g);
	pthread_mutex_lock(&s->lock);
	return next;
}

static void *side_thread(void *arg)
{
	struct gpu *g = arg;
	struct side *s = &g->side;
	struct lane *l = &s->here;
	uint64_t next = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->stop || l->head || atomic_load(&s->poke)) {
		struct job *j = take(l);

		if (!j && !atomic_exchange(&s->poke, false)) {
			next = rest(g, l, next);
			continue;
		}
		if (j && j->where != SIDE_HERE) {
			queue(&s->loads, j);
			continue;
		}
		l->busy = true;
		pthread_mutex_unlock(&s->lock);
		if (j)
			run(g, j);
		mem_retry(g);
		next = mem_linger(g);
		pthread_mutex_lock(&s->lock);
		l->busy = false;
	}
	leave(s, l);
	return NULL;
}

static void *loads_thread(void *arg)
{
	struct gpu *g = arg;
	struct side *s = &g->side;
	struct lane *l = &s->loads;

	pthread_mutex_lock(&s->lock);
	while (!s->stop || l->head) {
		struct job *j = take(l);

		if (!j) {
			pthread_cond_wait(&l->more, &s->lock);
			continue;
		}
		if (j->where == SIDE_BEHIND) {
			j->where = SIDE_HERE;
			queue(&s->here, j);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		run(g, j);
		pthread_mutex_lock(&s->lock);
	}
	leave(s, l);
	return NULL;
}

static int lane_init(struct gpu *g, struct lane *l, void *(*body)(void *arg))
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->more, &attr);
	pthread_condattr_destroy(&attr);
	l->tail = &l->head;
	if (pthread_create(&l->thread, NULL, body, g))
		return -1;
	l->started = true;
	return 0;
}

int side_init(struct gpu *g)
{
	struct side *s = &g->side;
	pthread_condattr_t attr;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->gone, &attr);
	pthread_condattr_destroy(&attr);
	s->loads.tail = &s->loads.head;
	return lane_init(g, &s->here, side_thread) || lane_init(g, &s->loads, loads_thread) ? -1
											    : 0;
}

void side_push(struct gpu *g, struct job *j)
{
	struct side *s = &g->side;
	bool first;

	atomic_fetch_add(&s->jobs, 1);
	pthread_mutex_lock(&s->lock);
	/* Nothing is before it: there is no need to wake the side lane only to pass it on. */
	first = j->where != SIDE_HERE && !s->here.head && !s->here.busy;
	queue(first ? &s->loads : &s->here, j);
	pthread_mutex_unlock(&s->lock);
}

void side_poke(struct gpu *g)
{
	struct side *s = &g->side;

	pthread_mutex_lock(&s->lock);
	atomic_store(&s->poke, true);
	pthread_cond_signal(&s->here.more);
	pthread_mutex_unlock(&s->lock);
}

bool side_room(struct gpu *g)
{
	struct side *s = &g->side;

	if (atomic_load_explicit(&s->jobs, memory_order_relaxed) < SIDE_JOBS_MAX)
		return true;
	atomic_store(&s->kick, true);
	/* The flag is up: a job that ended before it was seen is seen here. */
	return atomic_load(&s->jobs) < SIDE_JOBS_MAX;
}

static void barrier_step(struct gpu *g, struct barrier *b)
{
	struct side *s = &g->side;

	if (atomic_fetch_sub(&b->left, 1) != 1)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->last == b)
		s->last = NULL;
	if (b->head) {
		*s->here.tail = b->head;
		s->here.tail = b->tail;
		pthread_cond_signal(&s->here.more);
	}
	pthread_mutex_unlock(&s->lock);
	free(b);
}

/* Work that is under way may use the memory that the jobs would free: they never run. */
static void barrier_fails(struct gpu *g)
{
	worker_end(g->w, PVGPU_END_FAILED, "no memory to wait for work, or a capture hides it");
}

static void barrier_done(struct gpu *g, struct wait *w, int result)
{
	struct barrier *b = w->p;
	const bool barred = atomic_load(&b->barred);

	ctx_result(w->ctx, result);
	if (result_hides(result)) {
		barrier_fails(g);
		return;
	}
	barrier_step(g, b);
	if (barred)
		worker_kick(g->w);
}

/* An event in the stream, if it has work; in one that a capture bars, the fence that was put in
 * before. False: there is none, or no memory. */
static bool barrier_in(struct gpu *g, struct stream *s, struct barrier *b)
{
	struct wait *w;

	if (stream_idle(s) && !atomic_load(&s->waits))
		return true;
	w = wait_new(g, s->o.ctx);
	if (!w)
		return false;
	atomic_fetch_add(&b->left, 1);
	w->done = barrier_done;
	w->p = b;
	if (capture_bars(s))
		atomic_store(&b->barred, true);
	return wait_work(g, w, s);
}

/* The same for each stream of the context. */
static bool barrier_on(struct gpu *g, struct ctx *c, struct barrier *b)
{
	struct stream *s;

	if (obj_error(c) || ctx_enter(c))
		return true;
	if (c->legacy && !barrier_in(g, c->legacy, b))
		return false;
	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		if (!barrier_in(g, s, b))
			return false;
	}
	return true;
}

static bool barrier_fill(struct gpu *g, struct ctx *c, bool all, struct barrier *b)
{
	struct obj *o;

	if (c && !barrier_on(g, c, b))
		return false;
	if (!all)
		return true;
	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		if (o->type == PVGPU_H_CTX && o != (struct obj *)c &&
		    !barrier_on(g, (struct ctx *)o, b))
			return false;
	}
	return true;
}

/* Frees come in runs: those with no new work between them share one barrier. */
static bool share(struct gpu *g, struct ctx *c, bool all, struct job *j)
{
	struct side *s = &g->side;
	bool shared;

	pthread_mutex_lock(&s->lock);
	shared =
		s->last && s->last_serial == g->op_serial && s->last_ctx == c && s->last_all == all;
	if (shared) {
		j->next = NULL;
		*s->last->tail = j;
		s->last->tail = &j->next;
	}
	pthread_mutex_unlock(&s->lock);
	return shared;
}

static void after(struct gpu *g, struct ctx *c, bool all, struct job *j)
{
	struct side *s = &g->side;
	struct barrier *b;

	atomic_fetch_add(&s->jobs, 1);
	if (share(g, c, all, j))
		return;
	b = calloc(1, sizeof(*b));
	if (!b) {
		worker_end(g->w, PVGPU_END_FAILED, "out of memory");
		return;
	}
	atomic_init(&b->left, 1);
	j->next = NULL;
	b->head = j;
	b->tail = &j->next;
	pthread_mutex_lock(&s->lock);
	s->last = b;
	s->last_serial = g->op_serial;
	s->last_ctx = c;
	s->last_all = all;
	pthread_mutex_unlock(&s->lock);
	if (!barrier_fill(g, c, all, b)) {
		barrier_fails(g);
		return;
	}
	barrier_step(g, b);
}

void side_after_work(struct gpu *g, struct ctx *c, struct job *j)
{
	after(g, c, !c, j);
}

void side_after_all(struct gpu *g, struct ctx *c, struct job *j)
{
	after(g, c, true, j);
}

static bool lane_stop(struct side *s, struct lane *l, const struct timespec *until)
{
	bool exited;
	int r = 0;

	if (!l->started)
		return true;
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&l->more);
	while (!l->exited && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&s->gone, &s->lock, until);
	exited = l->exited;
	pthread_mutex_unlock(&s->lock);
	if (!exited)
		return false;
	pthread_join(l->thread, NULL);
	l->started = false;
	return true;
}

bool side_stop(struct gpu *g, unsigned int ms)
{
	const struct timespec until = pvgpu_poll_after(ms * 1000000ull);
	struct side *s = &g->side;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	return lane_stop(s, &s->loads, &until) && lane_stop(s, &s->here, &until);
}
