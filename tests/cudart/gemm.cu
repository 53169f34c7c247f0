// SPDX-License-Identifier: MIT
/* C = alpha A B + beta C by tiles in shared memory. */
#include "test.h"

enum { TILE = 16 };

__global__ void gemm(const float *a, const float *b, float *c, int m, int n, int k, float alpha,
		     float beta)
{
	__shared__ float as[TILE][TILE], bs[TILE][TILE];
	const int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
	float sum = 0;

	for (int t = 0; t < k; t += TILE) {
		const int x = t + threadIdx.x, y = t + threadIdx.y;

		as[threadIdx.y][threadIdx.x] = row < m && x < k ? a[row * k + x] : 0;
		bs[threadIdx.y][threadIdx.x] = y < k && col < n ? b[y * n + col] : 0;
		__syncthreads();
		for (int i = 0; i < TILE; i++)
			sum += as[threadIdx.y][i] * bs[i][threadIdx.x];
		__syncthreads();
	}
	if (row < m && col < n)
		c[row * n + col] = alpha * sum + beta * c[row * n + col];
}

int main()
{
	const int m = 50, n = 70, k = 33;
	const float alpha = 1.5f, beta = -0.5f;
	both<float> a(m * k), b(k * n), c(m * n);
	float *want = (float *)malloc(m * n * sizeof(*want));
	uint64_t seed = 11;

	for (int i = 0; i < m * k; i++)
		a.host[i] = next_float(&seed);
	for (int i = 0; i < k * n; i++)
		b.host[i] = next_float(&seed);
	for (int i = 0; i < m * n; i++)
		c.host[i] = next_float(&seed);
	for (int y = 0; y < m; y++)
		for (int x = 0; x < n; x++) {
			float sum = 0;

			/* the device's order, and its zeros that fill the last tile */
			for (int i = 0; i < (k + TILE - 1) / TILE * TILE; i++)
				sum += i < k ? a.host[y * k + i] * b.host[i * n + x] : 0.0f;
			want[y * n + x] = alpha * sum + beta * c.host[y * n + x];
		}
	a.up();
	b.up();
	c.up();
	gemm<<<dim3((n + TILE - 1) / TILE, (m + TILE - 1) / TILE), dim3(TILE, TILE)>>>(
		a.dev, b.dev, c.dev, m, n, k, alpha, beta);
	DONE();
	c.same(want, "product");
	printf("%d x %d x %d product is right\n", m, n, k);
	free(want);
	return 0;
}
