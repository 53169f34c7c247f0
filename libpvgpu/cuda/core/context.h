/* SPDX-License-Identifier: MIT */
/*
 * Contexts, and how calls enter one: context.c, current.c, settings.c. Functions that
 * return int return a CUresult, as in all of libcuda's headers.
 *
 * Lock order: device.lock, then library_lock, then joint.c's or done.c's, then ctx.lock, then
 * module.lock, then the handle tables, then everything in memory_map.c, staging.c and hostfunc.c
 * (leaves).
 */
#ifndef PVGPU_CUDA_CORE_CONTEXT_H
#define PVGPU_CUDA_CORE_CONTEXT_H

#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "link/session.h"

struct event;
struct green;
struct stream;

/* Its legacy default stream: unused; the same, and its first use waits for the joint; used. */
enum legacy_use { LEGACY_UNUSED, LEGACY_WAITS, LEGACY_USED };

enum { CTX_LIMITS = 8 };

/* Settings that the worker has set or reported: it is asked for them once. */
struct ctx_settings {
	struct {
		bool known, set;       /* value; asked */
		uint64_t value, asked; /* as it is; as it was set last */
	} limit[CTX_LIMITS];
	struct {
		bool known, set;
		CUfunc_cache value, asked;
	} cache;
};

enum { STREAM_ATTRS = 5 };
/* Launch attributes of a stream, see memory/stream_attr.c. Under its context's lock. */
struct stream_attrs {
	uint32_t given; /* bits: those that were set */
	_Alignas(8) char value[STREAM_ATTRS][64];
};

/* Where events of all streams of a context, or of a green one, come together: streams/joint.c.
 * Under joint.c's lock; what streams that are made later wait for under the context's. */
struct joint {
	struct stream *stream;
	struct event *mark, *awaited;
	bool waits;
};

/* The last event that stands for what a stream's next work would wait for, see done_behind(). Under
 * done.c's lock. */
struct behind {
	struct event *mark;
	uint64_t stream, place, number; /* target_key(), done_place(), and the command's */
};

struct ctx {
	struct object o;
	struct ctx *root; /* itself; of a green context's: the primary one, whose its objects are */
	struct green *green; /* of a green context's, which has little more than what is above */
	struct joint joint;
	_Atomic int legacy_use; /* enum legacy_use */
	atomic_bool blocking;   /* it has or had streams that the legacy one waits for */
	struct behind behind;
	_Atomic int state; /* 0: usable; else the result of every call in it */
	int device;
	bool primary;
	_Atomic unsigned int flags;
	unsigned int attached; /* uses counted by cuCtxAttach() */
	uint64_t id;
	unsigned int api_version;
	int priority_least, priority_greatest;
	_Atomic uint64_t waited; /* number of the last call that waited for all its work */
	pthread_mutex_t lock;
	struct object *objects;       /* those that live in it; under lock */
	struct ctx_settings settings; /* under lock */
	struct stream_attrs legacy_attrs;
};

static inline bool ctx_ref_live(const struct ctx_ref *r)
{
	return atomic_load_explicit(&r->ctx->o.generation, memory_order_relaxed) == r->generation;
}

static inline CUcontext ctx_handle(const struct ctx *c)
{
	return object_handle(&c->o);
}

/* The context of the handle, which may be a green context's stand-in. */
static inline struct ctx *ctx_object(CUcontext h)
{
	return object_find(PVGPU_H_CTX, h);
}

/* The context that it stands for. */
static inline struct ctx *ctx_find(CUcontext h)
{
	struct ctx *c = ctx_object(h);

	return c ? c->root : NULL;
}

/* May this thread call CUDA? 0, or the call's result. */
static inline int guest_enter(void)
{
	struct pvgpu_session *s = atomic_load_explicit(&guest.session, memory_order_acquire);

	if (unlikely(!s))
		return guest_absent();
	if (unlikely(self.in_callback))
		return CUDA_ERROR_NOT_PERMITTED;
	return pvgpu_session_status(s);
}

/* guest_enter(), and the thread's current context, usable. */
static inline int ctx_enter(struct ctx **out)
{
	const int r = guest_enter();
	struct ctx *c = self.current.ctx;

	if (unlikely(r))
		return r;
	if (unlikely(!c))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (unlikely(!ctx_ref_live(&self.current)))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = c = c->root;
	return atomic_load_explicit(&c->state, memory_order_relaxed);
}

/* For a call that finds its context by an address: one that is current must be usable, but none
 * need be. */
static inline int ctx_enter_any(void)
{
	struct ctx *c;

	return self.current.ctx ? ctx_enter(&c) : guest_enter();
}

/* Wait for all work of all contexts. */
void ctx_synchronize_all(void);
/* How calls wait for the context's work, by the flags that it was made with or given since. */
enum pvgpu_patience ctx_patience(const struct ctx *c);
/* The worker has made it anew. */
void ctx_settings_forget(struct ctx *c);
/* Keep a sticky result for the context; returns r. */
int ctx_result(struct ctx *c, int r);
/* A context was destroyed or reset: forget everything in it. */
void ctx_forget_objects(struct ctx *c);

bool ctx_flags_valid(unsigned int flags);
unsigned int ctx_flags_wire(unsigned int flags);

/* current.c */

/* The current context, for queries that the guest answers itself: also after a fault. */
int ctx_current(struct ctx **out);
/* ctx, or the current context when it is NULL; ctx_itself: a green context's own, not what it
 * stands for. */
int ctx_itself(CUcontext ctx, struct ctx **out);
int ctx_given(CUcontext ctx, struct ctx **out);
/* The same; what is no handle of a context, of none that ever was, counts as NULL. */
int ctx_given_or_current(CUcontext ctx, struct ctx **out);
/* Push it on the thread's stack of contexts: it becomes current. */
int ctx_push(struct ctx *c);
/* It was destroyed: pop it from the top of this thread's stack. */
void ctx_drop_current(const struct ctx *c);

#endif
