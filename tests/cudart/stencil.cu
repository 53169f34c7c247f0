// SPDX-License-Identifier: MIT
/* A seven-point stencil in three dimensions, in memory of cudaMalloc3D with its pitch. */
#include "test.h"

enum { W = 21, H = 17, D = 13 };

__global__ void stencil(const cudaPitchedPtr in, cudaPitchedPtr out)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
	const int z = blockIdx.z;
	const char *base = (const char *)in.ptr;
	auto at = [&](int i, int j, int k) {
		return ((const int *)(base + (k * in.ysize + j) * in.pitch))[i];
	};
	int *to = (int *)((char *)out.ptr + (z * out.ysize + y) * out.pitch) + x;

	if (x >= W || y >= H)
		return;
	if (!x || !y || !z || x == W - 1 || y == H - 1 || z == D - 1)
		*to = at(x, y, z);
	else
		*to = at(x - 1, y, z) + at(x + 1, y, z) + at(x, y - 1, z) + at(x, y + 1, z) +
		      at(x, y, z - 1) + at(x, y, z + 1) - 6 * at(x, y, z);
}

static void box_copy(cudaPitchedPtr dst, cudaPitchedPtr src, enum cudaMemcpyKind kind)
{
	struct cudaMemcpy3DParms c = {};

	c.srcPtr = src;
	c.dstPtr = dst;
	c.extent = {W * sizeof(int), H, D};
	c.kind = kind;
	RT(cudaMemcpy3D(&c));
}

int main()
{
	static int host[D][H][W], back[D][H][W];
	const cudaPitchedPtr from = {host, sizeof(host[0][0]), W, H};
	const cudaPitchedPtr to = {back, sizeof(back[0][0]), W, H};
	cudaPitchedPtr in, out;
	uint64_t seed = 41;

	for (int i = 0; i < W * H * D; i++)
		(&host[0][0][0])[i] = (int)(next_random(&seed) % 1000);
	RT(cudaMalloc3D(&in, {W * sizeof(int), H, D}));
	RT(cudaMalloc3D(&out, {W * sizeof(int), H, D}));
	box_copy(in, from, cudaMemcpyHostToDevice);
	stencil<<<dim3(3, 3, D), dim3(8, 8)>>>(in, out);
	DONE();
	box_copy(to, out, cudaMemcpyDeviceToHost);
	for (int z = 0; z < D; z++)
		for (int y = 0; y < H; y++)
			for (int x = 0; x < W; x++) {
				int want = host[z][y][x];

				if (x && y && z && x < W - 1 && y < H - 1 && z < D - 1)
					want = host[z][y][x - 1] + host[z][y][x + 1] +
					       host[z][y - 1][x] + host[z][y + 1][x] +
					       host[z - 1][y][x] + host[z + 1][y][x] - 6 * want;
				CHECK(back[z][y][x] == want, "%d %d %d: %d, not %d", z, y, x,
				      back[z][y][x], want);
			}
	RT(cudaFree(in.ptr));
	RT(cudaFree(out.ptr));
	printf("%d x %d x %d cells\n", W, H, D);
	return 0;
}
