/* SPDX-License-Identifier: MIT */
/* Many products at once. */
#include "simcublas_run.h"

#define BATCHED(name, T, K)                                                                        \
	bool run_cublas##name(cublasOperation_t transa, cublasOperation_t transb, int64_t m,       \
			      int64_t n, int64_t k, const T *alpha, const uint64_t *Aarray,        \
			      int64_t lda, const uint64_t *Barray, int64_t ldb, const T *beta,     \
			      const uint64_t *Carray, int64_t ldc, int64_t batchCount,             \
			      uint64_t *bad)                                                       \
	{                                                                                          \
		return sim_products(&(struct product){transa, transb, m, n, k, K, alpha, NULL,     \
						      NULL, beta, NULL, K, K, K, lda, ldb, ldc},   \
				    Aarray, Barray, Carray, batchCount, bad);                      \
	}
BATCHED(SgemmBatched, float, CUDA_R_32F)
BATCHED(DgemmBatched, double, CUDA_R_64F)
BATCHED(CgemmBatched, cuComplex, CUDA_C_32F)
BATCHED(ZgemmBatched, cuDoubleComplex, CUDA_C_64F)
BATCHED(HgemmBatched, uint16_t, CUDA_R_16F)
BATCHED(Cgemm3mBatched, cuComplex, CUDA_C_32F)

#define STRIDED(name, T, K)                                                                        \
	void run_cublas##name(cublasOperation_t transa, cublasOperation_t transb, int64_t m,       \
			      int64_t n, int64_t k, const T *alpha, const T *A, int64_t lda,       \
			      long long strideA, const T *B, int64_t ldb, long long strideB,       \
			      const T *beta, T *C, int64_t ldc, long long strideC,                 \
			      int64_t batchCount)                                                  \
	{                                                                                          \
		sim_products_strided(&(struct product){transa, transb, m, n, k, K, alpha, A, B,    \
						       beta, C, K, K, K, lda, ldb, ldc},           \
				     strideA, strideB, strideC, batchCount);                       \
	}
STRIDED(SgemmStridedBatched, float, CUDA_R_32F)
STRIDED(DgemmStridedBatched, double, CUDA_R_64F)
STRIDED(CgemmStridedBatched, cuComplex, CUDA_C_32F)
STRIDED(ZgemmStridedBatched, cuDoubleComplex, CUDA_C_64F)
STRIDED(HgemmStridedBatched, uint16_t, CUDA_R_16F)
STRIDED(Cgemm3mStridedBatched, cuComplex, CUDA_C_32F)

bool run_cublasGemmBatchedEx(cublasOperation_t transa, cublasOperation_t transb, int64_t m,
			     int64_t n, int64_t k, const void *alpha, const uint64_t *Aarray,
			     cudaDataType_t Atype, int64_t lda, const uint64_t *Barray,
			     cudaDataType_t Btype, int64_t ldb, const void *beta,
			     const uint64_t *Carray, cudaDataType_t Ctype, int64_t ldc,
			     int64_t batchCount, cublasComputeType_t computeType,
			     cublasGemmAlgo_t algo, uint64_t *bad)
{
	const struct product p = {
		transa,     transb,     m,    n,    k,    sim_scale_type(computeType, Ctype),
		alpha,      NULL,       NULL, beta, NULL, (int)Atype,
		(int)Btype, (int)Ctype, lda,  ldb,  ldc};

	return sim_products(&p, Aarray, Barray, Carray, batchCount, bad);
}

void run_cublasGemmStridedBatchedEx(cublasOperation_t transa, cublasOperation_t transb, int64_t m,
				    int64_t n, int64_t k, const void *alpha, const void *A,
				    cudaDataType_t Atype, int64_t lda, long long strideA,
				    const void *B, cudaDataType_t Btype, int64_t ldb,
				    long long strideB, const void *beta, void *C,
				    cudaDataType_t Ctype, int64_t ldc, long long strideC,
				    int64_t batchCount, cublasComputeType_t computeType,
				    cublasGemmAlgo_t algo)
{
	const struct product p = {
		transa,     transb,     m,   n,    k,  sim_scale_type(computeType, Ctype),
		alpha,      A,          B,   beta, C,  (int)Atype,
		(int)Btype, (int)Ctype, lda, ldb,  ldc};

	sim_products_strided(&p, strideA, strideB, strideC, batchCount);
}

struct times { /* y = alpha op(A) x + beta y */
	cublasOperation_t trans;
	int64_t m, n, lda, incx, incy;
	double complex alpha, beta;
	int in, out; /* types */
};

static void times(const struct times *t, const void *a, const void *x, void *y)
{
	const int64_t rows = t->trans ? t->n : t->m, inner = t->trans ? t->m : t->n;

	for (int64_t i = 0; i < rows; i++) {
		const int64_t at = place(rows, t->incy, i);
		double complex sum = 0;

		for (int64_t l = 0; l < inner; l++) {
			double complex v =
				sim_load(t->in, a, t->trans ? i * t->lda + l : l * t->lda + i);

			v = t->trans == CUBLAS_OP_C ? conj(v) : v;
			sum += v * sim_load(t->in, x, place(inner, t->incx, l));
		}
		sum *= t->alpha;
		sum += t->beta == 0 ? 0 : t->beta * sim_load(t->out, y, at);
		sim_store(t->out, y, at, sum);
	}
}

static bool times_many(const struct times *t, const uint64_t *a, const uint64_t *x,
		       const uint64_t *y, int64_t count, uint64_t *bad)
{
	const uint64_t in = (uint64_t)cublas_type_bytes(t->in);
	const uint64_t out = (uint64_t)cublas_type_bytes(t->out);
	const int64_t nx = t->trans ? t->m : t->n, ny = t->trans ? t->n : t->m;

	for (int64_t i = 0; i < count && t->m && t->n; i++) {
		if (!sim_reach((void *)(uintptr_t)a[i],
			       in * pvgpu_extent(pvgpu_matrix(t->m, t->n, t->lda)), false, bad) ||
		    !sim_reach((void *)(uintptr_t)x[i], in * pvgpu_extent(pvgpu_span(nx, t->incx)),
			       false, bad) ||
		    !sim_reach((void *)(uintptr_t)y[i], out * pvgpu_extent(pvgpu_span(ny, t->incy)),
			       true, bad))
			return false;
		times(t, (void *)(uintptr_t)a[i], (void *)(uintptr_t)x[i], (void *)(uintptr_t)y[i]);
	}
	return true;
}

#define VECTORS(P, T, K, Y, YK, S, SK)                                                             \
	bool run_cublas##P##gemvBatched(cublasOperation_t trans, int64_t m, int64_t n,             \
					const S *alpha, const uint64_t *Aarray, int64_t lda,       \
					const uint64_t *xarray, int64_t incx, const S *beta,       \
					const uint64_t *yarray, int64_t incy, int64_t batchCount,  \
					uint64_t *bad)                                             \
	{                                                                                          \
		const struct times t = {trans,                                                     \
					m,                                                         \
					n,                                                         \
					lda,                                                       \
					incx,                                                      \
					incy,                                                      \
					sim_load(SK, alpha, 0),                                    \
					sim_load(SK, beta, 0),                                     \
					K,                                                         \
					YK};                                                       \
                                                                                                   \
		return times_many(&t, Aarray, xarray, yarray, batchCount, bad);                    \
	}                                                                                          \
	void run_cublas##P##gemvStridedBatched(                                                    \
		cublasOperation_t trans, int64_t m, int64_t n, const S *alpha, const T *A,         \
		int64_t lda, long long strideA, const T *x, int64_t incx, long long stridex,       \
		const S *beta, Y *y, int64_t incy, long long stridey, int64_t batchCount)          \
	{                                                                                          \
		const struct times t = {trans,                                                     \
					m,                                                         \
					n,                                                         \
					lda,                                                       \
					incx,                                                      \
					incy,                                                      \
					sim_load(SK, alpha, 0),                                    \
					sim_load(SK, beta, 0),                                     \
					K,                                                         \
					YK};                                                       \
                                                                                                   \
		for (int64_t i = 0; i < batchCount && m && n; i++)                                 \
			times(&t, A + i * strideA, x + i * stridex, y + i * stridey);              \
	}
VECTORS(S, float, CUDA_R_32F, float, CUDA_R_32F, float, CUDA_R_32F)
VECTORS(D, double, CUDA_R_64F, double, CUDA_R_64F, double, CUDA_R_64F)
VECTORS(C, cuComplex, CUDA_C_32F, cuComplex, CUDA_C_32F, cuComplex, CUDA_C_32F)
VECTORS(Z, cuDoubleComplex, CUDA_C_64F, cuDoubleComplex, CUDA_C_64F, cuDoubleComplex, CUDA_C_64F)
VECTORS(HSH, uint16_t, CUDA_R_16F, uint16_t, CUDA_R_16F, float, CUDA_R_32F)
VECTORS(HSS, uint16_t, CUDA_R_16F, float, CUDA_R_32F, float, CUDA_R_32F)
VECTORS(TST, uint16_t, CUDA_R_16BF, uint16_t, CUDA_R_16BF, float, CUDA_R_32F)
VECTORS(TSS, uint16_t, CUDA_R_16BF, float, CUDA_R_32F, float, CUDA_R_32F)
