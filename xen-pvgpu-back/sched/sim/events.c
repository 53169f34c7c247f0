/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

int events_room(struct events *e, size_t n)
{
	struct timer **heap;

	if (n >= UINT32_MAX - e->cap - 1)
		return -ENOMEM;
	heap = realloc(e->heap, (e->cap + n + 1) * sizeof(struct timer *));
	if (!heap)
		return -ENOMEM;
	e->heap = heap;
	e->cap += (uint32_t)n;
	return 0;
}

static bool before(const struct timer *a, const struct timer *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct events *e, uint32_t pos, struct timer *t)
{
	e->heap[pos] = t;
	t->pos = pos;
}

static void up(struct events *e, struct timer *t)
{
	uint32_t i = t->pos;

	for (; i > 1 && before(t, e->heap[i / 2]); i /= 2)
		put(e, i, e->heap[i / 2]);
	put(e, i, t);
}

static void down(struct events *e, struct timer *t)
{
	uint32_t i = t->pos;

	for (uint32_t k; (k = 2 * i) <= e->n; i = k) {
		if (k < e->n && before(e->heap[k + 1], e->heap[k]))
			k++;
		if (!before(e->heap[k], t))
			break;
		put(e, i, e->heap[k]);
	}
	put(e, i, t);
}

void timer_set(struct events *e, struct timer *t, uint64_t at)
{
	if (t->pos && t->at == at)
		return;
	if (at == UINT64_MAX) {
		timer_stop(e, t);
		return;
	}
	t->at = at;
	t->order = e->order++;
	if (!t->pos)
		put(e, ++e->n, t);
	up(e, t);
	down(e, t);
}

void timer_stop(struct events *e, struct timer *t)
{
	struct timer *last;
	uint32_t pos = t->pos;

	if (!pos)
		return;
	last = e->heap[e->n--];
	t->pos = 0;
	if (last == t)
		return;
	put(e, pos, last);
	up(e, last);
	down(e, last);
}

struct timer *events_pop(struct events *e)
{
	struct timer *t = e->n ? e->heap[1] : NULL;

	if (t)
		timer_stop(e, t);
	return t;
}
