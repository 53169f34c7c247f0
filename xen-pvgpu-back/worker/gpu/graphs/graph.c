/* SPDX-License-Identifier: MIT */
/*
 * Graphs: their nodes, which the guest knows by numbers, and instantiation. A node's parameters
 * are checked when it is made or changed (graph_params.c), since a launch names the graph alone.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream_ops.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

bool far_graphs(const struct far *far)
{
#define HAS(name) &&far->name
	return true FAR_GRAPHS(HAS);
#undef HAS
}

static uint32_t hash_of(const void *node)
{
	return (uint32_t)((uintptr_t)node * 0x9e3779b97f4a7c15ull >> 32);
}

CUgraphNode graph_node(const struct graph *gr, uint32_t number)
{
	return number < gr->count ? gr->node[number] : NULL;
}

/* Where the node's number is, or would be. */
static uint32_t *slot_of(const struct graph *gr, CUgraphNode node)
{
	uint32_t i = hash_of(node) & (gr->slots - 1);

	while (gr->index[i] && gr->node[gr->index[i] - 1] != node)
		i = (i + 1) & (gr->slots - 1);
	return &gr->index[i];
}

/* Twice as many slots as nodes. */
static bool grow(struct graph *gr)
{
	const uint32_t room = gr->room ? 2 * gr->room : 64;
	CUgraphNode *node = realloc(gr->node, room * sizeof(CUgraphNode));
	uint32_t *index;

	if (!node)
		return false;
	gr->node = node;
	index = calloc(2 * room, sizeof(*index));
	if (!index)
		return false;
	free(gr->index);
	gr->index = index;
	gr->slots = 2 * room;
	gr->room = room;
	for (uint32_t i = 0; i < gr->count; i++) {
		if (gr->node[i])
			*slot_of(gr, gr->node[i]) = i + 1;
	}
	return true;
}

int graph_number(struct graph *gr, CUgraphNode node, uint32_t *number)
{
	uint32_t *slot = gr->slots ? slot_of(gr, node) : NULL;

	if (!slot || !*slot) {
		if (gr->count >= PVGPU_GRAPH_NODES_MAX)
			return CUDA_ERROR_OUT_OF_MEMORY;
		if (gr->count == gr->room && !grow(gr))
			return CUDA_ERROR_OUT_OF_MEMORY;
		slot = slot_of(gr, node);
		gr->node[gr->count++] = node;
		*slot = gr->count;
	}
	*number = *slot - 1;
	return 0;
}

/* A number is not used again; the far end may use the address. */
static void forget_node(struct graph *gr, uint32_t number)
{
	gr->node[number] = NULL;
	memset(gr->index, 0, gr->slots * sizeof(*gr->index));
	for (uint32_t i = 0; i < gr->count; i++) {
		if (gr->node[i])
			*slot_of(gr, gr->node[i]) = i + 1;
	}
}

int graph_deps(const struct graph *gr, const void *bytes, uint32_t len, CUgraphNode *to,
	       uint32_t *count)
{
	uint32_t number;

	*count = len / sizeof(number);
	if (len % sizeof(number) || *count > PVGPU_GRAPH_DEPS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < *count; i++) {
		memcpy(&number, (const char *)bytes + i * sizeof(number), sizeof(number));
		to[i] = graph_node(gr, number);
		if (!to[i])
			return CUDA_ERROR_INVALID_VALUE;
	}
	return 0;
}

void graph_free(struct obj *o)
{
	struct graph *gr = (struct graph *)o;

	if (o->type == PVGPU_H_GRAPH_EXEC)
		free(((struct graph_exec *)o)->copies.of);
	if (o->type != PVGPU_H_GRAPH)
		return;
	free(gr->node);
	free(gr->index);
	if (gr->parent)
		obj_unref(gr->parent);
}

void graph_retire(struct gpu *g, struct obj *o)
{
	struct graph_exec *x = (struct graph_exec *)o;
	struct graph *gr = (struct graph *)o;

	if (o->type == PVGPU_H_GRAPH && gr->far) {
		if (!gr->parent) {
			g->far->cuGraphDestroy(gr->far);
			graph_nodes_give(g, gr, gr->nodes);
		}
		gr->far = NULL;
	} else if (o->type == PVGPU_H_GRAPH_EXEC && x->far) {
		if (!ctx_enter(o->ctx))
			g->far->cuGraphExecDestroy(x->far);
		x->far = NULL;
		lease_put(g->w, x->charge);
		x->charge = 0;
		graph_nodes_give(g, NULL, x->sum.nodes);
	}
}

static struct graph *graph_make(struct gpu *g, uint64_t handle, int *err)
{
	return obj_new(g, PVGPU_H_GRAPH, handle, sizeof(struct graph), NULL, NULL, err);
}

int handle_graph_create(struct worker *w, const struct pvgpu_in_graph_create *in,
			struct pvgpu_out_graph_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr;
	int err, r = CUDA_ERROR_NOT_SUPPORTED;

	gr = graph_make(g, in->graph_h, &err);
	if (!gr)
		return err;
	if (far_graphs(g->far))
		r = (int)g->far->cuGraphCreate(&gr->far, 0);
	obj_ready(gr, r);
	return 0; /* the handle says it */
}

struct retire_job {
	struct job job;
	struct obj *o;
};

static void run_retire(struct gpu *g, struct job *job)
{
	struct retire_job *j = (struct retire_job *)job;

	graph_retire(g, j->o);
	obj_unref(j->o);
	free(j);
}

/* In the side lane; after: when all work issued so far has ended. */
static int retire_later(struct gpu *g, struct obj *o, bool after)
{
	struct retire_job *j = calloc(1, sizeof(*j));

	obj_remove(g, o);
	if (!j) {
		obj_unref(o);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->o = o;
	j->job.run = run_retire;
	if (after)
		side_after_work(g, o->ctx, &j->job);
	else
		side_push(g, &j->job);
	return 0;
}

int handle_graph_destroy(struct worker *w, const struct pvgpu_in_graph_destroy *in,
			 struct pvgpu_out_graph_destroy *out)
{
	struct graph *gr = in->graph;

	gr->gone = true;
	graph_child_forget(gr);
	return retire_later(worker_gpu(w), in->graph, false);
}

int handle_graph_exec_destroy(struct worker *w, const struct pvgpu_in_graph_exec_destroy *in,
			      struct pvgpu_out_graph_exec_destroy *out)
{
	return retire_later(worker_gpu(w), in->exec, true);
}

/* Nodes of a clone get the numbers of those that they are copies of. */
static int number_clone(const struct far *far, const struct graph *gr, struct graph *to)
{
	CUgraphNode node;
	uint32_t number;
	int r = 0;

	while (to->room < gr->count) {
		if (!grow(to))
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	for (uint32_t i = 0; i < gr->count && !r; i++) {
		to->count = i;
		if (!gr->node[i]) {
			to->node[i] = NULL;
			continue;
		}
		r = (int)far->cuGraphNodeFindInClone(&node, gr->node[i], to->far);
		if (!r)
			r = graph_number(to, node, &number);
	}
	to->count = r ? 0 : gr->count;
	return r;
}

int graph_alive(struct graph *gr)
{
	int r = obj_error(gr);

	for (; gr->parent && !r; gr = gr->parent) {
		if (gr->parent->gone || !graph_node(gr->parent, gr->in_node))
			r = CUDA_ERROR_INVALID_HANDLE;
	}
	return r;
}

/* A graph must not be used by two threads at a time, as CUDA has it; the side lane is one. A
 * program that keeps to that has waited for the instantiation. */
int graph_error(struct graph *gr)
{
	const int r = graph_alive(gr);

	for (; gr && !r; gr = gr->parent) {
		if (atomic_load(&gr->reads))
			return CUDA_ERROR_ILLEGAL_STATE;
	}
	return r;
}

void graph_reads(struct graph *gr, int n)
{
	for (; gr; gr = gr->parent)
		atomic_fetch_add(&gr->reads, (unsigned int)n);
}

int handle_graph_clone(struct worker *w, const struct pvgpu_in_graph_clone *in,
		       struct pvgpu_out_graph_clone *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph, *to;
	uint64_t nodes;
	int err, r = graph_error(gr);

	if (r)
		return r;
	to = graph_make(g, in->clone_h, &err);
	if (!to)
		return err;
	r = graph_copy_take(g, to, gr, &nodes);
	if (!r) {
		r = (int)g->far->cuGraphClone(&to->far, gr->far);
		if (r)
			graph_nodes_give(g, to, nodes);
	}
	if (!r) {
		r = number_clone(g->far, gr, to);
		if (r)
			graph_retire(g, &to->o);
	}
	obj_ready(to, r);
	return r;
}

CUDA_BATCH_MEM_OP_NODE_PARAMS mem_node(const struct ctx *c, const struct node_params *p)
{
	return (CUDA_BATCH_MEM_OP_NODE_PARAMS){
		.ctx = c->far, .count = p->ops->n, .paramArray = p->ops->op};
}

static int add(const struct far *far, struct graph *gr, struct ctx *c, struct node_params *p,
	       const CUgraphNode *deps, uint32_t n, CUgraphNode *node)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS ops;

	switch (p->is.kind) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return (int)far->cuGraphAddKernelNode_v2(node, gr->far, deps, n, &p->kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return (int)far->cuGraphAddMemcpyNode(node, gr->far, deps, n, &p->copy, c->far);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return (int)far->cuGraphAddMemsetNode(node, gr->far, deps, n, &p->set, c->far);
	case CU_GRAPH_NODE_TYPE_HOST:
		return (int)far->cuGraphAddHostNode(node, gr->far, deps, n, &p->host);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return (int)far->cuGraphAddChildGraphNode(node, gr->far, deps, n, p->child->far);
	case CU_GRAPH_NODE_TYPE_EMPTY:
		return (int)far->cuGraphAddEmptyNode(node, gr->far, deps, n);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		ops = mem_node(c, p);
		return (int)far->cuGraphAddBatchMemOpNode(node, gr->far, deps, n, &ops);
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

/* The graph and the context of a command. */
int graph_usable(struct graph *graph, struct ctx *ctx)
{
	int r = graph_error(graph);

	if (!r)
		r = obj_error(ctx);
	return r ? r : ctx_enter(ctx);
}

int handle_graph_add(struct worker *w, const struct pvgpu_in_graph_add *in,
		     struct pvgpu_out_graph_add *out)
{
	CUgraphNode deps[PVGPU_GRAPH_DEPS_MAX], node;
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph;
	struct node_params p;
	uint64_t more = 1;
	uint32_t n = 0;
	int r = graph_usable(gr, in->ctx);

	if (!r)
		r = graph_deps(gr, in->deps, in->deps_len, deps, &n);
	if (!r)
		r = params_read(g, in->ctx, in->what, in->what_len, in->params, in->params_len, &p);
	if (!r && gr->count >= PVGPU_GRAPH_NODES_MAX)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!r)
		r = p.is.kind == CU_GRAPH_NODE_TYPE_GRAPH ? graph_child_take(g, gr, p.child, &more)
							  : graph_nodes_take(g, gr, more);
	if (r)
		return r;
	r = add(g->far, gr, in->ctx, &p, n ? deps : NULL, n, &node);
	if (r)
		graph_nodes_give(g, gr, more);
	return r ? r : graph_number(gr, node, &out->node);
}

int handle_graph_set(struct worker *w, const struct pvgpu_in_graph_set *in,
		     struct pvgpu_out_graph_set *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	CUDA_BATCH_MEM_OP_NODE_PARAMS ops;
	struct node_params p;
	CUgraphNode node;
	int r = graph_usable(in->graph, in->ctx);

	if (r)
		return r;
	node = graph_node(in->graph, in->node);
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	r = params_read(g, in->ctx, in->what, in->what_len, in->params, in->params_len, &p);
	if (r)
		return r;
	switch (p.is.kind) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return (int)far->cuGraphKernelNodeSetParams_v2(node, &p.kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return (int)far->cuGraphMemcpyNodeSetParams(node, &p.copy);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return (int)far->cuGraphMemsetNodeSetParams(node, &p.set);
	case CU_GRAPH_NODE_TYPE_HOST:
		return (int)far->cuGraphHostNodeSetParams(node, &p.host);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		ops = mem_node(in->ctx, &p);
		return (int)far->cuGraphBatchMemOpNodeSetParams(node, &ops);
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

int handle_graph_get(struct worker *w, const struct pvgpu_in_graph_get *in,
		     struct pvgpu_out_graph_get *out)
{
	struct gpu *g = worker_gpu(w);
	static struct pvgpu_graph_node is; /* decoding thread */
	CUgraphNode node;
	int r = graph_usable(in->graph, in->ctx);

	if (r)
		return r;
	node = graph_node(in->graph, in->node);
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	r = params_write(g, node, &is, &out->params_len);
	out->params = g->scratch;
	out->what = &is;
	out->what_len = sizeof(is);
	return r;
}

#define PAGE 2048u /* numbers in one reply */

int handle_graph_nodes(struct worker *w, const struct pvgpu_in_graph_nodes *in,
		       struct pvgpu_out_graph_nodes *out)
{
	struct gpu *g = worker_gpu(w);
	uint32_t *to = (uint32_t *)(void *)g->scratch, n = 0;
	struct graph *gr = in->graph;
	CUgraphNode *list;
	size_t total = 0;
	int r = graph_error(gr);

	if (!r)
		r = (int)g->far->cuGraphGetNodes(gr->far, NULL, &total);
	if (r)
		return r;
	list = calloc(total + 1, sizeof(CUgraphNode));
	if (!list)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (total) /* room for none is refused */
		r = (int)g->far->cuGraphGetNodes(gr->far, list, &total);
	for (size_t i = in->first; i < total && n < PAGE && !r; i++)
		r = graph_number(gr, list[i], &to[n++]);
	free(list);
	out->total = (uint32_t)total;
	out->nodes = to;
	out->nodes_len = r ? 0 : n * 4;
	return r;
}

int handle_graph_edges(struct worker *w, const struct pvgpu_in_graph_edges *in,
		       struct pvgpu_out_graph_edges *out)
{
	struct gpu *g = worker_gpu(w);
	uint32_t *to = (uint32_t *)(void *)g->scratch, n = 0;
	struct graph *gr = in->graph;
	CUgraphNode *list;
	size_t total = 0;
	int r = graph_error(gr);

	if (!r)
		r = (int)g->far->cuGraphGetEdges(gr->far, NULL, NULL, &total);
	if (r)
		return r;
	list = calloc(2 * total + 2, sizeof(CUgraphNode));
	if (!list)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (total)
		r = (int)g->far->cuGraphGetEdges(gr->far, list, list + total, &total);
	for (size_t i = in->first; i < total && n < PAGE && !r; i++) {
		r = graph_number(gr, list[i], &to[n++]);
		if (!r)
			r = graph_number(gr, list[total + i], &to[n++]);
	}
	free(list);
	out->total = (uint32_t)total;
	out->edges = to;
	out->edges_len = r ? 0 : n * 4;
	return r;
}

int handle_graph_link(struct worker *w, const struct pvgpu_in_graph_link *in,
		      struct pvgpu_out_graph_link *out)
{
	CUgraphNode from[PVGPU_GRAPH_DEPS_MAX], to[PVGPU_GRAPH_DEPS_MAX];
	const struct far *far = worker_gpu(w)->far;
	struct graph *gr = in->graph;
	const uint32_t n = in->edges_len / 8;
	int r = graph_error(gr);

	if (r)
		return r;
	if (in->edges_len % 8 || n > PVGPU_GRAPH_DEPS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair[2];

		memcpy(pair, (const char *)in->edges + i * sizeof(pair), sizeof(pair));
		from[i] = graph_node(gr, pair[0]);
		to[i] = graph_node(gr, pair[1]);
		if (!from[i] || !to[i])
			return CUDA_ERROR_INVALID_VALUE;
	}
	return (int)(in->on ? far->cuGraphAddDependencies(gr->far, from, to, n)
			    : far->cuGraphRemoveDependencies(gr->far, from, to, n));
}

int handle_graph_drop(struct worker *w, const struct pvgpu_in_graph_drop *in,
		      struct pvgpu_out_graph_drop *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph *gr = in->graph;
	struct graph_sum sum = {0};
	CUgraphNode node;
	int r = graph_error(gr);

	if (r)
		return r;
	node = graph_node(gr, in->node);
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_node_sum(g->far, node, &sum);
	if (!r)
		r = (int)g->far->cuGraphDestroyNode(node);
	if (r)
		return r;
	graph_nodes_give(g, gr, sum.nodes);
	forget_node(gr, in->node);
	return 0;
}
