/* SPDX-License-Identifier: MIT */
/* Inclusive prefix sums of 256-element blocks, then the blocks' totals added. */
#include "device.h"

enum { BLOCK = 256 };

KERNEL scan_blocks(const u32 *in, u32 *out, u32 *totals, u32 n)
{
	__shared__ u32 s[2][BLOCK];
	u32 t = threadIdx.x, i = blockIdx.x * BLOCK + t, from = 0;

	s[0][t] = i < n ? in[i] : 0;
	barrier();
	for (u32 by = 1; by < BLOCK; by *= 2) {
		s[1 - from][t] = t >= by ? s[from][t] + s[from][t - by] : s[from][t];
		from = 1 - from;
		barrier();
	}
	if (i < n)
		out[i] = s[from][t];
	if (t == BLOCK - 1)
		totals[blockIdx.x] = s[from][t];
}

KERNEL add_totals(u32 *out, const u32 *scanned, u32 n)
{
	u32 i = blockIdx.x * BLOCK + threadIdx.x;

	if (blockIdx.x && i < n)
		out[i] += scanned[blockIdx.x - 1];
}
