/* SPDX-License-Identifier: MIT */
/*
 * Page-locked host memory. Memory from cuMemHostAlloc() lies in the arena: the worker maps it at
 * the same address, so asynchronous copies need no staging. The arena is small in a Xen guest; what
 * does not fit is ordinary memory that counts as pinned. Copies from and to it, and to memory that
 * the application registers, are staged, in stream order; kernels cannot reach it.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/memory/managed.h"
#include "cuda/memory/memory_map.h"
#include "cuda/staging/move.h"
#include "cuda/staging/staging.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link/session.h"

enum {
	ALLOC_FLAGS = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
		      CU_MEMHOSTALLOC_WRITECOMBINED,
	REGISTER_FLAGS = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
			 CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY,
};

/* From so many pinned bytes on a piece is kept for staging. */
enum { RESERVE_ABOVE = 1024 * 1024 };

static void reserve(uint64_t bytes)
{
	static _Atomic uint64_t asked;

	if (atomic_load(&asked) <= RESERVE_ABOVE &&
	    atomic_fetch_add(&asked, bytes) + bytes > RESERVE_ABOVE)
		staging_reserve();
}

/* Memory for the range, in the arena or, when that is full, of the system. Not populated then: how
 * much there is, is known to the system alone, as with any of the application's memory. */
static int find_memory(struct range *range)
{
	const uint64_t bytes = range_mapped(range);
	void *p;
	int r;

	if (bytes < range->size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	reserve(bytes);
	p = pvgpu_arena_alloc(session(), bytes, false);
	if (!p) {
		r = pvgpu_session_status(session());
		if (r)
			return r;
		/* It must be mapped: kernels could not reach what lies beyond the arena. */
		if (range->flags & CU_MEMHOSTALLOC_DEVICEMAP &&
		    device_value(range->ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
			return CUDA_ERROR_OUT_OF_MEMORY;
		range->kind = RANGE_STAGED;
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	range->base = (uintptr_t)p;
	return 0;
}

static int alloc(void **host, size_t bytes, unsigned int flags)
{
	struct range range = {.size = bytes, .kind = RANGE_PINNED, .flags = flags};
	int r = ctx_enter(&range.ctx);

	if (r)
		return r;
	if (!host || !bytes || flags & ~(unsigned int)ALLOC_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	r = find_memory(&range);
	if (r)
		return r;
	r = range_add(&range);
	if (r) {
		host_free(&range);
		return r;
	}
	*host = (void *)(uintptr_t)range.base;
	return 0;
}

PUBLIC CUresult cuMemHostAlloc(void **host, size_t bytes, unsigned int flags)
{
	return alloc(host, bytes, flags);
}

PUBLIC CUresult cuMemAllocHost_v2(void **host, size_t bytes)
{
	/* As documented for unified addressing: portable and mapped. */
	return alloc(host, bytes, 0);
}

void host_free(const struct range *r)
{
	if (range_is_managed(r))
		managed_forget(r);
	if (r->kind == RANGE_PINNED)
		pvgpu_arena_free(session(), (void *)(uintptr_t)r->base);
	else
		move_forget(r->base, range_mapped(r));
	if (r->kind == RANGE_STAGED)
		munmap((void *)(uintptr_t)r->base, range_mapped(r));
}

/* The registered, or the allocated, range that begins at a host address; otherwise is the result
 * where there is none. Its own context decides, whichever is current: frameworks free at their end,
 * and in threads without one. */
static int find_to_free(const void *host, bool registered, struct range *range)
{
	if (!range_find_host((uintptr_t)host, range) || range->base != (uintptr_t)host ||
	    (range->kind == RANGE_REGISTERED) != registered || range_is_managed(range))
		return CUDA_ERROR_INVALID_VALUE;
	return atomic_load(&range->ctx->state);
}

PUBLIC CUresult cuMemFreeHost(void *host)
{
	struct range range;
	int r = ctx_enter_any();

	if (!r)
		r = find_to_free(host, false, &range);
	if (r)
		return r;
	if (!range_remove(range.base, range.kind, &range))
		return CUDA_ERROR_INVALID_VALUE;
	/* Work in flight of any context may use it, kernels too. A fault that this reveals stays
	 * with its context. */
	ctx_synchronize_all();
	host_free(&range);
	return ctx_enter_any();
}

PUBLIC CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *addr, void *host, unsigned int flags)
{
	struct range range;
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!addr || flags || !range_find_host((uintptr_t)host, &range))
		return CUDA_ERROR_INVALID_VALUE;
	if (range.kind != RANGE_PINNED || range_is_managed(&range) ||
	    !device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
		return CUDA_ERROR_INVALID_VALUE;
	*addr = (uintptr_t)host;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuMemHostGetFlags(unsigned int *flags, void *host)
{
	struct range range;
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!flags || !range_find_host((uintptr_t)host, &range) || range.kind == RANGE_REGISTERED)
		return CUDA_ERROR_INVALID_VALUE;
	/* The driver, too, answers for managed memory. */
	*flags = range_is_managed(&range) ? 0 : range.flags;
	/* As documented: pinned memory is always mapped on a device that can map it. */
	if (range.kind == RANGE_PINNED &&
	    device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
		*flags |= CU_MEMHOSTALLOC_DEVICEMAP;
	return CUDA_SUCCESS;
}

/* Is all of it mapped? */
static bool is_mapped(const void *host, size_t bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = (uintptr_t)host & ~(page - 1);

	/* MS_ASYNC changes nothing and fails with ENOMEM where no page is mapped. */
	return !msync((void *)first, (uintptr_t)host + bytes - first, MS_ASYNC);
}

PUBLIC CUresult cuMemHostRegister_v2(void *host, size_t bytes, unsigned int flags)
{
	struct range range = {
		.base = (uintptr_t)host, .size = bytes, .kind = RANGE_REGISTERED, .flags = flags};
	struct range other;
	const int r = ctx_enter(&range.ctx);

	if (r)
		return r;
	if (!host || !bytes || flags & ~(unsigned int)REGISTER_FLAGS ||
	    range.base + bytes < range.base)
		return CUDA_ERROR_INVALID_VALUE;
	/* As documented for CU_MEMHOSTREGISTER_DEVICEMAP: where memory cannot be mapped,
	 * cuMemHostGetDevicePointer() says so. */
	if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (range_find_host(range.base, &other))
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	if (!is_mapped(host, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return range_add(&range);
}

PUBLIC CUresult cuMemHostRegister(void *host, size_t bytes, unsigned int flags)
{
	return cuMemHostRegister_v2(host, bytes, flags);
}

PUBLIC CUresult cuMemHostUnregister(void *host)
{
	struct range range;
	int r = ctx_enter_any();

	if (r)
		return r;
	if (!host)
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_find_host((uintptr_t)host, &range))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	r = find_to_free(host, true, &range);
	if (r)
		return r;
	if (!range_remove(range.base, RANGE_REGISTERED, &range))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	/* As the driver does it waits for work that may use the memory. */
	if (move_pending() || atomic_load(&graphs_use_registered))
		ctx_synchronize_all();
	move_forget(range.base, range.size);
	return CUDA_SUCCESS;
}
