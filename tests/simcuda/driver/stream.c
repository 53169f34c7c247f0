/* SPDX-License-Identifier: MIT */
/* Streams: handles, the two special ones, queries and waits. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

#define LEAST_PRIORITY    0
#define GREATEST_PRIORITY (-5)

static _Atomic uint64_t next_id = 1;

CUresult stream_create(struct sim_ctx *ctx, struct sim_green *green, uint32_t flags, int priority,
		       struct sim_stream **out)
{
	struct sim_stream *s = pool_new(&stream_pool);

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	s->ctx = ctx;
	s->id = atomic_fetch_add(&next_id, 1);
	s->green = green;
	s->green_id = green_id(green);
	s->flags = green ? flags | CU_STREAM_NON_BLOCKING : flags;
	s->priority = priority < GREATEST_PRIORITY ? GREATEST_PRIORITY
		      : priority > LEAST_PRIORITY  ? LEAST_PRIORITY
						   : priority;
	s->legacy = !ctx->legacy;
	stream_attach(s);
	*out = s;
	return event_stream_made(s);
}

/* The calling thread's own stream in ctx, made at its first use. */
static CUresult thread_stream(struct sim_ctx *ctx, struct sim_stream **out)
{
	struct sim_green *green = ctx_green();
	struct sim_thread *t = sim_thread();
	struct thread_stream *p;

	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < t->stream_count; i++)
		if (t->streams[i].ctx_id == ctx->id && t->streams[i].green_id == green_id(green)) {
			*out = t->streams[i].stream;
			return CUDA_SUCCESS;
		}
	p = realloc(t->streams, (t->stream_count + 1) * sizeof(*p));
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	t->streams = p;
	TRY(stream_create(ctx, green, 0, 0, out));
	(*out)->per_thread = true;
	p[t->stream_count++] = (struct thread_stream){ctx->id, green_id(green), *out};
	return CUDA_SUCCESS;
}

void stream_thread_exit(struct sim_thread *t)
{
	exec_lock();
	for (uint32_t i = 0; i < t->stream_count; i++) {
		struct sim_stream *s = t->streams[i].stream;

		if (pool_live(&stream_pool, s) && s->per_thread && !s->gone &&
		    s->ctx->id == t->streams[i].ctx_id)
			stream_detach(s);
	}
	exec_unlock();
}

CUresult stream_get(CUstream handle, struct sim_stream **out)
{
	struct sim_stream *s = (struct sim_stream *)handle;

	if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
		CURRENT(ctx);
		*out = ctx->legacy;
		if (handle != CU_STREAM_PER_THREAD && ctx_green()) {
			*out = green_stream(ctx_green());
			return CUDA_SUCCESS;
		}
		if (handle != CU_STREAM_PER_THREAD)
			return unlikely(atomic_load_explicit(&sim_captures, memory_order_relaxed))
				       ? capture_legacy(ctx)
				       : CUDA_SUCCESS;
		return thread_stream(ctx, out);
	}
	if (!pool_live(&stream_pool, s) || s->gone)
		return CUDA_ERROR_INVALID_HANDLE;
	if (unlikely(s->green && !green_live(s->green, s->green_id)))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = s;
	return ctx_status(s->ctx);
}

static CUresult create(CUstream *out, unsigned int flags, int priority)
{
	struct sim_stream *s;

	CURRENT(ctx);
	if (!out || flags > CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(stream_create(ctx, ctx_green(), flags, priority, &s));
	*out = (CUstream)s;
	return CUDA_SUCCESS;
}

API(cuStreamCreate, CUstream *out, unsigned int flags)
{
	ENTER();
	return create(out, flags, 0);
}

API(cuStreamCreateWithPriority, CUstream *out, unsigned int flags, int priority)
{
	ENTER();
	return create(out, flags, priority);
}

API(cuStreamDestroy_v2, CUstream stream)
{
	struct sim_stream *s;

	ENTER();
	if (!stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD)
		return CUDA_ERROR_INVALID_HANDLE;
	TRY(stream_get(stream, &s));
	exec_lock();
	stream_detach(s);
	exec_unlock();
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamQuery, (CUstream stream), (stream))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	TRY(capture_wait(s));
	return exec_busy(s) ? CUDA_ERROR_NOT_READY : ctx_error(s->ctx);
}

API_PTSZ(cuStreamSynchronize, (CUstream stream), (stream))
{
	struct sim_stream *s;
	struct sim_ctx *ctx;

	TRY(stream_get(stream, &s));
	ctx = s->ctx;
	TRY(capture_wait(s));
	exec_stream_wait(s);
	print_flush(ctx);
	return ctx_error(ctx);
}

API_PTSZ(cuStreamGetPriority, (CUstream stream, int *priority), (stream, priority))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!priority)
		return CUDA_ERROR_INVALID_VALUE;
	*priority = s->priority;
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamGetFlags, (CUstream stream, unsigned int *flags), (stream, flags))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = s->null ? 0 : s->flags;
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamGetId, (CUstream stream, unsigned long long *id), (stream, id))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	*id = s->id;
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamGetDevice, (CUstream stream, CUdevice *dev), (stream, dev))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	*dev = 0;
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamGetCtx, (CUstream stream, CUcontext *ctx), (stream, ctx))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	*ctx = (CUcontext)(s->green ? green_ctx(s->green) : s->ctx);
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamGetCtx_v2, (CUstream stream, CUcontext *ctx, CUgreenCtx *green),
	 (stream, ctx, green))
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!ctx || !green)
		return CUDA_ERROR_INVALID_VALUE;
	*ctx = (CUcontext)s->ctx;
	*green = (CUgreenCtx)s->green;
	return CUDA_SUCCESS;
}

API_PTSZ(cuLaunchHostFunc, (CUstream stream, CUhostFn fn, void *arg), (stream, fn, arg))
{
	struct sim_stream *s;
	struct op *op;

	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (!fn)
		return CUDA_ERROR_INVALID_VALUE;
	op = op_new(OP_HOST, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->host.fn = fn;
	op->host.arg = arg;
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}

API_PTSZ(cuStreamAddCallback,
	 (CUstream stream, CUstreamCallback callback, void *arg, unsigned int flags),
	 (stream, callback, arg, flags))
{
	struct sim_stream *s;
	struct op *op;

	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (!callback || flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->capture)
		return capture_spoil(s->capture->id, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	op = op_new(OP_HOST, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->host.callback = callback;
	op->host.handle = stream;
	op->host.arg = arg;
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}
