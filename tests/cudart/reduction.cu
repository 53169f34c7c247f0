// SPDX-License-Identifier: MIT
/* Sums by trees in shared memory, of two element types by one template. */
#include "test.h"

enum { THREADS = 128 };

template <class T> __global__ void sum(const T *in, int n, T *out)
{
	__shared__ T part[THREADS];
	T mine = 0;

	for (int i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS)
		mine += in[i];
	part[threadIdx.x] = mine;
	__syncthreads();
	for (int half = THREADS / 2; half; half /= 2) {
		if ((int)threadIdx.x < half)
			part[threadIdx.x] += part[threadIdx.x + half];
		__syncthreads();
	}
	if (!threadIdx.x)
		out[blockIdx.x] = part[0];
}

template <class T> static void check(const char *name)
{
	const int n = 50000, blocks = 8;
	both<T> in(n), parts(blocks), out(1);
	uint64_t seed = 3;
	T want = 0;

	for (int i = 0; i < n; i++)
		want += in.host[i] = (T)(next_random(&seed) % 100); /* exact in every type */
	in.up();
	sum<T><<<blocks, THREADS>>>(in.dev, n, parts.dev);
	sum<T><<<1, THREADS>>>(parts.dev, blocks, out.dev);
	DONE();
	out.same(&want, name);
	printf("sum of %s: %.0f\n", name, (double)out.host[0]);
}

int main()
{
	check<int>("int");
	check<float>("float");
	check<double>("double");
	check<unsigned long long>("unsigned long long");
	return 0;
}
