// SPDX-License-Identifier: MIT
/* Electromagnetic waves in two dimensions: three fields, three kernels a step. */
#include "test.h"

enum { W = 50, H = 44, STEPS = 10 };

__global__ void ey_step(float *ey, const float *hz, float source)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x < W && y < H)
		ey[y * W + x] = y ? ey[y * W + x] - 0.5f * (hz[y * W + x] - hz[(y - 1) * W + x]) : source;
}

__global__ void ex_step(float *ex, const float *hz)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x && x < W && y < H)
		ex[y * W + x] -= 0.5f * (hz[y * W + x] - hz[y * W + x - 1]);
}

__global__ void hz_step(const float *ex, const float *ey, float *hz)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x < W - 1 && y < H - 1)
		hz[y * W + x] -= 0.7f * (ex[y * W + x + 1] - ex[y * W + x] + ey[(y + 1) * W + x] -
					 ey[y * W + x]);
}

static void on_cpu(float *ex, float *ey, float *hz, float source)
{
	for (int y = H - 1; y >= 0; y--)
		for (int x = 0; x < W; x++)
			ey[y * W + x] =
				y ? ey[y * W + x] - 0.5f * (hz[y * W + x] - hz[(y - 1) * W + x]) : source;
	for (int y = 0; y < H; y++)
		for (int x = W - 1; x; x--)
			ex[y * W + x] -= 0.5f * (hz[y * W + x] - hz[y * W + x - 1]);
	for (int y = 0; y < H - 1; y++)
		for (int x = 0; x < W - 1; x++)
			hz[y * W + x] -= 0.7f * (ex[y * W + x + 1] - ex[y * W + x] +
						 ey[(y + 1) * W + x] - ey[y * W + x]);
}

int main()
{
	const dim3 grid((W + 15) / 16, (H + 7) / 8), block(16, 8);
	both<float> ex(W * H), ey(W * H), hz(W * H);
	static float want[3][W * H];
	uint64_t seed = 37;

	for (int i = 0; i < W * H; i++) {
		want[0][i] = ex.host[i] = next_float(&seed);
		want[1][i] = ey.host[i] = next_float(&seed);
		want[2][i] = hz.host[i] = next_float(&seed);
	}
	ex.up();
	ey.up();
	hz.up();
	for (int s = 0; s < STEPS; s++) {
		ey_step<<<grid, block>>>(ey.dev, hz.dev, (float)s);
		ex_step<<<grid, block>>>(ex.dev, hz.dev);
		hz_step<<<grid, block>>>(ex.dev, ey.dev, hz.dev);
		on_cpu(want[0], want[1], want[2], (float)s);
	}
	DONE();
	ex.same(want[0], "ex");
	ey.same(want[1], "ey");
	hz.same(want[2], "hz");
	printf("%d steps of %d x %d cells\n", STEPS, W, H);
	return 0;
}
