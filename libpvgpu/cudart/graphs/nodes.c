/* SPDX-License-Identifier: MIT */
/* Nodes of graphs, but for copies: kernels, fills, host functions, events, child graphs, memory. */
#include "cudart/graphs/graph.h"

/* The driver's form of a kernel node. */
struct driver_kernel {
	CUfunction fn;
	unsigned int grid[3], block[3], shared;
	void **params, **extra;
	CUkernel kernel;
	CUcontext ctx;
};

_Static_assert(sizeof(struct driver_kernel) == 72, "the driver's size");

/* A function that is no kernel of the program's is taken as the driver's, as a getter gave it. */
static cudaError_t to_driver(const struct cudaKernelNodeParams *p, struct driver_kernel *d)
{
	cudaError_t e = rt_enter();
	CUfunction fn;
	CUresult r;

	if (e || !p)
		return e ? e : cudaErrorInvalidValue;
	r = rt_function(p->func, &fn, &e);
	if (e == cudaErrorInvalidDeviceFunction && p->func)
		fn = p->func;
	else if (r)
		return e ? e : rt_error(r);
	*d = (struct driver_kernel){
		.fn = fn,
		.grid = {p->gridDim.x, p->gridDim.y, p->gridDim.z},
		.block = {p->blockDim.x, p->blockDim.y, p->blockDim.z},
		.shared = p->sharedMemBytes,
		.params = p->kernelParams,
		.extra = p->extra,
	};
	return cudaSuccess;
}

RT_API(cudaGraphAddKernelNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, const struct cudaKernelNodeParams *params)
{
	struct driver_kernel d;
	const cudaError_t e = to_driver(params, &d);

	return rt_fail(
		e ? e
		  : rt_error(rt_cu.cuGraphAddKernelNode_v2(node, graph, dependencies, count, &d)));
}

RT_API(cudaGraphKernelNodeGetParams, cudaGraphNode_t node, struct cudaKernelNodeParams *params)
{
	struct driver_kernel d = {0};
	CUresult r;

	RT_ENTER();
	if (!params)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuGraphKernelNodeGetParams_v2(node, &d);
	if (!r)
		*params = (struct cudaKernelNodeParams){
			.func = (void *)(uintptr_t)rt_kernel_host(d.kernel, d.fn),
			.gridDim = {d.grid[0], d.grid[1], d.grid[2]},
			.blockDim = {d.block[0], d.block[1], d.block[2]},
			.sharedMemBytes = d.shared,
			.kernelParams = d.params,
			.extra = d.extra,
		};
	return rt_result(r);
}

RT_API(cudaGraphKernelNodeSetParams, cudaGraphNode_t node,
       const struct cudaKernelNodeParams *params)
{
	struct driver_kernel d;
	const cudaError_t e = to_driver(params, &d);

	return rt_fail(e ? e : rt_error(rt_cu.cuGraphKernelNodeSetParams_v2(node, &d)));
}

RT_API(cudaGraphExecKernelNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       const struct cudaKernelNodeParams *params)
{
	struct driver_kernel d;
	const cudaError_t e = to_driver(params, &d);

	return rt_fail(e ? e : rt_error(rt_cu.cuGraphExecKernelNodeSetParams_v2(exec, node, &d)));
}

RT_API(cudaGraphKernelNodeCopyAttributes, cudaGraphNode_t dst, cudaGraphNode_t src)
{
	RT_THROUGH(cuGraphKernelNodeCopyAttributes(dst, src));
}

RT_API(cudaGraphKernelNodeGetAttribute, cudaGraphNode_t node, cudaKernelNodeAttrID attr,
       cudaKernelNodeAttrValue *value)
{
	RT_THROUGH(cuGraphKernelNodeGetAttribute(node, (int)attr, value));
}

RT_API(cudaGraphKernelNodeSetAttribute, cudaGraphNode_t node, cudaKernelNodeAttrID attr,
       const cudaKernelNodeAttrValue *value)
{
	RT_THROUGH(cuGraphKernelNodeSetAttribute(node, (int)attr, value));
}

/* Fills, host functions and allocations have the driver's structures. */
RT_API(cudaGraphAddMemsetNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, const struct cudaMemsetParams *params)
{
	RT_THROUGH(cuGraphAddMemsetNode(node, graph, dependencies, count, params, rt_context()));
}

RT_API(cudaGraphMemsetNodeGetParams, cudaGraphNode_t node, struct cudaMemsetParams *params)
{
	RT_THROUGH(cuGraphMemsetNodeGetParams(node, params));
}

RT_API(cudaGraphMemsetNodeSetParams, cudaGraphNode_t node, const struct cudaMemsetParams *params)
{
	RT_THROUGH(cuGraphMemsetNodeSetParams(node, params));
}

RT_API(cudaGraphExecMemsetNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       const struct cudaMemsetParams *params)
{
	RT_THROUGH(cuGraphExecMemsetNodeSetParams(exec, node, params, rt_context()));
}

RT_API(cudaGraphAddHostNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, const struct cudaHostNodeParams *params)
{
	RT_THROUGH(cuGraphAddHostNode(node, graph, dependencies, count, params));
}

RT_API(cudaGraphHostNodeGetParams, cudaGraphNode_t node, struct cudaHostNodeParams *params)
{
	RT_THROUGH(cuGraphHostNodeGetParams(node, params));
}

RT_API(cudaGraphHostNodeSetParams, cudaGraphNode_t node, const struct cudaHostNodeParams *params)
{
	RT_THROUGH(cuGraphHostNodeSetParams(node, params));
}

RT_API(cudaGraphExecHostNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       const struct cudaHostNodeParams *params)
{
	RT_THROUGH(cuGraphExecHostNodeSetParams(exec, node, params));
}

RT_API(cudaGraphAddEmptyNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count)
{
	RT_THROUGH(cuGraphAddEmptyNode(node, graph, dependencies, count));
}

RT_API(cudaGraphAddChildGraphNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, cudaGraph_t child)
{
	RT_THROUGH(cuGraphAddChildGraphNode(node, graph, dependencies, count, child));
}

RT_API(cudaGraphChildGraphNodeGetGraph, cudaGraphNode_t node, cudaGraph_t *graph)
{
	RT_THROUGH(cuGraphChildGraphNodeGetGraph(node, graph));
}

RT_API(cudaGraphExecChildGraphNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       cudaGraph_t child)
{
	RT_THROUGH(cuGraphExecChildGraphNodeSetParams(exec, node, child));
}

RT_API(cudaGraphAddEventRecordNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, cudaEvent_t event)
{
	RT_THROUGH(cuGraphAddEventRecordNode(node, graph, dependencies, count, event));
}

RT_API(cudaGraphEventRecordNodeGetEvent, cudaGraphNode_t node, cudaEvent_t *event)
{
	RT_THROUGH(cuGraphEventRecordNodeGetEvent(node, event));
}

RT_API(cudaGraphEventRecordNodeSetEvent, cudaGraphNode_t node, cudaEvent_t event)
{
	RT_THROUGH(cuGraphEventRecordNodeSetEvent(node, event));
}

RT_API(cudaGraphExecEventRecordNodeSetEvent, cudaGraphExec_t exec, cudaGraphNode_t node,
       cudaEvent_t event)
{
	RT_THROUGH(cuGraphExecEventRecordNodeSetEvent(exec, node, event));
}

RT_API(cudaGraphAddEventWaitNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, cudaEvent_t event)
{
	RT_THROUGH(cuGraphAddEventWaitNode(node, graph, dependencies, count, event));
}

RT_API(cudaGraphEventWaitNodeGetEvent, cudaGraphNode_t node, cudaEvent_t *event)
{
	RT_THROUGH(cuGraphEventWaitNodeGetEvent(node, event));
}

RT_API(cudaGraphEventWaitNodeSetEvent, cudaGraphNode_t node, cudaEvent_t event)
{
	RT_THROUGH(cuGraphEventWaitNodeSetEvent(node, event));
}

RT_API(cudaGraphExecEventWaitNodeSetEvent, cudaGraphExec_t exec, cudaGraphNode_t node,
       cudaEvent_t event)
{
	RT_THROUGH(cuGraphExecEventWaitNodeSetEvent(exec, node, event));
}

RT_API(cudaGraphAddMemAllocNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, void *params)
{
	RT_THROUGH(cuGraphAddMemAllocNode(node, graph, dependencies, count, params));
}

RT_API(cudaGraphMemAllocNodeGetParams, cudaGraphNode_t node, void *params)
{
	RT_THROUGH(cuGraphMemAllocNodeGetParams(node, params));
}

RT_API(cudaGraphAddMemFreeNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, void *ptr)
{
	RT_THROUGH(cuGraphAddMemFreeNode(node, graph, dependencies, count, rt_addr(ptr)));
}

RT_API(cudaGraphMemFreeNodeGetParams, cudaGraphNode_t node, void *ptr)
{
	RT_THROUGH(cuGraphMemFreeNodeGetParams(node, ptr));
}

/* The structure for nodes of every kind. */
struct rt_node_params {
	int type;
	int reserved0[3];
	union {
		long long reserved1[29];
		struct cudaKernelNodeParams kernel;
		struct {
			int flags, reserved[3];
			struct cudaMemcpy3DParms copy;
		} memcpy;
		struct cudaMemsetParams memset;
		struct cudaHostNodeParams host;
		cudaGraph_t graph;
		cudaEvent_t event;
		long long alloc[15]; /* as the driver has it */
		void *freed;
	};
	long long reserved2;
};

_Static_assert(sizeof(struct rt_node_params) == 256, "the size of a node's parameters");

enum { KERNEL, COPY, FILL, HOST, CHILD, EMPTY, WAIT, RECORD, ALLOC = 10, FREE, CONDITIONAL = 13 };

/* Of the driver's parameters, which are the same but for the context behind them. */
enum { BODIES_WORD = 2, CONTEXT_WORD };

static cudaError_t add_conditional(cudaGraphNode_t *node, cudaGraph_t graph,
				   const cudaGraphNode_t *dependencies, size_t count,
				   struct rt_node_params *p)
{
	struct rt_node_params d = *p;
	cudaError_t e;

	d.reserved1[CONTEXT_WORD] = 0;
	e = rt_error(rt_cu.cuGraphAddNode_v2(node, graph, dependencies, NULL, count, &d));
	p->reserved1[BODIES_WORD] = d.reserved1[BODIES_WORD];
	return rt_fail(e);
}

cudaError_t rt_add_node(cudaGraphNode_t *node, cudaGraph_t graph,
			const cudaGraphNode_t *dependencies, const struct rt_edge *edges,
			size_t count, struct rt_node_params *p)
{
	if (!p)
		return rt_fail(cudaErrorInvalidValue);
	for (size_t i = 0; edges && i < count; i++)
		if (edges[i].from_port || edges[i].to_port || edges[i].type)
			return rt_not_supported();
	switch (p->type) {
	case KERNEL:
		return cudaGraphAddKernelNode(node, graph, dependencies, count, &p->kernel);
	case COPY:
		return rt_add_copy(node, graph, dependencies, count, &p->memcpy.copy);
	case FILL:
		return cudaGraphAddMemsetNode(node, graph, dependencies, count, &p->memset);
	case HOST:
		return cudaGraphAddHostNode(node, graph, dependencies, count, &p->host);
	case CHILD:
		return cudaGraphAddChildGraphNode(node, graph, dependencies, count, p->graph);
	case EMPTY:
		return cudaGraphAddEmptyNode(node, graph, dependencies, count);
	case WAIT:
		return cudaGraphAddEventWaitNode(node, graph, dependencies, count, p->event);
	case RECORD:
		return cudaGraphAddEventRecordNode(node, graph, dependencies, count, p->event);
	case ALLOC:
		return cudaGraphAddMemAllocNode(node, graph, dependencies, count, p->alloc);
	case FREE:
		return cudaGraphAddMemFreeNode(node, graph, dependencies, count, p->freed);
	case CONDITIONAL:
		return add_conditional(node, graph, dependencies, count, p);
	default:
		return rt_not_supported();
	}
}

RT_API(cudaGraphAddNode_v2, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, const struct rt_edge *edges, size_t count,
       struct rt_node_params *params)
{
	return rt_add_node(node, graph, dependencies, edges, count, params);
}

RT_API(cudaGraphNodeSetParams, cudaGraphNode_t node, const struct rt_node_params *p)
{
	switch (p ? p->type : -1) {
	case -1:
		return rt_fail(cudaErrorInvalidValue);
	case KERNEL:
		return cudaGraphKernelNodeSetParams(node, &p->kernel);
	case COPY:
		return rt_set_copy(node, &p->memcpy.copy);
	case FILL:
		return cudaGraphMemsetNodeSetParams(node, &p->memset);
	case HOST:
		return cudaGraphHostNodeSetParams(node, &p->host);
	case WAIT:
		return cudaGraphEventWaitNodeSetEvent(node, p->event);
	case RECORD:
		return cudaGraphEventRecordNodeSetEvent(node, p->event);
	default:
		return rt_not_supported();
	}
}

RT_API(cudaGraphExecNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       const struct rt_node_params *p)
{
	switch (p ? p->type : -1) {
	case -1:
		return rt_fail(cudaErrorInvalidValue);
	case KERNEL:
		return cudaGraphExecKernelNodeSetParams(exec, node, &p->kernel);
	case COPY:
		return rt_exec_set_copy(exec, node, &p->memcpy.copy);
	case FILL:
		return cudaGraphExecMemsetNodeSetParams(exec, node, &p->memset);
	case HOST:
		return cudaGraphExecHostNodeSetParams(exec, node, &p->host);
	case CHILD:
		return cudaGraphExecChildGraphNodeSetParams(exec, node, p->graph);
	case WAIT:
		return cudaGraphExecEventWaitNodeSetEvent(exec, node, p->event);
	case RECORD:
		return cudaGraphExecEventRecordNodeSetEvent(exec, node, p->event);
	default:
		return rt_not_supported();
	}
}
