/* SPDX-License-Identifier: MIT */
/* Nodes: adding them, changing them, in a graph and in what was instantiated from it. */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"
#include "cuda/graphs/node.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/launch.h"
#include "cuda/memory/memory_map.h"
#include "cuda/streams/hostfunc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* A library's kernel in place of a function: its function in the current context. */
static int resolve_kernel(struct ctx *c, CUDA_KERNEL_NODE_PARAMS *p)
{
	if (p->func || !p->kern)
		return 0;
	if (p->ctx && ctx_find(p->ctx) != c)
		return CUDA_ERROR_NOT_SUPPORTED;
	return (int)cuKernelGetFunction(&p->func, p->kern);
}

static int from_kernel(struct ctx *c, const CUDA_KERNEL_NODE_PARAMS *params, struct wire_node *n)
{
	CUDA_KERNEL_NODE_PARAMS own;
	const CUDA_KERNEL_NODE_PARAMS *p = &own;
	struct function *f;
	int r;

	if (!params)
		return CUDA_ERROR_INVALID_VALUE;
	own = *params;
	r = resolve_kernel(c, &own);
	if (r)
		return r;
	n->is = (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_KERNEL,
					  .shared = p->sharedMemBytes};
	r = launch_pack(c, p, n->params, &n->len, &f);
	if (r)
		return r;
	n->is.object = f->o.wire;
	memcpy(n->is.grid, &p->gridDimX, sizeof(n->is.grid));
	memcpy(n->is.block, &p->blockDimX, sizeof(n->is.block));
	return 0;
}

/* The first revision's parameters, as the second has them: NULL stays NULL. */
static const CUDA_KERNEL_NODE_PARAMS *widen(CUDA_KERNEL_NODE_PARAMS *to,
					    const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	_Static_assert(offsetof(CUDA_KERNEL_NODE_PARAMS, kern) == sizeof(*p), "another layout");
	if (!p)
		return NULL;
	memset(to, 0, sizeof(*to));
	memcpy(to, p, sizeof(*p));
	return to;
}
#define AS_V2(p) widen(&(CUDA_KERNEL_NODE_PARAMS){0}, p)

static int from_memset(const CUDA_MEMSET_NODE_PARAMS *p, struct wire_node *n)
{
	uint64_t row, span;

	if (!p || !p->dst || !p->width || !p->height ||
	    (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) ||
	    p->dst % p->elementSize || __builtin_mul_overflow(p->width, p->elementSize, &row) ||
	    (p->height > 1 && p->pitch < row) ||
	    __builtin_mul_overflow(p->height - 1, p->height > 1 ? p->pitch : 0, &span) ||
	    __builtin_add_overflow(span, row, &span) || !range_on_device(p->dst, span))
		return CUDA_ERROR_INVALID_VALUE;
	n->is = (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_MEMSET,
					  .dst = p->dst,
					  .dst_pitch = p->pitch,
					  .width = p->width,
					  .height = p->height,
					  .value = p->value,
					  .element = p->elementSize};
	n->len = 0;
	return 0;
}

static void CUDA_CB host_gone(void *what)
{
	hostfunc_drop((uintptr_t)what);
}

static struct held_add host_of(const struct graph *g, uint32_t node, uint64_t id)
{
	return (struct held_add){HELD_HOST, host_gone, (void *)(uintptr_t)id,
				 node == HELD_OF_GRAPH ? 0 : g->o.wire, node};
}

bool host_hold(struct graph *g, uint32_t node, uint64_t id)
{
	const struct held_add add = host_of(g, node, id);
	struct held *old;
	bool ok;

	pthread_mutex_lock(&g->lock);
	old = add.graph ? held_take(&g->held, g, node) : NULL;
	ok = held_add(&g->held, &add);
	pthread_mutex_unlock(&g->lock);
	held_release(old);
	return ok;
}

static int from_host(struct ctx *c, const CUDA_HOST_NODE_PARAMS *p, struct wire_node *n)
{
	if (!p || !p->fn)
		return CUDA_ERROR_INVALID_VALUE;
	n->is = (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_HOST,
					  .object = hostfunc_keep(p->fn, p->userData, c)};
	n->len = 0;
	return n->is.object ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

int node_place(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
	       struct addition *p)
{
	int r = ctx_enter(&p->ctx);

	if (r)
		return r;
	p->g = graph_find(graph);
	if (!p->g || !node)
		return CUDA_ERROR_INVALID_VALUE;
	r = node_numbers(p->g, deps, count, p->deps);
	p->count = (uint32_t)count;
	return r;
}

int node_add(CUgraphNode *node, const struct addition *p, const struct wire_node *n)
{
	uint32_t number = 0;
	int r;

	graph_changes(p->g);
	r = pvgpu_do_graph_add(session(), p->ctx->o.wire, p->g->o.wire, &n->is, sizeof(n->is),
			       n->params, n->len, p->deps,
			       (uint32_t)(p->count * sizeof(p->deps[0])), &number);
	if (!r)
		*node = node_handle(p->g, number);
	return r;
}

PUBLIC CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
					size_t count, const CUDA_KERNEL_NODE_PARAMS *params)
{
	struct wire_node n;
	struct addition p;
	int r = node_place(node, graph, deps, count, &p);

	if (!r)
		r = from_kernel(p.ctx, params, &n);
	return r ? r : node_add(node, &p, &n);
}

PUBLIC CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				     size_t count, const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
	return cuGraphAddKernelNode_v2(node, graph, deps, count, AS_V2(params));
}

PUBLIC CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				     size_t count, const CUDA_MEMSET_NODE_PARAMS *params,
				     CUcontext ctx)
{
	struct wire_node n;
	struct addition p;
	int r = node_place(node, graph, deps, count, &p);

	if (!r)
		r = from_memset(params, &n);
	return r ? r : node_add(node, &p, &n);
}

/* The graph's node has been given the host function of n, or not (r). */
static int host_given(CUgraphNode node, const struct wire_node *n, int r)
{
	struct graph *g;
	uint32_t number;

	if (!r && !(node_find(node, &g, &number) && host_hold(g, number, n->is.object)))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r)
		hostfunc_drop(n->is.object);
	return r;
}

PUBLIC CUresult cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				   size_t count, const CUDA_HOST_NODE_PARAMS *params)
{
	struct wire_node n;
	struct addition p;
	int r = node_place(node, graph, deps, count, &p);

	if (!r)
		r = from_host(p.ctx, params, &n);
	if (r)
		return r;
	r = node_add(node, &p, &n);
	if (!r)
		graph_hosts(p.g, 1);
	return host_given(*node, &n, r);
}

PUBLIC CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				    size_t count)
{
	struct wire_node n = {.is = {.kind = CU_GRAPH_NODE_TYPE_EMPTY}};
	struct addition p;
	const int r = node_place(node, graph, deps, count, &p);

	return r ? r : node_add(node, &p, &n);
}

static bool hold_child(struct graph *g, uint32_t number, struct graph *child)
{
	struct held *held = NULL;
	const bool ok = held_of_child(child, g, number, &held);

	pthread_mutex_lock(&g->lock);
	held_join(&g->held, held);
	pthread_mutex_unlock(&g->lock);
	return ok;
}

PUBLIC CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
					 size_t count, CUgraph child)
{
	struct wire_node n = {.is = {.kind = CU_GRAPH_NODE_TYPE_GRAPH}};
	struct graph *of = graph_find(child), *g;
	struct addition p;
	uint32_t number;
	int r = node_place(node, graph, deps, count, &p);

	if (r)
		return r;
	if (!of)
		return CUDA_ERROR_INVALID_VALUE;
	if (of->memory || (p.g->parent && of->events))
		return CUDA_ERROR_NOT_SUPPORTED;
	n.is.object = of->o.wire;
	r = node_add(node, &p, &n);
	if (r)
		return r;
	graph_hosts(p.g, of->hosts);
	return event_nodes_adopt(p.g, of->events) && node_find(*node, &g, &number) &&
			       paged_adopt(g, number, of, false) && hold_child(g, number, of)
		       ? 0
		       : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Is the one graph the other, or around it? */
static bool around(const struct graph *one, const struct graph *g)
{
	while (g && g != one)
		g = g->parent;
	return g != NULL;
}

int graph_move(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
	       CUgraph child)
{
	struct graph *of = graph_find(child);
	uint32_t number = 0;
	struct addition p;
	int r = node_place(node, graph, deps, count, &p);

	if (r)
		return r;
	if (!of || of->parent || around(of, p.g))
		return CUDA_ERROR_INVALID_VALUE;
	if (of->memory || of->events)
		return CUDA_ERROR_NOT_SUPPORTED;
	graph_changes(p.g);
	r = pvgpu_do_graph_move(session(), p.ctx->o.wire, p.g->o.wire, of->o.wire, p.deps,
				(uint32_t)(p.count * sizeof(p.deps[0])), &number);
	if (r)
		return r;
	graph_hosts(p.g, of->hosts);
	child_adopt(p.g, number, of);
	*node = node_handle(p.g, number);
	return paged_adopt(p.g, number, of, true) ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- changes ---- */

int node_set(CUgraphNode node, const struct wire_node *n)
{
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	const int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	graph_changes(g);
	return pvgpu_do_graph_set(session(), c->o.wire, g->o.wire, number, &n->is, sizeof(n->is),
				  n->params, n->len);
}

/* In the order of launches; what the worker finds wrong is the context's deferred error. */
int node_set_exec(CUgraphExec exec, CUgraphNode node, const struct wire_node *n)
{
	struct graph_exec *x = exec_find(exec);
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	const int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (!x)
		return CUDA_ERROR_INVALID_VALUE;
	return pvgpu_do_graph_exec_set(session(), x->o.ctx->o.wire, x->o.wire, g->o.wire, number,
				       &n->is, sizeof(n->is), n->params, n->len);
}

/* The current context, for parameters that are to be checked in it. */
int node_current(CUgraphNode node, struct ctx **c)
{
	struct graph *g;
	uint32_t number;

	return node_enter(node, &g, &number, c);
}

#define SETTER(call, type, make)                                                                   \
	PUBLIC CUresult cuGraph##call(CUgraphNode node, const type *params)                        \
	{                                                                                          \
		struct wire_node n;                                                                \
		struct ctx *c;                                                                     \
		int r = node_current(node, &c);                                                    \
                                                                                                   \
		if (!r)                                                                            \
			r = make;                                                                  \
		return (CUresult)(r ? r : node_set(node, &n));                                     \
	}

SETTER(KernelNodeSetParams_v2, CUDA_KERNEL_NODE_PARAMS, from_kernel(c, params, &n))
SETTER(KernelNodeSetParams, CUDA_KERNEL_NODE_PARAMS_v1, from_kernel(c, AS_V2(params), &n))
SETTER(MemsetNodeSetParams, CUDA_MEMSET_NODE_PARAMS, from_memset(params, &n))

PUBLIC CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *params)
{
	struct wire_node n;
	struct ctx *c;
	int r = node_current(node, &c);

	if (!r)
		r = from_host(c, params, &n);
	return r ? r : host_given(node, &n, node_set(node, &n));
}

static int exec_kernel(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *params)
{
	struct wire_node n;
	struct ctx *c;
	int r = node_current(node, &c);

	if (!r)
		r = from_kernel(c, params, &n);
	return r ? r : node_set_exec(exec, node, &n);
}

PUBLIC CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
						  const CUDA_KERNEL_NODE_PARAMS *params)
{
	return exec_kernel(exec, node, params);
}

PUBLIC CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
					       const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
	return exec_kernel(exec, node, AS_V2(params));
}

PUBLIC CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
					       const CUDA_MEMSET_NODE_PARAMS *params, CUcontext ctx)
{
	struct wire_node n;
	const int r = from_memset(params, &n);

	return r ? r : node_set_exec(exec, node, &n);
}

PUBLIC CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
					     const CUDA_HOST_NODE_PARAMS *params)
{
	struct graph_exec *x = exec_find(exec);
	struct held *held = NULL;
	struct held_add add;
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	int r = node_enter(node, &g, &number, &c);

	if (!r)
		r = x ? from_host(c, params, &n) : CUDA_ERROR_INVALID_VALUE;
	if (r)
		return r;
	add = host_of(g, number, n.is.object);
	r = held_add(&held, &add) ? node_set_exec(exec, node, &n) : CUDA_ERROR_OUT_OF_MEMORY;
	if (!r) {
		exec_hold_node(x, g, number, held);
		return 0;
	}
	if (held)
		held_release(held);
	else
		hostfunc_drop(n.is.object);
	return r;
}

/* ---- what a node does ---- */

int node_get(CUgraphNode node, CUgraphNodeType type, const void *out, struct graph **g,
	     uint32_t *number, struct wire_node *n)
{
	uint32_t len = 0;
	struct ctx *c;
	int r = node_enter(node, g, number, &c);

	if (r)
		return r;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_graph_get(session(), c->o.wire, (*g)->o.wire, *number, &n->is, sizeof(n->is),
			       &len, n->params, sizeof(n->params), &n->len);
	if (!r && len != sizeof(n->is))
		r = pvgpu_broken(session(), "the worker described a graph's node wrongly");
	return r || n->is.kind == (uint32_t)type ? r : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type)
{
	struct wire_node n;
	uint32_t number, len = 0;
	struct graph *g;
	struct ctx *c;
	int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	if (!type)
		return CUDA_ERROR_INVALID_VALUE;
	if (memory_node_type(g, number, type) || event_node_type(g, number, type))
		return 0;
	if (paged_is(g, number)) {
		*type = CU_GRAPH_NODE_TYPE_MEMCPY;
		return 0;
	}
	r = pvgpu_do_graph_get(session(), c->o.wire, g->o.wire, number, &n.is, sizeof(n.is), &len,
			       n.params, sizeof(n.params), &n.len);
	if (!r && len == sizeof(n.is))
		*type = (CUgraphNodeType)n.is.kind;
	return r;
}

static struct function *function_by_wire(uint64_t wire)
{
	const struct object_table *t = &object_tables[PVGPU_H_FUNCTION];

	for (uint32_t i = 0; i < PVGPU_HANDLES_MAX; i++) {
		char *chunk = atomic_load(&t->chunk[i / OBJECT_CHUNK]);
		struct function *f;

		if (!chunk)
			break;
		f = (struct function *)(chunk + i % OBJECT_CHUNK * t->size);
		if (atomic_load(&f->o.generation) && f->o.wire == wire)
			return f;
	}
	return NULL;
}

struct node_cache *node_cache(struct graph *g, uint32_t number, size_t bytes)
{
	struct node_cache *more, *k;

	if (number >= g->cached) {
		more = realloc(g->cache, (number + 16) * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + g->cached, 0, (number + 16 - g->cached) * sizeof(*more));
		g->cache = more;
		g->cached = number + 16;
	}
	k = &g->cache[number];
	free(k->packed);
	free(k->pointers);
	k->packed = malloc(bytes + 1);
	k->pointers = NULL;
	return k;
}

/* Pointers to the parameters, which stay valid as long as the graph, or until they are asked for
 * again. */
static int keep_params(struct graph *g, uint32_t number, const struct function *f,
		       const struct wire_node *n, void ***out)
{
	struct node_cache *k;

	if (n->len != f->param_bytes)
		return CUDA_ERROR_NOT_SUPPORTED;
	*out = NULL;
	pthread_mutex_lock(&g->lock);
	k = node_cache(g, number, n->len);
	if (k)
		k->pointers = calloc(f->param_count + 1, sizeof(void *));
	if (k && k->packed && k->pointers) {
		memcpy(k->packed, n->params, n->len);
		for (uint32_t i = 0; i < f->param_count; i++)
			k->pointers[i] = k->packed + f->params[i].offset;
	}
	if (k && k->packed)
		*out = k->pointers;
	pthread_mutex_unlock(&g->lock);
	return *out ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static int get_kernel(CUgraphNode node, void *out, size_t size)
{
	CUDA_KERNEL_NODE_PARAMS p = {0};
	struct wire_node n;
	struct function *f;
	struct graph *g;
	uint32_t number;
	int r = node_get(node, CU_GRAPH_NODE_TYPE_KERNEL, out, &g, &number, &n);

	if (r)
		return r;
	/* A kernel of a library in the backend has no handle here. */
	f = n.is.object ? function_by_wire(n.is.object) : NULL;
	if (!f)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = keep_params(g, number, f, &n, &p.kernelParams);
	if (r)
		return r;
	p.func = object_handle(&f->o);
	memcpy(&p.gridDimX, n.is.grid, sizeof(n.is.grid));
	memcpy(&p.blockDimX, n.is.block, sizeof(n.is.block));
	p.sharedMemBytes = n.is.shared;
	memcpy(out, &p, size);
	return 0;
}

PUBLIC CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *params)
{
	return get_kernel(node, params, sizeof(*params));
}

PUBLIC CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
	return get_kernel(node, params, sizeof(*params));
}

PUBLIC CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *p)
{
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	const int r = node_get(node, CU_GRAPH_NODE_TYPE_MEMSET, p, &g, &number, &n);

	if (!r)
		*p = (CUDA_MEMSET_NODE_PARAMS){.dst = n.is.dst,
					       .pitch = n.is.dst_pitch,
					       .value = n.is.value,
					       .elementSize = n.is.element,
					       .width = n.is.width,
					       .height = n.is.height};
	return r;
}

PUBLIC CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *p)
{
	struct wire_node n;
	struct graph *g;
	uint32_t number;
	const int r = node_get(node, CU_GRAPH_NODE_TYPE_HOST, p, &g, &number, &n);

	if (r)
		return r;
	return hostfunc_kept(n.is.object, p) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}
