/* SPDX-License-Identifier: MIT */
/* Handle tables and the life of objects. Decoding thread, except for references. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/green.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define OBJECTS_SURE 65536u
#define OBJECT_BYTES 4096u /* of the vGPU's memory for one more */

static struct obj **slot_of(struct table *t, uint32_t index, bool make)
{
	struct obj **page;

	if (index >= PVGPU_HANDLES_MAX)
		return NULL;
	page = t->page[index / TABLE_SLOTS];
	if (!page && make)
		page = t->page[index / TABLE_SLOTS] = calloc(TABLE_SLOTS, sizeof(struct obj *));
	return page ? &page[index % TABLE_SLOTS] : NULL;
}

void *obj_lookup(void *tables, uint32_t type, uint64_t handle)
{
	struct tables *t = tables;
	struct obj **slot;
	struct obj *o;

	if (type < PVGPU_H_CTX || type >= PVGPU_H_END)
		return NULL;
	slot = slot_of(&t->of[type], PVGPU_HANDLE_INDEX(handle), false);
	for (o = slot ? *slot : NULL; o; o = o->older) {
		if (o->handle == handle)
			return atomic_load(&o->status) == OBJ_MAKING ? NULL : o;
	}
	return NULL;
}

static void *obj_alloc(struct gpu *g, uint32_t type, size_t size, struct ctx *ctx)
{
	struct obj *o = calloc(1, size);

	if (!o)
		return NULL;
	o->type = type;
	o->gpu = g;
	atomic_init(&o->refs, 1);
	atomic_init(&o->status, OBJ_MAKING);
	TAILQ_INIT(&o->owned);
	order_init(&o->order);
	o->ctx = ctx ? obj_ref(ctx) : NULL;
	return o;
}

void *obj_bare(struct gpu *g, uint32_t type, size_t size, struct ctx *ctx)
{
	return obj_alloc(g, type, size, ctx);
}

/* An object that could not be made gives way to the next generation: the guest knows that it
 * failed. */
static void drop_failed(struct gpu *g, struct obj *o)
{
	struct obj *older;

	for (; o; o = older) {
		older = o->older;
		if (atomic_load(&o->status) > 0) {
			obj_remove(g, o);
			obj_unref(o);
		}
	}
}

/* Of one type: their memory is the host's, so a vGPU may have more of them the larger it is. */
static uint64_t objects_most(struct gpu *g)
{
	uint64_t unused, total;

	lease_info(g->w, &unused, &total);
	total /= OBJECT_BYTES;
	return total < PVGPU_HANDLES_MAX ? total : PVGPU_HANDLES_MAX;
}

/* An object that could not be made gives way to the next generation, and would leave what it owns
 * behind: its context owns that. */
static struct obj *owner_of(struct gpu *g, struct ctx *ctx, struct obj *owner)
{
	if (owner && ctx && atomic_load(&owner->status) > 0)
		owner = &ctx->o;
	return owner && atomic_load(&owner->status) <= 0 ? owner : &g->root;
}

void *obj_new(struct gpu *g, uint32_t type, uint64_t handle, size_t size, struct ctx *ctx,
	      struct obj *owner, int *err)
{
	struct table *t = &g->tables.of[type];
	struct obj **slot = slot_of(t, PVGPU_HANDLE_INDEX(handle), true);
	struct obj *o;

	*err = CUDA_ERROR_INVALID_HANDLE;
	if (PVGPU_HANDLE_TYPE(handle) != type || PVGPU_HANDLE_VGPU(handle) != 0)
		return NULL;
	*err = CUDA_ERROR_OUT_OF_MEMORY;
	if (!slot)
		return NULL;
	drop_failed(g, *slot);
	for (o = *slot; o; o = o->older) {
		if (o->handle == handle) {
			*err = CUDA_ERROR_INVALID_HANDLE;
			return NULL;
		}
	}
	if (t->count >= OBJECTS_SURE && t->count >= objects_most(g))
		return NULL;
	o = obj_alloc(g, type, size, ctx);
	if (!o)
		return NULL;
	o->handle = handle;
	o->older = *slot;
	*slot = o;
	t->count++;
	o->owner = owner_of(g, ctx, owner);
	TAILQ_INSERT_TAIL(&o->owner->owned, o, of_owner);
	g->settled = true;
	*err = 0;
	return o;
}

void obj_ready(void *p, int result)
{
	struct obj *o = p;

	atomic_store_explicit(&o->status, result, memory_order_release);
}

void *obj_ref(void *p)
{
	struct obj *o = p;

	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

static void obj_free(struct obj *o)
{
	if (o->type == PVGPU_H_FUNCTION || o->type == PVGPU_H_KERNEL) {
		struct function *f = (struct function *)o;

		free(f->param);
		if (f->holder)
			obj_unref(f->holder);
	}
	if (o->type == PVGPU_H_MODULE)
		listing_free(&((struct module *)o)->all);
	if (o->type == PVGPU_H_LIBRARY)
		listing_free(&((struct library *)o)->all);
	if (o->type == PVGPU_H_EVENT) {
		struct event *e = (struct event *)o;

		if (e->far)
			fev_put(e->far);
		if (e->s)
			obj_unref(e->s);
	}
	if (o->type == PVGPU_H_STREAM)
		stream_leave((struct stream *)o);
	if (o->type == PVGPU_H_GREEN)
		green_retire(o);
	if (o->type == PVGPU_H_SHARED_EVENT)
		shared_event_free(o);
	if (o->type == PVGPU_H_LINK)
		link_free((struct link *)o);
	if (o->type == PVGPU_H_GRAPH || o->type == PVGPU_H_GRAPH_EXEC)
		graph_free(o);
	if (o->type == PVGPU_H_CTX) {
		free(((struct ctx *)o)->pool.ev);
		free(((struct ctx *)o)->timers.ev);
	}
	if (o->ctx)
		obj_unref(o->ctx);
	free(o);
}

void obj_unref(void *p)
{
	struct obj *o = p;

	if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
		obj_free(o);
}

void obj_remove(struct gpu *g, struct obj *o)
{
	struct table *t = &g->tables.of[o->type];
	struct obj **at;

	if (o->owner)
		TAILQ_REMOVE(&o->owner->owned, o, of_owner);
	o->owner = NULL;
	if (!o->handle)
		return;
	at = slot_of(t, PVGPU_HANDLE_INDEX(o->handle), false);
	while (*at != o)
		at = &(*at)->older;
	*at = o->older;
	o->older = NULL;
	o->handle = 0;
	t->count--;
}

void obj_remove_tree(struct gpu *g, struct obj *o, struct obj_list *dead)
{
	while (!TAILQ_EMPTY(&o->owned))
		obj_remove_tree(g, TAILQ_FIRST(&o->owned), dead);
	obj_remove(g, o);
	TAILQ_INSERT_TAIL(dead, o, of_owner);
}

struct obj *obj_take_dead(struct obj_list *dead)
{
	struct obj *o = TAILQ_FIRST(dead);

	if (o)
		TAILQ_REMOVE(dead, o, of_owner);
	return o;
}

/* At the end of the session, when no other thread is left. */
void tables_free(struct gpu *g)
{
	struct obj_list dead;
	struct obj *o;

	TAILQ_INIT(&dead);
	while (!TAILQ_EMPTY(&g->root.owned))
		obj_remove_tree(g, TAILQ_FIRST(&g->root.owned), &dead);
	while ((o = obj_take_dead(&dead)))
		obj_unref(o);
	for (unsigned int type = 0; type < PVGPU_H_END; type++) {
		for (unsigned int i = 0; i < PVGPU_HANDLES_MAX / TABLE_SLOTS; i++)
			free(g->tables.of[type].page[i]);
	}
}
