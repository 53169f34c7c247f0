/* SPDX-License-Identifier: MIT */
/* User objects: the last reference calls the application's function. */
#include <stdlib.h>

#include "tests/simcuda/driver/graph.h"

struct sim_user {
	struct handle h;
	CUhostFn destroy;
	void *what;
	unsigned int references; /* under lock */
};

struct user_ref {
	struct user_ref *next;
	struct sim_user *user;
	unsigned int count;
};

static struct pool user_pool = POOL(struct sim_user);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static CUresult user_get(CUuserObject handle, unsigned int count, struct sim_user **out)
{
	*out = (struct sim_user *)handle;
	if (!handle || !pool_live(&user_pool, *out) || !count || count > INT32_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static void retain(struct sim_user *u, unsigned int count)
{
	pthread_mutex_lock(&lock);
	u->references += count;
	pthread_mutex_unlock(&lock);
}

static bool release(struct sim_user *u, unsigned int count)
{
	bool enough, last;

	pthread_mutex_lock(&lock);
	enough = u->references >= count;
	u->references -= enough ? count : 0;
	last = enough && !u->references;
	pthread_mutex_unlock(&lock);
	if (last) {
		u->destroy(u->what);
		pool_free(&user_pool, u);
	}
	return enough;
}

static struct user_ref **ref_of(struct user_ref **at, const struct sim_user *u)
{
	while (*at && (*at)->user != u)
		at = &(*at)->next;
	return at;
}

static bool hold(struct user_ref **list, struct sim_user *u, unsigned int count)
{
	struct user_ref **at = ref_of(list, u);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return false;
		(*at)->user = u;
	}
	(*at)->count += count;
	return true;
}

void users_release(struct user_ref *list)
{
	while (list) {
		struct user_ref *r = list;

		list = r->next;
		release(r->user, r->count);
		free(r);
	}
}

bool users_copy(const struct user_ref *from, struct user_ref **to)
{
	for (; from; from = from->next) {
		if (!hold(to, from->user, from->count))
			return false;
		retain(from->user, from->count);
	}
	return true;
}

bool users_any(const struct sim_graph *g)
{
	bool any = g->users;

	for (uint32_t i = 0; i < g->nodes && !any; i++) {
		any = g->node[i]->child && users_any(g->node[i]->child);
		for (uint32_t k = 0; k < g->node[i]->bodies && !any; k++)
			any = users_any(g->node[i]->body[k]);
	}
	return any;
}

void users_take(struct sim_graph *g, struct user_ref **to)
{
	while (*to)
		to = &(*to)->next;
	*to = g->users;
	g->users = NULL;
	for (uint32_t i = 0; i < g->nodes; i++) {
		if (g->node[i]->child)
			users_take(g->node[i]->child, to);
		for (uint32_t k = 0; k < g->node[i]->bodies; k++)
			users_take(g->node[i]->body[k], to);
	}
}

struct behind {
	struct user_ref *list;
	struct op *last;
};

static void *wait_and_release(void *arg)
{
	struct behind *b = arg;

	exec_wait(b->last);
	op_put(b->last);
	users_release(b->list);
	free(b);
	return NULL;
}

void users_release_behind(struct user_ref *list, struct op *last)
{
	struct behind *b = list && last && !op_done(last) ? malloc(sizeof(*b)) : NULL;

	if (!b) {
		users_release(list);
		return;
	}
	*b = (struct behind){list, last};
	op_get(last);
	if (sim_thread_start(wait_and_release, b))
		wait_and_release(b);
}

API(cuUserObjectCreate, CUuserObject *out, void *what, CUhostFn destroy, unsigned int references,
    unsigned int flags)
{
	struct sim_user *u;

	ENTER();
	if (!out || !destroy || !references || references > INT32_MAX ||
	    flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
		return CUDA_ERROR_INVALID_VALUE;
	u = pool_new(&user_pool);
	if (!u)
		return CUDA_ERROR_OUT_OF_MEMORY;
	u->destroy = destroy;
	u->what = what;
	u->references = references;
	*out = (CUuserObject)u;
	return CUDA_SUCCESS;
}

API(cuUserObjectRetain, CUuserObject object, unsigned int count)
{
	struct sim_user *u;

	ENTER();
	TRY(user_get(object, count, &u));
	retain(u, count);
	return CUDA_SUCCESS;
}

API(cuUserObjectRelease, CUuserObject object, unsigned int count)
{
	struct sim_user *u;

	ENTER();
	TRY(user_get(object, count, &u));
	return release(u, count) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphRetainUserObject, CUgraph graph, CUuserObject object, unsigned int count,
    unsigned int flags)
{
	struct sim_graph *g;
	struct sim_user *u;

	ENTER();
	TRY(graph_get(graph, &g));
	TRY(user_get(object, count, &u));
	if (flags & ~(unsigned int)CU_GRAPH_USER_OBJECT_MOVE)
		return CUDA_ERROR_INVALID_VALUE;
	if (!hold(&g->users, u, count))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!(flags & CU_GRAPH_USER_OBJECT_MOVE))
		retain(u, count);
	return CUDA_SUCCESS;
}

API(cuGraphReleaseUserObject, CUgraph graph, CUuserObject object, unsigned int count)
{
	struct user_ref **at, *r;
	struct sim_graph *g;
	struct sim_user *u;

	ENTER();
	TRY(graph_get(graph, &g));
	TRY(user_get(object, count, &u));
	at = ref_of(&g->users, u);
	r = *at;
	if (!r || r->count < count)
		return CUDA_ERROR_INVALID_VALUE;
	r->count -= count;
	if (!r->count) {
		*at = r->next;
		free(r);
	}
	release(u, count);
	return CUDA_SUCCESS;
}
