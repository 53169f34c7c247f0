/* SPDX-License-Identifier: MIT */
/* Copy nodes: boxes, and bytes between addresses and variables. */
#include "cudart/graphs/graph.h"

static cudaError_t enter(const struct cudaMemcpy3DParms *p, CUDA_MEMCPY3D *box)
{
	const cudaError_t e = rt_enter();

	if (e || !p)
		return e ? e : cudaErrorInvalidValue;
	return rt_box(p, box);
}

cudaError_t rt_add_copy(cudaGraphNode_t *node, cudaGraph_t graph,
			const cudaGraphNode_t *dependencies, size_t count,
			const struct cudaMemcpy3DParms *p)
{
	CUDA_MEMCPY3D box;
	const cudaError_t e = enter(p, &box);

	return rt_fail(e ? e
			 : rt_error(rt_cu.cuGraphAddMemcpyNode(node, graph, dependencies, count,
							       &box, rt_context())));
}

cudaError_t rt_set_copy(cudaGraphNode_t node, const struct cudaMemcpy3DParms *p)
{
	CUDA_MEMCPY3D box;
	const cudaError_t e = enter(p, &box);

	return rt_fail(e ? e : rt_error(rt_cu.cuGraphMemcpyNodeSetParams(node, &box)));
}

cudaError_t rt_exec_set_copy(cudaGraphExec_t exec, cudaGraphNode_t node,
			     const struct cudaMemcpy3DParms *p)
{
	CUDA_MEMCPY3D box;
	const cudaError_t e = enter(p, &box);

	return rt_fail(
		e ? e
		  : rt_error(rt_cu.cuGraphExecMemcpyNodeSetParams(exec, node, &box, rt_context())));
}

RT_API(cudaGraphAddMemcpyNode, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, const struct cudaMemcpy3DParms *params)
{
	return rt_add_copy(node, graph, dependencies, count, params);
}

RT_API(cudaGraphMemcpyNodeGetParams, cudaGraphNode_t node, struct cudaMemcpy3DParms *params)
{
	CUDA_MEMCPY3D box;
	CUresult r;

	RT_ENTER();
	if (!params)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuGraphMemcpyNodeGetParams(node, &box);
	if (!r)
		rt_unbox(&box, params);
	return rt_result(r);
}

RT_API(cudaGraphMemcpyNodeSetParams, cudaGraphNode_t node, const struct cudaMemcpy3DParms *params)
{
	return rt_set_copy(node, params);
}

RT_API(cudaGraphExecMemcpyNodeSetParams, cudaGraphExec_t exec, cudaGraphNode_t node,
       const struct cudaMemcpy3DParms *params)
{
	return rt_exec_set_copy(exec, node, params);
}

/* Bytes in a row are a box of one row. */
static struct cudaMemcpy3DParms row(CUdeviceptr dst, CUdeviceptr src, size_t bytes,
				    enum cudaMemcpyKind kind)
{
	return (struct cudaMemcpy3DParms){
		.srcPtr = {(void *)(uintptr_t)src, bytes, bytes, 1},
		.dstPtr = {(void *)(uintptr_t)dst, bytes, bytes, 1},
		.extent = {bytes, 1, 1},
		.kind = kind,
	};
}

static struct cudaMemcpy3DParms bytes_row(void *dst, const void *src, size_t bytes,
					  enum cudaMemcpyKind kind)
{
	return row(rt_addr(dst), rt_addr(src), bytes, kind);
}

RT_API(cudaGraphAddMemcpyNode1D, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, void *dst, const void *src, size_t bytes,
       enum cudaMemcpyKind kind)
{
	const struct cudaMemcpy3DParms p = bytes_row(dst, src, bytes, kind);

	return rt_add_copy(node, graph, dependencies, count, &p);
}

RT_API(cudaGraphMemcpyNodeSetParams1D, cudaGraphNode_t node, void *dst, const void *src,
       size_t bytes, enum cudaMemcpyKind kind)
{
	const struct cudaMemcpy3DParms p = bytes_row(dst, src, bytes, kind);

	return rt_set_copy(node, &p);
}

RT_API(cudaGraphExecMemcpyNodeSetParams1D, cudaGraphExec_t exec, cudaGraphNode_t node, void *dst,
       const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
	const struct cudaMemcpy3DParms p = bytes_row(dst, src, bytes, kind);

	return rt_exec_set_copy(exec, node, &p);
}

/* A copy between memory and a part of a variable. */
static cudaError_t with_symbol(const void *symbol, size_t offset, size_t bytes, const void *memory,
			       bool to_symbol, enum cudaMemcpyKind kind,
			       struct cudaMemcpy3DParms *p)
{
	cudaError_t e = rt_enter();
	CUdeviceptr addr;
	size_t size;

	if (!e)
		e = rt_variable(symbol, &addr, &size);
	if (e)
		return e;
	if (offset > size || bytes > size - offset)
		return cudaErrorInvalidValue;
	addr += offset;
	*p = to_symbol ? row(addr, rt_addr(memory), bytes, kind)
		       : row(rt_addr(memory), addr, bytes, kind);
	return cudaSuccess;
}

RT_API(cudaGraphAddMemcpyNodeToSymbol, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, const void *symbol, const void *src,
       size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, src, true, kind, &p);

	return e ? rt_fail(e) : rt_add_copy(node, graph, dependencies, count, &p);
}

RT_API(cudaGraphAddMemcpyNodeFromSymbol, cudaGraphNode_t *node, cudaGraph_t graph,
       const cudaGraphNode_t *dependencies, size_t count, void *dst, const void *symbol,
       size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, dst, false, kind, &p);

	return e ? rt_fail(e) : rt_add_copy(node, graph, dependencies, count, &p);
}

RT_API(cudaGraphMemcpyNodeSetParamsToSymbol, cudaGraphNode_t node, const void *symbol,
       const void *src, size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, src, true, kind, &p);

	return e ? rt_fail(e) : rt_set_copy(node, &p);
}

RT_API(cudaGraphMemcpyNodeSetParamsFromSymbol, cudaGraphNode_t node, void *dst, const void *symbol,
       size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, dst, false, kind, &p);

	return e ? rt_fail(e) : rt_set_copy(node, &p);
}

RT_API(cudaGraphExecMemcpyNodeSetParamsToSymbol, cudaGraphExec_t exec, cudaGraphNode_t node,
       const void *symbol, const void *src, size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, src, true, kind, &p);

	return e ? rt_fail(e) : rt_exec_set_copy(exec, node, &p);
}

RT_API(cudaGraphExecMemcpyNodeSetParamsFromSymbol, cudaGraphExec_t exec, cudaGraphNode_t node,
       void *dst, const void *symbol, size_t bytes, size_t offset, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms p;
	const cudaError_t e = with_symbol(symbol, offset, bytes, dst, false, kind, &p);

	return e ? rt_fail(e) : rt_exec_set_copy(exec, node, &p);
}
