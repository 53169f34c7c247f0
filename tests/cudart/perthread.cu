// SPDX-License-Identifier: MIT
/* Compiled for the thread's own default stream: threads do not wait for each other's work on stream 0, and fills of
 * memory that the host reads are waited for in the thread's own. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include "test.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

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

static void nap(void *)
{
	usleep(100000);
}

/* The call returns when the fill has ended, since the host may read the memory at once. */
static void check_fills(unsigned char *p, const char *what)
{
	enum { BYTES = 4096, ROW = 64 };
	const cudaPitchedPtr box = {p, ROW, ROW, 8};
	const cudaExtent extent = {ROW, 8, BYTES / ROW / 8};

	memset(p, 1, BYTES);
	RT(cudaLaunchHostFunc(cudaStreamPerThread, nap, NULL));
	RT(cudaMemset(p, 2, BYTES));
	CHECK(p[0] == 2 && p[BYTES - 1] == 2, "cudaMemset of %s memory", what);
	RT(cudaLaunchHostFunc(cudaStreamPerThread, nap, NULL));
	RT(cudaMemset2D(p, ROW, 3, ROW, BYTES / ROW));
	CHECK(p[0] == 3 && p[BYTES - 1] == 3, "cudaMemset2D of %s memory", what);
	RT(cudaLaunchHostFunc(cudaStreamPerThread, nap, NULL));
	RT(cudaMemset3D(box, 4, extent));
	CHECK(p[0] == 4 && p[BYTES - 1] == 4, "cudaMemset3D of %s memory", what);
}

static void fills()
{
	unsigned char *p;

	RT(cudaHostAlloc((void **)&p, 4096, cudaHostAllocDefault));
	check_fills(p, "pinned");
	RT(cudaFreeHost(p));
	RT(cudaMallocManaged((void **)&p, 4096, cudaMemAttachGlobal));
	check_fills(p, "managed");
	RT(cudaFree(p));
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
	fills();
	printf("default streams are the threads' own\n");
	return 0;
}
