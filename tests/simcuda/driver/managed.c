/* SPDX-License-Identifier: MIT */
/*
 * Managed memory. The device is the host, so nothing moves: prefetches and advice are kept for each
 * page, for those who ask.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

#define PAGE   4096u
#define BY_CPU 1u
#define BY_GPU 2u

struct page {
	CUmemLocation preferred, fetched;
	uint8_t accessed, read_mostly;
};

struct block {
	struct block *next;
	uint64_t base, pages;
	struct page page[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;

/* Pages of one block, under lock. */
struct span {
	struct page *first;
	uint64_t n;
};

static CUresult lock_span(CUdeviceptr addr, size_t size, struct span *s)
{
	const struct block *b;
	uint64_t first, last;

	pthread_mutex_lock(&lock);
	for (b = blocks; b && (addr < b->base || addr - b->base >= b->pages * PAGE); b = b->next)
		;
	if (!b || !size || size > b->base + b->pages * PAGE - addr) {
		pthread_mutex_unlock(&lock);
		return CUDA_ERROR_INVALID_VALUE;
	}
	first = (addr - b->base) / PAGE;
	last = (addr + size - 1 - b->base) / PAGE;
	*s = (struct span){(struct page *)&b->page[first], last - first + 1};
	return CUDA_SUCCESS;
}

static struct block *block_new(size_t size)
{
	const uint64_t n = (size + PAGE - 1) / PAGE;
	struct block *b = calloc(1, sizeof(*b) + n * sizeof(b->page[0]));
	void *p = b ? memory_map(n * PAGE, PAGE) : NULL;

	if (!p) {
		free(b);
		return NULL;
	}
	b->base = (uintptr_t)p;
	b->pages = n;
	return b;
}

void managed_release(const struct range *r)
{
	struct block **at, *b;

	pthread_mutex_lock(&lock);
	for (at = &blocks; (*at)->base != r->base; at = &(*at)->next)
		;
	b = *at;
	*at = b->next;
	pthread_mutex_unlock(&lock);
	munmap((void *)b->base, b->pages * PAGE);
	free(b);
}

/* ctx: NULL for a variable, which belongs to none. */
static CUresult alloc(struct sim_ctx *ctx, size_t size, CUdeviceptr *out)
{
	struct range r = {
		.kind = RANGE_MANAGED, .access = 3, .ctx = ctx, .ctx_id = ctx ? ctx->id : 0};
	struct block *b = size < 1ull << 46 ? block_new(size) : NULL;
	CUresult result;

	if (!b)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	b->next = blocks;
	blocks = b;
	pthread_mutex_unlock(&lock);
	r.base = r.owner_base = b->base;
	r.size = b->pages * PAGE;
	r.owner_size = size;
	result = range_add(&r);
	if (result != CUDA_SUCCESS)
		managed_release(&r);
	else
		*out = r.base;
	return result;
}

void managed_unplace(const struct ptx_module *ptx, uint64_t *addr)
{
	struct range r;

	for (size_t i = 0; addr && i < ptx_global_count(ptx); i++)
		if (addr[i] && range_remove(addr[i], &r))
			managed_release(&r);
	free(addr);
}

CUresult managed_place(const struct ptx_module *ptx, uint64_t **out)
{
	const size_t n = ptx_global_count(ptx);
	CUresult r = CUDA_SUCCESS;
	bool any = false;

	*out = NULL;
	for (size_t i = 0; i < n; i++)
		any |= ptx_global_at(ptx, i)->is_managed;
	if (!any)
		return CUDA_SUCCESS;
	*out = calloc(n, sizeof(**out));
	if (!*out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
		const struct ptx_global *g = ptx_global_at(ptx, i);

		CUdeviceptr p = 0;

		if (!g->is_managed)
			continue;
		r = g->size > sim_config.memory ? CUDA_ERROR_OUT_OF_MEMORY
						: alloc(NULL, g->size ? g->size : 1, &p);
		(*out)[i] = p;
	}
	if (r != CUDA_SUCCESS) {
		managed_unplace(ptx, *out);
		*out = NULL;
	}
	return r;
}

API(cuMemAllocManaged, CUdeviceptr *dptr, size_t size, unsigned int flags)
{
	ENTER();
	CURRENT(ctx);
	if (!dptr || !size || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(capture_unsafe());
	return alloc(ctx, size, dptr);
}

static bool is_node(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", id);
	return !id || (id > 0 && !access(path, F_OK));
}

/* Host memory is one place here, unless a node is named. */
static CUresult find_place(CUmemLocation *l, bool nodes)
{
	if (l->type == CU_MEM_LOCATION_TYPE_DEVICE)
		return device_is_valid(l->id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
	if (l->type == CU_MEM_LOCATION_TYPE_HOST_NUMA)
		return !nodes           ? CUDA_ERROR_INVALID_DEVICE
		       : is_node(l->id) ? CUDA_SUCCESS
					: CUDA_ERROR_INVALID_VALUE;
	if (l->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT && !nodes)
		return CUDA_ERROR_INVALID_DEVICE;
	if (l->type != CU_MEM_LOCATION_TYPE_HOST &&
	    l->type != CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
		return CUDA_ERROR_INVALID_VALUE;
	*l = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
	return CUDA_SUCCESS;
}

static CUmemLocation place_of(CUdevice dev)
{
	if (dev == CU_DEVICE_CPU)
		return (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
	return (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, dev};
}

static CUresult prefetch(CUdeviceptr addr, size_t size, CUmemLocation to, CUstream stream)
{
	struct sim_stream *st;
	struct span s;
	CUresult r;

	TRY(stream_get(stream, &st));
	TRY(lock_span(addr, size, &s));
	r = find_place(&to, true);
	for (uint64_t i = 0; i < s.n && r == CUDA_SUCCESS && !st->capture; i++)
		s.first[i].fetched = to;
	pthread_mutex_unlock(&lock);
	return r == CUDA_SUCCESS && st->capture ? capture_wait(st) : r;
}

API_PTSZ(cuMemPrefetchAsync, (CUdeviceptr addr, size_t size, CUdevice to, CUstream stream),
	 (addr, size, to, stream))
{
	return prefetch(addr, size, place_of(to), stream);
}

API_PTSZ(cuMemPrefetchAsync_v2,
	 (CUdeviceptr addr, size_t size, CUmemLocation to, unsigned int flags, CUstream stream),
	 (addr, size, to, flags, stream))
{
	struct sim_stream *st;

	TRY(stream_get(stream, &st));
	return flags ? CUDA_ERROR_INVALID_VALUE : prefetch(addr, size, to, stream);
}

static CUresult check_all(const CUdeviceptr *addr, const size_t *size, size_t count,
			  unsigned long long flags, CUstream stream)
{
	struct sim_stream *st;
	struct span s;

	TRY(batch_stream(stream));
	TRY(stream_get(stream, &st));
	if (!addr || !size || !count || flags)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		TRY(lock_span(addr[i], size[i], &s));
		pthread_mutex_unlock(&lock);
	}
	return st->capture ? capture_wait(st) : CUDA_SUCCESS;
}

API_PTSZ(cuMemDiscardBatchAsync,
	 (CUdeviceptr * addr, size_t *size, size_t count, unsigned long long flags,
	  CUstream stream),
	 (addr, size, count, flags, stream))
{
	return check_all(addr, size, count, flags, stream);
}

API_PTSZ(cuMemPrefetchBatchAsync,
	 (CUdeviceptr * addr, size_t *size, size_t count, CUmemLocation *where, size_t *first,
	  size_t groups, unsigned long long flags, CUstream stream),
	 (addr, size, count, where, first, groups, flags, stream))
{
	TRY(batch_stream(stream));
	if (!where || !batch_groups(first, groups, count))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check_all(addr, size, count, flags, stream));
	for (size_t i = 0; i < groups; i++) {
		CUmemLocation to = where[i];

		TRY(find_place(&to, true));
	}
	for (size_t i = 0, group = 0; i < count; i++) {
		if (group + 1 < groups && first[group + 1] == i)
			group++;
		TRY(prefetch(addr[i], size[i], where[group], stream));
	}
	return CUDA_SUCCESS;
}

/* Discarded memory may keep its value. */
API_PTSZ(cuMemDiscardAndPrefetchBatchAsync,
	 (CUdeviceptr * addr, size_t *size, size_t count, CUmemLocation *where, size_t *first,
	  size_t groups, unsigned long long flags, CUstream stream),
	 (addr, size, count, where, first, groups, flags, stream))
{
	return do_cuMemPrefetchBatchAsync(addr, size, count, where, first, groups, flags, stream);
}

static void advise_page(struct page *p, CUmem_advise advice, CUmemLocation where)
{
	const uint8_t by = where.type == CU_MEM_LOCATION_TYPE_DEVICE ? BY_GPU : BY_CPU;

	if (advice == CU_MEM_ADVISE_SET_READ_MOSTLY)
		p->read_mostly = 1;
	else if (advice == CU_MEM_ADVISE_UNSET_READ_MOSTLY)
		p->read_mostly = 0;
	else if (advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION)
		p->preferred = where;
	else if (advice == CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION)
		p->preferred = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
	else if (advice == CU_MEM_ADVISE_SET_ACCESSED_BY)
		p->accessed |= by;
	else
		p->accessed &= (uint8_t)~by;
}

static CUresult advise(CUdeviceptr addr, size_t size, CUmem_advise advice, CUmemLocation where)
{
	const bool by = advice == CU_MEM_ADVISE_SET_ACCESSED_BY ||
			advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
	CUresult r = CUDA_SUCCESS;
	struct span s;

	if ((unsigned int)advice - 1 >= CU_MEM_ADVISE_UNSET_ACCESSED_BY)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(lock_span(addr, size, &s));
	if (by || advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION)
		r = find_place(&where, !by);
	for (uint64_t i = 0; i < s.n && r == CUDA_SUCCESS; i++)
		advise_page(&s.first[i], advice, where);
	pthread_mutex_unlock(&lock);
	return r;
}

API(cuMemAdvise, CUdeviceptr addr, size_t size, CUmem_advise advice, CUdevice device)
{
	ENTER();
	return advise(addr, size, advice, place_of(device));
}

API(cuMemAdvise_v2, CUdeviceptr addr, size_t size, CUmem_advise advice, CUmemLocation where)
{
	ENTER();
	return advise(addr, size, advice, where);
}

static bool same(CUmemLocation a, CUmemLocation b)
{
	return a.type == b.type && a.id == b.id;
}

/* What all pages have in common. */
static struct page common(const struct span *s)
{
	struct page all = s->first[0];

	for (uint64_t i = 1; i < s->n; i++) {
		const struct page *p = &s->first[i];

		all.accessed &= p->accessed;
		all.read_mostly &= p->read_mostly;
		if (!same(all.preferred, p->preferred))
			all.preferred = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
		if (!same(all.fetched, p->fetched))
			all.fetched = (CUmemLocation){CU_MEM_LOCATION_TYPE_INVALID, 0};
	}
	return all;
}

static int device_of(CUmemLocation l)
{
	return l.type == CU_MEM_LOCATION_TYPE_DEVICE ? l.id
	       : l.type == CU_MEM_LOCATION_TYPE_HOST ? CU_DEVICE_CPU
						     : CU_DEVICE_INVALID;
}

static bool is_sized(CUmem_range_attribute attr, const void *out, size_t size)
{
	if (!out || (unsigned int)attr - 1 >= CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID)
		return false;
	if (attr == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY)
		return size && !(size % 4);
	return size == 4;
}

static void answer(const struct page *p, CUmem_range_attribute attr, int *out, size_t size)
{
	const int value[] = {
		[CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY] = p->read_mostly,
		[CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION] = device_of(p->preferred),
		[CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION] = device_of(p->fetched),
		[CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE] = (int)p->preferred.type,
		[CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID] = p->preferred.id,
		[CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE] = (int)p->fetched.type,
		[CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID] = p->fetched.id,
	};
	size_t n = 0;

	if (attr != CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY) {
		*out = value[attr];
		return;
	}
	if (p->accessed & BY_GPU)
		out[n++] = 0;
	if (p->accessed & BY_CPU && n < size / 4)
		out[n++] = CU_DEVICE_CPU;
	while (n < size / 4)
		out[n++] = CU_DEVICE_INVALID;
}

static CUresult ask(void **out, const size_t *size, const CUmem_range_attribute *attr, size_t count,
		    CUdeviceptr addr, size_t len)
{
	struct page all;
	struct span s;

	if (!out || !size || !attr || !count)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(lock_span(addr, len, &s));
	all = common(&s);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < count; i++)
		if (!is_sized(attr[i], out[i], size[i]))
			return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		answer(&all, attr[i], out[i], size[i]);
	return CUDA_SUCCESS;
}

API(cuMemRangeGetAttribute, void *out, size_t size, CUmem_range_attribute attr, CUdeviceptr addr,
    size_t len)
{
	ENTER();
	return ask(&out, &size, &attr, 1, addr, len);
}

API(cuMemRangeGetAttributes, void **out, size_t *size, CUmem_range_attribute *attr, size_t count,
    CUdeviceptr addr, size_t len)
{
	ENTER();
	return ask(out, size, attr, count, addr, len);
}

/* All streams, and the CPU, may use all of it. */
API_PTSZ(cuStreamAttachMemAsync,
	 (CUstream stream, CUdeviceptr addr, size_t size, unsigned int flags),
	 (stream, addr, size, flags))
{
	struct sim_stream *s;
	struct range r;

	TRY(stream_get(stream, &s));
	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST &&
	    flags != CU_MEM_ATTACH_SINGLE)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags == CU_MEM_ATTACH_SINGLE && (!stream || stream == CU_STREAM_LEGACY))
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_find(addr, &r) || r.kind != RANGE_MANAGED || r.base != addr ||
	    (size && size != r.owner_size))
		return CUDA_ERROR_INVALID_VALUE;
	return s->capture ? capture_wait(s) : CUDA_SUCCESS;
}
