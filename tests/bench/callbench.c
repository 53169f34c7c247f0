/* SPDX-License-Identifier: MIT */
/*
 * Measures calls that should cost little, each beside what it is compared with, in turns, and
 * prints "name value" lines for tests/bench/bench.py. Every figure is a median of rounds.
 */
#include <cuda.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 401
#define BATCH  64
#define SHARED CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

#define CU(call)                                                                                   \
	do {                                                                                       \
		CUresult cu_result_ = (call);                                                      \
		if (cu_result_ != CUDA_SUCCESS) {                                                  \
			fprintf(stderr, "callbench: %s: error %d\n", #call, (int)cu_result_);      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const char kernel_ptx[] =
	".version 6.0\n.target sm_70\n.address_size 64\n"
	".visible .entry four(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)\n"
	"{\n\tret;\n}\n";

static CUfunction four;
static CUstream stream;
static CUevent event[BATCH];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void launch(void)
{
	CUdeviceptr a = 0, b = 0, c = 0;
	unsigned int n = 1;
	void *params[] = {&a, &b, &c, &n};

	CU(cuLaunchKernel(four, 1, 1, 1, 32, 1, 1, 0, stream, params, NULL));
}

static void synchronise(int i)
{
	CU(cuCtxSynchronize());
}

static void memory(int i)
{
	size_t free_bytes, total;

	CU(cuMemGetInfo(&free_bytes, &total));
}

static void query(int i)
{
	CU(cuEventQuery(event[i]));
}

static void only_launch(int i)
{
	launch();
}

static void set_ask_launch(int i)
{
	int blocks;

	CU(cuFuncSetAttribute(four, SHARED, 4096));
	CU(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, four, 32, 0));
	launch();
}

/* Something runs and is waited for: what the calls find is at rest. */
static void rest(void)
{
	for (int i = 0; i < BATCH; i++) {
		launch();
		CU(cuEventRecord(event[i], stream));
	}
	CU(cuStreamSynchronize(stream));
}

static void work_done(void)
{
	rest();
	CU(cuCtxSynchronize());
}

static double batch(void (*before)(void), void (*call)(int i))
{
	uint64_t t;

	before();
	t = now_ns();
	for (int i = 0; i < BATCH; i++)
		call(i);
	t = now_ns() - t;
	CU(cuCtxSynchronize());
	return (double)t / BATCH;
}

static void measure(const char *name, void (*before)(void), void (*call)(int i),
		    void (*reference)(int i))
{
	static double got[ROUNDS], of[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		got[i] = batch(before, call);
		of[i] = reference ? batch(before, reference) : 0;
	}
	printf("%s %.1f\n%s_reference %.1f\n", name, median(got, ROUNDS), name, median(of, ROUNDS));
}

int main(void)
{
	CUcontext ctx;
	CUmodule module;

	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuModuleLoadData(&module, kernel_ptx));
	CU(cuModuleGetFunction(&four, module, "four"));
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < BATCH; i++)
		CU(cuEventCreate(&event[i], CU_EVENT_DISABLE_TIMING));
	measure("idle_sync_ns", work_done, synchronise, memory);
	measure("event_query_ns", rest, query, NULL);
	measure("set_ask_launch_ns", work_done, set_ask_launch, only_launch);
	return 0;
}
