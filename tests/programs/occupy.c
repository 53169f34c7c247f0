/* SPDX-License-Identifier: MIT */
/*
 * occupy [LAUNCHES|0] [MICROSECONDS] [DEEP] [MIB] [NAP]: keep the GPU busy with kernels of that
 * length that compute nothing, DEEP of them in flight, with MIB of device memory allocated; 0: until
 * killed. A kernel sleeps for at most NAP microseconds at a time: a real GPU knows no more than
 * 1000, and the simulated one uses less CPU time with more. Prints the number of finished launches
 * after every 100.
 */
#include "tests/programs/common.h"

PTX(ptx_occupy);

#define DEEP_MAX 64u

int main(int argc, char **argv)
{
	uint64_t launches = argument(argc, argv, 1, 200);
	uint32_t us = (uint32_t)argument(argc, argv, 2, 100);
	uint64_t deep = argument(argc, argv, 3, 8);
	uint64_t mib = argument(argc, argv, 4, 1);
	uint32_t nap = (uint32_t)argument(argc, argv, 5, 1000);
	uint32_t naps = (us + nap - 1) / nap, nanoseconds = us * 1000 / naps;
	CUevent done[DEEP_MAX];
	CUdeviceptr word, memory;
	CUfunction fn;
	CUmodule module;
	uint32_t value;

	CHECK(deep && deep <= DEEP_MAX, "DEEP must be from 1 to %u", DEEP_MAX);
	start();
	module = load(ptx_occupy);
	fn = function(module, "occupy");
	word = device_alloc(sizeof(value));
	memory = device_alloc(mib << 20);
	for (uint64_t i = 0; i < deep; i++)
		CU(cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
	for (uint64_t i = 0; i < launches; i++) {
		value = (uint32_t)i;
		if (i >= deep)
			CU(cuEventSynchronize(done[i % deep]));
		LAUNCH(fn, 1, 1, 0, NULL, &naps, &nanoseconds, &word, &value);
		CU(cuEventRecord(done[i % deep], NULL));
		if (i >= deep && (i - deep + 1) % 100 == 0)
			printf("occupy: %llu\n", (unsigned long long)(i - deep + 1));
	}
	CU(cuCtxSynchronize());
	CU(cuMemcpyDtoH(&value, word, sizeof(value)));
	CHECK(value == (uint32_t)launches - 1, "the last launch said %u", value);
	printf("occupy: all %llu\n", (unsigned long long)launches);
	for (uint64_t i = 0; i < deep; i++)
		CU(cuEventDestroy(done[i]));
	CU(cuMemFree(memory));
	CU(cuMemFree(word));
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
