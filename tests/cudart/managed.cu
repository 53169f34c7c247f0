// SPDX-License-Identifier: MIT
/* Managed memory: host and device use the same addresses; a driver without it says so. */
#include "test.h"

__global__ void square(int *v)
{
	v[threadIdx.x] *= v[threadIdx.x];
}

int main()
{
	struct cudaPointerAttributes a;
	int some, *v;

	RT(cudaDeviceGetAttribute(&some, cudaDevAttrManagedMemory, 0));
	if (!some) {
		WANT(cudaErrorNotSupported, cudaMallocManaged(&v, 64));
		WANT(cudaErrorNotSupported, cudaGetLastError());
		printf("managed memory is right\n");
		return 0;
	}
	RT(cudaMallocManaged(&v, 64 * sizeof(int)));
	for (int i = 0; i < 64; i++)
		v[i] = i - 30;
	square<<<1, 64>>>(v);
	DONE();
	for (int i = 0; i < 64; i++)
		CHECK(v[i] == (i - 30) * (i - 30), "%d: %d", i, v[i]);
	RT(cudaPointerGetAttributes(&a, v));
	CHECK(a.type == cudaMemoryTypeManaged, "type %d", a.type);
	RT(cudaFree(v));
	printf("managed memory is right\n");
	return 0;
}
