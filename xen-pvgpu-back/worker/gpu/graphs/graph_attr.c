/* SPDX-License-Identifier: MIT */
/* Launch attributes of kernels' nodes, and nodes that an instance leaves out. */
#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/launch.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The far end's node; a CUresult. has: does it know the call? */
static int find(struct graph *gr, struct ctx *c, uint32_t number, bool has, CUgraphNode *node)
{
	const int r = graph_usable(gr, c);

	if (r)
		return r;
	*node = graph_node(gr, number);
	if (!*node)
		return CUDA_ERROR_INVALID_VALUE;
	return has ? 0 : CUDA_ERROR_NOT_SUPPORTED;
}

int handle_graph_attr_get(struct worker *w, const struct pvgpu_in_graph_attr_get *in,
			  struct pvgpu_out_graph_attr_get *out)
{
	static CUkernelNodeAttrValue value; /* decoding thread */
	const struct far *far = worker_gpu(w)->far;
	const CUlaunchAttributeID id = (CUlaunchAttributeID)in->attr;
	CUgraphNode node;
	int r = find(in->graph, in->ctx, in->node, far->cuGraphKernelNodeGetAttribute, &node);

	if (!r)
		r = pvgpu_node_attr_check(id, NULL);
	if (r)
		return r;
	memset(&value, 0, sizeof(value));
	r = (int)far->cuGraphKernelNodeGetAttribute(node, id, &value);
	out->value = &value;
	out->value_len = sizeof(value);
	return r;
}

int handle_graph_attr_set(struct worker *w, const struct pvgpu_in_graph_attr_set *in,
			  struct pvgpu_out_graph_attr_set *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	const CUlaunchAttributeID id = (CUlaunchAttributeID)in->attr;
	const CUaccessPolicyWindow *win;
	CUkernelNodeAttrValue value;
	CUgraphNode node;
	int r = find(in->graph, in->ctx, in->node, far->cuGraphKernelNodeSetAttribute, &node);

	if (r)
		return r;
	if (in->value_len != sizeof(value))
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&value, in->value, sizeof(value));
	r = pvgpu_node_attr_check(id, &value);
	if (r)
		return r;
	win = &value.accessPolicyWindow;
	if (id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW && win->num_bytes &&
	    mem_where(g, (uintptr_t)win->base_ptr, win->num_bytes) != AT_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW && g->evict.on && win->num_bytes &&
	    window_persists(win))
		return CUDA_ERROR_NOT_SUPPORTED;
	return (int)far->cuGraphKernelNodeSetAttribute(node, id, &value);
}

int handle_graph_attr_copy(struct worker *w, const struct pvgpu_in_graph_attr_copy *in,
			   struct pvgpu_out_graph_attr_copy *out)
{
	const struct far *far = worker_gpu(w)->far;
	CUgraphNode to, from;
	int r = find(in->graph, in->ctx, in->node, far->cuGraphKernelNodeCopyAttributes, &to);

	if (!r)
		r = graph_error(in->from);
	if (r)
		return r;
	from = graph_node(in->from, in->from_node);
	return from ? (int)far->cuGraphKernelNodeCopyAttributes(to, from)
		    : CUDA_ERROR_INVALID_VALUE;
}

int handle_graph_exec_enable(struct worker *w, const struct pvgpu_in_graph_exec_enable *in,
			     struct pvgpu_out_graph_exec_enable *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct graph_exec *x = in->exec;
	CUgraphNode node;
	int r = find(in->graph, in->ctx, in->node, far->cuGraphNodeSetEnabled, &node);

	if (!r)
		r = obj_error(x);
	return r ? r : (int)far->cuGraphNodeSetEnabled(x->far, node, in->on);
}

int handle_graph_exec_enabled(struct worker *w, const struct pvgpu_in_graph_exec_enabled *in,
			      struct pvgpu_out_graph_exec_enabled *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct graph_exec *x = in->exec;
	CUgraphNode node;
	int r = find(in->graph, in->ctx, in->node, far->cuGraphNodeGetEnabled, &node);

	if (!r)
		r = obj_error(x);
	return r ? r : (int)far->cuGraphNodeGetEnabled(x->far, node, &out->on);
}
