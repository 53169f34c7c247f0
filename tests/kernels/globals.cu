/* SPDX-License-Identifier: MIT */
/* Variables of a module: initialised, zeroed, constant. */
#include "device.h"

extern "C" {
__device__ u32 counter = 42;
__device__ u32 table[8] = { 3, 1, 4, 1, 5, 9, 2, 6 };
__device__ double zeroed[16];
__device__ u8 odd_bytes[5] = { 'h', 'e', 'l', 'l', 'o' };
__constant__ u32 weights[8] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000 };
__constant__ float scale = 0.5f;
}

KERNEL use_globals(u32 *out)
{
	u32 total = 0;

	for (u32 i = 0; i < 8; i++)
		total += table[i] * weights[i];
	out[0] = total;
	out[1] = counter++;
	out[2] = table[2] + (u32)sizeof(zeroed);
	out[3] = (u32)(scale * 100.0f);
	out[4] = odd_bytes[0] | odd_bytes[4] << 8;
	zeroed[3] += 1.5;
	out[5] = (u32)(zeroed[3] * 2.0);
}
