/* SPDX-License-Identifier: MIT */
/* Occupancy: the worker knows how many blocks fit; the search for the best size is made here. */
#include "cuda/core/guest.h"

enum { BLOCKS_MAX = 4096 }; /* per multiprocessor: beyond any real one, and no product overflows */

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
	r = ctx_result(c, pvgpu_do_func_occupancy(session(), c->o.wire, f->o.wire, block_size,
						  shared_bytes, flags, blocks));
	if (!r && (*blocks < 0 || *blocks > BLOCKS_MAX))
		r = pvgpu_broken(session(), "func_occupancy");
	return r;
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
	struct pvgpu_launch_attr attrs[LAUNCH_ATTRS_MAX];
	bool cooperative = false;
	unsigned int n;
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &c, &f);

	if (r)
		return r;
	if (!value || !config)
		return CUDA_ERROR_INVALID_VALUE;
	r = launch_attrs(config, attrs, &n, &cooperative);
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
