/* SPDX-License-Identifier: MIT */
/*
 * Page-locked host memory. Memory from cuMemHostAlloc() lies in the arena: the worker maps it at
 * the same address, so asynchronous copies need no staging. Memory that the application registers
 * is only remembered: copies from and to it are staged, in stream order.
 */
#include "cuda/core/guest.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
	ALLOC_FLAGS = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
		      CU_MEMHOSTALLOC_WRITECOMBINED,
	REGISTER_FLAGS = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
			 CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY,
};

static int alloc(void **host, size_t bytes, unsigned int flags)
{
	struct range range = {.size = bytes, .kind = RANGE_PINNED, .flags = flags};
	void *p;
	int r = ctx_enter(&range.ctx);

	if (r)
		return r;
	if (!host || !bytes || flags & ~(unsigned int)ALLOC_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	p = pvgpu_arena_alloc(session(), bytes, false);
	if (!p) {
		r = pvgpu_session_status(session());
		return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	range.base = (uintptr_t)p;
	r = range_add(&range);
	if (r) {
		pvgpu_arena_free(session(), p);
		return r;
	}
	*host = p;
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

void host_free_pinned(const struct range *r)
{
	if (r->kind == RANGE_PINNED)
		pvgpu_arena_free(session(), (void *)(uintptr_t)r->base);
}

PUBLIC CUresult cuMemFreeHost(void *host)
{
	struct range range;
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!host || !range_remove((uintptr_t)host, RANGE_PINNED, &range))
		return CUDA_ERROR_INVALID_VALUE;
	/* Work in flight of any context may use it, kernels too. A fault that this reveals stays
	 * with its context. */
	ctx_synchronize_all();
	host_free_pinned(&range);
	return atomic_load(&c->state);
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
	if (range.kind != RANGE_PINNED ||
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
	if (!flags || !range_find_host((uintptr_t)host, &range) || range.kind != RANGE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = range.flags;
	/* As documented: pinned memory is always mapped on a device that can map it. */
	if (device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
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
	if (flags & (CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY))
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
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!host)
		return CUDA_ERROR_INVALID_VALUE;
	return range_remove((uintptr_t)host, RANGE_REGISTERED, &range)
		       ? CUDA_SUCCESS
		       : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
