/* SPDX-License-Identifier: MIT */
/* Nodes by one structure for all kinds: each goes to the call of its kind. */
#include "cuda/core/context.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include "pvgpu_wire.h"

_Static_assert(sizeof(CUgraphNodeParams) == 256, "the size of a node's parameters");

/* Unused bytes must be zero: later releases give them a meaning. */
static int check(const CUgraphNodeParams *p)
{
	if (!p || p->reserved0[0] || p->reserved0[1] || p->reserved0[2] || p->reserved2)
		return CUDA_ERROR_INVALID_VALUE;
	return 0;
}

static CUDA_MEMSET_NODE_PARAMS narrow(const CUDA_MEMSET_NODE_PARAMS_v2 *p)
{
	return (CUDA_MEMSET_NODE_PARAMS){.dst = p->dst,
					 .pitch = p->pitch,
					 .value = p->value,
					 .elementSize = p->elementSize,
					 .width = p->width,
					 .height = p->height};
}

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraphNodeParams *p)
{
	CUDA_MEMSET_NODE_PARAMS fill;

	switch (p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return cuGraphAddKernelNode_v2(node, graph, deps, count, &p->kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cuGraphAddMemcpyNode(node, graph, deps, count, &p->memcpy.copyParams,
					    p->memcpy.copyCtx);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		fill = narrow(&p->memset);
		return cuGraphAddMemsetNode(node, graph, deps, count, &fill, p->memset.ctx);
	case CU_GRAPH_NODE_TYPE_HOST:
		return cuGraphAddHostNode(node, graph, deps, count, &p->host);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		switch (p->graph.ownership) {
		case CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE:
			return cuGraphAddChildGraphNode(node, graph, deps, count, p->graph.graph);
		case CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE:
			return (CUresult)graph_move(node, graph, deps, count, p->graph.graph);
		default:
			return CUDA_ERROR_INVALID_VALUE;
		}
	case CU_GRAPH_NODE_TYPE_EMPTY:
		return cuGraphAddEmptyNode(node, graph, deps, count);
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return cuGraphAddEventWaitNode(node, graph, deps, count, p->eventWait.event);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return cuGraphAddEventRecordNode(node, graph, deps, count, p->eventRecord.event);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		return cuGraphAddMemAllocNode(node, graph, deps, count, &p->alloc);
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return cuGraphAddMemFreeNode(node, graph, deps, count, p->free.dptr);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return cuGraphAddBatchMemOpNode(node, graph, deps, count, &p->memOp);
	default:
		/* A conditional node's handle can be none that was given out. */
		return (unsigned int)p->type >= CU_GRAPH_NODE_TYPE_CONDITIONAL
			       ? CUDA_ERROR_INVALID_VALUE
			       : CUDA_ERROR_NOT_SUPPORTED;
	}
}

/* The parameters are of a kind that has none to be changed. */
static CUresult unchangeable(CUgraphNode node, CUgraphNodeType type)
{
	CUgraphNodeType is = CU_GRAPH_NODE_TYPE_EMPTY;
	const CUresult r = cuGraphNodeGetType(node, &is);

	if (r)
		return r;
	return is == type ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				  const CUgraphEdgeData *edges, size_t count,
				  CUgraphNodeParams *params)
{
	int r = guest_enter();

	if (!r)
		r = check(params);
	if (!r)
		r = edges_check(edges, count);
	return r ? (CUresult)r : add(node, graph, deps, count, params);
}

PUBLIC CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
			       size_t count, CUgraphNodeParams *params)
{
	return cuGraphAddNode_v2(node, graph, deps, NULL, count, params);
}

PUBLIC CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
	CUDA_MEMSET_NODE_PARAMS fill;
	int r = guest_enter();

	if (!r)
		r = check(params);
	if (r)
		return r;
	switch (params->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return cuGraphKernelNodeSetParams_v2(node, &params->kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cuGraphMemcpyNodeSetParams(node, &params->memcpy.copyParams);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		fill = narrow(&params->memset);
		return cuGraphMemsetNodeSetParams(node, &fill);
	case CU_GRAPH_NODE_TYPE_HOST:
		return cuGraphHostNodeSetParams(node, &params->host);
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return cuGraphEventWaitNodeSetEvent(node, params->eventWait.event);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return cuGraphEventRecordNodeSetEvent(node, params->eventRecord.event);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return cuGraphBatchMemOpNodeSetParams(node, &params->memOp);
	default:
		return unchangeable(node, params->type);
	}
}

PUBLIC CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
					 CUgraphNodeParams *params)
{
	CUDA_MEMSET_NODE_PARAMS fill;
	int r = guest_enter();

	if (!r)
		r = check(params);
	if (r)
		return r;
	switch (params->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return cuGraphExecKernelNodeSetParams_v2(exec, node, &params->kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cuGraphExecMemcpyNodeSetParams(exec, node, &params->memcpy.copyParams,
						      params->memcpy.copyCtx);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		fill = narrow(&params->memset);
		return cuGraphExecMemsetNodeSetParams(exec, node, &fill, params->memset.ctx);
	case CU_GRAPH_NODE_TYPE_HOST:
		return cuGraphExecHostNodeSetParams(exec, node, &params->host);
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return cuGraphExecEventWaitNodeSetEvent(exec, node, params->eventWait.event);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return cuGraphExecEventRecordNodeSetEvent(exec, node, params->eventRecord.event);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return cuGraphExecBatchMemOpNodeSetParams(exec, node, &params->memOp);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return cuGraphExecChildGraphNodeSetParams(exec, node, params->graph.graph);
	default:
		return unchangeable(node, params->type);
	}
}
