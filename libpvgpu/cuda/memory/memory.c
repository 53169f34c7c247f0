/* SPDX-License-Identifier: MIT */
/* Device memory. */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/memory/managed.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/pool.h"
#include "cuda/memory/share.h"

#include <stdatomic.h>

#include "pvgpu_stubs.h"

/* Rows of a pitched allocation begin at multiples of this, on every device of the last ten years.
 */
enum { PITCH_ALIGNMENT = 512 };

static int alloc(struct ctx *c, uint64_t bytes, CUdeviceptr *out)
{
	struct range range = {.size = bytes, .kind = RANGE_DEVICE, .ctx = c};
	unsigned int tries = 0;
	int r;

	do {
		r = pvgpu_do_mem_alloc(session(), c->o.wire, bytes, &range.base);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	r = ctx_result(c, r);
	if (r)
		return r;
	r = range_add(&range);
	if (r) {
		pvgpu_do_mem_free(session(), c->o.wire, range.base);
		return r;
	}
	*out = range.base;
	return 0;
}

PUBLIC CUresult cuMemAlloc_v2(CUdeviceptr *addr, size_t bytes)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!addr || !bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (capturing()) {
		const int unsafe = capture_unsafe();

		if (unsafe)
			return (CUresult)unsafe;
	}
	return (CUresult)alloc(c, bytes, addr);
}

PUBLIC CUresult cuMemAllocPitch_v2(CUdeviceptr *addr, size_t *pitch, size_t width, size_t height,
				   unsigned int element_bytes)
{
	uint64_t row, bytes;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!addr || !pitch || !width || !height ||
	    (element_bytes != 4 && element_bytes != 8 && element_bytes != 16))
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_add_overflow(width, PITCH_ALIGNMENT - 1, &row))
		return CUDA_ERROR_INVALID_VALUE;
	row &= ~(uint64_t)(PITCH_ALIGNMENT - 1);
	if (row > (uint64_t)device_value(c->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH))
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_mul_overflow(row, height, &bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = alloc(c, bytes, addr);
	if (!r)
		*pitch = row;
	return r;
}

/* Host memory: work in flight may use it. */
static int free_managed(uint64_t addr)
{
	struct range range;

	if (!range_remove(addr, RANGE_PINNED, &range))
		return CUDA_ERROR_INVALID_VALUE;
	ctx_synchronize_all();
	host_free(&range);
	return ctx_enter_any();
}

PUBLIC CUresult cuMemFree_v2(CUdeviceptr addr)
{
	struct range range;
	int r = ctx_enter_any();

	if (r)
		return r;
	if (!addr)
		return CUDA_SUCCESS;
	/* Its own context decides: frameworks free at their end, and in threads without one. */
	if (!range_find_device(addr, &range) ||
	    (range.kind != RANGE_DEVICE && (!range_is_managed(&range) || !range.ctx)))
		return CUDA_ERROR_INVALID_VALUE;
	r = atomic_load(&range.ctx->state);
	if (r)
		return r;
	if (range_is_managed(&range))
		return free_managed(addr);
	/* A graph's goes with the graph. */
	if (range.flags & RANGE_OF_GRAPH)
		return range.base == addr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	if (range.flags & RANGE_SHARED)
		return share_close_memory(addr, PVGPU_SHARE_POOL);
	if (!range_remove(addr, RANGE_DEVICE, &range))
		return CUDA_ERROR_INVALID_VALUE;
	/* A pool's: the caller has waited for its last use, as with the driver. */
	if (range.block) {
		pool_free(range.block);
		return CUDA_SUCCESS;
	}
	/* One-way: the worker frees it when the work before is done. */
	return pvgpu_do_mem_free(session(), range.ctx->o.wire, addr);
}

PUBLIC CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr addr)
{
	struct range range;
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!range_find_device(addr, &range))
		return CUDA_ERROR_NOT_FOUND;
	if (base)
		*base = range.base;
	if (bytes)
		*bytes = range.size;
	return CUDA_SUCCESS;
}
