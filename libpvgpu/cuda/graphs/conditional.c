/* SPDX-License-Identifier: MIT */
/*
 * Conditions and conditional nodes. A condition's handle is the far end's own number, since kernels
 * are given it. The bodies are graphs inside of the node.
 */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include <pthread.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

/* The array that the application was given of a node's bodies. */
struct bodies {
	struct bodies *next;
	uint32_t number, count;
	CUgraph body[];
};

void bodies_drop(struct graph *g, uint32_t number)
{
	struct bodies **at, *b;

	pthread_mutex_lock(&g->lock);
	at = &g->bodies;
	while ((b = *at)) {
		if (number != CHILDREN_ALL && b->number != number) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		free(b);
	}
	pthread_mutex_unlock(&g->lock);
}

CUgraph graph_body(CUgraphNode node, uint32_t number)
{
	const struct bodies *b;
	CUgraph body = NULL;
	struct graph *g;
	uint32_t n;

	if (!node_find(node, &g, &n))
		return NULL;
	pthread_mutex_lock(&g->lock);
	for (b = g->bodies; b && b->number != n; b = b->next)
		;
	if (b && number < b->count)
		body = b->body[number];
	pthread_mutex_unlock(&g->lock);
	return body;
}

PUBLIC CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph,
					       CUcontext ctx, unsigned int default_value,
					       unsigned int flags)
{
	struct graph *g;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	g = graph_find(graph);
	if (!g || !handle || flags & ~(unsigned int)CU_GRAPH_COND_ASSIGN_DEFAULT)
		return CUDA_ERROR_INVALID_VALUE;
	if (ctx)
		c = ctx_find(ctx);
	return c ? pvgpu_do_graph_condition(session(), c->o.wire, g->o.wire, default_value, flags,
					    handle)
		 : CUDA_ERROR_INVALID_CONTEXT;
}

static bool has_size(const CUDA_CONDITIONAL_NODE_PARAMS *p)
{
	switch (p->type) {
	case CU_GRAPH_COND_TYPE_IF:
		return p->size == 1 || p->size == 2;
	case CU_GRAPH_COND_TYPE_WHILE:
		return p->size == 1;
	case CU_GRAPH_COND_TYPE_SWITCH:
		return p->size > 0;
	default:
		return false;
	}
}

static int body_of(struct ctx *ctx, struct graph *g, uint32_t number, uint32_t i, CUgraph *out)
{
	struct graph *body = graph_object();
	int r;

	if (!body)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_graph_body(session(), ctx->o.wire, g->o.wire, number, i, body->o.wire);
	if (r) {
		object_free(&body->o);
		return r;
	}
	object_publish(&body->o);
	child_adopt(g, number, body);
	*out = object_handle(&body->o);
	return 0;
}

static int make_bodies(struct ctx *ctx, struct graph *g, struct bodies *b)
{
	int r = 0;

	for (uint32_t i = 0; i < b->count && !r; i++)
		r = body_of(ctx, g, b->number, i, &b->body[i]);
	pthread_mutex_lock(&g->lock);
	b->next = g->bodies;
	g->bodies = b;
	pthread_mutex_unlock(&g->lock);
	return r;
}

int graph_add_conditional(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
			  CUDA_CONDITIONAL_NODE_PARAMS *p)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX];
	struct graph *g = graph_find(graph);
	struct bodies *b;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!g || !node || !has_size(p))
		return CUDA_ERROR_INVALID_VALUE;
	if (p->size > PVGPU_GRAPH_BODIES_MAX)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (p->ctx)
		c = ctx_find(p->ctx);
	r = c ? node_numbers(g, deps, count, numbers) : CUDA_ERROR_INVALID_CONTEXT;
	if (r)
		return r;
	b = calloc(1, sizeof(*b) + p->size * sizeof(CUgraph));
	if (!b)
		return CUDA_ERROR_OUT_OF_MEMORY;
	b->count = p->size;
	graph_changes(g);
	r = pvgpu_do_graph_conditional(session(), c->o.wire, g->o.wire, p->handle, p->type, p->size,
				       numbers, (uint32_t)(count * sizeof(numbers[0])), &b->number);
	if (r) {
		free(b);
		return r;
	}
	*node = node_handle(g, b->number);
	r = make_bodies(c, g, b);
	if (r)
		cuGraphDestroyNode(*node);
	else
		p->phGraph_out = b->body;
	return r;
}
