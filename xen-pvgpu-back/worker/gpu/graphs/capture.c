/* SPDX-License-Identifier: MIT */
/*
 * Capture: the far end captures, so that calls of its libraries can be nodes, too. The worker's
 * threads capture relaxed; the guest's library keeps the application's rules. While a stream is
 * captured nothing of the worker's own goes into it: no fence, no timer, no completion event. The
 * guest waits for a stream's earlier work before it is captured.
 */
#include <stdatomic.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static int active_of(const struct gpu *g, uint64_t number)
{
	for (uint32_t i = 0; i < g->capturing; i++) {
		if (g->active[i].number == number)
			return (int)i;
	}
	return -1;
}

void capture_join(struct stream *s, const struct event *e)
{
	/* It leaves a capture by that one's end alone. */
	if (!s->capture && active_of(s->o.gpu, e->capture) >= 0)
		s->capture = e->capture;
}

/* At the far end, too. */
static bool is_captured(const struct stream *s)
{
	const int i = active_of(s->o.gpu, s->capture);

	return i >= 0 && !s->o.gpu->active[i].failed;
}

/* Is a stream captured for which the legacy stream of its context would wait? Handles of the
 * primary context share one at the far end. */
static bool bars_legacy(const struct gpu *g, CUcontext far)
{
	struct stream *s;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct ctx *c = (struct ctx *)o;

		if (o->type != PVGPU_H_CTX || obj_error(o) || c->far != far)
			continue;
		TAILQ_FOREACH(s, &c->streams, in_ctx)
		{
			if (!s->apart && is_captured(s))
				return true;
		}
	}
	return false;
}

bool capture_bars(const struct stream *s)
{
	const struct gpu *g = s->o.gpu;

	if (!g->capturing)
		return false;
	return is_captured(s) || (s == s->o.ctx->legacy && bars_legacy(g, s->o.ctx->far));
}

int capture_settle(struct stream *s)
{
	struct gpu *g = s->o.gpu;
	int r = stream_settle(s);
	struct obj *o;

	if (s->apart)
		return r;
	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct ctx *c = (struct ctx *)o;

		if (o->type == PVGPU_H_CTX && !obj_error(o) && c->far == s->o.ctx->far && !r)
			r = stream_settle(c->legacy);
	}
	return r;
}

static int usable(void *ctx, void *stream, struct stream **s)
{
	int r;

	*s = stream_find(ctx, stream, &r);
	return r;
}

bool capture_defers(struct gpu *g, int result)
{
	const int i = active_of(g, g->into);

	if (i >= 0 && !g->active[i].deferred)
		g->active[i].deferred = result;
	return i >= 0;
}

/* Counted as if each command made a node, until the capture's end. */
int capture_takes(const struct stream *s, uint64_t nodes)
{
	struct gpu *g = s->o.gpu;
	const int i = active_of(g, s->capture);
	struct graph *gr = i < 0 ? NULL : obj_lookup(&g->tables, PVGPU_H_GRAPH, g->active[i].graph);
	int r;

	if (i < 0)
		return 0;
	if (g->active[i].failed)
		return g->active[i].deferred;
	if (gr && graph_outermost(gr)->nodes + g->active[i].nodes + nodes > PVGPU_GRAPH_NODES_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = graph_nodes_take(g, NULL, nodes);
	if (!r)
		g->active[i].nodes += nodes;
	return r;
}

/* deps: the nodes before the first. */
static int begin_far(struct gpu *g, struct stream *s, struct graph *gr, const CUgraphNode *deps,
		     uint32_t n)
{
	int r = graph_error(gr);

	if (!r)
		r = capture_settle(s);
	if (r)
		return r;
	return (int)g->far->cuStreamBeginCaptureToGraph(s->far, gr->far, n ? deps : NULL, NULL, n,
							CU_STREAM_CAPTURE_MODE_RELAXED);
}

/* The stream is captured, or (failed) its commands are refused until the capture's end. */
static void activate(struct gpu *g, struct stream *s, const struct graph *gr, int failed)
{
	s->capture = ++g->captures;
	g->active[g->capturing].number = s->capture;
	g->active[g->capturing].graph = gr->o.handle;
	g->active[g->capturing].nodes = 0;
	g->active[g->capturing].deferred = failed;
	g->active[g->capturing++].failed = failed;
}

static int may_begin(void *ctx, void *stream, struct stream **s)
{
	const int r = usable(ctx, stream, s);

	if (r)
		return r;
	if ((*s)->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	return (*s)->o.gpu->capturing == CAPTURES_MAX ? CUDA_ERROR_OUT_OF_MEMORY : 0;
}

int handle_capture_begin(struct worker *w, const struct pvgpu_in_capture_begin *in,
			 struct pvgpu_out_capture_begin *out)
{
	CUgraphNode deps[PVGPU_GRAPH_DEPS_MAX];
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	uint32_t n;
	int r = may_begin(in->ctx, in->stream, &s);

	if (!r)
		r = graph_error(in->graph);
	if (!r)
		r = graph_deps(in->graph, in->deps, in->deps_len, deps, &n);
	if (!r)
		r = begin_far(g, s, in->graph, deps, n);
	if (!r)
		activate(g, s, in->graph, 0);
	return r;
}

int handle_capture_open(struct worker *w, const struct pvgpu_in_capture_open *in,
			struct pvgpu_out_capture_open *out)
{
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	int r = may_begin(in->ctx, in->stream, &s);

	if (r)
		return r;
	r = begin_far(g, s, in->graph, NULL, 0);
	activate(g, s, in->graph, r);
	return 0; /* the end says it */
}

/* No stream takes part in it any more. */
static void forget(struct gpu *g, uint64_t capture)
{
	struct graph *gr = NULL;
	struct stream *s;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		if (o->type != PVGPU_H_CTX || obj_error(o))
			continue;
		TAILQ_FOREACH(s, &((struct ctx *)o)->streams, in_ctx)
		{
			if (s->capture == capture)
				s->capture = 0;
		}
	}
	for (uint32_t i = 0; i < g->capturing; i++) {
		if (g->active[i].number != capture)
			continue;
		gr = obj_lookup(&g->tables, PVGPU_H_GRAPH, g->active[i].graph);
		graph_nodes_give(g, NULL, g->active[i].nodes);
		g->active[i] = g->active[g->capturing - 1];
		break;
	}
	g->capturing--;
	if (gr && !graph_error(gr))
		graph_recount(g, gr);
}

/* One that has not begun ends with the reason. */
static int end_far(struct gpu *g, struct stream *s)
{
	const int i = active_of(g, s->capture);
	CUgraph far;

	if (i >= 0 && g->active[i].failed)
		return g->active[i].deferred;
	return (int)g->far->cuStreamEndCapture(s->far, &far);
}

void capture_abandon(struct stream *s)
{
	struct gpu *g = s->o.gpu;

	if (!s->capture)
		return;
	/* One that began in another stream hides this one's work until it ends there. */
	if (end_far(g, s) != CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
		forget(g, s->capture);
}

static void abandon(struct gpu *g, uint64_t capture)
{
	struct stream *s;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		if (o->type != PVGPU_H_CTX || obj_error(o))
			continue;
		TAILQ_FOREACH(s, &((struct ctx *)o)->streams, in_ctx)
		{
			if (s->capture == capture)
				capture_abandon(s);
		}
	}
}

bool capture_changes(struct gpu *g, struct graph *gr)
{
	for (uint32_t i = 0; i < g->capturing; i++) {
		struct graph *into = obj_lookup(&g->tables, PVGPU_H_GRAPH, g->active[i].graph);

		if (into && graph_outermost(into) == graph_outermost(gr))
			return true;
	}
	return false;
}

void capture_graph_goes(struct gpu *g, const struct graph *gr)
{
	for (uint32_t i = 0; i < g->capturing;) {
		const uint64_t number = g->active[i].number;
		const struct graph *at = obj_lookup(&g->tables, PVGPU_H_GRAPH, g->active[i].graph);

		while (at && at != gr)
			at = at->parent;
		if (at)
			abandon(g, number);
		if (i < g->capturing && g->active[i].number == number)
			i++;
	}
}

/* *graph: the handle of the graph that got the nodes. */
static int end(struct gpu *g, void *ctx, void *stream, uint64_t *graph)
{
	struct stream *s;
	int i, held, r = usable(ctx, stream, &s);

	if (!r && !s->capture)
		r = CUDA_ERROR_ILLEGAL_STATE;
	if (r)
		return r;
	i = active_of(g, s->capture);
	held = i < 0 ? 0 : g->active[i].deferred;
	*graph = i < 0 ? 0 : g->active[i].graph;
	r = end_far(g, s);
	if (r != CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
		forget(g, s->capture);
	return r ? r : held;
}

int handle_capture_end(struct worker *w, const struct pvgpu_in_capture_end *in,
		       struct pvgpu_out_capture_end *out)
{
	uint64_t graph;
	const int r = obj_error(in->graph);

	return r ? r : end(worker_gpu(w), in->ctx, in->stream, &graph);
}

int handle_capture_close(struct worker *w, const struct pvgpu_in_capture_close *in,
			 struct pvgpu_out_capture_close *out)
{
	struct gpu *g = worker_gpu(w);
	uint64_t graph = 0;
	struct graph *gr;
	size_t nodes = 0;
	int r = obj_error(in->graph);

	if (!r)
		r = end(g, in->ctx, in->stream, &graph);
	if (r || !in->nodes)
		return r;
	gr = obj_lookup(&g->tables, PVGPU_H_GRAPH, graph);
	r = gr ? graph_error(gr) : CUDA_ERROR_INVALID_HANDLE;
	if (!r)
		r = (int)g->far->cuGraphGetNodes(gr->far, NULL, &nodes);
	/* The program was told another number. */
	return !r && nodes != in->nodes ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : r;
}

/* The graph must be the one that the stream's capture is for: numbers are each graph's own. */
static int captures_into(const struct stream *s, struct graph *gr)
{
	const struct gpu *g = s->o.gpu;
	const int i = active_of(g, s->capture), r = graph_error(gr);

	if (r)
		return r;
	return i < 0 || g->active[i].graph != gr->o.handle ? CUDA_ERROR_ILLEGAL_STATE : 0;
}

int handle_capture_get(struct worker *w, const struct pvgpu_in_capture_get *in,
		       struct pvgpu_out_capture_get *out)
{
	CUstreamCaptureStatus status;
	struct gpu *g = worker_gpu(w);
	const CUgraphNode *deps = NULL;
	uint32_t *to = (uint32_t *)(void *)g->scratch;
	struct graph *gr = in->graph;
	size_t n = 0;
	struct stream *s;
	int r = usable(in->ctx, in->stream, &s);

	if (!r)
		r = captures_into(s, gr);
	if (!r)
		r = (int)g->far->cuStreamGetCaptureInfo_v2(s->far, &status, NULL, NULL, &deps, &n);
	if (!r && (status != CU_STREAM_CAPTURE_STATUS_ACTIVE || n > PVGPU_GRAPH_DEPS_MAX))
		r = CUDA_ERROR_ILLEGAL_STATE;
	for (size_t i = 0; i < n && !r; i++)
		r = graph_number(gr, deps[i], &to[i]);
	if (r)
		return r;
	out->deps = to;
	out->deps_len = (uint32_t)n * 4;
	return 0;
}

int handle_capture_set(struct worker *w, const struct pvgpu_in_capture_set *in,
		       struct pvgpu_out_capture_set *out)
{
	CUgraphNode deps[PVGPU_GRAPH_DEPS_MAX];
	struct stream *s;
	uint32_t n;
	int r = usable(in->ctx, in->stream, &s);

	if (!r)
		r = captures_into(s, in->graph);
	if (!r)
		r = graph_deps(in->graph, in->deps, in->deps_len, deps, &n);
	return r ? r
		 : (int)worker_gpu(w)->far->cuStreamUpdateCaptureDependencies(s->far, deps, n,
									      in->set);
}

int handle_capture_host(struct worker *w, const struct pvgpu_in_capture_host *in,
			struct pvgpu_out_capture_host *out)
{
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	void *kept;
	int r = usable(in->ctx, in->stream, &s);

	if (!r && !s->capture)
		r = CUDA_ERROR_ILLEGAL_STATE;
	if (!r)
		r = capture_takes(s, 1);
	if (r)
		return r;
	kept = callback_keep(g, in->id);
	if (!kept)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return (int)g->far->cuLaunchHostFunc(s->far, callback_fn(), kept);
}
