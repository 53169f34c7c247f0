/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

int call_context(void *ctx)
{
	const int r = obj_error(ctx);

	return r ? r : ctx_enter(ctx);
}

int call_object(void *object)
{
	struct obj *o = object;
	const int r = obj_error(o);

	return r || !o->ctx ? r : ctx_enter(o->ctx);
}

int call_object_in(void *object, void *ctx)
{
	struct obj *o = object;
	const int r = obj_error(o);

	if (r)
		return r;
	return o->ctx && o->ctx->far != ((struct ctx *)ctx)->far ? CUDA_ERROR_INVALID_CONTEXT : 0;
}

int call_lookup(struct gpu *g, uint32_t type, uint64_t handle, void **object)
{
	if (PVGPU_HANDLE_TYPE(handle) != type)
		return CUDA_ERROR_INVALID_HANDLE;
	*object = obj_lookup(&g->tables, type, handle);
	return *object ? obj_error(*object) : CUDA_ERROR_INVALID_HANDLE;
}

void *call_far(void *object)
{
	struct obj *o = object;

	switch (o->type) {
	case PVGPU_H_CTX:
		return ((struct ctx *)o)->far;
	case PVGPU_H_MODULE:
		return ((struct module *)o)->far;
	case PVGPU_H_STREAM:
		return ((struct stream *)o)->far;
	case PVGPU_H_EVENT:
		return ((struct event *)o)->far->ev;
	case PVGPU_H_FUNCTION:
		return ((struct function *)o)->far.fn;
	case PVGPU_H_LIBRARY:
		return ((struct library *)o)->far;
	case PVGPU_H_KERNEL:
		return ((struct function *)o)->far.kernel;
	case PVGPU_H_LINK:
		return link_far((struct link *)o);
	case PVGPU_H_GRAPH:
	case PVGPU_H_GRAPH_EXEC:
		return NULL; /* of no described call */
	default:
		return ((struct lib_object *)o)->far;
	}
}

int call_memory(struct gpu *g, uint64_t addr, uint64_t bytes, bool optional)
{
	if (!bytes || (optional && !addr))
		return 0;
	return mem_where(g, addr, bytes) == AT_NOWHERE ? CUDA_ERROR_INVALID_VALUE : 0;
}

int call_scalar(struct gpu *g, uint32_t mode, uint64_t value, uint64_t bytes)
{
	return mode ? call_memory(g, value, bytes, false) : 0;
}

int call_numbers(struct gpu *g, const void *packed, uint32_t packed_len, uint64_t large,
		 uint64_t large_len, uint64_t bytes, const char **numbers)
{
	static const uint64_t none;

	*numbers = packed_len ? packed : (const char *)&none;
	if (packed_len + large_len != bytes || (packed_len && large_len))
		return CUDA_ERROR_INVALID_VALUE;
	if (!large_len)
		return 0;
	/* Chunks go on this thread only: it stays mapped meanwhile. */
	if (mem_where(g, large, large_len) != AT_ARENA)
		return CUDA_ERROR_INVALID_VALUE;
	if (large_len > g->numbers_room) {
		char *p = realloc(g->numbers, large_len);

		if (!p)
			return CUDA_ERROR_OUT_OF_MEMORY;
		g->numbers = p;
		g->numbers_room = large_len;
	}
	memcpy(g->numbers, (const void *)(uintptr_t)large, large_len);
	*numbers = g->numbers;
	return 0;
}

int call_status_of(int library, int status)
{
	return PVGPU_STATUS(library, status & 0xffff);
}

int call_deferred_of(int invalid, int status)
{
	if (!status)
		return 0;
	return status == invalid ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_UNKNOWN;
}

struct lib_object *call_new(struct gpu *g, uint32_t type, uint64_t handle, void *ctx, int *err)
{
	struct ctx *c = ctx;
	struct lib_object *o = obj_new(g, type, handle, sizeof(*o), c, &c->o, err);

	return o ? obj_ref(o) : NULL;
}

int call_charge(struct gpu *g, struct lib_object *o, uint64_t bytes)
{
	if (!lease_get(g->w, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->charge = bytes;
	return 0;
}

void call_made(struct gpu *g, struct lib_object *o, void *far, int result)
{
	o->far = far;
	if (result) {
		lease_put(g->w, o->charge);
		o->charge = 0;
	}
	obj_ready(o, result);
}

void call_retire(struct gpu *g, struct lib_object *o)
{
	if (o->far && !ctx_enter(o->o.ctx))
		call_destroy(g->far, o->o.type, o->far);
	o->far = NULL;
	lease_put(g->w, o->charge);
	o->charge = 0;
}
