/* SPDX-License-Identifier: MIT */
/* Copy nodes: those whose places the worker reaches go to it as they are, pageable.c has the
 * others.
 */
#include "cuda/copy/box.h"
#include "cuda/copy/copy.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/graphs/node.h"
#include "cuda/graphs/pageable.h"

#include <string.h>

struct pvgpu_graph_node copy_to_wire(const struct box *b)
{
	return (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_MEMCPY,
					 .dst = b->dst.addr,
					 .dst_pitch = b->dst.pitch,
					 .dst_height = b->dst.height,
					 .src = b->src.addr,
					 .src_pitch = b->src.pitch,
					 .src_height = b->src.height,
					 .width = b->width,
					 .height = b->rows,
					 .depth = b->depth};
}

bool box_is_reached(const struct box *b)
{
	return side_is_mapped(b->dst.side) && side_is_mapped(b->src.side);
}

PUBLIC CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				     size_t count, const CUDA_MEMCPY3D *params, CUcontext ctx)
{
	uint32_t number = 0;
	struct wire_node n;
	struct addition p;
	struct box b;
	int r = node_place(node, graph, deps, count, &p);

	if (!r)
		r = copy_node(p.ctx, params, &b);
	if (r)
		return r;
	if (box_is_reached(&b)) {
		n.is = copy_to_wire(&b);
		n.len = 0;
		return node_add(node, &p, &n);
	}
	r = paged_add(p.ctx, p.g, p.deps, p.count, &b, &number);
	if (!r)
		*node = node_handle(p.g, number);
	return r;
}

int graph_copy_captured(const struct target *t, const struct box *b)
{
	uint32_t deps[PVGPU_GRAPH_DEPS_MAX], count, number = 0;
	struct graph *g = capture_graph(t);
	int r;

	if (!g)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (b->dst.array || b->src.array)
		return capture_refuse(t);
	r = capture_deps(t, g, deps, &count);
	if (!r)
		r = paged_add(t->ctx, g, deps, count, b, &number);
	return r ? r : capture_set_deps(t, g, CU_STREAM_SET_CAPTURE_DEPENDENCIES, &number, 1);
}

/* The node, and what it is to copy. */
static int enter(CUgraphNode node, const CUDA_MEMCPY3D *params, struct ctx **c, struct graph **g,
		 uint32_t *number, struct box *b)
{
	const int r = node_enter(node, g, number, c);

	return r ? r : copy_node(*c, params, b);
}

PUBLIC CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *params)
{
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	struct box b;
	int r = enter(node, params, &c, &g, &number, &b);

	if (r)
		return r;
	if (paged_is(g, number))
		return paged_set(c, g, number, &b);
	if (!box_is_reached(&b))
		return CUDA_ERROR_NOT_SUPPORTED; /* it is another kind of node at the far end */
	n.is = copy_to_wire(&b);
	n.len = 0;
	return node_set(node, &n);
}

PUBLIC CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
					       const CUDA_MEMCPY3D *params, CUcontext ctx)
{
	struct graph_exec *x;
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	struct box b;
	int r = enter(node, params, &c, &g, &number, &b);

	if (r)
		return r;
	x = exec_find(exec);
	if (!x)
		return CUDA_ERROR_INVALID_VALUE;
	if (paged_is(g, number))
		return paged_set_exec(x, g, number, &b);
	if (!box_is_reached(&b))
		return CUDA_ERROR_NOT_SUPPORTED;
	n.is = copy_to_wire(&b);
	n.len = 0;
	return node_set_exec(exec, node, &n);
}

/* ---- what such a node does ---- */

static void give(const struct pvgpu_graph_node *n, bool to_device, bool from_device,
		 CUDA_MEMCPY3D *p)
{
	memset(p, 0, sizeof(*p));
	p->dstMemoryType = to_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	p->dstDevice = to_device ? n->dst : 0;
	p->dstHost = to_device ? NULL : (void *)(uintptr_t)n->dst;
	p->dstPitch = n->dst_pitch;
	p->dstHeight = n->dst_height;
	p->srcMemoryType = from_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	p->srcDevice = from_device ? n->src : 0;
	p->srcHost = from_device ? NULL : (const void *)(uintptr_t)n->src;
	p->srcPitch = n->src_pitch;
	p->srcHeight = n->src_height;
	p->WidthInBytes = n->width;
	p->Height = n->height;
	p->Depth = n->depth;
}

static bool in_arena(uint64_t addr)
{
	return addr >= guest.arena_base && addr < guest.arena_end;
}

PUBLIC CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *p)
{
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	struct box b;
	int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (p && paged_box(g, number, &b)) {
		n.is = copy_to_wire(&b);
		give(&n.is, b.dst.side == SIDE_DEVICE, b.src.side == SIDE_DEVICE, p);
		return CUDA_SUCCESS;
	}
	r = node_get(node, CU_GRAPH_NODE_TYPE_MEMCPY, p, &g, &number, &n);
	if (!r)
		give(&n.is, !in_arena(n.is.dst), !in_arena(n.is.src), p);
	return r;
}
