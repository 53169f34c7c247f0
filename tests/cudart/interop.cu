// SPDX-License-Identifier: MIT
/* The runtime and the driver in one program: contexts, memory, streams and functions are the same. */
#include "test.h"

#include <dlfcn.h>

__global__ void twice(int *v)
{
	v[threadIdx.x] *= 2;
}

static void *driver;

template <class F> static F *entry(const char *name, F *)
{
	void *fn = dlsym(driver, name);

	CHECK(fn, "no %s", name);
	return (F *)fn;
}

#define CU(name, ...)                                                                              \
	do {                                                                                       \
		const int r_ = entry(#name, (int (*)(CU_##name))NULL)(__VA_ARGS__);                \
		CHECK(!r_, "%s: %d", #name, r_);                                                   \
	} while (0)
#define CU_cuInit             unsigned int
#define CU_cuCtxGetCurrent    void **
#define CU_cuCtxCreate_v2     void **, unsigned int, int
#define CU_cuCtxDestroy_v2    void *
#define CU_cuMemAlloc_v2      unsigned long long *, size_t
#define CU_cuMemcpyHtoD_v2    unsigned long long, const void *, size_t
#define CU_cuLaunchKernel                                                                          \
	void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, \
		void **

int main()
{
	int host[32], back[32];
	unsigned long long addr;
	void *ctx, *own;
	cudaFunction_t f;
	int *dev;

	driver = dlopen("libcuda.so.1", RTLD_NOW);
	CHECK(driver, "%s", dlerror());
	for (int i = 0; i < 32; i++)
		host[i] = i + 1;
	RT(cudaMalloc(&dev, sizeof(host)));
	CU(cuCtxGetCurrent, &ctx);
	CHECK(ctx, "the runtime left no context current");
	CU(cuMemAlloc_v2, &addr, sizeof(host));
	CU(cuMemcpyHtoD_v2, addr, host, sizeof(host));
	twice<<<1, 32>>>((int *)addr);
	DONE();
	RT(cudaGetFuncBySymbol(&f, (const void *)twice));
	void *args[] = {&addr};
	CU(cuLaunchKernel, f, 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL);
	RT(cudaMemcpy(back, (void *)addr, sizeof(back), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 32; i++)
		CHECK(back[i] == 4 * host[i], "%d: %d", i, back[i]);
	RT(cudaFree((void *)addr));
	RT(cudaFree(dev));
	/* A context that the program made current is the one that the runtime uses. */
	CU(cuCtxCreate_v2, &own, 0, 0);
	RT(cudaMalloc(&dev, sizeof(host)));
	CU(cuCtxGetCurrent, &ctx);
	CHECK(ctx == own, "the runtime changed the current context");
	RT(cudaMemcpy(dev, host, sizeof(host), cudaMemcpyHostToDevice));
	twice<<<1, 32>>>(dev);
	RT(cudaMemcpy(back, dev, sizeof(back), cudaMemcpyDeviceToHost));
	CHECK(back[31] == 64, "in the program's own context: %d", back[31]);
	RT(cudaFree(dev));
	CU(cuCtxDestroy_v2, own);
	RT(cudaSetDevice(0));
	RT(cudaMalloc(&dev, 16));
	RT(cudaFree(dev));
	printf("runtime and driver share what they have\n");
	return 0;
}
