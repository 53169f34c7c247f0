/* SPDX-License-Identifier: MIT */
/* Page-locked slots: CUDA would wait for pageable memory. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define WORD_STEP 64u /* of the slots' words, which lie behind the slots */

static const struct {
	uint32_t slots, size;
} kinds[STAGING_KINDS] = {
	[STAGING_RECORDS] = {STAGING_SLOTS, STAGING_SIZE},
	[STAGING_COPIES] = {BOUNCE_SLOTS, BOUNCE_SIZE},
};

static struct staging *make(struct gpu *g, enum staging_kind kind)
{
	const size_t bytes = (size_t)kinds[kind].slots * (kinds[kind].size + WORD_STEP);
	struct staging *t = calloc(1, sizeof(*t) + kinds[kind].slots * sizeof(t->slot[0]));

	if (!t)
		return NULL;
	t->slots = kinds[kind].slots;
	t->bytes = bytes;
	t->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->base == MAP_FAILED) {
		free(t);
		return NULL;
	}
	t->registered = !g->far->cuMemHostRegister_v2(
		t->base, bytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
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

/* A slot last used in this stream, whose next operation runs after that use. Or -1. */
static int find_own(const struct staging *t, const struct stream *s)
{
	for (uint32_t n = 0; s && n < t->slots; n++)
		if (t->slot[n].ev && t->slot[n].s == s)
			return (int)n;
	return -1;
}

/* A free slot from t->next on, or -1. */
static int find(struct gpu *g, struct ctx *c, struct staging *t)
{
	for (uint32_t i = 0; i < t->slots; i++) {
		const uint32_t n = (t->next + i) % t->slots;

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

int staging_take(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s)
{
	struct staging *t = c->staging[kind];
	int n;

	if (!t)
		t = c->staging[kind] = make(g, kind);
	if (!t)
		return -1;
	n = find_own(t, s);
	if (n >= 0) {
		pool_put(g, c, event_off(t, (uint32_t)n));
		return n;
	}
	n = find(g, c, t);
	if (n < 0)
		return -1;
	atomic_store(&t->slot[n].used, true);
	t->next = (uint32_t)n + 1;
	return n;
}

static void slot_done(struct gpu *g, struct wait *w, int result)
{
	const enum staging_kind kind = (enum staging_kind)w->size;

	atomic_store(&w->ctx->staging[kind]->watched, false);
	staging_put(w->ctx, kind, w->slot);
}

/* Wait for the event of the slot that was taken the longest ago. */
static void watch(struct gpu *g, struct ctx *c, enum staging_kind kind)
{
	struct staging *t = c->staging[kind];
	struct wait *w;
	uint32_t i, n = 0;

	for (i = 0; i < t->slots; i++) {
		n = (t->next + i) % t->slots;
		if (t->slot[n].ev)
			break;
	}
	/* Without events they are all of fetches, whose end puts them back. */
	if (i == t->slots || atomic_exchange(&t->watched, true))
		return;
	w = wait_new(g, c);
	if (!w) {
		atomic_store(&t->watched, false);
		return;
	}
	w->slot = (int)n;
	w->size = kind;
	w->done = slot_done;
	wait_fence(g, w, t->slot[n].s, t->slot[n].ev, t->slot[n].at, &t->slot[n].load);
	event_off(t, n);
}

bool staging_room(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s)
{
	struct staging *t = c->staging[kind];

	if (!t || ctx_enter(c) || find_own(t, s) >= 0 || find(g, c, t) >= 0)
		return true;
	atomic_store(&t->wanted, true);
	watch(g, c, kind);
	/* The flag is up: a slot that was put back before it was seen is seen here. */
	return find(g, c, t) >= 0;
}

void *staging_at(struct ctx *c, enum staging_kind kind, int slot)
{
	return c->staging[kind]->base + (size_t)slot * kinds[kind].size;
}

uint32_t *staging_word(struct ctx *c, enum staging_kind kind, int slot, uint32_t *value)
{
	struct staging *t = c->staging[kind];
	const size_t at = (size_t)t->slots * kinds[kind].size + (size_t)slot * WORD_STEP;

	*value = ++t->slot[slot].word;
	return (uint32_t *)(void *)(t->base + at);
}

bool staging_registered(const struct ctx *c, enum staging_kind kind)
{
	return c->staging[kind]->registered;
}

void staging_put(struct ctx *c, enum staging_kind kind, int slot)
{
	struct staging *t = c->staging[kind];

	atomic_store(&t->slot[slot].used, false);
	if (atomic_exchange(&t->wanted, false))
		worker_kick(c->o.gpu->w);
}

void staging_put_after(struct gpu *g, struct ctx *c, enum staging_kind kind, int slot,
		       struct stream *s)
{
	struct staging *t = c->staging[kind];
	CUevent ev;

	/* On an error nothing runs any more. */
	if (pool_get(g, c, &ev) || g->far->cuEventRecord(ev, s->far)) {
		staging_put(c, kind, slot);
		return;
	}
	stream_recorded(s);
	t->slot[slot].ev = ev;
	t->slot[slot].s = obj_ref(s);
	t->slot[slot].at = s->issued;
	t->slot[slot].load = s->load;
}

static void free_kind(struct gpu *g, struct ctx *c, enum staging_kind kind)
{
	struct staging *t = c->staging[kind];

	if (!t)
		return;
	for (uint32_t i = 0; i < t->slots; i++) {
		if (t->slot[i].ev)
			g->far->cuEventDestroy_v2(event_off(t, i));
	}
	if (t->registered)
		g->far->cuMemHostUnregister(t->base);
	munmap(t->base, t->bytes);
	free(t);
	c->staging[kind] = NULL;
}

void staging_free(struct gpu *g, struct ctx *c)
{
	bounce_forget(g, c);
	for (unsigned int kind = 0; kind < STAGING_KINDS; kind++)
		free_kind(g, c, (enum staging_kind)kind);
}
