/* SPDX-License-Identifier: MIT */
/* User objects: counted in the guest; the last reference calls the application's function. */
#include "cuda/core/context.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { NO_DESTRUCTOR_SYNC = 1, MOVE = 1 }; /* CU_USER_OBJECT_..., CU_GRAPH_USER_OBJECT_MOVE */

struct user_object {
	uint64_t magic; /* of the program's */
	enum held_kind kind;
	_Atomic unsigned int references;
	CUhostFn destroy;
	void *what;
};

static const uint64_t magic = 0x7067757365726f62;

static struct user_object *find(CUuserObject h)
{
	struct user_object *u = (struct user_object *)h;

	return u && u->magic == magic ? u : NULL;
}

static void release(struct user_object *u, unsigned int count)
{
	if (atomic_fetch_sub(&u->references, count) != count)
		return;
	u->magic = 0;
	u->destroy(u->what);
	free(u);
}

void held_release(struct held *h)
{
	struct held *next;

	for (; h; h = next) {
		next = h->next;
		release(h->object, h->count);
		free(h);
	}
}

static bool push(struct held **list, struct user_object *u, unsigned int count, uint64_t graph,
		 uint32_t node)
{
	struct held *h = malloc(sizeof(*h));

	if (!h)
		return false;
	*h = (struct held){*list, u, count, graph, node};
	*list = h;
	return true;
}

/* The entry of the graph's own references to the object. */
static struct held **own_of(struct held **list, const struct user_object *u)
{
	while (*list && ((*list)->object != u || (*list)->graph))
		list = &(*list)->next;
	return list;
}

static bool hold(struct held **list, struct user_object *u, unsigned int count)
{
	struct held *h = *own_of(list, u);

	if (!h)
		return push(list, u, count, 0, 0);
	h->count += count;
	return true;
}

bool held_add(struct held **list, const struct held_add *add)
{
	struct user_object *u = malloc(sizeof(*u));

	if (!u)
		return false;
	*u = (struct user_object){.kind = add->kind, .destroy = add->destroy, .what = add->what};
	atomic_init(&u->references, 1);
	if (push(list, u, 1, add->graph, add->node))
		return true;
	free(u);
	return false;
}

/* as: the graph, and a node of it, that they are of in the copy; graph 0: as they are. */
static bool copy(const struct held *from, uint64_t graph, uint32_t node, struct held **to)
{
	for (; from; from = from->next) {
		if (!push(to, from->object, from->count, graph ? graph : from->graph,
			  graph ? node : from->node))
			return false;
		atomic_fetch_add(&from->object->references, from->count);
	}
	return true;
}

/* With those of the graphs inside that have handles. */
static bool copy_graph(struct graph *g, uint64_t as, uint32_t node, struct held **to)
{
	bool ok;

	pthread_mutex_lock(&g->lock);
	ok = copy(g->held, as, node, to);
	pthread_mutex_unlock(&g->lock);
	/* A program uses a graph in one thread at a time, so these stay. Their locks have no order:
	 * what was another one's child may be this one's parent now. */
	for (struct graph *c = g->children; c && ok; c = c->sibling)
		ok = as ? copy_graph(c, as, node, to) : copy_graph(c, g->o.wire, c->in_node, to);
	return ok;
}

bool held_of_graph(struct graph *g, struct held **to)
{
	if (copy_graph(g, 0, 0, to))
		return true;
	held_release(*to);
	*to = NULL;
	return false;
}

bool held_of_child(struct graph *child, const struct graph *g, uint32_t node, struct held **to)
{
	struct held *more = NULL;

	if (!copy_graph(child, g->o.wire, node, &more)) {
		held_release(more);
		return false;
	}
	held_join(to, more);
	return true;
}

void held_join(struct held **list, struct held *more)
{
	while (*list)
		list = &(*list)->next;
	*list = more;
}

void held_rename(struct held *list, const struct graph *g)
{
	for (; list; list = list->next) {
		if (list->graph)
			list->graph = g->o.wire;
	}
}

struct held *held_take(struct held **list, const struct graph *g, uint32_t node)
{
	struct held *taken = NULL, *h;

	while ((h = *list)) {
		if (h->graph != g->o.wire || h->node != node) {
			list = &h->next;
			continue;
		}
		*list = h->next;
		h->next = taken;
		taken = h;
	}
	return taken;
}

struct held *held_take_kind(struct held **list, enum held_kind kind)
{
	struct held *taken = NULL, *h;

	while ((h = *list)) {
		if (h->object->kind != kind) {
			list = &h->next;
			continue;
		}
		*list = h->next;
		h->next = taken;
		taken = h;
	}
	return taken;
}

bool held_has(const struct held *list, enum held_kind kind)
{
	while (list && list->object->kind != kind)
		list = list->next;
	return list;
}

void held_give_child(struct graph *g, uint32_t node, struct graph *child)
{
	struct held *of;

	pthread_mutex_lock(&g->lock);
	of = held_take(&g->held, g, node);
	pthread_mutex_unlock(&g->lock);
	for (struct held *h = of; h; h = h->next)
		h->graph = 0;
	pthread_mutex_lock(&child->lock);
	held_join(&child->held, of);
	pthread_mutex_unlock(&child->lock);
}

void held_drop(struct graph *g, uint32_t node)
{
	struct held *of;

	pthread_mutex_lock(&g->lock);
	of = held_take(&g->held, g, node);
	pthread_mutex_unlock(&g->lock);
	held_release(of);
}

PUBLIC CUresult cuUserObjectCreate(CUuserObject *out, void *what, CUhostFn destroy,
				   unsigned int references, unsigned int flags)
{
	struct user_object *u;
	const int r = guest_enter();

	if (r)
		return r;
	if (!out || !destroy || !references || references > INT32_MAX ||
	    flags != NO_DESTRUCTOR_SYNC)
		return CUDA_ERROR_INVALID_VALUE;
	u = malloc(sizeof(*u));
	if (!u)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*u = (struct user_object){
		.magic = magic, .kind = HELD_USER, .destroy = destroy, .what = what};
	atomic_init(&u->references, references);
	*out = (CUuserObject)u;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuUserObjectRetain(CUuserObject object, unsigned int count)
{
	struct user_object *u = find(object);

	if (!u || !count || count > INT32_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_fetch_add(&u->references, count);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuUserObjectRelease(CUuserObject object, unsigned int count)
{
	struct user_object *u = find(object);

	if (!u || !count || count > atomic_load(&u->references))
		return CUDA_ERROR_INVALID_VALUE;
	release(u, count);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned int count,
					unsigned int flags)
{
	struct user_object *u = find(object);
	struct graph *g;
	bool ok;
	const int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!u || !count || count > INT32_MAX || flags & ~(unsigned int)MOVE)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&g->lock);
	ok = hold(&g->held, u, count);
	pthread_mutex_unlock(&g->lock);
	if (!ok)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!(flags & MOVE))
		atomic_fetch_add(&u->references, count);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned int count)
{
	struct user_object *u = find(object);
	struct held **at, *h;
	struct graph *g;
	bool held;
	const int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!u || !count)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&g->lock);
	at = own_of(&g->held, u);
	h = *at;
	held = h && h->count >= count;
	if (held)
		h->count -= count;
	if (held && !h->count) {
		*at = h->next;
		free(h);
	}
	pthread_mutex_unlock(&g->lock);
	if (!held)
		return CUDA_ERROR_INVALID_VALUE;
	release(u, count);
	return CUDA_SUCCESS;
}
