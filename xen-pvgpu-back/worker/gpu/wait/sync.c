/* SPDX-License-Identifier: MIT */
/*
 * Synchronising calls and queries. They are issued in order and answered when their work has ended,
 * by a completion thread; at once when the far end says that all has ended already.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/output.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static void reply(struct gpu *g, uint16_t op, uint32_t seq, int r)
{
	switch (op) {
	case PVGPU_OP_CTX_SYNCHRONIZE:
		worker_reply_ctx_synchronize(g->w, seq, r, NULL);
		break;
	case PVGPU_OP_STREAM_SYNCHRONIZE:
		worker_reply_stream_synchronize(g->w, seq, r, NULL);
		break;
	case PVGPU_OP_STREAM_QUERY:
		worker_reply_stream_query(g->w, seq, r, NULL);
		break;
	case PVGPU_OP_EVENT_SYNCHRONIZE:
		worker_reply_event_synchronize(g->w, seq, r, NULL);
		break;
	case PVGPU_OP_EVENT_QUERY:
		worker_reply_event_query(g->w, seq, r, NULL);
		break;
	}
}

int sync_end(struct gpu *g, struct ctx *c, int result)
{
	if (result_is_sticky(result) && !ctx_enter(c))
		g->far->cuCtxSynchronize();
	output_sync(g);
	return ctx_result(c, result);
}

static void sync_done(struct gpu *g, struct wait *w, int result)
{
	const bool query = w->op == PVGPU_OP_STREAM_QUERY || w->op == PVGPU_OP_EVENT_QUERY;
	const int r = query ? ctx_result(w->ctx, result) : sync_end(g, w->ctx, result);

	reply(g, w->op, w->seq, r ? r : w->held);
}

static struct wait *sync_wait(struct gpu *g, struct ctx *c, const struct pvgpu_cmd_hdr *hdr)
{
	struct wait *w = wait_new(g, c);

	if (!w)
		return NULL;
	w->done = sync_done;
	w->op = hdr->op;
	w->seq = hdr->seq;
	w->flush = true;
	return w;
}

/* The far end would make the capture invalid for the question alone. */
static int barred(const struct stream *s)
{
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	return capture_bars(s) ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : 0;
}

int handle_stream_synchronize(struct worker *w, const struct pvgpu_in_stream_synchronize *in,
			      struct pvgpu_out_stream_synchronize *out)
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait;
	struct stream *s;
	int r, held;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = barred(s);
	if (r)
		return r;
	held = deferred_take(g, s->o.ctx);
	r = (int)g->far->cuStreamQuery(s->far);
	if (!r)
		r = (int)g->far->cuStreamSynchronize(s->far); /* brings device output */
	if (r && r != CUDA_ERROR_NOT_READY)
		return sync_end(g, s->o.ctx, r);
	if (!r && s != s->o.ctx->legacy)
		stream_ended(s);
	if (!r && !atomic_load(&s->waits)) {
		output_sync(g);
		stream_tell(s);
		return held;
	}
	wait = sync_wait(g, s->o.ctx, in->hdr);
	if (!wait)
		return CUDA_ERROR_OUT_OF_MEMORY;
	wait->held = held;
	if (r)
		wait_stream(g, wait, s);
	else
		wait_behind(g, wait, s, true);
	return PVGPU_PENDING;
}

int handle_stream_query(struct worker *w, const struct pvgpu_in_stream_query *in,
			struct pvgpu_out_stream_query *out)
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait;
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = barred(s);
	if (r)
		return r;
	if (s == s->o.ctx->legacy ? s->o.ctx->parked : order_waits(&s->o.order))
		return CUDA_ERROR_NOT_READY;
	r = (int)g->far->cuStreamQuery(s->far);
	if (!r)
		stream_tell(s);
	if (r || !atomic_load(&s->waits))
		return ctx_result(s->o.ctx, r);
	/* Marks of its copies have not been sent yet. */
	wait = sync_wait(g, s->o.ctx, in->hdr);
	if (!wait)
		return CUDA_ERROR_NOT_READY;
	wait_behind(g, wait, s, true);
	return PVGPU_PENDING;
}

int handle_event_query(struct worker *w, const struct pvgpu_in_event_query *in,
		       struct pvgpu_out_event_query *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *e = in->event;
	struct wait *wait;
	int r = obj_error(e);

	if (r)
		return r;
	if (e->parked) {
		e->wanted = true;
		return CUDA_ERROR_NOT_READY;
	}
	r = ctx_enter(e->o.ctx);
	if (!r)
		r = (int)g->far->cuEventQuery(e->far->ev);
	if (r == CUDA_ERROR_NOT_READY)
		event_watch(g, e);
	if (r || !e->s)
		return ctx_result(e->o.ctx, r);
	if (!atomic_load(&e->s->waits)) {
		worker_ended(g->w, e->s->slot, e->number);
		return 0;
	}
	wait = sync_wait(g, e->o.ctx, in->hdr);
	if (!wait)
		return CUDA_ERROR_NOT_READY;
	wait_event(g, wait, e, true);
	return PVGPU_PENDING;
}

int handle_event_synchronize(struct worker *w, const struct pvgpu_in_event_synchronize *in,
			     struct pvgpu_out_event_synchronize *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *e = in->event;
	struct wait *wait;
	int held, r = obj_error(e);

	if (!r)
		r = ctx_enter(e->o.ctx);
	if (r)
		return r;
	held = deferred_take(g, e->o.ctx);
	r = (int)g->far->cuEventQuery(e->far->ev);
	if (!r)
		r = (int)g->far->cuEventSynchronize(e->far->ev); /* brings device output */
	if (r && r != CUDA_ERROR_NOT_READY)
		return sync_end(g, e->o.ctx, r);
	if (!e->s || (!r && !atomic_load(&e->s->waits))) {
		output_sync(g);
		return held;
	}
	wait = sync_wait(g, e->o.ctx, in->hdr);
	if (!wait)
		return CUDA_ERROR_OUT_OF_MEMORY;
	wait->held = held;
	wait_event(g, wait, e, !r);
	return PVGPU_PENDING;
}

/* A context: an event in every stream that has work, rather than a call that would also wait for
 * what other threads of the guest post later. */
struct ctx_sync {
	atomic_uint left;
	atomic_int result;
	uint32_t seq;
	int held;
	bool busy;  /* something ran when it was called */
	bool holds; /* and in a blocking stream: the legacy stream's next work would wait for it */
};

static void ctx_sync_step(struct gpu *g, struct ctx_sync *y)
{
	int r;

	if (atomic_fetch_sub(&y->left, 1) != 1)
		return;
	output_sync(g);
	r = atomic_load(&y->result);
	reply(g, PVGPU_OP_CTX_SYNCHRONIZE, y->seq, r ? r : y->held);
	free(y);
}

static void ctx_sync_done(struct gpu *g, struct wait *w, int result)
{
	struct ctx_sync *y = w->p;
	int none = 0;

	if (sync_end(g, w->ctx, result))
		atomic_compare_exchange_strong(&y->result, &none, result);
	ctx_sync_step(g, y);
}

/* whole: an event in it comes behind all of the context's work, also what stream_idle() does not
 * know of. */
static int ctx_sync_stream(struct gpu *g, struct ctx_sync *y, struct stream *s, bool whole)
{
	const bool held = s == s->o.ctx->legacy && y->holds;
	struct wait *w;
	bool idle;

	/* Work before a capture has ended, and the far end would take the wait for a part of it. */
	if (capture_bars(s))
		return 0;
	idle = stream_idle(s) && !whole;
	y->busy |= !idle;
	y->holds |= !idle && !s->apart;
	if (idle && !atomic_load(&s->waits)) {
		if (!held)
			stream_tell(s);
		return 0;
	}
	w = wait_new(g, s->o.ctx);
	if (!w)
		return CUDA_ERROR_OUT_OF_MEMORY;
	atomic_fetch_add(&y->left, 1);
	w->done = ctx_sync_done;
	w->flush = true;
	w->p = y;
	if (idle)
		wait_behind(g, w, s, !held);
	else
		wait_stream(g, w, s);
	return 0;
}

static bool at_rest(struct stream *s)
{
	if (capture_bars(s))
		return true;
	if (!stream_idle(s) || atomic_load(&s->waits))
		return false;
	stream_tell(s);
	return true;
}

/* Nothing runs in it, and nothing is to be answered before. */
static bool ctx_at_rest(struct ctx *c)
{
	struct stream *s;

	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		if (!at_rest(s))
			return false;
	}
	return at_rest(c->legacy);
}

/* Nothing runs: device output and faults. A capture would not survive it; one that the application
 * asks for is refused in the guest meanwhile, and other waits leave both to the next one. */
static int ctx_flush(struct gpu *g)
{
	return g->capturing ? 0 : (int)g->far->cuCtxSynchronize();
}

/* A guest may retain the primary context more than once, and each time has streams of its own in
 * it: cuCtxSynchronize() would wait for all of them. */
static bool is_shared(struct gpu *g, const struct ctx *c)
{
	return c->primary && atomic_load(&g->primaries) > 1;
}

int handle_ctx_synchronize(struct worker *w, const struct pvgpu_in_ctx_synchronize *in,
			   struct pvgpu_out_ctx_synchronize *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct ctx_sync *y;
	struct stream *s;
	bool shared;
	int r = obj_error(c);

	if (!r)
		r = ctx_enter(c);
	if (r)
		return r;
	shared = is_shared(g, c);
	if (!shared && ctx_at_rest(c)) {
		const int held = deferred_take(g, c);

		r = ctx_result(c, ctx_flush(g));
		output_sync(g);
		return r ? r : held;
	}
	y = calloc(1, sizeof(*y));
	if (!y)
		return CUDA_ERROR_OUT_OF_MEMORY;
	atomic_init(&y->left, 1);
	y->seq = in->hdr->seq;
	y->held = deferred_take(g, c);
	for (s = TAILQ_FIRST(&c->streams); !r && s; s = TAILQ_NEXT(s, in_ctx))
		r = ctx_sync_stream(g, y, s, false);
	if (!r)
		r = ctx_sync_stream(g, y, c->legacy, shared);
	if (!r && !y->busy)
		r = ctx_flush(g);
	if (r)
		atomic_store(&y->result, ctx_result(c, r));
	ctx_sync_step(g, y);
	return PVGPU_PENDING;
}
