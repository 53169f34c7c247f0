/* SPDX-License-Identifier: MIT */
/* Copies of rectangles and boxes. */
#include "cudart/rt.h"

static bool types(enum cudaMemcpyKind kind, CUmemorytype *src, CUmemorytype *dst)
{
	static const CUmemorytype of[][2] = {
		[cudaMemcpyHostToHost] = {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_HOST},
		[cudaMemcpyHostToDevice] = {CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE},
		[cudaMemcpyDeviceToHost] = {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST},
		[cudaMemcpyDeviceToDevice] = {CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_DEVICE},
		[cudaMemcpyDefault] = {CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_UNIFIED},
	};

	if ((unsigned int)kind > cudaMemcpyDefault)
		return false;
	*src = of[kind][0];
	*dst = of[kind][1];
	return true;
}

/* The driver reads the member that the type names: host and device addresses are both set. */
static cudaError_t rectangle(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
			     size_t width, size_t height, enum cudaMemcpyKind kind,
			     CUDA_MEMCPY2D *out)
{
	*out = (CUDA_MEMCPY2D){
		.srcHost = src,
		.srcDevice = rt_addr(src),
		.srcPitch = src_pitch,
		.dstHost = dst,
		.dstDevice = rt_addr(dst),
		.dstPitch = dst_pitch,
		.WidthInBytes = width,
		.Height = height,
	};
	if (!types(kind, &out->srcMemoryType, &out->dstMemoryType))
		return cudaErrorInvalidMemcpyDirection;
	return width > dst_pitch || width > src_pitch ? cudaErrorInvalidPitchValue : cudaSuccess;
}

static cudaError_t run2d(const CUDA_MEMCPY2D *c, bool async, cudaStream_t stream)
{
	if (!c->WidthInBytes || !c->Height)
		return cudaSuccess;
	return rt_result(async ? rt_cu.cuMemcpy2DAsync_v2(c, stream)
			       : rt_cu.cuMemcpy2DUnaligned_v2(c));
}

/* After a copy in the thread's own stream that its caller expects to have ended. */
static cudaError_t settle(cudaError_t e, bool own)
{
	return e || !own ? e : rt_result(rt_cu.cuStreamSynchronize(cudaStreamPerThread));
}

RT_DEFAULT(cudaMemcpy2D,
	   (void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width,
	    size_t height, enum cudaMemcpyKind kind),
	   (dst, dst_pitch, src, src_pitch, width, height, kind))
{
	CUDA_MEMCPY2D c;
	cudaError_t e;

	RT_ENTER();
	e = rectangle(dst, dst_pitch, src, src_pitch, width, height, kind, &c);
	return e ? rt_fail(e) : settle(run2d(&c, own, cudaStreamPerThread), own);
}

RT_STREAM(cudaMemcpy2DAsync,
	  (void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width,
	   size_t height, enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, dst_pitch, src, src_pitch, width, height, kind, stream))
{
	CUDA_MEMCPY2D c;
	cudaError_t e;

	RT_ENTER();
	e = rectangle(dst, dst_pitch, src, src_pitch, width, height, kind, &c);
	return e ? rt_fail(e) : run2d(&c, true, stream);
}

/* Widths and x are elements as soon as an array takes part, else bytes. */
static cudaError_t element(const struct cudaMemcpy3DParms *p, size_t *bytes)
{
	*bytes = 1;
	if (p->srcArray)
		return rt_array_element(p->srcArray, bytes);
	return p->dstArray ? rt_array_element(p->dstArray, bytes) : cudaSuccess;
}

cudaError_t rt_box(const struct cudaMemcpy3DParms *p, CUDA_MEMCPY3D *out)
{
	cudaError_t e;
	size_t size;

	if (!!p->srcArray + !!p->srcPtr.ptr != 1 || !!p->dstArray + !!p->dstPtr.ptr != 1)
		return cudaErrorInvalidValue;
	e = element(p, &size);
	if (e)
		return e;
	*out = (CUDA_MEMCPY3D){
		.srcXInBytes = p->srcPos.x * (p->srcArray ? size : 1),
		.srcY = p->srcPos.y,
		.srcZ = p->srcPos.z,
		.srcHost = p->srcPtr.ptr,
		.srcDevice = rt_addr(p->srcPtr.ptr),
		.srcArray = (CUarray)p->srcArray,
		.srcPitch = p->srcPtr.pitch,
		.srcHeight = p->srcPtr.ysize,
		.dstXInBytes = p->dstPos.x * (p->dstArray ? size : 1),
		.dstY = p->dstPos.y,
		.dstZ = p->dstPos.z,
		.dstHost = p->dstPtr.ptr,
		.dstDevice = rt_addr(p->dstPtr.ptr),
		.dstArray = (CUarray)p->dstArray,
		.dstPitch = p->dstPtr.pitch,
		.dstHeight = p->dstPtr.ysize,
		.WidthInBytes = p->extent.width * size,
		.Height = p->extent.height,
		.Depth = p->extent.depth,
	};
	if (!types(p->kind, &out->srcMemoryType, &out->dstMemoryType))
		return cudaErrorInvalidMemcpyDirection;
	if (p->srcArray)
		out->srcMemoryType = CU_MEMORYTYPE_ARRAY;
	else if (out->WidthInBytes > p->srcPtr.pitch)
		return cudaErrorInvalidPitchValue;
	if (p->dstArray)
		out->dstMemoryType = CU_MEMORYTYPE_ARRAY;
	else if (out->WidthInBytes > p->dstPtr.pitch)
		return cudaErrorInvalidPitchValue;
	return cudaSuccess;
}

static enum cudaMemcpyKind kind_of(CUmemorytype src, CUmemorytype dst)
{
	if (src == CU_MEMORYTYPE_UNIFIED || dst == CU_MEMORYTYPE_UNIFIED)
		return cudaMemcpyDefault;
	if (src == CU_MEMORYTYPE_HOST)
		return dst == CU_MEMORYTYPE_HOST ? cudaMemcpyHostToHost : cudaMemcpyHostToDevice;
	return dst == CU_MEMORYTYPE_HOST ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice;
}

void rt_unbox(const CUDA_MEMCPY3D *c, struct cudaMemcpy3DParms *p)
{
	const bool from_host = c->srcMemoryType == CU_MEMORYTYPE_HOST;
	const bool to_host = c->dstMemoryType == CU_MEMORYTYPE_HOST;
	const bool array = c->srcArray || c->dstArray;
	size_t size = 1;

	*p = (struct cudaMemcpy3DParms){
		.srcArray = (cudaArray_t)c->srcArray,
		.srcPtr = {from_host ? (void *)(uintptr_t)c->srcHost
				     : (void *)(uintptr_t)c->srcDevice,
			   c->srcPitch, c->srcPitch, c->srcHeight},
		.dstArray = (cudaArray_t)c->dstArray,
		.dstPtr = {to_host ? c->dstHost : (void *)(uintptr_t)c->dstDevice, c->dstPitch,
			   c->dstPitch, c->dstHeight},
		.kind = kind_of(c->srcMemoryType, c->dstMemoryType),
	};
	if (array && element(p, &size))
		size = 1;
	p->srcPos = (struct cudaPos){c->srcXInBytes / (p->srcArray ? size : 1), c->srcY, c->srcZ};
	p->dstPos = (struct cudaPos){c->dstXInBytes / (p->dstArray ? size : 1), c->dstY, c->dstZ};
	p->extent = (struct cudaExtent){c->WidthInBytes / size, c->Height, c->Depth};
}

static cudaError_t run3d(const struct cudaMemcpy3DParms *copy, bool async, cudaStream_t stream)
{
	CUDA_MEMCPY3D c;
	cudaError_t e;

	RT_ENTER();
	if (!copy)
		return rt_fail(cudaErrorInvalidValue);
	e = rt_box(copy, &c);
	if (e)
		return rt_fail(e);
	if (!c.WidthInBytes || !c.Height || !c.Depth)
		return cudaSuccess;
	return rt_result(async ? rt_cu.cuMemcpy3DAsync_v2(&c, stream) : rt_cu.cuMemcpy3D_v2(&c));
}

RT_DEFAULT(cudaMemcpy3D, (const struct cudaMemcpy3DParms *copy), (copy))
{
	return settle(run3d(copy, own, cudaStreamPerThread), own);
}

RT_STREAM(cudaMemcpy3DAsync, (const struct cudaMemcpy3DParms *copy, cudaStream_t stream),
	  (copy, stream))
{
	return run3d(copy, true, stream);
}

static cudaError_t peer(const struct cudaMemcpy3DPeerParms *p, bool async, cudaStream_t stream)
{
	CUDA_MEMCPY3D c;
	CUDA_MEMCPY3D_PEER out;
	cudaError_t e;
	CUdevice a, b;

	RT_ENTER();
	if (!p)
		return rt_fail(cudaErrorInvalidValue);
	e = rt_box(&(struct cudaMemcpy3DParms){p->srcArray, p->srcPos, p->srcPtr, p->dstArray,
					       p->dstPos, p->dstPtr, p->extent, cudaMemcpyDefault},
		   &c);
	if (!e)
		e = rt_device(p->srcDevice, &a);
	if (!e)
		e = rt_device(p->dstDevice, &b);
	if (e)
		return rt_fail(e);
	out = (CUDA_MEMCPY3D_PEER){
		c.srcXInBytes,   c.srcY,        c.srcZ,         0,          c.srcMemoryType,
		c.srcHost,       c.srcDevice,   c.srcArray,     NULL,       c.srcPitch,
		c.srcHeight,     c.dstXInBytes, c.dstY,         c.dstZ,     0,
		c.dstMemoryType, c.dstHost,     c.dstDevice,    c.dstArray, NULL,
		c.dstPitch,      c.dstHeight,   c.WidthInBytes, c.Height,   c.Depth,
	};
	e = rt_error(rt_primary(a, &out.srcContext));
	if (!e)
		e = rt_error(rt_primary(b, &out.dstContext));
	if (e)
		return rt_fail(e);
	return rt_result(async ? rt_cu.cuMemcpy3DPeerAsync(&out, stream)
			       : rt_cu.cuMemcpy3DPeer(&out));
}

RT_DEFAULT(cudaMemcpy3DPeer, (const struct cudaMemcpy3DPeerParms *copy), (copy))
{
	return settle(peer(copy, own, cudaStreamPerThread), own);
}

RT_STREAM(cudaMemcpy3DPeerAsync, (const struct cudaMemcpy3DPeerParms *copy, cudaStream_t stream),
	  (copy, stream))
{
	return peer(copy, true, stream);
}
