// SPDX-License-Identifier: MIT
/* Heat in a chip: a five-point stencil with a source, two grids in turn. */
#include "test.h"

enum { SIDE = 60, STEPS = 12 };

__host__ __device__ inline float step(const float *t, const float *power, int x, int y)
{
	const float here = t[y * SIDE + x];
	const float up = t[(y ? y - 1 : y) * SIDE + x], down = t[(y < SIDE - 1 ? y + 1 : y) * SIDE + x];
	const float left = t[y * SIDE + (x ? x - 1 : x)];
	const float right = t[y * SIDE + (x < SIDE - 1 ? x + 1 : x)];

	return here + 0.1f * (power[y * SIDE + x] + (up + down - 2 * here) * 0.5f +
			      (left + right - 2 * here) * 0.5f + (80.0f - here) * 0.01f);
}

__global__ void heat(const float *in, const float *power, float *out)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x < SIDE && y < SIDE)
		out[y * SIDE + x] = step(in, power, x, y);
}

int main()
{
	const int n = SIDE * SIDE;
	both<float> a(n), b(n), power(n);
	static float want[2][SIDE * SIDE];
	uint64_t seed = 17;

	for (int i = 0; i < n; i++) {
		want[0][i] = a.host[i] = 60 + 40 * next_float(&seed);
		power.host[i] = next_float(&seed);
	}
	a.up();
	power.up();
	for (int s = 0; s < STEPS; s++) {
		heat<<<dim3(8, 8), dim3(8, 8)>>>(s % 2 ? b.dev : a.dev, power.dev,
						 s % 2 ? a.dev : b.dev);
		for (int i = 0; i < n; i++)
			want[!(s % 2)][i] = step(want[s % 2], power.host, i % SIDE, i / SIDE);
	}
	DONE();
	a.same(want[0], "temperature");
	printf("%d steps of %d x %d cells\n", STEPS, SIDE, SIDE);
	return 0;
}
