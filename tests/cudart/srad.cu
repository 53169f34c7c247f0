// SPDX-License-Identifier: MIT
/* Speckle reduction: diffusion whose coefficient follows the image's gradient, two kernels a step. */
#include "test.h"

enum { SIDE = 40, STEPS = 5 };

struct image {
	float *v, *c, *n, *s, *w, *e;
};

__host__ __device__ inline void coefficient(const image &m, int x, int y, float q0)
{
	const int i = y * SIDE + x;
	const float v = m.v[i];
	float g, l, num, den;

	m.n[i] = m.v[(y ? y - 1 : y) * SIDE + x] - v;
	m.s[i] = m.v[(y < SIDE - 1 ? y + 1 : y) * SIDE + x] - v;
	m.w[i] = m.v[y * SIDE + (x ? x - 1 : x)] - v;
	m.e[i] = m.v[y * SIDE + (x < SIDE - 1 ? x + 1 : x)] - v;
	g = (m.n[i] * m.n[i] + m.s[i] * m.s[i] + m.w[i] * m.w[i] + m.e[i] * m.e[i]) / (v * v);
	l = (m.n[i] + m.s[i] + m.w[i] + m.e[i]) / v;
	num = 0.5f * g - 0.0625f * (l * l);
	den = 1 + 0.25f * l;
	num = (num / (den * den) - q0) / (q0 * (1 + q0));
	num = 1.0f / (1.0f + num);
	m.c[i] = num < 0 ? 0 : num > 1 ? 1 : num;
}

__host__ __device__ inline float diffuse(const image &m, int x, int y)
{
	const int i = y * SIDE + x;
	const float south = m.c[(y < SIDE - 1 ? y + 1 : y) * SIDE + x];
	const float east = m.c[y * SIDE + (x < SIDE - 1 ? x + 1 : x)];

	return m.v[i] + 0.125f * (m.c[i] * m.n[i] + south * m.s[i] + m.c[i] * m.w[i] + east * m.e[i]);
}

__global__ void coefficients(image m, float q0)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < SIDE * SIDE)
		coefficient(m, i % SIDE, i / SIDE, q0);
}

__global__ void update(image m)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < SIDE * SIDE)
		m.v[i] = diffuse(m, i % SIDE, i / SIDE);
}

int main()
{
	const int n = SIDE * SIDE, blocks = (n + 127) / 128;
	both<float> v(n), c(n), north(n), s(n), w(n), e(n);
	const image dev = {v.dev, c.dev, north.dev, s.dev, w.dev, e.dev};
	const image host = {(float *)malloc(n * 4), c.host, north.host, s.host, w.host, e.host};
	uint64_t seed = 31;

	for (int i = 0; i < n; i++)
		host.v[i] = v.host[i] = 1 + 10 * next_float(&seed);
	v.up();
	for (int step = 0; step < STEPS; step++) {
		const float q0 = 0.5f / (1 + step);

		coefficients<<<blocks, 128>>>(dev, q0);
		update<<<blocks, 128>>>(dev);
		for (int i = 0; i < n; i++)
			coefficient(host, i % SIDE, i / SIDE, q0);
		for (int i = 0; i < n; i++)
			host.v[i] = diffuse(host, i % SIDE, i / SIDE);
	}
	DONE();
	v.same(host.v, "image");
	free(host.v);
	printf("%d steps of %d x %d pixels\n", STEPS, SIDE, SIDE);
	return 0;
}
