/* SPDX-License-Identifier: MIT */
/*
 * Completion: replies, marks and jobs that wait for GPU work.
 *
 * Waits queue for each stream in the order of the work, and for each of the guest's events.
 * Threads, started when needed, take a queue, wait for the event of its head and finish it. When
 * all threads but one block, that one looks at the other queues in turn, so no queue depends on
 * another.
 *
 * Before a wait for a guest's event is finished, so are those of the stream that it was recorded in
 * which stand before it: a reply never overtakes the mark of an earlier copy.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define SPINS   32  /* looks at work that ends soon, before the thread sleeps */
#define LOOK_US 100 /* between two looks at queues that no thread can block for */

/* complete.lock held: the first w->at operations of the stream have ended. */
static void vouch(struct gpu *g, struct wait *w)
{
	struct stream *s = w->s;

	if (w->idles)
		gate_awaited(&g->gate, w->idles);
	if (atomic_load(&s->seen) >= w->at)
		return;
	s->seen_load = w->load;
	atomic_store(&s->seen, w->at);
}

static void finish_upto(struct gpu *g, struct waitq *q, uint64_t at, int result);

/* complete.lock held; dropped meanwhile. The head of the queue is finished. */
static void finish_head(struct gpu *g, struct waitq *q, int result)
{
	struct complete *k = &g->complete;
	struct wait *w = q->head;
	bool pinned;

	q->head = w->next;
	if (!q->head)
		q->tail = &q->head;
	w->taken = true;
	q->running++;
	/* An error ends everything in the stream. */
	vouch(g, w);
	pthread_mutex_unlock(&k->lock);
	w->done(g, w, result);
	if (!result && w->number)
		worker_ended(g->w, w->s->slot, w->number);
	pthread_mutex_lock(&k->lock);
	q->running--;
	if (!q->running)
		pthread_cond_broadcast(&k->gone);
	if (q != &w->s->fenceq)
		finish_upto(g, &w->s->fenceq, w->at, result);
	pinned = w->pins;
	w->finished = true;
	if (!pinned) {
		pthread_mutex_unlock(&k->lock);
		wait_drop(g, w);
		pthread_mutex_lock(&k->lock);
	}
}

/* complete.lock held; dropped meanwhile: what stands in q up to this operation. */
static void finish_upto(struct gpu *g, struct waitq *q, uint64_t at, int result)
{
	for (;;) {
		/* One at a time, or a later one could be done first. */
		while (q->running)
			pthread_cond_wait(&g->complete.gone, &g->complete.lock);
		if (!q->head || q->head->at > at)
			return;
		finish_head(g, q, result);
	}
}

/* Has its event ended? Block for it when the thread may. */
static int look(struct gpu *g, struct wait *w, bool block, bool spin)
{
	const uint64_t until = spin ? pvgpu_poll_now() + w->spin_ns : 0;
	unsigned int looks = w->soon ? SPINS : 1;
	int r;

	if (!w->ev)
		return 0;
	r = ctx_enter(w->ctx);
	while (!r) {
		r = (int)g->far->cuEventQuery(w->ev);
		if (!r && w->flush)
			break; /* device output comes with the blocking call */
		if (r != CUDA_ERROR_NOT_READY || !block)
			return r;
		r = 0;
		looks -= looks > 0;
		if (!looks && !(spin && pvgpu_poll_now() < until))
			break;
		sched_yield();
	}
	return r ? r : (int)g->far->cuEventSynchronize(w->ev);
}

static void run_add(struct complete *k, struct waitq *q)
{
	q->next = NULL;
	*k->run_tail = q;
	k->run_tail = &q->next;
	k->runs++;
}

static struct waitq *run_take(struct complete *k)
{
	struct waitq *q = k->run;

	if (!q)
		return NULL;
	k->run = q->next;
	if (!k->run)
		k->run_tail = &k->run;
	k->runs--;
	return q;
}

static void *complete_thread(void *arg);

/* Queues that no idle thread will take get another thread. */
static void staff(struct gpu *g)
{
	struct complete *k = &g->complete;

	if (k->runs > k->idle + k->coming + k->standing && k->threads < COMPLETE_THREADS &&
	    !pthread_create(&k->thread[k->threads], NULL, complete_thread, g))
		k->threads++;
}

/*
 * ---- who decodes the guest's records ----
 *
 * The decoding thread of loop.c, unless it sleeps. Then a thread of these may take its place for a
 * while; the lock of loop.c has one holder, and a thread that gives it up sleeps in the decoding
 * thread's name or wakes it. tests/spin/decode.pml is a model of it.
 *
 * - serves a queue, its wait has ended:
 *     the guest waits in it, no queue waits, the decoding thread sleeps -> answers, decodes
 *     otherwise -> answers, rests or serves the next queue
 * - rests, there is nothing to do:
 *     no thread stands by -> stands by
 *     otherwise -> idle
 * - idle, a queue waits -> serves it
 * - stands by, the doorbell rings:
 *     the decoding thread sleeps, and the guest has rung for something -> decodes
 *     the decoding thread is awake -> kicks it; rests, or serves a queue
 * - stands by, worker_rouse() -> serves a queue
 * - stands by, the session ends -> idle, and no thread stands by again
 * - decodes, there are no more records, a queue waits, or the decoding thread wakes up
 *     -> gives the role back; rests, or serves a queue
 *
 * complete.coming counts those that decode: each looks at the queues next, so that no other thread
 * is woken for what it has posted itself.
 */

/*
 * complete.lock held. The guest goes on with its answer. This thread, which is awake, takes the
 * commands that come of it rather than wake the decoding thread, and is back for the wait that they
 * end with.
 */
static bool takes_over(struct gpu *g)
{
	struct complete *k = &g->complete;

	if (k->coming || k->run || k->stop || !worker_decode_begin(g->w))
		return false;
	k->coming++;
	return true;
}

/* complete.lock held; dropped meanwhile. */
static void decode(struct gpu *g, bool rung)
{
	struct complete *k = &g->complete;

	pthread_mutex_unlock(&k->lock);
	worker_decode(g->w, rung);
	pthread_mutex_lock(&k->lock);
	k->coming--;
}

/* complete.lock held; dropped meanwhile. Wait for a queue, or, one of the threads, for the guest's
 * doorbell. */
static void rest(struct gpu *g)
{
	struct complete *k = &g->complete;
	int r;

	if (k->standing || k->stop) {
		k->idle++;
		pthread_cond_wait(&k->more, &k->lock);
		k->idle--;
		return;
	}
	k->standing = true;
	pthread_mutex_unlock(&k->lock);
	r = worker_stand_by(g->w);
	pthread_mutex_lock(&k->lock);
	if (r < 0)
		return; /* no thread stands by again */
	k->standing = false;
	if (!r)
		return;
	k->coming++;
	decode(g, true);
}

/* complete.lock held; dropped meanwhile. Look at the head of a queue that this thread has taken;
 * *decodes: it decodes now. */
static int serve(struct gpu *g, struct waitq *q, bool *decodes)
{
	struct complete *k = &g->complete;
	const bool block = k->blocked < COMPLETE_THREADS - 1;
	struct wait *w = q->head;
	bool spin;
	int r;

	if (!w)
		return 0;
	spin = block && w->spin_ns && !k->spins;
	k->spins |= spin;
	w->pins++;
	k->blocked += block;
	staff(g);
	pthread_mutex_unlock(&k->lock);
	r = look(g, w, block, spin);
	pthread_mutex_lock(&k->lock);
	k->blocked -= block;
	if (spin)
		k->spins = false;
	while (q->running)
		pthread_cond_wait(&k->gone, &k->lock);
	w->pins--;
	if (w->taken) {
		/* Another thread has finished this wait; the last one that leaves it frees it. */
		if (w->finished && !w->pins) {
			pthread_mutex_unlock(&k->lock);
			wait_drop(g, w);
			pthread_mutex_lock(&k->lock);
		}
		return 0;
	}
	if (r == CUDA_ERROR_NOT_READY)
		return r;
	/* Waits that stand before an event in its stream are finished first. */
	if (w->e)
		finish_upto(g, &w->s->q, w->at, r);
	*decodes = !r && w->flush && takes_over(g);
	finish_head(g, q, r);
	return 0;
}

static void nap(struct complete *k)
{
	const struct timespec t = pvgpu_poll_after(LOOK_US * 1000);

	pthread_cond_timedwait(&k->more, &k->lock, &t);
}

static void *complete_thread(void *arg)
{
	struct gpu *g = arg;
	struct complete *k = &g->complete;

	pthread_mutex_lock(&k->lock);
	while (!k->stop || k->run) {
		struct waitq *q = run_take(k);
		bool decodes = false;
		struct obj *owner;
		int r;

		if (!q) {
			rest(g);
			continue;
		}
		r = serve(g, q, &decodes);
		if (q->head) {
			run_add(k, q);
		} else {
			q->queued = false;
			owner = q->owner;
			pthread_mutex_unlock(&k->lock);
			obj_unref(owner);
			pthread_mutex_lock(&k->lock);
		}
		if (decodes)
			decode(g, false);
		else if (r == CUDA_ERROR_NOT_READY)
			nap(k);
	}
	k->exited++;
	pthread_cond_broadcast(&k->gone);
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

static void append(struct waitq *q, struct wait *w)
{
	w->next = NULL;
	*q->tail = w;
	q->tail = &w->next;
}

/* complete.lock held; the caller has referenced the queue's owner. */
static void run(struct gpu *g, struct waitq *q)
{
	struct complete *k = &g->complete;

	q->queued = true;
	run_add(k, q);
	if (k->runs <= k->coming)
		return;
	staff(g);
	if (k->standing && k->runs > k->idle + k->coming)
		worker_rouse(g->w);
	else
		pthread_cond_signal(&k->more);
}

void complete_add(struct gpu *g, struct waitq *q, struct wait *w)
{
	struct complete *k = &g->complete;
	struct stream *s = w->s;

	pthread_mutex_lock(&k->lock);
	append(q, w);
	if (s->awaited < w->at)
		s->awaited = w->at;
	w->awaited = w->flush;
	if (w->awaited)
		atomic_fetch_add(&k->awaited, 1);
	if (!q->queued) {
		obj_ref(q->owner);
		run(g, q);
	}
	pthread_mutex_unlock(&k->lock);
}

/*
 * complete.lock held: is a wait under way that ends when the last fence in the queue does? Its
 * event is the next operation of the stream: others would keep back how far the stream has come, or
 * wait for what only the fence's end lets go on.
 */
static bool covered(const struct stream *s)
{
	return s->awaited >= s->fences && s->awaited <= s->fences + 1 &&
	       s->fences > atomic_load(&s->seen);
}

/*
 * complete.lock held; dropped meanwhile. Fences get a thread only when no wait does for them that
 * the guest has posted behind what they fence.
 */
static void take_late(struct gpu *g)
{
	struct complete *k = &g->complete;
	struct waitq *q;

	while ((q = k->late)) {
		struct stream *s = (struct stream *)q->owner;

		k->late = q->next;
		q->late = false;
		if (q->head && !q->queued && !covered(s)) {
			run(g, q);
			continue;
		}
		pthread_mutex_unlock(&k->lock);
		obj_unref(&s->o);
		pthread_mutex_lock(&k->lock);
	}
}

void complete_add_late(struct gpu *g, struct wait *w, struct stream *s)
{
	struct complete *k = &g->complete;

	pthread_mutex_lock(&k->lock);
	append(&s->fenceq, w);
	if (s->fences < w->at)
		s->fences = w->at;
	if (!s->fenceq.queued && !s->fenceq.late) {
		obj_ref(s);
		s->fenceq.late = true;
		s->fenceq.next = k->late;
		k->late = &s->fenceq;
	}
	pthread_mutex_unlock(&k->lock);
}

void gpu_pause(struct worker *w)
{
	struct gpu *g = worker_gpu(w);
	struct complete *k = &g->complete;

	pthread_mutex_lock(&k->lock);
	take_late(g);
	pthread_mutex_unlock(&k->lock);
}

bool gpu_wants_thread(struct worker *w)
{
	struct complete *k = &worker_gpu(w)->complete;
	bool wanted;

	pthread_mutex_lock(&k->lock);
	wanted = k->run != NULL;
	pthread_mutex_unlock(&k->lock);
	return wanted;
}

void complete_init(struct gpu *g)
{
	struct complete *k = &g->complete;
	const int processors = pvgpu_poll_processors();
	pthread_condattr_t attr;

	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->more, &attr);
	pthread_cond_init(&k->gone, &attr);
	pthread_condattr_destroy(&attr);
	k->run_tail = &k->run;
	if (processors > 1)
		k->spin_cost_ns = processors < PVGPU_POLL_PROCESSORS ? 100000 : 1000000;
}

int gpu_start(struct worker *w)
{
	struct complete *k = &worker_gpu(w)->complete;

	/* One at least, or nothing would ever be answered. */
	if (pthread_create(&k->thread[0], NULL, complete_thread, worker_gpu(w)))
		return -1;
	k->threads = 1;
	return 0;
}

bool complete_stop(struct gpu *g, unsigned int ms)
{
	struct complete *k = &g->complete;
	struct timespec until;
	int r = 0;

	until = pvgpu_poll_after(ms * 1000000ull);
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	take_late(g);
	pthread_cond_broadcast(&k->more);
	pthread_cond_broadcast(&k->gone);
	while (k->exited < k->threads && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&k->gone, &k->lock, &until);
	r = k->exited == k->threads ? 0 : -1;
	pthread_mutex_unlock(&k->lock);
	if (r)
		return false;
	for (unsigned int i = 0; i < k->threads; i++)
		pthread_join(k->thread[i], NULL);
	k->threads = k->exited = 0;
	while (k->spare) {
		struct wait *w = k->spare;

		k->spare = w->next;
		free(w);
	}
	return true;
}
