// SPDX-License-Identifier: MIT
/* A system of linear equations by elimination with pivots that the host chooses. */
#include "test.h"

#include <math.h>

enum { N = 40, W = N + 1 };

__global__ void swap_rows(double *a, int r, int s)
{
	const double t = a[r * W + threadIdx.x];

	a[r * W + threadIdx.x] = a[s * W + threadIdx.x];
	a[s * W + threadIdx.x] = t;
}

__global__ void eliminate(double *a, int k)
{
	const int y = blockIdx.x + (blockIdx.x >= (unsigned int)k), x = k + 1 + threadIdx.x;
	const double f = a[y * W + k] / a[k * W + k];

	if (x < W)
		a[y * W + x] -= f * a[k * W + x];
}

int main()
{
	both<double> a(N * W);
	static double first[N * W];
	double column[N], x[N], worst = 0;
	uint64_t seed = 61;

	for (int i = 0; i < N * W; i++)
		first[i] = a.host[i] = next_float(&seed) - 0.5;
	a.up();
	for (int k = 0; k < N; k++) {
		int pivot = k;

		RT(cudaMemcpy2D(column, sizeof(double), a.dev + k, W * sizeof(double), sizeof(double), N,
				cudaMemcpyDeviceToHost));
		for (int r = k; r < N; r++)
			if (fabs(column[r]) > fabs(column[pivot]))
				pivot = r;
		if (pivot != k)
			swap_rows<<<1, W>>>(a.dev, k, pivot);
		eliminate<<<N - 1, W>>>(a.dev, k);
		RT(cudaGetLastError());
	}
	a.down();
	for (int i = 0; i < N; i++)
		x[i] = a.host[i * W + N] / a.host[i * W + i];
	for (int y = 0; y < N; y++) {
		double sum = -first[y * W + N];

		for (int i = 0; i < N; i++)
			sum += first[y * W + i] * x[i];
		worst = fmax(worst, fabs(sum));
	}
	CHECK(worst < 1e-9, "off by %g", worst);
	printf("%d equations are solved\n", N);
	return 0;
}
