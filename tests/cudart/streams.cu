// SPDX-License-Identifier: MIT
/* Streams in parallel, ordered by events; callbacks; priorities; timing. */
#include "test.h"

enum { STREAMS = 4, N = 4096, STEPS = 5 };

__global__ void step(int *v, int add)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	v[i] = v[i] * 3 + add;
}

static int called;
static cudaError_t told = cudaErrorUnknown;

static void count(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void callback(cudaStream_t, cudaError_t status, void *arg)
{
	told = status;
	count(arg);
}

int main()
{
	int least, greatest, priority, want[N];
	cudaStream_t s[STREAMS], high;
	cudaEvent_t done[STREAMS], begin, end;
	unsigned int flags;
	int *host, *v;
	float ms;

	RT(cudaMallocHost(&host, STREAMS * N * sizeof(int)));
	RT(cudaMalloc(&v, STREAMS * N * sizeof(int)));
	RT(cudaEventCreate(&begin));
	RT(cudaEventCreate(&end));
	RT(cudaEventRecord(begin, 0));
	for (int i = 0; i < STREAMS; i++) {
		RT(cudaStreamCreateWithFlags(&s[i], cudaStreamNonBlocking));
		RT(cudaEventCreateWithFlags(&done[i], cudaEventDisableTiming));
		RT(cudaMemsetAsync(v + i * N, 0, N * sizeof(int), s[i]));
		for (int k = 0; k < STEPS; k++)
			step<<<N / 128, 128, 0, s[i]>>>(v + i * N, i + k);
		RT(cudaGetLastError());
		RT(cudaMemcpyAsync(host + i * N, v + i * N, N * sizeof(int), cudaMemcpyDeviceToHost,
				   s[i]));
		RT(cudaLaunchHostFunc(s[i], count, &called));
		RT(cudaEventRecord(done[i], s[i]));
	}
	RT(cudaStreamAddCallback(s[0], callback, &called, 0));
	for (int i = 0; i < STREAMS; i++)
		RT(cudaStreamWaitEvent(0, done[i], 0));
	RT(cudaEventRecord(end, 0));
	RT(cudaEventSynchronize(end));
	RT(cudaEventElapsedTime(&ms, begin, end));
	CHECK(ms >= 0, "%f ms", ms);
	for (int i = 0; i < STREAMS; i++) {
		RT(cudaStreamSynchronize(s[i]));
		RT(cudaStreamQuery(s[i]));
		RT(cudaEventQuery(done[i]));
		want[0] = 0;
		for (int k = 0; k < STEPS; k++)
			want[0] = want[0] * 3 + i + k;
		for (int k = 0; k < N; k++)
			CHECK(host[i * N + k] == want[0], "stream %d: %d, not %d", i,
			      host[i * N + k], want[0]);
		RT(cudaStreamGetFlags(s[i], &flags));
		CHECK(flags == cudaStreamNonBlocking, "flags %u", flags);
	}
	CHECK(called == STREAMS + 1 && told == cudaSuccess, "%d calls, status %d", called, told);
	WANT(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, done[0], end));
	cudaGetLastError();
	RT(cudaDeviceGetStreamPriorityRange(&least, &greatest));
	CHECK(greatest <= least, "priorities %d to %d", least, greatest);
	RT(cudaStreamCreateWithPriority(&high, 0, greatest));
	RT(cudaStreamGetPriority(high, &priority));
	CHECK(priority == greatest, "priority %d", priority);
	RT(cudaStreamDestroy(high));
	for (int i = 0; i < STREAMS; i++) {
		RT(cudaStreamDestroy(s[i]));
		RT(cudaEventDestroy(done[i]));
	}
	RT(cudaEventDestroy(begin));
	RT(cudaEventDestroy(end));
	RT(cudaFree(v));
	RT(cudaFreeHost(host));
	printf("%d streams are right\n", STREAMS);
	return 0;
}
