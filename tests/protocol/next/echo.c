/* SPDX-License-Identifier: MIT */
/*
 * The next version's new call, whatever library is loaded, then a look whether the session has
 * suffered: prints "no call" (an older library), "not supported" (an older backend) or "echo", and
 * "alive".
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include <cuda.h>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		const CUresult r_ = (call);                                                        \
		if (r_) {                                                                          \
			fprintf(stderr, "%s: CUresult %d\n", #call, (int)r_);                      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

int main(void)
{
	union {
		void *p;
		CUresult (*call)(uint64_t value, uint64_t *out);
	} echo = {.p = dlsym(RTLD_DEFAULT, "pvgpuNextEcho")};
	uint64_t out = 0;
	CUdeviceptr p;
	CUcontext c;
	CUdevice d;
	CUresult r;

	CHECK(cuInit(0));
	CHECK(cuDeviceGet(&d, 0));
	CHECK(cuDevicePrimaryCtxRetain(&c, d));
	CHECK(cuCtxSetCurrent(c));
	if (!echo.p) {
		puts("no call");
	} else {
		r = echo.call(42, &out);
		if (r == CUDA_ERROR_NOT_SUPPORTED)
			puts("not supported");
		else if (r || out != ~UINT64_C(42))
			printf("CUresult %d, %" PRIu64 "\n", (int)r, out);
		else
			puts("echo");
	}
	CHECK(cuMemAlloc(&p, 4096));
	CHECK(cuMemsetD8(p, 1, 4096));
	CHECK(cuMemFree(p));
	CHECK(cuCtxSynchronize());
	puts("alive");
	return 0;
}
