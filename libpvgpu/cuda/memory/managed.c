/* SPDX-License-Identifier: MIT */
/*
 * Managed memory. It lies in the arena, which CPU and GPU reach at the same addresses and which
 * both may use at any time: nothing is moved. So prefetches and advice change nothing but what
 * queries of them answer; that is kept here, in parts of allocations.
 */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/managed.h"
#include "cuda/memory/memory_map.h"
#include "cuda/streams/batch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/pages.h"
#include "link/session.h"

enum {
	DEVICES_MAX = 63,     /* of those that hints are kept for */
	BY_CPU = DEVICES_MAX, /* bits of accessed: each device, then the CPU, as they are told */
};

struct hints {
	CUmemLocation preferred, fetched;
	uint64_t accessed;
	bool read_mostly;
};

/* The parts of an allocation cover it, once it has any. */
struct part {
	uint64_t base, end;
	struct hints hints;
	struct part *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct part *parts;

static uint64_t page_down(uint64_t n)
{
	return n & ~(uint64_t)(PVGPU_PAGE - 1);
}

static uint64_t page_up(uint64_t n)
{
	return page_down(n + PVGPU_PAGE - 1);
}

static int alloc(struct ctx *c, size_t bytes, CUdeviceptr *out)
{
	struct range range = {
		.size = bytes, .kind = RANGE_PINNED, .flags = RANGE_MANAGED, .ctx = c};
	int r;

	if (page_up(bytes) < bytes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	range.base = (uintptr_t)pvgpu_arena_alloc(session(), page_up(bytes), false);
	if (!range.base) {
		r = pvgpu_session_status(session());
		return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = range_add(&range);
	if (r)
		host_free(&range);
	else
		*out = range.base;
	return r;
}

PUBLIC CUresult cuMemAllocManaged(CUdeviceptr *addr, size_t bytes, unsigned int flags)
{
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!addr || !bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_value(c->device, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = capture_unsafe();
	return r ? r : alloc(c, bytes, addr);
}

void managed_forget(const struct range *r)
{
	struct part **at = &parts, *p;

	pthread_mutex_lock(&lock);
	while ((p = *at)) {
		if (p->base < r->base || p->base - r->base >= r->size) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
	}
	pthread_mutex_unlock(&lock);
}

/* Whole pages of one allocation of managed memory. */
static int find(uint64_t addr, uint64_t bytes, struct part *pages, struct range *range)
{
	if (!bytes || !range_find_device(addr, range) || !range_is_managed(range) ||
	    bytes > page_up(range->size) - (addr - range->base))
		return CUDA_ERROR_INVALID_VALUE;
	pages->base = page_down(addr);
	pages->end = page_up(addr + bytes);
	return 0;
}

static bool insert(const struct part *what)
{
	struct part *p = malloc(sizeof(*p));

	if (!p)
		return false;
	*p = *what;
	p->next = parts;
	parts = p;
	return true;
}

static bool cut(uint64_t at)
{
	for (struct part *p = parts; p; p = p->next) {
		struct part rest = *p;

		if (p->base >= at || p->end <= at)
			continue;
		rest.base = at;
		if (!insert(&rest))
			return false;
		p->end = at;
		break;
	}
	return true;
}

/* Under lock: parts that begin and end where the pages do. */
static bool prepare(const struct range *range, const struct part *pages)
{
	struct part *p = parts;

	while (p && (pages->base < p->base || pages->base >= p->end))
		p = p->next;
	if (!p &&
	    !insert(&(struct part){.base = range->base, .end = range->base + page_up(range->size)}))
		return false;
	return cut(pages->base) && cut(pages->end);
}

/* A change of the hints of one part. */
struct change {
	CUmem_advise advice; /* 0: a prefetch */
	CUmemLocation where;
};

static uint64_t bit_of(CUmemLocation where)
{
	return 1ull << (where.type == CU_MEM_LOCATION_TYPE_DEVICE ? where.id : BY_CPU);
}

static void apply(struct hints *h, const struct change *c)
{
	switch ((int)c->advice) {
	case 0:
		h->fetched = c->where;
		break;
	case CU_MEM_ADVISE_SET_READ_MOSTLY:
	case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
		h->read_mostly = c->advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
		break;
	case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
		h->preferred = c->where;
		break;
	case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
		h->preferred = (CUmemLocation){0};
		break;
	case CU_MEM_ADVISE_SET_ACCESSED_BY:
		h->accessed |= bit_of(c->where);
		break;
	default:
		h->accessed &= ~bit_of(c->where);
	}
}

static int change(const struct range *range, const struct part *pages, const struct change *c)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = prepare(range, pages);
	for (struct part *p = parts; p && ok; p = p->next)
		if (p->base >= pages->base && p->end <= pages->end)
			apply(&p->hints, c);
	pthread_mutex_unlock(&lock);
	return ok ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static bool is_node(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", id);
	return !id || (id > 0 && !access(path, F_OK));
}

/* A place of memory; nodes: those of host memory may be told apart. */
static int check_location(CUmemLocation *l, bool nodes)
{
	switch (l->type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return device_at(l->id) && l->id < DEVICES_MAX ? 0 : CUDA_ERROR_INVALID_DEVICE;
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
		if (!nodes)
			return CUDA_ERROR_INVALID_DEVICE;
		return is_node(l->id) ? 0 : CUDA_ERROR_INVALID_VALUE;
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		if (!nodes)
			return CUDA_ERROR_INVALID_DEVICE;
		*l = (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_HOST};
		return 0;
	case CU_MEM_LOCATION_TYPE_HOST:
		l->id = 0;
		return 0;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* As calls say it that know devices and the CPU alone. */
static CUmemLocation location_of(CUdevice dev)
{
	return dev == CU_DEVICE_CPU ? (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_HOST}
				    : (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, dev};
}

static int prefetch(uint64_t addr, size_t bytes, CUmemLocation to, unsigned int flags,
		    CUstream stream, bool per_thread)
{
	struct change c = {.where = to};
	struct range range;
	struct part pages;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	r = flags ? CUDA_ERROR_INVALID_VALUE : find(addr, bytes, &pages, &range);
	if (!r)
		r = check_location(&c.where, true);
	if (!r && t.captured)
		r = capture_refuse(&t);
	return r ? r : change(&range, &pages, &c);
}

CU_PTSZ(cuMemPrefetchAsync, (CUdeviceptr addr, size_t bytes, CUdevice to, CUstream stream),
	prefetch(addr, bytes, location_of(to), 0, stream, per_thread))

CU_PTSZ(cuMemPrefetchAsync_v2,
	(CUdeviceptr addr, size_t bytes, CUmemLocation to, unsigned int flags, CUstream stream),
	prefetch(addr, bytes, to, flags, stream, per_thread))

struct fetches {
	const CUdeviceptr *addr;
	const size_t *size;
	size_t count;
	/* NULL: nothing is prefetched */
	const CUmemLocation *where;
	const size_t *first;
	size_t groups;
	unsigned long long flags;
};

/* Discarded memory may keep its value. */
static int fetch_all(const struct fetches *b, CUstream stream, bool per_thread)
{
	struct change c = {.advice = 0};
	struct range range;
	struct part pages;
	struct target t;
	size_t group = 0;
	int r = batch_enter(stream, per_thread, &t);

	if (r)
		return r;
	if (!b->addr || !b->size || !b->count || b->flags ||
	    (b->where && !batch_groups(b->first, b->groups, b->count)))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < b->count && !r; i++)
		r = find(b->addr[i], b->size[i], &pages, &range);
	for (size_t i = 0; b->where && i < b->groups && !r; i++) {
		c.where = b->where[i];
		r = check_location(&c.where, true);
	}
	if (!r && t.captured)
		r = capture_refuse(&t);
	for (size_t i = 0; b->where && i < b->count && !r; i++) {
		if (group + 1 < b->groups && b->first[group + 1] == i)
			group++;
		c.where = b->where[group];
		check_location(&c.where, true);
		r = find(b->addr[i], b->size[i], &pages, &range);
		if (!r)
			r = change(&range, &pages, &c);
	}
	return r;
}

/* Of a call whose places are not optional. */
static int fetch_to(const struct fetches *b, CUstream stream, bool per_thread)
{
	const int r = guest_enter();

	return !r && !b->where ? CUDA_ERROR_INVALID_VALUE : fetch_all(b, stream, per_thread);
}

CU_PTSZ(cuMemPrefetchBatchAsync,
	(CUdeviceptr * addrs, size_t *sizes, size_t count, CUmemLocation *places, size_t *first,
	 size_t groups, unsigned long long flags, CUstream stream),
	fetch_to(&(struct fetches){addrs, sizes, count, places, first, groups, flags}, stream,
		 per_thread))

CU_PTSZ(cuMemDiscardBatchAsync,
	(CUdeviceptr * addrs, size_t *sizes, size_t count, unsigned long long flags,
	 CUstream stream),
	fetch_all(&(struct fetches){addrs, sizes, count, NULL, NULL, 0, flags}, stream, per_thread))

CU_PTSZ(cuMemDiscardAndPrefetchBatchAsync,
	(CUdeviceptr * addrs, size_t *sizes, size_t count, CUmemLocation *places, size_t *first,
	 size_t groups, unsigned long long flags, CUstream stream),
	fetch_to(&(struct fetches){addrs, sizes, count, places, first, groups, flags}, stream,
		 per_thread))

static int advise(uint64_t addr, size_t bytes, CUmem_advise advice, CUmemLocation where)
{
	struct change c = {advice, where};
	struct range range;
	struct part pages;
	int r = guest_enter();

	if (r)
		return r;
	if ((unsigned int)advice < CU_MEM_ADVISE_SET_READ_MOSTLY ||
	    (unsigned int)advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(addr, bytes, &pages, &range);
	/* The other kinds of advice do not look at the place. */
	if (!r && advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION)
		r = check_location(&c.where, true);
	if (!r && advice >= CU_MEM_ADVISE_SET_ACCESSED_BY)
		r = check_location(&c.where, false);
	return r ? r : change(&range, &pages, &c);
}

PUBLIC CUresult cuMemAdvise(CUdeviceptr addr, size_t bytes, CUmem_advise advice, CUdevice device)
{
	return advise(addr, bytes, advice, location_of(device));
}

PUBLIC CUresult cuMemAdvise_v2(CUdeviceptr addr, size_t bytes, CUmem_advise advice,
			       CUmemLocation where)
{
	return advise(addr, bytes, advice, where);
}

static bool same_place(CUmemLocation a, CUmemLocation b)
{
	return a.type == b.type && a.id == b.id;
}

static void join(struct hints *all, const struct hints *h)
{
	if (!same_place(all->preferred, h->preferred))
		all->preferred = (CUmemLocation){0};
	if (!same_place(all->fetched, h->fetched))
		all->fetched = (CUmemLocation){0};
	all->accessed &= h->accessed;
	all->read_mostly &= h->read_mostly;
}

/* The hints that hold for all of the pages. */
static struct hints common(const struct part *pages)
{
	struct hints all = {0};
	bool first = true;

	pthread_mutex_lock(&lock);
	for (const struct part *p = parts; p; p = p->next) {
		if (p->end <= pages->base || p->base >= pages->end)
			continue;
		if (first)
			all = p->hints;
		else
			join(&all, &p->hints);
		first = false;
	}
	pthread_mutex_unlock(&lock);
	return all;
}

/* A place as a device: the CPU is one; a node of its memory is none. */
static int as_device(CUmemLocation l)
{
	switch (l.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return l.id;
	case CU_MEM_LOCATION_TYPE_HOST:
		return CU_DEVICE_CPU;
	default:
		return CU_DEVICE_INVALID;
	}
}

static void give_accessed(int *data, size_t n, uint64_t accessed)
{
	size_t used = 0;

	for (int i = 0; i <= DEVICES_MAX && used < n; i++)
		if (accessed >> i & 1)
			data[used++] = i == BY_CPU ? CU_DEVICE_CPU : i;
	while (used < n)
		data[used++] = CU_DEVICE_INVALID;
}

static int value_of(CUmem_range_attribute attr, const struct hints *h)
{
	switch (attr) {
	case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
		return h->read_mostly;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
		return as_device(h->preferred);
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
		return as_device(h->fetched);
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
		return (int)h->preferred.type;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
		return h->preferred.id;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
		return (int)h->fetched.type;
	default:
		return h->fetched.id;
	}
}

static bool fits(const void *data, size_t size, CUmem_range_attribute attr)
{
	if (!data || (unsigned int)attr < CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY ||
	    (unsigned int)attr > CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID)
		return false;
	return attr == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY ? size && !(size % sizeof(int))
							  : size == sizeof(int);
}

static int query(void **data, const size_t *sizes, const CUmem_range_attribute *attrs, size_t count,
		 uint64_t addr, size_t bytes)
{
	struct range range;
	struct part pages;
	struct hints all;
	int r = guest_enter();

	if (r)
		return r;
	if (!data || !sizes || !attrs || !count)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(addr, bytes, &pages, &range);
	if (r)
		return r;
	for (size_t i = 0; i < count; i++)
		if (!fits(data[i], sizes[i], attrs[i]))
			return CUDA_ERROR_INVALID_VALUE;
	all = common(&pages);
	for (size_t i = 0; i < count; i++) {
		if (attrs[i] == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY)
			give_accessed(data[i], sizes[i] / sizeof(int), all.accessed);
		else
			*(int *)data[i] = value_of(attrs[i], &all);
	}
	return 0;
}

PUBLIC CUresult cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute attr,
				       CUdeviceptr addr, size_t bytes)
{
	return query(&data, &size, &attr, 1, addr, bytes);
}

PUBLIC CUresult cuMemRangeGetAttributes(void **data, size_t *sizes, CUmem_range_attribute *attrs,
					size_t count, CUdeviceptr addr, size_t bytes)
{
	return query(data, sizes, attrs, count, addr, bytes);
}

/* Every stream, and the CPU, may use the memory at any time: there is nothing to wait for. */
static int attach(CUstream stream, uint64_t addr, size_t bytes, unsigned int flags, bool per_thread)
{
	struct range range;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST &&
	    flags != CU_MEM_ATTACH_SINGLE)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags == CU_MEM_ATTACH_SINGLE && !t.stream)
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_find_device(addr, &range) || !range_is_managed(&range) || range.base != addr ||
	    (bytes && bytes != range.size))
		return CUDA_ERROR_INVALID_VALUE;
	return t.captured ? capture_refuse(&t) : 0;
}

CU_PTSZ(cuStreamAttachMemAsync,
	(CUstream stream, CUdeviceptr addr, size_t bytes, unsigned int flags),
	attach(stream, addr, bytes, flags, per_thread))
