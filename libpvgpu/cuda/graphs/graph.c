/* SPDX-License-Identifier: MIT */
/* Graphs: their life, handles of their nodes, and what can be launched of them. */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/done.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* A node's handle: the mark, the graph's place, its generation, and the node's number. */
enum { NODE_BITS = 16, GENERATION_BITS = 22, INDEX_BITS = 18, NODE_MARK = 0x4e };
enum {
	GENERATION_SHIFT = NODE_BITS,
	INDEX_SHIFT = GENERATION_SHIFT + GENERATION_BITS,
	MARK_SHIFT = INDEX_SHIFT + INDEX_BITS
};
_Static_assert(PVGPU_GRAPH_NODES_MAX <= 1 << NODE_BITS, "a node's number does not fit");
_Static_assert(PVGPU_HANDLES_MAX <= 1 << INDEX_BITS, "a graph's place does not fit");
_Static_assert(MARK_SHIFT == 56, "the mark is the uppermost byte");

static uint64_t low_bits(uint64_t value, unsigned int bits)
{
	return value & (((uint64_t)1 << bits) - 1);
}

struct graph *graph_find(CUgraph h)
{
	return object_find(PVGPU_H_GRAPH, h);
}

struct graph_exec *exec_find(CUgraphExec h)
{
	return object_find(PVGPU_H_GRAPH_EXEC, h);
}

CUgraphNode node_handle(const struct graph *g, uint32_t node)
{
	return (CUgraphNode)(uintptr_t)((uint64_t)NODE_MARK << MARK_SHIFT |
					(uint64_t)g->o.index << INDEX_SHIFT |
					low_bits(g->o.last_generation, GENERATION_BITS)
						<< GENERATION_SHIFT |
					low_bits(node, NODE_BITS));
}

bool node_find(CUgraphNode handle, struct graph **out, uint32_t *node)
{
	const struct object_table *t = &object_tables[PVGPU_H_GRAPH];
	const uint64_t h = (uintptr_t)handle;
	const uint32_t index = (uint32_t)low_bits(h >> INDEX_SHIFT, INDEX_BITS);
	struct graph *g;
	char *chunk;

	if (h >> MARK_SHIFT != NODE_MARK || index >= PVGPU_HANDLES_MAX)
		return false;
	chunk = atomic_load(&t->chunk[index / OBJECT_CHUNK]);
	if (!chunk)
		return false;
	g = (struct graph *)(chunk + index % OBJECT_CHUNK * t->size);
	*node = (uint32_t)low_bits(h, NODE_BITS);
	*out = g;
	return atomic_load(&g->o.generation) && node_handle(g, *node) == handle;
}

int node_numbers(const struct graph *g, const CUgraphNode *nodes, size_t count, uint32_t *out)
{
	struct graph *of;

	if (count && !nodes)
		return CUDA_ERROR_INVALID_VALUE;
	if (count > PVGPU_GRAPH_DEPS_MAX)
		return CUDA_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < count; i++) {
		if (!node_find(nodes[i], &of, &out[i]) || of != g)
			return CUDA_ERROR_INVALID_VALUE;
	}
	return 0;
}

int graph_enter(CUgraph h, struct graph **g)
{
	const int r = guest_enter();

	if (r)
		return r;
	*g = graph_find(h);
	return *g ? 0 : CUDA_ERROR_INVALID_VALUE;
}

int node_enter(CUgraphNode h, struct graph **g, uint32_t *node, struct ctx **c)
{
	const int r = ctx_enter(c);

	if (r)
		return r;
	return node_find(h, g, node) ? 0 : CUDA_ERROR_INVALID_VALUE;
}

struct graph *graph_object(void)
{
	struct graph *g = object_new(PVGPU_H_GRAPH);

	if (g)
		pthread_mutex_init(&g->lock, NULL);
	return g;
}

void graph_hosts(struct graph *g, uint32_t n)
{
	for (; g; g = g->parent)
		g->hosts += n;
}

void graph_changes(struct graph *g)
{
	for (; g; g = g->parent)
		atomic_fetch_add(&g->changes, 1);
}

void graph_forms(struct graph *g, const struct form *f)
{
	if (!form_known(f, NULL, NULL))
		form_keep(f, 0, 0);
	pthread_mutex_lock(&g->lock);
	g->form = *f;
	g->formed = atomic_load(&g->changes);
	pthread_mutex_unlock(&g->lock);
}

bool graph_form(struct graph *g, struct form *f)
{
	bool known;

	pthread_mutex_lock(&g->lock);
	*f = g->form;
	known = form_is(f) && g->formed == atomic_load(&g->changes);
	pthread_mutex_unlock(&g->lock);
	return known;
}

int graph_new(struct graph **out)
{
	struct graph *g = graph_object();
	int r;

	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_graph_create(session(), g->o.wire);
	if (r) {
		object_free(&g->o);
		return r;
	}
	object_publish(&g->o);
	*out = g;
	return 0;
}

void graph_drop(struct graph *g)
{
	if (!object_retire(&g->o))
		return;
	children_drop(g, CHILDREN_ALL);
	pvgpu_do_graph_destroy(session(), g->o.wire);
	for (uint32_t i = 0; i < g->cached; i++) {
		free(g->cache[i].pointers);
		free(g->cache[i].packed);
	}
	free(g->cache);
	memory_nodes_free(g);
	event_nodes_free(g->events);
	paged_free(g);
	held_release(g->held);
	object_free(&g->o);
}

PUBLIC CUresult cuGraphCreate(CUgraph *graph, unsigned int flags)
{
	struct graph *g;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!graph || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_new(&g);
	if (r)
		return r;
	*graph = object_handle(&g->o);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphDestroy(CUgraph graph)
{
	struct graph *g;
	const int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (g->parent)
		return CUDA_ERROR_INVALID_VALUE; /* it goes with its node */
	graph_drop(g);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphClone(CUgraph *clone, CUgraph graph)
{
	struct graph *g, *to;
	int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!clone)
		return CUDA_ERROR_INVALID_VALUE;
	if (g->memory)
		return CUDA_ERROR_NOT_SUPPORTED;
	to = graph_object();
	if (!to)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = event_nodes_copy(g, &to->events) && paged_clone(g, to) && held_of_graph(g, &to->held)
		    ? 0
		    : CUDA_ERROR_OUT_OF_MEMORY;
	if (!r)
		r = pvgpu_do_graph_clone(session(), g->o.wire, to->o.wire);
	if (r) {
		event_nodes_free(to->events);
		paged_free(to);
		held_release(to->held);
		object_free(&to->o);
		return r;
	}
	to->clone_of = graph;
	to->hosts = g->hosts;
	held_rename(to->held, to);
	object_publish(&to->o);
	*clone = object_handle(&to->o);
	return CUDA_SUCCESS;
}

/* Nodes of a clone have the numbers of those that they are copies of. */
PUBLIC CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode original, CUgraph clone)
{
	struct graph *g, *to;
	CUgraphNodeType type;
	CUgraphNode copy;
	uint32_t node;
	int r = graph_enter(clone, &to);

	if (r)
		return r;
	if (!out || !node_find(original, &g, &node) || to->clone_of != object_handle(&g->o))
		return CUDA_ERROR_INVALID_VALUE;
	/* Either may have been destroyed. */
	copy = node_handle(to, node);
	r = cuGraphNodeGetType(original, &type);
	if (!r)
		r = cuGraphNodeGetType(copy, &type);
	if (!r)
		*out = copy;
	return r;
}

/* ---- what can be launched ---- */

enum {
	FLAGS = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
		CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD | CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY
};

static int instantiate(CUgraphExec *exec, CUgraph graph, uint64_t flags, uint32_t *outcome)
{
	struct held *held = NULL;
	struct graph_exec *x;
	struct graph *g;
	struct ctx *c;
	int r = ctx_enter(&c);

	*outcome = CUDA_GRAPH_INSTANTIATE_ERROR;
	if (r)
		return r;
	g = graph_find(graph);
	if (!g || !exec || flags & ~(uint64_t)(FLAGS | CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
		return CUDA_ERROR_NOT_SUPPORTED; /* kernels launch nothing past the gate */
	x = object_new(PVGPU_H_GRAPH_EXEC);
	if (!x)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = event_nodes_copy(g, &x->events) && paged_instantiate(g, &x->paged) &&
			    held_of_graph(g, &held)
		    ? 0
		    : CUDA_ERROR_OUT_OF_MEMORY;
	/* Uploaded by the launch. */
	if (!r)
		r = pvgpu_do_graph_instantiate(
			session(), c->o.wire, g->o.wire,
			flags & ~(uint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD, x->o.wire, outcome);
	if (r) {
		event_nodes_free(x->events);
		paged_release(x->paged);
		held_release(held);
		object_free(&x->o);
		return ctx_result(c, r);
	}
	x->o.ctx = c;
	x->hosts = g->hosts;
	x->flags = flags;
	exec_hold(x, held);
	x->memory = g->memory;
	object_publish(&x->o);
	*outcome = CUDA_GRAPH_INSTANTIATE_SUCCESS;
	*exec = object_handle(&x->o);
	return 0;
}

PUBLIC CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node,
				      char *log, size_t log_size)
{
	uint32_t outcome;

	if (error_node)
		*error_node = NULL;
	if (log && log_size)
		*log = 0;
	return instantiate(exec, graph, 0, &outcome);
}

PUBLIC CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node,
				   char *log, size_t log_size)
{
	return cuGraphInstantiate_v2(exec, graph, error_node, log, log_size);
}

PUBLIC CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
					    unsigned long long flags)
{
	uint32_t outcome;

	return instantiate(exec, graph, flags, &outcome);
}

static int instantiate_with(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *p,
			    bool per_thread)
{
	uint32_t outcome;
	int r;

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	r = instantiate(exec, graph, p->flags, &outcome);
	p->hErrNode_out = NULL;
	p->result_out = (CUgraphInstantiateResult)outcome;
	if (!r && p->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
		r = per_thread ? cuGraphUpload_ptsz(*exec, p->hUploadStream)
			       : cuGraphUpload(*exec, p->hUploadStream);
	return r;
}

CU_PTSZ(cuGraphInstantiateWithParams,
	(CUgraphExec * exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params),
	instantiate_with(exec, graph, params, per_thread))

void graph_exec_forget(struct graph_exec *x)
{
	exec_let_go(x, x->held);
	exec_forget_flight(x);
	event_nodes_free(x->events);
	paged_update(x, NULL);
	object_free(&x->o);
}

PUBLIC CUresult cuGraphExecDestroy(CUgraphExec exec)
{
	struct graph_exec *x;
	const int r = guest_enter();

	if (r)
		return r;
	x = exec_find(exec);
	if (!x || !object_retire(&x->o))
		return CUDA_ERROR_INVALID_VALUE;
	pvgpu_do_graph_exec_destroy(session(), x->o.wire);
	graph_exec_forget(x);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphExecGetFlags(CUgraphExec exec, cuuint64_t *flags)
{
	struct graph_exec *x;
	const int r = guest_enter();

	if (r)
		return r;
	x = exec_find(exec);
	if (!x || !flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = x->flags;
	return CUDA_SUCCESS;
}

/* The instance takes over the graph, and what this library has of the nodes. */
static int update(struct graph_exec *x, struct graph *g, uint32_t *outcome)
{
	struct paged_node *paged = NULL;
	struct held *held = NULL, *const old = x->held;
	int r = paged_instantiate(g, &paged) && held_of_graph(g, &held) ? 0
									: CUDA_ERROR_OUT_OF_MEMORY;

	if (!r)
		r = pvgpu_do_graph_exec_update(session(), x->o.ctx->o.wire, x->o.wire, g->o.wire,
					       outcome);
	if (!r && *outcome)
		r = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	if (r) {
		paged_release(paged);
		held_release(held);
		return r;
	}
	x->hosts = g->hosts;
	exec_hold(x, held);
	exec_let_go(x, old);
	event_nodes_update(x, g, false);
	paged_update(x, paged);
	return 0;
}

PUBLIC CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph,
				     CUgraphExecUpdateResultInfo *info)
{
	struct graph_exec *x;
	uint32_t outcome = CU_GRAPH_EXEC_UPDATE_ERROR;
	struct graph *g;
	int r = graph_enter(graph, &g);

	if (r)
		return r;
	x = exec_find(exec);
	if (!x || !info)
		return CUDA_ERROR_INVALID_VALUE;
	memset(info, 0, sizeof(*info));
	/* Its kernels name the old graph's memory. */
	if (x->memory || g->memory) {
		info->result = CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	}
	if (!event_nodes_update(x, g, true)) {
		info->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	}
	r = update(x, g, &outcome);
	info->result = (CUgraphExecUpdateResult)outcome;
	return r;
}

PUBLIC CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node,
				  CUgraphExecUpdateResult *result)
{
	CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
	CUresult r;

	if (!result)
		return CUDA_ERROR_INVALID_VALUE;
	r = cuGraphExecUpdate_v2(exec, graph, &info);
	if (error_node)
		*error_node = info.errorNode;
	*result = info.result;
	return r;
}

/* The launch of a graph is one command, whatever its nodes, but for those of events. */
static int launch(CUgraphExec exec, CUstream stream, bool per_thread)
{
	struct graph_exec *x;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	x = exec_find(exec);
	if (!x)
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(x->o.ctx != t.ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (t.captured)
		return capture_refuse(&t);
	if (unlikely(x->events))
		r = event_nodes_before(x->events, &t);
	if (r)
		return r;
	if (unlikely(x->held))
		r = exec_launches(x, &t);
	if (r)
		return r;
	if (unlikely(x->hosts) && !pvgpu_expect_hosts(session(), x->hosts))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_graph_launch(session(), t.ctx->o.wire, t.stream, x->o.wire);
	if (unlikely(x->paged || x->held))
		x->place = done_both(x->place, done_place(&t), t.ctx);
	if (unlikely(x->hosts) && !r)
		pvgpu_expected_hosts(session());
	if (unlikely(x->held) && !r)
		r = exec_launched(x, &t);
	if (unlikely(x->events) && !r)
		r = event_nodes_behind(x->events, &t);
	return r;
}

static int upload(CUgraphExec exec, CUstream stream, bool per_thread)
{
	struct graph_exec *x;
	struct target t;
	const int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	x = exec_find(exec);
	if (!x)
		return CUDA_ERROR_INVALID_VALUE;
	if (t.captured)
		return capture_refuse(&t);
	return pvgpu_do_graph_upload(session(), t.ctx->o.wire, t.stream, x->o.wire);
}

CU_PTSZ(cuGraphLaunch, (CUgraphExec exec, CUstream stream), launch(exec, stream, per_thread))
CU_PTSZ(cuGraphUpload, (CUgraphExec exec, CUstream stream), upload(exec, stream, per_thread))
