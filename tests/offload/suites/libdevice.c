/* SPDX-License-Identifier: MIT */
/*
 * In place of the library of device functions that clang takes from a CUDA toolkit: those that are
 * one instruction or a few. A test that calls another one is not loaded ("unresolved extern
 * function").
 */
#define UNARY(name)                                                                                \
	double __nv_##name(double x)                                                               \
	{                                                                                          \
		return __builtin_##name(x);                                                        \
	}                                                                                          \
	float __nv_##name##f(float x)                                                              \
	{                                                                                          \
		return __builtin_##name##f(x);                                                     \
	}
#define BINARY(name)                                                                               \
	double __nv_##name(double x, double y)                                                     \
	{                                                                                          \
		return __builtin_##name(x, y);                                                     \
	}                                                                                          \
	float __nv_##name##f(float x, float y)                                                     \
	{                                                                                          \
		return __builtin_##name##f(x, y);                                                  \
	}

UNARY(fabs)
UNARY(floor)
UNARY(ceil)
UNARY(trunc)
UNARY(rint)
BINARY(copysign)
BINARY(fmin)
BINARY(fmax)

double __nv_sqrt(double x)
{
	return __nvvm_sqrt_rn_d(x);
}

float __nv_sqrtf(float x)
{
	return __nvvm_sqrt_rn_f(x);
}

double __nv_fma(double x, double y, double z)
{
	return __nvvm_fma_rn_d(x, y, z);
}

float __nv_fmaf(float x, float y, float z)
{
	return __nvvm_fma_rn_f(x, y, z);
}

int __nv_isnand(double x)
{
	return __builtin_isnan(x);
}

int __nv_isnanf(float x)
{
	return __builtin_isnan(x);
}

int __nv_isinfd(double x)
{
	return __builtin_isinf(x);
}

int __nv_isinff(float x)
{
	return __builtin_isinf(x);
}

int __nv_isfinited(double x)
{
	return __builtin_isfinite(x);
}

int __nv_finitef(float x)
{
	return __builtin_isfinite(x);
}

int __nv_signbitd(double x)
{
	return __builtin_signbit(x);
}

int __nv_signbitf(float x)
{
	return __builtin_signbit(x);
}
