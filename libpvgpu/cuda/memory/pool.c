/* SPDX-License-Identifier: MIT */
/* The blocks of a pool. */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/memory/pool.h"
#include "cuda/streams/done.h"

#include <pthread.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;

/* Four to each doubling; every block of a bin above that of a size holds it. */
static unsigned int bin_of(uint64_t size)
{
	const uint64_t n = size / POOL_UNIT;
	unsigned int log;

	if (n < 4)
		return (unsigned int)n;
	log = 63 - (unsigned int)__builtin_clzll(n);
	return log * 4 - 4 + (unsigned int)(n >> (log - 2) & 3);
}

static void bin_add(struct block *b)
{
	struct block **bin = &b->seg->pool->bin[bin_of(b->size)];

	b->less = NULL;
	b->more = *bin;
	if (b->more)
		b->more->less = b;
	*bin = b;
}

static void bin_del(struct block *b)
{
	if (b->less)
		b->less->more = b->more;
	else
		b->seg->pool->bin[bin_of(b->size)] = b->more;
	if (b->more)
		b->more->less = b->less;
	b->more = b->less = NULL;
}

/* Has the work before its last free ended, as far as is known? */
static bool settled(struct block *b)
{
	if (b->place && (done_known(b->place) || done_waited(b->place, b->seg->ctx)))
		b->place = 0;
	return !b->place;
}

/* b takes in the block behind it; neither is in a bin. */
static void swallow(struct block *b)
{
	struct block *gone = b->next;

	if (gone->place > b->place || !b->place) {
		b->place = gone->place;
		b->stream = gone->stream;
	}
	b->size += gone->size;
	b->next = gone->next;
	if (b->next)
		b->next->prev = b;
	free(gone);
}

/* May two free neighbours be one block? */
static bool joins(struct block *a, struct block *b)
{
	if (!a || !b || a->used || b->used)
		return false;
	if (a->place && b->place && a->stream == b->stream)
		return true;
	return settled(a) && settled(b);
}

static void join(struct block *b)
{
	if (joins(b, b->next)) {
		bin_del(b->next);
		swallow(b);
	}
	if (joins(b->prev, b)) {
		b = b->prev;
		bin_del(b);
		swallow(b);
	}
	bin_add(b);
}

void pool_give(struct block *b, uint64_t stream, uint64_t place)
{
	struct pool *p = b->seg->pool;

	b->used = false;
	if (place) {
		b->stream = stream;
		b->place = place;
	}
	p->used -= b->size;
	join(b);
}

static bool split(struct block *b, uint64_t size)
{
	struct block *rest;

	if (b->size == size)
		return true;
	rest = malloc(sizeof(*rest));
	if (!rest)
		return false;
	*rest = *b;
	rest->addr += size;
	rest->size -= size;
	rest->prev = b;
	if (rest->next)
		rest->next->prev = rest;
	b->next = rest;
	b->size = size;
	bin_add(rest);
	return true;
}

static struct block *search(struct pool *p, const struct ctx *c, uint64_t stream, uint64_t size)
{
	for (unsigned int bin = bin_of(size); bin < POOL_BINS; bin++) {
		for (struct block *b = p->bin[bin]; b; b = b->more) {
			if (b->size < size || b->seg->ctx != c)
				continue;
			if (b->stream == stream || settled(b))
				return b;
		}
	}
	return NULL;
}

/* Neighbours whose work has ended since become one. */
static void join_all(struct pool *p)
{
	for (struct segment *s = p->segments; s; s = s->next) {
		for (struct block *b = s->first; b; b = b->next) {
			if (b->used || !settled(b))
				continue;
			while (joins(b, b->next)) {
				bin_del(b->next);
				bin_del(b);
				swallow(b);
				bin_add(b);
			}
		}
	}
}

struct block *pool_take(struct pool *p, const struct ctx *c, uint64_t stream, uint64_t size)
{
	struct block *b = search(p, c, stream, size);

	if (!b) {
		join_all(p);
		b = search(p, c, stream, size);
	}
	if (!b)
		return NULL;
	bin_del(b);
	if (!split(b, size)) {
		bin_add(b);
		return NULL;
	}
	b->used = true;
	p->used += size;
	if (p->used > p->used_high)
		p->used_high = p->used;
	return b;
}

bool pool_add(struct pool *p, struct ctx *c, uint64_t base, uint64_t size)
{
	struct segment *s = calloc(1, sizeof(*s));
	struct block *b = calloc(1, sizeof(*b));

	if (!s || !b) {
		free(s);
		free(b);
		return false;
	}
	*s = (struct segment){.pool = p, .ctx = c, .base = base, .size = size, .first = b};
	*b = (struct block){.seg = s, .addr = base, .size = size};
	s->next = p->segments;
	if (s->next)
		s->next->prev = s;
	p->segments = s;
	bin_add(b);
	p->reserved += size;
	if (p->reserved > p->reserved_high)
		p->reserved_high = p->reserved;
	return true;
}

/* Every block of it is out of its bin. */
static void segment_free(struct segment *s)
{
	struct pool *p = s->pool;

	if (s->prev)
		s->prev->next = s->next;
	else
		p->segments = s->next;
	if (s->next)
		s->next->prev = s->prev;
	p->reserved -= s->size;
	for (struct block *b = s->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(s);
}

void pool_trim(struct pool *p, uint64_t keep)
{
	join_all(p);
	for (struct segment *s = p->segments, *next; s && p->reserved > keep; s = next) {
		struct block *b = s->first;

		next = s->next;
		if (b->used || b->next || b->place)
			continue;
		bin_del(b);
		pvgpu_do_mem_free(session(), s->ctx->o.wire, s->base);
		segment_free(s);
	}
}

void pool_drop_ctx(struct pool *p, const struct ctx *c)
{
	for (struct segment *s = p->segments, *next; s; s = next) {
		next = s->next;
		if (s->ctx != c)
			continue;
		for (struct block *b = s->first; b; b = b->next) {
			if (b->used)
				p->used -= b->size;
			else
				bin_del(b);
		}
		segment_free(s);
	}
}
