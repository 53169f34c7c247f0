/* SPDX-License-Identifier: MIT */
/*
 * Contexts. They are made and destroyed in the side lane; a context goes only when all work in it
 * and every wait for that work is done.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/arena_map.h"
#include "xen-pvgpu-back/worker/gpu/array.h"
#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/green.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/output.h"
#include "pvgpu_decode.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define FLAGS_PASSED  (CU_CTX_MAP_HOST | CU_CTX_LMEM_RESIZE_TO_MAX)
#define FLAGS_ALLOWED (CU_CTX_SCHED_MASK | FLAGS_PASSED)

static atomic_ullong serials;
static _Thread_local uint64_t current_serial;
static _Thread_local bool relaxed;

int ctx_enter(struct ctx *c)
{
	const struct far *far = c->o.gpu->far;
	int r;

	if (atomic_load_explicit(&c->gone, memory_order_acquire))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (current_serial == c->serial)
		return 0;
	r = (int)far->cuCtxSetCurrent(c->far);
	if (r)
		return r;
	current_serial = c->serial;
	if (!relaxed) {
		CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

		/* The guest's library enforces the application's capture mode. */
		far->cuThreadExchangeStreamCaptureMode(&mode);
		relaxed = true;
	}
	return 0;
}

struct ctx *ctx_any(struct gpu *g)
{
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct ctx *c = (struct ctx *)o;

		if (o->type == PVGPU_H_CTX && !obj_error(o) && !atomic_load(&c->gone))
			return c;
	}
	return NULL;
}

static void ctx_leave(struct gpu *g)
{
	g->far->cuCtxSetCurrent(NULL);
	current_serial = 0;
}

bool result_is_sticky(int r)
{
	switch (r) {
	case CUDA_ERROR_ECC_UNCORRECTABLE:
	case CUDA_ERROR_NVLINK_UNCORRECTABLE:
	case CUDA_ERROR_CONTAINED:
	case CUDA_ERROR_ILLEGAL_ADDRESS:
	case CUDA_ERROR_LAUNCH_TIMEOUT:
	case CUDA_ERROR_ASSERT:
	case CUDA_ERROR_HARDWARE_STACK_ERROR:
	case CUDA_ERROR_ILLEGAL_INSTRUCTION:
	case CUDA_ERROR_MISALIGNED_ADDRESS:
	case CUDA_ERROR_INVALID_ADDRESS_SPACE:
	case CUDA_ERROR_INVALID_PC:
	case CUDA_ERROR_LAUNCH_FAILED:
	case CUDA_ERROR_EXTERNAL_DEVICE:
		return true;
	default:
		return false;
	}
}

/* No kernel does that, whatever it does. */
static bool is_hardware(int r)
{
	return r == CUDA_ERROR_ECC_UNCORRECTABLE || r == CUDA_ERROR_NVLINK_UNCORRECTABLE ||
	       r == CUDA_ERROR_CONTAINED || r == CUDA_ERROR_DEVICE_UNAVAILABLE;
}

int ctx_result(struct ctx *c, int r)
{
	const bool sticky = result_is_sticky(r);
	int none = 0;

	if (sticky) {
		atomic_store(&c->sticky, r);
		worker_faulted(c->o.gpu->w);
	}
	if (sticky || is_hardware(r))
		atomic_compare_exchange_strong(&c->o.gpu->fault, &none, r);
	return r;
}

int gpu_fault(const struct gpu *g, bool *hardware)
{
	int r = g ? atomic_load(&g->fault) : 0;

	*hardware = is_hardware(r);
	return r;
}

struct stream *stream_of(void *ctx, void *stream, int *err)
{
	struct stream *s = stream_find(ctx, stream, err);

	if (s && s->capture)
		*err = capture_takes(s, 1);
	return *err ? NULL : s;
}

struct stream *stream_find(void *ctx, void *stream, int *err)
{
	struct ctx *c = ctx;
	struct stream *s = stream ? stream : c->legacy;

	*err = obj_error(c);
	if (!*err)
		*err = obj_error(s);
	if (!*err && s->o.ctx != c && s->o.ctx->far != c->far)
		*err = CUDA_ERROR_INVALID_HANDLE;
	if (!*err)
		*err = ctx_enter(c);
	return *err ? NULL : s;
}

/* Making one. */
struct ctx_job {
	struct job job;
	struct ctx *c, *next; /* next: where the arena's registrations go */
	uint32_t seq, flags;
	bool reply;
	bool evict; /* the last one takes its traces along */
	struct obj_list dead;
	struct area *areas;
};

static int make_far(struct gpu *g, struct ctx *c, uint32_t flags)
{
	const struct far *far = g->far;
	const unsigned int f = (flags & FLAGS_PASSED) | CU_CTX_SCHED_BLOCKING_SYNC;
	int r;

	if (c->primary) {
		/* One that is active may keep the flags of the first time. CU_CTX_MAP_HOST, which
		 * it has without, makes the driver refuse them all. */
		far->cuDevicePrimaryCtxSetFlags_v2(far->dev, f & ~(unsigned int)CU_CTX_MAP_HOST);
		r = (int)far->cuDevicePrimaryCtxRetain(&c->far, far->dev);
		atomic_fetch_add(&g->primaries, !r);
		return r;
	}
	r = (int)far->cuCtxCreate_v2(&c->far, f, far->dev);
	if (!r) {
		CUcontext popped;

		/* Making it current is ctx_enter's alone, or its note would be wrong. */
		far->cuCtxPopCurrent_v2(&popped);
	}
	return r;
}

static void give_back(struct gpu *g, struct ctx *c)
{
	lease_put(g->w, c->charge);
	c->charge = 0;
}

static void unmake_far(struct gpu *g, struct ctx *c)
{
	if (!c->far)
		return;
	limits_end(g, c);
	ctx_leave(g);
	atomic_store_explicit(&c->gone, true, memory_order_release);
	if (c->primary) {
		g->far->cuDevicePrimaryCtxRelease_v2(g->far->dev);
		atomic_fetch_sub(&g->primaries, 1);
	} else {
		g->far->cuCtxDestroy_v2(c->far);
	}
	give_back(g, c);
}

/* Memory of a context at the far end is charged to the vGPU. */
static int make_charged(struct gpu *g, struct ctx *c, uint32_t flags)
{
	const uint64_t charge = lease_of_context(g->w);
	int r;

	if (!lease_get(g->w, charge))
		return CUDA_ERROR_OUT_OF_MEMORY;
	c->charge = charge;
	r = make_far(g, c, flags);
	if (r)
		give_back(g, c);
	return r;
}

static int make_legacy(struct gpu *g, struct ctx *c)
{
	struct stream *s = obj_bare(g, PVGPU_H_STREAM, sizeof(*s), c);

	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	stream_init(s);
	s->slot = pvgpu_ended_slot(true, PVGPU_HANDLE_INDEX(c->o.handle));
	c->legacy = s;
	obj_ready(s, 0);
	return 0;
}

static void run_make(struct gpu *g, struct job *job)
{
	struct ctx_job *j = (struct ctx_job *)job;
	struct pvgpu_out_ctx_create out = {0};
	struct ctx *c = j->c;
	const bool primary = c->primary;
	int least = 0, greatest = 0, r = make_charged(g, c, j->flags);

	if (!r)
		r = ctx_enter(c);
	if (!r)
		r = (int)g->far->cuCtxGetApiVersion(c->far, &out.api_version);
	if (!r)
		r = (int)g->far->cuCtxGetStreamPriorityRange(&least, &greatest);
	if (!r)
		r = evict_make(g);
	if (!r)
		r = make_legacy(g, c);
	if (r)
		unmake_far(g, c);
	else
		arena_map_register(g, c);
	out.priority_least = least;
	out.priority_greatest = greatest;
	obj_ready(c, r);
	if (primary) {
		const struct pvgpu_out_ctx_primary_retain same = {
			.api_version = out.api_version,
			.priority_least = least,
			.priority_greatest = greatest,
		};

		worker_reply_ctx_primary_retain(g->w, j->seq, r, &same);
	} else {
		worker_reply_ctx_create(g->w, j->seq, r, &out);
	}
	obj_unref(c);
	free(j);
}

static int make(struct worker *w, uint32_t seq, uint32_t device, uint32_t flags, uint64_t handle,
		bool primary)
{
	struct gpu *g = worker_gpu(w);
	struct ctx_job *j;
	struct ctx *c;
	int err;

	if (device)
		return CUDA_ERROR_INVALID_DEVICE;
	if (flags & ~FLAGS_ALLOWED)
		return CUDA_ERROR_INVALID_VALUE;
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	c = obj_new(g, PVGPU_H_CTX, handle, sizeof(*c), NULL, NULL, &err);
	if (!c) {
		free(j);
		return err;
	}
	c->serial = atomic_fetch_add(&serials, 1) + 1;
	c->primary = primary;
	c->sched = flags & CU_CTX_SCHED_MASK;
	TAILQ_INIT(&c->streams);
	j->c = obj_ref(c);
	j->seq = seq;
	j->flags = flags;
	j->job.run = run_make;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

int handle_ctx_primary_retain(struct worker *w, const struct pvgpu_in_ctx_primary_retain *in,
			      struct pvgpu_out_ctx_primary_retain *out)
{
	return make(w, in->hdr->seq, in->device, in->flags, in->ctx_h, true);
}

int handle_ctx_create(struct worker *w, const struct pvgpu_in_ctx_create *in,
		      struct pvgpu_out_ctx_create *out)
{
	return make(w, in->hdr->seq, in->device, in->flags, in->ctx_h, false);
}

/* Destroying one. */
static void destroy_streams(struct gpu *g, struct ctx *c)
{
	struct stream *s;

	while ((s = TAILQ_FIRST(&c->streams))) {
		TAILQ_REMOVE(&c->streams, s, in_ctx);
		stream_retire(g, s);
	}
	if (c->legacy) {
		stream_retire(g, c->legacy);
		c->legacy = NULL;
	}
}

/* Modules before the objects that refer to them; the rest goes with its last reference. */
static void destroy_objects(struct gpu *g, struct obj_list *dead)
{
	struct obj *o;

	while ((o = obj_take_dead(dead))) {
		if (o->type == PVGPU_H_MODULE)
			module_retire(g, (struct module *)o);
		if (o->type == PVGPU_H_LINK)
			link_retire(g, (struct link *)o);
		if (o->type == PVGPU_H_TEXTURE)
			texture_retire(g, (struct texture *)o);
		if (o->type == PVGPU_H_ARRAY)
			array_retire(g, (struct array *)o);
		if (o->type == PVGPU_H_MIPMAP)
			mipmap_retire(g, (struct mipmap *)o);
		if (o->type == PVGPU_H_EVENT)
			event_retire((struct event *)o);
		if (o->type == PVGPU_H_GRAPH_EXEC)
			graph_retire(g, o);
		if (o->type == PVGPU_H_GREEN)
			green_retire(o);
		if (call_gives(o->type))
			call_retire(g, (struct lib_object *)o);
		obj_unref(o);
	}
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct ctx_job *j = (struct ctx_job *)job;
	struct ctx *c = j->c;
	struct stream *s;

	ctx_waits_drain(g, c);
	if (j->evict)
		evict_now(g, c);
	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		gate_gone(g, s);
	}
	if (c->legacy)
		gate_gone(g, c->legacy);
	mem_release(g, j->areas);
	/* An allocation that waited in this lane may have come through since. */
	mem_release(g, mem_detach(g, c));
	if (!j->next)
		mem_trim(g);
	if (!obj_error(c) && !ctx_enter(c)) {
		staging_free(g, c);
		arena_map_unregister(g, c);
		destroy_streams(g, c);
	}
	destroy_objects(g, &j->dead);
	pool_empty(g, c);
	for (unsigned int i = 0; i < 3; i++)
		lease_put(g->w, c->limit[i].charge);
	output_sync(g);
	unmake_far(g, c);
	image_unuse(g, c);
	if (j->next) {
		if (!ctx_enter(j->next))
			arena_map_register(g, j->next);
		obj_unref(j->next);
	}
	if (j->reply)
		worker_reply_ctx_destroy(g->w, j->seq, 0, NULL);
	obj_unref(c);
	free(j);
}

/* Another context that can hold the arena's registrations. */
static struct ctx *successor(struct gpu *g)
{
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		if (o->type == PVGPU_H_CTX && !obj_error(o))
			return obj_ref(o);
	}
	return NULL;
}

/* Modules and functions of libraries in this context go with it. */
static void remove_library_parts(struct gpu *g, struct ctx *c, struct obj_list *dead)
{
	struct obj *lib, *o, *next;

	TAILQ_FOREACH(lib, &g->root.owned, of_owner)
	{
		if (lib->type != PVGPU_H_LIBRARY)
			continue;
		for (o = TAILQ_FIRST(&lib->owned); o; o = next) {
			next = TAILQ_NEXT(o, of_owner);
			if (o->ctx == c)
				obj_remove_tree(g, o, dead);
		}
	}
}

int ctx_drop(struct gpu *g, struct ctx *c, uint32_t seq, bool reply)
{
	struct ctx_job *j = calloc(1, sizeof(*j));
	struct stream *s;

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TAILQ_INIT(&j->dead);
	obj_ref(c);
	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		capture_abandon(s);
	}
	remove_library_parts(g, c, &j->dead);
	obj_remove_tree(g, &c->o, &j->dead);
	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		stream_forget(g, s);
	}
	if (c->legacy)
		stream_forget(g, c->legacy);
	estimates_leave(g, c);
	j->areas = mem_detach(g, c);
	atomic_store(&c->leaving, true);
	globals_remove(g, c);
	j->next = successor(g);
	j->evict = evict_leave(g, c, j->next);
	j->c = c;
	j->seq = seq;
	j->reply = reply;
	j->job.run = run_destroy;
	j->job.where = SIDE_BEHIND;
	/* Frees that are under way wait for all contexts: they must come first. */
	if (atomic_load(&g->mem.pending))
		side_after_all(g, c, &j->job);
	else
		side_after_work(g, c, &j->job);
	return PVGPU_PENDING;
}

int handle_ctx_destroy(struct worker *w, const struct pvgpu_in_ctx_destroy *in,
		       struct pvgpu_out_ctx_destroy *out)
{
	const int err = obj_error(in->ctx);

	return err ? err : ctx_drop(worker_gpu(w), in->ctx, in->hdr->seq, true);
}

static void run_reset(struct gpu *g, struct job *job)
{
	struct ctx_job *j = (struct ctx_job *)job;
	int r = 0;

	/* One that was being made when the reset came is newer than it, and in use by now. */
	if (!atomic_load(&g->primaries)) {
		ctx_leave(g);
		r = (int)g->far->cuDevicePrimaryCtxReset_v2(g->far->dev);
	}
	worker_reply_ctx_primary_reset(g->w, j->seq, r, NULL);
	free(j);
}

int handle_ctx_primary_reset(struct worker *w, const struct pvgpu_in_ctx_primary_reset *in,
			     struct pvgpu_out_ctx_primary_reset *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx_job *j;
	struct obj *o, *next;

	if (in->device)
		return CUDA_ERROR_INVALID_DEVICE;
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (o = TAILQ_FIRST(&g->root.owned); o; o = next) {
		next = TAILQ_NEXT(o, of_owner);
		if (o->type == PVGPU_H_CTX && ((struct ctx *)o)->primary && !obj_error(o))
			ctx_drop(g, (struct ctx *)o, 0, false);
	}
	j->seq = in->hdr->seq;
	j->job.run = run_reset;
	j->job.where = SIDE_BEHIND; /* as the contexts that go with it */
	side_after_work(g, NULL, &j->job);
	return PVGPU_PENDING;
}
