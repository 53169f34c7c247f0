// SPDX-License-Identifier: MIT
/* The sum of two vectors. */
#include "test.h"

__global__ void add(const float *a, const float *b, float *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}

int main()
{
	const int n = 100000;
	both<float> a(n), b(n), c(n);
	float *want = (float *)malloc(n * sizeof(*want));
	uint64_t seed = 1;

	for (int i = 0; i < n; i++) {
		a.host[i] = next_float(&seed);
		b.host[i] = next_float(&seed);
		want[i] = a.host[i] + b.host[i];
	}
	a.up();
	b.up();
	add<<<(n + 255) / 256, 256>>>(a.dev, b.dev, c.dev, n);
	DONE();
	c.same(want, "sum");
	free(want);
	printf("%d sums are right\n", n);
	return 0;
}
