/* SPDX-License-Identifier: MIT */
/*
 * What the simulated GPU does not do: graphs, memory pools, arrays and textures, sharing with other
 * processes and APIs, managed memory, and calls with 32-bit addresses. Every symbol is there, so
 * that programs link, and says CUDA_ERROR_NOT_SUPPORTED. Arguments do not matter, so cuda.h is not
 * included; nothing is read or written.
 */
#define NOT_SUPPORTED 801

#define REFUSED(name)                                                                              \
	__attribute__((visibility("default"))) int name(void);                                     \
	int name(void)                                                                             \
	{                                                                                          \
		return NOT_SUPPORTED;                                                              \
	}
#include "tests/simcuda/driver/refused.h"
