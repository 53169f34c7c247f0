// SPDX-License-Identifier: MIT
/* y = A'(A x), by two kernels in two streams that an event orders. */
#include "test.h"

enum { M = 60, N = 80 };

__global__ void times(const float *a, const float *x, float *t)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;
	float sum = 0;

	for (int j = 0; i < M && j < N; j++)
		sum += a[i * N + j] * x[j];
	if (i < M)
		t[i] = sum;
}

__global__ void transposed_times(const float *a, const float *t, float *y)
{
	const int j = blockIdx.x * blockDim.x + threadIdx.x;
	float sum = 0;

	for (int i = 0; j < N && i < M; i++)
		sum += a[i * N + j] * t[i];
	if (j < N)
		y[j] = sum;
}

int main()
{
	both<float> a(M * N), x(N), t(M), y(N);
	float first[M], want[N];
	cudaStream_t s, u;
	cudaEvent_t ready;
	uint64_t seed = 79;

	for (int i = 0; i < M * N; i++)
		a.host[i] = next_float(&seed);
	for (int j = 0; j < N; j++)
		x.host[j] = next_float(&seed);
	a.up();
	x.up();
	RT(cudaStreamCreate(&s));
	RT(cudaStreamCreate(&u));
	RT(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming | cudaEventBlockingSync));
	times<<<2, 32, 0, s>>>(a.dev, x.dev, t.dev);
	RT(cudaEventRecord(ready, s));
	RT(cudaStreamWaitEvent(u, ready, 0));
	transposed_times<<<3, 32, 0, u>>>(a.dev, t.dev, y.dev);
	RT(cudaStreamSynchronize(u));
	for (int i = 0; i < M; i++) {
		first[i] = 0;
		for (int j = 0; j < N; j++)
			first[i] += a.host[i * N + j] * x.host[j];
	}
	for (int j = 0; j < N; j++) {
		want[j] = 0;
		for (int i = 0; i < M; i++)
			want[j] += a.host[i * N + j] * first[i];
	}
	y.same(want, "y");
	RT(cudaEventDestroy(ready));
	RT(cudaStreamDestroy(s));
	RT(cudaStreamDestroy(u));
	printf("%d x %d matrix, twice\n", M, N);
	return 0;
}
