// SPDX-License-Identifier: MIT
/* Jacobi's method; the largest change of each round is found by an atomic maximum. */
#include "test.h"

enum { N = 64 };

__host__ __device__ inline int better(const int *u, const int *f, int x, int y)
{
	return (u[y * N + x - 1] + u[y * N + x + 1] + u[(y - 1) * N + x] + u[(y + 1) * N + x] +
		f[y * N + x]) / 4;
}

__global__ void sweep(const int *u, const int *f, int *to, int *change)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x && y && x < N - 1 && y < N - 1) {
		const int v = better(u, f, x, y), d = v - u[y * N + x];

		to[y * N + x] = v;
		atomicMax(change, d < 0 ? -d : d);
	}
}

int main()
{
	both<int> a(N * N), b(N * N), f(N * N), change(1);
	static int want[2][N * N];
	uint64_t seed = 71;
	int rounds = 0, most;

	for (int i = 0; i < N * N; i++)
		f.host[i] = (int)(next_random(&seed) % 20000);
	f.up();
	a.up();
	b.up();
	do {
		int *from = rounds % 2 ? b.dev : a.dev, *to = rounds % 2 ? a.dev : b.dev;
		int cpu = 0;

		RT(cudaMemsetAsync(change.dev, 0, sizeof(int), 0));
		sweep<<<dim3(8, 8), dim3(8, 8)>>>(from, f.dev, to, change.dev);
		RT(cudaMemcpy(&most, change.dev, sizeof(int), cudaMemcpyDeviceToHost));
		for (int y = 1; y < N - 1; y++)
			for (int x = 1; x < N - 1; x++) {
				const int was = want[rounds % 2][y * N + x];
				const int now = better(want[rounds % 2], f.host, x, y);

				want[!(rounds % 2)][y * N + x] = now;
				if (abs(now - was) > cpu)
					cpu = abs(now - was);
			}
		CHECK(most == cpu, "round %d: a change of %d, not %d", rounds, most, cpu);
		rounds++;
	} while (rounds < 40);
	(rounds % 2 ? b : a).same(want[rounds % 2], "value");
	printf("%d rounds\n", rounds);
	return 0;
}
