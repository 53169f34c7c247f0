/* SPDX-License-Identifier: MIT */
/*
 * Events of whole contexts and of green ones (cuCtxRecordEvent, cuCtxWaitEvent and their kin). A
 * stream of the library's, the joint, waits for what each stream has done so far, or makes each
 * wait for what it waits for. All of that is one-way, and needs no more of the driver than streams
 * and events.
 */
#include "cuda/streams/joint.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/streams/event.h"
#include "cuda/streams/green.h"
#include "cuda/streams/stream.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under lock. */
static int prepare(struct ctx *c, struct green *green, struct joint *j)
{
	int r = 0;

	if (!j->stream)
		r = stream_create(c, green, CU_STREAM_NON_BLOCKING, 0, &j->stream);
	if (!r)
		j->stream->joint = true;
	if (!r && !j->mark)
		r = event_new(c, CU_EVENT_DISABLE_TIMING, NULL, &j->mark);
	if (!r && !j->awaited)
		r = event_new(c, CU_EVENT_DISABLE_TIMING, NULL, &j->awaited);
	return r;
}

/* Under ctx.lock: the next stream of those that events of the context, or the green one, concern;
 * NULL: that was the last. */
static struct stream *next(struct object *o, const struct green *green)
{
	for (; o; o = o->next) {
		struct stream *s = (struct stream *)o;

		if (o->type == PVGPU_H_STREAM && !s->joint && !s->gone &&
		    (!green || s->green == green))
			return s;
	}
	return NULL;
}

static int check_captures(struct ctx *c, const struct green *green)
{
	int r = 0;

	if (!capturing())
		return 0;
	pthread_mutex_lock(&c->lock);
	for (struct stream *s = next(c->objects, green); s; s = next(s->o.next, green)) {
		const int barred = capture_bars(s);

		r = barred ? barred : r;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int join(const struct joint *j, const struct target *of, const struct target *at)
{
	const int r = event_record(j->mark, of, false);

	return r ? r : event_wait(j->mark, at);
}

/* While streams are posted to, none of them is destroyed: that takes the lock first. */
static int join_all(struct ctx *c, const struct green *green, const struct joint *j,
		    const struct target *at)
{
	const struct target legacy = {.ctx = c};
	int r = 0;

	pthread_mutex_lock(&c->lock);
	for (struct stream *s = next(c->objects, green); s && !r; s = next(s->o.next, green)) {
		const struct target of = {.ctx = c, .stream = s->o.wire};

		stream_touch(s);
		r = join(j, &of, at);
	}
	pthread_mutex_unlock(&c->lock);
	/* It has work of its own only once it was used, and would hold up all others. */
	if (!r && !green && atomic_load(&c->legacy_use) == LEGACY_USED)
		r = join(j, &legacy, at);
	return r;
}

static int find_event(CUevent h, struct event **e)
{
	*e = object_find(PVGPU_H_EVENT, h);
	return *e ? atomic_load(&(*e)->o.ctx->state) : CUDA_ERROR_INVALID_HANDLE;
}

int joint_record(struct ctx *c, struct green *green, CUevent event)
{
	struct joint *j = green ? &green->joint : &c->joint;
	struct event *e;
	int r = find_event(event, &e);

	if (!r && e->o.ctx != c)
		r = CUDA_ERROR_INVALID_HANDLE;
	if (!r)
		r = check_captures(c, green);
	if (r)
		return r;
	pthread_mutex_lock(&lock);
	r = prepare(c, green, j);
	if (!r) {
		const struct target at = {.ctx = c, .stream = j->stream->o.wire};

		r = join_all(c, green, j, &at);
		if (!r)
			r = event_record(e, &at, false);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* Streams that are made from now on wait, too, and the legacy one if it is used. */
static int spread(struct ctx *c, const struct green *green, struct joint *j)
{
	const struct target legacy = {.ctx = c};
	int unused = LEGACY_UNUSED, r = 0;

	pthread_mutex_lock(&c->lock);
	j->waits = true;
	for (struct stream *s = next(c->objects, green); s && !r; s = next(s->o.next, green)) {
		const struct target of = {.ctx = c, .stream = s->o.wire};

		stream_touch(s);
		r = event_wait(j->awaited, &of);
	}
	pthread_mutex_unlock(&c->lock);
	if (r || green || atomic_compare_exchange_strong(&c->legacy_use, &unused, LEGACY_WAITS) ||
	    unused == LEGACY_WAITS)
		return r;
	return event_wait(j->awaited, &legacy);
}

int joint_wait(struct ctx *c, struct green *green, CUevent event)
{
	struct joint *j = green ? &green->joint : &c->joint;
	struct event *e;
	int r = find_event(event, &e);

	if (r)
		return r;
	if (atomic_load(&e->capture))
		return capture_spoil(atomic_load(&e->capture),
				     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	r = check_captures(c, green);
	if (r || (!e->shared && !atomic_load(&e->records)))
		return r;
	pthread_mutex_lock(&lock);
	r = prepare(c, green, j);
	if (!r) {
		const struct target at = {.ctx = c, .stream = j->stream->o.wire};

		r = event_wait(e, &at);
		if (!r)
			r = event_record(j->awaited, &at, false);
		if (!r)
			r = spread(c, green, j);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void joint_stream_made(struct stream *s)
{
	struct ctx *c = s->o.ctx;
	const struct joint *joints[] = {&c->joint, s->green ? &s->green->joint : NULL};
	const struct target t = {.ctx = c, .stream = s->o.wire};
	struct event *awaited[2] = {NULL, NULL};

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < 2; i++) {
		if (joints[i] && joints[i]->waits)
			awaited[i] = joints[i]->awaited;
	}
	pthread_mutex_unlock(&c->lock);
	for (int i = 0; i < 2; i++) {
		if (!awaited[i])
			continue;
		stream_touch(s);
		event_wait(awaited[i], &t);
	}
}

void joint_legacy_used(struct ctx *c)
{
	const struct target t = {.ctx = c};

	pthread_mutex_lock(&lock);
	if (atomic_load(&c->legacy_use) == LEGACY_WAITS)
		event_wait(c->joint.awaited, &t);
	atomic_store(&c->legacy_use, LEGACY_USED);
	pthread_mutex_unlock(&lock);
}

static int with_ctx(CUcontext h, CUevent event, int (*what)(struct ctx *, struct green *, CUevent))
{
	struct ctx *c;
	const int r = ctx_itself(h, &c);

	if (r)
		return r;
	return atomic_load(&c->root->state) ? atomic_load(&c->root->state)
					    : what(c->root, c->green, event);
}

PUBLIC CUresult cuCtxRecordEvent(CUcontext ctx, CUevent event)
{
	return with_ctx(ctx, event, joint_record);
}

PUBLIC CUresult cuCtxWaitEvent(CUcontext ctx, CUevent event)
{
	return with_ctx(ctx, event, joint_wait);
}
