/* SPDX-License-Identifier: MIT */
/* Contexts: their life and their objects. */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* Results after which a context answers nothing else. */
static bool is_sticky(int r)
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
	case CUDA_ERROR_TENSOR_MEMORY_LEAK:
	case CUDA_ERROR_DEVICE_UNAVAILABLE:
	case CUDA_ERROR_EXTERNAL_DEVICE:
		return true;
	default:
		return false;
	}
}

int ctx_result(struct ctx *c, int r)
{
	int usable = 0;

	if (unlikely(r) && is_sticky(r))
		atomic_compare_exchange_strong(&c->state, &usable, r);
	return r;
}

/* The object is retired: free the guest's data of it. */
static void forget(struct object *o)
{
	switch (o->type) {
	case PVGPU_H_MODULE:
		module_forget((struct module *)o);
		break;
	case PVGPU_H_LINK:
		link_forget((struct link *)o);
		break;
	case PVGPU_H_TEXTURE:
		texture_forget((struct texture *)o);
		break;
	case PVGPU_H_GREEN:
		green_forget((struct green *)o);
		break;
	case PVGPU_H_GRAPH_EXEC:
		graph_exec_forget((struct graph_exec *)o);
		break;
	default:
		object_free(o);
	}
}

void ctx_forget_objects(struct ctx *c)
{
	struct object *o;

	capture_drop(c, NULL);
	for (;;) {
		pthread_mutex_lock(&c->lock);
		o = c->objects;
		pthread_mutex_unlock(&c->lock);
		if (!o)
			break;
		if (object_retire(o))
			forget(o);
		else
			sched_yield(); /* another thread destroys it and is about to unlink it */
	}
	library_forget_ctx(c);
	c->joint = (struct joint){0};
	c->behind = (struct behind){0};
	atomic_store(&c->legacy_use, LEGACY_UNUSED);
	atomic_store(&c->blocking, false);
	hostfunc_forget_ctx(c);
	paged_forget_ctx(c);
	functions_forget_ctx(c);
	range_remove_ctx_host(c, host_free);
}

/* Flags of contexts of both kinds. */
bool ctx_flags_valid(unsigned int flags)
{
	const unsigned int sched = flags & CU_CTX_SCHED_MASK;

	return !(flags & ~(unsigned int)CU_CTX_FLAGS_MASK) && !(sched & (sched - 1));
}

/* Core dumps would be written in the backend, where the guest cannot read them. */
unsigned int ctx_flags_wire(unsigned int flags)
{
	return flags & ~(unsigned int)(CU_CTX_COREDUMP_ENABLE | CU_CTX_USER_COREDUMP_ENABLE);
}

static int create(CUcontext *out, unsigned int flags, CUdevice dev)
{
	uint32_t api_version = 0;
	struct ctx *c;
	int r = guest_enter();

	if (r)
		return r;
	if (!out || !ctx_flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	c = object_new(PVGPU_H_CTX);
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_init(&c->lock, NULL);
	c->root = c;
	c->device = dev;
	c->attached = 1;
	c->id = guest_next_id();
	atomic_store(&c->flags, flags);
	r = pvgpu_do_ctx_create(session(), device_at(dev)->wire, ctx_flags_wire(flags), c->o.wire,
				&api_version, &c->priority_least, &c->priority_greatest);
	if (r)
		goto out_free;
	c->api_version = api_version;
	object_publish(&c->o);
	r = ctx_push(c);
	if (r)
		goto out_destroy;
	*out = ctx_handle(c);
	return 0;

out_destroy:
	object_retire(&c->o);
	pvgpu_do_ctx_destroy(session(), c->o.wire);
out_free:
	object_free(&c->o);
	return r;
}

PUBLIC CUresult cuCtxCreate(CUcontext *ctx, unsigned int flags, CUdevice dev)
{
	return create(ctx, flags, dev);
}

PUBLIC CUresult cuCtxCreate_v2(CUcontext *ctx, unsigned int flags, CUdevice dev)
{
	return create(ctx, flags, dev);
}

PUBLIC CUresult cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *params, int num_params,
			       unsigned int flags, CUdevice dev)
{
	if (num_params < 0 || (!params) != (!num_params))
		return CUDA_ERROR_INVALID_VALUE;
	if (num_params)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return create(ctx, flags, dev);
}

PUBLIC CUresult cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned int flags,
			       CUdevice dev)
{
	if (params && params->execAffinityParams && params->cigParams)
		return CUDA_ERROR_INVALID_VALUE;
	if (params && params->cigParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (params && params->numExecAffinityParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return create(ctx, flags, dev);
}

PUBLIC CUresult cuCtxDestroy_v2(CUcontext ctx)
{
	struct ctx *c;
	int r = guest_enter();

	if (r)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	c = ctx_object(ctx);
	if (!c)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (c->primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!object_retire(&c->o))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	range_remove_ctx_device(c);
	r = pvgpu_do_ctx_destroy(session(), c->o.wire);
	ctx_forget_objects(c);
	ctx_drop_current(c);
	object_free(&c->o);
	return r;
}

PUBLIC CUresult cuCtxDestroy(CUcontext ctx)
{
	return cuCtxDestroy_v2(ctx);
}

PUBLIC CUresult cuCtxAttach(CUcontext *ctx, unsigned int flags)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (!ctx || flags)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&c->lock);
	c->attached++;
	pthread_mutex_unlock(&c->lock);
	*ctx = ctx_handle(c);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxDetach(CUcontext ctx)
{
	unsigned int left;
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (ctx_find(ctx) != c)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&c->lock);
	left = c->attached ? --c->attached : 0;
	pthread_mutex_unlock(&c->lock);
	return left || c->primary ? CUDA_SUCCESS : cuCtxDestroy_v2(ctx);
}

enum pvgpu_patience ctx_patience(const struct ctx *c)
{
	switch (atomic_load(&c->flags) & CU_CTX_SCHED_MASK) {
	case CU_CTX_SCHED_SPIN:
		return PVGPU_SPIN;
	case CU_CTX_SCHED_BLOCKING_SYNC:
		return PVGPU_SLEEP;
	default: /* YIELD, too: polling yields to no one, and ends soon */
		return PVGPU_ADAPT;
	}
}

/* Wait for all its work. Captures have none, and go on. */
static int wait_for(struct ctx *c)
{
	enum pvgpu_patience before;
	int r;

	if (done_ctx_at_rest(c))
		return 0;
	before = pvgpu_wait_so(ctx_patience(c));
	r = ctx_result(c, pvgpu_do_ctx_synchronize(session(), c->o.wire));
	pvgpu_wait_so(before);
	/* During a capture the worker leaves device output to the next wait. */
	if (!r && !capturing())
		done_wait_ctx(c);
	return r;
}

/* The application's own wait: no capture of the context survives it. */
static int synchronize(struct ctx *c)
{
	const int r = capturing() ? capture_wait_ctx(c) : 0;

	return r ? r : wait_for(c);
}

/* After a wait of the application's. */
static int rest(int r)
{
	if (!r)
		pool_rest();
	return r;
}

PUBLIC CUresult cuCtxSynchronize(void)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	return r ? r : rest(synchronize(c));
}

PUBLIC CUresult cuCtxSynchronize_v2(CUcontext ctx)
{
	struct ctx *c;
	int r = ctx_given_or_current(ctx, &c);

	if (!r)
		r = atomic_load(&c->state);
	return r ? r : rest(synchronize(c));
}

void ctx_synchronize_all(void)
{
	struct object_table *t = &object_tables[PVGPU_H_CTX];
	uint32_t used;

	pthread_mutex_lock(&t->lock);
	used = t->used;
	pthread_mutex_unlock(&t->lock);
	for (uint32_t i = 0; i < used; i++) {
		char *chunk = atomic_load(&t->chunk[i / OBJECT_CHUNK]);
		struct ctx *c = (struct ctx *)(chunk + i % OBJECT_CHUNK * t->size);

		if (atomic_load(&c->o.generation) && !c->green && !atomic_load(&c->state))
			wait_for(c);
	}
}
