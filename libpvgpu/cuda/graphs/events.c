/* SPDX-License-Identifier: MIT */
/*
 * Nodes that record events and wait for them. At the far end such a node is an empty one, which
 * keeps the order. An event's records may still be held back by the gate, which a graph there would
 * not know: so a launch waits for the events of its waits before the graph, and records the others
 * behind it.
 */
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/event.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

enum { NO_NODE = UINT32_MAX }; /* it is of a child graph, whose nodes cannot be named */

struct event_node {
	struct event_node *next;
	uint32_t number;
	CUgraphNodeType type;
	CUevent event;
};

static struct event_node *node_of(struct event_node *list, uint32_t number)
{
	while (list && list->number != number)
		list = list->next;
	return list;
}

bool event_node_type(struct graph *g, uint32_t number, CUgraphNodeType *type)
{
	struct event_node *n;

	pthread_mutex_lock(&g->lock);
	n = node_of(g->events, number);
	if (n)
		*type = n->type;
	pthread_mutex_unlock(&g->lock);
	return n;
}

void event_node_drop(struct graph *g, uint32_t number)
{
	struct event_node **at, *n;

	pthread_mutex_lock(&g->lock);
	for (at = &g->events; *at && (*at)->number != number; at = &(*at)->next)
		;
	n = *at;
	if (n)
		*at = n->next;
	pthread_mutex_unlock(&g->lock);
	free(n);
}

void event_nodes_free(struct event_node *list)
{
	while (list) {
		struct event_node *n = list;

		list = n->next;
		free(n);
	}
}

/* In the same order, behind what *to has; false: no memory. */
static bool copy_list(const struct event_node *list, bool child, struct event_node **to)
{
	while (*to)
		to = &(*to)->next;
	for (; list; list = list->next) {
		struct event_node *n = malloc(sizeof(*n));

		if (!n)
			return false;
		*n = *list;
		n->next = NULL;
		n->number = child ? NO_NODE : n->number;
		*to = n;
		to = &n->next;
	}
	return true;
}

bool event_nodes_inside(const struct event_node *list)
{
	return node_of((struct event_node *)(uintptr_t)list, NO_NODE);
}

bool event_nodes_copy(struct graph *g, struct event_node **to)
{
	bool copied;

	pthread_mutex_lock(&g->lock);
	copied = copy_list(g->events, false, to);
	pthread_mutex_unlock(&g->lock);
	return copied;
}

bool event_nodes_adopt(struct graph *g, const struct event_node *child)
{
	bool copied;

	pthread_mutex_lock(&g->lock);
	copied = copy_list(child, true, &g->events);
	pthread_mutex_unlock(&g->lock);
	return copied;
}

bool event_nodes_update(struct graph_exec *x, struct graph *g, bool try)
{
	const struct event_node *from;
	struct event_node *n = x->events;

	pthread_mutex_lock(&g->lock);
	for (from = g->events; from && n && from->type == n->type; from = from->next, n = n->next)
		n->event = try ? n->event : from->event;
	pthread_mutex_unlock(&g->lock);
	return !from && !n;
}

/* ---- launches ---- */

/* Nothing is sent for a launch that cannot be made as a whole. */
static int check(const struct event_node *n, const struct target *t)
{
	const struct event *e = object_find(PVGPU_H_EVENT, n->event);

	if (!e)
		return CUDA_ERROR_INVALID_HANDLE;
	if (n->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
		return e->o.ctx == t->ctx ? 0 : CUDA_ERROR_INVALID_HANDLE;
	return atomic_load(&e->capture) ? CUDA_ERROR_CAPTURED_EVENT : 0;
}

int event_nodes_before(const struct event_node *list, const struct target *t)
{
	int r = 0;

	for (const struct event_node *n = list; n && !r; n = n->next)
		r = check(n, t);
	for (const struct event_node *n = list; n && !r; n = n->next) {
		struct event *e = object_find(PVGPU_H_EVENT, n->event);

		if (e && n->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT &&
		    (e->shared || atomic_load(&e->records)))
			r = event_wait(e, t);
	}
	return r;
}

int event_nodes_behind(const struct event_node *list, const struct target *t)
{
	int r = 0;

	for (const struct event_node *n = list; n && !r; n = n->next) {
		struct event *e = object_find(PVGPU_H_EVENT, n->event);

		if (e && n->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
			r = event_record(e, t, true);
	}
	return r;
}

/* ---- making and changing them ---- */

static int add(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count,
	       CUgraphNodeType type, CUevent event, uint32_t *number)
{
	struct event_node *n = malloc(sizeof(*n));
	int r = n ? graph_add_empty(c, g, deps, count, number) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r) {
		free(n);
		return r;
	}
	*n = (struct event_node){.number = *number, .type = type, .event = event};
	pthread_mutex_lock(&g->lock);
	n->next = g->events;
	g->events = n;
	pthread_mutex_unlock(&g->lock);
	return 0;
}

int graph_event_captured(const struct target *t, CUgraphNodeType type, CUevent event)
{
	uint32_t deps[PVGPU_GRAPH_DEPS_MAX], count, number = 0;
	struct graph *g = capture_graph(t);
	int r;

	if (!g)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (g->parent)
		return capture_refuse(t);
	r = capture_deps(t, g, deps, &count);
	if (!r)
		r = add(t->ctx, g, deps, count, type, event, &number);
	return r ? r : capture_set_deps(t, g, CU_STREAM_SET_CAPTURE_DEPENDENCIES, &number, 1);
}

static int add_node(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraphNodeType type, CUevent event)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], number = 0;
	struct graph *g;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	g = graph_find(graph);
	if (!g || !node)
		return CUDA_ERROR_INVALID_VALUE;
	if (g->parent)
		return CUDA_ERROR_NOT_SUPPORTED; /* launches of the graph around it would not see it
						  */
	r = node_numbers(g, deps, count, numbers);
	if (!r && !object_find(PVGPU_H_EVENT, event))
		r = CUDA_ERROR_INVALID_HANDLE;
	if (!r)
		r = add(c, g, numbers, (uint32_t)count, type, event, &number);
	if (!r)
		*node = node_handle(g, number);
	return r;
}

/* The node in its graph, or in an instance of it; event: what it is given, or NULL. */
static int find(CUgraphNode node, CUgraphNodeType type, struct graph_exec *x, CUevent event,
		CUevent *out)
{
	struct event_node *n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	const int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (event && !object_find(PVGPU_H_EVENT, event))
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&g->lock);
	n = node_of(x ? x->events : g->events, number);
	if (n && n->type == type && event)
		n->event = event;
	if (n && n->type == type && out)
		*out = n->event;
	pthread_mutex_unlock(&g->lock);
	return n && n->type == type && (event || out) ? 0 : CUDA_ERROR_INVALID_VALUE;
}

static int set(CUgraphNode node, CUgraphNodeType type, struct graph_exec *x, CUevent event)
{
	return event ? find(node, type, x, event, NULL) : CUDA_ERROR_INVALID_HANDLE;
}

static int set_exec(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type, CUevent event)
{
	const int r = guest_enter();
	struct graph_exec *x = r ? NULL : exec_find(exec);

	if (r)
		return r;
	return x ? set(node, type, x, event) : CUDA_ERROR_INVALID_VALUE;
}

#define CALLS(name, type)                                                                          \
	PUBLIC CUresult cuGraphAdd##name##Node(CUgraphNode *node, CUgraph graph,                   \
					       const CUgraphNode *deps, size_t count,              \
					       CUevent event)                                      \
	{                                                                                          \
		return add_node(node, graph, deps, count, type, event);                            \
	}                                                                                          \
	PUBLIC CUresult cuGraph##name##NodeGetEvent(CUgraphNode node, CUevent *event)              \
	{                                                                                          \
		return find(node, type, NULL, NULL, event);                                        \
	}                                                                                          \
	PUBLIC CUresult cuGraph##name##NodeSetEvent(CUgraphNode node, CUevent event)               \
	{                                                                                          \
		return set(node, type, NULL, event);                                               \
	}                                                                                          \
	PUBLIC CUresult cuGraphExec##name##NodeSetEvent(CUgraphExec exec, CUgraphNode node,        \
							CUevent event)                             \
	{                                                                                          \
		return set_exec(exec, node, type, event);                                          \
	}

CALLS(EventRecord, CU_GRAPH_NODE_TYPE_EVENT_RECORD)
CALLS(EventWait, CU_GRAPH_NODE_TYPE_WAIT_EVENT)
