/* SPDX-License-Identifier: MIT */
/* Fills device memory, as many MiB as it is told or 64, waits for a line, and looks whether the
 * bytes are the same. */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                                                                   \
	do {                                                                                       \
		const CUresult r_ = call;                                                          \
		if (r_) {                                                                          \
			fprintf(stderr, "%s: %d\n", #call, (int)r_);                               \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static unsigned int value(size_t i)
{
	return (unsigned int)(i * 2654435761u);
}

int main(int argc, char **argv)
{
	const size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
	const size_t n = bytes / sizeof(unsigned int);
	unsigned int *h = malloc(bytes);
	CUcontext ctx;
	CUdeviceptr d;

	if (!h)
		return 1;
	for (size_t i = 0; i < n; i++)
		h[i] = value(i);
	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuCtxSetCurrent(ctx));
	OK(cuMemAlloc(&d, bytes));
	OK(cuMemcpyHtoD(d, h, bytes));
	memset(h, 0, bytes);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	OK(cuMemcpyDtoH(h, d, bytes));
	for (size_t i = 0; i < n; i++) {
		if (h[i] != value(i)) {
			printf("word %zu is %u\n", i, h[i]);
			return 1;
		}
	}
	puts("the same");
	OK(cuMemFree(d));
	OK(cuDevicePrimaryCtxRelease(0));
	free(h);
	return 0;
}
