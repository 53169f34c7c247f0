/* SPDX-License-Identifier: MIT */
/*
 * Calls that the simulated GPU does not support: mipmapped arrays, texture references, sharing
 * with other APIs. Every symbol exists, so that programs link, and returns
 * CUDA_ERROR_NOT_SUPPORTED. Calls by their names from before CUDA 3.2 take addresses of 32 bits and
 * work in contexts of that API alone, which nothing here makes: CUDA_ERROR_INVALID_CONTEXT.
 * Arguments are not used, so cuda.h is not included.
 */
#define INVALID_CONTEXT 201
#define NOT_SUPPORTED   801

#define ANSWERS(name, result)                                                                      \
	__attribute__((visibility("default"))) int name(void);                                     \
	int name(void)                                                                             \
	{                                                                                          \
		return result;                                                                     \
	}
#define REFUSED(name) ANSWERS(name, NOT_SUPPORTED)
#define OLD(name)     ANSWERS(name, INVALID_CONTEXT)
#include "tests/simcuda/driver/refused.h"
