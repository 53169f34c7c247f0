/* SPDX-License-Identifier: MIT */
/*
 * Calls by the names that they had before CUDA 3.2, as programs use that look symbols up by name:
 * each does what the newest revision does, with addresses and sizes of 64 bits.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

PTX(ptx_globals);

enum { WORDS = 1024, BYTES = 4 * WORDS };

static void *symbol(const char *name)
{
	void *fn = dlsym(RTLD_DEFAULT, name);

	CHECK(fn, "there is no %s", name);
	printf("%s\n", name);
	return fn;
}

/* The old name, called as the newest revision is declared. No operand of # and ## is renamed. */
#define OLD(name, ...) CU(((__typeof__(&name##_v2))symbol(#name))(__VA_ARGS__))

static void check_words(const uint32_t *words, uint32_t want, const char *what)
{
	for (int i = 0; i < WORDS; i++)
		CHECK(words[i] == want, "%s: word %d is %x, not %x", what, i, words[i], want);
}

static void copies(CUdeviceptr a, CUdeviceptr b, uint32_t *host)
{
	uint32_t back[WORDS];
	CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			     .srcDevice = b,
			     .srcPitch = 64,
			     .dstMemoryType = CU_MEMORYTYPE_HOST,
			     .dstHost = back,
			     .dstPitch = 64,
			     .WidthInBytes = 64,
			     .Height = BYTES / 64};

	for (int i = 0; i < WORDS; i++)
		host[i] = 0x12345678;
	OLD(cuMemcpyHtoD, a, host, BYTES);
	OLD(cuMemcpyDtoD, b, a, BYTES);
	OLD(cuMemcpyDtoH, back, b, BYTES);
	check_words(back, 0x12345678, "copied");
	OLD(cuMemsetD32, a, 77, WORDS);
	OLD(cuMemcpyDtoDAsync, b, a, BYTES, NULL);
	OLD(cuMemcpyDtoHAsync, host, b, BYTES, NULL);
	CU(cuCtxSynchronize());
	check_words(host, 77, "filled");
	OLD(cuMemsetD8, a, 1, BYTES);
	OLD(cuMemcpyDtoH, back, a, BYTES);
	check_words(back, 0x01010101, "filled with bytes");
	OLD(cuMemsetD16, a, 2, 2 * WORDS);
	OLD(cuMemcpyDtoH, back, a, BYTES);
	check_words(back, 0x00020002, "filled with half words");
	OLD(cuMemsetD2D8, b, 64, 3, 64, BYTES / 64);
	OLD(cuMemcpy2D, &box);
	check_words(back, 0x03030303, "a box");
	OLD(cuMemcpyHtoDAsync, a, host, BYTES, NULL);
	OLD(cuMemcpyDtoH, back, a, BYTES);
	check_words(back, 77, "copied again");
}

int main(void)
{
	CUdeviceptr a = 0, b = 0, p = 0;
	size_t bytes[2] = {0, 0}, total, pitch = 0;
	uint32_t *host = NULL;
	CUmodule module;

	start();
	OLD(cuDeviceTotalMem, &total, 0);
	OLD(cuMemGetInfo, &bytes[0], &bytes[1]);
	CHECK(bytes[1] == total && bytes[0] <= total, "%zu of %zu, %zu bytes", bytes[0], bytes[1],
	      total);
	OLD(cuMemAlloc, &a, BYTES);
	OLD(cuMemAllocPitch, &b, &pitch, 100, 64, 4);
	CHECK(a >> 32 && b >> 32 && pitch == 512, "addresses %llx, %llx, pitch %zu", a, b, pitch);
	OLD(cuMemAllocHost, (void **)&host, BYTES);
	copies(a, b, host);
	OLD(cuMemGetAddressRange, &p, &bytes[0], a + 8);
	CHECK(p == a && bytes[0] == BYTES, "the range is %llx, %zu bytes", p, bytes[0]);
	module = load(ptx_globals);
	OLD(cuModuleGetGlobal, &p, &bytes[0], module, "counter");
	CHECK(p >> 16 && bytes[0] == 4, "the variable is at %llx, %zu bytes", p, bytes[0]);
	OLD(cuMemFree, a);
	OLD(cuMemFree, b);
	CU(cuMemFreeHost(host));
	finish();
	return 0;
}
