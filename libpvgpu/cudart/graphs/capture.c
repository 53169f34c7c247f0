/* SPDX-License-Identifier: MIT */
/* Stream capture. Modes, states and flags have the driver's numbers. */
#include "cudart/graphs/graph.h"

RT_STREAM(cudaStreamBeginCapture, (cudaStream_t stream, enum cudaStreamCaptureMode mode),
	  (stream, mode))
{
	RT_THROUGH(cuStreamBeginCapture_v2(stream, (int)mode));
}

RT_STREAM(cudaStreamBeginCaptureToGraph,
	  (cudaStream_t stream, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
	   const void *edges, size_t count, enum cudaStreamCaptureMode mode),
	  (stream, graph, dependencies, edges, count, mode))
{
	RT_THROUGH(
		cuStreamBeginCaptureToGraph(stream, graph, dependencies, edges, count, (int)mode));
}

RT_STREAM(cudaStreamEndCapture, (cudaStream_t stream, cudaGraph_t *graph), (stream, graph))
{
	RT_THROUGH(cuStreamEndCapture(stream, graph));
}

RT_STREAM(cudaStreamIsCapturing, (cudaStream_t stream, enum cudaStreamCaptureStatus *status),
	  (stream, status))
{
	RT_THROUGH(cuStreamIsCapturing(stream, (int *)status));
}

RT_STREAM(cudaStreamGetCaptureInfo_v2,
	  (cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
	   cudaGraph_t *graph, const cudaGraphNode_t **dependencies, size_t *count),
	  (stream, status, id, graph, dependencies, count))
{
	RT_THROUGH(
		cuStreamGetCaptureInfo_v2(stream, (int *)status, id, graph, dependencies, count));
}

cudaError_t rt_capture_info(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
			    unsigned long long *id, cudaGraph_t *graph,
			    const cudaGraphNode_t **dependencies, const void **edges, size_t *count)
{
	RT_THROUGH(cuStreamGetCaptureInfo_v3(stream, (int *)status, id, graph, dependencies, edges,
					     count));
}

RT_STREAM(cudaStreamGetCaptureInfo_v3,
	  (cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
	   cudaGraph_t *graph, const cudaGraphNode_t **dependencies, const void **edges,
	   size_t *count),
	  (stream, status, id, graph, dependencies, edges, count))
{
	return rt_capture_info(stream, status, id, graph, dependencies, edges, count);
}

cudaError_t rt_capture_update(cudaStream_t stream, cudaGraphNode_t *dependencies, const void *edges,
			      size_t count, unsigned int flags)
{
	RT_THROUGH(cuStreamUpdateCaptureDependencies_v2(stream, dependencies, edges, count, flags));
}

RT_STREAM(cudaStreamUpdateCaptureDependencies_v2,
	  (cudaStream_t stream, cudaGraphNode_t *dependencies, const void *edges, size_t count,
	   unsigned int flags),
	  (stream, dependencies, edges, count, flags))
{
	return rt_capture_update(stream, dependencies, edges, count, flags);
}

RT_API(cudaThreadExchangeStreamCaptureMode, enum cudaStreamCaptureMode *mode)
{
	RT_THROUGH(cuThreadExchangeStreamCaptureMode((int *)mode));
}
