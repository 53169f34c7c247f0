/* SPDX-License-Identifier: MIT */
/* Variables of the device, by the host's name of them. */
#include "cudart/rt.h"

static cudaError_t enter(const void *symbol, CUdeviceptr *addr, size_t *bytes)
{
	const cudaError_t e = rt_enter();

	return e ? e : rt_variable(symbol, addr, bytes);
}

RT_API(cudaGetSymbolAddress, void **ptr, const void *symbol)
{
	CUdeviceptr addr;
	size_t bytes;
	const cudaError_t e = ptr ? enter(symbol, &addr, &bytes) : cudaErrorInvalidValue;

	if (!e)
		*ptr = (void *)(uintptr_t)addr;
	return rt_fail(e);
}

RT_API(cudaGetSymbolSize, size_t *bytes, const void *symbol)
{
	CUdeviceptr addr;

	return rt_fail(bytes ? enter(symbol, &addr, bytes) : cudaErrorInvalidValue);
}

/* Part of a variable; towards says what the kind may be beside DEVICE_TO_DEVICE and DEFAULT. */
static cudaError_t part(const void *symbol, size_t bytes, size_t offset, enum cudaMemcpyKind kind,
			enum cudaMemcpyKind towards, CUdeviceptr *addr)
{
	cudaError_t e;
	size_t size;

	if (kind != towards && kind != cudaMemcpyDeviceToDevice && kind != cudaMemcpyDefault)
		return cudaErrorInvalidMemcpyDirection;
	e = enter(symbol, addr, &size);
	if (e)
		return e;
	if (offset > size || bytes > size - offset)
		return cudaErrorInvalidValue;
	*addr += offset;
	return cudaSuccess;
}

RT_DEFAULT(cudaMemcpyToSymbol,
	   (const void *symbol, const void *src, size_t bytes, size_t offset,
	    enum cudaMemcpyKind kind),
	   (symbol, src, bytes, offset, kind))
{
	CUdeviceptr addr;
	const cudaError_t e = part(symbol, bytes, offset, kind, cudaMemcpyHostToDevice, &addr);

	return rt_fail(e ? e : rt_copy(own, addr, rt_addr(src), bytes, kind));
}

RT_DEFAULT(cudaMemcpyFromSymbol,
	   (void *dst, const void *symbol, size_t bytes, size_t offset, enum cudaMemcpyKind kind),
	   (dst, symbol, bytes, offset, kind))
{
	CUdeviceptr addr;
	const cudaError_t e = part(symbol, bytes, offset, kind, cudaMemcpyDeviceToHost, &addr);

	return rt_fail(e ? e : rt_copy(own, rt_addr(dst), addr, bytes, kind));
}

RT_STREAM(cudaMemcpyToSymbolAsync,
	  (const void *symbol, const void *src, size_t bytes, size_t offset,
	   enum cudaMemcpyKind kind, cudaStream_t stream),
	  (symbol, src, bytes, offset, kind, stream))
{
	CUdeviceptr addr;
	const cudaError_t e = part(symbol, bytes, offset, kind, cudaMemcpyHostToDevice, &addr);

	return rt_fail(e ? e : rt_copy_async(addr, rt_addr(src), bytes, kind, stream));
}

RT_STREAM(cudaMemcpyFromSymbolAsync,
	  (void *dst, const void *symbol, size_t bytes, size_t offset, enum cudaMemcpyKind kind,
	   cudaStream_t stream),
	  (dst, symbol, bytes, offset, kind, stream))
{
	CUdeviceptr addr;
	const cudaError_t e = part(symbol, bytes, offset, kind, cudaMemcpyDeviceToHost, &addr);

	return rt_fail(e ? e : rt_copy_async(rt_addr(dst), addr, bytes, kind, stream));
}
