// SPDX-License-Identifier: MIT
/* The Mandelbrot set in fixed point: threads of a warp end their loops at different times. */
#include "test.h"

enum { W = 60, H = 40, MOST = 200, ONE = 1 << 24 };

__host__ __device__ inline int escape(int px, int py)
{
	const long long cx = (long long)(px - 40) * ONE / 20, cy = (long long)(py - 20) * ONE / 16;
	long long x = 0, y = 0;
	int i;

	for (i = 0; i < MOST && x * x / ONE + y * y / ONE < 4ll * ONE; i++) {
		const long long t = (x * x - y * y) / ONE + cx;

		y = 2 * x * y / ONE + cy;
		x = t;
	}
	return i;
}

__global__ void picture(int *out)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;

	if (x < W)
		out[y * W + x] = escape(x, y);
}

int main()
{
	both<int> out(W * H);
	static int want[W * H];

	for (int i = 0; i < W * H; i++)
		want[i] = escape(i % W, i / W);
	picture<<<dim3(2, H), 32>>>(out.dev);
	DONE();
	out.same(want, "point");
	printf("%d x %d points, digest %016llx\n", W, H, (unsigned long long)digest(want, sizeof(want)));
	return 0;
}
