/* SPDX-License-Identifier: MIT */
/* Element-wise work: sums, fills, checks, and one kernel with every kind of parameter. */
#include "device.h"

KERNEL vec_add(const float *a, const float *b, float *c, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count())
		c[i] = a[i] + b[i];
}

KERNEL fill(u32 *p, u32 n, u32 seed)
{
	for (u32 i = global_index(); i < n; i += global_count())
		p[i] = seed + i * 2654435761u;
}

/* Count the words that differ from those that fill() wrote. */
KERNEL verify(const u32 *p, u32 n, u32 seed, u32 *wrong)
{
	for (u32 i = global_index(); i < n; i += global_count())
		if (p[i] != seed + i * 2654435761u)
			atomic_add(wrong, 1u);
}

KERNEL increment(u32 *p, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count())
		p[i] += 1;
}

/* x -> x * mul + add, so that the order of launches can be told from the result. */
KERNEL affine(u32 *p, u32 n, u32 mul, u32 add)
{
	for (u32 i = global_index(); i < n; i += global_count())
		p[i] = p[i] * mul + add;
}

struct mixed {
	char c;
	double d;
	short s[3];
	u64 u;
};

/* Every width and alignment of parameter; each lands in a slot of its own. */
KERNEL parameters(double *out, char c, short s, int i, long long l, float f, double d, mixed m, u8 b)
{
	if (global_index())
		return;
	out[0] = c;
	out[1] = s;
	out[2] = i;
	out[3] = (double)l;
	out[4] = f;
	out[5] = d;
	out[6] = m.c;
	out[7] = m.d;
	out[8] = m.s[0];
	out[9] = m.s[1];
	out[10] = m.s[2];
	out[11] = (double)m.u;
	out[12] = b;
}

struct big {
	u32 word[1000];
};

/* Nearly as many bytes as a kernel may take (4 KiB). */
KERNEL large_parameter(u32 *sum, big b, u32 factor)
{
	u32 total = 0;

	for (u32 i = threadIdx.x; i < 1000; i += blockDim.x)
		total += b.word[i] * factor;
	atomic_add(sum, total);
}

/* The coordinates of every thread of a three-dimensional launch. */
KERNEL coordinates(u32 *out)
{
	u32 block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
	u32 thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
	u32 per_block = blockDim.x * blockDim.y * blockDim.z;

	out[block * per_block + thread] = blockIdx.x | blockIdx.y << 4 | blockIdx.z << 8 |
					  threadIdx.x << 12 | threadIdx.y << 18 | threadIdx.z << 24;
}
