/* SPDX-License-Identifier: MIT */
/* Kernels that set conditions of graphs, by the function that the device has for it. */
#include "device.h"

extern "C" __device__ void cudaGraphSetConditional(u64 handle, u32 value);

/* Count one round of a loop, which goes on while there are less. */
KERNEL round_of(u32 *count, u32 rounds, u64 handle)
{
	const u32 n = *count + 1;

	*count = n;
	cudaGraphSetConditional(handle, n < rounds);
}

/* Set a condition to a word of memory. */
KERNEL set_to(const u32 *value, u64 handle)
{
	cudaGraphSetConditional(handle, *value);
}

/* Set a condition to the word's lowest bit. */
KERNEL set_odd(const u32 *value, u64 handle)
{
	cudaGraphSetConditional(handle, *value & 1);
}

KERNEL add_to(u32 *sum, u32 n)
{
	*sum += n;
}
