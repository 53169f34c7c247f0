/* SPDX-License-Identifier: MIT */
/* Graph calls of which each CUDA version has another revision under the plain name. */
#ifndef PVGPU_CUDART_GRAPH_H
#define PVGPU_CUDART_GRAPH_H

#include "cudart/rt.h"

cudaError_t rt_capture_info(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
			    unsigned long long *id, cudaGraph_t *graph,
			    const cudaGraphNode_t **dependencies, const void **edges,
			    size_t *count);
cudaError_t rt_capture_update(cudaStream_t stream, cudaGraphNode_t *dependencies, const void *edges,
			      size_t count, unsigned int flags);

cudaError_t rt_edges(cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to, void *edges,
		     size_t *count);
cudaError_t rt_dependencies(cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges,
			    size_t *count);
cudaError_t rt_dependents(cudaGraphNode_t node, cudaGraphNode_t *nodes, void *edges, size_t *count);
cudaError_t rt_depend(cudaGraph_t graph, const cudaGraphNode_t *from, const cudaGraphNode_t *to,
		      const void *edges, size_t count);
cudaError_t rt_undepend(cudaGraph_t graph, const cudaGraphNode_t *from, const cudaGraphNode_t *to,
			const void *edges, size_t count);

/* A node of any kind by one structure; only edges of the plain kind, if any. */
struct rt_node_params;
struct rt_edge {
	unsigned char from_port, to_port, type, reserved[5];
};
cudaError_t rt_add_node(cudaGraphNode_t *node, cudaGraph_t graph,
			const cudaGraphNode_t *dependencies, const struct rt_edge *edges,
			size_t count, struct rt_node_params *params);

/* copies.c: a copy node; the structure in rt_node_params is the same. */
cudaError_t rt_add_copy(cudaGraphNode_t *node, cudaGraph_t graph,
			const cudaGraphNode_t *dependencies, size_t count,
			const struct cudaMemcpy3DParms *p);
cudaError_t rt_set_copy(cudaGraphNode_t node, const struct cudaMemcpy3DParms *p);
cudaError_t rt_exec_set_copy(cudaGraphExec_t exec, cudaGraphNode_t node,
			     const struct cudaMemcpy3DParms *p);

#endif
