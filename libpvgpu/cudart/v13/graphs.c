/* SPDX-License-Identifier: MIT */
/* Graph calls whose plain names have edges' data in CUDA 13. */
#include "cudart/graphs/graph.h"

RT_STREAM(cudaStreamGetCaptureInfo,
	  (cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
	   cudaGraph_t *graph, const cudaGraphNode_t **dependencies, const void **edges,
	   size_t *count),
	  (stream, status, id, graph, dependencies, edges, count))
{
	return rt_capture_info(stream, status, id, graph, dependencies, edges, count);
}

RT_STREAM(cudaStreamUpdateCaptureDependencies,
	  (cudaStream_t stream, cudaGraphNode_t *dependencies, const void *edges, size_t count,
	   unsigned int flags),
	  (stream, dependencies, edges, count, flags))
{
	return rt_capture_update(stream, dependencies, edges, count, flags);
}

RT_API(cudaGraphGetEdges, cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to,
       void *edges, size_t *count)
{
	return rt_edges(graph, from, to, edges, count);
}

RT_API(cudaGraphNodeGetDependencies, cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
       size_t *count)
{
	return rt_dependencies(node, nodes, edges, count);
}

RT_API(cudaGraphNodeGetDependentNodes, cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
       size_t *count)
{
	return rt_dependents(node, nodes, edges, count);
}

RT_API(cudaGraphAddDependencies, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, const void *edges, size_t count)
{
	return rt_depend(graph, from, to, edges, count);
}

RT_API(cudaGraphRemoveDependencies, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, const void *edges, size_t count)
{
	return rt_undepend(graph, from, to, edges, count);
}

RT_API(cudaGraphAddNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, const struct rt_edge *edges, size_t count,
       struct rt_node_params *params)
{
	return rt_add_node(node, graph, dependencies, edges, count, params);
}
