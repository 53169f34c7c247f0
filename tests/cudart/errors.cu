// SPDX-License-Identifier: MIT
/* Errors: codes, names, texts, the last one of each thread, and those that stay. */
#include "test.h"

#include <pthread.h>

__global__ void nothing()
{
}

__global__ void wild(int *p)
{
	*p = 1;
}

static void *other(void *)
{
	RT(cudaPeekAtLastError());
	WANT(cudaErrorInvalidDevice, cudaSetDevice(99));
	WANT(cudaErrorInvalidDevice, cudaGetLastError());
	return NULL;
}

static void launches()
{
	int threads;

	nothing<<<1, 1>>>();
	DONE();
	nothing<<<0, 1>>>();
	WANT(cudaErrorInvalidConfiguration, cudaPeekAtLastError());
	WANT(cudaErrorInvalidConfiguration, cudaGetLastError());
	RT(cudaGetLastError());
	RT(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerBlock, 0));
	nothing<<<1, threads + 1>>>();
	WANT(cudaErrorInvalidConfiguration, cudaGetLastError());
	nothing<<<1, dim3(1, 1, 65)>>>();
	WANT(cudaErrorInvalidConfiguration, cudaGetLastError());
	nothing<<<1, 1, 64 << 20>>>();
	WANT(cudaErrorInvalidValue, cudaGetLastError());
	WANT(cudaErrorInvalidDeviceFunction,
	     cudaLaunchKernel((const void *)other, dim3(1), dim3(1), NULL, 0, 0));
	WANT(cudaErrorInvalidDeviceFunction, cudaGetLastError());
}

int main()
{
	pthread_t thread;
	void *p;

	CHECK(!strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation"), "name");
	CHECK(!strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory"), "text");
	CHECK(!strcmp(cudaGetErrorName((cudaError_t)12345), "unrecognized error code"), "no name");
	launches();
	WANT(cudaErrorMemoryAllocation, ::cudaMalloc(&p, (size_t)1 << 50));
	CHECK(!pthread_create(&thread, NULL, other, NULL) && !pthread_join(thread, NULL), "no thread");
	WANT(cudaErrorMemoryAllocation, cudaGetLastError());
	RT(cudaGetLastError());
	RT(::cudaMalloc(&p, 0));
	CHECK(!p, "nothing lies at %p", p);
	RT(cudaFree(NULL));
	WANT(cudaErrorInvalidMemcpyDirection, cudaMemcpy(&p, &p, 1, (enum cudaMemcpyKind)9));
	WANT(cudaErrorInvalidValue, cudaMemcpy(NULL, &p, 1, cudaMemcpyHostToDevice));
	cudaGetLastError();
	wild<<<1, 1>>>((int *)64);
	RT(cudaGetLastError());
	WANT(cudaErrorIllegalAddress, cudaDeviceSynchronize());
	WANT(cudaErrorIllegalAddress, ::cudaMalloc(&p, 16));
	WANT(cudaErrorIllegalAddress, cudaGetLastError());
	nothing<<<1, 1>>>();
	WANT(cudaErrorIllegalAddress, cudaGetLastError());
	printf("errors are right\n");
	return 0;
}
