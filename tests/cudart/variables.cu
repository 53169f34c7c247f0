// SPDX-License-Identifier: MIT
/*
 * Managed variables. clang has no __managed__ for CUDA, so the build gives the variables here whose
 * names begin with managed_ the attribute in PTX, and this program registers them as nvcc's do:
 * with a pointer through which the host's code reaches them, once __cudaInitModule() was called.
 */
#include "test.h"

extern "C" {
__device__ int managed_count = 5;
__device__ float managed_values[64];
__device__ int plain = 7;
}

/* What the host's code has in their place. */
static int *count;
static float *values;
static void **module;

extern "C" void __cudaRegisterManagedVar(void **handle, void **host, char *address,
					 const char *device, int external, size_t bytes,
					 int constant, int global);
extern "C" char __cudaInitModule(void **handle);

/* The one that clang's constructor calls: `plain` is not used by the host. */
extern "C" void __cudaRegisterVar(void **handle, char *host, char *address, const char *device,
				  int external, size_t bytes, int constant, int global);
extern "C" void __cudaRegisterVar(void **handle, char *host, char *address, const char *device,
				  int external, size_t bytes, int constant, int global)
{
	void **place = !strcmp(device, "managed_count")    ? (void **)&count
		       : !strcmp(device, "managed_values") ? (void **)&values
							   : NULL;

	(void)host;
	module = handle;
	if (place)
		__cudaRegisterManagedVar(handle, place, address, device, external, bytes, constant,
					 global);
}

__global__ void work()
{
	managed_values[threadIdx.x] = managed_values[threadIdx.x] * 2 + (float)plain;
	if (!threadIdx.x)
		managed_count += 10;
}

static void check_use()
{
	struct cudaPointerAttributes a;
	void *symbol;

	CHECK(__cudaInitModule(module), "the program's code is not loaded");
	CHECK(count && values, "there are no managed variables");
	CHECK(*count == 5 && !values[0] && !values[63], "initial values %d, %g", *count, values[0]);
	for (int i = 0; i < 64; i++)
		values[i] = (float)i;
	work<<<1, 64>>>();
	DONE();
	CHECK(*count == 15, "the CPU sees %d", *count);
	for (int i = 0; i < 64; i++)
		CHECK(values[i] == (float)(2 * i + 7), "value %d is %g", i, values[i]);
	*count = 100;
	work<<<1, 64>>>();
	DONE();
	CHECK(*count == 110 && values[1] == 25, "the CPU sees %d, %g", *count, values[1]);
	RT(cudaGetSymbolAddress(&symbol, (const void *)&count));
	CHECK(symbol == count, "another address");
	RT(cudaPointerGetAttributes(&a, values));
	CHECK(a.type == cudaMemoryTypeManaged && a.devicePointer == values, "type %d", a.type);
	RT(cudaMemPrefetchAsync(values, 256, 0, NULL));
	RT(cudaMemset(values, 0, 256));
	CHECK(!values[1], "the CPU sees no fill");
	WANT(cudaErrorInvalidValue, cudaFree(values));
	cudaGetLastError();
}

int main()
{
	int some;

	RT(cudaDeviceGetAttribute(&some, cudaDevAttrManagedMemory, 0));
	if (some)
		check_use();
	printf("managed variables are right\n");
	return 0;
}
