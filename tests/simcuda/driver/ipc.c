/* SPDX-License-Identifier: MIT */
/* cuIpc*: memory of cuMemAlloc and events, opened by other processes. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"
#include "tests/simcuda/driver/share.h"

struct opened {
	struct opened *next;
	struct share_handle handle;
	struct share_other from;
	uint64_t addr;
	uint32_t uses;
	bool pooled; /* it is freed, not closed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *all;

API(cuIpcGetMemHandle, CUipcMemHandle *handle, CUdeviceptr addr)
{
	struct share_handle h;
	uint32_t place;
	struct range r;

	ENTER();
	CURRENT(ctx);
	/* As the driver: only memory of cuMemAlloc. */
	if (!handle || !range_find(addr, &r) || r.kind != RANGE_DEVICE || mempool_of(addr) ||
	    graph_memory_is(addr))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(memory_share(&r, SHARE_MEMORY, &place));
	share_handle_of(place, &h);
	memcpy(handle, &h, sizeof(h));
	return CUDA_SUCCESS;
}

/* lock held */
static struct opened *find(const struct share_handle *h)
{
	struct opened *o = all;

	while (o && memcmp(&o->handle, h, sizeof(*h)) != 0)
		o = o->next;
	return o;
}

/* lock held */
static CUresult open_new(const struct share_handle *h, bool pooled, struct sim_ctx *ctx,
			 struct opened **out)
{
	struct range r = {.kind = RANGE_MAPPED, .access = 3, .ctx = ctx, .ctx_id = ctx->id};
	struct opened *o = calloc(1, sizeof(*o));
	CUresult result = o ? share_take(h, pooled ? SHARE_POOL : SHARE_MEMORY, &o->from)
			    : CUDA_ERROR_OUT_OF_MEMORY;

	if (result) {
		free(o);
		return result;
	}
	r.base = r.owner_base = (uintptr_t)o->from.memory + o->from.place->within;
	r.size = r.owner_size = o->from.place->len;
	result = range_add(&r);
	if (result) {
		share_drop(&o->from);
		free(o);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	o->handle = *h;
	o->addr = r.base;
	o->pooled = pooled;
	o->next = all;
	all = o;
	*out = o;
	return CUDA_SUCCESS;
}

CUresult ipc_open(const void *handle, bool pooled, CUdeviceptr *addr)
{
	CUresult r = CUDA_SUCCESS;
	struct share_handle h;
	struct opened *o;

	CURRENT(ctx);
	memcpy(&h, handle, sizeof(h));
	pthread_mutex_lock(&lock);
	o = find(&h);
	if (!o)
		r = open_new(&h, pooled, ctx, &o);
	if (!r) {
		o->uses++;
		*addr = o->addr;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult ipc_close(CUdeviceptr addr, bool pooled)
{
	struct opened **p, *o;

	exec_all_wait();
	pthread_mutex_lock(&lock);
	for (p = &all; *p && ((*p)->addr != addr || (*p)->pooled != pooled); p = &(*p)->next)
		;
	o = *p;
	if (o && !--o->uses) {
		*p = o->next;
		range_remove(o->addr, NULL);
		share_drop(&o->from);
		free(o);
	}
	pthread_mutex_unlock(&lock);
	return o ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult open_memory(CUdeviceptr *addr, const CUipcMemHandle *handle, unsigned int flags)
{
	if (!addr || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
		return CUDA_ERROR_INVALID_VALUE;
	return ipc_open(handle, false, addr);
}

API(cuIpcOpenMemHandle_v2, CUdeviceptr *addr, CUipcMemHandle handle, unsigned int flags)
{
	ENTER();
	return open_memory(addr, &handle, flags);
}

API(cuIpcOpenMemHandle, CUdeviceptr *addr, CUipcMemHandle handle, unsigned int flags)
{
	ENTER();
	return open_memory(addr, &handle, flags);
}

API(cuIpcCloseMemHandle, CUdeviceptr addr)
{
	ENTER();
	CURRENT(ctx);
	return ipc_close(addr, false);
}
