/* SPDX-License-Identifier: MIT */
/* Graphs inside of graphs. Such a graph is its node's: the handle lives as long as the node. */
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/forms.h"
#include "cuda/graphs/graph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

void children_drop(struct graph *g, uint32_t number)
{
	struct graph **at, *c;

	bodies_drop(g, number);
	for (;;) {
		pthread_mutex_lock(&g->lock);
		at = &g->children;
		while (*at && number != CHILDREN_ALL && (*at)->in_node != number)
			at = &(*at)->sibling;
		c = *at;
		if (c)
			*at = c->sibling;
		pthread_mutex_unlock(&g->lock);
		if (!c)
			return;
		graph_drop(c);
	}
}

static struct graph *asked_for(struct graph *g, uint32_t number)
{
	struct graph *c;

	pthread_mutex_lock(&g->lock);
	c = g->children;
	while (c && c->in_node != number)
		c = c->sibling;
	pthread_mutex_unlock(&g->lock);
	return c;
}

/* How many host functions a launch of it would call: those expected and never called would have the
 * session's thread wait for them. most: of the graph around it. */
static uint32_t count_hosts(CUgraph graph, uint32_t most)
{
	uint32_t hosts = 0;
	CUgraphNode *nodes;
	size_t n = 0;

	if (!most || cuGraphGetNodes(graph, NULL, &n))
		return most;
	nodes = calloc(n + 1, sizeof(CUgraphNode));
	if (!nodes || cuGraphGetNodes(graph, nodes, &n))
		hosts = most;
	for (size_t i = 0; i < n && hosts < most; i++) {
		CUgraphNodeType type;

		if (cuGraphNodeGetType(nodes[i], &type) || type == CU_GRAPH_NODE_TYPE_GRAPH)
			hosts = most; /* at most */
		else
			hosts += type == CU_GRAPH_NODE_TYPE_HOST;
	}
	free(nodes);
	return hosts;
}

void child_adopt(struct graph *g, uint32_t number, struct graph *child)
{
	child->parent = g;
	child->in_node = number;
	pthread_mutex_lock(&g->lock);
	child->sibling = g->children;
	g->children = child;
	pthread_mutex_unlock(&g->lock);
}

static int ask(struct ctx *ctx, struct graph *g, uint32_t number, struct graph **out)
{
	struct graph *c = graph_object();
	int r;

	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_graph_child(session(), ctx->o.wire, g->o.wire, number, c->o.wire);
	if (r) {
		object_free(&c->o);
		return r;
	}
	object_publish(&c->o);
	c->hosts = count_hosts(object_handle(&c->o), g->hosts);
	held_give_child(g, number, c);
	child_adopt(g, number, c);
	*out = c;
	return paged_look(ctx, c);
}

int child_graph(struct ctx *c, struct graph *g, uint32_t number, struct graph **child)
{
	*child = asked_for(g, number);
	return *child ? 0 : ask(c, g, number, child);
}

PUBLIC CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *graph)
{
	CUgraphNodeType type;
	struct graph *g, *c;
	uint32_t number;
	struct ctx *ctx;
	int r = node_enter(node, &g, &number, &ctx);

	if (r)
		return r;
	r = cuGraphNodeGetType(node, &type);
	if (r)
		return r;
	if (!graph || type != CU_GRAPH_NODE_TYPE_GRAPH)
		return CUDA_ERROR_INVALID_VALUE;
	/* Which node of which graph inside has the event is not kept. */
	if (event_nodes_inside(g->events))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = child_graph(ctx, g, number, &c);
	if (!r)
		*graph = object_handle(&c->o);
	return r;
}

/*
 * Whether a graph has the form that a node of an instance needs, the far end says. Programs whose
 * buffers move have an instance take over the same few graphs in turn, or others that were captured
 * alike (XLA does before each launch): the answer is the same as long as nothing has changed, or
 * the form is known to be the same. A captured graph changes by its streams' work, which is not
 * seen here.
 */
static struct form fit_of(CUgraphExec exec, CUgraphNode node, const struct graph *g,
			  struct graph *of)
{
	const uint64_t what[] = {(uintptr_t)exec, (uintptr_t)node, atomic_load(&g->changes)};
	const uint64_t itself[] = {(uintptr_t)object_handle(&of->o), atomic_load(&of->changes)};
	struct form fit = {0}, f;

	form_add(&fit, what, sizeof(what));
	if (graph_form(of, &f))
		form_add(&fit, &f, sizeof(f));
	else
		form_add(&fit, itself, sizeof(itself));
	return fit;
}

/* The instance's node has a copy of the graph from here on. */
static int give_exec(struct graph_exec *x, CUgraphExec exec, CUgraphNode node,
		     const struct graph *g, uint32_t number, struct graph *of)
{
	const uint64_t ctx = x->o.ctx->o.wire;
	const struct form fit = fit_of(exec, node, g, of);
	int r;

	if (!capturing() && form_known(&fit, NULL, NULL))
		return pvgpu_do_graph_exec_child_again(session(), ctx, x->o.wire, g->o.wire, number,
						       of->o.wire);
	r = pvgpu_do_graph_exec_child(session(), ctx, x->o.wire, g->o.wire, number, of->o.wire);
	if (!r && !capturing())
		form_keep(&fit, 0, 0);
	return r;
}

PUBLIC CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node,
						   CUgraph child)
{
	struct paged_node *paged = NULL;
	struct held *held = NULL;
	struct graph *g, *of;
	struct graph_exec *x;
	uint32_t number;
	struct ctx *c;
	int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	x = exec_find(exec);
	of = graph_find(child);
	if (!x || !of || paged_is(g, number))
		return CUDA_ERROR_INVALID_VALUE;
	if (of->memory || of->events || event_nodes_inside(x->events))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = paged_list(of, g, number, &paged) && held_of_child(of, g, number, &held)
		    ? give_exec(x, exec, node, g, number, of)
		    : CUDA_ERROR_OUT_OF_MEMORY;
	if (r) {
		paged_release(paged);
		held_release(held);
		return r;
	}
	paged_replace(x, g, number, paged);
	exec_hold_node(x, g, number, held);
	return 0;
}
