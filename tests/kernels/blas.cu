/* SPDX-License-Identifier: MIT */
/*
 * Plain kernels for the stand-in of cuBLAS. A number comes by value, or by address where that is
 * not 0. Strides below zero count from the end, as in BLAS.
 */
#include "device.h"

#define AT(n, inc, i) ((inc) < 0 ? (long)((n)-1 - (i)) * -(long)(inc) : (long)(i) * (long)(inc))

INLINE float square_root(float v)
{
	return __nvvm_sqrt_rn_f(v);
}

INLINE double square_root(double v)
{
	return __nvvm_sqrt_rn_d(v);
}

#define LEVEL1(P, T)                                                                               \
	KERNEL P##axpy(int n, const T *at, T alpha, const T *x, int incx, T *y, int incy)          \
	{                                                                                          \
		const T a = at ? *at : alpha;                                                      \
                                                                                                   \
		for (u32 i = global_index(); i < (u32)n; i += global_count())                      \
			y[AT(n, incy, i)] = y[AT(n, incy, i)] + a * x[AT(n, incx, i)];             \
	}                                                                                          \
	KERNEL P##scal(int n, const T *at, T alpha, T *x, int incx)                                \
	{                                                                                          \
		const T a = at ? *at : alpha;                                                      \
                                                                                                   \
		for (u32 i = global_index(); i < (u32)n; i += global_count())                      \
			x[AT(n, incx, i)] *= a;                                                    \
	}                                                                                          \
	KERNEL P##copy(int n, const T *x, int incx, T *y, int incy)                                \
	{                                                                                          \
		for (u32 i = global_index(); i < (u32)n; i += global_count())                      \
			y[AT(n, incy, i)] = x[AT(n, incx, i)];                                     \
	}                                                                                          \
	KERNEL P##swap(int n, T *x, int incx, T *y, int incy)                                      \
	{                                                                                          \
		for (u32 i = global_index(); i < (u32)n; i += global_count()) {                    \
			const T v = x[AT(n, incx, i)];                                             \
                                                                                                   \
			x[AT(n, incx, i)] = y[AT(n, incy, i)];                                     \
			y[AT(n, incy, i)] = v;                                                     \
		}                                                                                  \
	}                                                                                          \
	/* One thread: the order of the sum is fixed. */                                           \
	KERNEL P##dot(int n, const T *x, int incx, const T *y, int incy, T *value)                 \
	{                                                                                          \
		T sum = 0;                                                                         \
                                                                                                   \
		for (int i = 0; i < n; i++)                                                        \
			sum += x[AT(n, incx, i)] * y[AT(n, incy, i)];                              \
		*value = sum;                                                                      \
	}                                                                                          \
	KERNEL P##nrm2(int n, const T *x, int incx, T *value)                                      \
	{                                                                                          \
		T sum = 0;                                                                         \
                                                                                                   \
		for (int i = 0; i < n && incx > 0; i++)                                            \
			sum += x[(long)i * incx] * x[(long)i * incx];                              \
		*value = square_root(sum);                                                         \
	}                                                                                          \
	KERNEL P##asum(int n, const T *x, int incx, T *value)                                      \
	{                                                                                          \
		T sum = 0;                                                                         \
                                                                                                   \
		for (int i = 0; i < n && incx > 0; i++) {                                          \
			const T v = x[(long)i * incx];                                             \
                                                                                                   \
			sum += v < 0 ? -v : v;                                                     \
		}                                                                                  \
		*value = sum;                                                                      \
	}                                                                                          \
	KERNEL P##amax(int n, const T *x, int incx, int *value)                                    \
	{                                                                                          \
		T most = -1;                                                                       \
		int at = 0;                                                                        \
                                                                                                   \
		for (int i = 0; i < n && incx > 0; i++) {                                          \
			const T v = x[(long)i * incx];                                             \
			const T abs = v < 0 ? -v : v;                                              \
                                                                                                   \
			if (abs > most) {                                                          \
				most = abs;                                                        \
				at = i + 1;                                                        \
			}                                                                          \
		}                                                                                  \
		*value = at;                                                                       \
	}

#define LEVEL2(P, T)                                                                               \
	KERNEL P##gemv(int trans, int m, int n, const T *alpha_at, T alpha, const T *a, int lda,   \
		       const T *x, int incx, const T *beta_at, T beta, T *y, int incy)             \
	{                                                                                          \
		const int rows = trans ? n : m, columns = trans ? m : n;                           \
		const T by = alpha_at ? *alpha_at : alpha, old = beta_at ? *beta_at : beta;        \
                                                                                                   \
		for (u32 i = global_index(); i < (u32)rows; i += global_count()) {                 \
			T *const to = &y[AT(rows, incy, i)];                                       \
			T sum = 0;                                                                 \
                                                                                                   \
			for (int j = 0; j < columns; j++)                                          \
				sum += a[trans ? (long)i * lda + j : (long)j * lda + i] *          \
				       x[AT(columns, incx, j)];                                    \
			*to = by * sum + (old == 0 ? 0 : old * *to);                               \
		}                                                                                  \
	}                                                                                          \
	/* An element of the product of one matrix with another. */                                \
	INLINE void P##element(int transa, int transb, int m, int k, u32 at, T by, const T *a,     \
			       int lda, const T *b, int ldb, T old, T *c, int ldc)                 \
	{                                                                                          \
		const int i = (int)at % m, j = (int)at / m;                                        \
		T *const to = &c[(long)j * ldc + i];                                               \
		T sum = 0;                                                                         \
                                                                                                   \
		for (int l = 0; l < k; l++)                                                        \
			sum += a[transa ? (long)i * lda + l : (long)l * lda + i] *                 \
			       b[transb ? (long)l * ldb + j : (long)j * ldb + l];                  \
		*to = by * sum + (old == 0 ? 0 : old * *to);                                       \
	}                                                                                          \
	KERNEL P##gemm(int transa, int transb, int m, int n, int k, const T *alpha_at, T alpha,    \
		       const T *a, int lda, long stride_a, const T *b, int ldb, long stride_b,     \
		       const T *beta_at, T beta, T *c, int ldc, long stride_c, int batches)        \
	{                                                                                          \
		const T by = alpha_at ? *alpha_at : alpha, old = beta_at ? *beta_at : beta;        \
		const u32 each = (u32)m * (u32)n;                                                  \
                                                                                                   \
		for (u32 at = global_index(); at < each * (u32)batches; at += global_count()) {    \
			const long batch = at / each;                                              \
                                                                                                   \
			P##element(transa, transb, m, k, at % each, by, a + batch * stride_a, lda, \
				   b + batch * stride_b, ldb, old, c + batch * stride_c, ldc);     \
		}                                                                                  \
	}                                                                                          \
	KERNEL P##gemm_at(int transa, int transb, int m, int n, int k, const T *alpha_at, T alpha, \
			  const T *const *a, int lda, const T *const *b, int ldb,                  \
			  const T *beta_at, T beta, T *const *c, int ldc, int batches)             \
	{                                                                                          \
		const T by = alpha_at ? *alpha_at : alpha, old = beta_at ? *beta_at : beta;        \
		const u32 each = (u32)m * (u32)n;                                                  \
                                                                                                   \
		for (u32 at = global_index(); at < each * (u32)batches; at += global_count()) {    \
			const long batch = at / each;                                              \
                                                                                                   \
			P##element(transa, transb, m, k, at % each, by, a[batch], lda, b[batch],   \
				   ldb, old, c[batch], ldc);                                       \
		}                                                                                  \
	}

LEVEL1(s, float)
LEVEL1(d, double)
LEVEL2(s, float)
LEVEL2(d, double)
