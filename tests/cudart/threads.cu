// SPDX-License-Identifier: MIT
/* Many threads: each with its own stream, errors and results; the first launches load the kernels. */
#include "test.h"

#include <pthread.h>

enum { THREADS = 12, ROUNDS = 20, N = 512 };

__global__ void mix(unsigned int *v, unsigned int key)
{
	const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	v[i] = (v[i] ^ key) * 2654435761u + i;
}

static pthread_barrier_t together;

static void *work(void *arg)
{
	const unsigned int key = (unsigned int)(uintptr_t)arg;
	unsigned int want[N] = {};
	both<unsigned int> v(N);
	cudaStream_t s;

	pthread_barrier_wait(&together);
	RT(cudaStreamCreate(&s));
	RT(cudaMemsetAsync(v.dev, 0, N * sizeof(int), s));
	for (unsigned int r = 0; r < ROUNDS; r++) {
		mix<<<N / 64, 64, 0, s>>>(v.dev, key + r);
		RT(cudaGetLastError());
		for (unsigned int i = 0; i < N; i++)
			want[i] = (want[i] ^ (key + r)) * 2654435761u + i;
		if (r % 5 == key % 5) {
			WANT(cudaErrorInvalidDevice, cudaSetDevice(-1));
			WANT(cudaErrorInvalidDevice, cudaGetLastError());
		}
	}
	RT(cudaStreamSynchronize(s));
	RT(cudaStreamDestroy(s));
	v.same(want, "a thread's numbers");
	return NULL;
}

int main()
{
	pthread_t t[THREADS];

	CHECK(!pthread_barrier_init(&together, NULL, THREADS), "no barrier");
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, work, (void *)(i * 1000)), "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("%d threads are right\n", THREADS);
	return 0;
}
