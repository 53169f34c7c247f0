// SPDX-License-Identifier: MIT
/* Stream-ordered allocation and pools; a driver without them says so, and says it the same way everywhere. */
#include "test.h"

__global__ void set(int *p, int v)
{
	p[threadIdx.x] = v + threadIdx.x;
}

static void allocate(cudaStream_t s)
{
	int host[64], *p;

	for (int round = 0; round < 20; round++) {
		RT(cudaMallocAsync(&p, sizeof(host), s));
		set<<<1, 64, 0, s>>>(p, round);
		RT(cudaMemcpyAsync(host, p, sizeof(host), cudaMemcpyDeviceToHost, s));
		RT(cudaFreeAsync(p, s));
		RT(cudaStreamSynchronize(s));
		CHECK(host[63] == round + 63, "round %d: %d", round, host[63]);
	}
}

int main()
{
	unsigned long long keep = 1 << 20, got = 0, used = 1;
	cudaMemPool_t pool, own;
	cudaStream_t s;
	int some, *p;

	RT(cudaDeviceGetAttribute(&some, cudaDevAttrMemoryPoolsSupported, 0));
	RT(cudaStreamCreate(&s));
	if (!some) {
		WANT(cudaErrorNotSupported, cudaMallocAsync(&p, 64, s));
		WANT(cudaErrorNotSupported, cudaGetLastError());
		printf("pools are right\n");
		return 0;
	}
	allocate(s);
	RT(cudaDeviceGetDefaultMemPool(&pool, 0));
	RT(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
	RT(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &got));
	CHECK(got == keep, "threshold %llu", got);
	RT(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
	CHECK(!used, "%llu bytes are in use", used);
	RT(cudaMemPoolTrimTo(pool, 0));
	struct cudaMemPoolProps props = {};
	props.allocType = 1;
	props.location.type = cudaMemLocationTypeDevice;
	RT(cudaMemPoolCreate(&own, &props));
	RT(cudaMemPoolDestroy(own));
#if CUDART_VERSION >= 13000
	struct cudaMemLocation here = {cudaMemLocationTypeDevice, 0};
	cudaMemPool_t given = NULL;
	RT(cudaMemGetDefaultMemPool(&given, &here, 1));
	CHECK(given == pool, "the default pool");
	RT(cudaMemSetMemPool(&here, 1, pool));
	RT(cudaMemGetMemPool(&given, &here, 1));
	CHECK(given == pool, "the pool that was set");
#endif
	allocate(0);
	RT(cudaFreeAsync(NULL, s));
	RT(cudaStreamDestroy(s));
	printf("pools are right\n");
	return 0;
}
