// SPDX-License-Identifier: MIT
/* Attributes of kernels, much shared memory, occupancy, kernels by handle and by driver. */
#include "test.h"

extern __shared__ int dynamic[];

__global__ void fill(int *out, int n)
{
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		dynamic[i] = i * 3;
	__syncthreads();
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		out[i] = dynamic[n - 1 - i];
}

__global__ void fixed(int *out)
{
	__shared__ int some[100];

	some[threadIdx.x] = threadIdx.x;
	__syncthreads();
	out[threadIdx.x] = some[99 - threadIdx.x];
}

extern "C" {
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *fn);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args,
			       size_t shared, cudaStream_t stream);
}

/* As the stubs of newer compilers do it, which do not look at the first call's result. */
static void by_handle()
{
	both<int> out(100);
	void *args[] = {&out.dev};
	cudaKernel_t kernel;
	int want[100];

	for (int i = 0; i < 100; i++)
		want[i] = 99 - i;
	RT(__cudaGetKernel(&kernel, (const void *)fixed));
	RT(__cudaLaunchKernel(kernel, 1, 100, args, 0, 0));
	out.same(want, "launched by handle");
	WANT(cudaErrorInvalidDeviceFunction, __cudaGetKernel(&kernel, want));
	WANT(cudaErrorInvalidDeviceFunction, __cudaLaunchKernel(kernel, 1, 100, args, 0, 0));
	cudaGetLastError();
}

static void launch_config()
{
	both<int> out(100);
	cudaLaunchConfig_t c = {};
	cudaLaunchAttribute a[1] = {};
	void *args[] = {&out.dev};
	int want[100];

	for (int i = 0; i < 100; i++)
		want[i] = 99 - i;
	c.gridDim = 1;
	c.blockDim = 100;
	a[0].id = cudaLaunchAttributePriority;
	c.attrs = a;
	c.numAttrs = 1;
	RT(cudaLaunchKernelExC(&c, (const void *)fixed, args));
	out.same(want, "launched by configuration");
	c.blockDim = 0;
	WANT(cudaErrorInvalidConfiguration, cudaLaunchKernelExC(&c, (const void *)fixed, args));
	WANT(cudaErrorInvalidValue, cudaLaunchKernelExC(NULL, (const void *)fixed, args));
	cudaGetLastError();
}

int main()
{
	const int n = 20000; /* 80 KB: more than a kernel may have unasked */
	struct cudaFuncAttributes a;
	both<int> out(n);
	int *want = (int *)malloc(n * sizeof(int)), blocks, most;
	cudaKernel_t kernel;
	cudaFunction_t function;

	for (int i = 0; i < n; i++)
		want[i] = (n - 1 - i) * 3;
	RT(cudaFuncGetAttributes(&a, fixed));
	CHECK(a.sharedSizeBytes == 400, "%zu bytes of shared memory", a.sharedSizeBytes);
	CHECK(a.maxThreadsPerBlock >= 100 && a.binaryVersion > 0 && a.ptxVersion > 0, "attributes");
	RT(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
	CHECK(most >= n * 4, "only %d bytes of shared memory", most);
	fill<<<1, 128, n * 4>>>(out.dev, n);
	WANT(cudaErrorInvalidValue, cudaGetLastError());
	RT(cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize, n * 4));
	RT(cudaFuncGetAttributes(&a, fill));
	CHECK(a.maxDynamicSharedSizeBytes == n * 4, "%d bytes", a.maxDynamicSharedSizeBytes);
	fill<<<1, 128, n * 4>>>(out.dev, n);
	DONE();
	out.same(want, "reversed numbers");
	RT(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 128, n * 4));
	CHECK(blocks >= 1, "%d blocks", blocks);
	RT(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&most, fill, 128, 0));
	CHECK(most >= blocks, "%d blocks without shared memory, %d with", most, blocks);
	RT(cudaFuncSetCacheConfig((const void *)fill, cudaFuncCachePreferShared));
	RT(cudaGetKernel(&kernel, (const void *)fill));
	RT(cudaMemset(out.dev, 0, n * 4));
	void *args[] = {&out.dev, (void *)&n};
	RT(cudaLaunchKernel(kernel, 1, 128, args, n * 4, 0));
	RT(cudaGetFuncBySymbol(&function, (const void *)fill));
	CHECK(function, "no function of the driver");
	launch_config();
	by_handle();
	WANT(cudaErrorInvalidDeviceFunction, cudaFuncGetAttributes(&a, &main));
	cudaGetLastError();
	free(want);
	printf("attributes and launches are right\n");
	return 0;
}
