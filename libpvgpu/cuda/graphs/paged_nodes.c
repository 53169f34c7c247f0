/* SPDX-License-Identifier: MIT */
/*
 * The nodes of graphs and instances that copy from and to memory that the worker does not reach. A
 * graph's list has those of the graphs inside of it, too, since its instances need their memory.
 */
#include "cuda/copy/box.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"
#include "cuda/graphs/pageable.h"

#include <pthread.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

enum { PAGED_ANY = UINT32_MAX };

/* Under paged_lock. */
static struct paged_node *find(struct paged_node *list, uint64_t graph, uint32_t number)
{
	while (list && (list->inside || list->graph != graph || list->number != number))
		list = list->next;
	return list;
}

/* Under paged_lock: one more node with the copy p, and its place as in n. */
static bool push(struct paged_node **list, const struct paged_node *n, struct paged *p)
{
	struct paged_node *more = malloc(sizeof(*more));

	if (!more)
		return false;
	*more = (struct paged_node){.next = *list,
				    .graph = n->graph,
				    .number = n->number,
				    .inside = n->inside,
				    .is = p};
	p->references++;
	*list = more;
	return true;
}

/* Under paged_lock: all copies of the list; as: their place, NULL: as they are. */
static bool copy_list(const struct paged_node *list, const struct paged_node *as,
		      struct paged_node **to)
{
	for (; list; list = list->next) {
		if (!push(to, as ? as : list, list->is))
			return false;
	}
	return true;
}

/* Under paged_lock: those of the node, or (PAGED_ANY) of the whole graph, from one list to another.
 */
static void move(struct paged_node **from, uint64_t graph, uint32_t number, struct paged_node **to)
{
	struct paged_node *n;

	while ((n = *from)) {
		if (n->graph != graph || (number != PAGED_ANY && n->number != number)) {
			from = &n->next;
			continue;
		}
		*from = n->next;
		n->next = *to;
		*to = n;
	}
}

/* Graphs inside have other handles in a clone, if any. */
bool paged_clone(const struct graph *g, struct graph *to)
{
	bool ok = true;

	pthread_mutex_lock(&paged_lock);
	for (const struct paged_node *n = g->paged; n && ok; n = n->next) {
		const bool own = n->graph == g->o.wire;
		const struct paged_node as = {.graph = to->o.wire,
					      .number = own ? n->number : PAGED_ANY,
					      .inside = !own || n->inside};

		ok = push(&to->paged, &as, n->is);
	}
	pthread_mutex_unlock(&paged_lock);
	return ok;
}

bool paged_instantiate(const struct graph *g, struct paged_node **to)
{
	bool ok;

	pthread_mutex_lock(&paged_lock);
	ok = copy_list(g->paged, NULL, to);
	pthread_mutex_unlock(&paged_lock);
	return ok;
}

/* An instance is made of the outermost graph: each one around has what those inside have. */
bool paged_adopt(struct graph *g, uint32_t number, const struct graph *child, bool moved)
{
	const struct paged_node as = {.graph = g->o.wire, .number = number, .inside = true};
	bool ok = true;

	pthread_mutex_lock(&paged_lock);
	for (; g && ok; g = g->parent)
		ok = copy_list(child->paged, moved ? NULL : &as, &g->paged);
	pthread_mutex_unlock(&paged_lock);
	return ok;
}

bool paged_list(const struct graph *child, const struct graph *g, uint32_t number,
		struct paged_node **to)
{
	const struct paged_node as = {.graph = g->o.wire, .number = number, .inside = true};
	bool ok;

	pthread_mutex_lock(&paged_lock);
	ok = copy_list(child->paged, &as, to);
	pthread_mutex_unlock(&paged_lock);
	return ok;
}

void paged_replace(struct graph_exec *x, const struct graph *g, uint32_t number,
		   struct paged_node *list)
{
	struct paged_node **end, *old = NULL;

	pthread_mutex_lock(&paged_lock);
	move(&x->paged, g->o.wire, number, &old);
	for (end = &x->paged; *end; end = &(*end)->next)
		;
	*end = list;
	pthread_mutex_unlock(&paged_lock);
	if (old)
		paged_leave(x, old);
}

static bool paged_inside(const struct paged_node *list)
{
	while (list && !list->inside)
		list = list->next;
	return list;
}

static struct graph *outermost(struct graph *g)
{
	while (g->parent)
		g = g->parent;
	return g;
}

/* The graph g had no handle until now: its nodes' copies are on the lists of the graphs around it,
 * and the far end knows which node makes which. */
static int look_at(struct ctx *c, struct graph *g, uint32_t number)
{
	const struct paged_node as = {.graph = g->o.wire, .number = number}, *n;
	struct graph *inside;
	struct paged *is;
	bool ok = true;
	int r = child_graph(c, g, number, &inside);

	if (r)
		return r;
	is = paged_of(c, inside);
	pthread_mutex_lock(&paged_lock);
	n = outermost(g)->paged;
	while (n && n->is != is)
		n = n->next;
	for (struct graph *up = n ? g : NULL; up && ok; up = up->parent)
		ok = push(&up->paged, &as, is);
	pthread_mutex_unlock(&paged_lock);
	return ok ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

int paged_look(struct ctx *c, struct graph *g)
{
	CUgraphNode *nodes;
	size_t count = 0;
	int r;

	if (!paged_inside(outermost(g)->paged))
		return 0;
	r = (int)cuGraphGetNodes(object_handle(&g->o), NULL, &count);
	if (r || !count)
		return r;
	nodes = calloc(count, sizeof(CUgraphNode));
	if (!nodes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)cuGraphGetNodes(object_handle(&g->o), nodes, &count);
	for (size_t i = 0; i < count && !r; i++) {
		CUgraphNodeType type;
		struct graph *of;
		uint32_t number;

		r = (int)cuGraphNodeGetType(nodes[i], &type);
		if (!r && type == CU_GRAPH_NODE_TYPE_GRAPH && node_find(nodes[i], &of, &number))
			r = look_at(c, g, number);
	}
	free(nodes);
	return r;
}

bool paged_box(struct graph *g, uint32_t number, struct box *b)
{
	const struct paged_node *n;

	if (!g->paged)
		return false;
	pthread_mutex_lock(&paged_lock);
	n = find(g->paged, g->o.wire, number);
	if (n)
		*b = n->is->box;
	pthread_mutex_unlock(&paged_lock);
	return n;
}

bool paged_is(struct graph *g, uint32_t number)
{
	struct box b;

	return paged_box(g, number, &b);
}

void paged_drop(struct graph *g, uint32_t number)
{
	const bool is = paged_is(g, number);
	struct paged_node *gone = NULL;

	if (!g->paged)
		return;
	pthread_mutex_lock(&paged_lock);
	for (struct graph *up = g; up; up = up->parent)
		move(&up->paged, g->o.wire, number, &gone);
	pthread_mutex_unlock(&paged_lock);
	if (is)
		graph_hosts(g, UINT32_MAX); /* one less */
	paged_release(gone);
}

void paged_free(struct graph *g)
{
	struct paged_node *gone = NULL;

	if (!g->paged)
		return;
	pthread_mutex_lock(&paged_lock);
	for (struct graph *up = g->parent; up; up = up->parent)
		move(&up->paged, g->o.wire, PAGED_ANY, &gone);
	pthread_mutex_unlock(&paged_lock);
	paged_release(gone);
	paged_release(g->paged);
	g->paged = NULL;
}

void paged_update(struct graph_exec *x, struct paged_node *list)
{
	struct paged_node *const old = x->paged;

	x->paged = list;
	paged_leave(x, old);
}

/* ---- adding and changing them ---- */

int paged_add(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count,
	      const struct box *b, uint32_t *number)
{
	struct pvgpu_graph_node is = {.kind = CU_GRAPH_NODE_TYPE_GRAPH};
	struct paged_node as = {.graph = g->o.wire};
	struct paged *p;
	bool ok = true;
	int r = paged_make(c, b, &p);

	if (r)
		return r;
	is.object = p->inside->o.wire;
	graph_changes(g);
	r = pvgpu_do_graph_add(session(), c->o.wire, g->o.wire, &is, sizeof(is), NULL, 0, deps,
			       count * (uint32_t)sizeof(*deps), number);
	if (r) {
		paged_put(p);
		return r;
	}
	graph_hosts(g, 1);
	pthread_mutex_lock(&paged_lock);
	as.number = *number;
	for (struct graph *up = g; up && ok; up = up->parent)
		ok = push(&up->paged, &as, p);
	pthread_mutex_unlock(&paged_lock);
	if (!ok)
		return CUDA_ERROR_OUT_OF_MEMORY; /* the node is there, and so p must stay */
	paged_put(p);
	return 0;
}

/* In the list, the node makes the copy p from here on; *old: the one before. False: no memory. */
static bool swap(struct paged_node **list, uint64_t graph, uint32_t number, struct paged *p,
		 struct paged **old)
{
	const struct paged_node as = {.graph = graph, .number = number};
	struct paged_node *n;
	bool ok = true;

	*old = NULL;
	pthread_mutex_lock(&paged_lock);
	n = find(*list, graph, number);
	if (n) {
		*old = n->is;
		n->is = p;
		p->references++;
	} else {
		ok = push(list, &as, p);
	}
	pthread_mutex_unlock(&paged_lock);
	return ok;
}

int paged_set(struct ctx *c, struct graph *g, uint32_t number, const struct box *b)
{
	struct paged *p, *old;
	struct graph *in;
	struct box was;
	bool ok = true;
	int r;

	if (!paged_box(g, number, &was) || way_of(&was) != way_of(b))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = paged_make(c, b, &p);
	if (r)
		return r;
	graph_changes(g);
	r = child_graph(c, g, number, &in);
	if (!r)
		r = paged_change(c, in, p);
	for (struct graph *up = g; up && !r && ok; up = up->parent) {
		ok = swap(&up->paged, g->o.wire, number, p, &old);
		if (old)
			paged_put(old);
	}
	if (!ok)
		return CUDA_ERROR_OUT_OF_MEMORY; /* the node has it, and so p must stay */
	paged_put(p);
	return r;
}

/* All graphs inside of such a node have one form, so the far end is asked about the first. */
static int give(const struct graph_exec *x, const struct graph *g, uint32_t number,
		const struct paged *p, bool told)
{
	const uint64_t ctx = x->o.ctx->o.wire, inside = p->inside->o.wire;

	return told ? pvgpu_do_graph_exec_child_again(session(), ctx, x->o.wire, g->o.wire, number,
						      inside)
		    : pvgpu_do_graph_exec_child(session(), ctx, x->o.wire, g->o.wire, number,
						inside);
}

int paged_set_exec(struct graph_exec *x, struct graph *g, uint32_t number, const struct box *b)
{
	const struct paged_node *before;
	struct paged_node *n;
	struct paged *p;
	struct box was;
	bool told;
	int r;

	if (!paged_box(g, number, &was) || way_of(&was) != way_of(b))
		return CUDA_ERROR_INVALID_VALUE;
	n = malloc(sizeof(*n));
	r = n ? paged_make(x->o.ctx, b, &p) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r) {
		free(n);
		return r;
	}
	*n = (struct paged_node){.graph = g->o.wire, .number = number, .is = p, .told = true};
	pthread_mutex_lock(&paged_lock);
	before = find(x->paged, g->o.wire, number);
	told = before && before->told;
	pthread_mutex_unlock(&paged_lock);
	r = give(x, g, number, p, told);
	if (r)
		paged_release(n);
	else
		paged_replace(x, g, number, n);
	return r;
}
