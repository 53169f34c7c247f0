/* SPDX-License-Identifier: MIT */
/*
 * Instances hold objects until their last launch has ended. The program may wait for the end of a
 * user object without another call, so a thread of this library looks whether the event behind the
 * launch has come. Nobody waits for the end of a host function: those go when a later call finds
 * that their launches have ended, and need no event.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/done.h"
#include "cuda/streams/event.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "pvgpu_stubs.h"

enum { LOOK_FIRST_NS = 500 * 1000, LOOK_LAST_NS = 20 * 1000 * 1000, FUNCTIONS_FEW = 64 };

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

/* Host functions. Each place is asked about when there are twice as many as were left before. */
struct function {
	struct function *next;
	struct held *held;
	uint64_t place;
	const struct ctx *ctx;
};
static struct function *functions;
static uint32_t function_count, functions_most = FUNCTIONS_FEW;

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

static bool place_ended(uint64_t place, const struct ctx *c)
{
	return !place || done_known(place) || done_waited(place, c);
}

/* Under lock: those that have ended, and those of a context that is gone. */
static struct held *functions_ended(const struct ctx *gone)
{
	struct function **at = &functions, *f;
	struct held *ended = NULL;

	while ((f = *at)) {
		if (f->ctx != gone && !place_ended(f->place, f->ctx)) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		held_join(&f->held, ended);
		ended = f->held;
		free(f);
		function_count--;
	}
	functions_most = 2 * function_count > FUNCTIONS_FEW ? 2 * function_count : FUNCTIONS_FEW;
	return ended;
}

void functions_forget_ctx(const struct ctx *c)
{
	struct held *ended;

	pthread_mutex_lock(&lock);
	ended = functions_ended(c);
	pthread_mutex_unlock(&lock);
	held_release(ended);
}

static void functions_let_go(const struct graph_exec *x, struct held *list)
{
	struct held *ended = NULL;
	struct function *f;

	if (!list || place_ended(x->place, x->o.ctx)) {
		held_release(list);
		return;
	}
	f = malloc(sizeof(*f));
	if (!f)
		return; /* they stay for good, rather than end under the launch */
	*f = (struct function){.held = list, .place = x->place, .ctx = x->o.ctx};
	pthread_mutex_lock(&lock);
	f->next = functions;
	functions = f;
	if (++function_count > functions_most)
		ended = functions_ended(NULL);
	pthread_mutex_unlock(&lock);
	held_release(ended);
}

void exec_hold(struct graph_exec *x, struct held *list)
{
	x->held = list;
	x->users = held_has(list, HELD_USER);
}

void exec_let_go(struct graph_exec *x, struct held *list)
{
	struct leaving *l;

	held_release(held_take_kind(&list, HELD_MEMORY));
	functions_let_go(x, held_take_kind(&list, HELD_HOST));
	if (!list || !x->flight || has_ended(x->flight)) {
		held_release(list);
		return;
	}
	l = malloc(sizeof(*l));
	if (!l)
		return; /* as above */
	*l = (struct leaving){.held = list, .flight = x->flight};
	pthread_mutex_lock(&lock);
	l->flight->references++;
	l->next = leaving;
	leaving = l;
	watch_start();
	pthread_mutex_unlock(&lock);
}

void exec_hold_node(struct graph_exec *x, const struct graph *g, uint32_t node, struct held *list)
{
	struct held *all = x->held, *const old = held_take(&all, g, node);

	held_join(&all, list);
	exec_hold(x, all);
	exec_let_go(x, old);
}

void exec_forget_flight(struct graph_exec *x)
{
	flight_put(x->flight);
	x->flight = NULL;
}
