/* SPDX-License-Identifier: MIT */
/*
 * Capture: while a stream is captured its operations become nodes of a graph. Each depends on what
 * the stream's last one was, and on what the stream was made to wait for.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

_Atomic uint32_t sim_captures;
__thread struct op **sim_collect;
static __thread CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
static struct sim_capture *captures; /* graph_lock */
static uint64_t next_id = 1;

API(cuThreadExchangeStreamCaptureMode, CUstreamCaptureMode *mode)
{
	CUstreamCaptureMode old = thread_mode;

	ENTER();
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	thread_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}

static void lock(void)
{
	pthread_mutex_lock(&graph_lock);
}

static CUresult unlock(CUresult r)
{
	pthread_mutex_unlock(&graph_lock);
	return r;
}

static struct sim_capture *by_id(uint64_t id)
{
	struct sim_capture *c = captures;

	while (c && c->id != id)
		c = c->next;
	return c;
}

CUresult capture_spoil(uint64_t id, CUresult error)
{
	struct sim_capture *c;

	lock();
	c = by_id(id);
	if (c)
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
	return unlock(error);
}

CUresult capture_legacy(struct sim_ctx *ctx)
{
	CUresult r = CUDA_SUCCESS;

	if (sim_collect)
		return CUDA_SUCCESS;
	lock();
	for (struct sim_capture *c = captures; c; c = c->next) {
		if (c->origin->ctx != ctx || !c->bars)
			continue;
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
	}
	return unlock(r);
}

CUresult capture_check(struct sim_stream *s)
{
	if (likely(!s->capture))
		return CUDA_SUCCESS;
	return s->capture->status == CU_STREAM_CAPTURE_STATUS_ACTIVE
		       ? CUDA_SUCCESS
		       : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

CUresult capture_wait(struct sim_stream *s)
{
	if (likely(!s->capture))
		return capture_unsafe();
	lock();
	if (s->capture)
		s->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
	return unlock(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

CUresult capture_wait_ctx(struct sim_ctx *ctx)
{
	CUresult r = CUDA_SUCCESS;

	if (likely(!atomic_load_explicit(&sim_captures, memory_order_relaxed)))
		return CUDA_SUCCESS;
	lock();
	for (struct sim_capture *c = captures; c; c = c->next) {
		if (c->origin->ctx != ctx)
			continue;
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return unlock(r);
}

CUresult capture_unsafe_slow(void)
{
	CUresult r = CUDA_SUCCESS;

	if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_SUCCESS;
	lock();
	for (struct sim_capture *c = captures; c; c = c->next) {
		const bool own = pthread_equal(c->thread, pthread_self());

		if (own ? c->mode == CU_STREAM_CAPTURE_MODE_RELAXED
			: thread_mode != CU_STREAM_CAPTURE_MODE_GLOBAL ||
				    c->mode != CU_STREAM_CAPTURE_MODE_GLOBAL)
			continue;
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return unlock(r);
}

static bool depend_on(struct sim_stream *s, struct sim_node *n)
{
	struct sim_node **more;

	for (uint32_t i = 0; i < s->cap_deps; i++)
		if (s->cap_dep[i] == n)
			return true;
	more = realloc(s->cap_dep, (s->cap_deps + 1) * sizeof(*more));
	if (!more)
		return false;
	s->cap_dep = more;
	s->cap_dep[s->cap_deps++] = n;
	return true;
}

static CUgraphNodeType type_of(const struct op *op)
{
	switch (op->kind) {
	case OP_KERNEL:
		return CU_GRAPH_NODE_TYPE_KERNEL;
	case OP_COPY:
		return CU_GRAPH_NODE_TYPE_MEMCPY;
	case OP_MEMSET:
		return CU_GRAPH_NODE_TYPE_MEMSET;
	case OP_HOST:
		return CU_GRAPH_NODE_TYPE_HOST;
	case OP_WRITE:
	case OP_WAIT_VALUE:
		return CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
	default:
		return CU_GRAPH_NODE_TYPE_EMPTY;
	}
}

/* graph_lock held: a node of what the stream does next. */
static struct sim_node *add(struct sim_stream *s, CUgraphNodeType type, struct op *op)
{
	struct sim_capture *c = s->capture;
	struct sim_node *n = NULL;

	if (c && c->status == CU_STREAM_CAPTURE_STATUS_ACTIVE)
		n = node_new(c->graph, type, op, s->cap_dep, s->cap_deps);
	if (n) {
		s->cap_deps = 0;
		depend_on(s, n);
	} else {
		free(op);
	}
	return n;
}

void capture_add(struct op *op)
{
	lock();
	add(op->stream, type_of(op), op);
	unlock(CUDA_SUCCESS);
}

CUresult capture_event(struct sim_stream *s, CUgraphNodeType type, CUevent event)
{
	struct sim_node *n;

	lock();
	n = add(s, type, NULL);
	if (n)
		n->event = event;
	return unlock(n ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

CUresult capture_memory(struct sim_stream *s, struct graph_memory *m, uint64_t freed)
{
	struct sim_node *n;

	lock();
	if (freed && graph_frees(s->capture->graph, freed))
		return unlock(CUDA_ERROR_INVALID_VALUE);
	n = add(s, m ? CU_GRAPH_NODE_TYPE_MEM_ALLOC : CU_GRAPH_NODE_TYPE_MEM_FREE, NULL);
	if (n) {
		n->memory = m;
		n->freed = freed;
	}
	return unlock(n ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

CUresult capture_record(struct sim_stream *s, uint64_t *capture, struct sim_node ***dep,
			uint32_t *deps)
{
	struct sim_node **copy;

	lock();
	copy = malloc((s->cap_deps + 1) * sizeof(*copy));
	if (!copy)
		return unlock(CUDA_ERROR_OUT_OF_MEMORY);
	if (s->cap_deps)
		memcpy(copy, s->cap_dep, s->cap_deps * sizeof(*copy));
	free(*dep);
	*dep = copy;
	*deps = s->cap_deps;
	*capture = s->capture->id;
	return unlock(CUDA_SUCCESS);
}

CUresult capture_join(struct sim_stream *s, bool recorded, uint64_t capture,
		      struct sim_node *const *dep, uint32_t deps)
{
	struct sim_capture *c;

	lock();
	if (!capture) {
		/* An event from outside, in a stream that is captured. */
		if (!recorded)
			return unlock(CUDA_SUCCESS);
		s->capture->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		return unlock(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	}
	c = by_id(capture);
	if (!c)
		return unlock(CUDA_ERROR_CAPTURED_EVENT);
	if (s->legacy) {
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		return unlock(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	}
	if (s->capture && s->capture != c) {
		s->capture->status = c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		return unlock(CUDA_ERROR_STREAM_CAPTURE_MERGE);
	}
	if (c->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return unlock(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	s->capture = c;
	c->bars |= !(s->flags & CU_STREAM_NON_BLOCKING);
	for (uint32_t i = 0; i < deps; i++)
		if (!sim_fault.wait_ignored && !depend_on(s, dep[i]))
			return unlock(CUDA_ERROR_OUT_OF_MEMORY);
	return unlock(CUDA_SUCCESS);
}

static CUresult begin(struct sim_stream *s, struct sim_graph *g, CUgraphNode *deps, size_t count,
		      CUstreamCaptureMode mode)
{
	struct sim_capture *c;

	if ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (count && !deps))
		return CUDA_ERROR_INVALID_VALUE;
	if (s->legacy || s->null)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	c = calloc(1, sizeof(*c));
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	lock();
	if (s->capture) {
		free(c);
		return unlock(CUDA_ERROR_ILLEGAL_STATE);
	}
	s->cap_deps = 0;
	for (size_t i = 0; i < count; i++)
		depend_on(s, (struct sim_node *)deps[i]);
	c->own = !g;
	c->graph = g ? g : graph_new();
	c->mode = mode;
	c->status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
	c->origin = s;
	c->bars = !(s->flags & CU_STREAM_NON_BLOCKING);
	c->thread = pthread_self();
	c->id = next_id++;
	c->next = captures;
	captures = c;
	s->capture = c;
	atomic_fetch_add(&sim_captures, 1);
	return unlock(CUDA_SUCCESS);
}

API_PTSZ(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode), (stream, mode))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	return begin(s, NULL, NULL, 0, mode);
}

API_PTSZ(cuStreamBeginCapture, (CUstream stream), (stream))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	return begin(s, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

API_PTSZ(cuStreamBeginCaptureToGraph,
	 (CUstream stream, CUgraph graph, const CUgraphNode *deps, const CUgraphEdgeData *edges,
	  size_t count, CUstreamCaptureMode mode),
	 (stream, graph, deps, edges, count, mode))
{
	struct sim_stream *s;
	struct sim_graph *g;
	struct sim_node *n;

	TRY(stream_get(stream, &s));
	TRY(graph_get(graph, &g));
	for (size_t i = 0; deps && i < count; i++) {
		TRY(node_get(deps[i], &n));
		if (n->graph != g)
			return CUDA_ERROR_INVALID_VALUE;
	}
	return begin(s, g, (CUgraphNode *)deps, count, mode);
}

/* A chain may be as long as a graph has nodes, which is too deep for a recursion. */
static void mark_up(struct sim_node *n)
{
	while (n && !n->mark) {
		n->mark = 1;
		for (uint32_t i = 1; i < n->deps; i++)
			mark_up(n->dep[i]);
		n = n->deps ? n->dep[0] : NULL;
	}
}

/* Does the origin's last operation come after all of the other streams'? */
static bool is_joined(const struct sim_capture *c)
{
	for (uint32_t i = 0; i < c->graph->nodes; i++)
		c->graph->node[i]->mark = 0;
	for (uint32_t i = 0; i < c->origin->cap_deps; i++)
		mark_up(c->origin->cap_dep[i]);
	for (struct sim_stream *s = c->origin->ctx->streams; s; s = s->next)
		for (uint32_t i = 0; s->capture == c && i < s->cap_deps; i++)
			if (!s->cap_dep[i]->mark)
				return false;
	return true;
}

static CUresult result_of(struct sim_capture *c)
{
	if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(c->thread, pthread_self()))
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	if (c->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	return is_joined(c) ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
}

/* exec and graph_lock held. keep: its graph has been given out. */
static void finish(struct sim_capture *c, bool keep)
{
	struct sim_capture **p;

	for (struct sim_stream *o = c->origin->ctx->streams; o; o = o->next) {
		if (o->capture != c)
			continue;
		o->capture = NULL;
		free(o->cap_dep);
		o->cap_dep = NULL;
		o->cap_deps = 0;
	}
	for (p = &captures; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	if (!keep && c->own)
		graph_delete(c->graph);
	free(c);
	atomic_fetch_sub(&sim_captures, 1);
}

void capture_abandon(struct sim_stream *s)
{
	struct sim_capture *c;

	if (likely(!s->capture))
		return;
	lock();
	c = s->capture;
	if (c && c->origin == s)
		finish(c, false);
	else if (c)
		c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
	unlock(CUDA_SUCCESS);
}

API_PTSZ(cuStreamEndCapture, (CUstream stream, CUgraph *graph), (stream, graph))
{
	struct sim_capture *c;
	struct sim_stream *s;
	CUresult r;

	TRY(stream_get(stream, &s));
	exec_lock();
	lock();
	c = s->capture;
	r = !c               ? CUDA_ERROR_ILLEGAL_STATE
	    : c->origin != s ? CUDA_ERROR_STREAM_CAPTURE_UNMATCHED
			     : result_of(c);
	if (!c || c->origin != s || r == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD) {
		if (c && c->origin != s)
			c->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
		exec_unlock();
		return unlock(r);
	}
	if (graph)
		*graph = r == CUDA_SUCCESS ? (CUgraph)c->graph : NULL;
	finish(c, r == CUDA_SUCCESS && graph);
	exec_unlock();
	return unlock(r);
}

static CUresult info(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
		     const CUgraphNode **deps, const CUgraphEdgeData **edges, size_t *count)
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!status)
		return CUDA_ERROR_INVALID_VALUE;
	lock();
	*status = s->capture ? s->capture->status : CU_STREAM_CAPTURE_STATUS_NONE;
	if (s->capture && *status == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
		if (id)
			*id = s->capture->id;
		if (graph)
			*graph = (CUgraph)s->capture->graph;
		if (deps)
			*deps = (const CUgraphNode *)s->cap_dep;
		if (edges)
			*edges = NULL;
		if (count)
			*count = s->cap_deps;
	}
	return unlock(CUDA_SUCCESS);
}

API_PTSZ(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus *status), (stream, status))
{
	return info(stream, status, NULL, NULL, NULL, NULL, NULL);
}

API_PTSZ(cuStreamGetCaptureInfo, (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id),
	 (stream, status, id))
{
	return info(stream, status, id, NULL, NULL, NULL, NULL);
}

API_PTSZ(cuStreamGetCaptureInfo_v2,
	 (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	  const CUgraphNode **deps, size_t *count),
	 (stream, status, id, graph, deps, count))
{
	return info(stream, status, id, graph, deps, NULL, count);
}

API_PTSZ(cuStreamGetCaptureInfo_v3,
	 (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	  const CUgraphNode **deps, const CUgraphEdgeData **edges, size_t *count),
	 (stream, status, id, graph, deps, edges, count))
{
	return info(stream, status, id, graph, deps, edges, count);
}

static CUresult update(CUstream stream, CUgraphNode *deps, size_t count, unsigned int flags)
{
	struct sim_stream *s;
	struct sim_node *n;

	TRY(stream_get(stream, &s));
	if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES || (count && !deps))
		return CUDA_ERROR_INVALID_VALUE;
	if (!s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	TRY(capture_check(s));
	for (size_t i = 0; i < count; i++) {
		TRY(node_get(deps[i], &n));
		if (n->graph != s->capture->graph)
			return CUDA_ERROR_INVALID_VALUE;
	}
	lock();
	if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
		s->cap_deps = 0;
	for (size_t i = 0; i < count; i++)
		depend_on(s, (struct sim_node *)deps[i]);
	return unlock(CUDA_SUCCESS);
}

API_PTSZ(cuStreamUpdateCaptureDependencies,
	 (CUstream stream, CUgraphNode *deps, size_t count, unsigned int flags),
	 (stream, deps, count, flags))
{
	return update(stream, deps, count, flags);
}

API_PTSZ(cuStreamUpdateCaptureDependencies_v2,
	 (CUstream stream, CUgraphNode *deps, const CUgraphEdgeData *edges, size_t count,
	  unsigned int flags),
	 (stream, deps, edges, count, flags))
{
	return update(stream, deps, count, flags);
}
