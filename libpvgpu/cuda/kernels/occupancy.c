/* SPDX-License-Identifier: MIT */
/* Occupancy: the worker knows how many blocks fit; the search for the best size is made here. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/launch.h"
#include "cuda/kernels/occupancy.h"

#include <pvgpu_cuda_launch.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

enum { BLOCKS_MAX = 4096 }; /* per multiprocessor: beyond any real one, and no product overflows */

/*
 * The worker's answers for one function. An entry's place follows from the question. It is one
 * word, so that threads need no lock: bit 0 marks an entry, then 13 bits of blocks, 6 unused, the
 * flag, 11 bits of threads, 32 of shared memory.
 */
enum { ENTRIES = 64, BLOCKS_SHIFT = 1, FLAG_SHIFT = 20, THREADS_SHIFT = 21, SHARED_SHIFT = 32 };
enum { THREADS_MAX = (1 << (SHARED_SHIFT - THREADS_SHIFT)) - 1, BLOCKS_MASK = 0x1fff };

struct occupancy {
	_Atomic uint32_t age; /* of the settings that the entries hold for */
	_Atomic uint64_t entry[ENTRIES];
};

static _Atomic uint32_t settings_age;

void occupancy_forget_all(void)
{
	atomic_fetch_add(&settings_age, 1);
}

void occupancy_forget(struct function *f)
{
	struct occupancy *o = atomic_load(&f->occupancy);

	for (int i = 0; o && i < ENTRIES; i++)
		atomic_store_explicit(&o->entry[i], 0, memory_order_relaxed);
}

void occupancy_free(struct function *f)
{
	free(atomic_exchange(&f->occupancy, NULL));
}

static struct occupancy *table_of(struct function *f)
{
	const uint32_t age = atomic_load(&settings_age);
	struct occupancy *o = atomic_load(&f->occupancy), *none = NULL;

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return NULL;
		atomic_init(&o->age, age);
		if (!atomic_compare_exchange_strong(&f->occupancy, &none, o)) {
			free(o);
			o = none;
		}
	}
	if (atomic_load(&o->age) != age) {
		occupancy_forget(f);
		atomic_store(&o->age, age);
	}
	return o;
}

int occupancy_blocks(struct ctx *c, struct function *f, int threads, uint64_t shared,
		     unsigned int flags, int *blocks)
{
	const uint64_t key = shared << SHARED_SHIFT | (uint64_t)threads << THREADS_SHIFT |
			     (uint64_t) !!flags << FLAG_SHIFT | 1;
	const uint64_t place = (uint64_t)threads >> 5 ^ (uint64_t)threads ^ shared >> 8;
	_Atomic uint64_t *e = NULL;
	struct occupancy *o;
	uint64_t known;
	int r;

	/* The sizes of real launches; others are not worth a place. */
	o = threads <= THREADS_MAX && shared <= UINT32_MAX ? table_of(f) : NULL;
	if (o) {
		e = &o->entry[place % ENTRIES];
		known = atomic_load_explicit(e, memory_order_relaxed);
		if ((known & ~((uint64_t)BLOCKS_MASK << BLOCKS_SHIFT)) == key) {
			*blocks = (int)(known >> BLOCKS_SHIFT & BLOCKS_MASK);
			return 0;
		}
	}
	r = ctx_result(c, pvgpu_do_func_occupancy(session(), c->o.wire, f->o.wire, threads, shared,
						  flags, blocks));
	if (!r && (*blocks < 0 || *blocks > BLOCKS_MAX))
		r = pvgpu_broken(session(), "func_occupancy");
	if (!r && e)
		atomic_store_explicit(e, key | (uint64_t)*blocks << BLOCKS_SHIFT,
				      memory_order_relaxed);
	return r;
}

static int enter(CUfunction h, struct ctx **c, struct function **f)
{
	const int r = ctx_enter(c);

	if (r)
		return r;
	*f = function_find(h);
	return *f ? 0 : CUDA_ERROR_INVALID_HANDLE;
}

static int active_blocks(int *blocks, CUfunction fn, int block_size, size_t shared_bytes,
			 unsigned int flags)
{
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &c, &f);

	if (r)
		return r;
	if (!blocks || block_size <= 0 ||
	    flags & ~(unsigned int)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return occupancy_blocks(c, f, block_size, shared_bytes, flags, blocks);
}

PUBLIC CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction fn,
							    int block_size, size_t shared_bytes)
{
	return active_blocks(blocks, fn, block_size, shared_bytes, 0);
}

PUBLIC CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction fn,
								     int block_size,
								     size_t shared_bytes,
								     unsigned int flags)
{
	return active_blocks(blocks, fn, block_size, shared_bytes, flags);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* The block size with the most resident threads; the greatest of those that are equal. */
static int best_block(int *min_grid, int *block_size, CUfunction fn,
		      CUoccupancyB2DSize shared_of_block, size_t shared_bytes, int block_limit,
		      unsigned int flags)
{
	int limit, warp, most, best = 0, blocks;
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &c, &f);

	if (r)
		return r;
	if (!min_grid || !block_size || block_limit < 0)
		return CUDA_ERROR_INVALID_VALUE;
	warp = device_value(c->device, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
	most = device_value(c->device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
	limit = device_value(c->device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	limit = least(limit, function_attr(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
	if (block_limit)
		limit = least(limit, block_limit);
	if (warp <= 0 || limit <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	*min_grid = *block_size = 0;
	for (int size = (limit + warp - 1) / warp * warp; size > 0 && best < most; size -= warp) {
		const int threads = least(size, limit);
		const size_t shared = shared_of_block ? shared_of_block(threads) : shared_bytes;

		r = active_blocks(&blocks, fn, threads, shared, flags);
		if (r)
			return r;
		if (blocks * threads <= best)
			continue;
		best = blocks * threads;
		*block_size = threads;
		*min_grid =
			blocks * device_value(c->device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	}
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block_size, CUfunction fn,
						 CUoccupancyB2DSize shared_of_block,
						 size_t shared_bytes, int block_limit)
{
	return best_block(min_grid, block_size, fn, shared_of_block, shared_bytes, block_limit, 0);
}

PUBLIC CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *min_grid, int *block_size,
							  CUfunction fn,
							  CUoccupancyB2DSize shared_of_block,
							  size_t shared_bytes, int block_limit,
							  unsigned int flags)
{
	return best_block(min_grid, block_size, fn, shared_of_block, shared_bytes, block_limit,
			  flags);
}

PUBLIC CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction fn, int blocks,
							int block_size)
{
	uint64_t shared = 0;
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &c, &f);

	if (r)
		return r;
	if (!bytes || blocks <= 0 || block_size <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = ctx_result(c, pvgpu_do_func_available_shared(session(), c->o.wire, f->o.wire, blocks,
							 block_size, &shared));
	if (!r)
		*bytes = shared;
	return r;
}

enum { LARGEST_CLUSTER = 0, ACTIVE_CLUSTERS = 1 };

static int clusters(int *value, CUfunction fn, const CUlaunchConfig *config, uint32_t what)
{
	struct pvgpu_launch_attr attrs[PVGPU_LAUNCH_ATTRS_MAX];
	struct launch_needs needs;
	unsigned int n;
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &c, &f);

	if (r)
		return r;
	if (!value || !config)
		return CUDA_ERROR_INVALID_VALUE;
	r = launch_attrs(config, attrs, &n, &needs);
	if (r)
		return r;
	return ctx_result(c, pvgpu_do_func_clusters(
				     session(), c->o.wire, f->o.wire, what, config->gridDimX,
				     config->gridDimY, config->gridDimZ, config->blockDimX,
				     config->blockDimY, config->blockDimZ, config->sharedMemBytes,
				     attrs, (uint32_t)(n * sizeof(attrs[0])), value));
}

PUBLIC CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction fn,
						   const CUlaunchConfig *config)
{
	return clusters(size, fn, config, LARGEST_CLUSTER);
}

PUBLIC CUresult cuOccupancyMaxActiveClusters(int *count, CUfunction fn,
					     const CUlaunchConfig *config)
{
	return clusters(count, fn, config, ACTIVE_CLUSTERS);
}
