/* SPDX-License-Identifier: MIT */
/* Many factorizations and solutions at once, by OpenBLAS's LAPACK. */
#include "simcublas_run.h"

static uint64_t extent(int64_t rows, int64_t columns, int64_t ld, uint64_t size)
{
	return size * pvgpu_extent(pvgpu_matrix(rows, columns, ld));
}

/* One of a table's matrices; NULL: it cannot be reached. */
static void *at(const uint64_t *table, int64_t i, uint64_t bytes, bool write, uint64_t *bad)
{
	void *p = (void *)(uintptr_t)table[i];

	return sim_reach(p, bytes, write, bad) ? p : NULL;
}

/* Without pivots, by plain loops: 0, or the place of a pivot that is 0. */
#define PLAIN(p, N)                                                                                \
	static int plain_##p(int64_t n, N *a, int64_t ld)                                          \
	{                                                                                          \
		for (int64_t k = 0; k < n; k++) {                                                  \
			if (a[k * ld + k] == 0)                                                    \
				return (int)k + 1;                                                 \
			for (int64_t i = k + 1; i < n; i++)                                        \
				a[k * ld + i] /= a[k * ld + k];                                    \
			for (int64_t j = k + 1; j < n; j++)                                        \
				for (int64_t i = k + 1; i < n; i++)                                \
					a[j * ld + i] -= a[k * ld + i] * a[j * ld + k];            \
		}                                                                                  \
		return 0;                                                                          \
	}
PLAIN(s, float)
PLAIN(d, double)
PLAIN(c, float complex)
PLAIN(z, double complex)

/* A copy of pivots, those of a matrix that was factored without them if there are none; one that is
 * no row of the matrix counts as its own. */
static int *rows(const int *pivots, int64_t n)
{
	int *own = malloc((size_t)(n + 1) * sizeof(int));

	for (int64_t i = 0; own && i < n; i++)
		own[i] = pivots && pivots[i] > i && pivots[i] <= n ? pivots[i] : (int)i + 1;
	return own;
}

#define FACTOR(P, p, T)                                                                            \
	bool run_cublas##P##getrfBatched(int n, const uint64_t *A, int lda, int *pivots,           \
					 int *info, int batchSize, uint64_t *bad)                  \
	{                                                                                          \
		for (int64_t i = 0; i < batchSize; i++) {                                          \
			void *a = at(A, i, extent(n, n, lda, sizeof(T)), true, bad);               \
                                                                                                   \
			if (!a)                                                                    \
				return false;                                                      \
			if (!pivots)                                                               \
				info[i] = plain_##p(n, a, lda);                                    \
			else                                                                       \
				BLAS(#p "getrf_", INT(n), INT(n), a, INT(lda), pivots + i * n,     \
				     info + i);                                                    \
		}                                                                                  \
		return true;                                                                       \
	}                                                                                          \
	static void invert_##p(int n, T *c, int ldc, const int *pivots, int *info)                 \
	{                                                                                          \
		int *own = rows(pivots, n);                                                        \
		T *work = calloc((size_t)n * (size_t)n + 1, sizeof(T));                            \
                                                                                                   \
		BLAS(#p "getri_", INT(n), c, INT(ldc), own, work, INT((size_t)n *(size_t)n + 1),   \
		     info);                                                                        \
		free(work);                                                                        \
		free(own);                                                                         \
	}                                                                                          \
	bool run_cublas##P##getriBatched(int n, const uint64_t *A, int lda, const int *pivots,     \
					 const uint64_t *C, int ldc, int *info, int batchSize,     \
					 uint64_t *bad)                                            \
	{                                                                                          \
		for (int64_t i = 0; i < batchSize; i++) {                                          \
			const T *a = at(A, i, extent(n, n, lda, sizeof(T)), false, bad);           \
			T *c = at(C, i, extent(n, n, ldc, sizeof(T)), true, bad);                  \
                                                                                                   \
			if (!a || !c)                                                              \
				return false;                                                      \
			for (int64_t j = 0; j < n; j++)                                            \
				memmove(c + j * ldc, a + j * lda, (size_t)n * sizeof(T));          \
			invert_##p(n, c, ldc, pivots ? pivots + i *n : NULL, info + i);            \
		}                                                                                  \
		return true;                                                                       \
	}                                                                                          \
	bool run_cublas##P##matinvBatched(int n, const uint64_t *A, int lda, const uint64_t *Ainv, \
					  int lda_inv, int *info, int batchSize, uint64_t *bad)    \
	{                                                                                          \
		int pivots[32];                                                                    \
                                                                                                   \
		for (int64_t i = 0; i < batchSize; i++) {                                          \
			const T *a = at(A, i, extent(n, n, lda, sizeof(T)), false, bad);           \
			T *c = at(Ainv, i, extent(n, n, lda_inv, sizeof(T)), true, bad);           \
                                                                                                   \
			if (!a || !c)                                                              \
				return false;                                                      \
			for (int64_t j = 0; j < n; j++)                                            \
				memmove(c + j * lda_inv, a + j * lda, (size_t)n * sizeof(T));      \
			BLAS(#p "getrf_", INT(n), INT(n), c, INT(lda_inv), pivots, info + i);      \
			if (!info[i])                                                              \
				invert_##p(n, c, lda_inv, pivots, info + i);                       \
		}                                                                                  \
		return true;                                                                       \
	}                                                                                          \
	bool run_cublas##P##getrsBatched(                                                          \
		cublasOperation_t trans, int n, int nrhs, const uint64_t *Aarray, int lda,         \
		const int *devIpiv, const uint64_t *Barray, int ldb, int batchSize, uint64_t *bad) \
	{                                                                                          \
		int failed;                                                                        \
		bool good = true;                                                                  \
                                                                                                   \
		for (int64_t i = 0; good && i < batchSize; i++) {                                  \
			void *a = at(Aarray, i, extent(n, n, lda, sizeof(T)), false, bad);         \
			void *b = at(Barray, i, extent(n, nrhs, ldb, sizeof(T)), true, bad);       \
			int *own = rows(devIpiv ? devIpiv + i * n : NULL, n);                      \
                                                                                                   \
			good = a && b;                                                             \
			if (good)                                                                  \
				BLAS(#p "getrs_", TRANS(trans), INT(n), INT(nrhs), a, INT(lda),    \
				     own, b, INT(ldb), &failed);                                   \
			free(own);                                                                 \
		}                                                                                  \
		return good;                                                                       \
	}
FACTOR(S, s, float)
FACTOR(D, d, double)
FACTOR(C, c, cuComplex)
FACTOR(Z, z, cuDoubleComplex)

enum { BLOCK = 64 };

#define LEAST_SQUARES(P, p, T)                                                                     \
	bool run_cublas##P##geqrfBatched(int m, int n, const uint64_t *Aarray, int lda,            \
					 const uint64_t *TauArray, int batchSize, uint64_t *bad)   \
	{                                                                                          \
		const size_t room = (size_t)n * BLOCK + 1;                                         \
		T *work = calloc(room, sizeof(T));                                                 \
		bool good = true;                                                                  \
		int failed;                                                                        \
                                                                                                   \
		for (int64_t i = 0; good && i < batchSize; i++) {                                  \
			const int least = m < n ? m : n;                                           \
			void *a = at(Aarray, i, extent(m, n, lda, sizeof(T)), true, bad);          \
			void *tau = at(TauArray, i, (uint64_t)least * sizeof(T), true, bad);       \
                                                                                                   \
			good = a && tau;                                                           \
			if (good)                                                                  \
				BLAS(#p "geqrf_", INT(m), INT(n), a, INT(lda), tau, work,          \
				     INT(room), &failed);                                          \
		}                                                                                  \
		free(work);                                                                        \
		return good;                                                                       \
	}                                                                                          \
	bool run_cublas##P##gelsBatched(cublasOperation_t trans, int m, int n, int nrhs,           \
					const uint64_t *Aarray, int lda, const uint64_t *Carray,   \
					int ldc, int *devInfoArray, int batchSize, uint64_t *bad)  \
	{                                                                                          \
		const size_t room = (size_t)(m + n + nrhs + 1) * BLOCK;                            \
		T *work = calloc(room, sizeof(T));                                                 \
		bool good = true;                                                                  \
		int failed = 0;                                                                    \
                                                                                                   \
		for (int64_t i = 0; good && i < batchSize; i++) {                                  \
			void *a = at(Aarray, i, extent(m, n, lda, sizeof(T)), true, bad);          \
			void *c = at(Carray, i, extent(m, nrhs, ldc, sizeof(T)), true, bad);       \
                                                                                                   \
			good = a && c;                                                             \
			if (good)                                                                  \
				BLAS(#p "gels_", TRANS(0), INT(m), INT(n), INT(nrhs), a, INT(lda), \
				     c, INT(ldc), work, INT(room), &failed);                       \
			if (good && devInfoArray)                                                  \
				devInfoArray[i] = failed;                                          \
		}                                                                                  \
		free(work);                                                                        \
		return good;                                                                       \
	}
LEAST_SQUARES(S, s, float)
LEAST_SQUARES(D, d, double)
LEAST_SQUARES(C, c, cuComplex)
LEAST_SQUARES(Z, z, cuDoubleComplex)

#define SOLVE(P, p, T)                                                                             \
	bool run_cublas##P##trsmBatched(                                                           \
		cublasSideMode_t side, cublasFillMode_t uplo, cublasOperation_t trans,             \
		cublasDiagType_t diag, int64_t m, int64_t n, const T *alpha, const uint64_t *A,    \
		int64_t lda, const uint64_t *B, int64_t ldb, int64_t batchCount, uint64_t *bad)    \
	{                                                                                          \
		const int64_t size = side ? n : m;                                                 \
                                                                                                   \
		for (int64_t i = 0; i < batchCount; i++) {                                         \
			void *a = at(A, i, extent(size, size, lda, sizeof(T)), false, bad);        \
			void *b = at(B, i, extent(m, n, ldb, sizeof(T)), true, bad);               \
                                                                                                   \
			if (!a || !b)                                                              \
				return false;                                                      \
			BLAS(#p "trsm_", SIDE(side), UPLO(uplo), TRANS(trans), DIAG(diag), INT(m), \
			     INT(n), alpha, a, INT(lda), b, INT(ldb));                             \
		}                                                                                  \
		return true;                                                                       \
	}
SOLVE(S, s, float)
SOLVE(D, d, double)
SOLVE(C, c, cuComplex)
SOLVE(Z, z, cuDoubleComplex)
