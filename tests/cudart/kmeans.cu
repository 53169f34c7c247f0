// SPDX-License-Identifier: MIT
/* Clusters of points with whole coordinates: sums by atomic additions are exact in any order. */
#include "test.h"

enum { POINTS = 3000, CLUSTERS = 8, ROUNDS = 6 };

struct point {
	int x, y;
};

__constant__ point centre[CLUSTERS];

__host__ __device__ inline int nearest(point p, const point *c)
{
	long long best = -1;
	int which = 0;

	for (int k = 0; k < CLUSTERS; k++) {
		const long long dx = p.x - c[k].x, dy = p.y - c[k].y, d = dx * dx + dy * dy;

		if (best < 0 || d < best) {
			best = d;
			which = k;
		}
	}
	return which;
}

__global__ void assign(const point *p, int *of, int *sum)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= POINTS)
		return;
	of[i] = nearest(p[i], centre);
	atomicAdd(&sum[of[i] * 3], p[i].x);
	atomicAdd(&sum[of[i] * 3 + 1], p[i].y);
	atomicAdd(&sum[of[i] * 3 + 2], 1);
}

static void move(point *c, const int *sum)
{
	for (int k = 0; k < CLUSTERS; k++)
		if (sum[k * 3 + 2])
			c[k] = {sum[k * 3] / sum[k * 3 + 2], sum[k * 3 + 1] / sum[k * 3 + 2]};
}

int main()
{
	both<point> p(POINTS);
	both<int> of(POINTS), sum(CLUSTERS * 3);
	static int want_of[POINTS], want[CLUSTERS * 3];
	point c[CLUSTERS], d[CLUSTERS];
	uint64_t seed = 29;

	for (int i = 0; i < POINTS; i++)
		p.host[i] = {(int)(next_random(&seed) % 1000) + i % 5 * 1500,
			     (int)(next_random(&seed) % 1000) + i % 3 * 1200};
	for (int k = 0; k < CLUSTERS; k++)
		c[k] = d[k] = p.host[k * 11];
	p.up();
	for (int r = 0; r < ROUNDS; r++) {
		RT(cudaMemcpyToSymbol(centre, c, sizeof(c)));
		RT(cudaMemset(sum.dev, 0, CLUSTERS * 3 * sizeof(int)));
		assign<<<(POINTS + 127) / 128, 128>>>(p.dev, of.dev, sum.dev);
		DONE();
		sum.down();
		move(c, sum.host);
		memset(want, 0, sizeof(want));
		for (int i = 0; i < POINTS; i++) {
			const int k = want_of[i] = nearest(p.host[i], d);

			want[k * 3] += p.host[i].x;
			want[k * 3 + 1] += p.host[i].y;
			want[k * 3 + 2]++;
		}
		move(d, want);
	}
	of.same(want_of, "cluster");
	sum.same(want, "sums");
	printf("%d points in %d clusters\n", POINTS, CLUSTERS);
	return 0;
}
