/* SPDX-License-Identifier: MIT */
/* Conversions, roundings and approximate functions, an element each. */
#include "device.h"

KERNEL integers(const int *a, const int *b, long long *out)
{
	u32 i = global_index(), k = i * 12;
	int x = a[i], y = b[i];
	u32 ux = (u32)x, uy = (u32)y;

	out[k + 0] = x + y;
	out[k + 1] = (long long)x * y;
	out[k + 2] = y ? x / y : 0;
	out[k + 3] = y ? x % y : 0;
	out[k + 4] = uy ? ux / uy : 0;
	out[k + 5] = (long long)((u64)ux * uy >> 7);
	out[k + 6] = x >> (y & 31);
	out[k + 7] = ux << (y & 31);
	out[k + 8] = __builtin_popcount(ux) + __builtin_clz(ux | 1) * 100;
	out[k + 9] = x < y ? x : y;
	out[k + 10] = (long long)(short)x + (signed char)y + (u16)x;
	out[k + 11] = (x ^ y) + (x & ~y) - (x | y);
}

KERNEL conversions(const double *in, double *out)
{
	u32 i = global_index(), k = i * 8;
	double v = in[i];

	out[k + 0] = (float)v;
	out[k + 1] = (int)v;
	out[k + 2] = (double)(long long)v;
	out[k + 3] = (double)(float)(int)v;
	out[k + 4] = __nvvm_floor_d(v);
	out[k + 5] = __nvvm_ceil_d(v);
	out[k + 6] = __nvvm_fma_rn_d(v, v, 1.0);
	out[k + 7] = __nvvm_sqrt_rn_d(v * v);
}

KERNEL approximate(const float *in, float *out)
{
	u32 i = global_index(), k = i * 6;
	float v = in[i];

	out[k + 0] = __nvvm_sin_approx_f(v);
	out[k + 1] = __nvvm_cos_approx_f(v);
	out[k + 2] = __nvvm_ex2_approx_f(v);
	out[k + 3] = __nvvm_lg2_approx_f(v);
	out[k + 4] = __nvvm_rcp_approx_ftz_d((double)v);
	out[k + 5] = __nvvm_rsqrt_approx_f(v);
}
