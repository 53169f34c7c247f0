/* SPDX-License-Identifier: MIT */
/*
 * Streams. The default streams are no objects. The legacy one is stream 0 of a context in the
 * protocol. For the per-thread one each thread has a blocking stream of its own in each context
 * that it uses; the worker's per-thread stream would be that of the worker's threads.
 */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/core/thread.h"
#include "cuda/streams/done.h"
#include "cuda/streams/event.h"
#include "cuda/streams/green.h"
#include "cuda/streams/joint.h"
#include "cuda/streams/stream.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

enum { THREAD_STREAMS_MAX = 1024 };

int stream_create(struct ctx *c, struct green *green, unsigned int flags, int priority,
		  struct stream **out)
{
	struct stream *s = object_new(PVGPU_H_STREAM);
	int r;

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	s->o.ctx = c;
	s->flags = green ? CU_STREAM_NON_BLOCKING : flags;
	s->priority = priority;
	s->id = guest_next_id();
	s->green = green;
	s->green_generation = green ? atomic_load(&green->o.generation) : 0;
	if (green)
		r = pvgpu_do_green_stream_create(session(), c->o.wire, green->o.wire, priority,
						 s->o.wire);
	else
		r = pvgpu_do_stream_create(session(), c->o.wire, flags, priority, s->o.wire);
	if (r) {
		object_free(&s->o);
		return r;
	}
	done_stream_made(s);
	if (!(s->flags & CU_STREAM_NON_BLOCKING))
		atomic_store(&c->blocking, true);
	object_publish(&s->o);
	joint_stream_made(s);
	*out = s;
	return 0;
}

void stream_destroy(struct stream *s)
{
	if (!s->gone)
		pvgpu_do_stream_destroy(session(), s->o.wire);
	capture_drop(s->o.ctx, s);
	object_free(&s->o);
}

void stream_green_gone(struct stream *s)
{
	s->gone = true;
	pvgpu_do_stream_destroy(session(), s->o.wire);
	capture_drop(s->o.ctx, s);
}

int stream_priority(const struct ctx *c, int priority)
{
	if (priority > c->priority_least)
		return c->priority_least;
	return priority < c->priority_greatest ? c->priority_greatest : priority;
}

/* An entry for one more of the thread's streams; entries of destroyed contexts are reused. */
static struct thread_stream *thread_stream_room(void)
{
	struct thread_stream *grown;

	for (unsigned int i = 0; i < self.streams; i++)
		if (!object_find(PVGPU_H_STREAM, self.stream[i].stream))
			return &self.stream[i];
	if (self.streams == self.streams_room) {
		const unsigned int room = self.streams_room ? 2 * self.streams_room : 2;

		if (room > THREAD_STREAMS_MAX)
			return NULL;
		grown = realloc(self.stream, room * sizeof(*grown));
		if (!grown)
			return NULL;
		self.stream = grown;
		self.streams_room = room;
	}
	return &self.stream[self.streams++];
}

/* The calling thread's own stream in c, which may be a green context's, made at its first use. */
static int stream_of_thread(struct ctx *c, struct stream **out)
{
	struct thread_stream *t;
	struct stream *s;
	int r;

	for (unsigned int i = 0; i < self.streams; i++) {
		t = &self.stream[i];
		if (t->in.ctx != c || !ctx_ref_live(&t->in))
			continue;
		*out = object_find(PVGPU_H_STREAM, t->stream);
		if (*out)
			return 0;
	}
	r = stream_create(c->root, c->green, CU_STREAM_DEFAULT, 0, &s);
	if (r)
		return r;
	t = thread_stream_room();
	if (!t) {
		object_retire(&s->o);
		stream_destroy(s);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*t = (struct thread_stream){{c, atomic_load(&c->o.generation)}, object_handle(&s->o)};
	thread_register();
	*out = s;
	return 0;
}

void stream_thread_end(struct thread *t)
{
	for (unsigned int i = 0; i < t->streams; i++) {
		struct stream *s = object_find(PVGPU_H_STREAM, t->stream[i].stream);

		if (session() && s && object_retire(&s->o))
			stream_destroy(s);
	}
	t->streams = 0;
}

static bool is_default(CUstream h)
{
	return (uintptr_t)h <= (uintptr_t)CU_STREAM_PER_THREAD;
}

/* A default stream in the current context. */
static int enter_default(CUstream h, bool per_thread, struct target *t, struct stream **real)
{
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	*t = (struct target){.ctx = c};
	*real = NULL;
	if (h == CU_STREAM_PER_THREAD || (!h && per_thread))
		r = stream_of_thread(self.current.ctx, real);
	else if (unlikely(self.current.ctx->green != NULL))
		*real = self.current.ctx->green->stream;
	else if (unlikely(atomic_load_explicit(&c->legacy_use, memory_order_relaxed) !=
			  LEGACY_USED))
		joint_legacy_used(c);
	if (!r && *real) {
		t->stream = (*real)->o.wire;
		t->blocking = !((*real)->flags & CU_STREAM_NON_BLOCKING);
		t->sms = (*real)->green ? (*real)->green->count : 0;
	}
	return r;
}

int stream_enter_any(CUstream h, bool per_thread, struct target *t, struct stream **real)
{
	struct stream *s;
	int r;

	if (is_default(h))
		return enter_default(h, per_thread, t, real);
	r = guest_enter();
	if (unlikely(r))
		return r;
	s = object_find(PVGPU_H_STREAM, h);
	if (unlikely(!s))
		return CUDA_ERROR_INVALID_HANDLE;
	if (unlikely(s->green && !green_live(s)))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*real = s;
	*t = (struct target){.ctx = s->o.ctx,
			     .stream = s->o.wire,
			     .blocking = !(s->flags & CU_STREAM_NON_BLOCKING),
			     .sms = s->green ? s->green->count : 0};
	return atomic_load_explicit(&t->ctx->state, memory_order_relaxed);
}

int stream_enter(CUstream h, bool per_thread, struct target *t)
{
	struct stream *real;
	int r = stream_enter_any(h, per_thread, t, &real);

	if (capturing() && !r)
		r = capture_work(t, real);
	if (!r && real && !t->captured)
		stream_touch(real);
	return r;
}

int stream_drain(const struct target *t)
{
	enum pvgpu_patience before;
	int r;

	if (done_stream_at_rest(t))
		return 0;
	before = pvgpu_wait_so(ctx_patience(t->ctx));
	r = ctx_result(t->ctx, pvgpu_do_stream_synchronize(session(), t->ctx->o.wire, t->stream));
	pvgpu_wait_so(before);
	if (!r)
		done_wait_stream(t);
	return r;
}

int stream_turn(const struct target *t)
{
	uint64_t place;
	const int r = t->stream ? done_behind(t, &place) : 0;

	return r ? r : stream_drain(t);
}

PUBLIC CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
	struct stream *s;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!stream || flags & ~(unsigned int)CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	r = stream_create(c, self.current.ctx->green, flags, stream_priority(c, priority), &s);
	if (!r)
		*stream = object_handle(&s->o);
	return r;
}

PUBLIC CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	return cuStreamCreateWithPriority(stream, flags, 0);
}

PUBLIC CUresult cuStreamDestroy_v2(CUstream stream)
{
	struct stream *s;
	int r = guest_enter();

	if (r)
		return r;
	s = object_find(PVGPU_H_STREAM, stream);
	if (!s)
		return CUDA_ERROR_INVALID_HANDLE;
	r = atomic_load(&s->o.ctx->state);
	if (!r && s->green && !green_live(s))
		r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (r)
		return r;
	if (!object_retire(&s->o))
		return CUDA_ERROR_INVALID_HANDLE;
	stream_destroy(s);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuStreamDestroy(CUstream stream)
{
	return cuStreamDestroy_v2(stream);
}

static int query(CUstream h, bool per_thread)
{
	struct stream *real;
	struct target t;
	int r = stream_enter_any(h, per_thread, &t, &real);

	if (!r && capturing())
		r = capture_wait(&t, real);
	if (r)
		return r;
	if (done_stream_ended(&t))
		return CUDA_SUCCESS;
	r = ctx_result(t.ctx, pvgpu_do_stream_query(session(), t.ctx->o.wire, t.stream));
	if (!r)
		done_hear_stream(&t);
	return r;
}

static int synchronize(CUstream h, bool per_thread)
{
	struct stream *real;
	struct target t;
	int r = stream_enter_any(h, per_thread, &t, &real);

	if (!r && capturing())
		r = capture_wait(&t, real);
	if (!r)
		r = stream_drain(&t);
	if (!r)
		pool_rest();
	return r;
}

static int wait_event(CUstream h, CUevent event, unsigned int flags, bool per_thread)
{
	struct stream *real;
	struct event *e;
	struct target t;
	bool join = false;
	int r = stream_enter_any(h, per_thread, &t, &real);

	if (!r && capturing())
		r = capture_work(&t, real);
	if (r)
		return r;
	if (flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags && !t.captured)
		return CUDA_ERROR_ILLEGAL_STATE;
	e = object_find(PVGPU_H_EVENT, event);
	if (!e)
		return CUDA_ERROR_INVALID_HANDLE;
	if (flags)
		return graph_event_captured(&t, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event);
	if (t.captured && e->shared)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (t.captured || atomic_load_explicit(&e->capture, memory_order_relaxed)) {
		r = capture_event(&t, real, e, &join);
		if (r || !join)
			return r;
	} else if (!e->shared && !atomic_load_explicit(&e->records, memory_order_relaxed)) {
		return CUDA_SUCCESS;
	}
	if (real && !join)
		stream_touch(real);
	return event_wait(e, &t);
}

/* Properties of a stream; the legacy default stream's are fixed. */
struct facts {
	unsigned int flags;
	int priority;
	uint64_t id;
	struct ctx *ctx;
	struct green *green;
};

static int facts(CUstream h, bool per_thread, const void *out, struct facts *f)
{
	struct stream *real;
	struct target t;
	const int r = stream_enter_any(h, per_thread, &t, &real);

	if (r)
		return r;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*f = (struct facts){.ctx = t.ctx, .id = real ? real->id : (uint64_t)1 << 63 | t.ctx->id};
	if (real) {
		f->green = real->green;
		f->flags = real->null ? 0 : real->flags;
		f->priority = real->priority;
	}
	return 0;
}

static int get_priority(CUstream h, int *priority, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, priority, &f);

	if (!r)
		*priority = f.priority;
	return r;
}

static int get_flags(CUstream h, unsigned int *flags, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, flags, &f);

	if (!r)
		*flags = f.flags;
	return r;
}

static int get_id(CUstream h, unsigned long long *id, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, id, &f);

	if (!r)
		*id = f.id;
	return r;
}

static int get_ctx(CUstream h, CUcontext *ctx, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, ctx, &f);

	if (!r)
		*ctx = ctx_handle(f.green ? f.green->ctx : f.ctx);
	return r;
}

static int get_ctx_v2(CUstream h, CUcontext *ctx, CUgreenCtx *green, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, ctx, &f);

	if (r)
		return r;
	*ctx = ctx_handle(f.ctx);
	if (green)
		*green = f.green ? object_handle(&f.green->o) : NULL;
	return 0;
}

PUBLIC CUresult cuStreamGetGreenCtx(CUstream stream, CUgreenCtx *green)
{
	struct facts f;
	const int r = facts(stream, false, green, &f);

	if (!r)
		*green = f.green ? object_handle(&f.green->o) : NULL;
	return r;
}

static int get_device(CUstream h, CUdevice *dev, bool per_thread)
{
	struct facts f;
	const int r = facts(h, per_thread, dev, &f);

	if (!r)
		*dev = f.ctx->device;
	return r;
}

CU_PTSZ(cuStreamQuery, (CUstream stream), query(stream, per_thread))
CU_PTSZ(cuStreamSynchronize, (CUstream stream), synchronize(stream, per_thread))
CU_PTSZ(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags),
	wait_event(stream, event, flags, per_thread))
CU_PTSZ(cuStreamGetPriority, (CUstream stream, int *priority),
	get_priority(stream, priority, per_thread))
CU_PTSZ(cuStreamGetFlags, (CUstream stream, unsigned int *flags),
	get_flags(stream, flags, per_thread))
CU_PTSZ(cuStreamGetId, (CUstream stream, unsigned long long *id), get_id(stream, id, per_thread))
CU_PTSZ(cuStreamGetCtx, (CUstream stream, CUcontext *ctx), get_ctx(stream, ctx, per_thread))
CU_PTSZ(cuStreamGetCtx_v2, (CUstream stream, CUcontext *ctx, CUgreenCtx *green),
	get_ctx_v2(stream, ctx, green, per_thread))
CU_PTSZ(cuStreamGetDevice, (CUstream stream, CUdevice *dev), get_device(stream, dev, per_thread))
