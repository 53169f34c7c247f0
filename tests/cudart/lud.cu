// SPDX-License-Identifier: MIT
/* LU decomposition in place, a launch for the column and one for the rest of each step. */
#include "test.h"

enum { N = 48 };

__global__ void column(double *a, int k)
{
	const int y = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;

	if (y < N)
		a[y * N + k] /= a[k * N + k];
}

__global__ void rest(double *a, int k)
{
	const int x = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;
	const int y = k + 1 + blockIdx.y * blockDim.y + threadIdx.y;

	if (x < N && y < N)
		a[y * N + x] -= a[y * N + k] * a[k * N + x];
}

int main()
{
	both<double> a(N * N);
	static double want[N * N];
	uint64_t seed = 19;

	for (int i = 0; i < N * N; i++)
		want[i] = a.host[i] = next_float(&seed) + (i % (N + 1) ? 0 : N);
	a.up();
	for (int k = 0; k < N - 1; k++) {
		const int left = N - 1 - k, blocks = (left + 15) / 16;

		column<<<(left + 63) / 64, 64>>>(a.dev, k);
		rest<<<dim3(blocks, blocks), dim3(16, 16)>>>(a.dev, k);
		for (int y = k + 1; y < N; y++) {
			want[y * N + k] /= want[k * N + k];
			for (int x = k + 1; x < N; x++)
				want[y * N + x] -= want[y * N + k] * want[k * N + x];
		}
	}
	DONE();
	a.same(want, "decomposition");
	printf("%d x %d matrix is decomposed\n", N, N);
	return 0;
}
