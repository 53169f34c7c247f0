/* SPDX-License-Identifier: MIT */
/*
 * Events that processes share. The worker has their state, in memory that the processes' workers
 * share: a record asks for its number before it is sent, so that a process which hears of it finds
 * it pending. Waits are polled here, for the worker hears nothing of other processes' work.
 */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/target.h"
#include "cuda/streams/event.h"

#include <pthread.h>
#include <time.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

enum { LOOK_FIRST_NS = 20000, LOOK_MOST_NS = 1000000 };

/* Records are sent in the order of their numbers. */
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;

int shared_event_new(struct event *e, struct ctx *c, const void *token)
{
	struct shared_event *s = object_new(PVGPU_H_SHARED_EVENT);
	int r;

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = token ? pvgpu_do_shared_event_open(session(), c->o.wire, token, PVGPU_SHARE_TOKEN,
					       s->o.wire)
		  : pvgpu_do_shared_event_create(session(), c->o.wire, s->o.wire);
	if (r) {
		object_free(&s->o);
		return r;
	}
	object_publish(&s->o);
	e->shared = s;
	return 0;
}

void shared_event_free(struct event *e)
{
	object_retire(&e->shared->o);
	pvgpu_do_shared_event_destroy(session(), e->shared->o.wire);
	object_free(&e->shared->o);
}

int shared_event_record(struct event *e, const struct target *t)
{
	const uint64_t wire = e->shared->o.wire;
	uint32_t number;
	int r;

	pthread_mutex_lock(&record_lock);
	r = pvgpu_do_shared_event_mark(session(), wire, &number);
	if (!r)
		r = pvgpu_do_shared_event_record(session(), t->ctx->o.wire, t->stream, wire,
						 number);
	pthread_mutex_unlock(&record_lock);
	return r;
}

static bool is_done(uint32_t recorded, uint32_t done)
{
	return (int32_t)(done - recorded) >= 0;
}

int shared_event_wait(struct event *e, const struct target *t)
{
	const uint64_t wire = e->shared->o.wire;
	uint32_t recorded, done;
	const int r = pvgpu_do_shared_event_look(session(), wire, &recorded, &done);

	if (r || is_done(recorded, done))
		return r;
	return pvgpu_do_shared_event_wait(session(), t->ctx->o.wire, t->stream, wire, recorded);
}

int shared_event_query(struct event *e)
{
	uint32_t recorded, done;
	const int r = pvgpu_do_shared_event_look(session(), e->shared->o.wire, &recorded, &done);

	return r || is_done(recorded, done) ? r : CUDA_ERROR_NOT_READY;
}

int shared_event_synchronize(struct event *e)
{
	struct timespec pause = {.tv_nsec = LOOK_FIRST_NS};
	uint32_t wanted, recorded, done;
	int r = pvgpu_do_shared_event_look(session(), e->shared->o.wire, &wanted, &done);

	while (!r && !is_done(wanted, done)) {
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < LOOK_MOST_NS)
			pause.tv_nsec *= 2;
		r = pvgpu_do_shared_event_look(session(), e->shared->o.wire, &recorded, &done);
	}
	return r;
}
