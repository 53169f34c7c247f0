/* SPDX-License-Identifier: MIT */
/*
 * Copies from and to an arena that is not registered with CUDA. It would copy such memory while its
 * caller waits, and the decoding thread must not: the stream itself may wait for the guest. So
 * the bytes go through page-locked slots. A completion thread moves them between slot and arena
 * when the work before has ended; the stream is held by the slot's word, which that thread raises
 * (hold.c). Other work of the stream finds the arena as if the copy were one operation.
 *
 * A copy has one slot, which all its pieces use in turn.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/hold.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* One move of lines of `width` bytes. */
struct move {
	LIST_ENTRY(move) all;
	struct gpu *g;
	struct ctx *c; /* compared only */
	bool dead;     /* the slots are gone */
	unsigned char *to;
	const unsigned char *from;
	uint64_t to_pitch, to_slice, from_pitch, from_slice;
	uint64_t width, height, depth;
	uint64_t addr[2], len[2]; /* of the arena, pinned */
	uint32_t *word, value;    /* the slot's; to be raised to that */
};

static void move_lines(const struct move *m)
{
	for (uint64_t z = 0; z < m->depth; z++)
		for (uint64_t y = 0; y < m->height; y++)
			memmove(m->to + z * m->to_slice + y * m->to_pitch,
				m->from + z * m->from_slice + y * m->from_pitch, m->width);
}

/* bounce.lock held. */
static void move_free(struct move *m)
{
	LIST_REMOVE(m, all);
	for (unsigned int i = 0; i < 2; i++)
		if (m->len[i])
			chunks_unpin(&m->g->arena.chunks, m->addr[i], m->len[i]);
	free(m);
}

static void run_move(struct move *m)
{
	struct bounce *b = &m->g->bounce;

	pthread_mutex_lock(&b->lock);
	if (!m->dead) {
		b->inside++;
		pthread_mutex_unlock(&b->lock);
		move_lines(m);
		pthread_mutex_lock(&b->lock);
		if (!--b->inside)
			pthread_cond_broadcast(&b->moved);
	}
	move_free(m);
	pthread_mutex_unlock(&b->lock);
}

/* On a completion thread: the work before it has ended, or failed. */
static void moved(struct gpu *g, struct wait *w, int result)
{
	struct move *m = w->p;
	uint32_t *const word = m->word, value = m->value;

	if (!ctx_result(w->ctx, result)) {
		run_move(m);
	} else {
		pthread_mutex_lock(&g->bounce.lock);
		move_free(m);
		pthread_mutex_unlock(&g->bounce.lock);
	}
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void bounce_init(struct gpu *g)
{
	pthread_mutex_init(&g->bounce.lock, NULL);
	pthread_cond_init(&g->bounce.moved, NULL);
	LIST_INIT(&g->bounce.all);
}

void bounce_forget(struct gpu *g, struct ctx *c)
{
	struct bounce *b = &g->bounce;
	struct move *m;

	pthread_mutex_lock(&b->lock);
	LIST_FOREACH(m, &b->all, all)
	{
		m->dead |= m->c == c;
	}
	while (b->inside)
		pthread_cond_wait(&b->moved, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

void bounce_free(struct gpu *g)
{
	struct bounce *b = &g->bounce;

	pthread_mutex_lock(&b->lock);
	while (b->inside)
		pthread_cond_wait(&b->moved, &b->lock);
	while (!LIST_EMPTY(&b->all))
		move_free(LIST_FIRST(&b->all));
	pthread_mutex_unlock(&b->lock);
}

bool bounce_needed(struct gpu *g)
{
	return !worker_info(g->w)->zero_copy || atomic_load(&g->arena.unsupported);
}

/* One side of a piece: where it begins, how its lines lie. */
struct place {
	enum where at;
	uint64_t addr, pitch, slice;
	CUarray array;
	uint64_t origin[3]; /* in the array */
};

static struct place place_at(const struct bounce_side *s, uint64_t x, uint64_t y, uint64_t z)
{
	const uint64_t slice = s->pitch * s->rows;

	if (s->array)
		return (struct place){
			.at = s->at,
			.array = s->array,
			.origin = {s->origin[0] + x, s->origin[1] + y, s->origin[2] + z}};
	return (struct place){.at = s->at,
			      .addr = s->addr + z * slice + y * s->pitch + x,
			      .pitch = s->pitch,
			      .slice = slice};
}

static void pin(struct move *m, unsigned int i, const struct place *p)
{
	const uint64_t len = (m->depth - 1) * p->slice + (m->height - 1) * p->pitch + m->width;

	if (p->at != AT_ARENA || !chunks_pin(&m->g->arena.chunks, p->addr, len))
		return;
	m->addr[i] = p->addr;
	m->len[i] = len;
}

/* A CUresult. m is given away. */
static int issue(struct gpu *g, struct stream *s, struct move *m, int slot)
{
	uint32_t value, *const word = staging_word(s->o.ctx, STAGING_COPIES, slot, &value);
	struct wait *w = wait_new(g, s->o.ctx);

	if (!w) {
		pthread_mutex_lock(&g->bounce.lock);
		move_free(m);
		pthread_mutex_unlock(&g->bounce.lock);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	m->word = word;
	m->value = value;
	w->p = m;
	w->done = moved;
	wait_stream(g, w, s);
	return hold_stream(g, s, (uintptr_t)word, value,
			   staging_registered(s->o.ctx, STAGING_COPIES));
}

/* A CUresult. */
static int move_later(struct gpu *g, struct stream *s, const struct place *to,
		      const struct place *from, const uint64_t size[3], int slot)
{
	struct move *m = calloc(1, sizeof(*m));

	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*m = (struct move){.g = g,
			   .c = s->o.ctx,
			   .to = (unsigned char *)(uintptr_t)to->addr,
			   .from = (const unsigned char *)(uintptr_t)from->addr,
			   .to_pitch = to->pitch,
			   .to_slice = to->slice,
			   .from_pitch = from->pitch,
			   .from_slice = from->slice,
			   .width = size[0],
			   .height = size[1],
			   .depth = size[2]};
	pin(m, 0, to);
	pin(m, 1, from);
	pthread_mutex_lock(&g->bounce.lock);
	LIST_INSERT_HEAD(&g->bounce.all, m, all);
	pthread_mutex_unlock(&g->bounce.lock);
	return issue(g, s, m, slot);
}

static void plane(CUDA_MEMCPY3D *p, bool to, const struct place *at)
{
	const bool device = at->at == AT_DEVICE;
	const uint64_t rows = at->pitch ? at->slice / at->pitch : 0;
	void *host = device ? NULL : (void *)(uintptr_t)at->addr;
	const CUmemorytype type = at->array ? CU_MEMORYTYPE_ARRAY
				  : device  ? CU_MEMORYTYPE_DEVICE
					    : CU_MEMORYTYPE_HOST;

	if (to) {
		p->dstMemoryType = type;
		p->dstDevice = device ? at->addr : 0;
		p->dstHost = host;
		p->dstArray = at->array;
		p->dstPitch = at->pitch;
		p->dstHeight = rows;
		p->dstXInBytes = at->origin[0];
		p->dstY = at->origin[1];
		p->dstZ = at->origin[2];
	} else {
		p->srcMemoryType = type;
		p->srcDevice = device ? at->addr : 0;
		p->srcHost = host;
		p->srcArray = at->array;
		p->srcPitch = at->pitch;
		p->srcHeight = rows;
		p->srcXInBytes = at->origin[0];
		p->srcY = at->origin[1];
		p->srcZ = at->origin[2];
	}
}

/* Between slot and device. A CUresult. */
static int copy_later(struct gpu *g, struct stream *s, const struct place *to,
		      const struct place *from, const uint64_t size[3])
{
	CUDA_MEMCPY3D p = {.WidthInBytes = size[0], .Height = size[1], .Depth = size[2]};
	int r;

	if (size[1] * size[2] > 1 || to->array || from->array) {
		plane(&p, true, to);
		plane(&p, false, from);
		r = (int)g->far->cuMemcpy3DAsync_v2(&p, s->far);
	} else if (to->at == AT_DEVICE) {
		r = (int)g->far->cuMemcpyHtoDAsync_v2(to->addr, (void *)(uintptr_t)from->addr,
						      size[0], s->far);
	} else {
		r = (int)g->far->cuMemcpyDtoHAsync_v2((void *)(uintptr_t)to->addr, from->addr,
						      size[0], s->far);
	}
	if (!r)
		stream_issued(s);
	return r;
}

/* How much of the copy from (x, y, z) on fits into a slot: whole slices, whole lines, or bytes. */
static void piece_size(const struct bounce_copy *c, uint64_t x, uint64_t y, uint64_t z,
		       uint64_t size[3])
{
	const uint64_t lines = BOUNCE_SIZE / c->width, slices = lines / c->height;

	size[0] = c->width - x < BOUNCE_SIZE ? c->width - x : BOUNCE_SIZE;
	size[1] = size[2] = 1;
	if (!lines)
		return;
	size[1] = c->height - y < lines ? c->height - y : lines;
	if (slices)
		size[2] = c->depth - z < slices ? c->depth - z : slices;
}

static int piece(struct gpu *g, struct stream *s, const struct bounce_copy *c, int slot,
		 const uint64_t at[3], const uint64_t size[3])
{
	const struct place to = place_at(&c->dst, at[0], at[1], at[2]);
	const struct place from = place_at(&c->src, at[0], at[1], at[2]);
	const struct place mid = {.at = AT_NOWHERE,
				  .addr = (uintptr_t)staging_at(s->o.ctx, STAGING_COPIES, slot),
				  .pitch = size[0],
				  .slice = size[0] * size[1]};
	int r;

	if (to.at == AT_DEVICE) {
		r = move_later(g, s, &mid, &from, size, slot);
		return r ? r : copy_later(g, s, &to, &mid, size);
	}
	r = copy_later(g, s, &mid, &from, size);
	return r ? r : move_later(g, s, &to, &mid, size, slot);
}

int bounce_copy(struct gpu *g, struct stream *s, const struct bounce_copy *c)
{
	const uint64_t all[3] = {c->width, c->height, c->depth};
	uint64_t at[3] = {0, 0, 0}, size[3];
	const bool inside = c->dst.at == AT_ARENA && c->src.at == AT_ARENA;
	int slot, r = 0;

	slot = staging_take(g, s->o.ctx, STAGING_COPIES, s);
	if (slot < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (inside) {
		const struct place to = place_at(&c->dst, 0, 0, 0);
		const struct place from = place_at(&c->src, 0, 0, 0);

		r = move_later(g, s, &to, &from, all, slot);
	}
	while (!inside && at[2] < c->depth && !r) {
		piece_size(c, at[0], at[1], at[2], size);
		r = piece(g, s, c, slot, at, size);
		at[0] += size[0];
		if (at[0] == c->width) {
			at[0] = 0;
			at[1] += size[1];
		}
		if (at[1] == c->height) {
			at[1] = 0;
			at[2] += size[2];
		}
	}
	staging_put_after(g, s->o.ctx, STAGING_COPIES, slot, s);
	return r;
}
