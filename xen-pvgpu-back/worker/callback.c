/* SPDX-License-Identifier: MIT */
/*
 * Host functions. A trampoline runs where CUDA runs host functions, asks the guest to run its own
 * and holds the stream until the guest has. The guest runs them one at a time in the order asked,
 * so the n-th request is done when its count reaches n.
 */
#include <stdlib.h>

#include "state.h"

#define CALLBACKS_MAX 65536u

struct callback {
	struct link all;
	struct gpu *g;
	uint64_t id;
};

static void ask_and_wait(struct callback *k, uint32_t status)
{
	struct gpu *g = k->g;
	struct callbacks *cb = &g->cb;
	const struct pvgpu_wire_callback rec = {
		.hdr = {.len = sizeof(rec), .kind = PVGPU_REP_CALLBACK},
		.id = k->id,
		.status = status,
	};
	uint32_t n;

	pthread_mutex_lock(&cb->lock);
	cb->inside++;
	if (!cb->ended) {
		/* Sent under the lock, so that the order of requests is that of their numbers. */
		n = ++cb->sent;
		worker_send(g->w, &rec, sizeof(rec));
		while (!cb->ended && (int32_t)(cb->done - n) < 0)
			pthread_cond_wait(&cb->moved, &cb->lock);
	}
	link_del(&k->all);
	cb->count--;
	cb->inside--;
	pthread_cond_broadcast(&cb->moved);
	pthread_mutex_unlock(&cb->lock);
	free(k);
}

static void CUDA_CB run_host(void *arg)
{
	ask_and_wait(arg, 0);
}

static void CUDA_CB run_always(CUstream stream, CUresult status, void *arg)
{
	ask_and_wait(arg, (uint32_t)status);
}

void callback_done(struct worker *w, uint32_t done)
{
	struct callbacks *cb = &worker_gpu(w)->cb;

	pthread_mutex_lock(&cb->lock);
	/* Never more than were asked for, never back. */
	if ((int32_t)(done - cb->done) > 0 && (int32_t)(cb->sent - done) >= 0) {
		cb->done = done;
		pthread_cond_broadcast(&cb->moved);
	}
	pthread_mutex_unlock(&cb->lock);
}

static void forget(struct callbacks *cb, struct callback *k)
{
	pthread_mutex_lock(&cb->lock);
	link_del(&k->all);
	cb->count--;
	pthread_mutex_unlock(&cb->lock);
	free(k);
}

int handle_host_func(struct worker *w, const struct pvgpu_in_host_func *in,
		     struct pvgpu_out_host_func *out)
{
	struct gpu *g = worker_gpu(w);
	struct callbacks *cb = &g->cb;
	struct callback *k;
	struct stream *s;
	bool room;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	k->g = g;
	k->id = in->id;
	pthread_mutex_lock(&cb->lock);
	room = cb->count < CALLBACKS_MAX && !cb->ended;
	if (room) {
		link_add(&cb->all, &k->all);
		cb->count++;
	}
	pthread_mutex_unlock(&cb->lock);
	if (!room) {
		free(k);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
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

void callbacks_end(struct gpu *g)
{
	struct callbacks *cb = &g->cb;

	pthread_mutex_lock(&cb->lock);
	cb->ended = true;
	pthread_cond_broadcast(&cb->moved);
	pthread_mutex_unlock(&cb->lock);
}

/* At the very end: what never ran, after a device fault for example. */
void callbacks_free(struct gpu *g)
{
	struct callbacks *cb = &g->cb;

	pthread_mutex_lock(&cb->lock);
	while (cb->inside)
		pthread_cond_wait(&cb->moved, &cb->lock);
	while (cb->all.next != &cb->all) {
		struct callback *k = link_of(cb->all.next, struct callback, all);

		link_del(&k->all);
		free(k);
	}
	pthread_mutex_unlock(&cb->lock);
}
