/* SPDX-License-Identifier: MIT */
/*
 * turns MIB MS: fills so much device memory and adds 1 to each word of it again and again, for so
 * many milliseconds, or with 0 until there is input. Looks at the words at the end, and prints how
 * often it added. It says "ready" when memory is filled, and begins at a line of input.
 */
#include <cuda.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIECE (4u << 20)

#define OK(call)                                                                                   \
	do {                                                                                       \
		const CUresult r_ = call;                                                          \
		if (r_) {                                                                          \
			fprintf(stderr, "%s: %d\n", #call, (int)r_);                               \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
			  ".visible .entry more(.param .u64 at, .param .u32 step)\n{\n"
			  ".reg .u32 %r<6>;\n.reg .u64 %d<4>;\n"
			  "ld.param.u64 %d0, [at];\nld.param.u32 %r4, [step];\n"
			  "mov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %ntid.x;\nmov.u32 %r2, %tid.x;\n"
			  "mad.lo.u32 %r3, %r0, %r1, %r2;\nmul.lo.u32 %r3, %r3, %r4;\n"
			  "mul.wide.u32 %d1, %r3, 4;\nadd.u64 %d2, %d0, %d1;\n"
			  "ld.global.u32 %r5, [%d2];\nadd.u32 %r5, %r5, 1;\n"
			  "st.global.u32 [%d2], %r5;\nret;\n}\n";

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_over(uint64_t end)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};

	return end ? now_ms() >= end : poll(&p, 1, 0) > 0;
}

/* The words that a round changes: one of each page's 1024. */
#define STEP    1024u
#define THREADS 128u

static void check(CUdeviceptr d, size_t bytes, uint32_t rounds)
{
	uint32_t *h = malloc(PIECE);

	for (size_t at = 0; h && at < bytes; at += PIECE) {
		OK(cuMemcpyDtoH(h, d + at, PIECE));
		for (size_t i = 0; i < PIECE / 4; i++) {
			const size_t word = at / 4 + i;
			const uint32_t want = (uint32_t)word + (word % STEP ? 0 : rounds);

			if (h[i] == want)
				continue;
			printf("word %zu is %u, not %u\n", word, h[i], want);
			exit(1);
		}
	}
	free(h);
}

static void fill(CUdeviceptr d, size_t bytes)
{
	uint32_t *h = malloc(PIECE);

	for (size_t at = 0; h && at < bytes; at += PIECE) {
		for (size_t i = 0; i < PIECE / 4; i++)
			h[i] = (uint32_t)(at / 4 + i);
		OK(cuMemcpyHtoD(d + at, h, PIECE));
	}
	free(h);
}

int main(int argc, char **argv)
{
	const size_t bytes = argc > 2 ? strtoull(argv[1], NULL, 10) << 20 : 0;
	const uint64_t ms = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint32_t step = STEP, rounds = 0;
	CUfunction f;
	CUcontext ctx;
	CUmodule m;
	CUdeviceptr d;
	uint64_t end;

	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuCtxSetCurrent(ctx));
	OK(cuModuleLoadData(&m, ptx));
	OK(cuModuleGetFunction(&f, m, "more"));
	OK(cuMemAlloc(&d, bytes));
	fill(d, bytes);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	end = ms ? now_ms() + ms : 0;
	do {
		void *params[] = {&d, &step};

		OK(cuLaunchKernel(f, (unsigned int)(bytes / 4 / STEP / THREADS), 1, 1, THREADS, 1,
				  1, 0, NULL, params, NULL));
		OK(cuCtxSynchronize());
		rounds++;
	} while (!is_over(end));
	check(d, bytes, rounds);
	printf("%u\n", rounds);
	OK(cuMemFree(d));
	OK(cuDevicePrimaryCtxRelease(0));
	return 0;
}
