/* SPDX-License-Identifier: MIT */
/* Stream-ordered allocation. */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/pool.h"
#include "cuda/memory/share.h"
#include "cuda/streams/done.h"
#include "cuda/streams/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

_Atomic bool pool_excess;

struct sum {
	uint64_t given, unused;
};

static void trim_all(struct pool *p, void *arg)
{
	struct sum *s = arg;
	const uint64_t before = p->reserved;

	pool_trim(p, 0);
	s->given += before - p->reserved;
	s->unused += p->reserved - p->used;
}

static struct sum trim_pools(void)
{
	struct sum s = {0};

	pthread_mutex_lock(&pools_lock);
	pool_each(trim_all, &s);
	pthread_mutex_unlock(&pools_lock);
	return s;
}

bool pool_reclaim(unsigned int *tries)
{
	struct sum s = {0};

	if (!*tries)
		s = trim_pools();
	if (!s.given && *tries < 2 && (*tries || s.unused)) {
		*tries = 1;
		ctx_synchronize_all();
		s = trim_pools();
	}
	++*tries;
	return s.given;
}

static void rest(struct pool *p, void *arg)
{
	bool *left = arg;

	if (p->dead) {
		*left |= pool_collect(p);
		return;
	}
	if (p->reserved > p->threshold && p->reserved > p->used)
		pool_trim(p, p->threshold);
	*left |= p->reserved > p->threshold && p->reserved > p->used;
}

void pool_rest_slow(void)
{
	bool left = false;

	pthread_mutex_lock(&pools_lock);
	pool_each(rest, &left);
	atomic_store(&pool_excess, left);
	pthread_mutex_unlock(&pools_lock);
}

static void forget(struct pool *p, void *arg)
{
	pool_drop_ctx(p, arg);
}

void pool_forget_ctx(struct ctx *c)
{
	pthread_mutex_lock(&pools_lock);
	pool_each(forget, c);
	pthread_mutex_unlock(&pools_lock);
}

static uint64_t key_of(const struct target *t)
{
	return t->stream ? t->stream : t->ctx->o.wire;
}

/* Device memory for a segment. */
static int segment_get(struct ctx *c, uint64_t size, uint64_t *base)
{
	unsigned int tries = 0;
	int r;

	do {
		r = pvgpu_do_mem_alloc(session(), c->o.wire, size, base);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	return ctx_result(c, r);
}

static uint64_t segment_size(uint64_t size)
{
	return (size + POOL_SEGMENT - 1) & ~(uint64_t)(POOL_SEGMENT - 1);
}

/* Would the pool grow beyond its limit? Segments that nothing uses go first. */
static bool exceeds(struct pool *p, uint64_t more)
{
	if (!p->most)
		return false;
	if (more > p->most)
		return true;
	if (p->reserved > p->most - more)
		pool_trim(p, p->most - more);
	return p->reserved > p->most - more;
}

/* A block of what the pool has. *unused: out of memory, but waiting would help. */
static int take_kept(CUmemoryPool handle, const struct target *t, uint64_t size, struct block **out,
		     bool *unused)
{
	struct pool *p;
	int r = 0;

	pthread_mutex_lock(&pools_lock);
	p = pool_find(handle);
	if (p && p->imported)
		p = NULL;
	*out = p ? pool_take(p, t->ctx, key_of(t), size) : NULL;
	if (!p)
		r = CUDA_ERROR_INVALID_VALUE;
	else if (!*out && exceeds(p, segment_size(size)))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	*unused = r == CUDA_ERROR_OUT_OF_MEMORY && p->reserved > p->used;
	pthread_mutex_unlock(&pools_lock);
	return r;
}

/* A block; the pool grows when it must. pools_lock is not held while the worker is asked. */
static int take(CUmemoryPool handle, const struct target *t, uint64_t size, struct block **out)
{
	const uint64_t key = key_of(t), more = segment_size(size);
	uint64_t base = 0;
	struct pool *p;
	bool added, unused;
	int r;

	if (size > guest.device_end - guest.device_base)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = take_kept(handle, t, size, out, &unused);
	if (unused) {
		ctx_synchronize_all();
		r = take_kept(handle, t, size, out, &unused);
	}
	if (*out || r)
		return r;
	r = segment_get(t->ctx, more, &base);
	if (r)
		return r;
	if (base < guest.device_base || base >= guest.device_end ||
	    more > guest.device_end - base || base % POOL_UNIT)
		return pvgpu_broken(session(), "the worker placed memory at an impossible address");
	pthread_mutex_lock(&pools_lock);
	p = pool_find(handle);
	added = p && pool_add(p, t->ctx, base, more);
	*out = added ? pool_take(p, t->ctx, key, size) : NULL;
	pthread_mutex_unlock(&pools_lock);
	if (!added)
		pvgpu_do_mem_free(session(), t->ctx->o.wire, base);
	return *out ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static void give(struct block *b, uint64_t stream, uint64_t place)
{
	struct pool *p;

	pool_unshare(b);
	pthread_mutex_lock(&pools_lock);
	p = b->seg->pool;
	pool_give(b, stream, place);
	if (p->dead || p->reserved > p->threshold)
		atomic_store(&pool_excess, true);
	pool_collect(p); /* it may be gone then */
	pthread_mutex_unlock(&pools_lock);
}

void pool_free(struct block *b)
{
	give(b, 0, 0);
}

static int alloc_from(CUdeviceptr *addr, size_t bytes, CUmemoryPool pool, const struct target *t)
{
	struct range range = {.size = bytes, .kind = RANGE_DEVICE, .ctx = t->ctx};
	int r;

	if (!addr)
		return CUDA_ERROR_INVALID_VALUE;
	if (!bytes) {
		*addr = 0;
		return 0;
	}
	if (bytes > UINT64_MAX - POOL_SEGMENT)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = take(pool, t, (bytes + POOL_UNIT - 1) & ~(uint64_t)(POOL_UNIT - 1), &range.block);
	if (r)
		return r;
	range.base = range.block->addr;
	r = range_add(&range);
	if (r) {
		pool_free(range.block);
		return r;
	}
	*addr = range.base;
	return 0;
}

static int alloc(CUdeviceptr *addr, size_t bytes, CUstream stream, bool per_thread)
{
	CUmemoryPool pool = NULL;
	struct target t;
	struct pool *p;
	const int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	if (t.captured)
		return graph_memory_alloc(&t, bytes, addr);
	pthread_mutex_lock(&pools_lock);
	p = pool_current(t.ctx->device);
	if (p)
		pool = pool_handle(p);
	pthread_mutex_unlock(&pools_lock);
	return p ? alloc_from(addr, bytes, pool, &t) : CUDA_ERROR_OUT_OF_MEMORY;
}

static int alloc_pool(CUdeviceptr *addr, size_t bytes, CUmemoryPool pool, CUstream stream,
		      bool per_thread)
{
	struct target t;
	const int r = stream_enter(stream, per_thread, &t);

	if (r)
		return r;
	if (t.captured)
		return graph_memory_alloc(&t, bytes, addr);
	return alloc_from(addr, bytes, pool, &t);
}

/* From where on in t's order others may have a block of c's. One that another context's stream
 * frees is free when that stream's work so far has ended. */
static int free_place(const struct ctx *c, const struct target *t, uint64_t *place)
{
	*place = 0;
	return c == t->ctx ? done_behind(t, place) : stream_turn(t);
}

static int free_in(CUdeviceptr addr, CUstream stream, bool per_thread)
{
	struct range range = {0};
	uint64_t place = 0;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r || !addr)
		return r;
	if (t.captured)
		return graph_memory_free(&t, addr);
	/* A graph's goes with the graph. */
	if (range_find_device(addr, &range) && range.base == addr && range.kind == RANGE_DEVICE &&
	    range.flags & RANGE_OF_GRAPH)
		return 0;
	if (range.flags & RANGE_SHARED && range.base == addr)
		return share_close_memory(addr, PVGPU_SHARE_POOL);
	if (range.block && range.base == addr)
		r = free_place(range.ctx, &t, &place);
	if (r)
		return r;
	if (!range_remove(addr, RANGE_DEVICE, &range))
		return CUDA_ERROR_INVALID_VALUE;
	if (range.block) {
		give(range.block, key_of(&t), place);
		return 0;
	}
	/* Of cuMemAlloc(): the worker frees it when the work before is done. */
	return pvgpu_do_mem_free(session(), range.ctx->o.wire, addr);
}

CU_PTSZ(cuMemAllocAsync, (CUdeviceptr * addr, size_t bytes, CUstream stream),
	alloc(addr, bytes, stream, per_thread))
CU_PTSZ(cuMemAllocFromPoolAsync,
	(CUdeviceptr * addr, size_t bytes, CUmemoryPool pool, CUstream stream),
	alloc_pool(addr, bytes, pool, stream, per_thread))
CU_PTSZ(cuMemFreeAsync, (CUdeviceptr addr, CUstream stream), free_in(addr, stream, per_thread))
