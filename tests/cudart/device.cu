// SPDX-License-Identifier: MIT
/* Devices: count, properties against attributes, versions, limits, flags. */
#include "test.h"

__global__ void nothing()
{
}

static int attribute(int which)
{
	int value;

	RT(cudaDeviceGetAttribute(&value, (enum cudaDeviceAttr)which, 0));
	return value;
}

static void properties()
{
	struct cudaDeviceProp p;
	char *text = (char *)&p;

	memset(&p, 0x5a, sizeof(p));
	RT(cudaGetDeviceProperties(&p, 0));
	CHECK(sizeof(p) == (PVGPU_CUDART == 12 ? 1032 : 1008), "%zu bytes", sizeof(p));
	CHECK(p.name[0] && memchr(p.name, 0, sizeof(p.name)), "no name");
	CHECK(p.totalGlobalMem > 1 << 20, "%zu bytes of memory", p.totalGlobalMem);
	CHECK(p.warpSize == attribute(10) && p.major == attribute(75) && p.minor == attribute(76),
	      "compute capability");
	CHECK(p.multiProcessorCount == attribute(16), "%d multiprocessors", p.multiProcessorCount);
	CHECK(p.maxThreadsPerBlock == attribute(1) && p.maxThreadsDim[2] == attribute(4) &&
		      p.maxGridSize[0] == attribute(5),
	      "sizes of launches");
	CHECK((int)p.sharedMemPerBlock == attribute(8) && (int)p.totalConstMem == attribute(9) &&
		      (int)p.sharedMemPerBlockOptin == attribute(97) &&
		      (int)p.sharedMemPerMultiprocessor == attribute(81) &&
		      (int)p.reservedSharedMemPerBlock == attribute(111),
	      "sizes of memory");
	CHECK(p.l2CacheSize == attribute(38) && p.pciBusID == attribute(33) &&
		      p.pciDomainID == attribute(50) && p.memoryPoolsSupported == attribute(115) &&
		      p.clusterLaunch == attribute(120) && p.unifiedFunctionPointers == attribute(129),
	      "the end of the structure");
#if PVGPU_CUDART == 12
	CHECK(p.clockRate == attribute(13) && p.memoryClockRate == attribute(36), "clocks");
#else
	CHECK(p.hostNumaId == attribute(134) && p.gpuPciDeviceID == (unsigned)attribute(139),
	      "what CUDA 13 added");
#endif
	for (size_t i = sizeof(p) - sizeof(int); i < sizeof(p); i++)
		CHECK(!text[i], "the structure is not filled to its end");
	WANT(cudaErrorInvalidDevice, cudaGetDeviceProperties(&p, 99));
	WANT(cudaErrorInvalidDevice, cudaGetDeviceProperties(&p, -1));
}

static void entry_points()
{
	enum cudaDriverEntryPointQueryResult status;
	int (*init)(unsigned int);
	void *fn;

	RT(cudaGetDriverEntryPoint("cuInit", &fn, 0, &status));
	CHECK(fn && status == cudaDriverEntryPointSuccess, "cuInit: status %d", status);
	*(void **)&init = fn;
	CHECK(!init(0), "cuInit through its entry point");
	RT(cudaGetDriverEntryPointByVersion("cuMemAlloc", &fn, 12000, 0, &status));
	CHECK(fn, "cuMemAlloc");
	RT(cudaGetDriverEntryPoint("cuNoSuchCall", &fn, 0, &status));
	CHECK(!fn && status == cudaDriverEntryPointSymbolNotFound, "no such call: %d", status);
}

int main()
{
	int count, device = 7, runtime, driver, again;
	char bus[32];
	size_t stack, free_bytes, total;
	unsigned int flags;

	RT(cudaGetDeviceCount(&count));
	CHECK(count >= 1, "%d devices", count);
	RT(cudaGetDevice(&device));
	CHECK(device == 0, "device %d", device);
	RT(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync | cudaDeviceMapHost));
	RT(cudaSetDevice(0));
	RT(cudaGetDeviceFlags(&flags));
	CHECK((flags & 7) == cudaDeviceScheduleBlockingSync, "flags %#x", flags);
	WANT(cudaErrorInvalidDevice, cudaSetDevice(count));
	properties();
	RT(cudaRuntimeGetVersion(&runtime));
	RT(cudaDriverGetVersion(&driver));
	CHECK(runtime / 1000 == PVGPU_CUDART && driver >= 12000, "runtime %d, driver %d", runtime,
	      driver);
	RT(cudaDeviceGetPCIBusId(bus, sizeof(bus), 0));
	RT(cudaDeviceGetByPCIBusId(&again, bus));
	CHECK(again == 0, "device %d is at %s", again, bus);
	RT(cudaDeviceSetLimit(cudaLimitStackSize, 4096));
	RT(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
	CHECK(stack >= 4096, "a stack of %zu bytes", stack);
	RT(cudaMemGetInfo(&free_bytes, &total));
	CHECK(free_bytes && free_bytes <= total, "%zu of %zu bytes are free", free_bytes, total);
	entry_points();
	RT(cudaProfilerStart());
	RT(cudaProfilerStop());
	cudaGetLastError();
	nothing<<<1, 1>>>();
	DONE();
	RT(cudaDeviceReset());
	nothing<<<1, 1>>>();
	DONE();
	printf("properties are right\n");
	return 0;
}
