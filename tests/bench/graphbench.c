/* SPDX-License-Identifier: MIT */
/*
 * Measures graphs of 100 kernels: what the caller pays for a launch, and how long a replay takes.
 * Prints "name value" lines; run directly on a far end and through pvgpu, it shows what pvgpu
 * costs. Arguments: iterations of each kernel's loop, replays.
 */
#include <cuda.h>

#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KERNELS = 100, ROUNDS = 51, BATCH = 64 };

#define CU(call)                                                                                   \
	do {                                                                                       \
		CUresult cu_result_ = (call);                                                      \
		if (cu_result_ != CUDA_SUCCESS) {                                                  \
			fprintf(stderr, "graphbench: %s: error %d\n", #call, (int)cu_result_);     \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const char kernel_ptx[] =
	".version 6.0\n.target sm_70\n.address_size 64\n"
	".visible .entry turns(.param .u32 n)\n"
	"{\n\t.reg .u32 %i, %n;\n\t.reg .pred %p;\n"
	"\tld.param.u32 %n, [n];\n\tmov.u32 %i, 0;\n"
	"again:\n\tadd.u32 %i, %i, 1;\n\tsetp.lt.u32 %p, %i, %n;\n\t@%p bra again;\n\tret;\n}\n";

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static CUgraphExec capture(CUfunction fn, CUstream s, unsigned int turns)
{
	void *params[] = {&turns};
	CUgraphExec exec;
	CUgraph g;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < KERNELS; i++)
		CU(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphDestroy(g));
	return exec;
}

static void CUDA_CB wait_here(void *sem)
{
	while (sem_wait(sem) != 0)
		;
}

/* Behind a host function: the simulated GPU would compute on the caller's processors meanwhile. */
static double launch_ns(CUgraphExec exec, CUstream s)
{
	static uint64_t took[ROUNDS];
	sem_t sem;

	sem_init(&sem, 0, 0);
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t begin;

		CU(cuLaunchHostFunc(s, wait_here, &sem));
		begin = now_ns();
		for (int i = 0; i < BATCH; i++)
			CU(cuGraphLaunch(exec, s));
		took[r] = now_ns() - begin;
		sem_post(&sem);
		CU(cuStreamSynchronize(s));
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	return (double)took[ROUNDS / 2] / BATCH;
}

static double replay_us(CUgraphExec exec, CUstream s, int replays)
{
	uint64_t begin;

	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	begin = now_ns();
	for (int i = 0; i < replays; i++)
		CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	return (double)(now_ns() - begin) / 1000 / replays;
}

int main(int argc, char **argv)
{
	const unsigned int turns = argc > 1 ? (unsigned int)atoi(argv[1]) : 1000;
	const int replays = argc > 2 ? atoi(argv[2]) : 100;
	CUgraphExec quick, longer;
	CUmodule module;
	CUfunction fn;
	CUcontext ctx;
	CUstream s;

	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuModuleLoadData(&module, kernel_ptx));
	CU(cuModuleGetFunction(&fn, module, "turns"));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	quick = capture(fn, s, 1);
	longer = capture(fn, s, turns);
	printf("graph_launch_ns %.1f\n", launch_ns(quick, s));
	printf("graph_replay_us %.1f\n", replay_us(longer, s, replays));
	return 0;
}
