/* SPDX-License-Identifier: MIT */
/* Linear copies. */
#include "cuda/copy/box.h"
#include "cuda/copy/copy.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/memory_map.h"
#include "cuda/staging/move.h"
#include "cuda/staging/staging.h"
#include "cuda/streams/stream.h"

#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

static bool in_device_window(uint64_t addr)
{
	return addr >= guest.device_base && addr < guest.device_end;
}

static bool in_arena_window(uint64_t addr)
{
	return addr >= guest.arena_base && addr < guest.arena_end;
}

int side_of_device(uint64_t addr, uint64_t len, enum side *side)
{
	struct range r;

	/* With unified addresses host memory that CUDA knows is device memory, too. */
	if (!range_find_device(addr, &r) && !range_find_host(addr, &r))
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_holds(&r, addr, len))
		return CUDA_ERROR_INVALID_VALUE;
	if (r.kind == RANGE_REGISTERED || r.kind == RANGE_STAGED)
		*side = SIDE_REGISTERED;
	else
		*side = r.kind == RANGE_PINNED ? SIDE_PINNED : SIDE_DEVICE;
	return 0;
}

int side_of_host(uint64_t addr, uint64_t len, enum side *side)
{
	struct range r;

	if (!addr || addr + len < addr)
		return CUDA_ERROR_INVALID_VALUE;
	/* The windows hold CUDA's memory only. */
	if (in_arena_window(addr) || in_device_window(addr))
		return side_of_device(addr, len, side);
	*side = range_find_host(addr, &r) && range_holds(&r, addr, len) ? SIDE_REGISTERED
									: SIDE_PAGEABLE;
	return 0;
}

int side_of_any(uint64_t addr, uint64_t len, enum side *side)
{
	struct range r;

	if (range_find_device(addr, &r))
		return side_of_device(addr, len, side);
	return side_of_host(addr, len, side);
}

static uint64_t piece_len(const struct moving *v, unsigned int k)
{
	const uint64_t left = v->len - k * v->piece;

	return left < v->piece ? left : v->piece;
}

static void pack(const struct moving *v, unsigned int k, char *mem)
{
	char *const user = (char *)(uintptr_t)v->user + k * v->piece;

	memcpy(v->to_device ? mem : user, v->to_device ? user : mem, piece_len(v, k));
}

static int post(const struct moving *v, const struct target *t, unsigned int k, char *mem,
		struct pvgpu_mark *m)
{
	const uint64_t dev = v->dev + k * v->piece, arena = (uintptr_t)mem;

	return pvgpu_do_copy_mark(session(), m, t->ctx->o.wire, t->stream,
				  v->to_device ? dev : arena, v->to_device ? arena : dev,
				  piece_len(v, k));
}

static int copy_registered(const struct target *t, const struct copy *c)
{
	const bool to_device = c->dst_side == SIDE_DEVICE;
	const uint64_t most = staging_piece(c->len);
	struct moving v = {
		.user = to_device ? c->src : c->dst,
		.extent = c->len,
		.dev = to_device ? c->dst : c->src,
		.len = c->len,
		.to_device = to_device,
		.pack = pack,
		.post = post,
	};

	int r = MOVE_BUSY;

	if (!to_device && c->src_side != SIDE_DEVICE)
		return r;
	/* In smaller pieces where the arena has no room for large ones. */
	for (v.piece = c->len < most ? c->len : most; r == MOVE_BUSY; v.piece = STAGING_SMALL) {
		v.pieces = (unsigned int)((c->len + v.piece - 1) / v.piece);
		r = move_async(t, &v);
		if (v.piece <= STAGING_SMALL)
			break;
	}
	return r;
}

static int capture_line(const struct target *t, const struct copy *c)
{
	const struct box b = {
		.dst = {.addr = c->dst, .pitch = c->len, .height = 1, .side = c->dst_side},
		.src = {.addr = c->src, .pitch = c->len, .height = 1, .side = c->src_side},
		.width = c->len,
		.rows = 1,
		.depth = 1,
		.async = true,
	};

	return graph_copy_captured(t, &b);
}

int copy_between(const struct target *t, const struct copy *c)
{
	void *const dst = (void *)(uintptr_t)c->dst;
	const void *const src = (const void *)(uintptr_t)c->src;
	uint32_t got = 0;
	int r;

	if (unlikely(t->captured) && !c->async)
		return capture_refuse(t);
	if (unlikely(t->captured) && (!side_is_mapped(c->dst_side) || !side_is_mapped(c->src_side)))
		return capture_line(t, c);
	if (side_is_mapped(c->dst_side) && side_is_mapped(c->src_side)) {
		r = pvgpu_do_copy(session(), t->ctx->o.wire, t->stream, c->dst, c->src, c->len);
		if (!r && !c->async && (c->dst_side == SIDE_PINNED || c->src_side == SIDE_PINNED))
			r = stream_drain(t);
		return r;
	}
	/* Registered memory is read and written when the copy's turn in the stream comes, not now.
	 */
	if (c->async && (c->src_side == SIDE_REGISTERED || c->dst_side == SIDE_REGISTERED)) {
		r = copy_registered(t, c);
		if (r != MOVE_BUSY)
			return r;
		r = stream_turn(t);
		if (r)
			return r;
	}
	if (c->dst_side == SIDE_DEVICE) {
		if (c->len <= PVGPU_INLINE_MAX)
			return pvgpu_do_copy_inline(session(), t->ctx->o.wire, t->stream, c->dst,
						    src, (uint32_t)c->len);
		return staging_write(t, c->dst, src, c->len, !c->async);
	}
	if (c->src_side == SIDE_DEVICE) {
		if (c->len > PVGPU_INLINE_MAX)
			return staging_read(t, dst, c->src, c->len);
		r = pvgpu_do_copy_fetch(session(), t->ctx->o.wire, t->stream, c->src,
					(uint32_t)c->len, dst, (uint32_t)c->len, &got);
		if (!r && got != c->len)
			r = pvgpu_broken(session(),
					 "the worker returned fewer bytes than a copy asked for");
		return ctx_result(t->ctx, r);
	}
	/* Host to host: the CPU copies, when the copy's turn in the stream comes. */
	r = stream_turn(t);
	if (!r)
		memmove(dst, src, c->len);
	return r;
}

typedef int side_fn(uint64_t addr, uint64_t len, enum side *side);

static int copy(uint64_t dst, side_fn *dst_fn, uint64_t src, side_fn *src_fn, uint64_t len,
		CUstream stream, bool per_thread, bool async)
{
	struct copy c = {.dst = dst, .src = src, .len = len, .async = async};
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r || !len)
		return r;
	r = dst_fn(dst, len, &c.dst_side);
	if (!r && range_read_only(dst, len))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = src_fn(src, len, &c.src_side);
	if (!r)
		r = copy_between(&t, &c);
	if (!r && !async && (range_is_sync(dst) || range_is_sync(src)))
		r = stream_drain(&t);
	return r;
}

CU_PTDS(cuMemcpy, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
	copy(dst, side_of_any, src, side_of_any, bytes, NULL, per_thread, false))

CU_PTSZ(cuMemcpyAsync, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream),
	copy(dst, side_of_any, src, side_of_any, bytes, stream, per_thread, true))

CU_PTDS(cuMemcpyHtoD_v2, (CUdeviceptr dst, const void *src, size_t bytes),
	copy(dst, side_of_device, (uintptr_t)src, side_of_host, bytes, NULL, per_thread, false))

CU_PTSZ(cuMemcpyHtoDAsync_v2, (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream),
	copy(dst, side_of_device, (uintptr_t)src, side_of_host, bytes, stream, per_thread, true))

CU_PTDS(cuMemcpyDtoH_v2, (void *dst, CUdeviceptr src, size_t bytes),
	copy((uintptr_t)dst, side_of_host, src, side_of_device, bytes, NULL, per_thread, false))

CU_PTSZ(cuMemcpyDtoHAsync_v2, (void *dst, CUdeviceptr src, size_t bytes, CUstream stream),
	copy((uintptr_t)dst, side_of_host, src, side_of_device, bytes, stream, per_thread, true))

CU_PTDS(cuMemcpyDtoD_v2, (CUdeviceptr dst, CUdeviceptr src, size_t bytes),
	copy(dst, side_of_device, src, side_of_device, bytes, NULL, per_thread, false))

CU_PTSZ(cuMemcpyDtoDAsync_v2, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream),
	copy(dst, side_of_device, src, side_of_device, bytes, stream, per_thread, true))

/* All contexts share one address space: they only have to exist. */
static int copy_peer(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx,
		     size_t bytes, CUstream stream, bool per_thread, bool async)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!ctx_find(dst_ctx) || !ctx_find(src_ctx))
		return CUDA_ERROR_INVALID_CONTEXT;
	return copy(dst, side_of_device, src, side_of_device, bytes, stream, per_thread, async);
}

CU_PTDS(cuMemcpyPeer,
	(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes),
	copy_peer(dst, dst_ctx, src, src_ctx, bytes, NULL, per_thread, false))

CU_PTSZ(cuMemcpyPeerAsync,
	(CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx, size_t bytes,
	 CUstream stream),
	copy_peer(dst, dst_ctx, src, src_ctx, bytes, stream, per_thread, true))
