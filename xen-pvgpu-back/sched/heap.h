/* SPDX-License-Identifier: MIT */
/*
 * A binary heap whose nodes are embedded in the ordered objects, so that it allocates nothing: a
 * complete tree linked by pointers. Every operation takes O(log n) steps. Keys are times or virtual
 * times and are compared by their difference, so that they may wrap.
 */
#ifndef PVGPU_SCHED_HEAP_H
#define PVGPU_SCHED_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	struct heap_node *up, *left, *right;
	uint64_t key;
	uint64_t turn; /* orders equal keys: the lowest is first */
	bool in;
};

struct heap {
	struct heap_node *top;
	size_t n;
	uint64_t *steps; /* counts comparisons */
};

static inline bool heap_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* The first node; NULL: empty. */
static inline struct heap_node *heap_first(const struct heap *h)
{
	return h->top;
}

/* The first one without that, by key; NULL: there is none. */
static inline struct heap_node *heap_second(const struct heap *h)
{
	struct heap_node *a = h->top ? h->top->left : NULL, *b = h->top ? h->top->right : NULL;

	if (!a || !b)
		return a ? a : b;
	return heap_before(b->key, a->key) ? b : a;
}

/* Inserts the node, or moves it if it is in the heap. */
void heap_put(struct heap *h, struct heap_node *n, uint64_t key, uint64_t turn);
/* Removes the node if it is in the heap. */
void heap_take(struct heap *h, struct heap_node *n);

#endif
