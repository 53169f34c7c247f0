/* SPDX-License-Identifier: MIT */
/*
 * A tenant by hand: obeys lines on standard input and answers each with a line, so that a test
 * decides what is on the GPU when something happens. An answer is "COMMAND RESULT ...", where the
 * result is "ok" or the name of a CUresult.
 *
 *   open                     initialise, make device 0's primary context current, load the kernel
 *   again                    one more context, which becomes current
 *   where                    the device's PCI bus id
 *   memory                   free and total bytes of cuMemGetInfo, and cuDeviceTotalMem's
 *   alloc BYTES              its address
 *   pin BYTES                pinned host memory: its address
 *   free ADDRESS
 *   fill ADDRESS BYTES N     every byte becomes N
 *   scan ADDRESS BYTES N     how many bytes are not 0, and how many are N
 *   scanpin ADDRESS BYTES N  the same of pinned memory, before anything was written there
 *   limit N VALUE            cuCtxSetLimit
 *   nap US N                 N kernels of US microseconds that compute nothing, then their end
 *   quit                     as a tidy program does; the end of input does the same
 */
#include <cuda.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char ptx_sync[];

static CUcontext context;
static CUfunction delay;
static CUdeviceptr word;

static void answer(const char *command, CUresult r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void answer(const char *command, CUresult r, const char *format, ...)
{
	const char *name = NULL;
	va_list args;

	if (r != CUDA_SUCCESS && (cuGetErrorName(r, &name) != CUDA_SUCCESS || !name))
		name = "an unknown result";
	printf("%s %s", command, r == CUDA_SUCCESS ? "ok" : name);
	if (r == CUDA_SUCCESS) {
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
	}
	putchar('\n');
	fflush(stdout);
}

static CUresult open_device(void)
{
	CUmodule module;
	CUdevice device;
	CUresult r = cuInit(0);

	if (r == CUDA_SUCCESS)
		r = cuDeviceGet(&device, 0);
	if (r == CUDA_SUCCESS)
		r = cuDevicePrimaryCtxRetain(&context, device);
	if (r == CUDA_SUCCESS)
		r = cuCtxSetCurrent(context);
	if (r == CUDA_SUCCESS)
		r = cuModuleLoadData(&module, ptx_sync);
	if (r == CUDA_SUCCESS)
		r = cuModuleGetFunction(&delay, module, "delay");
	return r == CUDA_SUCCESS ? cuMemAlloc(&word, sizeof(uint32_t)) : r;
}

static CUresult nap(uint64_t us, uint64_t n)
{
	uint64_t ns = us * 1000;
	uint32_t value = 0;
	void *args[] = {&ns, &word, &value};
	CUresult r = CUDA_SUCCESS;

	for (uint64_t i = 0; i < n && r == CUDA_SUCCESS; i++)
		r = cuLaunchKernel(delay, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL);
	return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
}

static void count(const unsigned char *p, size_t n, unsigned char what, size_t *set, size_t *equal)
{
	for (size_t i = 0; i < n; i++) {
		*set += p[i] != 0;
		*equal += p[i] == what;
	}
}

static void scan(uint64_t address, size_t n, unsigned char what)
{
	unsigned char *copy = malloc(n);
	size_t set = 0, equal = 0;
	CUresult r = copy ? cuMemcpyDtoH(copy, address, n) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r == CUDA_SUCCESS)
		count(copy, n, what, &set, &equal);
	free(copy);
	answer("scan", r, " %zu %zu", set, equal);
}

static void memory(void)
{
	size_t left = 0, total = 0, whole = 0;
	CUresult r = cuMemGetInfo(&left, &total);

	if (r == CUDA_SUCCESS)
		r = cuDeviceTotalMem(&whole, 0);
	answer("memory", r, " %zu %zu %zu", left, total, whole);
}

static void obey_memory(const char *word_, uint64_t a, uint64_t b, uint64_t c)
{
	size_t set = 0, equal = 0;
	CUdeviceptr p = 0;
	void *host = NULL;

	if (!strcmp(word_, "alloc")) {
		CUresult r = cuMemAlloc(&p, a);

		answer(word_, r, " %llu", (unsigned long long)p);
	} else if (!strcmp(word_, "pin")) {
		CUresult r = cuMemHostAlloc(&host, a, 0);

		answer(word_, r, " %llu", (unsigned long long)(uintptr_t)host);
	} else if (!strcmp(word_, "free")) {
		answer(word_, cuMemFree(a), "%s", "");
	} else if (!strcmp(word_, "fill")) {
		answer(word_, cuMemsetD8(a, (unsigned char)c, b), "%s", "");
	} else if (!strcmp(word_, "scan")) {
		scan(a, b, (unsigned char)c);
	} else if (!strcmp(word_, "scanpin")) {
		count((const unsigned char *)(uintptr_t)a, b, (unsigned char)c, &set, &equal);
		answer(word_, CUDA_SUCCESS, " %zu %zu", set, equal);
	} else {
		answer(word_, CUDA_ERROR_INVALID_VALUE, "%s", "");
	}
}

static void obey(const char *word_, uint64_t a, uint64_t b, uint64_t c)
{
	CUcontext more;
	char id[16] = "";

	if (!strcmp(word_, "open")) {
		answer(word_, open_device(), "%s", "");
	} else if (!strcmp(word_, "again")) {
		answer(word_, cuCtxCreate(&more, NULL, 0, 0), "%s", "");
	} else if (!strcmp(word_, "where")) {
		CUresult r = cuDeviceGetPCIBusId(id, sizeof(id), 0);

		answer(word_, r, " %s", id);
	} else if (!strcmp(word_, "memory")) {
		memory();
	} else if (!strcmp(word_, "limit")) {
		answer(word_, cuCtxSetLimit((CUlimit)a, b), "%s", "");
	} else if (!strcmp(word_, "nap")) {
		answer(word_, nap(a, b), "%s", "");
	} else {
		obey_memory(word_, a, b, c);
	}
}

int main(void)
{
	unsigned long long a, b, c;
	char line[256], word_[16];

	while (fgets(line, sizeof(line), stdin)) {
		a = b = c = 0;
		if (sscanf(line, "%15s %llu %llu %llu", word_, &a, &b, &c) < 1)
			continue;
		if (!strcmp(word_, "quit"))
			break;
		obey(word_, a, b, c);
	}
	if (context)
		cuDevicePrimaryCtxRelease(0);
	return 0;
}
