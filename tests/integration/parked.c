/* SPDX-License-Identifier: MIT */
/* Fills device memory, as many MiB as it is told or 64, in as many allocations as it is told or
 * one, waits for a line, and looks whether the bytes are the same. */
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

#define PIECES 64

int main(int argc, char **argv)
{
	const size_t all = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
	const size_t pieces = argc > 2 ? (size_t)atoi(argv[2]) : 1;
	const size_t bytes = pieces ? all / pieces : 0;
	const size_t n = bytes / sizeof(unsigned int);
	CUdeviceptr piece[PIECES];
	unsigned int *h = malloc(all);
	CUcontext ctx;

	if (!h || !pieces || pieces > PIECES)
		return 1;
	for (size_t i = 0; i < n * pieces; i++)
		h[i] = value(i);
	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuCtxSetCurrent(ctx));
	for (size_t k = 0; k < pieces; k++) {
		CUdeviceptr d;

		OK(cuMemAlloc(&d, bytes));
		OK(cuMemcpyHtoD(d, h + k * n, bytes));
		piece[k] = d;
	}
	memset(h, 0, all);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	for (size_t k = 0; k < pieces; k++)
		OK(cuMemcpyDtoH(h + k * n, piece[k], bytes));
	for (size_t i = 0; i < n * pieces; i++) {
		if (h[i] != value(i)) {
			printf("word %zu is %u\n", i, h[i]);
			return 1;
		}
	}
	puts("the same");
	for (size_t k = 0; k < pieces; k++)
		OK(cuMemFree(piece[k]));
	OK(cuDevicePrimaryCtxRelease(0));
	free(h);
	return 0;
}
