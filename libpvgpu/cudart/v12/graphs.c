/* SPDX-License-Identifier: MIT */
/* Graph calls whose plain names are without edges' data in CUDA 12. */
#include "cudart/graphs/graph.h"

RT_STREAM(cudaStreamGetCaptureInfo,
	  (cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id),
	  (stream, status, id))
{
	RT_THROUGH(cuStreamGetCaptureInfo_v2(stream, (int *)status, id, NULL, NULL, NULL));
}

RT_STREAM(cudaStreamUpdateCaptureDependencies,
	  (cudaStream_t stream, cudaGraphNode_t *dependencies, size_t count, unsigned int flags),
	  (stream, dependencies, count, flags))
{
	RT_THROUGH(cuStreamUpdateCaptureDependencies(stream, dependencies, count, flags));
}

RT_API(cudaGraphGetEdges, cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to,
       size_t *count)
{
	RT_THROUGH(cuGraphGetEdges(graph, from, to, count));
}

RT_API(cudaGraphNodeGetDependencies, cudaGraphNode_t node, cudaGraphNode_t *nodes, size_t *count)
{
	RT_THROUGH(cuGraphNodeGetDependencies(node, nodes, count));
}

RT_API(cudaGraphNodeGetDependentNodes, cudaGraphNode_t node, cudaGraphNode_t *nodes, size_t *count)
{
	RT_THROUGH(cuGraphNodeGetDependentNodes(node, nodes, count));
}

RT_API(cudaGraphAddDependencies, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, size_t count)
{
	RT_THROUGH(cuGraphAddDependencies(graph, from, to, count));
}

RT_API(cudaGraphRemoveDependencies, cudaGraph_t graph, const cudaGraphNode_t *from,
       const cudaGraphNode_t *to, size_t count)
{
	RT_THROUGH(cuGraphRemoveDependencies(graph, from, to, count));
}

RT_API(cudaGraphAddNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, struct rt_node_params *params)
{
	return rt_add_node(node, graph, dependencies, NULL, count, params);
}
