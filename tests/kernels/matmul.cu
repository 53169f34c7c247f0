/* SPDX-License-Identifier: MIT */
/* C = A * B for square matrices of n rows, n a multiple of the tile, through shared memory. */
#include "device.h"

enum { TILE = 16 };

KERNEL matmul(const float *a, const float *b, float *c, u32 n)
{
	__shared__ float ta[TILE][TILE], tb[TILE][TILE];
	u32 x = threadIdx.x, y = threadIdx.y;
	u32 column = blockIdx.x * TILE + x, row = blockIdx.y * TILE + y;
	float sum = 0;

	for (u32 k = 0; k < n; k += TILE) {
		ta[y][x] = a[row * n + k + x];
		tb[y][x] = b[(k + y) * n + column];
		barrier();
		for (u32 i = 0; i < TILE; i++)
			sum += ta[y][i] * tb[i][x];
		barrier();
	}
	c[row * n + column] = sum;
}
