// SPDX-License-Identifier: MIT
/* The cheapest way through a grid, row by row (dynamic programming); rows in two buffers. */
#include "test.h"

enum { W = 3000, H = 25 };

__host__ __device__ inline int cheapest(const int *above, int x)
{
	int best = above[x];

	if (x && above[x - 1] < best)
		best = above[x - 1];
	if (x < W - 1 && above[x + 1] < best)
		best = above[x + 1];
	return best;
}

__global__ void next_row(const int *above, const int *cost, int *out)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x;

	if (x < W)
		out[x] = cost[x] + cheapest(above, x);
}

int main()
{
	both<int> cost(W * H), a(W), b(W);
	static int want[2][W];
	uint64_t seed = 73;

	for (int i = 0; i < W * H; i++)
		cost.host[i] = (int)(next_random(&seed) % 10);
	cost.up();
	RT(cudaMemcpy(a.dev, cost.dev, W * sizeof(int), cudaMemcpyDeviceToDevice));
	memcpy(want[0], cost.host, sizeof(want[0]));
	for (int y = 1; y < H; y++) {
		next_row<<<(W + 255) / 256, 256>>>(y % 2 ? a.dev : b.dev, cost.dev + y * W,
						   y % 2 ? b.dev : a.dev);
		for (int x = 0; x < W; x++)
			want[y % 2][x] = cost.host[y * W + x] + cheapest(want[!(y % 2)], x);
	}
	DONE();
	((H - 1) % 2 ? b : a).same(want[(H - 1) % 2], "cost");
	printf("%d x %d grid\n", W, H);
	return 0;
}
