/* SPDX-License-Identifier: MIT */
/*
 * Pages of device memory and the map of allocations in them. Far-end calls are made without
 * mem.lock: pages being mapped or unmapped are in no list and in no map meanwhile.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/share.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

int mem_init(struct gpu *g)
{
	struct memory *m = &g->mem;
	const CUmemAllocationProp prop = {
		.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = g->far->dev},
	};
	size_t granularity = 0;
	int able = 0;
	const int r = (int)g->far->cuMemGetAllocationGranularity(&granularity, &prop,
								 CU_MEM_ALLOC_GRANULARITY_MINIMUM);

	if (r)
		return r;
	if (!granularity || granularity & (granularity - 1) || granularity > 1u << 30)
		return CUDA_ERROR_NOT_SUPPORTED;
	m->win.page = granularity > PVGPU_ALLOC_PAGE ? granularity : PVGPU_ALLOC_PAGE;
	m->prop = prop;
	if (g->far->cuMemExportToShareableHandle && g->far->cuMemImportFromShareableHandle &&
	    !g->far->cuDeviceGetAttribute(
		    &able, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
		    g->far->dev) &&
	    able)
		m->prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	m->waiting_tail = &m->waiting;
	spare_init(m);
	pthread_mutex_init(&m->lock, NULL);
	return 0;
}

/* Map `size` bytes at addr. */
static int area_map(struct gpu *g, struct area *a)
{
	const struct far *far = g->far;
	const CUmemAccessDesc access = {
		.location = g->mem.prop.location,
		.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
	};
	int r = (int)far->cuMemCreate(&a->far, a->size, &g->mem.prop, 0);

	if (r)
		return r;
	r = (int)far->cuMemMap(a->addr, a->size, 0, a->far, 0);
	if (r) {
		far->cuMemRelease(a->far);
		return r;
	}
	r = (int)far->cuMemSetAccess(a->addr, a->size, &access, 1);
	if (r) {
		far->cuMemUnmap(a->addr, a->size);
		far->cuMemRelease(a->far);
	}
	return r;
}

void area_leave(struct gpu *g, struct area *a)
{
	g->far->cuMemUnmap(a->addr, a->size);
	g->far->cuMemRelease(a->far);
	a->away = true;
}

int area_return(struct gpu *g, struct area *a)
{
	const int r = area_map(g, a);

	a->away = r != 0;
	return r;
}

/*
 * Nothing is cleared here: the far end's kernel driver clears memory before another process gets
 * it. It must, since a worker that was killed, or that its guest owns, would not have. Memory that
 * this process keeps never leaves its tenant.
 */
void area_unmap(struct gpu *g, struct area *a)
{
	struct window *v = &g->mem.win;
	const bool leased = !a->away;

	if (leased) {
		share_given_wait(g, &a->giving);
		area_leave(g, a);
	}
	/* In one step for mem_info(): it counts as freeing or as free, never as both or neither. */
	pthread_mutex_lock(&g->mem.lock);
	if (leased && !(a->number && share_drop(g->w, a->number)) && !a->imported)
		lease_put(g->w, a->size);
	window_put(v, a->addr, a->size / v->page);
	if (a->freeing)
		g->mem.freeing -= a->size;
	pthread_mutex_unlock(&g->mem.lock);
	slab_free(a->slab);
	free(a);
}

/* Pages, mapped and leased, in no heap. */
static int area_new(struct gpu *g, uint64_t size, bool may_wait, struct area **out)
{
	struct memory *m = &g->mem;
	struct area *a;
	int r;

	pthread_mutex_lock(&m->lock);
	a = spare_take(m, size);
	pthread_mutex_unlock(&m->lock);
	if (a) {
		*out = a;
		return 0;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	a->size = size;
	pthread_mutex_lock(&m->lock);
	a->addr = window_take(&m->win, size / m->win.page);
	pthread_mutex_unlock(&m->lock);
	r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!a->addr)
		goto out_free;
	if (!(may_wait ? lease_get(g->w, size) : lease_try(g->w, size)))
		goto out_window;
	r = area_map(g, a);
	if (r)
		goto out_lease;
	*out = a;
	return 0;

out_lease:
	lease_put(g->w, size);
out_window:
	pthread_mutex_lock(&m->lock);
	window_put(&m->win, a->addr, size / m->win.page);
	pthread_mutex_unlock(&m->lock);
out_free:
	free(a);
	return r;
}

/* mem.lock is held in all of these. */
static void open_add(struct heap *h, struct area *a)
{
	a->more = h->open[a->class];
	a->less = NULL;
	if (a->more)
		a->more->less = a;
	h->open[a->class] = a;
	a->open = true;
}

static void open_del(struct heap *h, struct area *a)
{
	if (!a->open)
		return;
	if (a->less)
		a->less->more = a->more;
	else
		h->open[a->class] = a->more;
	if (a->more)
		a->more->less = a->less;
	a->open = false;
}

static void heap_add(struct gpu *g, struct ctx *c, struct area *a)
{
	struct heap *h = &c->heap;

	a->ctx = c;
	a->prev = NULL;
	a->next = h->areas;
	if (a->next)
		a->next->prev = a;
	h->areas = a;
	window_fill(&g->mem.win, a->addr, a->size, a);
	if (a->slab)
		open_add(h, a);
}

static void heap_del(struct gpu *g, struct area *a)
{
	struct heap *h = &a->ctx->heap;

	if (a->slab)
		open_del(h, a);
	if (a->prev)
		a->prev->next = a->next;
	else
		h->areas = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->next = a->prev = NULL;
	a->ctx = NULL;
	window_fill(&g->mem.win, a->addr, a->size, NULL);
}

static uint64_t small_take(struct heap *h, unsigned int class, uint64_t size)
{
	struct area *a = h->open[class];
	int64_t block;

	if (!a)
		return 0;
	block = slab_take(a->slab, (uint32_t)size);
	if (block < 0)
		return 0;
	if (a->slab->used == a->slab->count)
		open_del(h, a);
	return a->addr + (uint64_t)block * a->slab->block;
}

static int get_small(struct gpu *g, struct ctx *c, uint64_t size, bool may_wait, uint64_t *addr)
{
	struct memory *m = &g->mem;
	const unsigned int class = slab_class(size);
	struct area *a;
	bool most;
	int r;

	pthread_mutex_lock(&m->lock);
	most = m->blocks >= MEM_BLOCKS_MAX;
	*addr = most ? 0 : small_take(&c->heap, class, size);
	if (*addr)
		m->blocks++;
	pthread_mutex_unlock(&m->lock);
	if (*addr || most)
		return most ? CUDA_ERROR_OUT_OF_MEMORY : 0;
	r = area_new(g, m->win.page, may_wait, &a);
	if (r)
		return r;
	a->slab = slab_new(a->size, class);
	if (!a->slab) {
		area_unmap(g, a);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	a->class = class;
	a->len = 0;
	pthread_mutex_lock(&m->lock);
	heap_add(g, c, a);
	*addr = small_take(&c->heap, class, size);
	m->blocks++;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

int mem_get(struct gpu *g, struct ctx *c, uint64_t size, bool may_wait, uint64_t *addr)
{
	struct memory *m = &g->mem;
	struct area *a;
	int r;

	if (size < SLAB_LARGE)
		return get_small(g, c, size, may_wait, addr);
	if (size > m->win.size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = area_new(g, (size + m->win.page - 1) / m->win.page * m->win.page, may_wait, &a);
	if (r)
		return r;
	a->len = size;
	pthread_mutex_lock(&m->lock);
	heap_add(g, c, a);
	m->blocks++;
	pthread_mutex_unlock(&m->lock);
	*addr = a->addr;
	return 0;
}

/* mem.lock held: the area that maps an address. */
static struct area *area_at(const struct memory *m, uint64_t addr)
{
	if (addr < m->win.base || addr - m->win.base >= m->win.size)
		return NULL;
	return m->win.at[(addr - m->win.base) / m->win.page];
}

/* mem.lock held: the live allocation that begins at or before an address, and what is mapped for
 * it, which is more than was asked for: CUDA lets copies reach as far. */
static bool alloc_at(const struct area *a, uint64_t addr, uint64_t *start, uint64_t *len)
{
	uint64_t block;

	if (a->imported) {
		*start = a->addr + a->from;
		*len = a->len;
		return a->len != 0;
	}
	if (!a->slab) {
		*start = a->addr;
		*len = a->size;
		return a->len != 0;
	}
	block = (addr - a->addr) / a->slab->block;
	if (block >= a->slab->count)
		return false;
	*start = a->addr + block * a->slab->block;
	*len = a->slab->block;
	return a->slab->len[block] != 0;
}

static bool inside(uint64_t addr, uint64_t len, uint64_t start, uint64_t size)
{
	return addr >= start && addr - start <= size && len <= size - (addr - start);
}

/* mem.lock held: does the guest's mapping at an address, with those that follow it without a gap,
 * give the device access to all of the range? */
static bool mappings_hold(const struct memory *m, uint64_t addr, uint64_t len)
{
	for (;;) {
		const struct area *a = area_at(m, addr);
		uint64_t left;

		if (!a || !a->physical || !a->access)
			return false;
		left = a->addr + a->size - addr;
		if (len <= left)
			return true;
		len -= left;
		addr += left;
	}
}

enum where mem_where(struct gpu *g, uint64_t addr, uint64_t len)
{
	struct memory *m = &g->mem;
	uint64_t start, size;
	const struct global *v;
	bool ok = false;
	struct area *a;

	if (addr >= g->decode.arena_base && addr - g->decode.arena_base < g->decode.arena_size)
		return chunks_contain(&g->arena.chunks, addr, len) ? AT_ARENA : AT_NOWHERE;
	pthread_mutex_lock(&m->lock);
	a = area_at(m, addr);
	if (a && a->physical) {
		ok = mappings_hold(m, addr, len);
	} else if (a) {
		ok = alloc_at(a, addr, &start, &size) && inside(addr, len, start, size);
	} else {
		v = global_at(m, addr);
		ok = v && inside(addr, len, v->addr, v->size);
	}
	pthread_mutex_unlock(&m->lock);
	return ok ? AT_DEVICE : AT_NOWHERE;
}

void area_freeing(struct memory *m, struct area *a)
{
	/* It is not this session's that gets it back. */
	if (a->imported)
		return;
	a->freeing = true;
	m->freeing += a->size;
}

/* Decoding thread: forget the allocation that begins at addr. The area to release, or
 * NULL with *block of a slab to put back; false: no such allocation. */
bool mem_forget(struct gpu *g, uint64_t addr, struct area **area, uint32_t *block)
{
	struct memory *m = &g->mem;
	uint64_t start, size;
	bool ok;

	pthread_mutex_lock(&m->lock);
	*area = area_at(m, addr);
	ok = *area && !(*area)->imported && alloc_at(*area, addr, &start, &size) && start == addr;
	if (ok && (*area)->slab) {
		*block = (uint32_t)((addr - (*area)->addr) / (*area)->slab->block);
		(*area)->slab->len[*block] = 0;
		(*area)->slab->freeing++;
	} else if (ok) {
		heap_del(g, *area);
		(*area)->len = 0;
		area_freeing(m, *area);
	}
	pthread_mutex_unlock(&m->lock);
	if (ok && (*area)->tokens)
		share_forget(g, addr, size);
	return ok;
}

struct area *mem_shareable(struct gpu *g, uint64_t addr, uint64_t size, uint64_t *serial)
{
	struct memory *m = &g->mem;
	uint64_t start, len;
	struct area *a;

	pthread_mutex_lock(&m->lock);
	a = area_at(m, addr);
	if (a && (a->imported || a->physical || !alloc_at(a, addr, &start, &len) ||
		  !inside(addr, size, start, len)))
		a = NULL;
	if (a && !a->serial)
		a->serial = ++m->serials;
	*serial = a ? a->serial : 0;
	pthread_mutex_unlock(&m->lock);
	return a;
}

struct area *mem_shared(struct memory *m, uint64_t addr, uint64_t serial)
{
	struct area *a = area_at(m, addr);

	return a && a->serial == serial ? a : NULL;
}

void mem_import(struct gpu *g, struct ctx *c, struct area *a)
{
	pthread_mutex_lock(&g->mem.lock);
	heap_add(g, c, a);
	g->mem.blocks++;
	pthread_mutex_unlock(&g->mem.lock);
}

struct area *mem_forget_import(struct gpu *g, uint64_t addr)
{
	struct memory *m = &g->mem;
	struct area *a;

	pthread_mutex_lock(&m->lock);
	a = area_at(m, addr);
	if (a && a->imported && a->len && a->addr + a->from == addr) {
		heap_del(g, a);
		a->len = 0;
		m->blocks--;
	} else {
		a = NULL;
	}
	pthread_mutex_unlock(&m->lock);
	return a;
}

static void area_done(struct gpu *g, struct area *a, bool may_linger)
{
	slab_free(a->slab);
	a->slab = NULL;
	a->len = 0;
	/* Another session may have it mapped: nothing else is put there. */
	if (a->number || !spare_keep(g, a, may_linger))
		area_unmap(g, a);
}

/* Side lane: earlier work has ended, so block (of a slab) or the whole area is free. */
void mem_put(struct gpu *g, struct area *a, uint32_t block)
{
	struct memory *m = &g->mem;
	bool empty = true;

	pthread_mutex_lock(&m->lock);
	m->blocks--;
	if (a->slab) {
		slab_put(a->slab, block);
		a->slab->freeing--;
		empty = !a->slab->used;
		if (a->ctx && empty)
			heap_del(g, a);
		else if (a->ctx && !a->open)
			open_add(&a->ctx->heap, a);
		/* A slab of a context that is going is released with it, or by the last of us. */
		empty = empty && (!a->detached || a->orphan);
	}
	if (empty)
		a->detached = a->orphan = false;
	pthread_mutex_unlock(&m->lock);
	if (empty)
		area_done(g, a, true);
}

struct area *mem_detach(struct gpu *g, struct ctx *c)
{
	struct memory *m = &g->mem;
	struct area *list = NULL;

	pthread_mutex_lock(&m->lock);
	while (c->heap.areas) {
		struct area *a = c->heap.areas;

		heap_del(g, a);
		area_freeing(m, a);
		a->detached = true;
		a->next = list;
		list = a;
	}
	pthread_mutex_unlock(&m->lock);
	return list;
}

void mem_release(struct gpu *g, struct area *list)
{
	struct memory *m = &g->mem;
	bool orphan;

	while (list) {
		struct area *a = list;

		list = a->next;
		a->next = NULL;
		pthread_mutex_lock(&m->lock);
		m->blocks -= a->slab ? a->slab->used - a->slab->freeing : 1;
		/* Frees that wait for another context's work come later. */
		a->orphan = a->slab && a->slab->freeing;
		if (a->orphan)
			a->slab->used = a->slab->freeing;
		else
			a->detached = false;
		orphan = a->orphan;
		pthread_mutex_unlock(&m->lock);
		if (!orphan)
			area_done(g, a, false);
	}
}

int mem_own(struct gpu *g, uint64_t size, struct area **out)
{
	const uint64_t page = g->mem.win.page;

	return area_new(g, (size + page - 1) / page * page, true, out);
}

void mem_own_free(struct gpu *g, struct area *a)
{
	if (a)
		area_unmap(g, a);
}

/* At the end, when no thread is left and no work runs. */
void mem_fini(struct gpu *g)
{
	mem_trim(g);
	free(g->mem.global);
	window_release(g);
	pthread_mutex_destroy(&g->mem.lock);
}
