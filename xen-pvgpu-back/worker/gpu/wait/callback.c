/* SPDX-License-Identifier: MIT */
/*
 * Host functions. A trampoline runs where CUDA runs host functions, asks the guest to run its own
 * and holds the stream until the guest has. The guest runs them one at a time in the order asked,
 * so the n-th request is done when its count reaches n.
 *
 * Work behind one in its stream is not on the GPU while it runs, however long: it may wait for work
 * of other streams, or for another computer. So the vGPU's turn may end meanwhile, and when the
 * function has returned the stream goes on in the next one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "pvgpu_decode.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define CALLBACKS_MAX 65536u   /* in streams: more of them wait as others of their stream do */
#define LOOK_NS       2000000u /* the decoding thread has told by then, unless it is held up */

struct callback {
	LIST_ENTRY(callback) all, running;
	struct gpu *g;
	uint64_t id;
	uint64_t stream; /* its number */
	uint32_t number; /* while it runs: of the request */
	bool runs;
};

/*
 * Those of graphs are called for each launch, and nothing of them is kept here: the far end hands
 * the guest's number back as it is. The guest may name any number; it is asked for that one. So the
 * trampoline has no place for the session, of which a process has one.
 */
static _Atomic(struct gpu *) of_graphs;

/* Ask the guest to run its function; the number of the request. Under the lock, so that the order
 * of requests is that of their numbers. */
static uint32_t ask(struct gpu *g, uint64_t id, uint32_t status)
{
	const struct pvgpu_wire_callback rec = {
		.hdr = {.len = sizeof(rec), .kind = PVGPU_REP_CALLBACK},
		.id = id,
		.status = status,
	};

	worker_send(g->w, &rec, sizeof(rec));
	return ++g->cb.sent;
}

/* The decoding thread looks at the work in flight: less of it counts. */
static void runs(struct callback *k, uint32_t number)
{
	struct callbacks *cb = &k->g->cb;

	k->number = number;
	k->runs = true;
	LIST_INSERT_HEAD(&cb->running, k, running);
	atomic_fetch_add(&cb->runs, 1);
	worker_kick(k->g->w);
}

static void runs_no_more(struct callback *k)
{
	if (!k->runs)
		return;
	k->runs = false;
	LIST_REMOVE(k, running);
	atomic_fetch_sub(&k->g->cb.runs, 1);
}

/*
 * cb->lock held. The decoding thread may be in a call of the far end that waits for this function:
 * then no thread hears that the guest has run it. So this one reads the guest's count itself; the
 * decoding thread takes it in later.
 */
static void look(struct gpu *g)
{
	struct callbacks *cb = &g->cb;
	const uint32_t done = worker_callbacks_done(g->w);

	if ((int32_t)(done - cb->done) > 0 && (int32_t)(cb->sent - done) >= 0 &&
	    gate_word(&g->gate.page->open))
		cb->done = done;
}

static void wait_done(struct gpu *g, uint32_t n)
{
	struct callbacks *cb = &g->cb;

	while (!cb->ended && (int32_t)(cb->done - n) < 0) {
		const struct timespec t = pvgpu_poll_after(LOOK_NS);

		if (pthread_cond_timedwait(&cb->moved, &cb->lock, &t) == ETIMEDOUT)
			look(g);
	}
}

/* cb->lock held. */
static void leave(struct callbacks *cb)
{
	cb->inside--;
	pthread_cond_broadcast(&cb->moved);
}

static void ask_and_wait(struct callback *k, uint32_t status)
{
	struct gpu *g = k->g;
	struct callbacks *cb = &g->cb;
	uint32_t n;

	pthread_mutex_lock(&cb->lock);
	cb->inside++;
	if (!cb->ended) {
		n = ask(g, k->id, status);
		runs(k, n);
		wait_done(g, n);
		runs_no_more(k);
	}
	LIST_REMOVE(k, all);
	if (cb->count-- == CALLBACKS_MAX)
		worker_kick(g->w); /* one that is parked has room */
	free(k);
	leave(cb);
	pthread_mutex_unlock(&cb->lock);
}

static void CUDA_CB run_host(void *arg)
{
	ask_and_wait(arg, 0);
}

static void CUDA_CB run_node(void *id)
{
	struct gpu *g = atomic_load(&of_graphs);
	struct callbacks *cb = &g->cb;

	pthread_mutex_lock(&cb->lock);
	cb->inside++;
	if (!cb->ended)
		wait_done(g, ask(g, (uintptr_t)id, 0));
	leave(cb);
	pthread_mutex_unlock(&cb->lock);
}

static void CUDA_CB run_always(CUstream stream, CUresult status, void *arg)
{
	ask_and_wait(arg, (uint32_t)status);
}

static bool has_returned(const struct callback *k)
{
	return (int32_t)(k->g->cb.returned - k->number) >= 0;
}

bool callback_holds(struct gpu *g, uint64_t stream, bool returned)
{
	struct callbacks *cb = &g->cb;
	const struct callback *k;

	if (!atomic_load(&cb->runs))
		return false;
	pthread_mutex_lock(&cb->lock);
	LIST_FOREACH(k, &cb->running, running)
	{
		if (k->stream == stream && (!returned || has_returned(k)))
			break;
	}
	pthread_mutex_unlock(&cb->lock);
	return k;
}

void callbacks_init(struct gpu *g)
{
	struct callbacks *cb = &g->cb;
	pthread_condattr_t attr;

	atomic_store(&of_graphs, g);
	LIST_INIT(&cb->all);
	pthread_mutex_init(&cb->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cb->moved, &attr);
	pthread_condattr_destroy(&attr);
}

bool callbacks_room(struct gpu *g)
{
	struct callbacks *cb = &g->cb;
	bool room;

	pthread_mutex_lock(&cb->lock);
	room = cb->count < CALLBACKS_MAX;
	pthread_mutex_unlock(&cb->lock);
	return room;
}

bool callbacks_wait(const struct gpu *g)
{
	return (int32_t)(g->cb.returned - g->cb.done) > 0;
}

void callbacks_resume(struct gpu *g)
{
	struct callbacks *cb = &g->cb;
	struct callback *k, *next;

	if (!callbacks_wait(g) || !gate_resumes(g))
		return;
	pthread_mutex_lock(&cb->lock);
	/* A thread that has looked for itself may be ahead of what this one has heard. */
	if (callbacks_wait(g))
		cb->done = cb->returned;
	for (k = LIST_FIRST(&cb->running); k; k = next) {
		next = LIST_NEXT(k, running);
		if (has_returned(k))
			runs_no_more(k);
	}
	pthread_cond_broadcast(&cb->moved);
	pthread_mutex_unlock(&cb->lock);
	gate_abort(&g->gate);
}

void callback_done(struct worker *w, uint32_t done)
{
	struct gpu *g = worker_gpu(w);
	struct callbacks *cb = &g->cb;
	bool good;

	pthread_mutex_lock(&cb->lock);
	/* Never more than were asked for, never back. */
	good = (int32_t)(done - cb->returned) > 0 && (int32_t)(cb->sent - done) >= 0;
	pthread_mutex_unlock(&cb->lock);
	if (!good)
		return;
	cb->returned = done;
	callbacks_resume(g);
}

static void forget(struct callbacks *cb, struct callback *k)
{
	pthread_mutex_lock(&cb->lock);
	LIST_REMOVE(k, all);
	cb->count--;
	pthread_mutex_unlock(&cb->lock);
	free(k);
}

/* NULL: there is no room. */
static struct callback *callback_new(struct gpu *g, uint64_t id, uint64_t stream)
{
	struct callbacks *cb = &g->cb;
	struct callback *k = calloc(1, sizeof(*k));
	bool room;

	if (!k)
		return NULL;
	k->g = g;
	k->id = id;
	k->stream = stream;
	pthread_mutex_lock(&cb->lock);
	room = !cb->ended;
	if (room) {
		LIST_INSERT_HEAD(&cb->all, k, all);
		cb->count++;
	}
	pthread_mutex_unlock(&cb->lock);
	if (!room) {
		free(k);
		return NULL;
	}
	return k;
}

void *callback_keep(struct gpu *g, uint64_t id)
{
	_Static_assert(sizeof(void *) >= sizeof(id),
		       "the guest's number is the far end's argument");
	return (void *)(uintptr_t)id;
}

CUhostFn callback_fn(void)
{
	return run_node;
}

uint64_t callback_id(const void *kept)
{
	return (uintptr_t)kept;
}

static int host_func(struct gpu *g, const struct pvgpu_in_host_func *in)
{
	struct callbacks *cb = &g->cb;
	struct callback *k;
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	k = callback_new(g, in->id, s->number);
	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* However long it takes, the work before it ends when it ends. */
	stream_fence(s);
	if (in->always)
		r = (int)g->far->cuStreamAddCallback(s->far, run_always, k, 0);
	else
		r = (int)g->far->cuLaunchHostFunc(s->far, run_host, k);
	if (r) {
		forget(cb, k);
		return ctx_result(s->o.ctx, r);
	}
	stream_issued(s);
	return 0;
}

/*
 * A callback of cuStreamAddCallback runs even after an error. The guest's call has returned success
 * by now, so where the far end does not take the callback, because of a fault in between for
 * example, the guest is asked to run it at once, with that error.
 */
int handle_host_func(struct worker *w, const struct pvgpu_in_host_func *in,
		     struct pvgpu_out_host_func *out)
{
	struct gpu *g = worker_gpu(w);
	const int r = host_func(g, in);

	if (r && in->always) {
		pthread_mutex_lock(&g->cb.lock);
		if (!g->cb.ended)
			ask(g, in->id, (uint32_t)r);
		pthread_mutex_unlock(&g->cb.lock);
	}
	return r;
}

void callbacks_end(struct gpu *g)
{
	struct callbacks *cb = &g->cb;

	pthread_mutex_lock(&cb->lock);
	cb->ended = true;
	pthread_cond_broadcast(&cb->moved);
	pthread_mutex_unlock(&cb->lock);
}

/* At the very end: those that never ran, after a device fault for example. */
void callbacks_free(struct gpu *g)
{
	struct callbacks *cb = &g->cb;
	struct callback *k;

	pthread_mutex_lock(&cb->lock);
	while (cb->inside)
		pthread_cond_wait(&cb->moved, &cb->lock);
	while ((k = LIST_FIRST(&cb->all))) {
		LIST_REMOVE(k, all);
		free(k);
	}
	pthread_mutex_unlock(&cb->lock);
}
