/* SPDX-License-Identifier: MIT */
/*
 * Memory pools and stream-ordered allocation. A pool here keeps nothing: memory is taken when it is
 * allocated and given back when its turn in the stream has come.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"
#include "tests/simcuda/driver/share.h"

struct mempool {
	struct handle h;
	bool standard, dead;
	bool shareable;          /* by a file descriptor */
	uint32_t place;          /* share.c: exported; 0: not */
	struct share_other from; /* another process's; page NULL: its own */
	int reuse[3];
	uint64_t threshold, most, used, high;
};

struct lent { /* memory of a pool */
	struct lent *next;
	struct mempool *pool;
	uint64_t addr, size;
};

#define SHAREABLE ((unsigned int)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)

static struct pool mempools = POOL(struct mempool);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mempool *standard, *current;
static struct lent *lent;
static atomic_uint freeing; /* in streams */

/* lock held */
static struct mempool *get_standard(void)
{
	if (!standard) {
		standard = pool_new(&mempools);
		if (standard) {
			standard->standard = true;
			standard->reuse[0] = standard->reuse[1] = standard->reuse[2] = 1;
		}
	}
	return standard;
}

static struct mempool *get_current(void)
{
	return current ? current : get_standard();
}

static CUresult find(CUmemoryPool handle, struct mempool **out)
{
	*out = (struct mempool *)handle;
	return handle && pool_live(&mempools, *out) && !(*out)->dead ? CUDA_SUCCESS
								     : CUDA_ERROR_INVALID_VALUE;
}

/* lock held */
static void collect(struct mempool *p)
{
	if (!p->dead || p->used)
		return;
	if (p->place)
		share_forget(p->place);
	if (p->from.page)
		share_drop(&p->from);
	pool_free(&mempools, p);
}

CUmemoryPool mempool_of(uint64_t addr)
{
	CUmemoryPool pool = NULL;

	pthread_mutex_lock(&lock);
	for (struct lent *l = lent; l; l = l->next)
		if (addr - l->addr < l->size)
			pool = (CUmemoryPool)l->pool;
	pthread_mutex_unlock(&lock);
	return pool;
}

void mempool_gone(uint64_t addr)
{
	struct lent **p, *l;

	pthread_mutex_lock(&lock);
	for (p = &lent; *p; p = &(*p)->next)
		if ((*p)->addr == addr)
			break;
	l = *p;
	if (l) {
		*p = l->next;
		l->pool->used -= l->size;
		collect(l->pool);
	}
	pthread_mutex_unlock(&lock);
	free(l);
}

void mempool_freed(void)
{
	atomic_fetch_sub(&freeing, 1);
}

bool mempool_wait(void)
{
	if (!atomic_load(&freeing))
		return false;
	exec_all_wait();
	return true;
}

static CUresult give(CUmemoryPool *out, CUdevice dev, struct mempool *(*which)(void))
{
	struct mempool *p;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&lock);
	p = which();
	pthread_mutex_unlock(&lock);
	*out = (CUmemoryPool)p;
	return p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API(cuDeviceGetDefaultMemPool, CUmemoryPool *out, CUdevice dev)
{
	ENTER();
	return give(out, dev, get_standard);
}

API(cuDeviceGetMemPool, CUmemoryPool *out, CUdevice dev)
{
	CUresult r;

	ENTER();
	r = give(out, dev, get_current);
	return r == CUDA_ERROR_INVALID_DEVICE ? CUDA_ERROR_INVALID_VALUE : r;
}

API(cuDeviceSetMemPool, CUdevice dev, CUmemoryPool pool)
{
	struct mempool *p;

	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	TRY(find(pool, &p));
	current = p;
	return CUDA_SUCCESS;
}

static CUresult check_location(const CUmemLocation *l, CUmemAllocationType type)
{
	if (!l || (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_MEM_ALLOCATION_TYPE_PINNED || l->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_NOT_SUPPORTED;
	return CUDA_SUCCESS;
}

API(cuMemGetDefaultMemPool, CUmemoryPool *out, CUmemLocation *location, CUmemAllocationType type)
{
	ENTER();
	TRY(check_location(location, type));
	return give(out, location->id, get_standard);
}

API(cuMemGetMemPool, CUmemoryPool *out, CUmemLocation *location, CUmemAllocationType type)
{
	ENTER();
	TRY(check_location(location, type));
	return give(out, location->id, get_current);
}

API(cuMemSetMemPool, CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
	ENTER();
	TRY(check_location(location, type));
	return cuDeviceSetMemPool(location->id, pool);
}

API(cuMemPoolCreate, CUmemoryPool *out, const CUmemPoolProps *props)
{
	struct mempool *p;

	ENTER();
	if (!out || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    (unsigned int)props->handleTypes & ~SHAREABLE)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!device_is_valid(props->location.id))
		return CUDA_ERROR_INVALID_VALUE;
	p = pool_new(&mempools);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p->reuse[0] = p->reuse[1] = p->reuse[2] = 1;
	p->most = props->maxSize;
	p->shareable = props->handleTypes != 0;
	*out = (CUmemoryPool)p;
	return CUDA_SUCCESS;
}

API(cuMemPoolDestroy, CUmemoryPool pool)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (p->standard)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	if (current == p)
		current = NULL;
	p->dead = true;
	collect(p);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

API(cuMemPoolTrimTo, CUmemoryPool pool, size_t keep)
{
	struct mempool *p;

	ENTER();
	return find(pool, &p);
}

API(cuMemPoolSetAttribute, CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (attr >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
	    attr <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
		p->reuse[attr - 1] = *(int *)value != 0;
		return CUDA_SUCCESS;
	}
	if (attr == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
		p->threshold = *(cuuint64_t *)value;
		return CUDA_SUCCESS;
	}
	if ((attr != CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH && attr != CU_MEMPOOL_ATTR_USED_MEM_HIGH) ||
	    *(cuuint64_t *)value)
		return CUDA_ERROR_INVALID_VALUE;
	p->high = p->used;
	return CUDA_SUCCESS;
}

API(cuMemPoolGetAttribute, CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	switch (attr) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		*(int *)value = p->reuse[attr - 1];
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		*(cuuint64_t *)value = p->threshold;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
	case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
		*(cuuint64_t *)value = p->used;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		*(cuuint64_t *)value = p->high;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

API(cuMemPoolSetAccess, CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (!map && count)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
			return CUDA_ERROR_INVALID_VALUE;
		if (!device_is_valid(map[i].location.id))
			return CUDA_ERROR_INVALID_DEVICE;
		if (map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
			return CUDA_ERROR_INVALID_DEVICE;
	}
	return CUDA_SUCCESS;
}

API(cuMemPoolGetAccess, CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is_valid(location->id))
		return CUDA_ERROR_INVALID_DEVICE;
	*flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	return CUDA_SUCCESS;
}

static CUresult lend(struct mempool *p, struct sim_ctx *ctx, size_t size, uint64_t *addr)
{
	struct lent *l = calloc(1, sizeof(*l));
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	bool fits;

	pthread_mutex_lock(&lock);
	fits = l && (!p->most || (size <= p->most && p->used <= p->most - size));
	pthread_mutex_unlock(&lock);
	if (fits)
		r = memory_alloc_waiting(ctx, size, addr);
	if (r != CUDA_SUCCESS) {
		free(l);
		return r;
	}
	pthread_mutex_lock(&lock);
	*l = (struct lent){lent, p, *addr, size};
	lent = l;
	p->used += size;
	if (p->used > p->high)
		p->high = p->used;
	pthread_mutex_unlock(&lock);
	return r;
}

API(cuMemPoolExportToShareableHandle, void *out, CUmemoryPool pool, CUmemAllocationHandleType type,
    unsigned long long flags)
{
	struct mempool *p;
	int fd;

	ENTER();
	TRY(find(pool, &p));
	if (!out || flags || (unsigned int)type != SHAREABLE || !p->shareable || p->from.page)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	if (!p->place)
		p->place = share_new(&(struct share_place){.type = SHARE_POOL});
	fd = p->place ? share_fd(p->place) : -1;
	pthread_mutex_unlock(&lock);
	if (fd < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*(int *)out = fd;
	return CUDA_SUCCESS;
}

API(cuMemPoolImportFromShareableHandle, CUmemoryPool *out, void *handle,
    CUmemAllocationHandleType type, unsigned long long flags)
{
	struct share_other from;
	struct mempool *p;

	ENTER();
	if (!out || flags || (unsigned int)type != SHAREABLE)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(share_take_fd((int)(intptr_t)handle, SHARE_POOL, &from));
	p = pool_new(&mempools);
	if (!p) {
		share_drop(&from);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	p->from = from;
	*out = (CUmemoryPool)p;
	return CUDA_SUCCESS;
}

API(cuMemPoolExportPointer, CUmemPoolPtrExportData *data, CUdeviceptr addr)
{
	struct share_handle h;
	uint32_t place;
	struct range r;

	ENTER();
	if (!data || !range_find(addr, &r) || r.kind != RANGE_DEVICE || !mempool_of(addr) ||
	    !((struct mempool *)mempool_of(addr))->shareable)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(memory_share(&r, SHARE_POOL, &place));
	share_handle_of(place, &h);
	memcpy(data, &h, sizeof(h));
	return CUDA_SUCCESS;
}

API(cuMemPoolImportPointer, CUdeviceptr *addr, CUmemoryPool pool, CUmemPoolPtrExportData *data)
{
	struct mempool *p;

	ENTER();
	TRY(find(pool, &p));
	if (!addr || !data || !p->from.page)
		return CUDA_ERROR_INVALID_VALUE;
	return ipc_open(data, true, addr);
}

static CUresult captured(CUdeviceptr *out, size_t size, struct sim_stream *s)
{
	struct graph_memory *m;
	CUresult r;

	TRY(capture_check(s));
	TRY(graph_memory_new(s->ctx, size, &m));
	r = capture_memory(s, m, 0);
	if (r)
		graph_memory_put(m);
	else
		*out = graph_memory_addr(m);
	return r;
}

static CUresult alloc(CUdeviceptr *out, size_t size, struct mempool *p, CUstream stream)
{
	struct sim_stream *s;
	uint64_t addr = 0;

	TRY(stream_get(stream, &s));
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!out || (!size && s->capture))
		return CUDA_ERROR_INVALID_VALUE;
	if (s->capture)
		return captured(out, size, s);
	if (!size) {
		*out = 0;
		return CUDA_SUCCESS;
	}
	TRY(lend(p, s->ctx, size, &addr));
	*out = addr;
	return CUDA_SUCCESS;
}

API_PTSZ(cuMemAllocAsync, (CUdeviceptr * out, size_t size, CUstream stream), (out, size, stream))
{
	struct mempool *p;

	pthread_mutex_lock(&lock);
	p = get_current();
	pthread_mutex_unlock(&lock);
	return alloc(out, size, p, stream);
}

API_PTSZ(cuMemAllocFromPoolAsync,
	 (CUdeviceptr * out, size_t size, CUmemoryPool pool, CUstream stream),
	 (out, size, pool, stream))
{
	struct sim_stream *s;
	struct mempool *p;

	TRY(stream_get(stream, &s));
	TRY(find(pool, &p));
	if (p->from.page)
		return CUDA_ERROR_INVALID_VALUE;
	return alloc(out, size, p, stream);
}

API_PTSZ(cuMemFreeAsync, (CUdeviceptr addr, CUstream stream), (addr, stream))
{
	struct sim_stream *s;
	struct range r;
	struct op *op;

	TRY(stream_get(stream, &s));
	if (!addr)
		return capture_check(s);
	if (range_find(addr, &r) && r.kind == RANGE_MAPPED)
		return ipc_close(addr, true);
	if (!range_find(addr, &r) || r.base != addr || r.kind != RANGE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->capture) {
		TRY(capture_check(s));
		return graph_memory_is(addr) ? capture_memory(s, NULL, addr)
					     : capture_spoil(s->capture->id,
							     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	}
	if (graph_memory_is(addr))
		return CUDA_SUCCESS;
	op = op_new(OP_FREE, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mempool_gone(addr);
	op->free_addr = addr;
	atomic_fetch_add(&freeing, 1);
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}
