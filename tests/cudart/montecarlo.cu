// SPDX-License-Identifier: MIT
/* Points in a quarter of a circle, from a generator of each thread's own. */
#include "test.h"

enum { THREADS = 512, EACH = 100 };

__host__ __device__ inline unsigned int inside(unsigned long long state)
{
	unsigned int hits = 0;

	for (int i = 0; i < EACH; i++) {
		unsigned long long x, y;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		x = state >> 40;
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		y = state >> 40;
		hits += x * x + y * y < 1ull << 48;
	}
	return hits;
}

__global__ void throw_points(unsigned int *hits)
{
	int mine = (int)inside(blockIdx.x * blockDim.x + threadIdx.x + 1);

	for (int by = 16; by; by /= 2)
		mine += __shfl_down_sync(~0u, mine, by);
	if (threadIdx.x % 32 == 0)
		atomicAdd(hits, (unsigned int)mine);
}

int main()
{
	both<unsigned int> hits(1);
	unsigned int want = 0;

	hits.up();
	throw_points<<<4, THREADS / 4>>>(hits.dev);
	DONE();
	for (int t = 1; t <= THREADS; t++)
		want += inside(t);
	hits.same(&want, "hits");
	printf("%u of %d points\n", want, THREADS * EACH);
	return 0;
}
