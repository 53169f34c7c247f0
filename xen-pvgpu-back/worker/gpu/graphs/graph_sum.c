/* SPDX-License-Identifier: MIT */
/*
 * How much a graph is. A command that names a graph, as the child of a node or for a copy, makes as
 * many nodes as that graph has, and a launch runs all of them. So nodes are counted with those of
 * child graphs, they have an upper limit in each graph and in the session, and an instance knows
 * what a launch of it costs. The far end is asked: it knows captured nodes, too.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_add_overflow(a, b, &n) ? UINT64_MAX : n;
}

uint64_t graph_copy_bytes(const CUDA_MEMCPY3D *c)
{
	uint64_t n;

	return __builtin_mul_overflow((uint64_t)c->WidthInBytes, (uint64_t)c->Height, &n) ||
			       __builtin_mul_overflow(n, (uint64_t)c->Depth, &n)
		       ? UINT64_MAX
		       : n;
}

/* ---- what the nodes of an instance copy ---- */

static struct copy_node *place_of(const struct copies *c, CUgraphNode node)
{
	uint32_t i = (uint32_t)((uintptr_t)node * 0x9e3779b97f4a7c15ull >> 32) & (c->room - 1);

	while (c->of[i].node && c->of[i].node != node)
		i = (i + 1) & (c->room - 1);
	return &c->of[i];
}

static bool copies_grow(struct copies *c)
{
	struct copies more = {.count = c->count, .room = c->room ? 2 * c->room : 16};

	more.of = calloc(more.room, sizeof(*more.of));
	if (!more.of)
		return false;
	for (uint32_t i = 0; i < c->room; i++) {
		if (c->of[i].node)
			*place_of(&more, c->of[i].node) = c->of[i];
	}
	free(c->of);
	*c = more;
	return true;
}

/* Returns what it copied before, and 0 when that is not known. */
static uint64_t copies_set(struct copies *c, CUgraphNode node, uint64_t bytes)
{
	struct copy_node *at;
	uint64_t before;

	if (2 * (c->count + 1) > c->room && !copies_grow(c))
		return 0;
	at = place_of(c, node);
	before = at->node ? at->bytes : 0;
	c->count += !at->node;
	*at = (struct copy_node){.node = node, .bytes = bytes};
	return before;
}

void graph_exec_copies(struct graph_exec *x, CUgraphNode node, uint64_t bytes)
{
	const uint64_t before = copies_set(&x->copies, node, bytes);

	if (x->sum.bytes != UINT64_MAX) /* else it stays at the most */
		x->sum.bytes = sum_of(x->sum.bytes - before, bytes);
}

/* ---- sums ---- */

static int add_node(const struct far *far, CUgraphNode node, uint32_t depth, struct graph_sum *to,
		    struct copies *copies)
{
	CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
	CUDA_BATCH_MEM_OP_NODE_PARAMS ops = {0};
	CUDA_MEMCPY3D copy = {0};
	CUgraph child = NULL;
	int r = (int)far->cuGraphNodeGetType(node, &type);

	if (r)
		return r;
	to->nodes++;
	switch (type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
	case CU_GRAPH_NODE_TYPE_MEMSET:
		to->commands++;
		return 0;
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		to->commands++;
		r = (int)far->cuGraphMemcpyNodeGetParams(node, &copy);
		if (r)
			return r;
		to->bytes = sum_of(to->bytes, graph_copy_bytes(&copy));
		if (copies)
			copies_set(copies, node, graph_copy_bytes(&copy));
		return 0;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		to->commands++;
		r = (int)far->cuGraphBatchMemOpNodeGetParams(node, &ops);
		for (unsigned int i = 0; i < ops.count && !r; i++)
			to->waits +=
				ops.paramArray[i].operation == CU_STREAM_MEM_OP_WAIT_VALUE_32 ||
				ops.paramArray[i].operation == CU_STREAM_MEM_OP_WAIT_VALUE_64;
		return r;
	case CU_GRAPH_NODE_TYPE_GRAPH:
		if (!far->cuGraphChildGraphNodeGetGraph)
			return CUDA_ERROR_NOT_SUPPORTED;
		r = (int)far->cuGraphChildGraphNodeGetGraph(node, &child);
		return r ? r : graph_sum(far, child, depth + 1, to, copies);
	default:
		return 0;
	}
}

int graph_sum(const struct far *far, CUgraph gr, uint32_t depth, struct graph_sum *to,
	      struct copies *copies)
{
	CUgraphNode *list;
	size_t n = 0;
	int r;

	if (depth > GRAPH_DEPTH_MAX)
		return CUDA_ERROR_NOT_SUPPORTED;
	to->depth = depth > to->depth ? depth : to->depth;
	r = (int)far->cuGraphGetNodes(gr, NULL, &n);
	if (r || !n)
		return r;
	list = calloc(n, sizeof(*list));
	if (!list)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)far->cuGraphGetNodes(gr, list, &n);
	for (size_t i = 0; i < n && !r; i++)
		r = add_node(far, list[i], depth, to, copies);
	free(list);
	return r;
}

int graph_node_sum(const struct far *far, CUgraphNode node, struct graph_sum *to)
{
	return add_node(far, node, 0, to, NULL);
}

/* ---- limits ---- */

static struct graph *outermost(struct graph *gr)
{
	while (gr->parent)
		gr = gr->parent;
	return gr;
}

int graph_nodes_take(struct gpu *g, struct graph *gr, uint64_t n)
{
	struct graph *all = gr ? outermost(gr) : NULL;

	if (n > GRAPH_NODES_SESSION || (all && all->nodes + n > PVGPU_GRAPH_NODES_MAX))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (atomic_fetch_add(&g->graph_nodes, n) + n > GRAPH_NODES_SESSION) {
		atomic_fetch_sub(&g->graph_nodes, n);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (all)
		all->nodes += n;
	return 0;
}

void graph_nodes_give(struct gpu *g, struct graph *gr, uint64_t n)
{
	if (gr)
		outermost(gr)->nodes -= n;
	atomic_fetch_sub(&g->graph_nodes, n);
}

/* Graphs that are too many are not walked through: a refusal costs nothing. */
static bool fits(struct gpu *g, const struct graph *in, const struct graph *gr)
{
	const uint64_t n = gr->parent ? 0 : gr->nodes; /* of one inside it is not kept */

	return (!in || in->nodes + n <= PVGPU_GRAPH_NODES_MAX) &&
	       atomic_load(&g->graph_nodes) + n <= GRAPH_NODES_SESSION;
}

int graph_copy_take(struct gpu *g, struct graph *to, const struct graph *gr, uint64_t *nodes)
{
	struct graph_sum sum = {0};
	int r = fits(g, NULL, gr) ? graph_sum(g->far, gr->far, 0, &sum, NULL)
				  : CUDA_ERROR_OUT_OF_MEMORY;

	*nodes = sum.nodes;
	return r ? r : graph_nodes_take(g, to, sum.nodes);
}

int graph_child_take(struct gpu *g, struct graph *gr, const struct graph *child, uint64_t *nodes)
{
	struct graph_sum sum = {0};
	uint32_t depth = 1;
	int r;

	if (!fits(g, outermost(gr), child))
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (const struct graph *p = gr; p->parent; p = p->parent)
		depth++;
	r = graph_sum(g->far, child->far, depth, &sum, NULL);
	*nodes = 1 + sum.nodes;
	return r ? r : graph_nodes_take(g, gr, *nodes);
}

void graph_recount(struct gpu *g, struct graph *gr)
{
	struct graph_sum sum = {0};

	if (graph_sum(g->far, gr->far, 0, &sum, NULL))
		return;
	atomic_fetch_add(&g->graph_nodes, sum.nodes - gr->nodes);
	gr->nodes = sum.nodes;
}
