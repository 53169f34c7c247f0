// SPDX-License-Identifier: MIT
/* Molecular dynamics: forces between near particles, with a list of neighbours; then steps in time. */
#include "test.h"

enum { N = 400, NEAR = 24, STEPS = 4 };

struct particle {
	double x, y, z;
};

__host__ __device__ inline particle force(const particle *p, const int *near, int i)
{
	particle f = {0, 0, 0};

	for (int k = 0; k < NEAR; k++) {
		const particle o = p[near[i * NEAR + k]];
		const double dx = p[i].x - o.x, dy = p[i].y - o.y, dz = p[i].z - o.z;
		const double r2 = dx * dx + dy * dy + dz * dz + 0.25;
		const double inverse = 1 / r2, r6 = inverse * inverse * inverse;
		const double strength = r6 * (r6 - 0.5) * inverse;

		f.x += dx * strength;
		f.y += dy * strength;
		f.z += dz * strength;
	}
	return f;
}

__host__ __device__ inline void advance(particle *p, particle *v, particle f, int i)
{
	v[i].x += 0.01 * f.x;
	v[i].y += 0.01 * f.y;
	v[i].z += 0.01 * f.z;
	p[i].x += 0.01 * v[i].x;
	p[i].y += 0.01 * v[i].y;
	p[i].z += 0.01 * v[i].z;
}

__global__ void forces(const particle *p, const int *near, particle *f)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < N)
		f[i] = force(p, near, i);
}

__global__ void steps(particle *p, particle *v, const particle *f)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < N)
		advance(p, v, f[i], i);
}

int main()
{
	both<particle> p(N), v(N), f(N);
	both<int> near(N * NEAR);
	static particle wp[N], wv[N], wf[N];
	uint64_t seed = 53;

	for (int i = 0; i < N; i++) {
		wp[i] = p.host[i] = {8 * next_float(&seed), 8 * next_float(&seed), 8 * next_float(&seed)};
		for (int k = 0; k < NEAR; k++)
			near.host[i * NEAR + k] = (i + 1 + (int)(next_random(&seed) % (N - 1))) % N;
	}
	p.up();
	near.up();
	RT(cudaMemset(v.dev, 0, N * sizeof(particle)));
	for (int s = 0; s < STEPS; s++) {
		forces<<<(N + 63) / 64, 64>>>(p.dev, near.dev, f.dev);
		steps<<<(N + 63) / 64, 64>>>(p.dev, v.dev, f.dev);
		for (int i = 0; i < N; i++)
			wf[i] = force(wp, near.host, i);
		for (int i = 0; i < N; i++)
			advance(wp, wv, wf[i], i);
	}
	DONE();
	p.same(wp, "position");
	v.same(wv, "speed");
	printf("%d particles, %d steps\n", N, STEPS);
	return 0;
}
