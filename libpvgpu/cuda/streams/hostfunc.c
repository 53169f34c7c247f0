/* SPDX-License-Identifier: MIT */
/*
 * Host functions: the worker calls one when its turn in its stream has come. It runs here, on the
 * session's own thread, and may not call CUDA.
 */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/core/thread.h"
#include "cuda/streams/hostfunc.h"

#include <pthread.h>
#include <stdlib.h>

#include "pvgpu_stubs.h"

struct hostfunc {
	CUhostFn fn;               /* of cuLaunchHostFunc() */
	CUstreamCallback callback; /* or of cuStreamAddCallback() */
	CUstream stream;
	void *user_data;
	struct ctx *ctx; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
	bool kept; /* of a graph: called by each launch */
};

/* The program's own memory bounds them; those that are posted, the worker's queue. */
enum { HOSTFUNCS_MAX = 1 << 24 };
#define NONE UINT32_MAX

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hostfunc *table;
static uint32_t room, used, first_free = NONE;

/* Under lock. */
static uint32_t take_entry(void)
{
	uint32_t i = first_free;

	if (i != NONE) {
		first_free = table[i].next_free;
		return i;
	}
	if (used == room) {
		const uint32_t grown_room = room ? 2 * room : 64;
		struct hostfunc *grown;

		if (grown_room > HOSTFUNCS_MAX)
			return NONE;
		grown = realloc(table, grown_room * sizeof(*table));
		if (!grown)
			return NONE;
		table = grown;
		room = grown_room;
	}
	table[used].generation = 0;
	return used++;
}

/* Under lock. */
static void free_entry(uint32_t i)
{
	table[i].ctx = NULL;
	table[i].next_free = first_free;
	first_free = i;
}

/* 0 when there is no room. */
static uint64_t add(const struct hostfunc *h)
{
	uint64_t id = 0;
	uint32_t i, generation;

	pthread_mutex_lock(&lock);
	i = take_entry();
	if (i != NONE) {
		generation = table[i].generation + 1;
		table[i] = *h;
		table[i].generation = generation;
		id = (uint64_t)generation << 32 | (i + 1);
	}
	pthread_mutex_unlock(&lock);
	return id;
}

/* Take the entry out of the table. */
static bool take(uint64_t id, struct hostfunc *out)
{
	const uint32_t i = (uint32_t)id - 1;
	bool found;

	pthread_mutex_lock(&lock);
	found = i < used && table[i].ctx && table[i].generation == id >> 32;
	if (found) {
		*out = table[i];
		if (!out->kept)
			free_entry(i);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

uint64_t hostfunc_keep(CUhostFn fn, void *user_data, struct ctx *c)
{
	const struct hostfunc h = {.fn = fn, .user_data = user_data, .ctx = c, .kept = true};

	return add(&h);
}

/* Under lock: the entry of a kept one; NULL: it is gone. */
static struct hostfunc *kept_of(uint64_t id)
{
	const uint32_t i = (uint32_t)id - 1;

	return i < used && table[i].ctx && table[i].generation == id >> 32 && table[i].kept
		       ? &table[i]
		       : NULL;
}

void hostfunc_drop(uint64_t id)
{
	pthread_mutex_lock(&lock);
	if (kept_of(id))
		free_entry((uint32_t)id - 1);
	pthread_mutex_unlock(&lock);
}

bool hostfunc_kept(uint64_t id, CUDA_HOST_NODE_PARAMS *out)
{
	const struct hostfunc *h;

	pthread_mutex_lock(&lock);
	h = kept_of(id);
	if (h)
		*out = (CUDA_HOST_NODE_PARAMS){h->fn, h->user_data};
	pthread_mutex_unlock(&lock);
	return h;
}

void hostfunc_run(void *arg, uint64_t id, uint32_t status)
{
	struct hostfunc h;

	if (!take(id, &h))
		return;
	self.in_callback = true;
	if (h.fn)
		h.fn(h.user_data);
	else
		h.callback(h.stream, (CUresult)status, h.user_data);
	self.in_callback = false;
}

void hostfunc_forget_ctx(struct ctx *c)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < used; i++)
		if (table[i].ctx == c)
			free_entry(i);
	pthread_mutex_unlock(&lock);
}

static int post(struct hostfunc *h, bool per_thread, bool always)
{
	struct target t;
	uint64_t id;
	int r = stream_enter(h->stream, per_thread, &t);

	if (r)
		return r;
	if (!h->fn && !h->callback)
		return CUDA_ERROR_INVALID_VALUE;
	h->ctx = t.ctx;
	if (t.captured && h->callback)
		return capture_refuse(&t);
	h->kept = t.captured;
	id = add(h);
	if (!id)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (t.captured) {
		r = pvgpu_do_capture_host(session(), t.ctx->o.wire, t.stream, id);
		if (r || !capture_host(&t, id))
			hostfunc_drop(id);
		return r;
	}
	r = pvgpu_do_host_func(session(), t.ctx->o.wire, t.stream, id, always);
	if (r)
		take(id, h);
	return r;
}

static int launch(CUstream stream, CUhostFn fn, void *user_data, bool per_thread)
{
	struct hostfunc h = {.fn = fn, .stream = stream, .user_data = user_data};

	return post(&h, per_thread, false);
}

static int add_callback(CUstream stream, CUstreamCallback fn, void *user_data, unsigned int flags,
			bool per_thread)
{
	struct hostfunc h = {.callback = fn, .stream = stream, .user_data = user_data};

	return flags ? CUDA_ERROR_INVALID_VALUE : post(&h, per_thread, true);
}

CU_PTSZ(cuLaunchHostFunc, (CUstream stream, CUhostFn fn, void *user_data),
	launch(stream, fn, user_data, per_thread))
CU_PTSZ(cuStreamAddCallback,
	(CUstream stream, CUstreamCallback fn, void *user_data, unsigned int flags),
	add_callback(stream, fn, user_data, flags, per_thread))
