/* SPDX-License-Identifier: MIT */
/*
 * lab-bench: one piece of work for `make bench-lab`, with a stop before and after it, so that
 * counters can be read while the program is idle.
 *
 *   lab-bench launches N     N launches of one warp without waiting between them, then a wait
 *   lab-bench awaited N      N calls that wait for their answer
 *   lab-bench htod BYTES     a copy of pageable memory to the device; dtoh: back
 *   lab-bench sessions N     open /dev/pvgpu0 N times, with a session each, and do nothing
 *
 * Prints "ready", waits for a line, works, prints "done", waits for a line, checks the result if
 * there is one, prints "right" or the error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cuda.h>

#include "linux-pvgpu-front/uapi/pvgpu.h"
#include "ring/ring.h"

#define WARP 32u

extern const char ptx_vector[];

static void check(CUresult r, const char *call)
{
	const char *name = NULL;

	if (r == CUDA_SUCCESS)
		return;
	cuGetErrorName(r, &name);
	printf("%s: %s\n", call, name ? name : "unknown");
	exit(1);
}
#define CHECK(call) check(call, #call)

/* Print the word and wait for a line. */
static void stop(const char *word)
{
	char line[16];

	puts(word);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static void open_device(void)
{
	CUcontext c;
	CUdevice d;

	CHECK(cuInit(0));
	CHECK(cuDeviceGet(&d, 0));
	CHECK(cuDevicePrimaryCtxRetain(&c, d));
	CHECK(cuCtxSetCurrent(c));
}

static bool launches(uint32_t n)
{
	uint32_t words[WARP], count = WARP;
	CUfunction increment;
	CUmodule module;
	CUdeviceptr p;

	CHECK(cuModuleLoadData(&module, ptx_vector));
	CHECK(cuModuleGetFunction(&increment, module, "increment"));
	CHECK(cuMemAlloc(&p, sizeof(words)));
	CHECK(cuMemsetD32(p, 0, WARP));
	CHECK(cuCtxSynchronize());
	stop("ready");
	for (uint32_t i = 0; i < n; i++)
		CHECK(cuLaunchKernel(increment, 1, 1, 1, WARP, 1, 1, 0, NULL,
				     (void *[]){&p, &count}, NULL));
	CHECK(cuCtxSynchronize());
	stop("done");
	CHECK(cuMemcpyDtoH(words, p, sizeof(words)));
	for (uint32_t i = 0; i < WARP; i++)
		if (words[i] != n)
			return false;
	return true;
}

static bool awaited(uint32_t n)
{
	size_t available, total = 0;

	stop("ready");
	for (uint32_t i = 0; i < n; i++)
		CHECK(cuMemGetInfo(&available, &total));
	stop("done");
	return total > 0;
}

static bool copy(size_t bytes, bool back)
{
	unsigned char *host = malloc(bytes);
	bool right = true;
	CUdeviceptr p;

	if (!host)
		return false;
	memset(host, back ? 1 : 2, bytes);
	CHECK(cuMemAlloc(&p, bytes));
	CHECK(cuMemsetD8(p, back ? 3 : 4, bytes));
	CHECK(cuCtxSynchronize());
	stop("ready");
	CHECK(back ? cuMemcpyDtoH(host, p, bytes) : cuMemcpyHtoD(p, host, bytes));
	stop("done");
	if (!back) {
		memset(host, 0, bytes);
		CHECK(cuMemcpyDtoH(host, p, bytes));
	}
	for (size_t i = 0; i < bytes; i++)
		right &= host[i] == (back ? 3 : 2);
	free(host);
	return right;
}

static bool sessions(uint32_t n)
{
	stop("ready");
	for (uint32_t i = 0; i < n; i++) {
		struct pvgpu_ioc_open o = {.version = PVGPU_UAPI_VERSION};
		const int fd = open("/dev/pvgpu0", O_RDWR | O_CLOEXEC);
		size_t bytes;

		if (fd < 0 || ioctl(fd, PVGPU_IOC_OPEN, &o) < 0) {
			printf("session %u: %s %.95s\n", i, strerror(errno), o.reason);
			return false;
		}
		bytes = pvgpu_ring_bytes(o.cmd_size, o.rep_size);
		if (mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) {
			printf("session %u: mmap: %s\n", i, strerror(errno));
			return false;
		}
		if (!i)
			printf("ring %zu\n", bytes);
	}
	stop("done");
	return true;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	bool right;

	if (!n || n > UINT32_MAX) {
		fputs("Usage: lab-bench launches|awaited|htod|dtoh|sessions N\n", stderr);
		return 2;
	}
	if (strcmp(what, "sessions") != 0)
		open_device();
	if (!strcmp(what, "launches"))
		right = launches((uint32_t)n);
	else if (!strcmp(what, "awaited"))
		right = awaited((uint32_t)n);
	else if (!strcmp(what, "htod") || !strcmp(what, "dtoh"))
		right = copy(n, *what == 'd');
	else if (!strcmp(what, "sessions"))
		right = sessions((uint32_t)n);
	else
		return 2;
	puts(right ? "right" : "wrong");
	return right ? 0 : 1;
}
