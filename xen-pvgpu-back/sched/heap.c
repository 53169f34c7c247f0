/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/heap.h"

static bool goes_before(struct heap *h, const struct heap_node *a, const struct heap_node *b)
{
	++*h->steps;
	return a->key != b->key ? heap_before(a->key, b->key) : heap_before(a->turn, b->turn);
}

/* The link to the i-th node in level order, counted from 1. The bits of i below the highest give
 * the path. */
static struct heap_node **place(struct heap *h, size_t i, struct heap_node **up)
{
	struct heap_node **at = &h->top;
	size_t bit = 1;

	while (bit <= i / 2)
		bit *= 2;
	*up = NULL;
	for (bit /= 2; bit; bit /= 2) {
		*up = *at;
		at = i & bit ? &(*at)->right : &(*at)->left;
	}
	return at;
}

static struct heap_node **link_to(struct heap *h, const struct heap_node *n)
{
	if (!n->up)
		return &h->top;
	return n->up->left == n ? &n->up->left : &n->up->right;
}

static void adopt_children(struct heap_node *n)
{
	if (n->left)
		n->left->up = n;
	if (n->right)
		n->right->up = n;
}

/* Swaps a node with its parent. */
static void climb(struct heap *h, struct heap_node *n)
{
	struct heap_node *p = n->up, *left = n->left, *right = n->right;

	*link_to(h, p) = n;
	n->up = p->up;
	if (p->left == n) {
		n->left = p;
		n->right = p->right;
	} else {
		n->left = p->left;
		n->right = p;
	}
	p->left = left;
	p->right = right;
	adopt_children(n);
	adopt_children(p);
}

static void settle(struct heap *h, struct heap_node *n)
{
	struct heap_node *child;

	while (n->up && goes_before(h, n, n->up))
		climb(h, n);
	while ((child = n->left)) {
		if (n->right && goes_before(h, n->right, child))
			child = n->right;
		if (!goes_before(h, child, n))
			return;
		climb(h, child);
	}
}

void heap_put(struct heap *h, struct heap_node *n, uint64_t key, uint64_t turn)
{
	if (n->in && n->key == key && n->turn == turn)
		return;
	n->key = key;
	n->turn = turn;
	if (!n->in) {
		struct heap_node **at = place(h, ++h->n, &n->up);

		*at = n;
		n->left = n->right = NULL;
		n->in = true;
	}
	settle(h, n);
}

void heap_take(struct heap *h, struct heap_node *n)
{
	struct heap_node *up, **at, *last;

	if (!n->in)
		return;
	at = place(h, h->n--, &up);
	last = *at;
	*at = NULL;
	n->in = false;
	if (last == n)
		return;
	last->up = n->up;
	last->left = n->left;
	last->right = n->right;
	*link_to(h, n) = last;
	adopt_children(last);
	settle(h, last);
}
