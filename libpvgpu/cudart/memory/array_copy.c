/* SPDX-License-Identifier: MIT */
/* Copies of rectangles to and from arrays. Offsets and widths are bytes here. */
#include "cudart/rt.h"

/* One side of a copy. */
struct side {
	cudaArray_const_t array; /* or memory */
	const void *ptr;
	size_t pitch, x, y;
};

static CUmemorytype type_of(const struct side *s, bool host, bool unified)
{
	if (s->array)
		return CU_MEMORYTYPE_ARRAY;
	return unified ? CU_MEMORYTYPE_UNIFIED : host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

static cudaError_t copy(struct side dst, struct side src, size_t width, size_t height,
			enum cudaMemcpyKind kind, bool async, cudaStream_t stream)
{
	const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
	const bool from_host = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
	const bool unified = kind == cudaMemcpyDefault;
	const CUDA_MEMCPY2D c = {
		.srcXInBytes = src.x,
		.srcY = src.y,
		.srcMemoryType = type_of(&src, from_host, unified),
		.srcHost = src.ptr,
		.srcDevice = rt_addr(src.ptr),
		.srcArray = (CUarray)(uintptr_t)src.array,
		.srcPitch = src.pitch,
		.dstXInBytes = dst.x,
		.dstY = dst.y,
		.dstMemoryType = type_of(&dst, to_host, unified),
		.dstHost = (void *)(uintptr_t)rt_addr(dst.ptr),
		.dstDevice = rt_addr(dst.ptr),
		.dstArray = (CUarray)(uintptr_t)dst.array,
		.dstPitch = dst.pitch,
		.WidthInBytes = width,
		.Height = height,
	};

	RT_ENTER();
	if ((unsigned int)kind > cudaMemcpyDefault)
		return rt_fail(cudaErrorInvalidMemcpyDirection);
	if ((src.array && from_host) || (dst.array && to_host))
		return rt_fail(cudaErrorInvalidMemcpyDirection);
	if ((!src.array && width > src.pitch) || (!dst.array && width > dst.pitch))
		return rt_fail(cudaErrorInvalidPitchValue);
	if (!width || !height)
		return cudaSuccess;
	return rt_result(async ? rt_cu.cuMemcpy2DAsync_v2(&c, stream)
			       : rt_cu.cuMemcpy2DUnaligned_v2(&c));
}

static struct side memory(const void *ptr, size_t pitch)
{
	return (struct side){.ptr = ptr, .pitch = pitch};
}

static struct side at(cudaArray_const_t array, size_t x, size_t y)
{
	return (struct side){.array = array, .x = x, .y = y};
}

/* A copy in the thread's own stream is waited for. */
static cudaError_t waited(cudaError_t e, bool own)
{
	return e || !own ? e : rt_result(rt_cu.cuStreamSynchronize(cudaStreamPerThread));
}

static cudaError_t copy_now(struct side dst, struct side src, size_t width, size_t height,
			    enum cudaMemcpyKind kind, bool own)
{
	return waited(copy(dst, src, width, height, kind, own, cudaStreamPerThread), own);
}

RT_DEFAULT(cudaMemcpy2DToArray,
	   (cudaArray_t dst, size_t x, size_t y, const void *src, size_t pitch, size_t width,
	    size_t height, enum cudaMemcpyKind kind),
	   (dst, x, y, src, pitch, width, height, kind))
{
	return copy_now(at(dst, x, y), memory(src, pitch), width, height, kind, own);
}

RT_STREAM(cudaMemcpy2DToArrayAsync,
	  (cudaArray_t dst, size_t x, size_t y, const void *src, size_t pitch, size_t width,
	   size_t height, enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, x, y, src, pitch, width, height, kind, stream))
{
	return copy(at(dst, x, y), memory(src, pitch), width, height, kind, true, stream);
}

RT_DEFAULT(cudaMemcpy2DFromArray,
	   (void *dst, size_t pitch, cudaArray_const_t src, size_t x, size_t y, size_t width,
	    size_t height, enum cudaMemcpyKind kind),
	   (dst, pitch, src, x, y, width, height, kind))
{
	return copy_now(memory(dst, pitch), at(src, x, y), width, height, kind, own);
}

RT_STREAM(cudaMemcpy2DFromArrayAsync,
	  (void *dst, size_t pitch, cudaArray_const_t src, size_t x, size_t y, size_t width,
	   size_t height, enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, pitch, src, x, y, width, height, kind, stream))
{
	return copy(memory(dst, pitch), at(src, x, y), width, height, kind, true, stream);
}

RT_DEFAULT(cudaMemcpy2DArrayToArray,
	   (cudaArray_t dst, size_t dst_x, size_t dst_y, cudaArray_const_t src, size_t src_x,
	    size_t src_y, size_t width, size_t height, enum cudaMemcpyKind kind),
	   (dst, dst_x, dst_y, src, src_x, src_y, width, height, kind))
{
	return copy_now(at(dst, dst_x, dst_y), at(src, src_x, src_y), width, height, kind, own);
}

/* ---- bytes that go on in the next row ---- */

/* Bytes from the side's place to the end of its row; of memory, which has none, all there are. */
static cudaError_t row_of(const struct side *s, size_t *row)
{
	struct cudaExtent extent;
	size_t element;
	cudaError_t e;

	*row = SIZE_MAX;
	if (!s->array)
		return cudaSuccess;
	e = rt_array_element(s->array, &element);
	if (!e)
		e = cudaArrayGetInfo(NULL, &extent, NULL, (cudaArray_t)(uintptr_t)s->array);
	if (!e)
		*row = extent.width * element;
	return e || s->x < *row ? e : cudaErrorInvalidValue;
}

static void advance(struct side *s, size_t row, size_t width, size_t height)
{
	const bool ends = s->x + width == row;

	if (!s->array) {
		s->ptr = (const char *)s->ptr + width * height;
		return;
	}
	s->y += height - 1 + ends;
	s->x = ends ? 0 : s->x + width;
}

static size_t less(size_t a, size_t b)
{
	return a < b ? a : b;
}

static cudaError_t run(struct side dst, struct side src, size_t count, enum cudaMemcpyKind kind,
		       bool async, cudaStream_t stream)
{
	size_t dst_row, src_row;
	cudaError_t e;

	RT_ENTER();
	e = row_of(&dst, &dst_row);
	if (!e)
		e = row_of(&src, &src_row);
	while (!e && count) {
		const size_t row = less(dst_row, src_row);
		const size_t width = less(less(dst_row - dst.x, src_row - src.x), count);
		const bool whole = width == row && !(dst.array && src.array);
		const size_t height = whole ? count / width : 1;

		dst.pitch = src.pitch = width;
		e = copy(dst, src, width, height, kind, async, stream);
		advance(&dst, dst_row, width, height);
		advance(&src, src_row, width, height);
		count -= width * height;
	}
	return rt_fail(e);
}

static cudaError_t run_now(struct side dst, struct side src, size_t count, enum cudaMemcpyKind kind,
			   bool own)
{
	return waited(run(dst, src, count, kind, own, cudaStreamPerThread), own);
}

RT_DEFAULT(cudaMemcpyToArray,
	   (cudaArray_t dst, size_t x, size_t y, const void *src, size_t count,
	    enum cudaMemcpyKind kind),
	   (dst, x, y, src, count, kind))
{
	return run_now(at(dst, x, y), memory(src, 0), count, kind, own);
}

RT_STREAM(cudaMemcpyToArrayAsync,
	  (cudaArray_t dst, size_t x, size_t y, const void *src, size_t count,
	   enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, x, y, src, count, kind, stream))
{
	return run(at(dst, x, y), memory(src, 0), count, kind, true, stream);
}

RT_DEFAULT(cudaMemcpyFromArray,
	   (void *dst, cudaArray_const_t src, size_t x, size_t y, size_t count,
	    enum cudaMemcpyKind kind),
	   (dst, src, x, y, count, kind))
{
	return run_now(memory(dst, 0), at(src, x, y), count, kind, own);
}

RT_STREAM(cudaMemcpyFromArrayAsync,
	  (void *dst, cudaArray_const_t src, size_t x, size_t y, size_t count,
	   enum cudaMemcpyKind kind, cudaStream_t stream),
	  (dst, src, x, y, count, kind, stream))
{
	return run(memory(dst, 0), at(src, x, y), count, kind, true, stream);
}

RT_DEFAULT(cudaMemcpyArrayToArray,
	   (cudaArray_t dst, size_t dst_x, size_t dst_y, cudaArray_const_t src, size_t src_x,
	    size_t src_y, size_t count, enum cudaMemcpyKind kind),
	   (dst, dst_x, dst_y, src, src_x, src_y, count, kind))
{
	return run_now(at(dst, dst_x, dst_y), at(src, src_x, src_y), count, kind, own);
}
