/* SPDX-License-Identifier: MIT */
/*
 * Device memory: cuMemAlloc and its kin. Large blocks are mappings of their own; small ones share
 * segments of 2 MiB, and like on a real device it is segments that count as used.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simcuda/driver/share.h"

#define SEGMENT     SIM_GRANULARITY
#define UNIT        512u
#define UNITS       (SEGMENT / UNIT)
#define LARGE       (SEGMENT / 2)
#define PITCH_ALIGN 512u
#define MAX_PITCH   0x7fffffffull

struct segment {
	struct segment *next;
	char *memory;
	struct sim_ctx *ctx;
	uint32_t used;
	bool filed;               /* it lies in the process's memory file, */
	uint64_t offset;          /* there */
	uint64_t map[UNITS / 64]; /* a bit for each unit in use */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct segment *segments;

void *memory_map(size_t size, size_t align)
{
	char *p, *start;

	if (size + align < size)
		return NULL;
	p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1));
	if (start > p)
		munmap(p, (size_t)(start - p));
	if (start + size < p + size + align)
		munmap(start + size, (size_t)(p + size + align - (start + size)));
	madvise(start, size, MADV_HUGEPAGE);
	return start;
}

static bool bit(const struct segment *s, size_t i)
{
	return s->map[i / 64] >> (i % 64) & 1;
}

static void mark(struct segment *s, size_t at, size_t n, bool on)
{
	for (size_t i = at; i < at + n; i++) {
		if (on)
			s->map[i / 64] |= 1ull << (i % 64);
		else
			s->map[i / 64] &= ~(1ull << (i % 64));
	}
	s->used += on ? (uint32_t)n : -(uint32_t)n;
}

/* First fit; UNITS when there is none. */
static size_t find_gap(const struct segment *s, size_t n)
{
	size_t run = 0;

	if (UNITS - s->used < n)
		return UNITS;
	for (size_t i = 0; i < UNITS; i++) {
		if (s->map[i / 64] == UINT64_MAX) {
			run = 0;
			i |= 63;
			continue;
		}
		run = bit(s, i) ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return UNITS;
}

static struct segment *segment_new(struct sim_ctx *ctx)
{
	struct segment *s;

	if (arbiter_take_memory(SEGMENT) != CUDA_SUCCESS)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s)
		s->memory = memory_map(SEGMENT, SEGMENT);
	if (!s || !s->memory) {
		free(s);
		arbiter_give_memory(SEGMENT);
		return NULL;
	}
	s->ctx = ctx;
	s->next = segments;
	segments = s;
	return s;
}

static CUresult small_alloc(struct sim_ctx *ctx, size_t size, uint64_t *addr)
{
	size_t n = (size + UNIT - 1) / UNIT, at = UNITS;
	struct segment *s;

	pthread_mutex_lock(&lock);
	for (s = segments; s; s = s->next)
		if (s->ctx == ctx && (at = find_gap(s, n)) < UNITS)
			break;
	if (!s) {
		s = segment_new(ctx);
		at = 0;
	}
	if (s) {
		mark(s, at, n, true);
		*addr = (uintptr_t)s->memory + at * UNIT;
	}
	pthread_mutex_unlock(&lock);
	return s ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static void small_free(uint64_t addr, size_t size, bool shared)
{
	struct segment **p;

	pthread_mutex_lock(&lock);
	for (p = &segments; *p; p = &(*p)->next) {
		struct segment *s = *p;
		size_t at = (size_t)(addr - (uintptr_t)s->memory);

		if (at >= SEGMENT)
			continue;
		mark(s, at / UNIT, (size + UNIT - 1) / UNIT, false);
		if (!s->used) {
			*p = s->next;
			munmap(s->memory, SEGMENT);
			if (s->filed && !shared)
				vmm_punch(s->offset, SEGMENT);
			free(s);
			arbiter_give_memory(SEGMENT);
		}
		break;
	}
	pthread_mutex_unlock(&lock);
}

static size_t large_size(size_t size)
{
	return (size + SEGMENT - 1) & ~(size_t)(SEGMENT - 1);
}

size_t memory_mapped(size_t size)
{
	return size < LARGE ? (size + UNIT - 1) / UNIT * UNIT : large_size(size);
}

static CUresult large_alloc(size_t size, uint64_t *addr)
{
	size_t whole = large_size(size);
	void *p;

	if (whole < size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TRY(arbiter_take_memory(whole));
	p = memory_map(whole, SEGMENT);
	if (!p) {
		arbiter_give_memory(whole);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*addr = (uintptr_t)p;
	return CUDA_SUCCESS;
}

static void release(uint64_t addr, size_t size, uint32_t place)
{
	const uint64_t offset = place ? share_at(place)->offset : 0;
	const bool shared = place && share_forget(place);

	dirt_keep((const void *)addr, size);
	if (size < LARGE) {
		small_free(addr, size, shared);
		return;
	}
	munmap((void *)addr, large_size(size));
	if (place && !shared)
		vmm_punch(offset, large_size(size));
	arbiter_give_memory(large_size(size));
}

/* Pages move into the process's memory file, where they are; work in flight must have ended. */
static bool move_pages(void *memory, size_t size, uint64_t *offset)
{
	const int file = vmm_file();
	bool ok = vmm_take(size, offset);

	exec_lock();
	for (size_t at = 0; ok && at < size;) {
		const ssize_t n =
			pwrite(file, (char *)memory + at, size - at, (off_t)(*offset + at));

		ok = n > 0;
		at += ok ? (size_t)n : 0;
	}
	ok = ok && mmap(memory, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
			(off_t)*offset) != MAP_FAILED;
	exec_unlock();
	return ok;
}

/* Small blocks: the whole segment is shared, as on a real device. */
static bool file_segment(uint64_t addr, struct share_place *p)
{
	struct segment *s;
	bool ok = false;

	pthread_mutex_lock(&lock);
	for (s = segments; s && addr - (uintptr_t)s->memory >= SEGMENT; s = s->next)
		;
	if (s && !s->filed)
		s->filed = move_pages(s->memory, SEGMENT, &s->offset);
	if (s && s->filed) {
		ok = true;
		p->offset = s->offset;
		p->size = SEGMENT;
		p->within = addr - (uintptr_t)s->memory;
	}
	pthread_mutex_unlock(&lock);
	return ok;
}

CUresult memory_share(const struct range *r, enum share_type type, uint32_t *place)
{
	struct share_place p = {.type = type, .len = r->size, .size = large_size(r->size)};
	bool ok;

	*place = r->place;
	if (*place)
		return CUDA_SUCCESS;
	exec_all_wait();
	ok = r->size < LARGE ? file_segment(r->base, &p)
			     : move_pages((void *)r->base, p.size, &p.offset);
	*place = ok ? share_new(&p) : 0;
	if (!*place)
		return CUDA_ERROR_OUT_OF_MEMORY;
	range_set_place(r->base, *place);
	return CUDA_SUCCESS;
}

CUresult memory_alloc(struct sim_ctx *ctx, size_t size, uint64_t *addr)
{
	struct range r = {.size = size, .kind = RANGE_DEVICE, .access = 3, .ctx = ctx};
	CUresult result;

	TRY(size < LARGE ? small_alloc(ctx, size, addr) : large_alloc(size, addr));
	dirt_give((void *)*addr, size);
	r.base = *addr;
	r.ctx_id = ctx->id;
	r.owner_base = *addr;
	r.owner_size = size;
	result = range_add(&r);
	if (result != CUDA_SUCCESS)
		release(*addr, size, 0);
	return result;
}

CUresult memory_alloc_waiting(struct sim_ctx *ctx, size_t size, uint64_t *addr)
{
	CUresult r = memory_alloc(ctx, size, addr);

	if (r == CUDA_ERROR_OUT_OF_MEMORY && mempool_wait())
		r = memory_alloc(ctx, size, addr);
	return r;
}

/* Waits for work that may still use the memory, as the real call does. */
CUresult memory_free(uint64_t addr)
{
	struct range r;

	if (!range_find(addr, &r) || r.base != addr ||
	    (r.kind != RANGE_DEVICE && r.kind != RANGE_MANAGED))
		return CUDA_ERROR_INVALID_VALUE;
	exec_all_wait();
	if (!range_remove(addr, &r))
		return CUDA_ERROR_INVALID_VALUE;
	if (r.kind == RANGE_MANAGED) {
		managed_release(&r);
		return CUDA_SUCCESS;
	}
	mempool_gone(addr);
	release(r.base, r.size, r.place);
	return CUDA_SUCCESS;
}

void memory_free_now(uint64_t addr)
{
	struct range r;

	if (range_remove(addr, &r))
		release(r.base, r.size, r.place);
}

static void drop(const struct range *r)
{
	struct range gone;

	if (!range_remove(r->base, &gone))
		return;
	if (r->kind == RANGE_DEVICE) {
		mempool_gone(r->base);
		release(r->base, r->size, gone.place);
	} else if (r->kind == RANGE_MANAGED) {
		managed_release(r);
	} else if (r->kind == RANGE_HOST) {
		munmap((void *)r->base, r->size);
	}
}

void memory_free_all(struct sim_ctx *ctx)
{
	range_each_of(ctx, RANGE_DEVICE, drop);
	range_each_of(ctx, RANGE_HOST, drop);
	range_each_of(ctx, RANGE_MANAGED, drop);
	range_each_of(ctx, RANGE_REGISTERED, drop);
}

API(cuMemAlloc_v2, CUdeviceptr *dptr, size_t size)
{
	uint64_t addr = 0;

	ENTER();
	CURRENT(ctx);
	if (!dptr || !size)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(capture_unsafe());
	TRY(memory_alloc_waiting(ctx, size, &addr));
	*dptr = addr;
	return CUDA_SUCCESS;
}

API(cuMemAllocPitch_v2, CUdeviceptr *dptr, size_t *pitch, size_t width, size_t height,
    unsigned int element)
{
	size_t p = (width + PITCH_ALIGN - 1) & ~(size_t)(PITCH_ALIGN - 1);
	uint64_t addr = 0;

	ENTER();
	CURRENT(ctx);
	if (!dptr || !pitch || !width || !height ||
	    (element != 4 && element != 8 && element != 16) || width > MAX_PITCH)
		return CUDA_ERROR_INVALID_VALUE;
	if (height > SIZE_MAX / p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TRY(memory_alloc_waiting(ctx, p * height, &addr));
	*dptr = addr;
	*pitch = p;
	return CUDA_SUCCESS;
}

API(cuMemFree_v2, CUdeviceptr dptr)
{
	struct range r;

	ENTER_ANY();
	if (!dptr)
		return CUDA_SUCCESS;
	if (range_find(dptr, &r) && (r.kind == RANGE_DEVICE || r.kind == RANGE_MANAGED)) {
		if (!r.ctx)
			return CUDA_ERROR_INVALID_VALUE; /* a managed variable */
		TRY(ctx_status(r.ctx));
	}
	if (range_find(dptr, &r) && r.kind == RANGE_MAPPED)
		return ipc_close(dptr, true);
	return graph_memory_is(dptr) ? CUDA_SUCCESS : memory_free(dptr);
}

API(cuMemGetInfo_v2, size_t *free_bytes, size_t *total)
{
	uint64_t f, t;

	ENTER();
	CURRENT(ctx);
	arbiter_memory(&f, &t);
	if (free_bytes)
		*free_bytes = f;
	if (total)
		*total = t;
	return CUDA_SUCCESS;
}

API(cuMemGetAddressRange_v2, CUdeviceptr *base, size_t *size, CUdeviceptr dptr)
{
	struct range r;

	ENTER();
	CURRENT(ctx);
	if (!range_find(dptr, &r))
		return CUDA_ERROR_NOT_FOUND;
	if (base)
		*base = r.owner_base;
	if (size)
		*size = r.owner_size;
	return CUDA_SUCCESS;
}
