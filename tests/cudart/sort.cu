// SPDX-License-Identifier: MIT
/* Bitonic sort: one launch for each step beyond a block, the rest in shared memory. */
#include "test.h"

enum { THREADS = 256, TILE = 2 * THREADS };

__device__ void order(unsigned int &a, unsigned int &b, bool up)
{
	if ((a > b) == up) {
		const unsigned int t = a;

		a = b;
		b = t;
	}
}

__global__ void far_step(unsigned int *v, unsigned int run, unsigned int by)
{
	const unsigned int t = blockIdx.x * THREADS + threadIdx.x;
	const unsigned int i = 2 * by * (t / by) + t % by;

	order(v[i], v[i + by], !(i & run));
}

/* Steps by half a tile and less, of runs from first to last. */
__global__ void near_steps(unsigned int *v, unsigned int first, unsigned int last)
{
	__shared__ unsigned int tile[TILE];
	unsigned int *mine = v + blockIdx.x * TILE;

	tile[threadIdx.x] = mine[threadIdx.x];
	tile[threadIdx.x + THREADS] = mine[threadIdx.x + THREADS];
	for (unsigned int run = first; run <= last; run *= 2)
		for (unsigned int by = run / 2 < TILE ? run / 2 : TILE / 2; by; by /= 2) {
			const unsigned int i = 2 * by * (threadIdx.x / by) + threadIdx.x % by;

			__syncthreads();
			order(tile[i], tile[i + by], !((blockIdx.x * TILE + i) & run));
		}
	__syncthreads();
	mine[threadIdx.x] = tile[threadIdx.x];
	mine[threadIdx.x + THREADS] = tile[threadIdx.x + THREADS];
}

static int compare(const void *a, const void *b)
{
	const unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

int main()
{
	const unsigned int n = 8192;
	both<unsigned int> v(n);
	unsigned int *want = (unsigned int *)malloc(n * sizeof(*want));
	uint64_t seed = 7;

	for (unsigned int i = 0; i < n; i++)
		want[i] = v.host[i] = next_random(&seed);
	qsort(want, n, sizeof(*want), compare);
	v.up();
	near_steps<<<n / TILE, THREADS>>>(v.dev, 2, TILE);
	for (unsigned int run = 2 * TILE; run <= n; run *= 2) {
		for (unsigned int by = run / 2; by >= TILE; by /= 2)
			far_step<<<n / TILE, THREADS>>>(v.dev, run, by);
		near_steps<<<n / TILE, THREADS>>>(v.dev, run, run);
	}
	DONE();
	v.same(want, "sorted");
	printf("%u numbers are sorted\n", n);
	free(want);
	return 0;
}
