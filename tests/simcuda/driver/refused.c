/* SPDX-License-Identifier: MIT */
/*
 * Calls that the simulated GPU does not support: mipmapped arrays, texture references, sharing with
 * other processes and APIs. Every symbol exists, so that programs link, and returns
 * CUDA_ERROR_NOT_SUPPORTED. Arguments are not used, so cuda.h is not included.
 */
#define NOT_SUPPORTED 801

#define REFUSED(name)                                                                              \
	__attribute__((visibility("default"))) int name(void);                                     \
	int name(void)                                                                             \
	{                                                                                          \
		return NOT_SUPPORTED;                                                              \
	}
#include "tests/simcuda/driver/refused.h"
