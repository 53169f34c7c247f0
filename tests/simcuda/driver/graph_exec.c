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

static CUresult instantiate(CUgraphExec *out, CUgraph graph, uint64_t flags)
{
	struct sim_graph *g;
	struct sim_exec *x;

	ENTER();
	TRY(graph_get(graph, &g));
	if (!out || flags & ~(uint64_t)15)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH || g->borrowed)
		return CUDA_ERROR_NOT_SUPPORTED;
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
	return CUDA_SUCCESS;
}

API(cuGraphInstantiate, CUgraphExec *exec, CUgraph graph, CUgraphNode *error, char *log,
    size_t log_size)
{
	if (error)
		*error = NULL;
	if (log && log_size)
		*log = 0;
	return instantiate(exec, graph, 0);
}

API(cuGraphInstantiate_v2, CUgraphExec *exec, CUgraph graph, CUgraphNode *error, char *log,
    size_t log_size)
{
	return cuGraphInstantiate(exec, graph, error, log, log_size);
}

API(cuGraphInstantiateWithFlags, CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
	return instantiate(exec, graph, flags);
}

API(cuGraphInstantiateWithParams, CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	CUresult r;

	if (!params)
		return CUDA_ERROR_INVALID_VALUE;
	r = instantiate(exec, graph, params->flags);
	params->hErrNode_out = NULL;
	params->result_out = r ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
	return r;
}

API(cuGraphInstantiateWithParams_ptsz, CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return cuGraphInstantiateWithParams(exec, graph, params);
}

API(cuGraphExecDestroy, CUgraphExec exec)
{
	struct sim_exec *x;

	ENTER();
	TRY(exec_get(exec, &x));
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

API_PTSZ(cuGraphLaunch, (CUgraphExec exec, CUstream stream), (exec, stream))
{
	struct sim_stream *s;
	struct sim_exec *x;

	TRY(exec_get(exec, &x));
	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (s->capture)
		return capture_spoil(s->capture->id, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	return graph_run(x->graph, s);
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
	}
	return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/* The old nodes stand for those that the graph was instantiated from, as before. */
static CUgraphExecUpdateResult update(struct sim_exec *x, struct sim_graph *g)
{
	struct sim_graph *copy = graph_clone(g);
	CUgraphExecUpdateResult r = CU_GRAPH_EXEC_UPDATE_ERROR;

	if (copy && graph_sort(copy))
		r = graph_compare(x->graph, copy);
	for (uint32_t i = 0; !r && i < copy->nodes; i++) {
		struct op *op = copy->node[i]->op;
		struct sim_graph *child = copy->node[i]->child;
		struct node_attrs *attrs = copy->node[i]->attrs;

		copy->node[i]->op = x->graph->node[i]->op;
		x->graph->node[i]->op = op;
		copy->node[i]->child = x->graph->node[i]->child;
		x->graph->node[i]->child = child;
		copy->node[i]->attrs = x->graph->node[i]->attrs;
		x->graph->node[i]->attrs = attrs;
		x->graph->node[i]->event = copy->node[i]->event;
		free(x->graph->node[i]->memop);
		x->graph->node[i]->memop = NULL;
		if (!memops_copy(copy->node[i], x->graph->node[i]))
			r = CU_GRAPH_EXEC_UPDATE_ERROR;
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
