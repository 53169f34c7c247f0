/* SPDX-License-Identifier: MIT */
/*
 * First revisions of calls whose arguments never changed: the same as the newest. Those that took
 * 32-bit addresses are in refused.h.
 */
#include "tests/simcuda/driver/sim.h"

API(cuCtxCreate, CUcontext *ctx, unsigned int flags, CUdevice dev)
{
	return cuCtxCreate_v2(ctx, flags, dev);
}

API(cuCtxDestroy, CUcontext ctx)
{
	return cuCtxDestroy_v2(ctx);
}

API(cuCtxPushCurrent, CUcontext ctx)
{
	return cuCtxPushCurrent_v2(ctx);
}

API(cuCtxPopCurrent, CUcontext *ctx)
{
	return cuCtxPopCurrent_v2(ctx);
}

API(cuDevicePrimaryCtxRelease, CUdevice dev)
{
	return cuDevicePrimaryCtxRelease_v2(dev);
}

API(cuDevicePrimaryCtxReset, CUdevice dev)
{
	return cuDevicePrimaryCtxReset_v2(dev);
}

API(cuEventDestroy, CUevent event)
{
	return cuEventDestroy_v2(event);
}

API(cuStreamDestroy, CUstream stream)
{
	return cuStreamDestroy_v2(stream);
}

API(cuMemHostRegister, void *p, size_t size, unsigned int flags)
{
	return cuMemHostRegister_v2(p, size, flags);
}
