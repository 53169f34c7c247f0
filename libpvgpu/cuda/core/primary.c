/* SPDX-License-Identifier: MIT */
/*
 * A device's primary context. Its object is made at the first retain and lives as long as the
 * session, so that every retain returns the same handle. It is usable from a retain to the last
 * release or to a reset. A reset takes no retain back: each is still to be released.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <pthread.h>
#include <stdatomic.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* Under d->lock. */
static int activate(struct device *d, int ordinal)
{
	struct ctx *c = d->primary;
	uint32_t api_version = 0;
	int r;

	if (!c) {
		c = object_new(PVGPU_H_CTX);
		if (!c)
			return CUDA_ERROR_OUT_OF_MEMORY;
		pthread_mutex_init(&c->lock, NULL);
		c->primary = true;
		c->root = c;
		c->device = ordinal;
		d->primary = c;
		atomic_store(&c->state, CUDA_ERROR_CONTEXT_IS_DESTROYED);
	} else {
		c->o.wire = pvgpu_handle_new(session(), PVGPU_H_CTX, 0);
		if (!c->o.wire)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = pvgpu_do_ctx_primary_retain(session(), d->wire, ctx_flags_wire(d->primary_flags),
					c->o.wire, &api_version, &c->priority_least,
					&c->priority_greatest);
	if (r) {
		pvgpu_handle_free(session(), c->o.wire);
		c->o.wire = 0;
		return r;
	}
	c->id = guest_next_id();
	c->api_version = api_version;
	atomic_store(&c->flags, d->primary_flags | CU_CTX_MAP_HOST);
	if (!atomic_load(&c->o.generation))
		object_publish(&c->o);
	ctx_settings_forget(c);
	atomic_store(&c->state, 0);
	d->active = true;
	return 0;
}

/* Under d->lock: the worker's context is gone. */
static void deactivate(struct device *d)
{
	struct ctx *c = d->primary;

	d->active = false;
	ctx_forget_objects(c);
	pvgpu_handle_free(session(), c->o.wire);
	c->o.wire = 0;
}

static int enter(CUdevice dev, struct device **d)
{
	const int r = guest_enter();

	if (r)
		return r;
	*d = device_at(dev);
	return *d ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
	struct device *d;
	int r = enter(dev, &d);

	if (r)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&d->lock);
	if (!d->active)
		r = activate(d, dev);
	else
		r = atomic_load(&d->primary->state);
	if (!r) {
		d->retained++;
		*ctx = ctx_handle(d->primary);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

PUBLIC CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	struct device *d;
	int r = enter(dev, &d);

	if (r)
		return r;
	pthread_mutex_lock(&d->lock);
	if (!d->retained) {
		r = CUDA_ERROR_INVALID_CONTEXT;
	} else if (!--d->retained && d->active) {
		atomic_store(&d->primary->state, CUDA_ERROR_CONTEXT_IS_DESTROYED);
		range_remove_ctx_device(d->primary);
		r = pvgpu_do_ctx_destroy(session(), d->primary->o.wire);
		deactivate(d);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

PUBLIC CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
	return cuDevicePrimaryCtxRelease_v2(dev);
}

PUBLIC CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
	struct device *d;
	int r = enter(dev, &d);

	if (r)
		return r;
	pthread_mutex_lock(&d->lock);
	if (d->active) {
		atomic_store(&d->primary->state, CUDA_ERROR_CONTEXT_IS_DESTROYED);
		range_remove_ctx_device(d->primary);
		r = pvgpu_do_ctx_primary_reset(session(), d->wire);
		deactivate(d);
	}
	d->primary_flags = 0;
	pthread_mutex_unlock(&d->lock);
	return r;
}

PUBLIC CUresult cuDevicePrimaryCtxReset(CUdevice dev)
{
	return cuDevicePrimaryCtxReset_v2(dev);
}

PUBLIC CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
	struct device *d;
	const int r = enter(dev, &d);

	if (r)
		return r;
	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&d->lock);
	*active = d->active;
	*flags = d->primary_flags;
	pthread_mutex_unlock(&d->lock);
	return CUDA_SUCCESS;
}

/* A primary context maps host memory always: that is no flag to be set. */
static int set_flags(CUdevice dev, unsigned int flags, bool while_active)
{
	struct device *d;
	int r = enter(dev, &d);

	if (r)
		return r;
	if (!ctx_flags_valid(flags) || flags & CU_CTX_MAP_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&d->lock);
	if (d->active && !while_active)
		r = CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE;
	else
		d->primary_flags = flags;
	if (d->active && while_active)
		atomic_store(&d->primary->flags, flags | CU_CTX_MAP_HOST);
	pthread_mutex_unlock(&d->lock);
	return r;
}

PUBLIC CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
	return set_flags(dev, flags, true);
}

/* The first revision refuses to change the flags of an active context. */
PUBLIC CUresult cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned int flags)
{
	return set_flags(dev, flags, false);
}
