/* SPDX-License-Identifier: MIT */
/* Launch attributes of kernels' nodes, and nodes that an instance leaves out. */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

PUBLIC CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID attr,
					      CUkernelNodeAttrValue *value)
{
	CUkernelNodeAttrValue got;
	uint32_t number, len = 0;
	struct graph *g;
	struct ctx *c;
	int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_node_attr_check(attr, NULL);
	if (!r)
		r = pvgpu_do_graph_attr_get(session(), c->o.wire, g->o.wire, number, attr, &got,
					    sizeof(got), &len);
	if (!r && len != sizeof(got))
		r = pvgpu_broken(session(), "the worker described a node's attribute wrongly");
	if (!r)
		*value = got;
	return r;
}

PUBLIC CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID attr,
					      const CUkernelNodeAttrValue *value)
{
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_node_attr_check(attr, value);
	if (r)
		return r;
	graph_changes(g);
	return pvgpu_do_graph_attr_set(session(), c->o.wire, g->o.wire, number, attr, value,
				       sizeof(*value));
}

PUBLIC CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode dst, CUgraphNode src)
{
	struct graph *g, *from;
	uint32_t number, from_number;
	struct ctx *c;
	const int r = node_enter(dst, &g, &number, &c);

	if (r)
		return r;
	if (!node_find(src, &from, &from_number))
		return CUDA_ERROR_INVALID_VALUE;
	graph_changes(g);
	return pvgpu_do_graph_attr_copy(session(), c->o.wire, g->o.wire, number, from->o.wire,
					from_number);
}

/* The instance, and the node in the graph that it was made of. */
static int in_exec(CUgraphExec exec, CUgraphNode node, struct graph_exec **x, struct graph **g,
		   uint32_t *number)
{
	struct ctx *c;
	const int r = node_enter(node, g, number, &c);

	if (r)
		return r;
	*x = exec_find(exec);
	return *x ? 0 : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int enabled)
{
	struct graph_exec *x;
	struct graph *g;
	uint32_t number;
	const int r = in_exec(exec, node, &x, &g, &number);

	if (r)
		return r;
	/* The far end has a graph in its place, which has no switch. */
	if (paged_is(g, number))
		return enabled ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
	return pvgpu_do_graph_exec_enable(session(), x->o.ctx->o.wire, x->o.wire, g->o.wire, number,
					  enabled != 0);
}

PUBLIC CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int *enabled)
{
	struct graph_exec *x;
	uint32_t number, on = 0;
	struct graph *g;
	int r = in_exec(exec, node, &x, &g, &number);

	if (r)
		return r;
	if (!enabled)
		return CUDA_ERROR_INVALID_VALUE;
	if (paged_is(g, number)) {
		*enabled = 1;
		return CUDA_SUCCESS;
	}
	r = pvgpu_do_graph_exec_enabled(session(), x->o.ctx->o.wire, x->o.wire, g->o.wire, number,
					&on);
	if (!r)
		*enabled = on;
	return r;
}
