/* SPDX-License-Identifier: MIT */
/* Nodes that record events and wait for them. */
#include "tests/simcuda/driver/graph.h"

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraphNodeType type, CUevent event)
{
	ENTER();
	TRY(event_valid(event));
	TRY(graph_add_node(node, graph, deps, count, type));
	((struct sim_node *)*node)->event = event;
	return CUDA_SUCCESS;
}

static CUresult of_type(CUgraphNode node, CUgraphNodeType type, struct sim_node **n)
{
	ENTER();
	TRY(node_get(node, n));
	return (*n)->type == type ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult get(CUgraphNode node, CUgraphNodeType type, CUevent *event)
{
	struct sim_node *n;

	TRY(of_type(node, type, &n));
	if (!event)
		return CUDA_ERROR_INVALID_VALUE;
	*event = n->event;
	return CUDA_SUCCESS;
}

static CUresult set(CUgraphNode node, CUgraphNodeType type, CUevent event)
{
	struct sim_node *n;

	TRY(of_type(node, type, &n));
	TRY(event_valid(event));
	n->event = event;
	return CUDA_SUCCESS;
}

static CUresult set_exec(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type, CUevent event)
{
	struct sim_node *n;

	TRY(graph_in_exec(exec, node, type, &n));
	TRY(event_valid(event));
	n->event = event;
	return CUDA_SUCCESS;
}

#define CALLS(name, type)                                                                          \
	API(cuGraphAdd##name##Node, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,     \
	    size_t count, CUevent event)                                                           \
	{                                                                                          \
		return add(node, graph, deps, count, type, event);                                 \
	}                                                                                          \
	API(cuGraph##name##NodeGetEvent, CUgraphNode node, CUevent *event)                         \
	{                                                                                          \
		return get(node, type, event);                                                     \
	}                                                                                          \
	API(cuGraph##name##NodeSetEvent, CUgraphNode node, CUevent event)                          \
	{                                                                                          \
		return set(node, type, event);                                                     \
	}                                                                                          \
	API(cuGraphExec##name##NodeSetEvent, CUgraphExec exec, CUgraphNode node, CUevent event)    \
	{                                                                                          \
		return set_exec(exec, node, type, event);                                          \
	}

CALLS(EventRecord, CU_GRAPH_NODE_TYPE_EVENT_RECORD)
CALLS(EventWait, CU_GRAPH_NODE_TYPE_WAIT_EVENT)
