// SPDX-License-Identifier: MIT
/* A sparse matrix times a vector: a warp for each row. */
#include "test.h"

__global__ void rows(const int *row, const int *col, const double *val, const double *x, double *y,
		     int n)
{
	__shared__ double part[128];
	const int r = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
	double sum = 0;

	if (r < n)
		for (int i = row[r] + lane; i < row[r + 1]; i += 32)
			sum += val[i] * x[col[i]];
	part[threadIdx.x] = sum;
	for (int half = 16; half; half /= 2) {
		__syncthreads();
		if (lane < half)
			part[threadIdx.x] += part[threadIdx.x + half];
	}
	if (!lane && r < n)
		y[r] = part[threadIdx.x];
}

static double on_cpu(const int *row, const int *col, const double *val, const double *x, int r)
{
	double part[32] = {};

	for (int i = row[r]; i < row[r + 1]; i++)
		part[(i - row[r]) % 32] += val[i] * x[col[i]];
	for (int half = 16; half; half /= 2)
		for (int k = 0; k < half; k++)
			part[k] += part[k + half];
	return part[0];
}

int main()
{
	const int n = 700, most = 90;
	both<int> row(n + 1), col(n * most);
	both<double> val(n * most), x(n), y(n);
	double *want = (double *)malloc(n * sizeof(*want));
	uint64_t seed = 43;
	int used = 0;

	for (int r = 0; r < n; r++) {
		row.host[r] = used;
		for (int i = (int)(next_random(&seed) % most); i; i--, used++) {
			col.host[used] = (int)(next_random(&seed) % n);
			val.host[used] = next_float(&seed) - 0.5;
		}
		x.host[r] = next_float(&seed);
	}
	row.host[n] = used;
	row.up();
	col.up();
	val.up();
	x.up();
	rows<<<(n + 3) / 4, 128>>>(row.dev, col.dev, val.dev, x.dev, y.dev, n);
	DONE();
	for (int r = 0; r < n; r++)
		want[r] = on_cpu(row.host, col.host, val.host, x.host, r);
	y.same(want, "row");
	printf("%d rows, %d elements\n", n, used);
	free(want);
	return 0;
}
