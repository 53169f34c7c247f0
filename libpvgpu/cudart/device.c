/* SPDX-License-Identifier: MIT */
/*
 * Devices and contexts. A thread works on the context that is current in the driver; one that has
 * none gets the primary context of the device that it chose, or of the first.
 */
#include "cudart/rt.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DEVICES_MAX = 64 };

/* cudaDeviceReset() makes every thread take its context anew. */
static atomic_uint resets;
static __thread struct {
	int device;
	CUcontext ctx; /* that was made current here */
	unsigned int resets;
} self;

static struct {
	pthread_mutex_t lock;
	CUcontext ctx[DEVICES_MAX]; /* retained */
} primary = {.lock = PTHREAD_MUTEX_INITIALIZER};

CUresult rt_primary(CUdevice dev, CUcontext *ctx)
{
	CUresult r = CUDA_SUCCESS;

	if (dev < 0 || dev >= DEVICES_MAX)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&primary.lock);
	if (!primary.ctx[dev])
		r = rt_cu.cuDevicePrimaryCtxRetain(&primary.ctx[dev], dev);
	if (!r)
		*ctx = primary.ctx[dev];
	else
		primary.ctx[dev] = NULL;
	pthread_mutex_unlock(&primary.lock);
	return r;
}

static cudaError_t attach(int ordinal)
{
	cudaError_t e;
	CUcontext ctx;
	CUdevice dev;
	CUresult r;

	e = rt_device(ordinal, &dev);
	if (e)
		return e;
	r = rt_primary(dev, &ctx);
	if (!r)
		r = rt_cu.cuCtxSetCurrent(ctx);
	if (!r) {
		self.ctx = ctx;
		self.resets = atomic_load(&resets);
	}
	return rt_error(r);
}

cudaError_t rt_enter(void)
{
	const cudaError_t e = rt_driver_load();
	CUcontext c;

	if (e)
		return e;
	if (!rt_cu.cuCtxGetCurrent(&c) && c &&
	    (c != self.ctx || self.resets == atomic_load(&resets)))
		return cudaSuccess;
	return attach(self.device);
}

cudaError_t rt_device(int ordinal, CUdevice *dev)
{
	cudaError_t e = rt_driver();
	int count;

	if (e)
		return e;
	e = rt_error(rt_cu.cuDeviceGetCount(&count));
	if (e)
		return e;
	if (!count)
		return cudaErrorNoDevice;
	if (ordinal < 0 || ordinal >= count)
		return cudaErrorInvalidDevice;
	return rt_error(rt_cu.cuDeviceGet(dev, ordinal));
}

CUdevice rt_current_device(void)
{
	CUdevice dev;

	return rt_cu.cuCtxGetDevice(&dev) ? 0 : dev;
}

CUcontext rt_context(void)
{
	CUcontext c;

	return rt_cu.cuCtxGetCurrent(&c) ? NULL : c;
}

RT_API(cudaGetDeviceCount, int *count)
{
	cudaError_t e;

	if (!count)
		return rt_fail(cudaErrorInvalidValue);
	*count = 0;
	e = rt_driver();
	if (!e)
		e = rt_error(rt_cu.cuDeviceGetCount(count));
	if (!e && !*count)
		e = cudaErrorNoDevice;
	return rt_fail(e);
}

RT_API(cudaGetDevice, int *device)
{
	cudaError_t e = rt_driver();
	CUcontext c;

	if (e)
		return rt_fail(e);
	if (!device)
		return rt_fail(cudaErrorInvalidValue);
	if (!rt_cu.cuCtxGetCurrent(&c) && c && c != self.ctx)
		return rt_result(rt_cu.cuCtxGetDevice(device));
	*device = self.device;
	return cudaSuccess;
}

RT_API(cudaSetDevice, int device)
{
	const cudaError_t e = attach(device);

	if (!e)
		self.device = device;
	return rt_fail(e);
}

/* The list of cudaSetValidDevices() is a hint for threads that choose none: the first is taken. */
RT_API(cudaSetValidDevices, int *devices, int count)
{
	cudaError_t e = count < 0 || (count && !devices) ? cudaErrorInvalidValue : cudaSuccess;
	CUdevice dev;

	for (int i = 0; !e && i < count; i++)
		e = rt_device(devices[i], &dev);
	if (!e)
		self.device = count ? devices[0] : 0;
	return rt_fail(e);
}

/* Host memory can always be mapped; the driver takes that flag for no primary context. */
static CUresult set_flags(CUdevice dev, unsigned int flags)
{
	return rt_cu.cuDevicePrimaryCtxSetFlags_v2(dev, flags & ~(unsigned int)cudaDeviceMapHost);
}

RT_API(cudaInitDevice, int device, unsigned int flags, unsigned int device_flags)
{
	const unsigned int set = 1; /* device_flags are meant */
	CUcontext ctx;
	cudaError_t e;
	CUdevice dev;
	CUresult r = CUDA_SUCCESS;

	if (flags & ~set)
		return rt_fail(cudaErrorInvalidValue);
	e = rt_device(device, &dev);
	if (e)
		return rt_fail(e);
	if (flags & set)
		r = set_flags(dev, device_flags);
	if (!r)
		r = rt_primary(dev, &ctx);
	return rt_result(r);
}

RT_API(cudaSetDeviceFlags, unsigned int flags)
{
	cudaError_t e;
	CUdevice dev;

	e = rt_device(self.device, &dev);
	return rt_fail(e ? e : rt_error(set_flags(dev, flags)));
}

RT_API(cudaGetDeviceFlags, unsigned int *flags)
{
	cudaError_t e;
	CUcontext c;
	CUdevice dev;
	int active;

	e = rt_device(self.device, &dev);
	if (!e && !flags)
		e = cudaErrorInvalidValue;
	if (e)
		return rt_fail(e);
	if (!rt_cu.cuCtxGetCurrent(&c) && c)
		return rt_result(rt_cu.cuCtxGetFlags(flags));
	return rt_result(rt_cu.cuDevicePrimaryCtxGetState(dev, flags, &active));
}

RT_API(cudaDeviceSynchronize, void)
{
	RT_THROUGH(cuCtxSynchronize());
}

RT_API(cudaDeviceReset, void)
{
	cudaError_t e;
	CUdevice dev;
	CUresult r;

	e = rt_device(self.device, &dev);
	if (e)
		return rt_fail(e);
	pthread_mutex_lock(&primary.lock);
	r = rt_cu.cuDevicePrimaryCtxReset_v2(dev);
	primary.ctx[dev] = NULL;
	atomic_fetch_add(&resets, 1);
	pthread_mutex_unlock(&primary.lock);
	rt_cu.cuCtxSetCurrent(NULL);
	return rt_result(r);
}

RT_API(cudaDeviceGetAttribute, int *value, enum cudaDeviceAttr attr, int device)
{
	cudaError_t e;
	CUdevice dev;

	e = rt_device(device, &dev);
	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetAttribute(value, (int)attr, dev)));
}

RT_API(cudaDeviceGetPCIBusId, char *id, int len, int device)
{
	cudaError_t e;
	CUdevice dev;

	e = rt_device(device, &dev);
	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetPCIBusId(id, len, dev)));
}

RT_API(cudaDeviceGetByPCIBusId, int *device, const char *id)
{
	const cudaError_t e = rt_driver();
	CUdevice dev;
	CUresult r;

	if (e || !device || !id)
		return rt_fail(e ? e : cudaErrorInvalidValue);
	r = rt_cu.cuDeviceGetByPCIBusId(&dev, id);
	if (!r)
		*device = dev;
	return rt_result(r);
}

RT_API(cudaDeviceCanAccessPeer, int *can, int device, int peer)
{
	CUdevice a, b;
	cudaError_t e;

	e = rt_device(device, &a);
	if (!e)
		e = rt_device(peer, &b);
	if (!e && !can)
		e = cudaErrorInvalidValue;
	if (e)
		return rt_fail(e);
	if (a == b) {
		*can = 0;
		return cudaSuccess;
	}
	return rt_result(rt_cu.cuDeviceCanAccessPeer(can, a, b));
}

static cudaError_t peer_context(int device, CUcontext *ctx)
{
	cudaError_t e = rt_enter();
	CUdevice dev;

	if (!e)
		e = rt_device(device, &dev);
	if (!e && dev == rt_current_device())
		e = cudaErrorInvalidDevice;
	return e ? e : rt_error(rt_primary(dev, ctx));
}

RT_API(cudaDeviceEnablePeerAccess, int device, unsigned int flags)
{
	CUcontext ctx;
	const cudaError_t e = peer_context(device, &ctx);

	return rt_fail(e ? e : rt_error(rt_cu.cuCtxEnablePeerAccess(ctx, flags)));
}

RT_API(cudaDeviceDisablePeerAccess, int device)
{
	CUcontext ctx;
	const cudaError_t e = peer_context(device, &ctx);

	return rt_fail(e ? e : rt_error(rt_cu.cuCtxDisablePeerAccess(ctx)));
}

RT_API(cudaDeviceGetP2PAttribute, int *value, int attr, int from, int to)
{
	CUdevice a, b;
	cudaError_t e;

	e = rt_device(from, &a);
	if (!e)
		e = rt_device(to, &b);
	return rt_fail(e ? e : rt_error(rt_cu.cuDeviceGetP2PAttribute(value, attr, a, b)));
}
