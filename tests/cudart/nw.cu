// SPDX-License-Identifier: MIT
/* Alignment of two sequences: the score matrix by its antidiagonals. */
#include "test.h"

enum { N = 200, SIDE = N + 1, GAP = -4 };

__host__ __device__ inline int best(int match, int above, int left)
{
	const int gap = above > left ? above : left;

	return match > gap ? match : gap;
}

__host__ __device__ inline void cell(int *m, const char *a, const char *b, int x, int y)
{
	m[y * SIDE + x] = best(m[(y - 1) * SIDE + x - 1] + (a[x - 1] == b[y - 1] ? 5 : -3),
			       m[(y - 1) * SIDE + x] + GAP, m[y * SIDE + x - 1] + GAP);
}

__global__ void diagonal(int *m, const char *a, const char *b, int d)
{
	const int x = blockIdx.x * blockDim.x + threadIdx.x + 1, y = d - x;

	if (x <= N && y >= 1 && y <= N)
		cell(m, a, b, x, y);
}

int main()
{
	both<int> m(SIDE * SIDE);
	both<char> a(N), b(N);
	static int want[SIDE * SIDE];
	uint64_t seed = 23;

	for (int i = 0; i < N; i++) {
		a.host[i] = "ACGT"[next_random(&seed) % 4];
		b.host[i] = next_random(&seed) % 3 ? a.host[i] : 'A';
	}
	for (int i = 0; i <= N; i++)
		m.host[i] = m.host[i * SIDE] = i * GAP;
	memcpy(want, m.host, sizeof(want));
	m.up();
	a.up();
	b.up();
	for (int d = 2; d <= 2 * N; d++)
		diagonal<<<(N + 63) / 64, 64>>>(m.dev, a.dev, b.dev, d);
	for (int y = 1; y <= N; y++)
		for (int x = 1; x <= N; x++)
			cell(want, a.host, b.host, x, y);
	DONE();
	m.same(want, "score");
	printf("score %d\n", want[SIDE * SIDE - 1]);
	return 0;
}
