/* SPDX-License-Identifier: MIT */
/* Graphs: making, shape, instantiation, launch. */
#include "cudart/graphs/graph.h"

RT_API(cudaGraphCreate, cudaGraph_t *graph, unsigned int flags)
{
	RT_THROUGH(cuGraphCreate(graph, flags));
}

RT_API(cudaGraphDestroy, cudaGraph_t graph)
{
	RT_THROUGH(cuGraphDestroy(graph));
}

RT_API(cudaGraphClone, cudaGraph_t *clone, cudaGraph_t graph)
{
	RT_THROUGH(cuGraphClone(clone, graph));
}

RT_API(cudaGraphNodeFindInClone, cudaGraphNode_t *found, cudaGraphNode_t node, cudaGraph_t clone)
{
	RT_THROUGH(cuGraphNodeFindInClone(found, node, clone));
}

RT_API(cudaGraphNodeGetType, cudaGraphNode_t node, int *type)
{
	RT_THROUGH(cuGraphNodeGetType(node, type));
}

RT_API(cudaGraphGetNodes, cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
	RT_THROUGH(cuGraphGetNodes(graph, nodes, count));
}

RT_API(cudaGraphGetRootNodes, cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
	RT_THROUGH(cuGraphGetRootNodes(graph, nodes, count));
}

RT_API(cudaGraphDestroyNode, cudaGraphNode_t node)
{
	RT_THROUGH(cuGraphDestroyNode(node));
}

cudaError_t rt_edges(cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to, void *edges,
		     size_t *count)
{
	RT_THROUGH(cuGraphGetEdges_v2(graph, from, to, edges, count));
}

RT_API(cudaGraphGetEdges_v2, cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to,
       void *edges, size_t *count)
{
	return rt_edges(graph, from, to, edges, count);
}

cudaError_t rt_dependencies(cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
			    size_t *count)
{
	RT_THROUGH(cuGraphNodeGetDependencies_v2(node, nodes, edges, count));
}

RT_API(cudaGraphNodeGetDependencies_v2, cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
       size_t *count)
{
	return rt_dependencies(node, nodes, edges, count);
}

cudaError_t rt_dependents(cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges, size_t *count)
{
	RT_THROUGH(cuGraphNodeGetDependentNodes_v2(node, nodes, edges, count));
}

RT_API(cudaGraphNodeGetDependentNodes_v2, cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
       size_t *count)
{
	return rt_dependents(node, nodes, edges, count);
}

cudaError_t rt_depend(cudaGraph_t graph, const cudaGraphNode_t *from, const cudaGraphNode_t *to,
		      const void *edges, size_t count)
{
	RT_THROUGH(cuGraphAddDependencies_v2(graph, from, to, edges, count));
}

RT_API(cudaGraphAddDependencies_v2, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, const void *edges, size_t count)
{
	return rt_depend(graph, from, to, edges, count);
}

cudaError_t rt_undepend(cudaGraph_t graph, const cudaGraphNode_t *from, const cudaGraphNode_t *to,
			const void *edges, size_t count)
{
	RT_THROUGH(cuGraphRemoveDependencies_v2(graph, from, to, edges, count));
}

RT_API(cudaGraphRemoveDependencies_v2, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, const void *edges, size_t count)
{
	return rt_undepend(graph, from, to, edges, count);
}

RT_API(cudaGraphInstantiateWithFlags, cudaGraphExec_t *exec, cudaGraph_t graph,
       unsigned long long flags)
{
	RT_THROUGH(cuGraphInstantiateWithFlags(exec, graph, flags));
}

RT_API(cudaGraphInstantiate, cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
	RT_THROUGH(cuGraphInstantiateWithFlags(exec, graph, flags));
}

/* The structure is the driver's; its stream is where the graph is uploaded. */
struct instantiate_params {
	unsigned long long flags;
	cudaStream_t stream;
	cudaGraphNode_t failed;
	int result;
};

RT_API(cudaGraphInstantiateWithParams, cudaGraphExec_t *exec, cudaGraph_t graph, void *params)
{
	RT_THROUGH(cuGraphInstantiateWithParams(exec, graph, params));
}

RT_API(cudaGraphInstantiateWithParams_ptsz, cudaGraphExec_t *exec, cudaGraph_t graph, void *params)
{
	struct instantiate_params *p = params;

	if (p)
		p->stream = rt_own(p->stream);
	RT_THROUGH(cuGraphInstantiateWithParams(exec, graph, params));
}

RT_API(cudaGraphExecGetFlags, cudaGraphExec_t exec, unsigned long long *flags)
{
	RT_THROUGH(cuGraphExecGetFlags(exec, flags));
}

RT_API(cudaGraphExecUpdate, cudaGraphExec_t exec, cudaGraph_t graph, void *result)
{
	RT_THROUGH(cuGraphExecUpdate_v2(exec, graph, result));
}

RT_API(cudaGraphExecDestroy, cudaGraphExec_t exec)
{
	RT_THROUGH(cuGraphExecDestroy(exec));
}

RT_STREAM(cudaGraphUpload, (cudaGraphExec_t exec, cudaStream_t stream), (exec, stream))
{
	RT_THROUGH(cuGraphUpload(exec, stream));
}

RT_STREAM(cudaGraphLaunch, (cudaGraphExec_t exec, cudaStream_t stream), (exec, stream))
{
	RT_THROUGH(cuGraphLaunch(exec, stream));
}

RT_API(cudaGraphNodeSetEnabled, cudaGraphExec_t exec, cudaGraphNode_t node, unsigned int enabled)
{
	RT_THROUGH(cuGraphNodeSetEnabled(exec, node, enabled));
}

RT_API(cudaGraphNodeGetEnabled, cudaGraphExec_t exec, cudaGraphNode_t node, unsigned int *enabled)
{
	RT_THROUGH(cuGraphNodeGetEnabled(exec, node, enabled));
}

RT_API(cudaGraphDebugDotPrint, cudaGraph_t graph, const char *path, unsigned int flags)
{
	RT_THROUGH(cuGraphDebugDotPrint(graph, path, flags));
}

RT_API(cudaGraphConditionalHandleCreate, unsigned long long *handle, cudaGraph_t graph,
       unsigned int value, unsigned int flags)
{
	RT_THROUGH(cuGraphConditionalHandleCreate(handle, graph, rt_context(), value, flags));
}

RT_API(cudaUserObjectCreate, cudaUserObject_t *object, void *ptr, cudaHostFn_t destroy,
       unsigned int count, unsigned int flags)
{
	RT_THROUGH(cuUserObjectCreate(object, ptr, destroy, count, flags));
}

RT_API(cudaUserObjectRetain, cudaUserObject_t object, unsigned int count)
{
	RT_THROUGH(cuUserObjectRetain(object, count));
}

RT_API(cudaUserObjectRelease, cudaUserObject_t object, unsigned int count)
{
	RT_THROUGH(cuUserObjectRelease(object, count));
}

RT_API(cudaGraphRetainUserObject, cudaGraph_t graph, cudaUserObject_t object, unsigned int count,
       unsigned int flags)
{
	RT_THROUGH(cuGraphRetainUserObject(graph, object, count, flags));
}

RT_API(cudaGraphReleaseUserObject, cudaGraph_t graph, cudaUserObject_t object, unsigned int count)
{
	RT_THROUGH(cuGraphReleaseUserObject(graph, object, count));
}
