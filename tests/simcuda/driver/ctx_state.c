/* SPDX-License-Identifier: MIT */
/* Properties of contexts, and the device's primary context. */
#include "tests/simcuda/driver/sim.h"

#define SCHED_FLAGS (CU_CTX_SCHED_MASK)

static struct sim_ctx *primary;
static unsigned int primary_users, primary_flags;

static CUresult ctx_of(CUcontext handle, struct sim_ctx **out)
{
	if (!handle)
		return ctx_current(out);
	*out = (struct sim_ctx *)handle;
	if (!pool_live(&ctx_pool, *out))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = (*out)->base;
	return ctx_status(*out);
}

/* Programs that look up names with _v2 first call with the arguments of before CUDA 13: what is no
 * context, of none that ever was, is what a register held. */
static CUresult ctx_of_new(CUcontext handle, struct sim_ctx **out)
{
	return ctx_of(pool_has(&ctx_pool, handle) ? handle : NULL, out);
}

API(cuCtxGetDevice, CUdevice *dev)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_current_or_none(&ctx));
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	*dev = 0;
	return CUDA_SUCCESS;
}

API(cuCtxGetDevice_v2, CUdevice *dev, CUcontext handle)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of_new(handle, &ctx));
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	*dev = 0;
	return CUDA_SUCCESS;
}

API(cuCtxGetFlags, unsigned int *flags)
{
	ENTER();
	CURRENT(ctx);
	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = ctx->flags;
	return CUDA_SUCCESS;
}

API(cuCtxSetFlags, unsigned int flags)
{
	ENTER();
	CURRENT(ctx);
	if (flags & ~(unsigned int)CU_CTX_FLAGS_MASK)
		return CUDA_ERROR_INVALID_VALUE;
	ctx->flags = flags;
	return CUDA_SUCCESS;
}

API(cuCtxGetId, CUcontext handle, unsigned long long *id)
{
	CUcontext current = handle;
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of(handle, &ctx));
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	if (!handle)
		TRY(cuCtxGetCurrent(&current));
	*id = ((struct sim_ctx *)current)->id;
	return CUDA_SUCCESS;
}

API(cuCtxGetApiVersion, CUcontext handle, unsigned int *version)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of(handle, &ctx));
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = ctx->version;
	return CUDA_SUCCESS;
}

API(cuCtxSynchronize, void)
{
	ENTER();
	CURRENT(ctx);
	TRY(capture_wait_ctx(ctx));
	exec_ctx_wait(ctx);
	print_flush(ctx);
	return ctx_error(ctx);
}

API(cuCtxSynchronize_v2, CUcontext handle)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of_new(handle, &ctx));
	TRY(capture_wait_ctx(ctx));
	exec_ctx_wait(ctx);
	print_flush(ctx);
	return ctx_error(ctx);
}

API(cuCtxSetLimit, CUlimit limit, size_t value)
{
	ENTER();
	CURRENT(ctx);
	switch (limit) {
	case CU_LIMIT_STACK_SIZE:
		if (value > 512 << 10)
			return CUDA_ERROR_INVALID_VALUE;
		value = (value + 15) & ~(size_t)15;
		break;
	case CU_LIMIT_PRINTF_FIFO_SIZE:
		if (value < 4096)
			value = 4096;
		if (value > 64 << 20)
			return CUDA_ERROR_INVALID_VALUE;
		if (print_begun(&ctx->print))
			return CUDA_ERROR_INVALID_VALUE; /* fixed once a kernel has printed */
		break;
	case CU_LIMIT_MALLOC_HEAP_SIZE:
		if (value > (64ull << 30) || heap_is_open(&ctx->heap))
			return CUDA_ERROR_INVALID_VALUE; /* fixed once a kernel may use it */
		break;
	case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
		if (value > 128)
			return CUDA_ERROR_INVALID_VALUE;
		break;
	case CU_LIMIT_PERSISTING_L2_CACHE_SIZE:
		value = 0;
		break;
	default:
		return (unsigned int)limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
							  : CUDA_ERROR_INVALID_VALUE;
	}
	ctx->limit[limit] = value;
	return CUDA_SUCCESS;
}

API(cuCtxGetLimit, size_t *value, CUlimit limit)
{
	ENTER();
	CURRENT(ctx);
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	switch (limit) {
	case CU_LIMIT_STACK_SIZE:
	case CU_LIMIT_PRINTF_FIFO_SIZE:
	case CU_LIMIT_MALLOC_HEAP_SIZE:
	case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
	case CU_LIMIT_PERSISTING_L2_CACHE_SIZE:
		*value = ctx->limit[limit];
		return CUDA_SUCCESS;
	default:
		return (unsigned int)limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
							  : CUDA_ERROR_INVALID_VALUE;
	}
}

API(cuCtxGetCacheConfig, CUfunc_cache *config)
{
	ENTER();
	CURRENT(ctx);
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	*config = ctx->cache;
	return CUDA_SUCCESS;
}

API(cuCtxSetCacheConfig, CUfunc_cache config)
{
	ENTER();
	CURRENT(ctx);
	if ((unsigned int)config > CU_FUNC_CACHE_PREFER_EQUAL)
		return CUDA_ERROR_INVALID_VALUE;
	ctx->cache = config;
	return CUDA_SUCCESS;
}

API(cuCtxGetSharedMemConfig, CUsharedconfig *config)
{
	ENTER();
	CURRENT(ctx);
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	*config = ctx->shared;
	return CUDA_SUCCESS;
}

/* Devices since 5.0 have banks of four bytes; the setting has no effect. */
API(cuCtxSetSharedMemConfig, CUsharedconfig config)
{
	ENTER();
	CURRENT(ctx);
	if ((unsigned int)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

API(cuCtxGetStreamPriorityRange, int *least, int *greatest)
{
	ENTER();
	CURRENT(ctx);
	if (least)
		*least = 0;
	if (greatest)
		*greatest = -5;
	return CUDA_SUCCESS;
}

API(cuCtxResetPersistingL2Cache, void)
{
	ENTER();
	CURRENT(ctx);
	return CUDA_SUCCESS;
}

API(cuCtxGetExecAffinity, CUexecAffinityParam *param, CUexecAffinityType type)
{
	ENTER();
	return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
}

API(cuCtxAttach, CUcontext *handle, unsigned int flags)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_current_or_none(&ctx));
	if (!handle || flags)
		return CUDA_ERROR_INVALID_VALUE;
	atomic_fetch_add(&ctx->attached, 1);
	*handle = (CUcontext)ctx;
	return CUDA_SUCCESS;
}

API(cuCtxDetach, CUcontext handle)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_current_or_none(&ctx));
	if ((struct sim_ctx *)handle != ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!atomic_load(&ctx->attached)) /* its creation alone */
		return ctx->primary ? CUDA_SUCCESS : cuCtxDestroy_v2(handle);
	atomic_fetch_sub(&ctx->attached, 1);
	return CUDA_SUCCESS;
}

API(cuCtxRecordEvent, CUcontext handle, CUevent event)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of(handle, &ctx));
	return event_record_all(event, ctx,
				handle ? ((struct sim_ctx *)handle)->green : ctx_green());
}

API(cuCtxWaitEvent, CUcontext handle, CUevent event)
{
	struct sim_ctx *ctx;

	ENTER();
	TRY(ctx_of(handle, &ctx));
	return event_wait_all(event, ctx, handle ? ((struct sim_ctx *)handle)->green : ctx_green());
}

API(cuCtxEnablePeerAccess, CUcontext peer, unsigned int flags)
{
	struct sim_ctx *other;

	ENTER();
	CURRENT(ctx);
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (!peer || ctx_of(peer, &other) != CUDA_SUCCESS || other == ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}

API(cuCtxDisablePeerAccess, CUcontext peer)
{
	struct sim_ctx *other;

	ENTER();
	CURRENT(ctx);
	if (!peer || ctx_of(peer, &other) != CUDA_SUCCESS)
		return CUDA_ERROR_INVALID_CONTEXT;
	return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

API(cuDevicePrimaryCtxRetain, CUcontext *handle, CUdevice dev)
{
	CUresult r = CUDA_SUCCESS;

	ENTER();
	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&sim_life);
	if (!primary)
		r = ctx_new(primary_flags | CU_CTX_MAP_HOST, true, &primary);
	if (r == CUDA_SUCCESS) {
		primary_users++;
		*handle = (CUcontext)primary;
	}
	pthread_mutex_unlock(&sim_life);
	return r;
}

/* Called before the context is deleted under the lock, and without it: the work may never end. */
static void wait_for_primary(bool only_last_user)
{
	struct sim_ctx *c;

	pthread_mutex_lock(&sim_life);
	c = only_last_user && primary_users > 1 ? NULL : primary;
	pthread_mutex_unlock(&sim_life);
	if (c)
		exec_ctx_wait(c);
}

API(cuDevicePrimaryCtxRelease_v2, CUdevice dev)
{
	CUresult r = CUDA_SUCCESS;

	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	wait_for_primary(true);
	pthread_mutex_lock(&sim_life);
	if (!primary_users) {
		r = CUDA_ERROR_INVALID_CONTEXT;
	} else if (--primary_users == 0 && primary) {
		ctx_delete(primary);
		primary = NULL;
	}
	pthread_mutex_unlock(&sim_life);
	return r;
}

/* Handles of the context become invalid, also for other users that retained it; each of them still
 * has its use to release. */
API(cuDevicePrimaryCtxReset_v2, CUdevice dev)
{
	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	wait_for_primary(false);
	pthread_mutex_lock(&sim_life);
	if (primary)
		ctx_delete(primary);
	primary = NULL;
	primary_flags = 0;
	pthread_mutex_unlock(&sim_life);
	return CUDA_SUCCESS;
}

API(cuDevicePrimaryCtxGetState, CUdevice dev, unsigned int *flags, int *active)
{
	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&sim_life);
	*flags = primary_flags;
	*active = primary != NULL;
	pthread_mutex_unlock(&sim_life);
	return CUDA_SUCCESS;
}

/* A primary context maps host memory always: that is no flag to be set. */
static CUresult set_primary_flags(CUdevice dev, unsigned int flags, bool while_active)
{
	CUresult r = CUDA_SUCCESS;

	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (flags & ~(unsigned int)(CU_CTX_FLAGS_MASK & ~CU_CTX_MAP_HOST))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&sim_life);
	if (primary && !while_active)
		r = CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE;
	else
		primary_flags = flags;
	if (primary && while_active)
		primary->flags = flags | CU_CTX_MAP_HOST;
	pthread_mutex_unlock(&sim_life);
	return r;
}

API(cuDevicePrimaryCtxSetFlags_v2, CUdevice dev, unsigned int flags)
{
	ENTER();
	return set_primary_flags(dev, flags, true);
}

API(cuDevicePrimaryCtxSetFlags, CUdevice dev, unsigned int flags)
{
	ENTER();
	return set_primary_flags(dev, flags, false);
}
