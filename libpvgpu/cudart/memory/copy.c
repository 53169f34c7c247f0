/* SPDX-License-Identifier: MIT */
/* Copies of bytes. */
#include "cudart/rt.h"

cudaError_t rt_copy_async(CUdeviceptr dst, CUdeviceptr src, size_t bytes, enum cudaMemcpyKind kind,
			  cudaStream_t stream)
{
	if (!bytes)
		return cudaSuccess;
	switch (kind) {
	case cudaMemcpyHostToDevice:
		return rt_error(
			rt_cu.cuMemcpyHtoDAsync_v2(dst, (void *)(uintptr_t)src, bytes, stream));
	case cudaMemcpyDeviceToHost:
		return rt_error(
			rt_cu.cuMemcpyDtoHAsync_v2((void *)(uintptr_t)dst, src, bytes, stream));
	case cudaMemcpyDeviceToDevice:
		return rt_error(rt_cu.cuMemcpyDtoDAsync_v2(dst, src, bytes, stream));
	case cudaMemcpyHostToHost:
	case cudaMemcpyDefault:
		return rt_error(rt_cu.cuMemcpyAsync(dst, src, bytes, stream));
	default:
		return cudaErrorInvalidMemcpyDirection;
	}
}

/* On the thread's own stream: as a copy in that stream, waited for. */
static cudaError_t copy_own(CUdeviceptr dst, CUdeviceptr src, size_t bytes,
			    enum cudaMemcpyKind kind)
{
	const cudaError_t e = rt_copy_async(dst, src, bytes, kind, cudaStreamPerThread);

	if (e || kind == cudaMemcpyDeviceToDevice)
		return e;
	return rt_error(rt_cu.cuStreamSynchronize(cudaStreamPerThread));
}

cudaError_t rt_copy(bool own, CUdeviceptr dst, CUdeviceptr src, size_t bytes,
		    enum cudaMemcpyKind kind)
{
	if (own)
		return copy_own(dst, src, bytes, kind);
	if (!bytes)
		return cudaSuccess;
	switch (kind) {
	case cudaMemcpyHostToDevice:
		return rt_error(rt_cu.cuMemcpyHtoD_v2(dst, (void *)(uintptr_t)src, bytes));
	case cudaMemcpyDeviceToHost:
		return rt_error(rt_cu.cuMemcpyDtoH_v2((void *)(uintptr_t)dst, src, bytes));
	case cudaMemcpyDeviceToDevice:
		return rt_error(rt_cu.cuMemcpyDtoD_v2(dst, src, bytes));
	case cudaMemcpyHostToHost:
	case cudaMemcpyDefault:
		return rt_error(rt_cu.cuMemcpy(dst, src, bytes));
	default:
		return cudaErrorInvalidMemcpyDirection;
	}
}

RT_DEFAULT(cudaMemcpy, (void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind),
	   (dst, src, bytes, kind))
{
	RT_ENTER();
	return rt_fail(rt_copy(own, rt_addr(dst), rt_addr(src), bytes, kind));
}

RT_STREAM(cudaMemcpyAsync,
	  (void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, src, bytes, kind, stream))
{
	RT_ENTER();
	return rt_fail(rt_copy_async(rt_addr(dst), rt_addr(src), bytes, kind, stream));
}

static cudaError_t both(int dst, int src, CUcontext *to, CUcontext *from)
{
	cudaError_t e = rt_enter();
	CUdevice a, b;

	if (!e)
		e = rt_device(dst, &a);
	if (!e)
		e = rt_device(src, &b);
	if (!e)
		e = rt_error(rt_primary(a, to));
	return e ? e : rt_error(rt_primary(b, from));
}

RT_API(cudaMemcpyPeer, void *dst, int dst_device, const void *src, int src_device, size_t bytes)
{
	CUcontext to, from;
	const cudaError_t e = both(dst_device, src_device, &to, &from);

	if (e || !bytes)
		return rt_fail(e);
	return rt_result(rt_cu.cuMemcpyPeer(rt_addr(dst), to, rt_addr(src), from, bytes));
}

RT_API(cudaMemcpyPeerAsync, void *dst, int dst_device, const void *src, int src_device,
       size_t bytes, cudaStream_t stream)
{
	CUcontext to, from;
	const cudaError_t e = both(dst_device, src_device, &to, &from);

	if (e || !bytes)
		return rt_fail(e);
	return rt_result(
		rt_cu.cuMemcpyPeerAsync(rt_addr(dst), to, rt_addr(src), from, bytes, stream));
}
