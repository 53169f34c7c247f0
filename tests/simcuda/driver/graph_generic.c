/* SPDX-License-Identifier: MIT */
/* Nodes of any kind by one structure. */
#include "tests/simcuda/driver/graph.h"

static CUresult check(const CUgraphNodeParams *p, const CUgraphEdgeData *edges, size_t count)
{
	if (!p || p->reserved0[0] || p->reserved0[1] || p->reserved0[2] || p->reserved2)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; edges && i < count; i++) {
		if (edges[i].to_port ||
		    (edges[i].from_port == CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC &&
		     edges[i].type != CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC))
			return CUDA_ERROR_INVALID_VALUE;
		if (edges[i].from_port || edges[i].type)
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	return CUDA_SUCCESS;
}

/* The first revision has no context. */
static CUDA_MEMSET_NODE_PARAMS fill_of(const CUgraphNodeParams *p)
{
	const CUDA_MEMSET_NODE_PARAMS_v2 *f = &p->memset;

	return (CUDA_MEMSET_NODE_PARAMS){f->dst,         f->pitch, f->value,
					 f->elementSize, f->width, f->height};
}

static CUresult add_graph(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t n,
			  const CUDA_CHILD_GRAPH_NODE_PARAMS *p)
{
	if (p->ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE)
		return graph_move(node, graph, deps, n, p->graph);
	return p->ownership ? CUDA_ERROR_INVALID_VALUE
			    : cuGraphAddChildGraphNode(node, graph, deps, n, p->graph);
}

API(cuGraphAddNode_v2, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
    const CUgraphEdgeData *edges, size_t n, CUgraphNodeParams *p)
{
	CUDA_MEMSET_NODE_PARAMS fill;

	ENTER();
	TRY(check(p, edges, n));
	if (p->type == CU_GRAPH_NODE_TYPE_KERNEL)
		return cuGraphAddKernelNode_v2(node, graph, deps, n, &p->kernel);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMCPY)
		return cuGraphAddMemcpyNode(node, graph, deps, n, &p->memcpy.copyParams,
					    p->memcpy.copyCtx);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMSET) {
		fill = fill_of(p);
		return cuGraphAddMemsetNode(node, graph, deps, n, &fill, p->memset.ctx);
	}
	if (p->type == CU_GRAPH_NODE_TYPE_HOST)
		return cuGraphAddHostNode(node, graph, deps, n, &p->host);
	if (p->type == CU_GRAPH_NODE_TYPE_GRAPH)
		return add_graph(node, graph, deps, n, &p->graph);
	if (p->type == CU_GRAPH_NODE_TYPE_EMPTY)
		return cuGraphAddEmptyNode(node, graph, deps, n);
	if (p->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
		return cuGraphAddEventWaitNode(node, graph, deps, n, p->eventWait.event);
	if (p->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
		return cuGraphAddEventRecordNode(node, graph, deps, n, p->eventRecord.event);
	if (p->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
		return cuGraphAddMemAllocNode(node, graph, deps, n, &p->alloc);
	if (p->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
		return cuGraphAddMemFreeNode(node, graph, deps, n, p->free.dptr);
	if (p->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
		return cuGraphAddBatchMemOpNode(node, graph, deps, n, &p->memOp);
	return (unsigned int)p->type >= CU_GRAPH_NODE_TYPE_CONDITIONAL ? CUDA_ERROR_INVALID_VALUE
								       : CUDA_ERROR_NOT_SUPPORTED;
}

/* The parameters are of a kind that has none to be changed. */
static CUresult unchangeable(CUgraphNode node, CUgraphNodeType type)
{
	struct sim_node *n;

	TRY(node_get(node, &n));
	return n->type == type ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphAddNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t n,
    CUgraphNodeParams *p)
{
	return cuGraphAddNode_v2(node, graph, deps, NULL, n, p);
}

API(cuGraphNodeSetParams, CUgraphNode node, CUgraphNodeParams *p)
{
	CUDA_MEMSET_NODE_PARAMS fill;

	ENTER();
	TRY(check(p, NULL, 0));
	if (p->type == CU_GRAPH_NODE_TYPE_KERNEL)
		return cuGraphKernelNodeSetParams_v2(node, &p->kernel);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMCPY)
		return cuGraphMemcpyNodeSetParams(node, &p->memcpy.copyParams);
	if (p->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
		return cuGraphEventWaitNodeSetEvent(node, p->eventWait.event);
	if (p->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
		return cuGraphEventRecordNodeSetEvent(node, p->eventRecord.event);
	if (p->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
		return cuGraphBatchMemOpNodeSetParams(node, &p->memOp);
	fill = fill_of(p);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMSET)
		return cuGraphMemsetNodeSetParams(node, &fill);
	return p->type == CU_GRAPH_NODE_TYPE_HOST ? cuGraphHostNodeSetParams(node, &p->host)
						  : unchangeable(node, p->type);
}

API(cuGraphExecNodeSetParams, CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *p)
{
	CUDA_MEMSET_NODE_PARAMS fill;

	ENTER();
	TRY(check(p, NULL, 0));
	if (p->type == CU_GRAPH_NODE_TYPE_KERNEL)
		return cuGraphExecKernelNodeSetParams_v2(exec, node, &p->kernel);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMCPY)
		return cuGraphExecMemcpyNodeSetParams(exec, node, &p->memcpy.copyParams,
						      p->memcpy.copyCtx);
	if (p->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
		return cuGraphExecBatchMemOpNodeSetParams(exec, node, &p->memOp);
	if (p->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
		return cuGraphExecEventWaitNodeSetEvent(exec, node, p->eventWait.event);
	if (p->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
		return cuGraphExecEventRecordNodeSetEvent(exec, node, p->eventRecord.event);
	if (p->type == CU_GRAPH_NODE_TYPE_GRAPH)
		return cuGraphExecChildGraphNodeSetParams(exec, node, p->graph.graph);
	fill = fill_of(p);
	if (p->type == CU_GRAPH_NODE_TYPE_MEMSET)
		return cuGraphExecMemsetNodeSetParams(exec, node, &fill, p->memset.ctx);
	return p->type == CU_GRAPH_NODE_TYPE_HOST
		       ? cuGraphExecHostNodeSetParams(exec, node, &p->host)
		       : unchangeable(node, p->type);
}
