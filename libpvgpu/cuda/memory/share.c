/* SPDX-License-Identifier: MIT */
/*
 * Memory that processes share: handles of allocations, and file descriptors. A handle is the
 * worker's token (protocol/32-share.api). A file descriptor is a sealed memory file that contains a
 * token, so it can be passed to another process as NVIDIA's can; unlike that it does not keep the
 * memory.
 */
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/pool.h"
#include "cuda/memory/share.h"
#include "cuda/memory/vmm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pvgpu_stubs.h"

_Static_assert(sizeof(CUipcMemHandle) == PVGPU_SHARE_TOKEN, "a handle is a token");
_Static_assert(sizeof(CUmemPoolPtrExportData) == PVGPU_SHARE_TOKEN, "so is a pool's memory");

/* The contents of a file descriptor. */
struct shared_file {
	char magic[12];
	uint32_t kind;
	unsigned char token[PVGPU_SHARE_TOKEN];
};
enum { FILE_PHYSICAL = 1, FILE_POOL = 2 };
static const char file_magic[12] = "pvgpu-share";

/* Another process's memory, by where it is mapped. */
struct opened {
	struct opened *next;
	uint64_t addr;
	uint32_t kind, uses;
	unsigned char token[PVGPU_SHARE_TOKEN];
};

static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *opened;

/* ---- handles ---- */

static int token_of(const struct range *range, uint32_t kind, void *token)
{
	uint32_t len = 0;
	const int r = pvgpu_do_share_memory(session(), kind, range->base, range->size, token,
					    PVGPU_SHARE_TOKEN, &len);

	return r || len == PVGPU_SHARE_TOKEN ? r : CUDA_ERROR_UNKNOWN;
}

PUBLIC CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr addr)
{
	struct range range;
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	/* As with the driver, memory of cuMemAlloc() only. */
	if (!handle || !range_find_device(addr, &range) || range.kind != RANGE_DEVICE ||
	    range.block || range.flags)
		return CUDA_ERROR_INVALID_VALUE;
	return token_of(&range, PVGPU_SHARE_MEMORY, handle);
}

/* opened_lock held: still mapped; its context may have taken it along. */
static bool is_mapped(const struct opened *o)
{
	struct range range;

	return range_find_device(o->addr, &range) && range.base == o->addr &&
	       range.kind == RANGE_DEVICE && range.flags & RANGE_SHARED;
}

/* opened_lock held */
static struct opened **find_token(const void *token, uint32_t kind)
{
	struct opened **at = &opened;

	while (*at && ((*at)->kind != kind || memcmp((*at)->token, token, PVGPU_SHARE_TOKEN) != 0))
		at = &(*at)->next;
	return at;
}

/* opened_lock held: open it for the first time. */
static int open_new(struct ctx *c, const void *token, uint32_t kind, struct opened **out)
{
	struct range range = {.kind = RANGE_DEVICE, .flags = RANGE_SHARED, .ctx = c};
	struct opened *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = ctx_result(c, pvgpu_do_share_open(session(), c->o.wire, kind, token, PVGPU_SHARE_TOKEN,
					      &range.base, &range.size));
	if (!r) {
		r = range_add(&range);
		if (r)
			pvgpu_do_share_close(session(), range.base);
	}
	if (r) {
		free(o);
		return r;
	}
	o->addr = range.base;
	o->kind = kind;
	memcpy(o->token, token, sizeof(o->token));
	o->next = opened;
	opened = o;
	*out = o;
	return 0;
}

static int open_memory(const void *token, uint32_t kind, CUdeviceptr *addr)
{
	struct opened **at, *o;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	pthread_mutex_lock(&opened_lock);
	at = find_token(token, kind);
	o = *at;
	if (o && !is_mapped(o)) {
		*at = o->next;
		free(o);
		o = NULL;
	}
	if (!o)
		r = open_new(c, token, kind, &o);
	if (!r) {
		o->uses++;
		*addr = o->addr;
	}
	pthread_mutex_unlock(&opened_lock);
	return r;
}

int share_close_memory(uint64_t addr, uint32_t kind)
{
	struct opened **at = &opened, *o;
	struct range range;
	int r = 0;

	pthread_mutex_lock(&opened_lock);
	while (*at && ((*at)->addr != addr || (*at)->kind != kind || !is_mapped(*at)))
		at = &(*at)->next;
	o = *at;
	if (!o) {
		r = CUDA_ERROR_INVALID_VALUE;
	} else if (!--o->uses) {
		*at = o->next;
		range_remove(addr, RANGE_DEVICE, &range);
		/* One-way: the worker unmaps it when the work before is done. */
		r = pvgpu_do_share_close(session(), addr);
		free(o);
	}
	pthread_mutex_unlock(&opened_lock);
	return r;
}

static int ipc_open(CUdeviceptr *addr, const CUipcMemHandle *handle, unsigned int flags)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!addr || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
		return CUDA_ERROR_INVALID_VALUE;
	return open_memory(handle, PVGPU_SHARE_MEMORY, addr);
}

PUBLIC CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *addr, CUipcMemHandle handle, unsigned int flags)
{
	return ipc_open(addr, &handle, flags);
}

PUBLIC CUresult cuIpcOpenMemHandle(CUdeviceptr *addr, CUipcMemHandle handle, unsigned int flags)
{
	return ipc_open(addr, &handle, flags);
}

PUBLIC CUresult cuIpcCloseMemHandle(CUdeviceptr addr)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	return r ? r : share_close_memory(addr, PVGPU_SHARE_MEMORY);
}

/* ---- file descriptors ---- */

static int file_make(uint32_t kind, const void *token)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	struct shared_file f = {.kind = kind};
	const int fd = memfd_create("pvgpu-share", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	memcpy(f.magic, file_magic, sizeof(f.magic));
	memcpy(f.token, token, sizeof(f.token));
	if (fd >= 0 && write(fd, &f, sizeof(f)) == (ssize_t)sizeof(f) &&
	    !fcntl(fd, F_ADD_SEALS, seals))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool file_read(void *shareable, uint32_t kind, void *token)
{
	const int fd = (int)(intptr_t)shareable;
	struct shared_file f;

	if (pread(fd, &f, sizeof(f), 0) != (ssize_t)sizeof(f) ||
	    memcmp(f.magic, file_magic, sizeof(f.magic)) != 0 || f.kind != kind)
		return false;
	memcpy(token, f.token, sizeof(f.token));
	return true;
}

PUBLIC CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
					     CUmemAllocationHandleType type,
					     unsigned long long flags)
{
	unsigned char token[PVGPU_SHARE_TOKEN];
	uint32_t len = 0;
	uint64_t wire;
	int fd, r = guest_enter();

	if (r)
		return r;
	if (!shareable || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	wire = physical_to_share(handle);
	if (!wire)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_share_physical(session(), wire, token, sizeof(token), &len);
	if (r)
		return r;
	fd = len == sizeof(token) ? file_make(FILE_PHYSICAL, token) : -1;
	if (fd < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*(int *)shareable = fd;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle,
					       void *shareable, CUmemAllocationHandleType type)
{
	unsigned char token[PVGPU_SHARE_TOKEN];
	const int r = guest_enter();

	if (r)
		return r;
	if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
	    !file_read(shareable, FILE_PHYSICAL, token))
		return CUDA_ERROR_INVALID_VALUE;
	return physical_import(token, handle);
}

/* ---- pools: a file descriptor of one says only that it is one; each allocation has its token ----
 */

PUBLIC CUresult cuMemPoolExportToShareableHandle(void *shareable, CUmemoryPool pool,
						 CUmemAllocationHandleType type,
						 unsigned long long flags)
{
	static const unsigned char none[PVGPU_SHARE_TOKEN];
	struct pool *p;
	int fd, r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	if (!p || !shareable || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
	    !p->shareable)
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pools_lock);
	if (r)
		return r;
	fd = file_make(FILE_POOL, none);
	if (fd < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*(int *)shareable = fd;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *shareable,
						   CUmemAllocationHandleType type,
						   unsigned long long flags)
{
	unsigned char token[PVGPU_SHARE_TOKEN];
	const int r = guest_enter();

	if (r)
		return r;
	if (!pool || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
	    !file_read(shareable, FILE_POOL, token))
		return CUDA_ERROR_INVALID_VALUE;
	*pool = pool_import(0);
	return *pool ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The pool's, if it lets other processes have its memory, is marked: its tokens go with it. */
static bool mark_shared(struct block *b)
{
	bool shareable;

	pthread_mutex_lock(&pools_lock);
	shareable = b->seg->pool->shareable;
	b->shared |= shareable;
	pthread_mutex_unlock(&pools_lock);
	return shareable;
}

PUBLIC CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr addr)
{
	struct range range;
	const int r = guest_enter();

	if (r)
		return r;
	if (!data || !range_find_device(addr, &range) || range.kind != RANGE_DEVICE ||
	    !range.block || !mark_shared(range.block))
		return CUDA_ERROR_INVALID_VALUE;
	return token_of(&range, PVGPU_SHARE_POOL, data);
}

void pool_unshare(struct block *b)
{
	if (!b->shared)
		return;
	b->shared = false;
	pvgpu_do_share_forget(session(), b->addr, b->size);
}

PUBLIC CUresult cuMemPoolImportPointer(CUdeviceptr *addr, CUmemoryPool pool,
				       CUmemPoolPtrExportData *data)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	if (!p || !p->imported || !addr || !data)
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pools_lock);
	return r ? r : open_memory(data, PVGPU_SHARE_POOL, addr);
}
