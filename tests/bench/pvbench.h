/* SPDX-License-Identifier: MIT */
/* Shared by pvbench's files. */
#ifndef PVBENCH_H
#define PVBENCH_H

#include <cuda.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CU(call)                                                                                   \
	do {                                                                                       \
		CUresult cu_result_ = (call);                                                      \
		if (cu_result_ != CUDA_SUCCESS) {                                                  \
			fprintf(stderr, "pvbench: %s: error %d\n", #call, (int)cu_result_);        \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* naps.c: kernels that take time and compute nothing. Each begins with the first byte on standard
 * input. */

/* Kernels a second, always some in the queue; 0 seconds: until it is killed. */
void bench_naps(uint32_t us, double seconds);
/* Kernels a second of a program that launches `burst` of them, waits for their end, computes for
 * think_us, and so on. */
void bench_loop(uint32_t us, uint32_t burst, uint32_t think_us, double seconds);
/* One such kernel and its end, every so often: times of the requests. */
void bench_latency(uint32_t us, uint64_t every_us, uint32_t count);

/* hops.c: microseconds of one wake-up, in a chain of so many sleeping processes. */
void bench_hops(uint32_t hops);

#endif
