/* SPDX-License-Identifier: MIT */
/*
 * Parameters of nodes, between the wire and the far end. Addresses and handles are checked here,
 * once: a launch of the graph does not name them.
 */
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/launch.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream_ops.h"
#include "xen-pvgpu-back/worker/far.h"

static void *host(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static int read_kernel(struct gpu *g, struct ctx *c, const void *params, uint32_t len,
		       struct node_params *p)
{
	const struct pvgpu_graph_node *n = &p->is;
	struct function *f = obj_lookup(&g->tables, PVGPU_H_FUNCTION, n->object);
	CUDA_KERNEL_NODE_PARAMS *k = &p->kernel;
	int r;

	if (PVGPU_HANDLE_TYPE(n->object) == PVGPU_H_KERNEL)
		f = obj_lookup(&g->tables, PVGPU_H_KERNEL, n->object);
	if (!f)
		return CUDA_ERROR_INVALID_HANDLE;
	r = obj_error(f);
	if (!r && f->o.ctx && f->o.ctx->far != c->far)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r)
		return r;
	*k = (CUDA_KERNEL_NODE_PARAMS){.gridDimX = n->grid[0],
				       .gridDimY = n->grid[1],
				       .gridDimZ = n->grid[2],
				       .blockDimX = n->block[0],
				       .blockDimY = n->block[1],
				       .blockDimZ = n->block[2],
				       .sharedMemBytes = n->shared};
	/* A kernel of a library stands for its function in the current context. */
	if (f->o.type == PVGPU_H_KERNEL)
		r = (int)g->far->cuKernelGetFunction(&k->func, f->far.kernel);
	else
		k->func = f->far.fn;
	return r ? r : args_make(&p->args, f, params, len, &k->kernelParams, &k->extra);
}

/* One side of a copy: in device memory or the arena, wholly. */
static int read_side(struct gpu *g, uint64_t addr, uint64_t pitch, uint64_t rows,
		     const struct pvgpu_graph_node *n, enum where *at)
{
	const int64_t span = span_3d(pitch, rows, n->width, n->height, n->depth);

	*at = span < 0 ? AT_NOWHERE : mem_where(g, addr, (uint64_t)span);
	return *at == AT_NOWHERE ? CUDA_ERROR_INVALID_VALUE : 0;
}

static int read_copy(struct gpu *g, struct node_params *p)
{
	const struct pvgpu_graph_node *n = &p->is;
	CUDA_MEMCPY3D *c = &p->copy;
	enum where dst, src;
	int r = read_side(g, n->dst, n->dst_pitch, n->dst_height, n, &dst);

	if (!r)
		r = read_side(g, n->src, n->src_pitch, n->src_height, n, &src);
	if (r)
		return r;
	memset(c, 0, sizeof(*c));
	c->dstMemoryType = dst == AT_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	c->dstDevice = dst == AT_DEVICE ? n->dst : 0;
	c->dstHost = dst == AT_DEVICE ? NULL : host(n->dst);
	c->dstPitch = n->dst_pitch;
	c->dstHeight = n->dst_height;
	c->srcMemoryType = src == AT_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	c->srcDevice = src == AT_DEVICE ? n->src : 0;
	c->srcHost = src == AT_DEVICE ? NULL : host(n->src);
	c->srcPitch = n->src_pitch;
	c->srcHeight = n->src_height;
	c->WidthInBytes = n->width;
	c->Height = n->height;
	c->Depth = n->depth;
	return 0;
}

static int read_set(struct gpu *g, struct node_params *p)
{
	const struct pvgpu_graph_node *n = &p->is;
	uint64_t bytes;
	int64_t span;

	if ((n->element != 1 && n->element != 2 && n->element != 4) || n->dst % n->element ||
	    __builtin_mul_overflow(n->width, (uint64_t)n->element, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	span = span_3d(n->dst_pitch, n->height, bytes, n->height, 1);
	if (span < 0 || mem_where(g, n->dst, (uint64_t)span) == AT_NOWHERE)
		return CUDA_ERROR_INVALID_VALUE;
	p->set = (CUDA_MEMSET_NODE_PARAMS){.dst = n->dst,
					   .pitch = n->dst_pitch,
					   .value = n->value,
					   .elementSize = n->element,
					   .width = n->width,
					   .height = n->height};
	return 0;
}

static int read_host(struct gpu *g, struct node_params *p)
{
	if (!p->is.object)
		return CUDA_ERROR_INVALID_VALUE;
	p->host.fn = callback_fn();
	p->host.userData = callback_keep(g, p->is.object);
	return p->host.userData ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static int read_ops(struct gpu *g, const void *params, uint32_t len, struct node_params *p)
{
	static struct mem_ops ops; /* decoding thread */
	const struct far *far = g->far;

	if (!far->cuGraphAddBatchMemOpNode || !far->cuGraphBatchMemOpNodeGetParams ||
	    !far->cuGraphBatchMemOpNodeSetParams || !far->cuGraphExecBatchMemOpNodeSetParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	p->ops = &ops;
	return len ? mem_ops_read(g, params, len, &ops) : CUDA_ERROR_INVALID_VALUE;
}

int params_read(struct gpu *g, struct ctx *c, const void *what, uint32_t what_len,
		const void *params, uint32_t params_len, struct node_params *p)
{
	if (what_len != sizeof(p->is))
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&p->is, what, sizeof(p->is));
	if (params_len && p->is.kind != CU_GRAPH_NODE_TYPE_KERNEL &&
	    p->is.kind != CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
		return CUDA_ERROR_INVALID_VALUE;
	switch (p->is.kind) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return read_kernel(g, c, params, params_len, p);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return read_copy(g, p);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return read_set(g, p);
	case CU_GRAPH_NODE_TYPE_HOST:
		return read_host(g, p);
	case CU_GRAPH_NODE_TYPE_EMPTY:
		return 0;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return read_ops(g, params, params_len, p);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		p->child = obj_lookup(&g->tables, PVGPU_H_GRAPH, p->is.object);
		return p->child ? graph_error(p->child) : CUDA_ERROR_INVALID_HANDLE;
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

/* The guest's object of a function of the far end's; NULL: none that it knows. */
static struct function *function_of(struct gpu *g, CUfunction fn)
{
	const struct table *t = &g->tables.of[PVGPU_H_FUNCTION];

	for (unsigned int i = 0; fn && i < PVGPU_HANDLES_MAX; i++) {
		struct obj **page = t->page[i / TABLE_SLOTS];

		if (!page) {
			i += TABLE_SLOTS - 1;
			continue;
		}
		for (struct obj *o = page[i % TABLE_SLOTS]; o; o = o->older) {
			if (!obj_error(o) && ((struct function *)o)->far.fn == fn)
				return (struct function *)o;
		}
	}
	return NULL;
}

static int write_kernel(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *n, uint32_t *len)
{
	CUDA_KERNEL_NODE_PARAMS k = {0};
	struct function *f;
	int r = (int)g->far->cuGraphKernelNodeGetParams_v2(node, &k);

	if (r)
		return r;
	f = function_of(g, k.func);
	if (!f || !f->known || f->bytes > 8192)
		return CUDA_ERROR_NOT_SUPPORTED; /* of a library of the backend's */
	memcpy(n->grid, (uint32_t[]){k.gridDimX, k.gridDimY, k.gridDimZ}, sizeof(n->grid));
	memcpy(n->block, (uint32_t[]){k.blockDimX, k.blockDimY, k.blockDimZ}, sizeof(n->block));
	n->shared = k.sharedMemBytes;
	n->object = f->o.handle;
	memset(g->scratch, 0, f->bytes);
	for (uint32_t i = 0; i < f->params && k.kernelParams; i++)
		memcpy(g->scratch + f->param[i].offset, k.kernelParams[i], f->param[i].size);
	*len = f->bytes;
	return 0;
}

static int write_copy(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *n)
{
	CUDA_MEMCPY3D c = {0};
	const int r = (int)g->far->cuGraphMemcpyNodeGetParams(node, &c);

	n->dst = c.dstMemoryType == CU_MEMORYTYPE_HOST ? (uintptr_t)c.dstHost : c.dstDevice;
	n->src = c.srcMemoryType == CU_MEMORYTYPE_HOST ? (uintptr_t)c.srcHost : c.srcDevice;
	n->dst_pitch = c.dstPitch;
	n->dst_height = c.dstHeight;
	n->src_pitch = c.srcPitch;
	n->src_height = c.srcHeight;
	n->width = c.WidthInBytes;
	n->height = c.Height;
	n->depth = c.Depth;
	return r;
}

static int write_set(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *n)
{
	CUDA_MEMSET_NODE_PARAMS m = {0};
	const int r = (int)g->far->cuGraphMemsetNodeGetParams(node, &m);

	n->dst = m.dst;
	n->dst_pitch = m.pitch;
	n->value = m.value;
	n->element = m.elementSize;
	n->width = m.width;
	n->height = m.height;
	return r;
}

static int write_host(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *n)
{
	CUDA_HOST_NODE_PARAMS h = {0};
	const int r = (int)g->far->cuGraphHostNodeGetParams(node, &h);

	if (!r && h.fn == callback_fn())
		n->object = callback_id(h.userData);
	return r;
}

static int write_ops(struct gpu *g, CUgraphNode node, uint32_t *len)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS p = {0};
	struct pvgpu_mem_op *to = (struct pvgpu_mem_op *)(void *)g->scratch;
	const int r = (int)g->far->cuGraphBatchMemOpNodeGetParams(node, &p);

	for (unsigned int i = 0; i < p.count && i < PVGPU_MEM_OPS_MAX && !r; i++) {
		const CUstreamBatchMemOpParams *o = &p.paramArray[i];
		const bool word = o->operation != CU_STREAM_MEM_OP_BARRIER;

		to[i] = (struct pvgpu_mem_op){
			.kind = (uint32_t)o->operation,
			.flags = word ? o->waitValue.flags : o->memoryBarrier.flags,
			.address = word ? o->waitValue.address : 0,
			.value = word ? o->waitValue.value64 : 0,
		};
		*len += (uint32_t)sizeof(to[i]);
	}
	return r;
}

int params_write(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *is, uint32_t *params)
{
	CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
	const int r = (int)g->far->cuGraphNodeGetType(node, &type);

	*params = 0;
	memset(is, 0, sizeof(*is));
	is->kind = (uint32_t)type;
	if (r)
		return r;
	switch (type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		/* Its kind is told whatever its kernel is. */
		if (write_kernel(g, node, is, params))
			is->object = 0;
		return 0;
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return write_copy(g, node, is);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return write_set(g, node, is);
	case CU_GRAPH_NODE_TYPE_HOST:
		return write_host(g, node, is);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return write_ops(g, node, params);
	default:
		return 0;
	}
}
