/* SPDX-License-Identifier: MIT */
/*
 * Calls by the names that they had before CUDA 3.2, when addresses and sizes had 32 bits. They are
 * for contexts of that API alone, those of cuCtxCreate by its own first name: in every other one
 * they are refused, whatever they are given. cuDeviceTotalMem needs no context, and gives 32 bits.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

PTX(ptx_globals);

enum { BYTES = 4096 };

static void *symbol(const char *name)
{
	void *fn = dlsym(RTLD_DEFAULT, name);

	CHECK(fn, "there is no %s", name);
	printf("%s\n", name);
	return fn;
}

/* The old name, called as the newest revision is declared. No operand of # and ## is renamed. */
#define OLD(name, ...)                                                                             \
	WANT(CUDA_ERROR_INVALID_CONTEXT, ((__typeof__(&name##_v2))symbol(#name))(__VA_ARGS__))

static void copies(CUdeviceptr a, CUdeviceptr b, char *host)
{
	const CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
				   .srcDevice = b,
				   .srcPitch = 64,
				   .dstMemoryType = CU_MEMORYTYPE_HOST,
				   .dstHost = host,
				   .dstPitch = 64,
				   .WidthInBytes = 64,
				   .Height = BYTES / 64};

	OLD(cuMemcpyHtoD, a, host, BYTES);
	OLD(cuMemcpyDtoD, b, a, BYTES);
	OLD(cuMemcpyDtoH, host, b, BYTES);
	OLD(cuMemcpyHtoDAsync, a, host, BYTES, NULL);
	OLD(cuMemcpyDtoDAsync, b, a, BYTES, NULL);
	OLD(cuMemcpyDtoHAsync, host, b, BYTES, NULL);
	OLD(cuMemcpy2D, &box);
	OLD(cuMemcpy2DUnaligned, &box);
	OLD(cuMemcpy2DAsync, &box, NULL);
	OLD(cuMemsetD8, a, 1, BYTES);
	OLD(cuMemsetD16, a, 1, BYTES / 2);
	OLD(cuMemsetD32, a, 1, BYTES / 4);
	OLD(cuMemsetD2D8, a, 64, 1, 64, BYTES / 64);
	OLD(cuMemsetD2D16, a, 64, 1, 32, BYTES / 64);
	OLD(cuMemsetD2D32, a, 64, 1, 16, BYTES / 64);
}

int main(void)
{
	const CUDA_ARRAY_DESCRIPTOR row = {
		.Width = BYTES, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
	const CUDA_ARRAY3D_DESCRIPTOR row3 = {
		.Width = BYTES, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
	CUdeviceptr a, b, p = 7;
	size_t bytes[2] = {7, 7}, total, pitch = 7;
	uint64_t word = UINT64_MAX;
	char host[BYTES];
	CUarray array;
	void *pinned;

	start();
	CU(cuDeviceTotalMem(&total, 0));
	CU(((CUresult(*)(uint64_t *, CUdevice))symbol("cuDeviceTotalMem"))(&word, 0));
	CHECK(word >> 32 == UINT32_MAX, "more than 32 bits were written: %llx",
	      (unsigned long long)word);
	CHECK(total > UINT32_MAX || (uint32_t)word == total, "%zu bytes, not %zu", (size_t)word,
	      total);
	memset(host, 7, sizeof(host));
	a = upload(host, BYTES);
	b = upload(host, BYTES);
	OLD(cuMemGetInfo, &bytes[0], &bytes[1]);
	OLD(cuMemAlloc, &p, BYTES);
	OLD(cuMemAllocPitch, &p, &pitch, 100, 64, 4);
	OLD(cuMemAllocHost, &pinned, BYTES);
	copies(a, b, host);
	OLD(cuMemGetAddressRange, &p, &bytes[0], a + 8);
	OLD(cuArrayCreate, &array, &row);
	OLD(cuArray3DCreate, &array, &row3);
	OLD(cuMemFree, a);
	CHECK(p == 7 && bytes[0] == 7 && bytes[1] == 7 && pitch == 7, "a refused call has written");
	download(host, a, BYTES);
	for (int i = 0; i < BYTES; i++)
		CHECK(host[i] == 7, "byte %d is %d", i, host[i]);
	CU(cuMemFree(a));
	CU(cuMemFree(b));
	finish();
	return 0;
}
