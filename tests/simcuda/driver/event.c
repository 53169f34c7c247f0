/* SPDX-License-Identifier: MIT */
/* Events: a mark in a stream, the time at which it was passed, and waiting for it. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"
#include "tests/simcuda/driver/share.h"

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

struct sim_event {
	struct handle h;
	struct sim_ctx *ctx;
	uint32_t flags;
	/* exec.lock */
	bool recorded;
	struct op *op;    /* the last record, unless it was passed at once; holds a reference */
	uint64_t done_ns; /* of that */
	/* graph_lock: the capture in which it was recorded last; 0: none */
	uint64_t capture;
	struct sim_node **dep;
	uint32_t deps;
	/* Of one that processes share (CU_EVENT_INTERPROCESS); NULL, 0: it is not. */
	struct share_place *shared;
	uint32_t place;          /* its own */
	struct share_other from; /* another process's */
};

static struct pool event_pool = POOL(struct sim_event);
static pthread_mutex_t joint_lock = PTHREAD_MUTEX_INITIALIZER;

static CUresult event_get(CUevent handle, struct sim_event **out)
{
	struct sim_event *e = (struct sim_event *)handle;

	if (!pool_live(&event_pool, e))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = e;
	return ctx_status(e->ctx);
}

CUresult event_valid(CUevent event)
{
	struct sim_event *e;

	return event_get(event, &e);
}

API(cuEventCreate, CUevent *out, unsigned int flags)
{
	struct sim_event *e;

	ENTER();
	CURRENT(ctx);
	if (!out || (flags & ~(unsigned int)EVENT_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_EVENT_INTERPROCESS && !(flags & CU_EVENT_DISABLE_TIMING))
		return CUDA_ERROR_INVALID_VALUE;
	e = pool_new(&event_pool);
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (flags & CU_EVENT_INTERPROCESS) {
		e->place = share_new(&(struct share_place){.type = SHARE_EVENT});
		e->shared = e->place ? share_at(e->place) : NULL;
		if (!e->place) {
			pool_free(&event_pool, e);
			return CUDA_ERROR_OUT_OF_MEMORY;
		}
	}
	e->ctx = ctx;
	e->flags = flags;
	*out = (CUevent)e;
	return CUDA_SUCCESS;
}

API(cuIpcGetEventHandle, CUipcEventHandle *handle, CUevent event)
{
	struct share_handle h;
	struct sim_event *e;

	ENTER();
	TRY(event_get(event, &e));
	if (!handle || !e->place)
		return CUDA_ERROR_INVALID_VALUE;
	share_handle_of(e->place, &h);
	memcpy(handle, &h, sizeof(h));
	return CUDA_SUCCESS;
}

API(cuIpcOpenEventHandle, CUevent *out, CUipcEventHandle handle)
{
	struct share_handle h;
	struct sim_event *e;
	CUresult r;

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&h, &handle, sizeof(h));
	e = pool_new(&event_pool);
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = share_take(&h, SHARE_EVENT, &e->from);
	if (r) {
		pool_free(&event_pool, e);
		return r;
	}
	e->shared = e->from.place;
	e->ctx = ctx;
	e->flags = CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING;
	*out = (CUevent)e;
	return CUDA_SUCCESS;
}

static void event_delete(struct sim_event *e)
{
	if (e->op)
		op_put(e->op);
	if (e->place)
		share_forget(e->place);
	else if (e->shared)
		share_drop(&e->from);
	free(e->dep);
	pool_free(&event_pool, e);
}

API(cuEventDestroy_v2, CUevent handle)
{
	struct sim_event *e;

	ENTER();
	TRY(event_get(handle, &e));
	event_delete(e);
	return CUDA_SUCCESS;
}

static void drop(void *obj, void *arg)
{
	struct sim_event *e = obj;

	if (e->ctx == arg)
		event_delete(e);
}

void event_drop_ctx(struct sim_ctx *ctx)
{
	pool_each(&event_pool, drop, ctx);
}

/* How far it has come is a number that each process reads: of its records that many are done. */
static CUresult shared_op(struct sim_event *e, struct sim_stream *s, enum op_kind kind,
			  uint32_t value)
{
	struct op *op = op_new(kind, s, 0);

	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->value = (struct value_op){&e->shared->done, value, sizeof(value), 0};
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}

static bool shared_pending(const struct sim_event *e)
{
	return (int32_t)(atomic_load(&e->shared->recorded) - atomic_load(&e->shared->done)) > 0;
}

static CUresult record_in(struct sim_event *e, struct sim_stream *s)
{
	struct op *op = NULL, *old;

	if (e->shared)
		return shared_op(e, s, OP_WRITE, atomic_fetch_add(&e->shared->recorded, 1) + 1);

	if (!exec_idle(s)) {
		op = op_new(OP_NOP, s, 0);
		if (!op)
			return CUDA_ERROR_OUT_OF_MEMORY;
		op->of_graph = true;
		exec_push(op, NULL, true);
	}
	e->capture = 0;
	exec_lock();
	old = e->op;
	e->op = op;
	e->recorded = true;
	e->done_ns = op ? 0 : now_ns();
	exec_unlock();
	if (old)
		op_put(old);
	return CUDA_SUCCESS;
}

static CUresult record(CUevent handle, CUstream stream, unsigned int flags)
{
	struct sim_event *e;
	struct sim_stream *s;

	if (flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(event_get(handle, &e));
	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (flags && !s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	if (s->ctx != e->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	if (s->capture && e->shared)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (s->capture)
		return flags ? capture_event(s, CU_GRAPH_NODE_TYPE_EVENT_RECORD, handle)
			     : capture_record(s, &e->capture, &e->dep, &e->deps);
	return record_in(e, s);
}

CUresult event_record_node(CUevent event, struct sim_stream *s)
{
	struct sim_event *e;

	TRY(event_get(event, &e));
	return record_in(e, s);
}

API_PTSZ(cuEventRecord, (CUevent event, CUstream stream), (event, stream))
{
	return record(event, stream, 0);
}

API_PTSZ(cuEventRecordWithFlags, (CUevent event, CUstream stream, unsigned int flags),
	 (event, stream, flags))
{
	return record(event, stream, flags);
}

/* The operation to wait for with a reference, or NULL when there is nothing to wait for. */
static struct op *pending_op(struct sim_event *e)
{
	struct op *op;

	exec_lock();
	op = e->op && !op_done(e->op) ? e->op : NULL;
	if (op)
		op_get(op);
	exec_unlock();
	return op;
}

static CUresult wait_in(struct sim_event *e, struct sim_stream *s)
{
	struct op *after, *op;

	if (sim_fault.wait_ignored)
		return CUDA_SUCCESS;
	if (e->shared)
		return shared_pending(e)
			       ? shared_op(e, s, OP_WAIT_VALUE, atomic_load(&e->shared->recorded))
			       : CUDA_SUCCESS;
	after = pending_op(e);
	if (!after)
		return CUDA_SUCCESS;
	op = op_new(OP_NOP, s, 0);
	if (op)
		exec_push(op, after, false);
	op_put(after);
	return op ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult event_wait_node(CUevent event, struct sim_stream *s)
{
	struct sim_event *e;

	TRY(event_get(event, &e));
	return wait_in(e, s);
}

API_PTSZ(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags),
	 (stream, event, flags))
{
	struct sim_event *e;
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(event_get(event, &e));
	TRY(capture_check(s));
	if (flags)
		return s->capture ? capture_event(s, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event)
				  : CUDA_ERROR_ILLEGAL_STATE;
	if (s->capture && e->shared)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (s->capture || e->capture)
		return capture_join(s, e->recorded, e->capture, e->dep, e->deps);
	return wait_in(e, s);
}

static struct sim_joint *joint_of(struct sim_ctx *ctx, struct sim_green *green)
{
	return green ? green_joint(green) : &ctx->joint;
}

/* Do the events of the context, or the green one, concern the stream? */
static bool takes_part(const struct sim_stream *s, const struct sim_green *green)
{
	return !s->joint && !s->gone && (!green || s->green == green);
}

struct tails {
	struct sim_stream **stream;
	struct op **op; /* the last operation with a reference; NULL: it has none */
	size_t count;
};

static void tails_free(struct tails *t)
{
	for (size_t i = 0; i < t->count; i++)
		ctx_give_op(t->op[i]);
	free(t->stream);
	free(t->op);
}

/* All streams of it; a capture that one takes part in becomes invalid. */
static CUresult tails_get(struct sim_ctx *ctx, struct sim_green *green, struct tails *t)
{
	CUresult r = CUDA_SUCCESS;
	size_t n = 0;

	exec_lock();
	for (struct sim_stream *s = ctx->streams; s; s = s->next)
		n++;
	t->count = 0;
	t->stream = malloc((n + 1) * sizeof(struct sim_stream *));
	t->op = malloc((n + 1) * sizeof(struct op *));
	for (struct sim_stream *s = ctx->streams; s && t->stream && t->op; s = s->next) {
		if (!takes_part(s, green))
			continue;
		if (s->tail)
			op_get(s->tail);
		t->stream[t->count] = s;
		t->op[t->count++] = s->tail;
	}
	exec_unlock();
	if (!t->stream || !t->op)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < t->count; i++)
		if (t->stream[i]->capture)
			r = capture_spoil(t->stream[i]->capture->id,
					  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	if (r != CUDA_SUCCESS)
		tails_free(t);
	return r;
}

static CUresult nop_after(struct sim_stream *s, struct op *after)
{
	struct op *op = op_new(OP_NOP, s, 0);

	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	exec_push(op, after, false);
	return CUDA_SUCCESS;
}

static CUresult joint_stream(struct sim_ctx *ctx, struct sim_joint *j)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&joint_lock);
	if (!j->stream)
		r = stream_create(ctx, NULL, CU_STREAM_NON_BLOCKING, 0, &j->stream);
	if (r == CUDA_SUCCESS)
		j->stream->joint = true;
	pthread_mutex_unlock(&joint_lock);
	return r;
}

CUresult event_record_all(CUevent event, struct sim_ctx *ctx, struct sim_green *green)
{
	struct sim_joint *j = joint_of(ctx, green);
	struct sim_event *e;
	struct tails t;
	CUresult r = CUDA_SUCCESS;

	TRY(event_get(event, &e));
	if (e->ctx != ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	TRY(joint_stream(ctx, j));
	TRY(tails_get(ctx, green, &t));
	for (size_t i = 0; i < t.count && r == CUDA_SUCCESS; i++)
		if (t.op[i])
			r = nop_after(j->stream, t.op[i]);
	if (r == CUDA_SUCCESS)
		r = record_in(e, j->stream);
	tails_free(&t);
	return r;
}

CUresult event_wait_all(CUevent event, struct sim_ctx *ctx, struct sim_green *green)
{
	struct sim_joint *j = joint_of(ctx, green);
	struct sim_event *e;
	struct tails t;
	CUresult r = CUDA_SUCCESS;
	struct op *op;

	TRY(event_get(event, &e));
	if (e->capture)
		return capture_spoil(e->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	TRY(joint_stream(ctx, j));
	TRY(tails_get(ctx, green, &t));
	r = wait_in(e, j->stream);
	exec_lock();
	op = j->stream->tail;
	if (op)
		op_get(op);
	exec_unlock();
	for (size_t i = 0; i < t.count && op && r == CUDA_SUCCESS; i++)
		r = nop_after(t.stream[i], op);
	tails_free(&t);
	exec_lock();
	ctx_give_op(j->awaited);
	j->awaited = op;
	exec_unlock();
	return r;
}

CUresult event_stream_made(struct sim_stream *s)
{
	struct sim_joint *joints[] = {&s->ctx->joint, s->green ? green_joint(s->green) : NULL};
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < ARRAY_LEN(joints) && r == CUDA_SUCCESS; i++) {
		struct op *op = NULL;

		exec_lock();
		if (joints[i] && joints[i]->awaited && !op_done(joints[i]->awaited)) {
			op = joints[i]->awaited;
			op_get(op);
		}
		exec_unlock();
		if (op)
			r = nop_after(s, op);
		ctx_give_op(op);
	}
	return r;
}

API(cuEventQuery, CUevent handle)
{
	struct sim_event *e;
	struct op *op;

	ENTER();
	TRY(event_get(handle, &e));
	TRY(capture_unsafe());
	if (e->capture)
		return capture_spoil(e->capture, CUDA_ERROR_CAPTURED_EVENT);
	if (e->shared)
		return shared_pending(e) ? CUDA_ERROR_NOT_READY : ctx_error(e->ctx);
	op = pending_op(e);
	if (!op)
		return ctx_error(e->ctx);
	op_put(op);
	return CUDA_ERROR_NOT_READY;
}

API(cuEventSynchronize, CUevent handle)
{
	const struct timespec look = {.tv_nsec = 50000};
	struct sim_event *e;
	struct sim_ctx *ctx;
	struct op *op;

	ENTER();
	TRY(event_get(handle, &e));
	ctx = e->ctx;
	TRY(capture_unsafe());
	if (e->capture)
		return capture_spoil(e->capture, CUDA_ERROR_CAPTURED_EVENT);
	while (e->shared && shared_pending(e) && !ctx_error(ctx))
		nanosleep(&look, NULL);
	op = pending_op(e);
	if (op) {
		exec_wait(op);
		op_put(op);
	}
	print_flush(ctx);
	return ctx_error(ctx);
}

static CUresult passed_at(struct sim_event *e, uint64_t *ns)
{
	CUresult r = CUDA_SUCCESS;

	exec_lock();
	if (!e->recorded || (e->flags & CU_EVENT_DISABLE_TIMING))
		r = CUDA_ERROR_INVALID_HANDLE;
	else if (e->op && !op_done(e->op))
		r = CUDA_ERROR_NOT_READY;
	else
		*ns = e->op ? e->op->done_ns : e->done_ns;
	exec_unlock();
	return r;
}

static CUresult elapsed(float *ms, CUevent start, CUevent end)
{
	struct sim_event *a, *b;
	uint64_t t0, t1;
	CUresult ra, rb;

	if (!ms)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(event_get(start, &a));
	TRY(event_get(end, &b));
	if (a->ctx != b->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	ra = passed_at(a, &t0);
	rb = passed_at(b, &t1);
	if (ra == CUDA_ERROR_INVALID_HANDLE || rb == CUDA_ERROR_INVALID_HANDLE)
		return CUDA_ERROR_INVALID_HANDLE;
	TRY(ra);
	TRY(rb);
	*ms = (float)((double)(int64_t)(t1 - t0) / 1e6);
	if (sim_fault.event_zero)
		*ms = 0;
	if (sim_fault.event_negative)
		*ms = -1 - *ms;
	return CUDA_SUCCESS;
}

API(cuEventElapsedTime, float *ms, CUevent start, CUevent end)
{
	ENTER();
	return elapsed(ms, start, end);
}

API(cuEventElapsedTime_v2, float *ms, CUevent start, CUevent end)
{
	ENTER();
	return elapsed(ms, start, end);
}
