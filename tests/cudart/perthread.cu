// SPDX-License-Identifier: MIT
/* Compiled for the thread's own default stream: threads do not wait for each other's work on stream 0. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include "test.h"

#include <pthread.h>
#include <semaphore.h>

__global__ void set(int *p, int v)
{
	*p = v;
}

static sem_t open_gate;

static void wait_for_gate(void *)
{
	sem_wait(&open_gate);
}

/* Ends while the other thread's default stream is held up: with one stream for all it never would. */
static void *other(void *)
{
	int v = 0, *p;

	RT(cudaMalloc(&p, sizeof(int)));
	set<<<1, 1, 0, cudaStreamPerThread>>>(p, 77);
	RT(cudaGetLastError());
	RT(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost));
	CHECK(v == 77, "%d", v);
	RT(cudaStreamSynchronize(0));
	RT(cudaStreamQuery(0));
	return NULL;
}

int main()
{
	pthread_t thread;
	int v = 0, *p;

	CHECK(!sem_init(&open_gate, 0, 0), "no semaphore");
	RT(cudaMalloc(&p, sizeof(int)));
	RT(cudaMemset(p, 0, sizeof(int)));
	RT(cudaLaunchHostFunc(cudaStreamPerThread, wait_for_gate, NULL));
	set<<<1, 1, 0, cudaStreamPerThread>>>(p, 5);
	WANT(cudaErrorNotReady, cudaStreamQuery(0));
	cudaGetLastError();
	CHECK(!pthread_create(&thread, NULL, other, NULL) && !pthread_join(thread, NULL), "no thread");
	WANT(cudaErrorNotReady, cudaStreamQuery(0));
	cudaGetLastError();
	sem_post(&open_gate);
	RT(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost));
	CHECK(v == 5, "%d", v);
	RT(cudaFree(p));
	printf("default streams are the threads' own\n");
	return 0;
}
