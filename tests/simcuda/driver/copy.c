/* SPDX-License-Identifier: MIT */
/* Copies: arguments are checked here, the engines copy. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define MAX_PITCH 0x7fffffffull
#define STAGE_MAX (64u << 10) /* pageable sources up to this size are staged at once */

static size_t plane(size_t rows, size_t pitch, size_t width)
{
	return rows ? (rows - 1) * pitch + width : 0;
}

/* Bytes from the first to one past the last that is touched. */
static size_t extent(const struct copy_op *c, size_t pitch, size_t slice)
{
	return c->depth ? (c->depth - 1) * slice + plane(c->height, pitch, c->width) : 0;
}

static bool known(const void *p, size_t len, bool write)
{
	uint64_t lo, hi;

	return range_check((uintptr_t)p, len, write, &lo, &hi);
}

/* Stages the source of a host-to-device copy, packed. */
static bool stage(struct copy_op *c)
{
	char *packed = malloc(c->width * c->height * c->depth), *p = packed;

	if (!packed)
		return false;
	for (size_t z = 0; z < c->depth; z++)
		for (size_t y = 0; y < c->height; y++, p += c->width)
			memcpy(p, c->src + z * c->sslice + y * c->spitch, c->width);
	c->src = c->staged = packed;
	c->spitch = c->width;
	c->sslice = c->width * c->height;
	return true;
}

/* Runs in the calling thread; the stream is idle. */
static CUresult run_here(struct sim_stream *s, const struct copy_op *c)
{
	struct op *op;

	op = op_new(OP_COPY, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->copy = *c;
	op_run(op);
	free(op->copy.staged);
	free(op);
	return ctx_error(s->ctx);
}

static CUresult push(struct sim_stream *s, const struct copy_op *c, bool wait)
{
	struct op *op = op_new(OP_COPY, s, 0);

	if (!op) {
		free(c->staged);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	op->copy = *c;
	exec_push(op, NULL, wait);
	if (wait) {
		exec_wait(op);
		op_put(op);
		print_flush(s->ctx);
		return ctx_error(s->ctx);
	}
	return CUDA_SUCCESS;
}

/*
 * A copy in an idle stream that the caller waits for, or that is short, is run by the caller: no
 * thread is woken. As with the real driver, pageable memory has been read when an asynchronous copy
 * from it returns, and written when one to it does.
 */
CUresult copy_submit(struct sim_stream *s, const struct copy_op *asked, bool sync)
{
	struct copy_op c = *asked;
	size_t bytes = c.width * c.height * c.depth;
	bool pageable = (!c.from_device && !known(c.src, extent(&c, c.spitch, c.sslice), false)) ||
			(!c.to_device && !known(c.dst, extent(&c, c.dpitch, c.dslice), true));
	struct op probe = {.kind = OP_COPY};

	if (!bytes)
		return CUDA_SUCCESS;
	if (unlikely(sim_collect || s->capture)) {
		if (!sync)
			TRY(capture_check(s));
		return sync ? capture_wait(s) : push(s, &c, false);
	}
	probe.copy = c;
	if (exec_idle(s) && (sync || pageable || op_is_small(&probe))) {
		if (sync)
			print_flush(s->ctx);
		return run_here(s, &c);
	}
	if (sync)
		return push(s, &c, true);
	if (pageable && c.to_device && !c.from_device && bytes <= STAGE_MAX && stage(&c))
		return push(s, &c, false);
	return push(s, &c, pageable);
}

static CUresult check_linear(void *dst, const void *src, size_t n, bool from_device, bool to_device)
{
	if (!n)
		return CUDA_SUCCESS;
	if (!dst || !src || range_leaves_registered((uintptr_t)dst, n) ||
	    range_leaves_registered((uintptr_t)src, n))
		return CUDA_ERROR_INVALID_VALUE;
	if ((from_device && !known(src, n, false)) || (to_device && !known(dst, n, true)))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult linear(struct sim_stream *s, void *dst, const void *src, size_t n, bool from_device,
		       bool to_device, bool sync)
{
	struct copy_op c = {.dst = dst,
			    .src = src,
			    .width = n,
			    .height = 1,
			    .depth = 1,
			    .from_device = from_device,
			    .to_device = to_device};

	TRY(check_linear(dst, src, n, from_device, to_device));
	return copy_submit(s, &c, sync);
}

/* The unified calls take any address; one that CUDA does not know is the host's. */
static bool on_device(const void *p)
{
	struct range r;

	return range_find((uintptr_t)p, &r) && (r.kind == RANGE_DEVICE || r.kind == RANGE_MAPPED);
}

CUresult copy_line(struct sim_stream *s, CUdeviceptr dst, CUdeviceptr src, size_t n, bool run)
{
	void *const to = (void *)dst, *const from = (void *)src;

	if (!run)
		return check_linear(to, from, n, on_device(from), on_device(to));
	return linear(s, to, from, n, on_device(from), on_device(to), false);
}

#define COPY(handle, dst, src, from, to, sync)                                                     \
	do {                                                                                       \
		struct sim_stream *s;                                                              \
		TRY(stream_get(handle, &s));                                                       \
		return linear(s, (void *)(dst), (const void *)(src), n, from, to, sync);           \
	} while (0)

API_PTDS(cuMemcpyHtoD_v2, (CUdeviceptr dst, const void *src, size_t n),
	 (CUdeviceptr dst, const void *src, size_t n, CUstream stream),
	 (dst, src, n, CU_STREAM_LEGACY), (dst, src, n, CU_STREAM_PER_THREAD))
{
	COPY(stream, dst, src, false, true, true);
}

API_PTDS(cuMemcpyDtoH_v2, (void *dst, CUdeviceptr src, size_t n),
	 (void *dst, CUdeviceptr src, size_t n, CUstream stream), (dst, src, n, CU_STREAM_LEGACY),
	 (dst, src, n, CU_STREAM_PER_THREAD))
{
	COPY(stream, dst, src, true, false, true);
}

API_PTDS(cuMemcpyDtoD_v2, (CUdeviceptr dst, CUdeviceptr src, size_t n),
	 (CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, src, n, CU_STREAM_LEGACY), (dst, src, n, CU_STREAM_PER_THREAD))
{
	COPY(stream, dst, src, true, true, true);
}

API_PTDS(cuMemcpy, (CUdeviceptr dst, CUdeviceptr src, size_t n),
	 (CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, src, n, CU_STREAM_LEGACY), (dst, src, n, CU_STREAM_PER_THREAD))
{
	COPY(stream, dst, src, on_device((void *)src), on_device((void *)dst), true);
}

API_PTSZ(cuMemcpyHtoDAsync_v2, (CUdeviceptr dst, const void *src, size_t n, CUstream stream),
	 (dst, src, n, stream))
{
	COPY(stream, dst, src, false, true, false);
}

API_PTSZ(cuMemcpyDtoHAsync_v2, (void *dst, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, src, n, stream))
{
	COPY(stream, dst, src, true, false, false);
}

API_PTSZ(cuMemcpyDtoDAsync_v2, (CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, src, n, stream))
{
	COPY(stream, dst, src, true, true, false);
}

API_PTSZ(cuMemcpyAsync, (CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, src, n, stream))
{
	COPY(stream, dst, src, on_device((void *)src), on_device((void *)dst), false);
}

static bool ctx_is_valid(CUcontext c)
{
	return c && pool_live(&ctx_pool, c);
}

API_PTDS(cuMemcpyPeer,
	 (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t n),
	 (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t n,
	  CUstream stream),
	 (dst, dst_ctx, src, src_ctx, n, CU_STREAM_LEGACY),
	 (dst, dst_ctx, src, src_ctx, n, CU_STREAM_PER_THREAD))
{
	if (!ctx_is_valid(dst_ctx) || !ctx_is_valid(src_ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	COPY(stream, dst, src, true, true, true);
}

API_PTSZ(cuMemcpyPeerAsync,
	 (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t n,
	  CUstream stream),
	 (dst, dst_ctx, src, src_ctx, n, stream))
{
	if (!ctx_is_valid(dst_ctx) || !ctx_is_valid(src_ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	COPY(stream, dst, src, true, true, false);
}

struct side {
	CUmemorytype type;
	const void *host;
	CUdeviceptr device;
	CUarray array;
	size_t x, y, z, pitch, height;
};

static CUresult array_of(const struct side *s, struct sim_array **a)
{
	return s->array ? array_get(s->array, a) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult resolve_array(const struct side *s, const struct copy_op *c, char **start,
			      size_t *pitch, size_t *slice)
{
	struct sim_array *a;

	TRY(array_of(s, &a));
	if (!a->addr || s->x % a->texel_bytes || c->width % a->texel_bytes || s->x > a->row_bytes ||
	    c->width > a->row_bytes - s->x || s->y > a->rows || c->height > a->rows - s->y ||
	    s->z > a->slices || c->depth > a->slices - s->z)
		return CUDA_ERROR_INVALID_VALUE;
	*pitch = a->pitch;
	*slice = a->slice;
	*start = (char *)a->addr + s->z * a->slice + s->y * a->pitch + s->x;
	return CUDA_SUCCESS;
}

/* The first byte of one side of a box copy, its pitch and slice; checks the side. */
static CUresult resolve(const struct side *s, const struct copy_op *c, bool write, char **start,
			size_t *pitch, size_t *slice, bool *device)
{
	size_t p = s->pitch, rows = s->height, len;
	char *base = (char *)(s->type == CU_MEMORYTYPE_HOST ? s->host : (void *)s->device);

	if (s->type == CU_MEMORYTYPE_ARRAY) {
		*device = true;
		return resolve_array(s, c, start, pitch, slice);
	}
	if (s->type != CU_MEMORYTYPE_HOST && s->type != CU_MEMORYTYPE_DEVICE &&
	    s->type != CU_MEMORYTYPE_UNIFIED)
		return CUDA_ERROR_INVALID_VALUE;
	if (!p && c->height <= 1 && c->depth <= 1)
		p = s->x + c->width;
	if (!rows && c->depth <= 1)
		rows = s->y + c->height;
	if (!base || p > MAX_PITCH || s->x > MAX_PITCH || s->x + c->width > p || rows < c->height ||
	    s->y > rows - c->height || s->z > MAX_PITCH || rows > MAX_PITCH)
		return CUDA_ERROR_INVALID_VALUE;
	*pitch = p;
	*slice = p * rows;
	*device = s->type == CU_MEMORYTYPE_DEVICE ||
		  (s->type == CU_MEMORYTYPE_UNIFIED && on_device(base));
	*start = base + s->z * *slice + s->y * p + s->x;
	len = extent(c, *pitch, *slice);
	if (*device && len && !known(*start, len, write))
		return CUDA_ERROR_INVALID_VALUE;
	if (len && range_leaves_registered((uintptr_t)*start, len))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

enum how { COPY_ASYNC, COPY_SYNC, COPY_CHECK };

static CUresult box(CUstream stream, const struct side *src, const struct side *dst, size_t width,
		    size_t height, size_t depth, enum how how)
{
	struct copy_op c = {.width = width, .height = height, .depth = depth};
	struct sim_stream *s;
	char *from = NULL, *to = NULL;

	TRY(stream_get(stream, &s));
	if (!width || !height || !depth)
		return CUDA_SUCCESS;
	if (width > MAX_PITCH || height > MAX_PITCH || depth > MAX_PITCH)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(resolve(src, &c, false, &from, &c.spitch, &c.sslice, &c.from_device));
	TRY(resolve(dst, &c, true, &to, &c.dpitch, &c.dslice, &c.to_device));
	c.src = from;
	c.dst = to;
	if (c.spitch == width && c.dpitch == width && c.sslice == width * height &&
	    c.dslice == width * height) { /* one piece */
		c.width = width * height * depth;
		c.height = c.depth = 1;
	}
	return how == COPY_CHECK ? CUDA_SUCCESS : copy_submit(s, &c, how == COPY_SYNC);
}

static CUresult copy_2d(CUstream stream, const CUDA_MEMCPY2D *p, enum how how)
{
	struct side src, dst;

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	src = (struct side){
		p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, p->srcXInBytes, p->srcY, 0,
		p->srcPitch,      0};
	dst = (struct side){
		p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, p->dstXInBytes, p->dstY, 0,
		p->dstPitch,      0};
	return box(stream, &src, &dst, p->WidthInBytes, p->Height, 1, how);
}

static CUresult copy_3d(CUstream stream, const CUDA_MEMCPY3D *p, enum how how)
{
	struct side src, dst;

	if (!p || p->srcLOD || p->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	src = (struct side){p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, p->srcXInBytes,
			    p->srcY,          p->srcZ,    p->srcPitch,  p->srcHeight};
	dst = (struct side){p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, p->dstXInBytes,
			    p->dstY,          p->dstZ,    p->dstPitch,  p->dstHeight};
	return box(stream, &src, &dst, p->WidthInBytes, p->Height, p->Depth, how);
}

static CUresult copy_3d_peer(CUstream stream, const CUDA_MEMCPY3D_PEER *p, enum how how)
{
	struct side src, dst;

	if (!p || p->srcLOD || p->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	/* NVIDIA's own tests name none where the primary context is not retained. */
	if ((p->srcContext && !ctx_is_valid(p->srcContext)) ||
	    (p->dstContext && !ctx_is_valid(p->dstContext)))
		return CUDA_ERROR_INVALID_CONTEXT;
	src = (struct side){p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, p->srcXInBytes,
			    p->srcY,          p->srcZ,    p->srcPitch,  p->srcHeight};
	dst = (struct side){p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, p->dstXInBytes,
			    p->dstY,          p->dstZ,    p->dstPitch,  p->dstHeight};
	return box(stream, &src, &dst, p->WidthInBytes, p->Height, p->Depth, how);
}

/* One side is an array of one dimension, and so may be the other. */
static CUresult array_copy(CUstream stream, struct side dst, struct side src, size_t n,
			   enum how how)
{
	struct sim_array *a;

	for (int i = 0; i < 2; i++) {
		const struct side *s = i ? &src : &dst;

		if (s->type != CU_MEMORYTYPE_ARRAY)
			continue;
		TRY(array_of(s, &a));
		if (a->desc.Height || a->desc.Depth)
			return CUDA_ERROR_INVALID_VALUE;
	}
	return box(stream, &src, &dst, n, 1, 1, how);
}

#define IN_ARRAY(a, offset) ((struct side){.type = CU_MEMORYTYPE_ARRAY, .array = a, .x = offset})
#define ON_HOST(p)          ((struct side){.type = CU_MEMORYTYPE_HOST, .host = p})
#define ON_DEVICE(p)        ((struct side){.type = CU_MEMORYTYPE_DEVICE, .device = p})

API_PTDS(cuMemcpyHtoA_v2, (CUarray dst, size_t at, const void *src, size_t n),
	 (CUarray dst, size_t at, const void *src, size_t n, CUstream stream),
	 (dst, at, src, n, CU_STREAM_LEGACY), (dst, at, src, n, CU_STREAM_PER_THREAD))
{
	return array_copy(stream, IN_ARRAY(dst, at), ON_HOST(src), n, COPY_SYNC);
}

API_PTDS(cuMemcpyAtoH_v2, (void *dst, CUarray src, size_t at, size_t n),
	 (void *dst, CUarray src, size_t at, size_t n, CUstream stream),
	 (dst, src, at, n, CU_STREAM_LEGACY), (dst, src, at, n, CU_STREAM_PER_THREAD))
{
	return array_copy(stream, ON_HOST(dst), IN_ARRAY(src, at), n, COPY_SYNC);
}

API_PTDS(cuMemcpyDtoA_v2, (CUarray dst, size_t at, CUdeviceptr src, size_t n),
	 (CUarray dst, size_t at, CUdeviceptr src, size_t n, CUstream stream),
	 (dst, at, src, n, CU_STREAM_LEGACY), (dst, at, src, n, CU_STREAM_PER_THREAD))
{
	return array_copy(stream, IN_ARRAY(dst, at), ON_DEVICE(src), n, COPY_SYNC);
}

API_PTDS(cuMemcpyAtoD_v2, (CUdeviceptr dst, CUarray src, size_t at, size_t n),
	 (CUdeviceptr dst, CUarray src, size_t at, size_t n, CUstream stream),
	 (dst, src, at, n, CU_STREAM_LEGACY), (dst, src, at, n, CU_STREAM_PER_THREAD))
{
	return array_copy(stream, ON_DEVICE(dst), IN_ARRAY(src, at), n, COPY_SYNC);
}

API_PTDS(cuMemcpyAtoA_v2, (CUarray dst, size_t to, CUarray src, size_t from, size_t n),
	 (CUarray dst, size_t to, CUarray src, size_t from, size_t n, CUstream stream),
	 (dst, to, src, from, n, CU_STREAM_LEGACY), (dst, to, src, from, n, CU_STREAM_PER_THREAD))
{
	return array_copy(stream, IN_ARRAY(dst, to), IN_ARRAY(src, from), n, COPY_SYNC);
}

API_PTSZ(cuMemcpyHtoAAsync_v2, (CUarray dst, size_t at, const void *src, size_t n, CUstream stream),
	 (dst, at, src, n, stream))
{
	return array_copy(stream, IN_ARRAY(dst, at), ON_HOST(src), n, COPY_ASYNC);
}

API_PTSZ(cuMemcpyAtoHAsync_v2, (void *dst, CUarray src, size_t at, size_t n, CUstream stream),
	 (dst, src, at, n, stream))
{
	return array_copy(stream, ON_HOST(dst), IN_ARRAY(src, at), n, COPY_ASYNC);
}

#define BOX_SYNC(name, type, fn)                                                                   \
	API_PTDS(name, (const type *p), (const type *p, CUstream stream), (p, CU_STREAM_LEGACY),   \
		 (p, CU_STREAM_PER_THREAD))                                                        \
	{                                                                                          \
		return fn(stream, p, COPY_SYNC);                                                   \
	}
#define BOX_ASYNC(name, type, fn)                                                                  \
	API_PTSZ(name, (const type *p, CUstream stream), (p, stream))                              \
	{                                                                                          \
		return fn(stream, p, COPY_ASYNC);                                                  \
	}

CUresult copy_box(CUstream stream, const CUDA_MEMCPY3D *p, bool run)
{
	return copy_3d(stream, p, run ? COPY_ASYNC : COPY_CHECK);
}

BOX_SYNC(cuMemcpy2D_v2, CUDA_MEMCPY2D, copy_2d)
BOX_SYNC(cuMemcpy2DUnaligned_v2, CUDA_MEMCPY2D, copy_2d)
BOX_SYNC(cuMemcpy3D_v2, CUDA_MEMCPY3D, copy_3d)
BOX_SYNC(cuMemcpy3DPeer, CUDA_MEMCPY3D_PEER, copy_3d_peer)
BOX_ASYNC(cuMemcpy2DAsync_v2, CUDA_MEMCPY2D, copy_2d)
BOX_ASYNC(cuMemcpy3DAsync_v2, CUDA_MEMCPY3D, copy_3d)
BOX_ASYNC(cuMemcpy3DPeerAsync, CUDA_MEMCPY3D_PEER, copy_3d_peer)
