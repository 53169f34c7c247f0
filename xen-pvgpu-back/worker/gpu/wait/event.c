/* SPDX-License-Identifier: MIT */
/* Events of the guest's. */
#include <stdatomic.h>
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct fev *fev_get(struct fev *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

void fev_put(struct fev *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	/* A context that has gone took its events along. */
	if (!ctx_enter(f->ctx))
		f->ctx->o.gpu->far->cuEventDestroy_v2(f->ev);
	obj_unref(f->ctx);
	free(f);
}

static int fev_new(struct gpu *g, struct ctx *c, uint32_t flags, struct fev **out)
{
	struct fev *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* Waiting for the event must not use the processor. */
	r = ctx_enter(c);
	if (!r)
		r = (int)g->far->cuEventCreate(&f->ev, flags | CU_EVENT_BLOCKING_SYNC);
	if (r) {
		free(f);
		return r;
	}
	atomic_init(&f->refs, 1);
	f->ctx = obj_ref(c);
	*out = f;
	return 0;
}

int handle_event_create(struct worker *w, const struct pvgpu_in_event_create *in,
			struct pvgpu_out_event_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct event *e;
	int err, r;

	e = obj_new(g, PVGPU_H_EVENT, in->event_h, sizeof(*e), c, &c->o, &err);
	if (!e)
		return err;
	waitq_init(&e->q, &e->o);
	e->flags = in->flags & CU_EVENT_DISABLE_TIMING;
	r = obj_error(c);
	if (!r)
		r = ctx_result(c, fev_new(g, c, e->flags, &e->far));
	obj_ready(e, r);
	return 0; /* the handle says it */
}

struct event_job {
	struct job job;
	struct event *e;
};

void event_retire(struct event *e)
{
	/* Now, while its context is there: a queue's reference may keep the object a little longer.
	 */
	if (e->far)
		fev_put(e->far);
	e->far = NULL;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct event_job *j = (struct event_job *)job;

	event_retire(j->e);
	obj_unref(j->e);
	free(j);
}

int handle_event_destroy(struct worker *w, const struct pvgpu_in_event_destroy *in,
			 struct pvgpu_out_event_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *e = in->event;
	struct event_job *j = calloc(1, sizeof(*j));

	obj_remove(g, &e->o);
	if (!j) {
		obj_unref(e);
		return 0;
	}
	j->e = e;
	j->job.run = run_destroy;
	side_push(g, &j->job);
	return 0;
}

static void watch_done(struct gpu *g, struct wait *w, int result)
{
	ctx_result(w->ctx, result); /* finish_head() tells the guest of the end */
}

void event_watch(struct gpu *g, struct event *e)
{
	struct wait *w;

	e->wanted = false;
	if (!e->s || e->watched == e->number || e->s->slot == PVGPU_ENDED_NONE || !waits_room(g))
		return;
	w = wait_new(g, e->o.ctx);
	if (!w)
		return;
	e->watched = e->number;
	w->done = watch_done;
	wait_event(g, w, e, false);
}

int handle_event_record(struct worker *w, const struct pvgpu_in_event_record *in,
			struct pvgpu_out_event_record *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *e = in->event;
	struct stream *s;
	struct fev *f;
	int r;

	/* A node that leaves the event where it was. The guest's library makes it, too. */
	if (in->flags)
		return CUDA_ERROR_NOT_SUPPORTED;
	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = obj_error(e);
	if (r)
		return r;
	if (e->o.ctx->far != s->o.ctx->far)
		return CUDA_ERROR_INVALID_HANDLE;
	if (atomic_load(&e->waits)) {
		/* Waits for the last record must not wait for this one. */
		r = fev_new(g, e->o.ctx, e->flags, &f);
		if (r)
			return ctx_result(s->o.ctx, r);
	} else {
		f = fev_get(e->far);
	}
	r = (int)g->far->cuEventRecord(f->ev, s->far);
	if (r) {
		/* The last record stands. */
		fev_put(f);
		return ctx_result(s->o.ctx, r);
	}
	fev_put(e->far);
	e->far = f;
	e->capture = s->capture;
	if (s->capture)
		return 0; /* a place in a graph */
	stream_issued(s);
	obj_ref(s);
	if (e->s)
		obj_unref(e->s);
	e->s = s;
	e->at = s->issued;
	e->load = s->load;
	e->number = g->number;
	if (e->wanted && !e->parked)
		event_watch(g, e);
	return 0;
}

int handle_stream_wait_event(struct worker *w, const struct pvgpu_in_stream_wait_event *in,
			     struct pvgpu_out_stream_wait_event *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *e = in->event;
	struct stream *s;
	int r;

	/* A node that joins nothing. The guest's library makes it: it is an empty node here. */
	if (in->flags)
		return CUDA_ERROR_NOT_SUPPORTED;
	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = obj_error(e);
	if (!r && e->capture) {
		g->into = e->capture;
		r = s->capture ? 0 : capture_settle(s);
	}
	if (!r)
		r = ctx_result(s->o.ctx, (int)g->far->cuStreamWaitEvent(s->far, e->far->ev, 0));
	if (!r && e->capture)
		capture_join(s, e);
	if (!r)
		stream_issued(s);
	return r;
}

int handle_event_elapsed(struct worker *w, const struct pvgpu_in_event_elapsed *in,
			 struct pvgpu_out_event_elapsed *out)
{
	struct gpu *g = worker_gpu(w);
	struct event *a = in->start, *b = in->end;
	int r = obj_error(a);

	if (!r)
		r = obj_error(b);
	if (!r && (a->parked || b->parked))
		r = CUDA_ERROR_NOT_READY;
	if (!r)
		r = ctx_enter(a->o.ctx);
	if (!r)
		r = (int)g->far->cuEventElapsedTime(&out->milliseconds, a->far->ev, b->far->ev);
	if (!r)
		out->milliseconds = evict_coarse(g, out->milliseconds);
	return ctx_result(a->o.ctx, r);
}
