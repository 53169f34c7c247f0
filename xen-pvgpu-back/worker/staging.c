/* SPDX-License-Identifier: MIT */
/* Page-locked slots for small copies whose bytes travel in records: CUDA would wait for pageable
 * ones. */
#include <stdlib.h>
#include <sys/mman.h>

#include "state.h"

static struct staging *make(struct gpu *g)
{
	const size_t bytes = STAGING_SLOTS * STAGING_SIZE;
	struct staging *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->base == MAP_FAILED) {
		free(t);
		return NULL;
	}
	t->registered = !g->far->cuMemHostRegister_v2(t->base, bytes, CU_MEMHOSTREGISTER_PORTABLE);
	return t;
}

/* Its event has ended, or is given away. */
static CUevent event_off(struct staging *t, uint32_t n)
{
	CUevent ev = t->slot[n].ev;

	t->slot[n].ev = NULL;
	obj_unref(t->slot[n].s);
	t->slot[n].s = NULL;
	return ev;
}

/* A free slot from t->next on, or -1. */
static int find(struct gpu *g, struct ctx *c, struct staging *t)
{
	for (uint32_t i = 0; i < STAGING_SLOTS; i++) {
		const uint32_t n = (t->next + i) % STAGING_SLOTS;

		if (!atomic_load(&t->slot[n].used))
			return (int)n;
		if (!t->slot[n].ev || g->far->cuEventQuery(t->slot[n].ev) == CUDA_ERROR_NOT_READY)
			continue;
		pool_put(g, c, event_off(t, n));
		atomic_store(&t->slot[n].used, false);
		return (int)n;
	}
	return -1;
}

int staging_take(struct gpu *g, struct ctx *c)
{
	struct staging *t = c->staging;
	int n;

	if (!t)
		t = c->staging = make(g);
	n = t ? find(g, c, t) : -1;
	if (n < 0)
		return -1;
	atomic_store(&t->slot[n].used, true);
	t->next = (uint32_t)n + 1;
	return n;
}

static void slot_done(struct gpu *g, struct wait *w, int result)
{
	atomic_store(&w->ctx->staging->watched, false);
	staging_put(w->ctx, w->slot);
}

/* Wait for the event of the slot that was taken the longest ago. */
static void watch(struct gpu *g, struct ctx *c, struct staging *t)
{
	struct wait *w;
	uint32_t i, n = 0;

	for (i = 0; i < STAGING_SLOTS; i++) {
		n = (t->next + i) % STAGING_SLOTS;
		if (t->slot[n].ev)
			break;
	}
	/* Without events they are all of fetches, whose end puts them back. */
	if (i == STAGING_SLOTS || atomic_exchange(&t->watched, true))
		return;
	w = wait_new(g, c);
	if (!w) {
		atomic_store(&t->watched, false);
		return;
	}
	w->slot = (int)n;
	w->done = slot_done;
	wait_fence(g, w, t->slot[n].s, t->slot[n].ev, t->slot[n].at);
	event_off(t, n);
}

bool staging_room(struct gpu *g, struct ctx *c)
{
	struct staging *t = c->staging;

	if (!t || ctx_enter(c) || find(g, c, t) >= 0)
		return true;
	atomic_store(&t->wanted, true);
	watch(g, c, t);
	/* The flag is up: a slot that was put back before it was seen is seen here. */
	return find(g, c, t) >= 0;
}

void *staging_at(struct ctx *c, int slot)
{
	return c->staging->base + (size_t)slot * STAGING_SIZE;
}

void staging_put(struct ctx *c, int slot)
{
	struct staging *t = c->staging;

	atomic_store(&t->slot[slot].used, false);
	if (atomic_exchange(&t->wanted, false))
		worker_kick(c->o.gpu->w);
}

void staging_put_after(struct gpu *g, struct ctx *c, int slot, struct stream *s)
{
	CUevent ev;

	/* On an error nothing runs any more. */
	if (pool_get(g, c, &ev) || g->far->cuEventRecord(ev, s->far)) {
		staging_put(c, slot);
		return;
	}
	stream_recorded(s);
	c->staging->slot[slot].ev = ev;
	c->staging->slot[slot].s = obj_ref(s);
	c->staging->slot[slot].at = s->issued;
}

void staging_free(struct gpu *g, struct ctx *c)
{
	struct staging *t = c->staging;

	if (!t)
		return;
	for (unsigned int i = 0; i < STAGING_SLOTS; i++) {
		if (t->slot[i].ev)
			g->far->cuEventDestroy_v2(event_off(t, i));
	}
	if (t->registered)
		g->far->cuMemHostUnregister(t->base);
	munmap(t->base, STAGING_SLOTS * STAGING_SIZE);
	free(t);
	c->staging = NULL;
}
