/* SPDX-License-Identifier: MIT */
/*
 * Graphs inside of nodes. The far end's is its node's, so each use asks whether the node is there
 * (graph_alive). Two handles of one graph would let a node that is removed by the one be used by
 * the other: a node gives one.
 */
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The node that a handle is asked of. */
static int of_node(struct gpu *g, struct graph *gr, struct ctx *c, uint32_t number,
		   CUgraphNode *node)
{
	const int r = graph_usable(gr, c);

	if (r)
		return r;
	*node = graph_node(gr, number);
	if (!*node)
		return CUDA_ERROR_INVALID_VALUE;
	for (const struct graph *k = gr->children; k; k = k->sibling) {
		if (k->in_node == number)
			return CUDA_ERROR_INVALID_HANDLE;
	}
	return g->far->cuGraphChildGraphNodeGetGraph ? 0 : CUDA_ERROR_NOT_SUPPORTED;
}

int handle_graph_child(struct worker *w, const struct pvgpu_in_graph_child *in,
		       struct pvgpu_out_graph_child *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph, *child;
	CUgraphNode node;
	CUgraph far = NULL;
	int err, r = of_node(g, gr, in->ctx, in->node, &node);

	if (!r)
		r = (int)g->far->cuGraphChildGraphNodeGetGraph(node, &far);
	if (r)
		return r;
	child = obj_new(g, PVGPU_H_GRAPH, in->child_h, sizeof(*child), NULL, NULL, &err);
	if (!child)
		return err;
	child->far = far;
	child->parent = obj_ref(gr);
	child->in_node = in->node;
	child->sibling = gr->children;
	gr->children = child;
	obj_ready(child, 0);
	return 0;
}

static bool around(const struct graph *one, const struct graph *gr)
{
	while (gr && gr != one)
		gr = gr->parent;
	return gr != NULL;
}

/* It counts as the parent's from here on. */
static void adopt(struct gpu *g, struct graph *gr, uint32_t number, struct graph *child)
{
	graph_nodes_give(g, child, child->nodes);
	child->parent = obj_ref(gr);
	child->in_node = number;
	child->sibling = gr->children;
	gr->children = child;
}

int handle_graph_move(struct worker *w, const struct pvgpu_in_graph_move *in,
		      struct pvgpu_out_graph_move *out)
{
	CUgraphNode deps[PVGPU_GRAPH_DEPS_MAX], node;
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph, *child = in->child;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
	int r = graph_usable(gr, in->ctx);
	uint64_t more = 0;
	uint32_t n = 0;

	if (!r)
		r = graph_error(child);
	if (!r && (child->parent || around(child, gr)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r && !g->far->cuGraphAddNode_v2)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r)
		r = graph_deps(gr, in->deps, in->deps_len, deps, &n);
	if (!r && gr->count >= PVGPU_GRAPH_NODES_MAX)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!r)
		r = graph_child_take(g, gr, child, &more);
	if (r)
		return r;
	p.graph.graph = child->far;
	p.graph.ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;
	r = (int)g->far->cuGraphAddNode_v2(&node, gr->far, n ? deps : NULL, NULL, n, &p);
	if (r) {
		graph_nodes_give(g, gr, more);
		return r;
	}
	r = graph_number(gr, node, &out->node);
	/* A node without a number cannot be asked for the graph: it is the far end's alone. */
	adopt(g, gr, r ? UINT32_MAX : out->node, child);
	return r;
}

void graph_child_forget(struct graph *gr)
{
	struct graph **at;

	if (!gr->parent)
		return;
	at = &gr->parent->children;
	while (*at && *at != gr)
		at = &(*at)->sibling;
	if (*at)
		*at = gr->sibling;
}

int handle_graph_exec_child(struct worker *w, const struct pvgpu_in_graph_exec_child *in,
			    struct pvgpu_out_graph_exec_child *out)
{
	struct graph_exec *x = in->exec;
	struct graph *gr = in->graph, *child = in->child;
	const struct far *far = worker_gpu(w)->far;
	int r = graph_usable(gr, in->ctx);
	struct graph_sum sum = {0};
	CUgraphNode node;

	if (!r)
		r = graph_error(child);
	if (!r)
		r = obj_error(x);
	if (r)
		return r;
	if (!far->cuGraphExecChildGraphNodeSetParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	node = graph_node(gr, in->node);
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_sum(far, child->far, 1, &sum, NULL);
	if (!r)
		r = (int)far->cuGraphExecChildGraphNodeSetParams(x->far, node, child->far);
	if (!r)
		graph_exec_copies(x, node, sum.bytes);
	return r;
}
