/* SPDX-License-Identifier: MIT */
/*
 * Capture. The worker has its streams captured; the rules are kept here, where the application's
 * threads and their modes are known: who may end a capture, which calls are not allowed meanwhile,
 * what makes a capture invalid.
 */
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/core/thread.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/event.h"
#include "cuda/streams/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

enum { CAPTURES_MAX = 64 };

struct capture {
	uint64_t id; /* 0: none */
	bool invalid, own_graph, blocking;
	bool plain; /* one stream alone, and its graph was empty */
	CUstreamCaptureMode mode;
	struct stream *origin;
	struct ctx *ctx;
	pthread_t thread;
	CUgraph graph;
	uint32_t hosts;
	uint32_t commands, described; /* so far; and those of them that are in form */
	struct form form;
};

_Atomic unsigned int captures;
static struct capture table[CAPTURES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under lock. */
static struct capture *by_id(uint64_t id)
{
	for (int i = 0; id && i < CAPTURES_MAX; i++) {
		if (table[i].id == id)
			return &table[i];
	}
	return NULL;
}

static struct capture *of_stream(struct stream *s)
{
	return s ? by_id(atomic_load(&s->capture)) : NULL;
}

static int done(int r)
{
	pthread_mutex_unlock(&lock);
	return r;
}

int capture_spoil(uint64_t id, int r)
{
	struct capture *c;

	pthread_mutex_lock(&lock);
	c = by_id(id);
	if (c)
		c->invalid = true;
	return done(r);
}

/* Under lock: captures in the context become invalid, or those alone that the legacy stream would
 * wait for. */
static int spoil_in(const struct ctx *ctx, bool blocking, int error)
{
	int r = 0;

	for (int i = 0; i < CAPTURES_MAX; i++) {
		if (!table[i].id || table[i].ctx != ctx || (blocking && !table[i].blocking))
			continue;
		table[i].invalid = true;
		r = error;
	}
	return r;
}

int capture_work(struct target *t, struct stream *s)
{
	struct capture *c;
	int r = 0;

	pthread_mutex_lock(&lock);
	c = of_stream(s);
	if (!s)
		r = spoil_in(t->ctx, true, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	else if (c && c->invalid)
		r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	else if (c) {
		t->captured = c->id;
		c->commands++;
	} else {
		atomic_store(&s->capture, 0);
	}
	return done(r);
}

void capture_describe(const struct target *t, const void *bytes, size_t len)
{
	struct capture *c;

	pthread_mutex_lock(&lock);
	c = by_id(t->captured);
	if (c) {
		form_add(&c->form, bytes, len);
		c->described++;
	}
	pthread_mutex_unlock(&lock);
}

int capture_bars(struct stream *s)
{
	struct capture *c;

	pthread_mutex_lock(&lock);
	c = of_stream(s);
	if (c)
		c->invalid = true;
	return done(c ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : 0);
}

int capture_implied(const struct ctx *ctx)
{
	pthread_mutex_lock(&lock);
	return done(spoil_in(ctx, true, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT));
}

bool capture_state(struct stream *s, struct capture_state *is)
{
	struct capture *c;

	pthread_mutex_lock(&lock);
	c = of_stream(s);
	if (c)
		*is = (struct capture_state){c->id, c->graph, c->invalid};
	pthread_mutex_unlock(&lock);
	return c;
}

int capture_wait(const struct target *t, struct stream *s)
{
	const int r = s ? capture_bars(s) : capture_implied(t->ctx);

	return r ? r : capture_unsafe();
}

int capture_wait_ctx(const struct ctx *ctx)
{
	pthread_mutex_lock(&lock);
	return done(spoil_in(ctx, false, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
}

int capture_unsafe_slow(void)
{
	int r = 0;

	if (self.capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
		return 0;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < CAPTURES_MAX; i++) {
		struct capture *c = &table[i];

		if (!c->id)
			continue;
		if (pthread_equal(c->thread, pthread_self())
			    ? c->mode == CU_STREAM_CAPTURE_MODE_RELAXED
			    : self.capture_mode != CU_STREAM_CAPTURE_MODE_GLOBAL ||
				      c->mode != CU_STREAM_CAPTURE_MODE_GLOBAL)
			continue;
		c->invalid = true;
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return done(r);
}

struct graph *capture_graph(const struct target *t)
{
	struct capture *c;
	CUgraph graph = NULL;

	pthread_mutex_lock(&lock);
	c = by_id(t->captured);
	if (c && !c->invalid)
		graph = c->graph;
	pthread_mutex_unlock(&lock);
	return graph ? graph_find(graph) : NULL;
}

int capture_deps(const struct target *t, const struct graph *g,
		 uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], uint32_t *count)
{
	uint32_t len = 0;
	const int r =
		pvgpu_do_capture_get(session(), t->ctx->o.wire, t->stream, g->o.wire, numbers,
				     PVGPU_GRAPH_DEPS_MAX * (uint32_t)sizeof(numbers[0]), &len);

	*count = len / (uint32_t)sizeof(numbers[0]);
	return r;
}

int capture_set_deps(const struct target *t, const struct graph *g, unsigned int flags,
		     const uint32_t *numbers, uint32_t count)
{
	return pvgpu_do_capture_set(session(), t->ctx->o.wire, t->stream, g->o.wire, flags, numbers,
				    count * (uint32_t)sizeof(numbers[0]));
}

int capture_refuse(const struct target *t)
{
	return capture_spoil(t->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

bool capture_host(const struct target *t, uint64_t id)
{
	struct graph *g = NULL;
	struct capture *c;

	pthread_mutex_lock(&lock);
	c = by_id(t->captured);
	if (c) {
		c->hosts++;
		g = graph_find(c->graph);
	}
	pthread_mutex_unlock(&lock);
	return g && host_hold(g, HELD_OF_GRAPH, id);
}

/* Is a blocking stream of the context captured? */
static bool is_barred(const struct ctx *c)
{
	bool some = false;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < CAPTURES_MAX; i++)
		some |= table[i].id && table[i].ctx == c && table[i].blocking;
	pthread_mutex_unlock(&lock);
	return some;
}

/*
 * Earlier work of the stream ends before it is captured: the worker puts no events of its own into
 * a capture, and so could not see that work's end. A blocking stream's may be the legacy one's,
 * too, which nobody may ask for while a blocking stream is captured; but it has ended since that
 * one was, and has had no more.
 */
static int settle(struct ctx *c, struct stream *s)
{
	const struct target own = {.ctx = c, .stream = s->o.wire}, all = {.ctx = c};
	int r;

	if (!(s->flags & CU_STREAM_NON_BLOCKING) && !is_barred(c)) {
		r = stream_drain(&all);
		/* Else another thread's capture came before the question. */
		if (r != CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
			return r;
	}
	if (!atomic_exchange(&s->touched, false))
		return 0;
	r = stream_drain(&own);
	if (r)
		stream_touch(s);
	return r;
}

/* The stream takes part in the capture from now on. */
static int enlist_stream(uint64_t id, struct ctx *ctx, struct stream *s)
{
	const int r = settle(ctx, s);
	struct capture *c;

	if (r)
		return r;
	pthread_mutex_lock(&lock);
	c = by_id(id);
	if (c && !(s->flags & CU_STREAM_NON_BLOCKING))
		c->blocking = true;
	atomic_store(&s->capture, id);
	return done(0);
}

int capture_event(struct target *t, struct stream *s, const struct event *e, bool *join)
{
	const uint64_t id = atomic_load(&e->capture);
	struct capture *c, *own;
	int r = 0;

	pthread_mutex_lock(&lock);
	c = by_id(id);
	own = of_stream(s);
	if (!id) {
		/* From outside of the stream's capture; one that was never recorded is no matter.
		 */
		if (!atomic_load(&e->records))
			return done(0);
		own->invalid = true;
		return done(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	}
	if (!c)
		return done(CUDA_ERROR_CAPTURED_EVENT);
	if (!s) {
		c->invalid = true;
		return done(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	}
	if (own && own != c) {
		own->invalid = c->invalid = true;
		return done(CUDA_ERROR_STREAM_CAPTURE_MERGE);
	}
	if (c->invalid)
		return done(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	c->plain = c->plain && own;
	pthread_mutex_unlock(&lock);
	r = own ? 0 : enlist_stream(id, t->ctx, s);
	*join = !r;
	return r;
}

PUBLIC CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	const int r = guest_enter();
	CUstreamCaptureMode old = self.capture_mode;

	if (r)
		return r;
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	/* Any number, as with the driver: what is neither global nor relaxed is the thread's. */
	self.capture_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}

/* A place in the table for a capture that begins. */
static bool enlist(const struct capture *c, struct stream *s)
{
	int i = 0;

	pthread_mutex_lock(&lock);
	while (i < CAPTURES_MAX && table[i].id)
		i++;
	if (i < CAPTURES_MAX) {
		table[i] = *c;
		atomic_store(&s->capture, c->id);
		atomic_fetch_add(&captures, 1);
	}
	pthread_mutex_unlock(&lock);
	return i < CAPTURES_MAX;
}

/* Without nodes before the first there is no answer to wait for: a worker that cannot begin refuses
 * each command, and tells at the end. */
static int begin_at(const struct capture *c, struct stream *s, const struct graph *g,
		    const uint32_t *numbers, uint32_t count)
{
	if (!count)
		return pvgpu_do_capture_open(session(), c->ctx->o.wire, s->o.wire, g->o.wire);
	return pvgpu_do_capture_begin(session(), c->ctx->o.wire, s->o.wire, g->o.wire, numbers,
				      count * (uint32_t)sizeof(numbers[0]));
}

static int begin_in(struct ctx *ctx, struct stream *s, struct graph *g, const CUgraphNode *deps,
		    size_t count, CUstreamCaptureMode mode)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX];
	struct capture c = {.id = guest_next_id(),
			    .own_graph = !g,
			    .blocking = !(s->flags & CU_STREAM_NON_BLOCKING),
			    .mode = mode,
			    .origin = s,
			    .ctx = ctx,
			    .thread = pthread_self()};
	int r = g ? node_numbers(g, deps, count, numbers) : 0;

	if (!r)
		r = settle(ctx, s);
	if (!r && !g)
		r = graph_new(&g);
	if (r)
		return r;
	c.graph = object_handle(&g->o);
	c.plain = !g->parent && !g->clone_of && !atomic_load(&g->changes);
	graph_changes(g);
	r = begin_at(&c, s, g, numbers, (uint32_t)count);
	if (!r && !enlist(&c, s)) {
		pvgpu_do_capture_end(session(), ctx->o.wire, s->o.wire, g->o.wire);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r && c.own_graph)
		graph_drop(g);
	return r;
}

static int begin(CUstream h, struct graph *g, const CUgraphNode *deps, size_t count,
		 CUstreamCaptureMode mode, bool per_thread)
{
	struct stream *s;
	struct target t;
	struct capture *c;
	const int r = stream_enter_any(h, per_thread, &t, &s);

	if (r)
		return r;
	if ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	if (!s || s->null)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	pthread_mutex_lock(&lock);
	c = of_stream(s);
	pthread_mutex_unlock(&lock);
	return c ? CUDA_ERROR_ILLEGAL_STATE : begin_in(t.ctx, s, g, deps, count, mode);
}

static int begin_to(CUstream h, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUstreamCaptureMode mode, bool per_thread)
{
	struct graph *g;
	const int r = graph_enter(graph, &g);

	return r ? r : begin(h, g, deps, count, mode, per_thread);
}

/* Under lock. */
static void delist(struct capture *c)
{
	c->id = 0;
	atomic_fetch_sub(&captures, 1);
}

/* The graph of one that ends with its stream or context, if it has one of its own. */
static bool drop_one(const struct ctx *ctx, struct stream *s, CUgraph *own)
{
	struct capture *c = NULL;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < CAPTURES_MAX && !c; i++) {
		if (table[i].id && (s ? table[i].origin == s : table[i].ctx == ctx))
			c = &table[i];
	}
	if (c) {
		*own = c->own_graph ? c->graph : NULL;
		delist(c);
	} else {
		c = of_stream(s);
		if (c)
			c->invalid = true;
		c = NULL;
	}
	pthread_mutex_unlock(&lock);
	return c;
}

void capture_drop(const struct ctx *ctx, struct stream *s)
{
	struct graph *g;
	CUgraph own;

	while (capturing() && drop_one(ctx, s, &own)) {
		g = own ? graph_find(own) : NULL;
		if (g)
			graph_drop(g);
	}
}

static int end_of(const struct capture *c)
{
	if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(c->thread, pthread_self()))
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	return 0;
}

/* The worker ends it. The end of one whose like is known is not waited for: it goes well, too. */
static int end_at(const struct capture *c, const struct stream *s, struct graph *g)
{
	const bool formed = c->plain && g && c->described && c->described == c->commands &&
			    !c->invalid && atomic_load(&g->changes) == 1;
	uint32_t nodes;
	int r;

	if (formed && form_known(&c->form, &nodes, NULL))
		r = pvgpu_do_capture_close(session(), c->ctx->o.wire, s->o.wire, g->o.wire, nodes);
	else
		r = pvgpu_do_capture_end(session(), c->ctx->o.wire, s->o.wire, g ? g->o.wire : 0);
	if (!r && formed)
		graph_forms(g, &c->form);
	return r;
}

static int end(CUstream h, CUgraph *graph, bool per_thread)
{
	struct capture *c, was = {0};
	struct graph *g;
	struct stream *s;
	struct target t;
	int r = stream_enter_any(h, per_thread, &t, &s);

	if (r)
		return r;
	pthread_mutex_lock(&lock);
	c = of_stream(s);
	if (!c) {
		r = CUDA_ERROR_ILLEGAL_STATE;
	} else if (c->origin != s) {
		c->invalid = true;
		r = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	} else {
		r = end_of(c);
	}
	if (!r) {
		was = *c;
		delist(c);
		atomic_store(&s->capture, 0);
	}
	pthread_mutex_unlock(&lock);
	if (r)
		return r;
	if (graph)
		*graph = NULL;
	g = graph_find(was.graph);
	r = end_at(&was, s, g);
	if (was.invalid)
		r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (!g)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (!r)
		graph_hosts(g, was.hosts);
	if (!r && graph)
		*graph = was.graph;
	else if (was.own_graph)
		graph_drop(g); /* nobody has its handle */
	return r;
}

CU_PTSZ(cuStreamBeginCapture, (CUstream stream),
	begin(stream, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL, per_thread))
CU_PTSZ(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode),
	begin(stream, NULL, NULL, 0, mode, per_thread))
CU_PTSZ(cuStreamBeginCaptureToGraph,
	(CUstream stream, CUgraph graph, const CUgraphNode *deps, const CUgraphEdgeData *edges,
	 size_t count, CUstreamCaptureMode mode),
	begin_to(stream, graph, deps, count, mode, per_thread))
CU_PTSZ(cuStreamEndCapture, (CUstream stream, CUgraph *graph), end(stream, graph, per_thread))
