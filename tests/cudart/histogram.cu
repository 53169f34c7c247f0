// SPDX-License-Identifier: MIT
/* A histogram: atomics in shared memory, then in global memory. */
#include "test.h"

enum { BINS = 64 };

__global__ void count(const unsigned char *in, int n, unsigned int *bins)
{
	__shared__ unsigned int mine[BINS];

	for (int b = threadIdx.x; b < BINS; b += blockDim.x)
		mine[b] = 0;
	__syncthreads();
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&mine[in[i] % BINS], 1u);
	__syncthreads();
	for (int b = threadIdx.x; b < BINS; b += blockDim.x)
		atomicAdd(&bins[b], mine[b]);
}

int main()
{
	const int n = 40000;
	both<unsigned char> in(n);
	both<unsigned int> bins(BINS);
	unsigned int want[BINS] = {};
	uint64_t seed = 59;

	for (int i = 0; i < n; i++)
		want[(in.host[i] = (unsigned char)(next_random(&seed) & next_random(&seed))) % BINS]++;
	in.up();
	bins.up();
	count<<<6, 96>>>(in.dev, n, bins.dev);
	DONE();
	bins.same(want, "bin");
	printf("%d values in %d bins\n", n, BINS);
	return 0;
}
