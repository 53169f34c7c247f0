/* SPDX-License-Identifier: MIT */
/*
 * beside [LAUNCHES] [MICROSECONDS] [ROUNDS] [COPIES]: how long a program waits for a stream while
 * another one of its own has LAUNCHES kernels of that length to run: for one kernel of ten
 * microseconds, or for COPIES copies of 4 KiB from page-locked memory.
 *
 * beside LAUNCHES MICROSECONDS streams N: how many such kernels a second run in N streams.
 *
 * Times are printed if there are arguments. All streams' results are checked.
 */
#include <string.h>
#include <time.h>

#include "tests/programs/common.h"

PTX(ptx_occupy);

#define STREAMS_MAX 128u
#define SMALL       4096u
#define NAP_US      100000u /* the simulated GPU sleeps so long at a time: it needs no processor */

static bool prints;
static CUfunction fn;
static CUdeviceptr words;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A kernel of that length, which leaves the value in the word of this number. Of another shape for
 * each length: estimates go by that. */
static void launch(CUstream s, uint32_t us, uint32_t number, uint32_t value)
{
	uint32_t naps = (us + NAP_US - 1) / NAP_US, ns = us * 1000 / naps;
	CUdeviceptr word = words + number * sizeof(value);
	void *params[] = {&naps, &ns, &word, &value};

	CU(cuLaunchKernel(fn, 1, 1, 1, us < 100 ? 2 : 1, 1, 1, 0, s, params, NULL));
}

static uint32_t word_of(uint32_t number)
{
	uint32_t value;

	CU(cuMemcpyDtoH(&value, words + number * sizeof(value), sizeof(value)));
	return value;
}

/* One round; how long the second stream took. */
static double wait_beside(CUstream a, CUstream b, uint32_t launches, uint32_t us, uint32_t copies,
			  CUdeviceptr to, const void *from)
{
	double begin, took;

	for (uint32_t i = 1; i <= launches; i++)
		launch(a, us, 0, i);
	begin = now_ms();
	for (uint32_t i = 0; i < copies; i++)
		CU(cuMemcpyHtoDAsync(to, from, SMALL, b));
	if (!copies)
		launch(b, 10, 1, launches);
	CU(cuStreamSynchronize(b));
	took = now_ms() - begin;
	CU(cuStreamSynchronize(a));
	CHECK(word_of(0) == launches, "the first stream's last kernel said %u", word_of(0));
	CHECK(copies || word_of(1) == launches, "the second stream's kernel said %u", word_of(1));
	return took;
}

static void beside(uint32_t launches, uint32_t us, uint32_t copies, uint32_t rounds)
{
	double least = 1e9, most = 0;
	CUdeviceptr to = device_alloc(SMALL);
	CUstream a, b;
	void *from;

	CU(cuMemHostAlloc(&from, SMALL, 0));
	memset(from, 1, SMALL);
	CU(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&b, CU_STREAM_DEFAULT));
	/* Their lengths are known after that. */
	for (int i = 0; i < 3; i++)
		wait_beside(a, b, 1, us, i % 2 ? 1 : 0, to, from);
	for (uint32_t i = 0; i < rounds; i++) {
		const double ms = wait_beside(a, b, launches, us, copies, to, from);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	if (prints)
		printf("beside: %u of %u us, %u copies: %.3f to %.3f ms\n", launches, us, copies,
		       least, most);
	CU(cuStreamDestroy(a));
	CU(cuStreamDestroy(b));
	CU(cuMemFreeHost(from));
	CU(cuMemFree(to));
}

static void many(uint32_t launches, uint32_t us, uint32_t streams)
{
	CUstream s[STREAMS_MAX];
	double ms;

	CHECK(streams && streams <= STREAMS_MAX, "N must be from 1 to %u", STREAMS_MAX);
	for (uint32_t i = 0; i < streams; i++)
		CU(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
	ms = now_ms();
	for (uint32_t n = 1; n <= launches; n++) {
		for (uint32_t i = 0; i < streams; i++)
			launch(s[i], us, i, n);
	}
	CU(cuCtxSynchronize());
	ms = now_ms() - ms;
	for (uint32_t i = 0; i < streams; i++)
		CHECK(word_of(i) == launches, "stream %u said %u", i, word_of(i));
	printf("beside: %u streams of %u us: %.0f a second\n", streams, us,
	       (double)launches * streams / ms * 1e3);
	for (uint32_t i = 0; i < streams; i++)
		CU(cuStreamDestroy(s[i]));
}

int main(int argc, char **argv)
{
	const uint32_t launches = (uint32_t)argument(argc, argv, 1, 3);
	const uint32_t us = (uint32_t)argument(argc, argv, 2, 5000);
	CUmodule module;

	prints = argc > 1;
	start();
	module = load(ptx_occupy);
	fn = function(module, "occupy");
	words = device_alloc(STREAMS_MAX * sizeof(uint32_t));
	if (argc > 3 && !strcmp(argv[3], "streams"))
		many(launches, us, (uint32_t)argument(argc, argv, 4, 100));
	else
		beside(launches, us, argc > 4 ? (uint32_t)argument(argc, argv, 4, 1) : 0,
		       (uint32_t)argument(argc, argv, 3, 1));
	printf("beside: all were right\n");
	CU(cuMemFree(words));
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
