/* SPDX-License-Identifier: MIT */
/* Pools: their life, handles and attributes. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/public.h"
#include "cuda/memory/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 256, HANDLE_MARK = 0x50 };

static struct pool *table[POOLS_MAX];
static uint32_t generation[POOLS_MAX];
static struct {
	struct pool *standard, *current;
} of_device[DEVICES_MAX];

CUmemoryPool pool_handle(const struct pool *p)
{
	return (CUmemoryPool)(uintptr_t)((uint64_t)HANDLE_MARK << 56 |
					 (uint64_t)p->generation << 24 | p->index << 4);
}

CUmemoryPool pool_of_block(const struct block *b)
{
	return pool_handle(b->seg->pool);
}

struct pool *pool_find(CUmemoryPool handle)
{
	const uint64_t h = (uintptr_t)handle;
	const uint32_t index = (uint32_t)(h & 0xffffff) >> 4;
	struct pool *p = index < POOLS_MAX ? table[index] : NULL;

	return p && !p->dead && pool_handle(p) == handle ? p : NULL;
}

void pool_each(void (*fn)(struct pool *p, void *arg), void *arg)
{
	for (uint32_t i = 0; i < POOLS_MAX; i++) {
		if (table[i])
			fn(table[i], arg);
	}
}

static struct pool *pool_new(int device)
{
	struct pool *p;
	uint32_t i = 0;

	while (i < POOLS_MAX && table[i])
		i++;
	p = i < POOLS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->index = i;
	p->generation = ++generation[i];
	p->device = device;
	p->reuse[0] = p->reuse[1] = p->reuse[2] = 1;
	table[i] = p;
	return p;
}

/* The device's own, made at its first use. */
static struct pool *standard(int device)
{
	if (device >= DEVICES_MAX)
		return NULL;
	if (!of_device[device].standard) {
		of_device[device].standard = pool_new(device);
		if (of_device[device].standard)
			of_device[device].standard->standard = true;
	}
	return of_device[device].standard;
}

struct pool *pool_current(int device)
{
	if (device < DEVICES_MAX && of_device[device].current)
		return of_device[device].current;
	return standard(device);
}

bool pool_collect(struct pool *p)
{
	if (!p->dead)
		return false;
	pool_trim(p, 0);
	if (p->segments)
		return p->reserved > p->used;
	table[p->index] = NULL;
	free(p);
	return false;
}

static int give_handle(CUmemoryPool *out, CUdevice dev, struct pool *(*which)(int device))
{
	struct pool *p;
	const int r = guest_enter();

	if (r)
		return r;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&pools_lock);
	p = which(dev);
	if (p)
		*out = pool_handle(p);
	pthread_mutex_unlock(&pools_lock);
	return p ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

PUBLIC CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice dev)
{
	return give_handle(pool, dev, standard);
}

PUBLIC CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
	const CUresult r = give_handle(pool, dev, pool_current);

	/* As the driver answers, here alone. */
	return r == CUDA_ERROR_INVALID_DEVICE ? CUDA_ERROR_INVALID_VALUE : r;
}

PUBLIC CUresult cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
	struct pool *p;
	const int r = guest_enter();

	if (r)
		return r;
	if (!device_at(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	if (p && p->device == dev && dev < DEVICES_MAX)
		of_device[dev].current = p;
	else
		p = NULL;
	pthread_mutex_unlock(&pools_lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Pools of host memory are not offered. */
static int check_location(const CUmemLocation *l, CUmemAllocationType type)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!l || (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_MEM_ALLOCATION_TYPE_PINNED || l->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_NOT_SUPPORTED;
	return 0;
}

PUBLIC CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *location,
				       CUmemAllocationType type)
{
	const CUresult r = (CUresult)check_location(location, type);

	return r ? r : cuDeviceGetDefaultMemPool(pool, location->id);
}

PUBLIC CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location,
				CUmemAllocationType type)
{
	const CUresult r = (CUresult)check_location(location, type);

	return r ? r : cuDeviceGetMemPool(pool, location->id);
}

PUBLIC CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type,
				CUmemoryPool pool)
{
	const CUresult r = (CUresult)check_location(location, type);

	return r ? r : cuDeviceSetMemPool(location->id, pool);
}

static int check_props(const CUmemPoolProps *props)
{
	if (!props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (props->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    (unsigned int)props->handleTypes &
		    ~(unsigned int)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED; /* host memory; other systems' handles */
	return device_at(props->location.id) ? 0 : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	if (!pool)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_props(props);
	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_new(props->location.id);
	if (p) {
		p->most = props->maxSize;
		p->shareable = props->handleTypes != CU_MEM_HANDLE_TYPE_NONE;
		*pool = pool_handle(p);
	}
	pthread_mutex_unlock(&pools_lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUmemoryPool pool_import(int device)
{
	CUmemoryPool handle = NULL;
	struct pool *p;

	pthread_mutex_lock(&pools_lock);
	p = pool_new(device);
	if (p) {
		p->imported = true;
		handle = pool_handle(p);
	}
	pthread_mutex_unlock(&pools_lock);
	return handle;
}

/* Blocks that are in use stay so, and are freed as before. */
PUBLIC CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	r = !p || p->standard ? CUDA_ERROR_INVALID_VALUE : 0;
	if (!r) {
		if (of_device[p->device].current == p)
			of_device[p->device].current = NULL;
		p->dead = true;
		if (pool_collect(p))
			atomic_store(&pool_excess, true);
	}
	pthread_mutex_unlock(&pools_lock);
	return r;
}

PUBLIC CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	if (p)
		pool_trim(p, keep);
	pthread_mutex_unlock(&pools_lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int set(struct pool *p, CUmemPool_attribute attr, const void *value)
{
	switch (attr) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		p->reuse[attr - 1] = *(const int *)value != 0;
		return 0;
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		p->threshold = *(const cuuint64_t *)value;
		atomic_store(&pool_excess, true); /* it may be, now */
		return 0;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		if (*(const cuuint64_t *)value)
			return CUDA_ERROR_INVALID_VALUE; /* high marks are only set back */
		if (attr == CU_MEMPOOL_ATTR_USED_MEM_HIGH)
			p->used_high = p->used;
		else
			p->reserved_high = p->reserved;
		return 0;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static int get(const struct pool *p, CUmemPool_attribute attr, void *value)
{
	const uint64_t numbers[] = {p->threshold, p->reserved, p->reserved_high, p->used,
				    p->used_high};

	if (attr >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
	    attr <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
		*(int *)value = p->reuse[attr - 1];
		return 0;
	}
	if (attr < CU_MEMPOOL_ATTR_RELEASE_THRESHOLD || attr > CU_MEMPOOL_ATTR_USED_MEM_HIGH)
		return CUDA_ERROR_INVALID_VALUE;
	*(cuuint64_t *)value = numbers[attr - CU_MEMPOOL_ATTR_RELEASE_THRESHOLD];
	return 0;
}

PUBLIC CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	r = p && value ? set(p, attr, value) : CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pools_lock);
	return r;
}

PUBLIC CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	r = p && value ? get(p, attr, value) : CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&pools_lock);
	return r;
}

/* A vGPU is alone: its pools are for its own device, which always reaches them. */
static int check_access(const struct pool *p, const CUmemAccessDesc *d)
{
	if (d->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(d->location.id))
		return CUDA_ERROR_INVALID_DEVICE;
	/* Only another device can be denied access, and only the own one be granted it. */
	if (d->flags == (d->location.id == p->device ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
						     : CU_MEM_ACCESS_FLAGS_PROT_NONE))
		return 0;
	return CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	r = p && (map || !count) ? 0 : CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && !r; i++)
		r = check_access(p, &map[i]);
	pthread_mutex_unlock(&pools_lock);
	return r;
}

PUBLIC CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool,
				   CUmemLocation *location)
{
	struct pool *p;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&pools_lock);
	p = pool_find(pool);
	r = p && flags && location && location->type == CU_MEM_LOCATION_TYPE_DEVICE
		    ? 0
		    : CUDA_ERROR_INVALID_VALUE;
	if (!r && !device_at(location->id))
		r = CUDA_ERROR_INVALID_DEVICE;
	if (!r)
		*flags = location->id == p->device ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
						   : CU_MEM_ACCESS_FLAGS_PROT_NONE;
	pthread_mutex_unlock(&pools_lock);
	return r;
}
