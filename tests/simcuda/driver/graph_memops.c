/* SPDX-License-Identifier: MIT */
/* Nodes of memory operations. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

#define OPS_MOST 255

bool memops_copy(const struct sim_node *from, struct sim_node *to)
{
	if (!from->memops)
		return true;
	to->memop = malloc(from->memops * sizeof(*to->memop));
	if (!to->memop)
		return false;
	memcpy(to->memop, from->memop, from->memops * sizeof(*to->memop));
	to->memops = from->memops;
	return true;
}

static CUresult check(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	CURRENT(ctx);
	if (!p || !p->count || p->count > OPS_MOST || !p->paramArray || p->flags)
		return CUDA_ERROR_INVALID_VALUE;
	return memops_run(ctx->legacy, p->paramArray, p->count, false);
}

static CUresult take(struct sim_node *n, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	const struct sim_node from = {.memop = p->paramArray, .memops = p->count};
	CUstreamBatchMemOpParams *old = n->memop;

	if (!memops_copy(&from, n))
		return CUDA_ERROR_OUT_OF_MEMORY;
	free(old);
	return CUDA_SUCCESS;
}

API(cuGraphAddBatchMemOpNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
    size_t count, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	ENTER();
	TRY(check(p));
	TRY(graph_add_node(node, graph, deps, count, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP));
	return take((struct sim_node *)*node, p);
}

API(cuGraphBatchMemOpNodeGetParams, CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (n->type != CU_GRAPH_NODE_TYPE_BATCH_MEM_OP || !p)
		return CUDA_ERROR_INVALID_VALUE;
	*p = (CUDA_BATCH_MEM_OP_NODE_PARAMS){.count = n->memops, .paramArray = n->memop};
	return cuCtxGetCurrent(&p->ctx);
}

API(cuGraphBatchMemOpNodeSetParams, CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (n->type != CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(p));
	return take(n, p);
}

API(cuGraphExecBatchMemOpNodeSetParams, CUgraphExec exec, CUgraphNode node,
    const CUDA_BATCH_MEM_OP_NODE_PARAMS *p)
{
	struct sim_node *n;

	ENTER();
	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, &n));
	TRY(check(p));
	return take(n, p);
}
