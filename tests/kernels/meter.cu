/* SPDX-License-Identifier: MIT */
/* Kernels of gpu-meter: an empty one, and arithmetic of a fixed length. */
#include "device.h"

KERNEL empty()
{
}

/* Each step needs the one before. Unlike delay(), it does not count time that the GPU spends on other kernels. */
KERNEL work(u32 iterations, u32 *result)
{
	u32 value = iterations;

#pragma unroll 1
	for (u32 i = 0; i < iterations; i++)
		value = (value * 1664525u + 1013904223u) ^ i;
	*result = value;
}
