/* SPDX-License-Identifier: MIT */
/*
 * Registration of the arena's chunks with CUDA: page-locked through one context, usable in all.
 * Where the far end cannot register them, or must not, copies go through slots that are registered
 * (bounce.c).
 *
 * Page-locking a large chunk takes long, so a thread of its own does it, and what is to be told is
 * told then: not the decoding thread, which must not wait, nor the side lane, where it would stand
 * behind loads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/arena_map.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_wire.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The chunk is registered through c, or the far end has refused. c is current. */
static bool enrol(struct gpu *g, struct ctx *c, uint64_t addr, uint64_t size)
{
	const int r = (int)g->far->cuMemHostRegister_v2((void *)(uintptr_t)addr, size,
							CU_MEMHOSTREGISTER_PORTABLE |
								CU_MEMHOSTREGISTER_DEVICEMAP);
	bool first;

	if (!r)
		return true;
	first = !atomic_exchange(&g->arena.unsupported, true);
	if (first)
		worker_log(
			g->w,
			"the far end does not page-lock the arena (cuMemHostRegister: error %d): "
			"copies are slower",
			ctx_result(c, r));
	return false;
}

/* The next chunk that no context has, claimed for c; false: there is none. */
static bool claim(struct chunks *t, struct ctx *c, struct chunk *k)
{
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->count && !found; i++) {
		if (t->at[i].ctx)
			continue;
		t->at[i].ctx = obj_ref(c);
		t->at[i].users++;
		*k = t->at[i];
		found = true;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* A claimed chunk stays in the table, but its place may change: find it again by its address. */
static void settle(struct chunks *t, uint64_t addr, bool registered)
{
	struct chunk *k;

	pthread_mutex_lock(&t->lock);
	k = &t->at[chunks_seek(t, addr)];
	k->registered = registered;
	k->users--;
	pthread_mutex_unlock(&t->lock);
}

void arena_map_register(struct gpu *g, struct ctx *c)
{
	struct chunk k;

	/* Pins that outlive a mapping would harm the backend's kernel, for example. */
	if (!worker_info(g->w)->zero_copy)
		return;
	while (claim(&g->arena.chunks, c, &k))
		settle(&g->arena.chunks, k.addr, enrol(g, c, k.addr, k.size));
}

void arena_map_unregister(struct gpu *g, struct ctx *c)
{
	struct chunks *t = &g->arena.chunks;

	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->count; i++) {
		const struct chunk k = t->at[i];

		if (k.ctx != c)
			continue;
		t->at[i].users++;
		t->at[i].registered = false;
		pthread_mutex_unlock(&t->lock);
		if (k.registered)
			g->far->cuMemHostUnregister((void *)(uintptr_t)k.addr);
		obj_unref(c);
		pthread_mutex_lock(&t->lock);
		i = chunks_seek(t, k.addr);
		t->at[i].users--;
		t->at[i].ctx = NULL;
	}
	pthread_mutex_unlock(&t->lock);
}

enum gpu_arena_found gpu_arena_find(struct worker *w, uint64_t addr, uint64_t size)
{
	return chunks_find(&worker_gpu(w)->arena.chunks, addr, size);
}

int gpu_arena_add(struct worker *w, uint64_t addr, uint64_t size)
{
	return chunks_add(&worker_gpu(w)->arena.chunks, addr, size);
}

struct enrolment {
	struct enrolment *next;
	struct wait *wait; /* the context stays meanwhile */
	struct gpu_arena_then *then;
};

static void *enrol_thread(void *arg)
{
	struct gpu *g = arg;
	struct arena_map *m = &g->arena;

	pthread_mutex_lock(&m->lock);
	while (!m->stop || m->head) {
		struct enrolment *e = m->head;

		if (!e) {
			pthread_cond_wait(&m->more, &m->lock);
			continue;
		}
		m->head = e->next;
		if (!m->head)
			m->tail = &m->head;
		pthread_mutex_unlock(&m->lock);
		if (!ctx_enter(e->wait->ctx))
			arena_map_register(g, e->wait->ctx);
		e->then->fn(g->w, e->then);
		wait_drop(g, e->wait);
		free(e);
		pthread_mutex_lock(&m->lock);
	}
	m->exited = true;
	pthread_cond_broadcast(&m->more);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* False: no memory, or no thread. */
static bool enrol_later(struct gpu *g, struct ctx *c, struct gpu_arena_then *then)
{
	struct arena_map *m = &g->arena;
	struct enrolment *e;

	if (!m->started && pthread_create(&m->thread, NULL, enrol_thread, g))
		return false;
	m->started = true;
	e = calloc(1, sizeof(*e));
	if (!e)
		return false;
	e->wait = wait_new(g, c);
	if (!e->wait) {
		free(e);
		return false;
	}
	e->then = then;
	pthread_mutex_lock(&m->lock);
	*m->tail = e;
	m->tail = &e->next;
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
	return true;
}

void gpu_arena_register(struct worker *w, struct gpu_arena_then *then)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = ctx_any(g);

	if (c && worker_info(w)->zero_copy) {
		if (then && enrol_later(g, c, then))
			return;
		if (!ctx_enter(c))
			arena_map_register(g, c);
	}
	if (then)
		then->fn(w, then);
}

void arena_map_init(struct gpu *g)
{
	struct arena_map *m = &g->arena;
	pthread_condattr_t attr;

	chunks_init(&m->chunks);
	m->tail = &m->head;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->more, &attr);
	pthread_condattr_destroy(&attr);
}

bool arena_map_stop(struct gpu *g, unsigned int ms)
{
	struct arena_map *m = &g->arena;
	const struct timespec until = pvgpu_poll_after(ms * 1000000ull);
	bool exited;
	int r = 0;

	if (!m->started)
		return true;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_broadcast(&m->more);
	while (!m->exited && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&m->more, &m->lock, &until);
	exited = m->exited;
	pthread_mutex_unlock(&m->lock);
	if (!exited)
		return false;
	pthread_join(m->thread, NULL);
	m->started = false;
	return true;
}

int gpu_arena_remove(struct worker *w, uint64_t addr, uint64_t size)
{
	struct gpu *g = worker_gpu(w);
	struct chunk k;
	int err;

	/* Work that asked for no mark may still use it: kernels, for example. */
	if (g->park.count || !streams_idle(g))
		return -EBUSY;
	err = chunks_remove(&g->arena.chunks, addr, size, &k);
	if (err || !k.ctx)
		return err;
	if (k.registered && !ctx_enter(k.ctx))
		g->far->cuMemHostUnregister((void *)(uintptr_t)addr);
	obj_unref(k.ctx);
	return 0;
}
