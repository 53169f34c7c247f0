/* SPDX-License-Identifier: MIT */
/* Pinned host memory. A device uses the host's own address for it. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

#define ALLOC_FLAGS                                                                                \
	(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define REGISTER_FLAGS                                                                             \
	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |                              \
	 CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY)

static CUresult host_alloc(void **out, size_t size, unsigned int flags)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) & ~(page - 1);
	struct range r = {.kind = RANGE_HOST, .access = 3, .flags = flags};
	CUresult result;
	void *p;

	CURRENT(ctx);
	if (!out || !size || (flags & ~(unsigned int)ALLOC_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if (whole < size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p = memory_map(whole, page);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r.base = r.owner_base = (uintptr_t)p;
	r.size = whole;
	r.owner_size = size;
	r.ctx = ctx;
	r.ctx_id = ctx->id;
	result = range_add(&r);
	if (result != CUDA_SUCCESS)
		munmap(p, whole);
	else
		*out = p;
	return result;
}

API(cuMemHostAlloc, void **out, size_t size, unsigned int flags)
{
	ENTER();
	return host_alloc(out, size, flags);
}

API(cuMemAllocHost_v2, void **out, size_t size)
{
	ENTER();
	return host_alloc(out, size, 0);
}

API(cuMemFreeHost, void *p)
{
	struct range r;

	ENTER_ANY();
	if (!p || !range_find((uintptr_t)p, &r) || r.base != (uintptr_t)p || r.kind != RANGE_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(ctx_status(r.ctx));
	exec_all_wait();
	if (!range_remove(r.base, &r))
		return CUDA_ERROR_INVALID_VALUE;
	munmap(p, r.size);
	return CUDA_SUCCESS;
}

API(cuMemHostRegister_v2, void *p, size_t size, unsigned int flags)
{
	struct range r = {.base = (uintptr_t)p, .size = size, .kind = RANGE_REGISTERED};

	ENTER();
	CURRENT(ctx);
	if (!p || !size || (flags & ~(unsigned int)REGISTER_FLAGS) || r.base + size < r.base)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
		return CUDA_ERROR_NOT_SUPPORTED;
	r.access = flags & CU_MEMHOSTREGISTER_READ_ONLY ? 1 : 3;
	r.flags = flags;
	r.ctx = ctx;
	r.ctx_id = ctx->id;
	r.owner_base = r.base;
	r.owner_size = size;
	return range_add(&r);
}

API(cuMemHostUnregister, void *p)
{
	struct range r;

	ENTER_ANY();
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_find((uintptr_t)p, &r))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	if (r.base != (uintptr_t)p || r.kind != RANGE_REGISTERED)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(ctx_status(r.ctx));
	exec_all_wait();
	return range_remove(r.base, &r) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

static bool is_host(const void *p, struct range *r)
{
	return p && range_find((uintptr_t)p, r) &&
	       (r->kind == RANGE_HOST || r->kind == RANGE_REGISTERED);
}

API(cuMemHostGetDevicePointer_v2, CUdeviceptr *dptr, void *p, unsigned int flags)
{
	struct range r;

	ENTER();
	CURRENT(ctx);
	if (!dptr || flags || !is_host(p, &r))
		return CUDA_ERROR_INVALID_VALUE;
	*dptr = (uintptr_t)p;
	return CUDA_SUCCESS;
}

/* All pinned memory is mapped, also without the flag. */
API(cuMemHostGetFlags, unsigned int *flags, void *p)
{
	struct range r;

	ENTER();
	CURRENT(ctx);
	if (!flags ||
	    (!is_host(p, &r) && (!range_find((uintptr_t)p, &r) || r.kind != RANGE_MANAGED)))
		return CUDA_ERROR_INVALID_VALUE;
	*flags = r.flags | CU_MEMHOSTALLOC_DEVICEMAP;
	return CUDA_SUCCESS;
}
