// SPDX-License-Identifier: MIT
/* A separable filter with its weights in constant memory and a halo in shared memory. */
#include "test.h"

enum { RADIUS = 3, THREADS = 64, W = 150, H = 30 };

__constant__ int weight[2 * RADIUS + 1];
static const int filter[2 * RADIUS + 1] = {1, -2, 5, 9, 4, -3, 2};

__global__ void along(const int *in, int *out, int n, int step, int line_step)
{
	__shared__ int near[THREADS + 2 * RADIUS];
	const int i = blockIdx.x * THREADS + threadIdx.x, base = blockIdx.y * line_step;
	int sum = 0;

	for (int k = threadIdx.x; k < THREADS + 2 * RADIUS; k += THREADS) {
		const int at = (int)blockIdx.x * THREADS + k - RADIUS;

		near[k] = at >= 0 && at < n ? in[base + at * step] : 0;
	}
	__syncthreads();
	for (int k = 0; k <= 2 * RADIUS; k++)
		sum += weight[k] * near[threadIdx.x + k];
	if (i < n)
		out[base + i * step] = sum;
}

static void on_cpu(const int *in, int *out, int n, int step, int lines, int line_step)
{
	for (int l = 0; l < lines; l++)
		for (int i = 0; i < n; i++) {
			int sum = 0;

			for (int k = -RADIUS; k <= RADIUS; k++)
				if (i + k >= 0 && i + k < n)
					sum += filter[k + RADIUS] * in[l * line_step + (i + k) * step];
			out[l * line_step + i * step] = sum;
		}
}

int main()
{
	both<int> a(W * H), b(W * H);
	static int rows[W * H], want[W * H];
	uint64_t seed = 67;

	for (int i = 0; i < W * H; i++)
		a.host[i] = (int)(next_random(&seed) % 256);
	a.up();
	RT(cudaMemcpyToSymbol(weight, filter, sizeof(filter)));
	along<<<dim3((W + THREADS - 1) / THREADS, H), THREADS>>>(a.dev, b.dev, W, 1, W);
	on_cpu(a.host, rows, W, 1, H, W);
	along<<<dim3((H + THREADS - 1) / THREADS, W), THREADS>>>(b.dev, a.dev, H, W, 1);
	on_cpu(rows, want, H, W, W, 1);
	DONE();
	a.same(want, "pixel");
	printf("%d x %d pixels are filtered\n", W, H);
	return 0;
}
