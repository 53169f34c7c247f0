/* SPDX-License-Identifier: MIT */
/* Handles: objects in memory that is never freed, so that a stale handle is detected safely. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define FIRST_CHUNK 64u

static bool pool_grow(struct pool *p)
{
	for (unsigned int i = 0; i < ARRAY_LEN(p->chunk); i++) {
		size_t n = (size_t)FIRST_CHUNK << i;
		char *mem;

		if (atomic_load_explicit(&p->chunk[i], memory_order_relaxed))
			continue;
		mem = calloc(n, p->size);
		if (!mem)
			return false;
		for (size_t k = 0; k < n; k++) {
			struct handle *h = (struct handle *)(mem + k * p->size);

			if (p->last)
				p->last->next = h;
			else
				p->first = h;
			p->last = h;
		}
		atomic_store_explicit(&p->chunk[i], mem, memory_order_release);
		return true;
	}
	return false;
}

void *pool_new(struct pool *p)
{
	struct handle *h = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->first || pool_grow(p)) {
		h = p->first;
		p->first = h->next;
		if (!p->first)
			p->last = NULL;
		memset(h + 1, 0, p->size - sizeof(*h));
		h->next = NULL;
		atomic_store_explicit(&h->live, 1, memory_order_release);
	}
	pthread_mutex_unlock(&p->lock);
	return h;
}

/* The oldest free object is used next, so a destroyed handle stays invalid as long as possible. */
void pool_free(struct pool *p, void *obj)
{
	struct handle *h = obj;

	pthread_mutex_lock(&p->lock);
	atomic_store_explicit(&h->live, 0, memory_order_release);
	h->next = NULL;
	if (p->last)
		p->last->next = h;
	else
		p->first = h;
	p->last = h;
	pthread_mutex_unlock(&p->lock);
}

void pool_retire(struct pool *p, void *obj)
{
	atomic_store_explicit(&((struct handle *)obj)->live, 0, memory_order_release);
}

void pool_renew(struct pool *p, void *obj)
{
	struct handle *h = obj;

	memset(h + 1, 0, p->size - sizeof(*h));
	atomic_store_explicit(&h->live, 1, memory_order_release);
}

bool pool_has(struct pool *p, const void *obj)
{
	uintptr_t a = (uintptr_t)obj;

	for (unsigned int i = 0; i < ARRAY_LEN(p->chunk); i++) {
		uintptr_t base =
			(uintptr_t)atomic_load_explicit(&p->chunk[i], memory_order_acquire);

		if (!base)
			return false;
		if (a - base < ((size_t)FIRST_CHUNK << i) * p->size)
			return (a - base) % p->size == 0;
	}
	return false;
}

bool pool_live(struct pool *p, const void *obj)
{
	return pool_has(p, obj) &&
	       atomic_load_explicit(&((const struct handle *)obj)->live, memory_order_acquire);
}

void pool_each(struct pool *p, void (*fn)(void *obj, void *arg), void *arg)
{
	for (unsigned int i = 0; i < ARRAY_LEN(p->chunk); i++) {
		char *mem = atomic_load_explicit(&p->chunk[i], memory_order_acquire);

		for (size_t k = 0; mem && k < (size_t)FIRST_CHUNK << i; k++) {
			struct handle *h = (struct handle *)(mem + k * p->size);

			if (atomic_load_explicit(&h->live, memory_order_acquire))
				fn(h, arg);
		}
	}
}
