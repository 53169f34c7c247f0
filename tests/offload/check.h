/* SPDX-License-Identifier: MIT */
/*
 * Common code of the offloading programs: a program computes on the device, compares with the CPU,
 * prints the same on each run and ends with 0 when all was right.
 */
#ifndef PVGPU_OFFLOAD_CHECK_H
#define PVGPU_OFFLOAD_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Print a number that is as it should be. */
#define SAME(what, got, want)                                                                      \
	do {                                                                                       \
		const long long got_ = (long long)(got), want_ = (long long)(want);                \
                                                                                                   \
		CHECK(got_ == want_, "%s is %lld, not %lld", what, got_, want_);                   \
		printf("%s: %lld\n", what, got_);                                                  \
	} while (0)

#endif
