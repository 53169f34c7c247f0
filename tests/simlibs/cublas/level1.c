/* SPDX-License-Identifier: MIT */
/* Vectors, by plain loops. */
#include <math.h>

#include "simcublas_run.h"

/* P: letter of the call, T: C type of the element, N: of a computation. */
#define MOVES(P, T)                                                                                \
	void run_cublas##P##copy_v2(int64_t n, const T *x, int64_t incx, T *y, int64_t incy)       \
	{                                                                                          \
		for (int64_t i = 0; i < n; i++)                                                    \
			y[place(n, incy, i)] = x[place(n, incx, i)];                               \
	}                                                                                          \
	void run_cublas##P##swap_v2(int64_t n, T *x, int64_t incx, T *y, int64_t incy)             \
	{                                                                                          \
		for (int64_t i = 0; i < n; i++) {                                                  \
			const T was = y[place(n, incy, i)];                                        \
                                                                                                   \
			y[place(n, incy, i)] = x[place(n, incx, i)];                               \
			x[place(n, incx, i)] = was;                                                \
		}                                                                                  \
	}
MOVES(S, float)
MOVES(D, double)
MOVES(C, cuComplex)
MOVES(Z, cuDoubleComplex)

#define SCALES(P, T, N, A, M)                                                                      \
	void run_cublas##P##scal_v2(int64_t n, const A *alpha, T *x, int64_t incx)                 \
	{                                                                                          \
		const M by = *(const M *)(const void *)alpha;                                      \
		N *to = (N *)(void *)x;                                                            \
                                                                                                   \
		for (int64_t i = 0; i < n && incx > 0; i++)                                        \
			to[i * incx] *= by;                                                        \
	}
SCALES(S, float, float, float, float)
SCALES(D, double, double, double, double)
SCALES(C, cuComplex, float complex, cuComplex, float complex)
SCALES(Z, cuDoubleComplex, double complex, cuDoubleComplex, double complex)
SCALES(Cs, cuComplex, float complex, float, float)
SCALES(Zd, cuDoubleComplex, double complex, double, double)

#define AXPY(P, T, N)                                                                              \
	void run_cublas##P##axpy_v2(int64_t n, const T *alpha, const T *x, int64_t incx, T *y,     \
				    int64_t incy)                                                  \
	{                                                                                          \
		const N by = *(const N *)(const void *)alpha, *from = (const void *)x;             \
		N *to = (void *)y;                                                                 \
                                                                                                   \
		for (int64_t i = 0; i < n; i++)                                                    \
			to[place(n, incy, i)] += by * from[place(n, incx, i)];                     \
	}
AXPY(S, float, float)
AXPY(D, double, double)
AXPY(C, cuComplex, float complex)
AXPY(Z, cuDoubleComplex, double complex)

#define DOT(P, name, T, N, first)                                                                  \
	void run_cublas##P##name##_v2(int64_t n, const T *x, int64_t incx, const T *y,             \
				      int64_t incy, T *value)                                      \
	{                                                                                          \
		const N *from = (const void *)x, *with = (const void *)y;                          \
		N sum = 0;                                                                         \
                                                                                                   \
		for (int64_t i = 0; i < n; i++)                                                    \
			sum += first(from[place(n, incx, i)]) * with[place(n, incy, i)];           \
		*(N *)(void *)value = sum;                                                         \
	}
DOT(S, dot, float, float, )
DOT(D, dot, double, double, )
DOT(C, dotu, cuComplex, float complex, )
DOT(Z, dotu, cuDoubleComplex, double complex, )
DOT(C, dotc, cuComplex, float complex, conjf)
DOT(Z, dotc, cuDoubleComplex, double complex, conj)

#define SIZE1_REAL(v)    fabs((double)(v))
#define SIZE1_COMPLEX(v) (fabs((double)creal(v)) + fabs((double)cimag(v)))

#define SIZES(P, I, T, N, R, size1)                                                                \
	void run_cublas##P##nrm2_v2(int64_t n, const T *x, int64_t incx, R *value)                 \
	{                                                                                          \
		const N *from = (const void *)x;                                                   \
		double sum = 0;                                                                    \
                                                                                                   \
		for (int64_t i = 0; i < n && incx > 0; i++)                                        \
			sum += creal(from[i * incx] * (double complex)conj(from[i * incx]));       \
		*value = (R)sqrt(sum);                                                             \
	}                                                                                          \
	void run_cublas##P##asum_v2(int64_t n, const T *x, int64_t incx, R *value)                 \
	{                                                                                          \
		const N *from = (const void *)x;                                                   \
		double sum = 0;                                                                    \
                                                                                                   \
		for (int64_t i = 0; i < n && incx > 0; i++)                                        \
			sum += size1(from[i * incx]);                                              \
		*value = (R)sum;                                                                   \
	}                                                                                          \
	static int64_t best_##I(int64_t n, const T *x, int64_t incx, bool largest)                 \
	{                                                                                          \
		const N *from = (const void *)x;                                                   \
		int64_t best = 0;                                                                  \
                                                                                                   \
		for (int64_t i = 0; i < n && incx > 0; i++) {                                      \
			const double a = size1(from[i * incx]);                                    \
			const double b = best ? size1(from[(best - 1) * incx]) : 0;                \
                                                                                                   \
			if (!best || (largest ? a > b : a < b))                                    \
				best = i + 1;                                                      \
		}                                                                                  \
		return best;                                                                       \
	}                                                                                          \
	void run_cublasI##I##amax_v2(int64_t n, const T *x, int64_t incx, int64_t *value)          \
	{                                                                                          \
		*value = best_##I(n, x, incx, true);                                               \
	}                                                                                          \
	void run_cublasI##I##amin_v2(int64_t n, const T *x, int64_t incx, int64_t *value)          \
	{                                                                                          \
		*value = best_##I(n, x, incx, false);                                              \
	}
SIZES(S, s, float, float, float, SIZE1_REAL)
SIZES(D, d, double, double, double, SIZE1_REAL)
SIZES(Sc, c, cuComplex, float complex, float, SIZE1_COMPLEX)
SIZES(Dz, z, cuDoubleComplex, double complex, double, SIZE1_COMPLEX)

#define TURN(P, T, N, R, S, M, conjugate)                                                          \
	void run_cublas##P##rot_v2(int64_t n, T *x, int64_t incx, T *y, int64_t incy,              \
				   const R *cosine, const S *sine)                                 \
	{                                                                                          \
		const M s = *(const M *)(const void *)sine;                                        \
		N *a = (void *)x, *b = (void *)y;                                                  \
                                                                                                   \
		for (int64_t i = 0; i < n; i++) {                                                  \
			N *at = a + place(n, incx, i), *with = b + place(n, incy, i);              \
			const N u = *cosine * *at + s * *with;                                     \
                                                                                                   \
			*with = *cosine * *with - conjugate(s) * *at;                              \
			*at = u;                                                                   \
		}                                                                                  \
	}
TURN(S, float, float, float, float, float, )
TURN(D, double, double, double, double, double, )
TURN(C, cuComplex, float complex, float, cuComplex, float complex, conjf)
TURN(Z, cuDoubleComplex, double complex, double, cuDoubleComplex, double complex, conj)
TURN(Cs, cuComplex, float complex, float, float, float, )
TURN(Zd, cuDoubleComplex, double complex, double, double, double, )

#define TURN_MODIFIED(P, T)                                                                        \
	void run_cublas##P##rotm_v2(int64_t n, T *x, int64_t incx, T *y, int64_t incy,             \
				    const T *param)                                                \
	{                                                                                          \
		const T f = param[0];                                                              \
		const T h11 = f == 0 ? 1 : param[1], h21 = f == 1 ? -1 : param[2];                 \
		const T h12 = f == 1 ? 1 : param[3], h22 = f == 0 ? 1 : param[4];                  \
                                                                                                   \
		for (int64_t i = 0; i < n && f != -2; i++) {                                       \
			T *a = x + place(n, incx, i), *b = y + place(n, incy, i);                  \
			const T u = h11 * *a + h12 * *b;                                           \
                                                                                                   \
			*b = h21 * *a + h22 * *b;                                                  \
			*a = u;                                                                    \
		}                                                                                  \
	}
TURN_MODIFIED(S, float)
TURN_MODIFIED(D, double)

#define ROTG(P, T, R)                                                                              \
	void run_cublas##P##rotg_v2(T *ra, T *rb, R *cosine, T *sine)                              \
	{                                                                                          \
		cublas##P##rotg_v2_host(NULL, ra, rb, cosine, sine);                               \
	}
ROTG(S, float, float)
ROTG(D, double, double)
ROTG(C, cuComplex, float)
ROTG(Z, cuDoubleComplex, double)

#define ROTMG(P, T)                                                                                \
	void run_cublas##P##rotmg_v2(T *d1, T *d2, T *x1, const T *y1, T *param)                   \
	{                                                                                          \
		cublas##P##rotmg_v2_host(NULL, d1, d2, x1, y1, param);                             \
	}
ROTMG(S, float)
ROTMG(D, double)
