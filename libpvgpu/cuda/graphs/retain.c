/* SPDX-License-Identifier: MIT */
/*
 * What instances hold, until the last launch has ended. What an instance gives up while it may
 * still run, is released afterwards: a thread of this library looks whether the event behind the
 * launch has come, since the program may wait for a user object's end without another call.
 */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/event.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "pvgpu_stubs.h"

enum { LOOK_FIRST_NS = 500 * 1000, LOOK_LAST_NS = 20 * 1000 * 1000 };

/* An event behind an instance's last launch. */
struct flight {
	uint32_t references; /* under lock */
	CUevent ended;
	uint64_t key; /* of the launch's stream */
};

struct leaving {
	struct leaving *next;
	struct held *held;
	struct flight *flight;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static struct leaving *leaving; /* under lock, as all that follows */
static bool watched;

static struct event *event_of(const struct flight *f)
{
	return object_find(PVGPU_H_EVENT, f->ended);
}

/* A context that was destroyed has taken the event along, and its work has ended. */
static bool has_ended(const struct flight *f)
{
	const struct event *e = event_of(f);

	return !e || pvgpu_do_event_query(session(), e->o.wire) != CUDA_ERROR_NOT_READY;
}

static void flight_put(struct flight *f)
{
	struct event *e;
	bool last;

	if (!f)
		return;
	pthread_mutex_lock(&lock);
	last = !--f->references;
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	e = event_of(f);
	if (e && object_retire(&e->o))
		event_destroy(e);
	free(f);
}

static int flight_new(struct ctx *c, struct flight **out)
{
	struct flight *f = calloc(1, sizeof(*f));
	struct event *e;
	int r;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = event_new(c, CU_EVENT_DISABLE_TIMING, NULL, &e);
	if (r) {
		free(f);
		return r;
	}
	f->references = 1;
	f->ended = object_handle(&e->o);
	*out = f;
	return 0;
}

/* Something is left. */
static bool sweep(void)
{
	struct leaving *list, *l;
	bool left = false;

	pthread_mutex_lock(&lock);
	list = leaving;
	leaving = NULL;
	pthread_mutex_unlock(&lock);
	while ((l = list)) {
		list = l->next;
		if (has_ended(l->flight)) {
			flight_put(l->flight);
			held_release(l->held);
			free(l);
			continue;
		}
		left = true;
		pthread_mutex_lock(&lock);
		l->next = leaving;
		leaving = l;
		pthread_mutex_unlock(&lock);
	}
	return left;
}

static void *watch(void *arg)
{
	struct timespec nap = {.tv_nsec = LOOK_FIRST_NS};

	for (;;) {
		pthread_mutex_lock(&lock);
		while (!leaving)
			pthread_cond_wait(&some, &lock);
		pthread_mutex_unlock(&lock);
		if (!sweep())
			nap.tv_nsec = LOOK_FIRST_NS;
		else if (nap.tv_nsec < LOOK_LAST_NS)
			nap.tv_nsec *= 2;
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* Under lock. */
static void watch_start(void)
{
	sigset_t all, old;
	pthread_t thread;

	if (!watched) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		watched = !pthread_create(&thread, NULL, watch, NULL);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (watched)
			pthread_detach(thread);
	}
	pthread_cond_signal(&some);
}

int exec_launches(struct graph_exec *x, const struct target *t)
{
	struct flight *f = x->flight, *old = NULL;
	bool shared;
	int r = 0;

	if (!x->users)
		return 0;
	if (f) {
		/* Launches of an instance are in order, whatever their streams, and so the last
		 * one's event is behind all of them. */
		if (f->key != target_key(t) && event_of(f))
			r = event_wait(event_of(f), t);
		pthread_mutex_lock(&lock);
		shared = f->references > 1;
		pthread_mutex_unlock(&lock);
		if (shared)
			old = f;
	}
	if (!r && (!f || old))
		r = flight_new(x->o.ctx, &x->flight);
	if (!r)
		flight_put(old);
	return r;
}

int exec_launched(struct graph_exec *x, const struct target *t)
{
	struct event *e = x->users ? event_of(x->flight) : NULL;

	if (!e)
		return 0;
	x->flight->key = target_key(t);
	return event_record(e, t, false);
}

void exec_hold(struct graph_exec *x, struct held *list)
{
	x->held = list;
	x->users = held_has_users(list);
}

void exec_let_go(struct graph_exec *x, struct held *list)
{
	struct leaving *l;

	held_release(held_take_memory(&list));
	if (!list || !x->flight || has_ended(x->flight)) {
		held_release(list);
		return;
	}
	l = malloc(sizeof(*l));
	if (!l)
		return; /* they stay for good, rather than end under the launch */
	*l = (struct leaving){.held = list, .flight = x->flight};
	pthread_mutex_lock(&lock);
	l->flight->references++;
	l->next = leaving;
	leaving = l;
	watch_start();
	pthread_mutex_unlock(&lock);
}

void exec_forget_flight(struct graph_exec *x)
{
	flight_put(x->flight);
	x->flight = NULL;
}
