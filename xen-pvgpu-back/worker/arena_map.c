/* SPDX-License-Identifier: MIT */
/*
 * The arena's chunks as CUDA knows them: page-locked through one context, usable in all. Where the
 * far end cannot register them, or must not, copies go through slots that are (bounce.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* arena.lock held: the last chunk that begins at or before an address; -1: none. */
static int64_t chunk_before(const struct arena *a, uint64_t addr)
{
	uint32_t lo = 0, hi = a->count;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (a->chunk[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int64_t)lo - 1;
}

/* arena.lock held: add to the users of every chunk of the range; false: it has holes. */
static bool walk(struct arena *a, uint64_t addr, uint64_t len, int users)
{
	int64_t i = chunk_before(a, addr);

	while (i >= 0 && i < a->count) {
		struct chunk *c = &a->chunk[i];
		uint64_t part;

		if (addr < c->addr || addr - c->addr >= c->size)
			return false;
		part = c->size - (addr - c->addr);
		c->users += (uint32_t)users;
		if (part >= len)
			return true;
		addr += part;
		len -= part;
		i++;
	}
	return false;
}

bool chunks_contain(struct gpu *g, uint64_t addr, uint64_t len, bool pin)
{
	struct arena *a = &g->arena;
	bool ok;

	if (!len || addr + len < addr)
		return false;
	pthread_mutex_lock(&a->lock);
	ok = walk(a, addr, len, 0);
	if (ok && pin)
		walk(a, addr, len, 1);
	pthread_mutex_unlock(&a->lock);
	return ok;
}

void chunks_unpin(struct gpu *g, uint64_t addr, uint64_t len)
{
	struct arena *a = &g->arena;

	pthread_mutex_lock(&a->lock);
	walk(a, addr, len, -1);
	pthread_mutex_unlock(&a->lock);
}

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

/* arena.lock held: the next chunk that no context has, claimed for c. */
static struct chunk *claim(struct arena *a, struct ctx *c)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (!a->chunk[i].ctx) {
			a->chunk[i].ctx = obj_ref(c);
			a->chunk[i].users++;
			return &a->chunk[i];
		}
	}
	return NULL;
}

/* A claimed chunk cannot go, but the array may move: find it again by its address. */
static void settle(struct arena *a, uint64_t addr, bool registered)
{
	struct chunk *k;

	pthread_mutex_lock(&a->lock);
	k = &a->chunk[chunk_before(a, addr)];
	k->registered = registered;
	k->users--;
	pthread_mutex_unlock(&a->lock);
}

void chunks_register(struct gpu *g, struct ctx *c)
{
	struct arena *a = &g->arena;

	/* Pins that outlive a mapping would harm the backend's kernel, for example. */
	if (!worker_info(g->w)->zero_copy)
		return;
	for (;;) {
		struct chunk k = {0};
		const struct chunk *found;

		pthread_mutex_lock(&a->lock);
		found = claim(a, c);
		if (found)
			k = *found;
		pthread_mutex_unlock(&a->lock);
		if (!found)
			return;
		settle(a, k.addr, enrol(g, c, k.addr, k.size));
	}
}

void chunks_unregister(struct gpu *g, struct ctx *c)
{
	struct arena *a = &g->arena;

	pthread_mutex_lock(&a->lock);
	for (uint32_t i = 0; i < a->count; i++) {
		const struct chunk k = a->chunk[i];

		if (k.ctx != c)
			continue;
		a->chunk[i].users++;
		a->chunk[i].registered = false;
		pthread_mutex_unlock(&a->lock);
		if (k.registered)
			g->far->cuMemHostUnregister((void *)(uintptr_t)k.addr);
		obj_unref(c);
		pthread_mutex_lock(&a->lock);
		i = (uint32_t)chunk_before(a, k.addr);
		a->chunk[i].users--;
		a->chunk[i].ctx = NULL;
	}
	pthread_mutex_unlock(&a->lock);
}

/* A context that can register, or NULL. Decoding thread. */
static struct ctx *any_context(struct gpu *g)
{
	for (struct link *l = g->root.owned.next; l != &g->root.owned; l = l->next) {
		struct obj *o = link_of(l, struct obj, of_owner);

		if (o->type == PVGPU_H_CTX && !obj_error(o))
			return (struct ctx *)o;
	}
	return NULL;
}

int gpu_arena_add(struct worker *w, uint64_t addr, uint64_t size)
{
	struct gpu *g = worker_gpu(w);
	struct arena *a = &g->arena;
	struct ctx *c = any_context(g);
	int64_t at;

	pthread_mutex_lock(&a->lock);
	if (a->count == a->cap) {
		const uint32_t cap = a->cap ? 2 * a->cap : 8;
		struct chunk *more = realloc(a->chunk, cap * sizeof(*more));

		if (!more) {
			pthread_mutex_unlock(&a->lock);
			return -ENOMEM;
		}
		a->chunk = more;
		a->cap = cap;
	}
	at = chunk_before(a, addr) + 1;
	memmove(&a->chunk[at + 1], &a->chunk[at], (a->count - (uint32_t)at) * sizeof(*a->chunk));
	a->chunk[at] = (struct chunk){.addr = addr, .size = size};
	a->count++;
	pthread_mutex_unlock(&a->lock);
	if (c && !ctx_enter(c))
		chunks_register(g, c);
	return 0;
}

int gpu_arena_remove(struct worker *w, uint64_t addr, uint64_t size)
{
	struct gpu *g = worker_gpu(w);
	struct arena *a = &g->arena;
	struct chunk k = {0};
	int64_t at;

	/* Work that asked for no mark may still use it: kernels, for example. */
	if (g->park.head || !streams_idle(g))
		return -EBUSY;
	pthread_mutex_lock(&a->lock);
	at = chunk_before(a, addr);
	if (at < 0 || a->chunk[at].addr != addr || a->chunk[at].size != size) {
		pthread_mutex_unlock(&a->lock);
		return -ENOENT;
	}
	if (a->chunk[at].users) {
		pthread_mutex_unlock(&a->lock);
		return -EBUSY;
	}
	k = a->chunk[at];
	memmove(&a->chunk[at], &a->chunk[at + 1],
		(a->count - (uint32_t)at - 1) * sizeof(*a->chunk));
	a->count--;
	pthread_mutex_unlock(&a->lock);
	if (k.ctx) {
		if (k.registered && !ctx_enter(k.ctx))
			g->far->cuMemHostUnregister((void *)(uintptr_t)addr);
		obj_unref(k.ctx);
	}
	return 0;
}
