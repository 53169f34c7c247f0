/* SPDX-License-Identifier: MIT */
/*
 * Mapped pages without an allocation. Some single ones are kept for the next small allocation.
 * Others linger for a moment, because many programs free memory and at once allocate as much: to
 * lease and map it anew costs more than all else of an allocation. A session's lease is memory that
 * the other sessions of its vGPU lack, so only a small part of what they have left may linger.
 */
#include <pthread.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define LINGER_NS   5000000u
#define LINGER_MOST (64u << 20)

void spare_init(struct memory *m)
{
	m->linger_ns = LINGER_NS;
}

struct area *spare_take(struct memory *m, uint64_t size)
{
	for (struct area **at = &m->spare, *a; (a = *at); at = &a->next) {
		if (a->size != size)
			continue;
		*at = a->next;
		a->next = NULL;
		if (a->until)
			m->lingering -= size;
		else
			m->spares--;
		return a;
	}
	return NULL;
}

bool spare_keep(struct gpu *g, struct area *a, bool may_linger)
{
	struct memory *m = &g->mem;
	uint64_t left, total;
	bool keep, linger;

	lease_info(g->w, &left, &total);
	left = left / 4 < LINGER_MOST ? left / 4 : LINGER_MOST;
	pthread_mutex_lock(&m->lock);
	keep = a->size == m->win.page && m->spares < MEM_SPARES && !a->away;
	linger = may_linger && !keep && !a->away && a->size <= left &&
		 m->lingering <= left - a->size;
	if ((keep || linger) && a->freeing) {
		a->freeing = false;
		m->freeing -= a->size;
	}
	if (keep || linger) {
		a->serial = 0; /* tokens of what was there are void */
		a->until = linger ? pvgpu_poll_now() + m->linger_ns : 0;
		a->next = m->spare;
		m->spare = a;
		m->spares += keep;
		m->lingering += linger ? a->size : 0;
	}
	pthread_mutex_unlock(&m->lock);
	return keep || linger;
}

static void unmap_all(struct gpu *g, struct area *list)
{
	while (list) {
		struct area *a = list;

		list = a->next;
		area_unmap(g, a);
	}
}

void mem_trim(struct gpu *g)
{
	struct memory *m = &g->mem;
	struct area *list;

	pthread_mutex_lock(&m->lock);
	list = m->spare;
	for (struct area *a = list; a; a = a->next)
		area_freeing(m, a);
	m->spare = NULL;
	m->spares = 0;
	m->lingering = 0;
	pthread_mutex_unlock(&m->lock);
	unmap_all(g, list);
}

uint64_t mem_linger(struct gpu *g)
{
	const uint64_t now = pvgpu_poll_now();
	struct memory *m = &g->mem;
	struct area *list = NULL, **at = &m->spare, *a;
	uint64_t next = 0;

	pthread_mutex_lock(&m->lock);
	while ((a = *at)) {
		if (a->until && a->until <= now) {
			*at = a->next;
			m->lingering -= a->size;
			area_freeing(m, a);
			a->next = list;
			list = a;
			continue;
		}
		/* Those behind it were freed earlier. */
		next = a->until ? a->until : next;
		at = &a->next;
	}
	pthread_mutex_unlock(&m->lock);
	unmap_all(g, list);
	return next;
}

static uint64_t leased_but_free(const struct memory *m)
{
	return m->spares * m->win.page + m->lingering + m->freeing;
}

uint64_t mem_free_bytes(struct gpu *g)
{
	struct memory *m = &g->mem;
	uint64_t bytes;

	pthread_mutex_lock(&m->lock);
	bytes = leased_but_free(m);
	pthread_mutex_unlock(&m->lock);
	return bytes;
}

void mem_info(struct gpu *g, uint64_t *free_bytes, uint64_t *total)
{
	struct memory *m = &g->mem;

	pthread_mutex_lock(&m->lock);
	lease_info(g->w, free_bytes, total);
	*free_bytes += leased_but_free(m);
	pthread_mutex_unlock(&m->lock);
	if (*free_bytes > *total)
		*free_bytes = *total;
}
