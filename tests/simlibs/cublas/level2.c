/* SPDX-License-Identifier: MIT */
/* Matrices and vectors, by OpenBLAS. P: letter of a call, p: of OpenBLAS's routine. */
#include "simcublas_run.h"

#define GENERAL(P, p, T)                                                                           \
	void run_cublas##P##gemv_v2(cublasOperation_t trans, int64_t m, int64_t n, const T *alpha, \
				    const T *A, int64_t lda, const T *x, int64_t incx,             \
				    const T *beta, T *y, int64_t incy)                             \
	{                                                                                          \
		BLAS(#p "gemv_", TRANS(trans), INT(m), INT(n), alpha, A, INT(lda), x, INT(incx),   \
		     beta, y, INT(incy));                                                          \
	}                                                                                          \
	void run_cublas##P##gbmv_v2(cublasOperation_t trans, int64_t m, int64_t n, int64_t kl,     \
				    int64_t ku, const T *alpha, const T *A, int64_t lda,           \
				    const T *x, int64_t incx, const T *beta, T *y, int64_t incy)   \
	{                                                                                          \
		BLAS(#p "gbmv_", TRANS(trans), INT(m), INT(n), INT(kl), INT(ku), alpha, A,         \
		     INT(lda), x, INT(incx), beta, y, INT(incy));                                  \
	}
GENERAL(S, s, float)
GENERAL(D, d, double)
GENERAL(C, c, cuComplex)
GENERAL(Z, z, cuDoubleComplex)

#define TRIANGULAR(P, p, T, name)                                                                  \
	void run_cublas##P##tr##name##_v2(cublasFillMode_t uplo, cublasOperation_t trans,          \
					  cublasDiagType_t diag, int64_t n, const T *A,            \
					  int64_t lda, T *x, int64_t incx)                         \
	{                                                                                          \
		BLAS(#p "tr" #name "_", UPLO(uplo), TRANS(trans), DIAG(diag), INT(n), A, INT(lda), \
		     x, INT(incx));                                                                \
	}                                                                                          \
	void run_cublas##P##tb##name##_v2(cublasFillMode_t uplo, cublasOperation_t trans,          \
					  cublasDiagType_t diag, int64_t n, int64_t k, const T *A, \
					  int64_t lda, T *x, int64_t incx)                         \
	{                                                                                          \
		BLAS(#p "tb" #name "_", UPLO(uplo), TRANS(trans), DIAG(diag), INT(n), INT(k), A,   \
		     INT(lda), x, INT(incx));                                                      \
	}                                                                                          \
	void run_cublas##P##tp##name##_v2(cublasFillMode_t uplo, cublasOperation_t trans,          \
					  cublasDiagType_t diag, int64_t n, const T *AP, T *x,     \
					  int64_t incx)                                            \
	{                                                                                          \
		BLAS(#p "tp" #name "_", UPLO(uplo), TRANS(trans), DIAG(diag), INT(n), AP, x,       \
		     INT(incx));                                                                   \
	}
TRIANGULAR(S, s, float, mv)
TRIANGULAR(D, d, double, mv)
TRIANGULAR(C, c, cuComplex, mv)
TRIANGULAR(Z, z, cuDoubleComplex, mv)
TRIANGULAR(S, s, float, sv)
TRIANGULAR(D, d, double, sv)
TRIANGULAR(C, c, cuComplex, sv)
TRIANGULAR(Z, z, cuDoubleComplex, sv)

#define SYMMETRIC(P, p, T, name)                                                                   \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const T *alpha,            \
				      const T *A, int64_t lda, const T *x, int64_t incx,           \
				      const T *beta, T *y, int64_t incy)                           \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, A, INT(lda), x, INT(incx), beta, y,  \
		     INT(incy));                                                                   \
	}
SYMMETRIC(S, s, float, symv)
SYMMETRIC(D, d, double, symv)
SYMMETRIC(C, c, cuComplex, symv)
SYMMETRIC(Z, z, cuDoubleComplex, symv)
SYMMETRIC(C, c, cuComplex, hemv)
SYMMETRIC(Z, z, cuDoubleComplex, hemv)

#define BANDS(P, p, T, name)                                                                       \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, int64_t k, const T *alpha, \
				      const T *A, int64_t lda, const T *x, int64_t incx,           \
				      const T *beta, T *y, int64_t incy)                           \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), INT(k), alpha, A, INT(lda), x, INT(incx),   \
		     beta, y, INT(incy));                                                          \
	}
BANDS(S, s, float, sbmv)
BANDS(D, d, double, sbmv)
BANDS(C, c, cuComplex, hbmv)
BANDS(Z, z, cuDoubleComplex, hbmv)

#define PACKED(P, p, T, name)                                                                      \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const T *alpha,            \
				      const T *AP, const T *x, int64_t incx, const T *beta, T *y,  \
				      int64_t incy)                                                \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, AP, x, INT(incx), beta, y,           \
		     INT(incy));                                                                   \
	}
PACKED(S, s, float, spmv)
PACKED(D, d, double, spmv)
PACKED(C, c, cuComplex, hpmv)
PACKED(Z, z, cuDoubleComplex, hpmv)

#define OUTER(P, p, T, name)                                                                       \
	void run_cublas##P##name##_v2(int64_t m, int64_t n, const T *alpha, const T *x,            \
				      int64_t incx, const T *y, int64_t incy, T *A, int64_t lda)   \
	{                                                                                          \
		BLAS(#p #name "_", INT(m), INT(n), alpha, x, INT(incx), y, INT(incy), A,           \
		     INT(lda));                                                                    \
	}
OUTER(S, s, float, ger)
OUTER(D, d, double, ger)
OUTER(C, c, cuComplex, geru)
OUTER(Z, z, cuDoubleComplex, geru)
OUTER(C, c, cuComplex, gerc)
OUTER(Z, z, cuDoubleComplex, gerc)

#define RANK1(P, p, T, R, name)                                                                    \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const R *alpha,            \
				      const T *x, int64_t incx, T *A, int64_t lda)                 \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, x, INT(incx), A, INT(lda));          \
	}
RANK1(S, s, float, float, syr)
RANK1(D, d, double, double, syr)
RANK1(C, c, cuComplex, cuComplex, syr)
RANK1(Z, z, cuDoubleComplex, cuDoubleComplex, syr)
RANK1(C, c, cuComplex, float, her)
RANK1(Z, z, cuDoubleComplex, double, her)

#define RANK1_PACKED(P, p, T, R, name)                                                             \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const R *alpha,            \
				      const T *x, int64_t incx, T *AP)                             \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, x, INT(incx), AP);                   \
	}
RANK1_PACKED(S, s, float, float, spr)
RANK1_PACKED(D, d, double, double, spr)
RANK1_PACKED(C, c, cuComplex, float, hpr)
RANK1_PACKED(Z, z, cuDoubleComplex, double, hpr)

#define RANK2(P, p, T, name)                                                                       \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const T *alpha,            \
				      const T *x, int64_t incx, const T *y, int64_t incy, T *A,    \
				      int64_t lda)                                                 \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, x, INT(incx), y, INT(incy), A,       \
		     INT(lda));                                                                    \
	}
RANK2(S, s, float, syr2)
RANK2(D, d, double, syr2)
RANK2(C, c, cuComplex, her2)
RANK2(Z, z, cuDoubleComplex, her2)

/* OpenBLAS 0.3.21 fails in csyr2 with an increment below zero: a loop. */
#define RANK2_SYMMETRIC(P, T, N)                                                                   \
	void run_cublas##P##syr2_v2(cublasFillMode_t uplo, int64_t n, const T *alpha, const T *x,  \
				    int64_t incx, const T *y, int64_t incy, T *A, int64_t lda)     \
	{                                                                                          \
		const N by = *(const N *)(const void *)alpha;                                      \
		const N *u = (const void *)x, *v = (const void *)y;                                \
                                                                                                   \
		for (int64_t j = 0; j < n; j++)                                                    \
			for (int64_t i = uplo ? 0 : j; i < (uplo ? j + 1 : n); i++)                \
				((N *)(void *)A)[j * lda + i] +=                                   \
					by * (u[place(n, incx, i)] * v[place(n, incy, j)] +        \
					      v[place(n, incy, i)] * u[place(n, incx, j)]);        \
	}
RANK2_SYMMETRIC(C, cuComplex, float complex)
RANK2_SYMMETRIC(Z, cuDoubleComplex, double complex)

#define RANK2_PACKED(P, p, T, name)                                                                \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, int64_t n, const T *alpha,            \
				      const T *x, int64_t incx, const T *y, int64_t incy, T *AP)   \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), INT(n), alpha, x, INT(incx), y, INT(incy), AP);     \
	}
RANK2_PACKED(S, s, float, spr2)
RANK2_PACKED(D, d, double, spr2)
RANK2_PACKED(C, c, cuComplex, hpr2)
RANK2_PACKED(Z, z, cuDoubleComplex, hpr2)

/* The triangle's columns one after the other. */
#define PACK(P, T)                                                                                 \
	static T *packed_##P(T *AP, cublasFillMode_t uplo, int64_t n, int64_t i, int64_t j)        \
	{                                                                                          \
		return AP + (uplo ? j * (j + 1) / 2 + i : j * n - j * (j - 1) / 2 + i - j);        \
	}                                                                                          \
	void run_cublas##P##tpttr(cublasFillMode_t uplo, int n, const T *AP, T *A, int lda)        \
	{                                                                                          \
		for (int64_t j = 0; j < n; j++)                                                    \
			for (int64_t i = uplo ? 0 : j; i < (uplo ? j + 1 : n); i++)                \
				A[j * lda + i] = *packed_##P((T *)(uintptr_t)AP, uplo, n, i, j);   \
	}                                                                                          \
	void run_cublas##P##trttp(cublasFillMode_t uplo, int n, const T *A, int lda, T *AP)        \
	{                                                                                          \
		for (int64_t j = 0; j < n; j++)                                                    \
			for (int64_t i = uplo ? 0 : j; i < (uplo ? j + 1 : n); i++)                \
				*packed_##P(AP, uplo, n, i, j) = A[j * lda + i];                   \
	}
PACK(S, float)
PACK(D, double)
PACK(C, cuComplex)
PACK(Z, cuDoubleComplex)
