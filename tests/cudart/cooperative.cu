// SPDX-License-Identifier: MIT
/* A cooperative launch: all blocks are there at once, so they can wait for each other. */
#include "test.h"

enum { THREADS = 64 };

struct barrier {
	unsigned int arrived, round;
};

/* Every block waits until all have arrived. */
__device__ void grid_sync(barrier *b)
{
	__syncthreads();
	if (!threadIdx.x) {
		const unsigned int round = __atomic_load_n(&b->round, __ATOMIC_RELAXED);

		__threadfence();
		if (atomicAdd(&b->arrived, 1u) == gridDim.x - 1) {
			__atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
			__threadfence();
			__atomic_store_n(&b->round, round + 1, __ATOMIC_RELAXED);
		} else {
			while (__atomic_load_n(&b->round, __ATOMIC_RELAXED) == round)
				;
		}
		__threadfence();
	}
	__syncthreads();
}

__global__ void rotate(int *v, int *w, int rounds, barrier *b)
{
	const int n = gridDim.x * THREADS, i = blockIdx.x * THREADS + threadIdx.x;

	for (int r = 0; r < rounds; r++) {
		w[i] = v[(i + THREADS) % n] + r; /* of the next block */
		grid_sync(b);
		v[i] = w[i];
		grid_sync(b);
	}
}

int main()
{
	const int blocks = 4, n = blocks * THREADS;
	int rounds = 5, each;
	both<int> v(n), w(n);
	both<barrier> b(1);
	static int want[256], next[256];
	void *args[] = {&v.dev, &w.dev, &rounds, &b.dev};

	for (int i = 0; i < n; i++)
		want[i] = v.host[i] = i * i;
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < n; i++)
			next[i] = want[(i + THREADS) % n] + r;
		memcpy(want, next, n * sizeof(int));
	}
	v.up();
	b.up();
	RT(cudaLaunchCooperativeKernel((const void *)rotate, blocks, THREADS, args, 0, 0));
	RT(cudaDeviceSynchronize());
	v.same(want, "numbers");
	RT(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, rotate, THREADS, 0));
	struct cudaDeviceProp p;
	RT(cudaGetDeviceProperties(&p, 0));
	WANT(cudaErrorCooperativeLaunchTooLarge,
	     cudaLaunchCooperativeKernel((const void *)rotate, each * p.multiProcessorCount + 1, THREADS,
					 args, 0, 0));
	cudaGetLastError();
	printf("%d blocks waited for each other\n", blocks);
	return 0;
}
