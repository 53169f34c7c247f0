/* SPDX-License-Identifier: MIT */
/* Instantiated graphs. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

static struct pool exec_pool = POOL(struct sim_exec);

CUresult exec_get(CUgraphExec handle, struct sim_exec **out)
{
	*out = (struct sim_exec *)handle;
	return handle && pool_live(&exec_pool, *out) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult instantiate(CUgraphExec *out, CUgraph graph, uint64_t flags,
			    CUgraphInstantiateResult *result)
{
	struct sim_graph *g;
	struct sim_exec *x;

	*result = CUDA_GRAPH_INSTANTIATE_ERROR;
	ENTER();
	TRY(graph_get(graph, &g));
	if (!out || flags & ~(uint64_t)15)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH || g->parent)
		return CUDA_ERROR_NOT_SUPPORTED;
	*result = conditions_check(g);
	if (*result)
		return *result == CUDA_GRAPH_INSTANTIATE_CONDITIONAL_HANDLE_UNUSED
			       ? CUDA_ERROR_INVALID_VALUE
			       : CUDA_ERROR_NOT_SUPPORTED;
	*result = CUDA_GRAPH_INSTANTIATE_ERROR;
	x = pool_new(&exec_pool);
	if (!x)
		return CUDA_ERROR_OUT_OF_MEMORY;
	x->flags = flags;
	x->graph = graph_clone(g);
	if (!x->graph || !graph_sort(x->graph)) {
		pool_free(&exec_pool, x);
		return x->graph ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = (CUgraphExec)x;
	*result = CUDA_GRAPH_INSTANTIATE_SUCCESS;
	return CUDA_SUCCESS;
}

API(cuGraphInstantiate, CUgraphExec *exec, CUgraph graph, CUgraphNode *error, char *log,
    size_t log_size)
{
	CUgraphInstantiateResult result;

	if (error)
		*error = NULL;
	if (log && log_size)
		*log = 0;
	return instantiate(exec, graph, 0, &result);
}

API(cuGraphInstantiate_v2, CUgraphExec *exec, CUgraph graph, CUgraphNode *error, char *log,
    size_t log_size)
{
	return cuGraphInstantiate(exec, graph, error, log, log_size);
}

API(cuGraphInstantiateWithFlags, CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
	CUgraphInstantiateResult result;

	return instantiate(exec, graph, flags, &result);
}

API(cuGraphInstantiateWithParams, CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	if (!params)
		return CUDA_ERROR_INVALID_VALUE;
	params->hErrNode_out = NULL;
	return instantiate(exec, graph, params->flags, &params->result_out);
}

API(cuGraphInstantiateWithParams_ptsz, CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return cuGraphInstantiateWithParams(exec, graph, params);
}

API(cuGraphExecDestroy, CUgraphExec exec)
{
	struct user_ref *users = NULL;
	struct sim_exec *x;

	ENTER();
	TRY(exec_get(exec, &x));
	users_take(x->graph, &users);
	users_release_behind(users, x->last);
	if (x->last)
		op_put(x->last);
	graph_delete(x->graph);
	pool_free(&exec_pool, x);
	return CUDA_SUCCESS;
}

API(cuGraphExecGetFlags, CUgraphExec exec, cuuint64_t *flags)
{
	struct sim_exec *x;

	ENTER();
	TRY(exec_get(exec, &x));
	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = x->flags;
	return CUDA_SUCCESS;
}

/* Launches of an instance are in order, whatever their streams. */
static CUresult mark_end(struct sim_exec *x, struct sim_stream *s)
{
	struct op *op = op_new(OP_NOP, s, 0);

	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	exec_push(op, x->last, true);
	if (x->last)
		op_put(x->last);
	x->last = op;
	return CUDA_SUCCESS;
}

API_PTSZ(cuGraphLaunch, (CUgraphExec exec, CUstream stream), (exec, stream))
{
	struct sim_stream *s;
	struct sim_exec *x;

	TRY(exec_get(exec, &x));
	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (s->capture)
		return capture_spoil(s->capture->id, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	TRY(graph_launch(x->graph, s));
	return users_any(x->graph) ? mark_end(x, s) : CUDA_SUCCESS;
}

API_PTSZ(cuGraphUpload, (CUgraphExec exec, CUstream stream), (exec, stream))
{
	struct sim_stream *s;
	struct sim_exec *x;

	TRY(exec_get(exec, &x));
	return stream_get(stream, &s);
}

CUgraphExecUpdateResult graph_compare(const struct sim_graph *a, const struct sim_graph *b)
{
	if (graph_has_memory(a) || graph_has_memory(b))
		return CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
	if (a->nodes != b->nodes)
		return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
	for (uint32_t i = 0; i < a->nodes; i++) {
		if (a->node[i]->type != b->node[i]->type)
			return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
		if (a->node[i]->deps != b->node[i]->deps)
			return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
		if (a->node[i]->condition_type != b->node[i]->condition_type ||
		    a->node[i]->bodies != b->node[i]->bodies)
			return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
	}
	return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) was_ = (a);                                                          \
		(a) = (b);                                                                         \
		(b) = was_;                                                                        \
	} while (0)

static void swap_nodes(struct sim_node *a, struct sim_node *b)
{
	SWAP(a->op, b->op);
	SWAP(a->child, b->child);
	SWAP(a->attrs, b->attrs);
	SWAP(a->condition, b->condition);
	SWAP(a->body, b->body);
	SWAP(a->event, b->event);
	SWAP(a->memop, b->memop);
	SWAP(a->memops, b->memops);
	if (a->child)
		a->child->parent = a->graph;
	for (uint32_t i = 0; i < a->bodies; i++)
		a->body[i]->parent = a->graph;
}

/* The old nodes stand for those that the graph was instantiated from, as before. */
static CUgraphExecUpdateResult update(struct sim_exec *x, struct sim_graph *g)
{
	struct sim_graph *copy = graph_clone(g);
	CUgraphExecUpdateResult r = CU_GRAPH_EXEC_UPDATE_ERROR;
	struct user_ref *users = NULL;

	if (copy && graph_sort(copy))
		r = graph_compare(x->graph, copy);
	for (uint32_t i = 0; !r && i < copy->nodes; i++)
		swap_nodes(x->graph->node[i], copy->node[i]);
	if (!r) {
		SWAP(x->graph->condition, copy->condition);
		SWAP(x->graph->conditions, copy->conditions);
		SWAP(x->graph->users, copy->users);
		users_take(copy, &users);
		users_release_behind(users, x->last);
	}
	if (copy)
		graph_delete(copy);
	return r;
}

API(cuGraphExecUpdate_v2, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	struct sim_graph *g;
	struct sim_exec *x;

	ENTER();
	TRY(exec_get(exec, &x));
	TRY(graph_get(graph, &g));
	if (!info)
		return CUDA_ERROR_INVALID_VALUE;
	memset(info, 0, sizeof(*info));
	info->result = update(x, g);
	return info->result ? CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE : CUDA_SUCCESS;
}

API(cuGraphExecUpdate, CUgraphExec exec, CUgraph graph, CUgraphNode *error,
    CUgraphExecUpdateResult *result)
{
	CUgraphExecUpdateResultInfo info;
	CUresult r = cuGraphExecUpdate_v2(exec, graph, &info);

	if (!result)
		return CUDA_ERROR_INVALID_VALUE;
	if (error)
		*error = NULL;
	*result = r && r != CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE ? CU_GRAPH_EXEC_UPDATE_ERROR
								 : info.result;
	return r;
}
