/* SPDX-License-Identifier: MIT */
/* Instances of graphs: how they are made, their changes, which keep the order of launches, and
 * launches. */
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/gpu/stream_ops.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The far end keeps parameters in device memory, for each node, also inside of nodes. */
#define CHARGE_EXEC (64u << 10)
#define CHARGE_NODE 1024u

struct exec_job {
	struct job job;
	struct graph_exec *x;
	struct graph *gr; /* both referenced */
	uint32_t seq;
	uint64_t flags;
};

static int instantiate(struct gpu *g, struct exec_job *j, uint32_t *outcome)
{
	CUDA_GRAPH_INSTANTIATE_PARAMS p = {.flags = j->flags};
	struct graph_exec *x = j->x;
	struct graph_sum sum = {0};
	uint64_t charge;
	int r = ctx_enter(x->o.ctx);

	if (!r)
		r = graph_sum(g->far, j->gr->far, 0, &sum, &x->copies);
	if (!r)
		r = graph_nodes_take(g, NULL, sum.nodes);
	if (r)
		return r;
	charge = CHARGE_EXEC + sum.nodes * CHARGE_NODE;
	r = CUDA_ERROR_OUT_OF_MEMORY;
	if (lease_get(g->w, charge)) {
		r = ctx_result(x->o.ctx,
			       (int)g->far->cuGraphInstantiateWithParams(&x->far, j->gr->far, &p));
		*outcome = (uint32_t)p.result_out;
		if (r)
			lease_put(g->w, charge);
	}
	if (r) {
		graph_nodes_give(g, NULL, sum.nodes);
		return r;
	}
	x->charge = charge;
	x->sum = sum;
	return 0;
}

static void run_instantiate(struct gpu *g, struct job *job)
{
	struct exec_job *j = (struct exec_job *)job;
	struct pvgpu_out_graph_instantiate out = {0};
	const int r = instantiate(g, j, &out.outcome);

	obj_ready(j->x, r);
	graph_reads(j->gr, -1);
	worker_reply_graph_instantiate(g->w, j->seq, r, &out);
	obj_unref(j->x);
	obj_unref(j->gr);
	free(j);
}

int handle_graph_instantiate(struct worker *w, const struct pvgpu_in_graph_instantiate *in,
			     struct pvgpu_out_graph_instantiate *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct graph_exec *x;
	struct exec_job *j;
	int err, r = graph_alive(in->graph);

	if (!r)
		r = obj_error(c);
	if (!r)
		r = ctx_enter(c);
	if (r)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	x = obj_new(g, PVGPU_H_GRAPH_EXEC, in->exec_h, sizeof(*x), c, &c->o, &err);
	if (!x) {
		free(j);
		return err;
	}
	j->x = obj_ref(x);
	j->gr = obj_ref(in->graph);
	graph_reads(j->gr, 1);
	j->seq = in->hdr->seq;
	j->flags = in->flags;
	j->job.run = run_instantiate;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/*
 * The shape is the same, and what each node copies is not known any more: a change of a node adds
 * to the sum the first time.
 */
static void take_over(struct graph_exec *x, const struct graph_sum *sum)
{
	free(x->copies.of);
	x->copies = (struct copies){0};
	x->sum.bytes = sum->bytes;
	x->sum.waits = sum->waits;
}

int handle_graph_exec_update(struct worker *w, const struct pvgpu_in_graph_exec_update *in,
			     struct pvgpu_out_graph_exec_update *out)
{
	struct graph_exec *x = in->exec;
	struct graph *gr = in->graph;
	const struct far *far = worker_gpu(w)->far;
	struct graph_sum sum = {0};
	CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
	int r = graph_usable(gr, in->ctx);

	if (!r)
		r = obj_error(x);
	if (!r)
		r = graph_sum(far, gr->far, 0, &sum, NULL);
	if (!r)
		r = (int)far->cuGraphExecUpdate_v2(x->far, gr->far, &info);
	if (!r)
		take_over(x, &sum);
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
	CUDA_BATCH_MEM_OP_NODE_PARAMS ops;
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
		r = (int)far->cuGraphExecMemcpyNodeSetParams(x->far, node, &p.copy, c->far);
		if (!r)
			graph_exec_copies(x, node, graph_copy_bytes(&p.copy));
		return r;
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return (int)far->cuGraphExecMemsetNodeSetParams(x->far, node, &p.set, c->far);
	case CU_GRAPH_NODE_TYPE_HOST:
		return (int)far->cuGraphExecHostNodeSetParams(x->far, node, &p.host);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		ops = mem_node(c, &p);
		x->sum.waits += p.ops->waits; /* at most */
		return (int)far->cuGraphExecBatchMemOpNodeSetParams(x->far, node, &ops);
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
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	work_graph(&k, s, x->o.handle, &x->sum);
	r = ctx_result(s->o.ctx, (int)g->far->cuGraphLaunch(x->far, s->far));
	if (r)
		work_abort(&k, s);
	else
		mem_ops_commit(g, s, &k, x->sum.waits);
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
