/* SPDX-License-Identifier: MIT */
/*
 * A far end that does nothing, so that a benchmark measures the path to it: every call succeeds at
 * once, work is complete as soon as it is submitted, memory is address space without pages. Its one
 * kernel has the parameters of pvbench's: three pointers and an unsigned int.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT      __attribute__((visibility("default")))
#define NULL_MEMORY ((size_t)8 << 30)

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* Calls whose arguments do not matter. */
#define NOTHING(name)                                                                              \
	EXPORT int name(void)                                                                      \
	{                                                                                          \
		return 0;                                                                          \
	}
#define NOTHING_LIST(X)                                                                            \
	X(cuInit)                                                                                  \
	X(cuDevicePrimaryCtxRelease_v2)                                                            \
	X(cuDevicePrimaryCtxReset_v2)                                                              \
	X(cuDevicePrimaryCtxSetFlags_v2)                                                           \
	X(cuCtxDestroy_v2)                                                                         \
	X(cuCtxSetCurrent)                                                                         \
	X(cuCtxPopCurrent_v2)                                                                      \
	X(cuCtxSynchronize)                                                                        \
	X(cuCtxSetLimit)                                                                           \
	X(cuCtxSetCacheConfig)                                                                     \
	X(cuModuleUnload)                                                                          \
	X(cuLibraryUnload)                                                                         \
	X(cuKernelSetAttribute)                                                                    \
	X(cuKernelSetCacheConfig)                                                                  \
	X(cuFuncSetAttribute)                                                                      \
	X(cuFuncSetCacheConfig)                                                                    \
	X(cuLaunchKernel)                                                                          \
	X(cuLaunchKernelEx)                                                                        \
	X(cuLaunchCooperativeKernel)                                                               \
	X(cuMemAddressFree)                                                                        \
	X(cuMemRelease)                                                                            \
	X(cuMemMap)                                                                                \
	X(cuMemUnmap)                                                                              \
	X(cuMemSetAccess)                                                                          \
	X(cuMemHostRegister_v2)                                                                    \
	X(cuMemHostUnregister)                                                                     \
	X(cuMemcpyAsync)                                                                           \
	X(cuMemcpyHtoDAsync_v2)                                                                    \
	X(cuMemcpyDtoHAsync_v2)                                                                    \
	X(cuMemcpyDtoDAsync_v2)                                                                    \
	X(cuMemcpy3DAsync_v2)                                                                      \
	X(cuMemsetD8Async)                                                                         \
	X(cuMemsetD16Async)                                                                        \
	X(cuMemsetD32Async)                                                                        \
	X(cuMemsetD2D8Async)                                                                       \
	X(cuMemsetD2D16Async)                                                                      \
	X(cuMemsetD2D32Async)                                                                      \
	X(cuStreamDestroy_v2)                                                                      \
	X(cuStreamSynchronize)                                                                     \
	X(cuStreamQuery)                                                                           \
	X(cuStreamWaitEvent)                                                                       \
	X(cuEventDestroy_v2)                                                                       \
	X(cuEventRecord)                                                                           \
	X(cuEventQuery)                                                                            \
	X(cuEventSynchronize)                                                                      \
	X(cuThreadExchangeStreamCaptureMode)
NOTHING_LIST(NOTHING)

/* Calls that put an opaque pointer or a number into their first argument. */
#define GIVES(name, type, value)                                                                   \
	EXPORT int name(type *out)                                                                 \
	{                                                                                          \
		*out = (type)(value);                                                              \
		return 0;                                                                          \
	}
GIVES(cuDriverGetVersion, int, 13000)
GIVES(cuDeviceGet, int, 0)
GIVES(cuDeviceGetCount, int, 1)
GIVES(cuDeviceTotalMem_v2, size_t, NULL_MEMORY)
GIVES(cuDevicePrimaryCtxRetain, void *, 0x1000)
GIVES(cuCtxCreate_v2, void *, 0x2000)
GIVES(cuCtxGetCurrent, void *, 0x1000)
GIVES(cuCtxGetCacheConfig, int, 0)
GIVES(cuModuleLoadDataEx, void *, 0x3000)
GIVES(cuModuleGetFunction, void *, 0x4000)
GIVES(cuLibraryLoadData, void *, 0x5000)
GIVES(cuLibraryGetKernel, void *, 0x6000)
GIVES(cuLibraryGetModule, void *, 0x3000)
GIVES(cuKernelGetFunction, void *, 0x4000)
GIVES(cuMemGetAllocationGranularity, size_t, 2u << 20)
GIVES(cuMemCreate, uint64_t, 0x7000)
GIVES(cuStreamCreateWithPriority, void *, 0x8000)
GIVES(cuEventCreate, void *, 0x9000)
GIVES(cuEventElapsedTime, float, 0)
GIVES(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, int, 1)
GIVES(cuOccupancyAvailableDynamicSMemPerBlock, size_t, 49152)

EXPORT int cuDeviceGetName(char *name, int len)
{
	snprintf(name, (size_t)len, "pvgpu null GPU");
	return 0;
}

EXPORT int cuDeviceGetUuid_v2(void *uuid)
{
	memset(uuid, 0x11, 16);
	return 0;
}

EXPORT int cuDeviceGetPCIBusId(char *id, int len)
{
	snprintf(id, (size_t)len, "0000:00:00.0");
	return 0;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute)
{
	switch (attribute) {
	case 1: /* threads per block, its dimensions */
	case 2:
	case 3:
		*value = 1024;
		break;
	case 4:
		*value = 64;
		break;
	case 5: /* grid dimensions */
		*value = 2147483647;
		break;
	case 6:
	case 7:
		*value = 65535;
		break;
	case 8: /* shared memory per block */
		*value = 49152;
		break;
	case 10: /* warp size */
		*value = 32;
		break;
	case 32: /* memory with error correction: a worker refuses a GPU without it */
		*value = 1;
		break;
	case 75: /* compute capability */
		*value = 9;
		break;
	case 41:  /* unified addressing */
	case 102: /* virtual memory management */
		*value = 1;
		break;
	default:
		*value = 0;
	}
	return 0;
}

EXPORT int cuDevicePrimaryCtxGetState(int dev, unsigned int *flags, int *active)
{
	*flags = 0;
	*active = 1;
	return 0;
}

EXPORT int cuCtxGetApiVersion(void *ctx, unsigned int *version)
{
	*version = 13000;
	return 0;
}

EXPORT int cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	*least = 0;
	*greatest = -5;
	return 0;
}

EXPORT int cuCtxGetLimit(size_t *value, int limit)
{
	*value = 1024;
	return 0;
}

EXPORT int cuModuleGetGlobal_v2(uint64_t *address, size_t *size)
{
	return 500;
}

EXPORT int cuLibraryGetGlobal(uint64_t *address, size_t *size)
{
	return 500;
}

static int attribute_of(int *value, int attribute)
{
	*value = attribute == 0 ? 1024 : attribute == 4 ? 16 : attribute == 8 ? 49152 : 0;
	return 0;
}

EXPORT int cuFuncGetAttribute(int *value, int attribute, void *function)
{
	return attribute_of(value, attribute);
}

EXPORT int cuKernelGetAttribute(int *value, int attribute, void *kernel, int dev)
{
	return attribute_of(value, attribute);
}

EXPORT int cuFuncGetParamInfo(void *function, size_t index, size_t *offset, size_t *size)
{
	if (index > 3)
		return 1;
	*offset = index * 8;
	*size = index == 3 ? 4 : 8;
	return 0;
}

EXPORT int cuKernelGetParamInfo(void *kernel, size_t index, size_t *offset, size_t *size)
{
	return cuFuncGetParamInfo(kernel, index, offset, size);
}

EXPORT int cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
	*free_bytes = *total = NULL_MEMORY;
	return 0;
}

EXPORT int cuMemAddressReserve(uint64_t *address, size_t size, size_t align, uint64_t hint,
			       uint64_t flags)
{
	void *p = mmap((void *)hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	*address = (uint64_t)p;
	return p == MAP_FAILED ? 2 : 0;
}

/* Host functions run at once. */
EXPORT int cuLaunchHostFunc(void *stream, void (*fn)(void *), void *arg)
{
	fn(arg);
	return 0;
}

EXPORT int cuStreamAddCallback(void *stream, void (*fn)(void *, int, void *), void *arg,
			       unsigned int flags)
{
	fn(stream, 0, arg);
	return 0;
}
