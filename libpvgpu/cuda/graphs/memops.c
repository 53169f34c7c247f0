/* SPDX-License-Identifier: MIT */
/* Nodes of memory operations. */
#include "cuda/copy/memops.h"
#include "cuda/core/context.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"
#include "cuda/graphs/node.h"

#include <pthread.h>

#include "link/session.h"

static int from(const struct ctx *c, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, struct wire_node *n)
{
	n->is = (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	n->len = p->count * (uint32_t)sizeof(struct pvgpu_mem_op);
	return memops_to_wire(c, p->count, p->paramArray, p->flags,
			      (struct pvgpu_mem_op *)(void *)n->params, NULL);
}

PUBLIC CUresult cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
					 size_t count, const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
	struct wire_node n;
	struct addition p;
	int r = node_place(node, graph, deps, count, &p);

	if (!r)
		r = from(p.ctx, params, &n);
	return r ? r : node_add(node, &p, &n);
}

PUBLIC CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node,
					       const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
	struct wire_node n;
	struct ctx *c;
	int r = node_current(node, &c);

	if (!r)
		r = from(c, params, &n);
	return r ? r : node_set(node, &n);
}

PUBLIC CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
						   const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
	struct wire_node n;
	struct ctx *c;
	int r = node_current(node, &c);

	if (!r)
		r = from(c, params, &n);
	return r ? r : node_set_exec(exec, node, &n);
}

/* The array is the graph's, and stays until the node is asked again. */
PUBLIC CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node,
					       CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
	CUstreamBatchMemOpParams *ops = NULL;
	struct node_cache *k;
	struct wire_node n;
	struct graph *g;
	uint32_t number, count;
	int r = node_get(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, params, &g, &number, &n);

	if (r)
		return r;
	count = n.len / (uint32_t)sizeof(struct pvgpu_mem_op);
	if (!count || count > PVGPU_MEM_OPS_MAX)
		return pvgpu_broken(session(), "the worker described a graph's node wrongly");
	pthread_mutex_lock(&g->lock);
	k = node_cache(g, number, count * sizeof(*ops));
	if (k && k->packed) {
		ops = (CUstreamBatchMemOpParams *)(void *)k->packed;
		memops_from_wire(count, (const struct pvgpu_mem_op *)(const void *)n.params, ops);
	}
	pthread_mutex_unlock(&g->lock);
	if (!ops)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*params = (CUDA_BATCH_MEM_OP_NODE_PARAMS){.count = count, .paramArray = ops};
	return cuCtxGetCurrent(&params->ctx);
}
