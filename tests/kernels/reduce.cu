/* SPDX-License-Identifier: MIT */
/* Sums and counts within a warp by shuffles and votes, then across warps. */
#include "device.h"

INLINE int warp_sum(int v)
{
	for (u32 by = 16; by; by /= 2)
		v += shuffle_down(v, by);
	return v;
}

/* out[block] = sum of in over the block's share; blockDim.x is a multiple of 32. */
KERNEL sum(const int *in, int *out, u32 n)
{
	__shared__ int warp[32];
	int v = 0;

	for (u32 i = global_index(); i < n; i += global_count())
		v += in[i];
	v = warp_sum(v);
	if (!lane())
		warp[threadIdx.x / 32] = v;
	barrier();
	if (threadIdx.x < 32) {
		v = threadIdx.x < blockDim.x / 32 ? warp[threadIdx.x] : 0;
		v = warp_sum(v);
		if (!threadIdx.x)
			out[blockIdx.x] = v;
	}
}

/* The largest element, by butterflies; one warp a block. */
KERNEL maximum(const int *in, int *out)
{
	int v = in[blockIdx.x * 32 + lane()];

	for (u32 with = 1; with < 32; with *= 2) {
		int other = shuffle_xor(v, with);

		v = other > v ? other : v;
	}
	if (!lane())
		out[blockIdx.x] = v;
}

/* One ballot a warp: which elements are negative. */
KERNEL negatives(const int *in, u32 *mask, u32 n)
{
	u32 i = global_index();
	u32 votes = ballot(i < n && in[i] < 0);

	if (!lane())
		mask[i / 32] = votes;
}
