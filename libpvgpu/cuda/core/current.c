/* SPDX-License-Identifier: MIT */
/* The current context of each thread, and queries of contexts. */
#include "cuda/core/context.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_MAX = 4096 };

int ctx_current(struct ctx **out)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!self.current.ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!ctx_ref_live(&self.current))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = self.current.ctx->root;
	return 0;
}

int ctx_given(CUcontext ctx, struct ctx **out)
{
	const int r = ctx ? guest_enter() : ctx_current(out);

	if (r || !ctx)
		return r;
	*out = ctx_find(ctx);
	return *out ? 0 : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

int ctx_itself(CUcontext ctx, struct ctx **out)
{
	const int r = ctx_given(ctx, out);

	if (!r)
		*out = ctx ? ctx_object(ctx) : self.current.ctx;
	return !r && !*out ? CUDA_ERROR_CONTEXT_IS_DESTROYED : r;
}

/* A program that looks names with _v2 up first, as Numba does, calls cuCtxGetDevice_v2 and
 * cuCtxSynchronize_v2 with the arguments of before CUDA 13: ctx is then what a register held. */
int ctx_given_or_current(CUcontext ctx, struct ctx **out)
{
	const bool ours = (uintptr_t)ctx >> OBJECT_TYPE_SHIFT == PVGPU_H_CTX;

	return ctx_given(ours ? ctx : NULL, out);
}

static struct ctx_ref ref_to(struct ctx *c)
{
	return (struct ctx_ref){c, atomic_load(&c->o.generation)};
}

/* The handle, also when the context is gone. */
static CUcontext ref_handle(const struct ctx_ref *r)
{
	const struct object o = {
		.generation = r->generation, .index = r->ctx->o.index, .type = PVGPU_H_CTX};

	return object_handle(&o);
}

int ctx_push(struct ctx *c)
{
	if (self.current.ctx) {
		if (self.depth == self.room) {
			const unsigned int room = self.room ? 2 * self.room : 8;
			struct ctx_ref *below;

			if (room > STACK_MAX)
				return CUDA_ERROR_OUT_OF_MEMORY;
			below = realloc(self.below, room * sizeof(*below));
			if (!below)
				return CUDA_ERROR_OUT_OF_MEMORY;
			self.below = below;
			self.room = room;
			thread_register();
		}
		self.below[self.depth++] = self.current;
	}
	self.current = ref_to(c);
	return 0;
}

static void pop(void)
{
	self.current = self.depth ? self.below[--self.depth] : (struct ctx_ref){NULL, 0};
}

void ctx_drop_current(const struct ctx *c)
{
	if (self.current.ctx == c && !ctx_ref_live(&self.current))
		pop();
}

PUBLIC CUresult cuCtxPushCurrent_v2(CUcontext ctx)
{
	struct ctx *c;
	const int r = guest_enter();

	if (r)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	c = ctx_object(ctx);
	return c ? ctx_push(c) : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

PUBLIC CUresult cuCtxPushCurrent(CUcontext ctx)
{
	return cuCtxPushCurrent_v2(ctx);
}

PUBLIC CUresult cuCtxPopCurrent_v2(CUcontext *ctx)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!self.current.ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (ctx)
		*ctx = ref_handle(&self.current);
	pop();
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxPopCurrent(CUcontext *ctx)
{
	return cuCtxPopCurrent_v2(ctx);
}

PUBLIC CUresult cuCtxSetCurrent(CUcontext ctx)
{
	struct ctx *c;
	const int r = guest_enter();

	if (r)
		return r;
	if (!ctx) {
		pop();
		return CUDA_SUCCESS;
	}
	c = ctx_object(ctx);
	if (!c)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	self.current = ref_to(c);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetCurrent(CUcontext *ctx)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	*ctx = self.current.ctx ? ref_handle(&self.current) : NULL;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetDevice_v2(CUdevice *dev, CUcontext ctx)
{
	struct ctx *c;
	const int r = ctx_given_or_current(ctx, &c);

	if (r)
		return r;
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	*dev = c->device;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetDevice(CUdevice *dev)
{
	return cuCtxGetDevice_v2(dev, NULL);
}

PUBLIC CUresult cuCtxGetFlags(unsigned int *flags)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = atomic_load(&c->flags);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxSetFlags(unsigned int flags)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (!ctx_flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&c->flags, flags);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetId(CUcontext ctx, unsigned long long *id)
{
	struct ctx *c;
	const int r = ctx_itself(ctx, &c);

	if (r)
		return r;
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	*id = c->id;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned int *version)
{
	struct ctx *c;
	const int r = ctx_given(ctx, &c);

	if (r)
		return r;
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = c->api_version;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (least)
		*least = c->priority_least;
	if (greatest)
		*greatest = c->priority_greatest;
	return CUDA_SUCCESS;
}
