/* SPDX-License-Identifier: MIT */
/* How many blocks a multiprocessor holds, by the rules of the real ones. */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define SM_REGISTERS  65536u
#define SM_THREADS    2048u
#define SM_BLOCKS     32u
#define REGISTER_UNIT 256u
#define SHARED_UNIT   128u

static int attribute(int what)
{
	int v = 0;

	device_attribute(what, &v);
	return v;
}

uint32_t occupancy_blocks(const struct ptx_kernel *k, uint32_t threads, uint64_t dynamic)
{
	uint64_t total =
		(uint64_t)attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
	uint64_t own = (uint64_t)attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
	uint32_t warps = (threads + 31) / 32, regs = k->registers ? k->registers : 1, blocks, n;
	uint64_t shared =
		(k->shared_bytes + dynamic + SHARED_UNIT - 1) & ~(uint64_t)(SHARED_UNIT - 1);

	if (!warps || threads > func_max_threads(k) ||
	    shared > (uint64_t)attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN))
		return 0;
	blocks = SM_THREADS / 32 / warps;
	if (blocks > SM_BLOCKS)
		blocks = SM_BLOCKS;
	regs = (regs * 32 + REGISTER_UNIT - 1) / REGISTER_UNIT * REGISTER_UNIT;
	n = SM_REGISTERS / regs / warps;
	if (n < blocks)
		blocks = n;
	n = (uint32_t)(total / (shared + own));
	return n < blocks ? n : blocks;
}

static CUresult max_active(int *blocks, CUfunction handle, int threads, size_t dynamic)
{
	struct sim_func *f;

	TRY(func_get(handle, &f));
	if (!blocks || threads <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	*blocks = (int)occupancy_blocks(f->k, (uint32_t)threads, dynamic);
	return CUDA_SUCCESS;
}

API(cuOccupancyMaxActiveBlocksPerMultiprocessor, int *blocks, CUfunction f, int threads,
    size_t dynamic)
{
	ENTER();
	return max_active(blocks, f, threads, dynamic);
}

API(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, int *blocks, CUfunction f, int threads,
    size_t dynamic, unsigned int flags)
{
	ENTER();
	if (flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return max_active(blocks, f, threads, dynamic);
}

/* The largest block among those that keep the most threads resident. */
static CUresult potential(int *grid, int *block, CUfunction handle, CUoccupancyB2DSize dynamic_of,
			  size_t dynamic, int limit)
{
	uint32_t best = 0, best_blocks = 0, max;
	struct sim_func *f;

	TRY(func_get(handle, &f));
	if (!grid || !block || limit < 0)
		return CUDA_ERROR_INVALID_VALUE;
	max = func_max_threads(f->k);
	if (limit && (uint32_t)limit < max)
		max = (uint32_t)limit;
	for (uint32_t threads = (max + 31) / 32 * 32; threads; threads -= 32) {
		uint32_t t = threads < max ? threads : max;
		size_t d = dynamic_of ? dynamic_of((int)t) : dynamic;
		uint32_t blocks = occupancy_blocks(f->k, t, d);

		if (blocks * t > best_blocks * best) {
			best = t;
			best_blocks = blocks;
		}
	}
	*block = (int)best;
	*grid = (int)(best_blocks * sim_config.sms);
	return CUDA_SUCCESS;
}

API(cuOccupancyMaxPotentialBlockSize, int *grid, int *block, CUfunction f,
    CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit)
{
	ENTER();
	return potential(grid, block, f, dynamic_of, dynamic, limit);
}

API(cuOccupancyMaxPotentialBlockSizeWithFlags, int *grid, int *block, CUfunction f,
    CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit, unsigned int flags)
{
	ENTER();
	if (flags > CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return potential(grid, block, f, dynamic_of, dynamic, limit);
}

API(cuOccupancyAvailableDynamicSMemPerBlock, size_t *bytes, CUfunction handle, int blocks,
    int threads)
{
	struct sim_func *f;
	int64_t each;

	ENTER();
	TRY(func_get(handle, &f));
	if (!bytes || blocks <= 0 || threads <= 0 ||
	    (uint32_t)blocks > occupancy_blocks(f->k, (uint32_t)threads, 0))
		return CUDA_ERROR_INVALID_VALUE;
	each = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR) / blocks -
	       attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK) - f->k->shared_bytes;
	if (each > attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN))
		each = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
	*bytes = each > 0 ? (size_t)each & ~(size_t)(SHARED_UNIT - 1) : 0;
	return CUDA_SUCCESS;
}

/* Blocks of the configuration that fit on the whole device. */
static CUresult blocks_of(CUfunction handle, const CUlaunchConfig *config, struct sim_func **f,
			  uint64_t *blocks)
{
	uint64_t threads;

	TRY(func_get(handle, f));
	if (!config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	threads = (uint64_t)config->blockDimX * config->blockDimY * config->blockDimZ;
	if (!threads || threads > 1024)
		return CUDA_ERROR_INVALID_VALUE;
	*blocks = (uint64_t)occupancy_blocks((*f)->k, (uint32_t)threads, config->sharedMemBytes) *
		  sim_config.sms;
	return CUDA_SUCCESS;
}

API(cuOccupancyMaxPotentialClusterSize, int *size, CUfunction handle, const CUlaunchConfig *config)
{
	struct sim_func *f;
	uint64_t blocks;
	uint32_t n;

	ENTER();
	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(blocks_of(handle, config, &f, &blocks));
	for (n = cluster_largest(&f->set); n > 1 && n > blocks;)
		n /= 2;
	*size = (int)n;
	return CUDA_SUCCESS;
}

API(cuOccupancyMaxActiveClusters, int *clusters, CUfunction handle, const CUlaunchConfig *config)
{
	uint32_t grid[3], size[3] = {0};
	struct sim_func *f;
	uint64_t blocks;

	ENTER();
	if (!clusters)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(blocks_of(handle, config, &f, &blocks));
	for (unsigned int i = 0; i < config->numAttrs; i++)
		if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			memcpy(size, &config->attrs[i].value.clusterDim, sizeof(size));
	grid[0] = config->gridDimX;
	grid[1] = config->gridDimY;
	grid[2] = config->gridDimZ;
	TRY(cluster_check(f->k, &f->set, grid, size));
	if (size[0])
		blocks /= (uint64_t)size[0] * size[1] * size[2];
	*clusters = (int)blocks;
	return CUDA_SUCCESS;
}
