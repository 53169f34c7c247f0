/* SPDX-License-Identifier: MIT */
/*
 * Green contexts and the resources that they are made of. A resource says in its padding how it is
 * had: of the device or of a green context, and which group of which split of that. A context
 * stands in for a green one where a CUcontext is asked for: its objects are the primary one's, and
 * it decides where streams are made, and what the default streams are.
 */
#include "cuda/streams/green.h"
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"
#include "cuda/streams/event.h"
#include "cuda/streams/joint.h"
#include "cuda/streams/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

#define RESOURCE_MAGIC 0x70766772u
#define SPLIT_FLAGS                                                                                \
	(CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING |                                         \
	 CU_DEV_SM_RESOURCE_SPLIT_MAX_POTENTIAL_CLUSTER_SIZE)

/* A resource's padding. */
struct inside {
	uint32_t magic;
	int32_t device;
	uint64_t origin; /* a CUgreenCtx; 0: the device */
	uint32_t is_part, flags, groups, minimum, part;
};

struct CUdevResourceDesc_st {
	struct CUdevResourceDesc_st *next;
	struct inside of; /* the part that it has first */
	uint32_t parts, part[PVGPU_SM_GROUPS_MAX + 1];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUdevResourceDesc_st *descs; /* no call takes one back */

static int find(CUgreenCtx h, struct green **g)
{
	const int r = guest_enter();

	if (r)
		return r;
	*g = object_find(PVGPU_H_GREEN, h);
	if (*g)
		return atomic_load(&(*g)->o.ctx->state);
	return h ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_ERROR_INVALID_CONTEXT;
}

/* The worker's handle of what a resource is of. */
static int origin_of(const struct inside *in, uint64_t *wire)
{
	struct green *g;

	*wire = 0;
	if (!in->origin)
		return 0;
	if (find((CUgreenCtx)(uintptr_t)in->origin, &g))
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	*wire = g->o.wire;
	return 0;
}

static void resource_set(CUdevResource *out, const struct inside *in, const CUdevSmResource *sm)
{
	memset(out, 0, sizeof(*out));
	if (!sm->smCount)
		return; /* CU_DEV_RESOURCE_TYPE_INVALID */
	out->type = CU_DEV_RESOURCE_TYPE_SM;
	memcpy(out->_internal_padding, in, sizeof(*in));
	out->sm = *sm;
}

static int resource_get(const CUdevResource *from, struct inside *in)
{
	if (from->type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	memcpy(in, from->_internal_padding, sizeof(*in));
	return in->magic == RESOURCE_MAGIC && device_at(in->device)
		       ? 0
		       : CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
}

/* All of a device, or of a green context. */
static int whole(int device, const struct green *green, CUdevResource *out, CUdevResourceType type)
{
	const struct inside in = {
		.magic = RESOURCE_MAGIC,
		.device = device,
		.origin = green ? (uintptr_t)object_handle(&green->o) : 0,
	};
	uint32_t made, each, rest;
	CUdevSmResource sm;
	int r;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	r = pvgpu_do_sm_split(session(), device_at(device)->wire, green ? green->o.wire : 0, 0, 0,
			      0, 0, &sm.smCount, &sm.minSmPartitionSize, &sm.smCoscheduledAlignment,
			      &made, &each, &rest);
	if (!r)
		resource_set(out, &in, &sm);
	return r;
}

PUBLIC CUresult cuDeviceGetDevResource(CUdevice dev, CUdevResource *resource,
				       CUdevResourceType type)
{
	const int r = guest_enter();

	if (r)
		return r;
	return device_at(dev) ? whole(dev, NULL, resource, type) : CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuCtxGetDevResource(CUcontext ctx, CUdevResource *resource, CUdevResourceType type)
{
	struct ctx *c;
	const int r = ctx_itself(ctx, &c);

	return r ? r : whole(c->device, c->green, resource, type);
}

PUBLIC CUresult cuGreenCtxGetDevResource(CUgreenCtx green, CUdevResource *resource,
					 CUdevResourceType type)
{
	struct green *g;
	const int r = find(green, &g);

	return r ? r : whole(g->ctx->device, g, resource, type);
}

PUBLIC CUresult cuDevSmResourceSplitByCount(CUdevResource *result, unsigned int *groups,
					    const CUdevResource *input, CUdevResource *remaining,
					    unsigned int flags, unsigned int minimum)
{
	uint32_t made = 0, each = 0, rest = 0, unused;
	CUdevSmResource sm = {0};
	struct inside in;
	uint64_t origin;
	int r = guest_enter();

	if (r)
		return r;
	if (!groups || !input || flags & ~(unsigned int)SPLIT_FLAGS || (result && !*groups))
		return CUDA_ERROR_INVALID_VALUE;
	r = resource_get(input, &in);
	if (!r && in.is_part) /* to be split again it must be a green context's */
		r = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	if (!r)
		r = origin_of(&in, &origin);
	if (r)
		return r;
	in.is_part = 1;
	in.flags = flags;
	in.groups = !result ? 0 : *groups < PVGPU_SM_GROUPS_MAX ? *groups : PVGPU_SM_GROUPS_MAX;
	in.minimum = minimum;
	r = pvgpu_do_sm_split(session(), device_at(in.device)->wire, origin, 1, flags, in.groups,
			      minimum, &unused, &sm.minSmPartitionSize, &sm.smCoscheduledAlignment,
			      &made, &each, &rest);
	if (r)
		return r;
	if (result && made > in.groups)
		return CUDA_ERROR_UNKNOWN; /* a backend that lies */
	sm.smCount = each;
	for (in.part = 0; result && in.part < made; in.part++)
		resource_set(&result[in.part], &in, &sm);
	in.part = in.groups;
	sm.smCount = rest;
	if (remaining)
		resource_set(remaining, &in, &sm);
	*groups = made;
	return CUDA_SUCCESS;
}

/* Parts of one split. */
static bool same_split(const struct inside *a, const struct inside *b)
{
	return a->device == b->device && a->origin == b->origin && a->is_part && b->is_part &&
	       a->flags == b->flags && a->groups == b->groups && a->minimum == b->minimum;
}

static int describe(struct CUdevResourceDesc_st *d, const CUdevResource *resources,
		    unsigned int count)
{
	struct inside in;
	int r = resource_get(&resources[0], &d->of);

	if (r)
		return r;
	if (count > PVGPU_SM_GROUPS_MAX + 1)
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	for (unsigned int i = 0; i < count; i++) {
		r = resource_get(&resources[i], &in);
		if (!r && (in.groups > PVGPU_SM_GROUPS_MAX || in.part > in.groups ||
			   (i && !same_split(&d->of, &in))))
			r = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
		if (r)
			return r;
		d->part[i] = in.part;
	}
	d->parts = d->of.is_part ? count : 0;
	return 0;
}

/* One of what is described already is handed out again: none is ever given back. */
static CUdevResourceDesc keep(const struct CUdevResourceDesc_st *of)
{
	struct CUdevResourceDesc_st *d;

	pthread_mutex_lock(&lock);
	for (d = descs; d; d = d->next) {
		if (d->parts == of->parts && !memcmp(&d->of, &of->of, sizeof(d->of)) &&
		    !memcmp(d->part, of->part, sizeof(d->part)))
			break;
	}
	if (!d) {
		d = malloc(sizeof(*d));
		if (d) {
			*d = *of;
			d->next = descs;
			descs = d;
		}
	}
	pthread_mutex_unlock(&lock);
	return d;
}

static bool is_desc(const struct CUdevResourceDesc_st *desc)
{
	struct CUdevResourceDesc_st *d;

	pthread_mutex_lock(&lock);
	d = descs;
	while (d && d != desc)
		d = d->next;
	pthread_mutex_unlock(&lock);
	return d != NULL;
}

PUBLIC CUresult cuDevResourceGenerateDesc(CUdevResourceDesc *desc, CUdevResource *resources,
					  unsigned int count)
{
	struct CUdevResourceDesc_st d = {0};
	int r = guest_enter();

	if (r)
		return r;
	if (!desc || !resources || !count)
		return CUDA_ERROR_INVALID_VALUE;
	r = describe(&d, resources, count);
	if (r)
		return r;
	*desc = keep(&d);
	return *desc ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The stand-in for the green context where a context is asked for. */
static struct ctx *stand_in(struct ctx *root, struct green *g)
{
	struct ctx *c = object_new(PVGPU_H_CTX);

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->root = root;
	c->green = g;
	c->primary = true; /* cuCtxDestroy() does not end it */
	c->device = root->device;
	c->id = guest_next_id();
	c->api_version = root->api_version;
	c->priority_least = root->priority_least;
	c->priority_greatest = root->priority_greatest;
	object_publish(&c->o);
	return c;
}

static void stand_in_free(struct ctx *c)
{
	if (object_retire(&c->o))
		object_free(&c->o);
}

static int make(struct ctx *root, const struct CUdevResourceDesc_st *d, struct green **out)
{
	struct green *g;
	uint64_t origin;
	int r = origin_of(&d->of, &origin);

	if (r)
		return r;
	g = object_new(PVGPU_H_GREEN);
	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->o.ctx = root;
	g->id = guest_next_id();
	r = pvgpu_do_green_create(session(), root->o.wire, origin, d->of.flags, d->of.groups,
				  d->of.minimum, d->part, d->parts * (uint32_t)sizeof(d->part[0]),
				  g->o.wire, &g->count);
	if (r)
		goto out_free;
	g->ctx = stand_in(root, g);
	if (!g->ctx) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
		goto out_destroy;
	}
	object_publish(&g->o);
	r = stream_create(root, g, CU_STREAM_NON_BLOCKING, 0, &g->stream);
	if (r)
		goto out_retire;
	g->stream->null = true;
	*out = g;
	return 0;

out_retire:
	object_retire(&g->o);
	stand_in_free(g->ctx);
out_destroy:
	pvgpu_do_green_destroy(session(), g->o.wire);
out_free:
	object_free(&g->o);
	return r;
}

PUBLIC CUresult cuGreenCtxCreate(CUgreenCtx *green, CUdevResourceDesc desc, CUdevice dev,
				 unsigned int flags)
{
	CUcontext primary;
	struct green *g;
	int r = guest_enter();

	if (r)
		return r;
	if (!green || flags != CU_GREEN_CTX_DEFAULT_STREAM || !is_desc(desc))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(dev) || desc->of.device != dev)
		return CUDA_ERROR_INVALID_DEVICE;
	r = (int)cuDevicePrimaryCtxRetain(&primary, dev);
	if (r)
		return r;
	r = make(ctx_find(primary), desc, &g);
	if (r)
		cuDevicePrimaryCtxRelease_v2(dev);
	else
		*green = object_handle(&g->o);
	return r;
}

/* Under ctx.lock: a stream that the program left in it. */
static struct stream *left(struct ctx *c, const struct green *g)
{
	for (struct object *o = c->objects; o; o = o->next) {
		struct stream *s = (struct stream *)o;

		if (o->type == PVGPU_H_STREAM && s->green == g && !s->gone)
			return s;
	}
	return NULL;
}

/* Streams of the program's stay, and answer that their context is destroyed. */
static void end_streams(struct green *g)
{
	struct ctx *c = g->o.ctx;
	struct stream *s;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		s = left(c, g);
		pthread_mutex_unlock(&c->lock);
		if (!s)
			return;
		if (!s->null && !s->joint)
			stream_green_gone(s);
		else if (object_retire(&s->o))
			stream_destroy(s);
	}
}

static void end_event(struct event *e)
{
	if (e && object_retire(&e->o))
		event_destroy(e);
}

PUBLIC CUresult cuGreenCtxDestroy(CUgreenCtx green)
{
	struct green *g;
	int device, r = find(green, &g);

	if (r)
		return r;
	if (!object_retire(&g->o))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	device = g->ctx->device;
	end_streams(g);
	end_event(g->joint.mark);
	end_event(g->joint.awaited);
	pvgpu_do_green_destroy(session(), g->o.wire);
	green_forget(g);
	return cuDevicePrimaryCtxRelease_v2(device);
}

void green_forget(struct green *g)
{
	stand_in_free(g->ctx);
	object_free(&g->o);
}

PUBLIC CUresult cuCtxFromGreenCtx(CUcontext *ctx, CUgreenCtx green)
{
	struct green *g;
	const int r = find(green, &g);

	if (r)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	*ctx = ctx_handle(g->ctx);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGreenCtxGetId(CUgreenCtx green, unsigned long long *id)
{
	struct ctx *c = self.current.ctx;
	struct green *g;
	int r;

	if (!green && c && ctx_ref_live(&self.current) && c->green)
		green = object_handle(&c->green->o);
	r = find(green, &g);
	if (r)
		return r;
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	*id = g->id;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx green, unsigned int flags,
				       int priority)
{
	struct stream *s;
	struct green *g;
	int r = find(green, &g);

	if (r)
		return r;
	if (!stream || flags != CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	r = stream_create(g->o.ctx, g, flags, stream_priority(g->ctx, priority), &s);
	if (!r)
		*stream = object_handle(&s->o);
	return r;
}

PUBLIC CUresult cuGreenCtxRecordEvent(CUgreenCtx green, CUevent event)
{
	struct green *g;
	const int r = find(green, &g);

	return r ? r : joint_record(g->o.ctx, g, event);
}

PUBLIC CUresult cuGreenCtxWaitEvent(CUgreenCtx green, CUevent event)
{
	struct green *g;
	const int r = find(green, &g);

	return r ? r : joint_wait(g->o.ctx, g, event);
}
