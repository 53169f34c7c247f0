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
	uint64_t magic;
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

/* One entry for each object. */
static bool hold(struct held **list, struct user_object *u, unsigned int count)
{
	struct held *h = *list;

	while (h && h->object != u)
		h = h->next;
	if (h) {
		h->count += count;
		return true;
	}
	h = malloc(sizeof(*h));
	if (!h)
		return false;
	*h = (struct held){*list, u, count};
	*list = h;
	return true;
}

bool held_add(struct held **list, CUhostFn destroy, void *what)
{
	struct user_object *u = malloc(sizeof(*u));

	if (!u)
		return false;
	*u = (struct user_object){.destroy = destroy, .what = what};
	atomic_init(&u->references, 1);
	if (hold(list, u, 1))
		return true;
	free(u);
	return false;
}

struct held *held_copy(const struct held *h)
{
	struct held *copy = NULL;

	for (; h; h = h->next) {
		if (hold(&copy, h->object, h->count))
			atomic_fetch_add(&h->object->references, h->count);
	}
	return copy;
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
	*u = (struct user_object){.magic = magic, .destroy = destroy, .what = what};
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
	for (at = &g->held; *at && (*at)->object != u; at = &(*at)->next)
		;
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
