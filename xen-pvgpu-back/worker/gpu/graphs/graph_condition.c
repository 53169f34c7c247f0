/* SPDX-License-Identifier: MIT */
/*
 * Conditional nodes. A condition is a number of the far end's, which kernels are given among their
 * parameters as it is: it means something in this process alone. One that a command names must be
 * of the graph, or of one around it. The far end tells the bodies of a node only when the node is
 * made, so they are kept here.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct bodies {
	LIST_ENTRY(bodies) link;
	CUgraphNode node;
	uint32_t count;
	CUgraph body[];
};

void conditions_init(struct gpu *g)
{
	pthread_mutex_init(&g->conditions.lock, NULL);
	for (uint32_t i = 0; i < CONDITION_LISTS; i++)
		LIST_INIT(&g->conditions.bodies[i]);
}

void conditions_free(struct gpu *g)
{
	for (uint32_t i = 0; i < CONDITION_LISTS; i++) {
		struct bodies *b;

		while ((b = LIST_FIRST(&g->conditions.bodies[i]))) {
			LIST_REMOVE(b, link);
			free(b);
		}
	}
	pthread_mutex_destroy(&g->conditions.lock);
}

static uint32_t list_of(CUgraphNode node)
{
	return (uint32_t)((uintptr_t)node * 0x9e3779b97f4a7c15ull >> 32) & (CONDITION_LISTS - 1);
}

/* The record lives as long as the node, and the node as long as the caller uses its graph. */
static struct bodies *bodies_of(struct gpu *g, CUgraphNode node)
{
	struct bodies *b;

	pthread_mutex_lock(&g->conditions.lock);
	LIST_FOREACH(b, &g->conditions.bodies[list_of(node)], link)
	{
		if (b->node == node)
			break;
	}
	pthread_mutex_unlock(&g->conditions.lock);
	return b;
}

uint32_t condition_bodies(struct gpu *g, CUgraphNode node, const CUgraph **body)
{
	const struct bodies *b = bodies_of(g, node);

	*body = b ? b->body : NULL;
	return b ? b->count : 0;
}

static void forget(struct gpu *g, struct bodies *b)
{
	pthread_mutex_lock(&g->conditions.lock);
	LIST_REMOVE(b, link);
	pthread_mutex_unlock(&g->conditions.lock);
	atomic_fetch_sub(&g->conditions.nodes, 1);
	free(b);
}

void conditions_forget_node(struct gpu *g, CUgraphNode node)
{
	CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
	struct bodies *b;
	CUgraph child;

	if (!atomic_load(&g->conditions.nodes) || g->far->cuGraphNodeGetType(node, &type))
		return;
	if (type == CU_GRAPH_NODE_TYPE_GRAPH && g->far->cuGraphChildGraphNodeGetGraph &&
	    !g->far->cuGraphChildGraphNodeGetGraph(node, &child))
		conditions_forget(g, child);
	b = type == CU_GRAPH_NODE_TYPE_CONDITIONAL ? bodies_of(g, node) : NULL;
	if (!b)
		return;
	for (uint32_t i = 0; i < b->count; i++)
		conditions_forget(g, b->body[i]);
	forget(g, b);
}

void conditions_forget(struct gpu *g, CUgraph gr)
{
	CUgraphNode *list;
	size_t n = 0;

	if (!atomic_load(&g->conditions.nodes) || g->far->cuGraphGetNodes(gr, NULL, &n) || !n)
		return;
	list = calloc(n, sizeof(*list));
	if (list && !g->far->cuGraphGetNodes(gr, list, &n)) {
		for (size_t i = 0; i < n; i++)
			conditions_forget_node(g, list[i]);
	}
	free(list);
}

static void keep(struct gpu *g, struct bodies *b)
{
	struct bodies *old = bodies_of(g, b->node); /* of one that was there before */

	if (old)
		forget(g, old);
	pthread_mutex_lock(&g->conditions.lock);
	LIST_INSERT_HEAD(&g->conditions.bodies[list_of(b->node)], b, link);
	pthread_mutex_unlock(&g->conditions.lock);
	atomic_fetch_add(&g->conditions.nodes, 1);
}

static bool append(struct graph *gr, uint64_t condition)
{
	const uint32_t n = gr->conditions;
	uint64_t *more;

	if (!(n & (n - 1))) { /* room for as many again */
		more = realloc(gr->condition, (n ? 2 * (size_t)n : 1) * sizeof(*more));
		if (!more)
			return false;
		gr->condition = more;
	}
	gr->condition[gr->conditions++] = condition;
	return true;
}

int handle_graph_condition(struct worker *w, const struct pvgpu_in_graph_condition *in,
			   struct pvgpu_out_graph_condition *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph;
	struct ctx *c = in->ctx;
	CUgraphConditionalHandle far;
	int r = graph_usable(gr, c);

	if (!r && !g->far->cuGraphConditionalHandleCreate)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r)
		return r;
	if (atomic_fetch_add(&g->conditions.count, 1) >= PVGPU_GRAPH_CONDITIONS_MAX ||
	    !append(gr, 0)) {
		atomic_fetch_sub(&g->conditions.count, 1);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = (int)g->far->cuGraphConditionalHandleCreate(
		&far, gr->far, c->far, in->value, in->first ? CU_GRAPH_COND_ASSIGN_DEFAULT : 0);
	if (r) {
		gr->conditions--;
		atomic_fetch_sub(&g->conditions.count, 1);
		return r;
	}
	gr->condition[gr->conditions - 1] = far;
	out->condition = far;
	return 0;
}

void conditions_give(struct gpu *g, struct graph *gr)
{
	const uint32_t n = gr->conditions + atomic_load(&gr->conditions_inside);

	free(gr->condition);
	if (gr->parent)
		atomic_fetch_add(&gr->parent->conditions_inside, n);
	else
		atomic_fetch_sub(&g->conditions.count, n);
}

static bool has_condition(const struct graph *gr, uint64_t condition)
{
	for (; gr; gr = gr->parent) {
		for (uint32_t i = 0; i < gr->conditions; i++) {
			if (gr->condition[i] == condition)
				return true;
		}
	}
	return false;
}

/* The bodies' graphs would be one level deeper than the graph's own. */
static bool too_deep(const struct graph *gr)
{
	uint32_t depth = 1;

	for (; gr->parent; gr = gr->parent)
		depth++;
	return depth > GRAPH_DEPTH_MAX;
}

static int make_node(struct gpu *g, const struct pvgpu_in_graph_conditional *in,
		     const CUgraphNode *deps, uint32_t n, struct bodies *b)
{
	struct graph *gr = in->graph;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
			       .conditional = {.handle = in->condition,
					       .type = (CUgraphConditionalNodeType)in->kind,
					       .size = in->bodies,
					       .ctx = ((struct ctx *)in->ctx)->far}};
	const int r =
		(int)g->far->cuGraphAddNode_v2(&b->node, gr->far, n ? deps : NULL, NULL, n, &p);

	if (r)
		return r;
	b->count = in->bodies;
	memcpy(b->body, p.conditional.phGraph_out, in->bodies * sizeof(CUgraph));
	keep(g, b);
	return 0;
}

int handle_graph_conditional(struct worker *w, const struct pvgpu_in_graph_conditional *in,
			     struct pvgpu_out_graph_conditional *out)
{
	CUgraphNode deps[PVGPU_GRAPH_DEPS_MAX];
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph;
	const uint64_t nodes = 1 + (uint64_t)in->bodies;
	struct bodies *b;
	uint32_t n = 0;
	int r = graph_usable(gr, in->ctx);

	if (!r && !g->far->cuGraphAddNode_v2)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r && !has_condition(gr, in->condition))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r && too_deep(gr))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r)
		r = graph_deps(gr, in->deps, in->deps_len, deps, &n);
	if (!r && gr->count >= PVGPU_GRAPH_NODES_MAX)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!r)
		r = graph_nodes_take(g, gr, nodes);
	if (r)
		return r;
	b = calloc(1, sizeof(*b) + in->bodies * sizeof(CUgraph));
	r = b ? make_node(g, in, deps, n, b) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r) {
		graph_nodes_give(g, gr, nodes);
		free(b);
		return r;
	}
	return graph_number(gr, b->node, &out->node);
}

int handle_graph_body(struct worker *w, const struct pvgpu_in_graph_body *in,
		      struct pvgpu_out_graph_body *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph;
	const CUgraph *body;
	CUgraphNode node;
	int r = graph_inside_free(gr, in->ctx, in->node, in->body, &node);

	if (!r && in->body >= condition_bodies(g, node, &body))
		r = CUDA_ERROR_INVALID_VALUE;
	return r ? r : graph_inside(g, gr, in->node, in->body, body[in->body], in->child_h);
}
