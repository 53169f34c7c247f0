/* SPDX-License-Identifier: MIT */
/* Instances of graphs: their changes, which keep the order of launches, and launches. */
#include "graph.h"

int handle_graph_exec_update(struct worker *w, const struct pvgpu_in_graph_exec_update *in,
			     struct pvgpu_out_graph_exec_update *out)
{
	struct graph_exec *x = in->exec;
	struct graph *gr = in->graph;
	CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
	int r = graph_usable(gr, in->ctx);

	if (!r)
		r = obj_error(x);
	if (!r)
		r = (int)worker_gpu(w)->far->cuGraphExecUpdate_v2(x->far, gr->far, &info);
	/* Told by the outcome; a reply's numbers come with success alone. */
	out->outcome = (uint32_t)info.result;
	return r == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE && info.result ? 0 : r;
}

int handle_graph_exec_set(struct worker *w, const struct pvgpu_in_graph_exec_set *in,
			  struct pvgpu_out_graph_exec_set *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	struct graph_exec *x = in->exec;
	struct ctx *c = in->ctx;
	struct node_params p;
	CUgraphNode node;
	int r = graph_usable(in->graph, c);

	if (!r)
		r = obj_error(x);
	if (r)
		return r;
	node = graph_node(in->graph, in->node);
	if (!node)
		return CUDA_ERROR_INVALID_VALUE;
	r = params_read(g, c, in->what, in->what_len, in->params, in->params_len, &p);
	if (r)
		return r;
	switch (p.is.kind) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return (int)far->cuGraphExecKernelNodeSetParams_v2(x->far, node, &p.kernel);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return (int)far->cuGraphExecMemcpyNodeSetParams(x->far, node, &p.copy, c->far);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return (int)far->cuGraphExecMemsetNodeSetParams(x->far, node, &p.set, c->far);
	case CU_GRAPH_NODE_TYPE_HOST:
		return (int)far->cuGraphExecHostNodeSetParams(x->far, node, &p.host);
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

/* The stream and the instantiated graph of a command. */
static struct stream *exec_stream(void *ctx, void *stream, struct graph_exec *x, int *r)
{
	struct stream *s = stream_of(ctx, stream, r);

	if (s)
		*r = obj_error(x);
	if (s && !*r && x->o.ctx->far != s->o.ctx->far)
		*r = CUDA_ERROR_INVALID_CONTEXT;
	return *r ? NULL : s;
}

int handle_graph_launch(struct worker *w, const struct pvgpu_in_graph_launch *in,
			struct pvgpu_out_graph_launch *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph_exec *x = in->exec;
	struct stream *s;
	struct work k;
	int r;

	s = exec_stream(in->ctx, in->stream, x, &r);
	if (!s)
		return r;
	work_graph(&k, s, x->o.handle);
	r = ctx_result(s->o.ctx, (int)g->far->cuGraphLaunch(x->far, s->far));
	if (r)
		work_abort(&k, s);
	else
		work_commit(&k, s);
	return r;
}

int handle_graph_upload(struct worker *w, const struct pvgpu_in_graph_upload *in,
			struct pvgpu_out_graph_upload *out)
{
	struct gpu *g = worker_gpu(w);
	struct graph_exec *x = in->exec;
	struct stream *s;
	int r;

	s = exec_stream(in->ctx, in->stream, x, &r);
	if (!s)
		return r;
	r = ctx_result(s->o.ctx, (int)g->far->cuGraphUpload(x->far, s->far));
	if (!r)
		stream_issued(s);
	return r;
}
