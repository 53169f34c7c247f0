// SPDX-License-Identifier: MIT
/* Prefix sums: within blocks by shuffles, then the blocks' totals are added. */
#include "test.h"

enum { THREADS = 256 };

__device__ int warp_scan(int v, int lane)
{
	for (int by = 1; by < 32; by *= 2) {
		const int other = __shfl_up_sync(~0u, v, by);

		if (lane >= by)
			v += other;
	}
	return v;
}

__global__ void scan_blocks(const int *in, int *out, int *totals, int n)
{
	__shared__ int warp[THREADS / 32];
	const int i = blockIdx.x * THREADS + threadIdx.x, lane = threadIdx.x % 32;
	int v = warp_scan(i < n ? in[i] : 0, lane);

	if (lane == 31)
		warp[threadIdx.x / 32] = v;
	__syncthreads();
	for (unsigned int w = 0; w < threadIdx.x / 32; w++)
		v += warp[w];
	if (i < n)
		out[i] = v;
	if (threadIdx.x == THREADS - 1)
		totals[blockIdx.x] = v;
}

__global__ void add_before(int *out, const int *scanned, int n)
{
	const int i = blockIdx.x * THREADS + threadIdx.x;

	if (blockIdx.x && i < n)
		out[i] += scanned[blockIdx.x - 1];
}

int main()
{
	const int n = 30011, blocks = (n + THREADS - 1) / THREADS;
	both<int> in(n), out(n), totals(blocks), scanned(blocks), last(1);
	int *want = (int *)malloc(n * sizeof(*want)), sum = 0;
	uint64_t seed = 5;

	for (int i = 0; i < n; i++)
		want[i] = sum += in.host[i] = (int)(next_random(&seed) % 50);
	in.up();
	scan_blocks<<<blocks, THREADS>>>(in.dev, out.dev, totals.dev, n);
	CHECK(blocks <= THREADS, "%d blocks", blocks);
	scan_blocks<<<1, THREADS>>>(totals.dev, scanned.dev, last.dev, blocks);
	add_before<<<blocks, THREADS>>>(out.dev, scanned.dev, n);
	DONE();
	out.same(want, "prefix sum");
	printf("%d prefix sums, the last is %d\n", n, sum);
	free(want);
	return 0;
}
