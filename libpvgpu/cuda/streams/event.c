/* SPDX-License-Identifier: MIT */
/* Events. */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/streams/done.h"
#include "cuda/streams/event.h"

#include <stdatomic.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

enum { EVENT_FLAGS = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING };

static int enter(CUevent h, struct event **e)
{
	const int r = guest_enter();

	if (r)
		return r;
	*e = object_find(PVGPU_H_EVENT, h);
	return *e ? atomic_load_explicit(&(*e)->o.ctx->state, memory_order_relaxed)
		  : CUDA_ERROR_INVALID_HANDLE;
}

int event_new(struct ctx *c, unsigned int flags, const CUipcEventHandle *handle, struct event **out)
{
	struct event *e = object_new(PVGPU_H_EVENT);
	int r;

	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	e->o.ctx = c;
	e->flags = flags;
	r = flags & CU_EVENT_INTERPROCESS
		    ? shared_event_new(e, c, handle)
		    : pvgpu_do_event_create(session(), c->o.wire, flags, e->o.wire);
	if (r) {
		object_free(&e->o);
		return r;
	}
	object_publish(&e->o);
	*out = e;
	return CUDA_SUCCESS;
}

static int make(struct ctx *c, unsigned int flags, const CUipcEventHandle *handle, CUevent *event)
{
	struct event *e;
	const int r = event_new(c, flags, handle, &e);

	if (!r)
		*event = object_handle(&e->o);
	return r;
}

void event_destroy(struct event *e)
{
	if (e->shared)
		shared_event_free(e);
	else
		pvgpu_do_event_destroy(session(), e->o.wire);
	object_free(&e->o);
}

PUBLIC CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!event || flags & ~(unsigned int)(EVENT_FLAGS | CU_EVENT_INTERPROCESS))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_EVENT_INTERPROCESS && !(flags & CU_EVENT_DISABLE_TIMING))
		return CUDA_ERROR_INVALID_VALUE;
	return make(c, flags, NULL, event);
}

PUBLIC CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
	struct event *e;
	uint32_t len = 0;
	int r = enter(event, &e);

	if (r)
		return r;
	if (!handle || !e->shared)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_shared_event_token(session(), e->shared->o.wire, handle, sizeof(*handle),
					&len);
	return r || len == sizeof(*handle) ? r : CUDA_ERROR_UNKNOWN;
}

PUBLIC CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	return event ? make(c, CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS, &handle, event)
		     : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuEventDestroy_v2(CUevent event)
{
	struct event *e;
	const int r = enter(event, &e);

	if (r)
		return r;
	if (!object_retire(&e->o))
		return CUDA_ERROR_INVALID_HANDLE;
	event_destroy(e);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuEventDestroy(CUevent event)
{
	return cuEventDestroy_v2(event);
}

int event_record(struct event *e, const struct target *t, bool by_node)
{
	int r;

	if (e->shared)
		return t->captured ? CUDA_ERROR_NOT_SUPPORTED : shared_event_record(e, t);
	r = pvgpu_do_event_record(session(), t->ctx->o.wire, t->stream, e->o.wire, 0);
	if (r)
		return r;
	atomic_store(&e->capture, t->captured);
	if (t->captured)
		return 0;
	atomic_store(&e->by_node, by_node);
	atomic_store(&e->place, done_place(t));
	atomic_fetch_add(&e->records, 1);
	return 0;
}

int event_wait(struct event *e, const struct target *t)
{
	return e->shared ? shared_event_wait(e, t)
			 : pvgpu_do_stream_wait_event(session(), t->ctx->o.wire, t->stream,
						      e->o.wire, 0);
}

static int record(CUevent event, CUstream stream, unsigned int flags, bool per_thread)
{
	struct target t;
	struct event *e;
	int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	if (flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags && !t.captured)
		return CUDA_ERROR_ILLEGAL_STATE;
	e = object_find(PVGPU_H_EVENT, event);
	if (!e || e->o.ctx != t.ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	return flags ? graph_event_captured(&t, CU_GRAPH_NODE_TYPE_EVENT_RECORD, event)
		     : event_record(e, &t, false);
}

CU_PTSZ(cuEventRecord, (CUevent event, CUstream stream), record(event, stream, 0, per_thread))
CU_PTSZ(cuEventRecordWithFlags, (CUevent event, CUstream stream, unsigned int flags),
	record(event, stream, flags, per_thread))

/* Remember that the records-th record is done, so that later queries need no round trip. */
static int completed(struct event *e, uint32_t records, int r)
{
	if (!r)
		atomic_store(&e->completed, records);
	return ctx_result(e->o.ctx, r);
}

PUBLIC CUresult cuEventQuery(CUevent event)
{
	uint32_t records;
	struct event *e;
	int r = enter(event, &e);

	if (!r)
		r = capture_unsafe();
	if (r)
		return r;
	if (unlikely(atomic_load_explicit(&e->capture, memory_order_relaxed)))
		return capture_spoil(atomic_load(&e->capture), CUDA_ERROR_CAPTURED_EVENT);
	if (e->shared)
		return ctx_result(e->o.ctx, shared_event_query(e));
	records = atomic_load(&e->records);
	if (atomic_load(&e->completed) == records)
		return CUDA_SUCCESS;
	if (done_known(atomic_load(&e->place)))
		return completed(e, records, 0);
	/* That it still runs is asked each time: the program may have learnt of its end by
	 * something else, a wait or a word in memory, before the ring page says so. */
	return completed(e, records, pvgpu_do_event_query(session(), e->o.wire));
}

PUBLIC CUresult cuEventSynchronize(CUevent event)
{
	enum pvgpu_patience before;
	uint32_t records;
	struct event *e;
	int r = enter(event, &e);

	if (!r)
		r = capture_unsafe();
	if (r)
		return r;
	if (unlikely(atomic_load_explicit(&e->capture, memory_order_relaxed)))
		return capture_spoil(atomic_load(&e->capture), CUDA_ERROR_CAPTURED_EVENT);
	if (e->shared)
		return ctx_result(e->o.ctx, shared_event_synchronize(e));
	records = atomic_load(&e->records);
	if (!records)
		return CUDA_SUCCESS;
	if ((atomic_load(&e->waited) == records && pvgpu_sound(session())) ||
	    done_waited(atomic_load(&e->place), e->o.ctx)) {
		pool_rest();
		return completed(e, records, 0);
	}
	before = pvgpu_wait_so(e->flags & CU_EVENT_BLOCKING_SYNC ? PVGPU_SLEEP
								 : ctx_patience(e->o.ctx));
	r = completed(e, records, pvgpu_do_event_synchronize(session(), e->o.wire));
	pvgpu_wait_so(before);
	if (!r) {
		atomic_store(&e->waited, records);
		pool_rest();
	}
	return r;
}

PUBLIC CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
	struct event *first, *last;
	int r = enter(start, &first);

	if (!r)
		r = enter(end, &last);
	if (r)
		return r;
	if (!milliseconds)
		return CUDA_ERROR_INVALID_VALUE;
	if ((first->flags | last->flags) & CU_EVENT_DISABLE_TIMING ||
	    !atomic_load(&first->records) || !atomic_load(&last->records) ||
	    first->o.ctx != last->o.ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	/* The node's own time is not known. */
	if (atomic_load(&first->by_node) || atomic_load(&last->by_node))
		return CUDA_ERROR_NOT_SUPPORTED;
	return ctx_result(first->o.ctx, pvgpu_do_event_elapsed(session(), first->o.wire,
							       last->o.wire, milliseconds));
}

PUBLIC CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
	return cuEventElapsedTime_v2(milliseconds, start, end);
}
