/* SPDX-License-Identifier: MIT */
/*
 * Measures allocations at their cheapest: small ones, each freed at once, so that what was given
 * back is given out again. Prints "name value" lines; run directly on a far end and through pvgpu,
 * it shows what pvgpu costs.
 */
#include "pvbench.h"

enum { ROUNDS = 101, BATCH = 64, BYTES = 4096 };

static CUstream stream;

static void plain(void)
{
	CUdeviceptr p;

	CU(cuMemAlloc(&p, BYTES));
	CU(cuMemFree(p));
}

static void pooled(void)
{
	CUdeviceptr p;

	CU(cuMemAllocAsync(&p, BYTES, stream));
	CU(cuMemFreeAsync(p, stream));
}

/* The median's nanoseconds of an allocation and its free. */
static double median(void (*pair)(void))
{
	static double took[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		const uint64_t begin = now_ns();

		for (int i = 0; i < BATCH; i++)
			pair();
		took[r] = (double)(now_ns() - begin) / BATCH;
		CU(cuStreamSynchronize(stream));
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	return took[ROUNDS / 2];
}

int main(void)
{
	cuuint64_t most = UINT64_MAX;
	CUmemoryPool pool;
	CUdeviceptr keep;
	CUcontext ctx;

	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CU(cuDeviceGetDefaultMemPool(&pool, 0));
	CU(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &most));
	CU(cuMemAlloc(&keep, BYTES)); /* the block that small ones are cut of stays */
	printf("alloc_free_ns %.1f\n", median(plain));
	printf("pool_alloc_free_ns %.1f\n", median(pooled));
	return 0;
}
