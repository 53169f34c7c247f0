// SPDX-License-Identifier: MIT
/* A transposed matrix through tiles of shared memory, for elements of several sizes. */
#include "test.h"

enum { TILE = 16, W = 75, H = 50 };

template <class T> __global__ void transpose(const T *in, T *out)
{
	__shared__ T tile[TILE][TILE + 1];
	int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;

	if (x < W && y < H)
		tile[threadIdx.y][threadIdx.x] = in[y * W + x];
	__syncthreads();
	x = blockIdx.y * TILE + threadIdx.x;
	y = blockIdx.x * TILE + threadIdx.y;
	if (x < H && y < W)
		out[y * H + x] = tile[threadIdx.x][threadIdx.y];
}

template <class T> static void check(const char *name)
{
	both<T> in(W * H), out(W * H);
	T *want = (T *)malloc(W * H * sizeof(T));

	for (int i = 0; i < W * H; i++)
		want[i % W * H + i / W] = in.host[i] = (T)(i * 37);
	in.up();
	transpose<T><<<dim3((W + TILE - 1) / TILE, (H + TILE - 1) / TILE), dim3(TILE, TILE)>>>(in.dev,
											       out.dev);
	DONE();
	out.same(want, name);
	free(want);
}

int main()
{
	check<unsigned char>("bytes");
	check<short>("shorts");
	check<float>("floats");
	check<double>("doubles");
	printf("%d x %d matrices are transposed\n", W, H);
	return 0;
}
