/* SPDX-License-Identifier: MIT */
/* Matrices, by OpenBLAS. P: letter of a call, p: of OpenBLAS's routine, K: the element's type. */
#include "simcublas_run.h"

#define PRODUCT(name, T, K)                                                                        \
	void run_cublas##name(cublasOperation_t transa, cublasOperation_t transb, int64_t m,       \
			      int64_t n, int64_t k, const T *alpha, const T *A, int64_t lda,       \
			      const T *B, int64_t ldb, const T *beta, T *C, int64_t ldc)           \
	{                                                                                          \
		sim_product(&(struct product){transa, transb, m, n, k, K, alpha, A, B, beta, C, K, \
					      K, K, lda, ldb, ldc});                               \
	}
PRODUCT(Sgemm_v2, float, CUDA_R_32F)
PRODUCT(Dgemm_v2, double, CUDA_R_64F)
PRODUCT(Cgemm_v2, cuComplex, CUDA_C_32F)
PRODUCT(Zgemm_v2, cuDoubleComplex, CUDA_C_64F)
PRODUCT(Cgemm3m, cuComplex, CUDA_C_32F)
PRODUCT(Zgemm3m, cuDoubleComplex, CUDA_C_64F)
PRODUCT(Hgemm, uint16_t, CUDA_R_16F)

#define PRODUCT_EX(name, T, K)                                                                     \
	void run_cublas##name(cublasOperation_t transa, cublasOperation_t transb, int64_t m,       \
			      int64_t n, int64_t k, const T *alpha, const void *A,                 \
			      cudaDataType_t Atype, int64_t lda, const void *B,                    \
			      cudaDataType_t Btype, int64_t ldb, const T *beta, void *C,           \
			      cudaDataType_t Ctype, int64_t ldc)                                   \
	{                                                                                          \
		sim_product(&(struct product){transa, transb, m, n, k, K, alpha, A, B, beta, C,    \
					      (int)Atype, (int)Btype, (int)Ctype, lda, ldb, ldc}); \
	}
PRODUCT_EX(SgemmEx, float, CUDA_R_32F)
PRODUCT_EX(CgemmEx, cuComplex, CUDA_C_32F)
PRODUCT_EX(Cgemm3mEx, cuComplex, CUDA_C_32F)

void run_cublasGemmEx(cublasOperation_t transa, cublasOperation_t transb, int64_t m, int64_t n,
		      int64_t k, const void *alpha, const void *A, cudaDataType_t Atype,
		      int64_t lda, const void *B, cudaDataType_t Btype, int64_t ldb,
		      const void *beta, void *C, cudaDataType_t Ctype, int64_t ldc,
		      cublasComputeType_t computeType, cublasGemmAlgo_t algo)
{
	sim_product(&(struct product){transa, transb, m, n, k, sim_scale_type(computeType, Ctype),
				      alpha, A, B, beta, C, (int)Atype, (int)Btype, (int)Ctype, lda,
				      ldb, ldc});
}

/* A complex symmetric update takes no conjugates, and a Hermitian one always does. */
#define RANKK(P, p, T, R, name, suffix, op)                                                        \
	void run_cublas##P##name##suffix(cublasFillMode_t uplo, cublasOperation_t trans,           \
					 int64_t n, int64_t k, const R *alpha, const T *A,         \
					 int64_t lda, const R *beta, T *C, int64_t ldc)            \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), TRANS(trans ? op : 0), INT(n), INT(k), alpha, A,    \
		     INT(lda), beta, C, INT(ldc));                                                 \
	}
RANKK(S, s, float, float, syrk, _v2, 1)
RANKK(D, d, double, double, syrk, _v2, 1)
RANKK(C, c, cuComplex, cuComplex, syrk, _v2, 1)
RANKK(Z, z, cuDoubleComplex, cuDoubleComplex, syrk, _v2, 1)
RANKK(C, c, cuComplex, float, herk, _v2, 2)
RANKK(Z, z, cuDoubleComplex, double, herk, _v2, 2)

#define RANK2K(P, p, T, R, name, op)                                                               \
	void run_cublas##P##name##_v2(cublasFillMode_t uplo, cublasOperation_t trans, int64_t n,   \
				      int64_t k, const T *alpha, const T *A, int64_t lda,          \
				      const T *B, int64_t ldb, const R *beta, T *C, int64_t ldc)   \
	{                                                                                          \
		BLAS(#p #name "_", UPLO(uplo), TRANS(trans ? op : 0), INT(n), INT(k), alpha, A,    \
		     INT(lda), B, INT(ldb), beta, C, INT(ldc));                                    \
	}
RANK2K(S, s, float, float, syr2k, 1)
RANK2K(D, d, double, double, syr2k, 1)
RANK2K(C, c, cuComplex, cuComplex, syr2k, 1)
RANK2K(Z, z, cuDoubleComplex, cuDoubleComplex, syr2k, 1)
RANK2K(C, c, cuComplex, float, her2k, 2)
RANK2K(Z, z, cuDoubleComplex, double, her2k, 2)

struct triangle {
	cublasFillMode_t uplo;
	cublasOperation_t trans;
	bool conjugate;
	int64_t n, k;
	double complex alpha, beta;
	const void *a, *b;
	void *c;
	int ab, ct; /* types */
	int64_t lda, ldb, ldc;
};

static double complex element(const struct triangle *t, const void *m, int64_t ld, int64_t i,
			      int64_t l)
{
	return sim_load(t->ab, m, t->trans ? i * ld + l : l * ld + i);
}

/* C = alpha op(A) op(B)' + beta C, of which a triangle is there; its diagonal is real if it has
 * conjugates. */
static void triangle(const struct triangle *t)
{
	for (int64_t j = 0; j < t->n; j++)
		for (int64_t i = t->uplo ? 0 : j; i < (t->uplo ? j + 1 : t->n); i++) {
			double complex sum = 0, was = sim_load(t->ct, t->c, j * t->ldc + i);

			for (int64_t l = 0; l < t->k; l++) {
				double complex a = element(t, t->a, t->lda, i, l);
				double complex b = element(t, t->b, t->ldb, j, l);

				if (t->conjugate && t->trans)
					a = conj(a);
				else if (t->conjugate)
					b = conj(b);
				sum += a * b;
			}
			sum = t->alpha * sum + (t->beta == 0 ? 0 : t->beta * was);
			sim_store(t->ct, t->c, j * t->ldc + i,
				  t->conjugate && i == j ? creal(sum) : sum);
		}
}

#define RANKX(P, T, K, R, RK, name, conjugate)                                                     \
	void run_cublas##P##name(cublasFillMode_t uplo, cublasOperation_t trans, int64_t n,        \
				 int64_t k, const T *alpha, const T *A, int64_t lda, const T *B,   \
				 int64_t ldb, const R *beta, T *C, int64_t ldc)                    \
	{                                                                                          \
		triangle(&(struct triangle){uplo, trans, conjugate, n, k, sim_load(K, alpha, 0),   \
					    sim_load(RK, beta, 0), A, B, C, K, K, lda, ldb, ldc}); \
	}
RANKX(S, float, CUDA_R_32F, float, CUDA_R_32F, syrkx, false)
RANKX(D, double, CUDA_R_64F, double, CUDA_R_64F, syrkx, false)
RANKX(C, cuComplex, CUDA_C_32F, cuComplex, CUDA_C_32F, syrkx, false)
RANKX(Z, cuDoubleComplex, CUDA_C_64F, cuDoubleComplex, CUDA_C_64F, syrkx, false)
RANKX(C, cuComplex, CUDA_C_32F, float, CUDA_R_32F, herkx, true)
RANKX(Z, cuDoubleComplex, CUDA_C_64F, double, CUDA_R_64F, herkx, true)

#define RANK_EX(name, R, RK, conjugate)                                                            \
	void run_cublasC##name(cublasFillMode_t uplo, cublasOperation_t trans, int64_t n,          \
			       int64_t k, const R *alpha, const void *A, cudaDataType_t Atype,     \
			       int64_t lda, const R *beta, void *C, cudaDataType_t Ctype,          \
			       int64_t ldc)                                                        \
	{                                                                                          \
		triangle(&(struct triangle){uplo, trans, conjugate, n, k, sim_load(RK, alpha, 0),  \
					    sim_load(RK, beta, 0), A, A, C, (int)Atype,            \
					    (int)Ctype, lda, lda, ldc});                           \
	}
RANK_EX(syrkEx, cuComplex, CUDA_C_32F, false)
RANK_EX(syrk3mEx, cuComplex, CUDA_C_32F, false)
RANK_EX(herkEx, float, CUDA_R_32F, true)
RANK_EX(herk3mEx, float, CUDA_R_32F, true)

#define SYMMETRIC(P, p, T, name)                                                                   \
	void run_cublas##P##name##_v2(cublasSideMode_t side, cublasFillMode_t uplo, int64_t m,     \
				      int64_t n, const T *alpha, const T *A, int64_t lda,          \
				      const T *B, int64_t ldb, const T *beta, T *C, int64_t ldc)   \
	{                                                                                          \
		BLAS(#p #name "_", SIDE(side), UPLO(uplo), INT(m), INT(n), alpha, A, INT(lda), B,  \
		     INT(ldb), beta, C, INT(ldc));                                                 \
	}
SYMMETRIC(S, s, float, symm)
SYMMETRIC(D, d, double, symm)
SYMMETRIC(C, c, cuComplex, symm)
SYMMETRIC(Z, z, cuDoubleComplex, symm)
SYMMETRIC(C, c, cuComplex, hemm)
SYMMETRIC(Z, z, cuDoubleComplex, hemm)

/* BLAS multiplies in place. */
#define TRIANGULAR(P, p, T)                                                                        \
	void run_cublas##P##trsm_v2(cublasSideMode_t side, cublasFillMode_t uplo,                  \
				    cublasOperation_t trans, cublasDiagType_t diag, int64_t m,     \
				    int64_t n, const T *alpha, const T *A, int64_t lda, T *B,      \
				    int64_t ldb)                                                   \
	{                                                                                          \
		BLAS(#p "trsm_", SIDE(side), UPLO(uplo), TRANS(trans), DIAG(diag), INT(m), INT(n), \
		     alpha, A, INT(lda), B, INT(ldb));                                             \
	}                                                                                          \
	void run_cublas##P##trmm_v2(cublasSideMode_t side, cublasFillMode_t uplo,                  \
				    cublasOperation_t trans, cublasDiagType_t diag, int64_t m,     \
				    int64_t n, const T *alpha, const T *A, int64_t lda,            \
				    const T *B, int64_t ldb, T *C, int64_t ldc)                    \
	{                                                                                          \
		for (int64_t j = 0; j < n && (B != C || ldb != ldc); j++)                          \
			memmove(C + j * ldc, B + j * ldb, (size_t)m * sizeof(T));                  \
		BLAS(#p "trmm_", SIDE(side), UPLO(uplo), TRANS(trans), DIAG(diag), INT(m), INT(n), \
		     alpha, A, INT(lda), C, INT(ldc));                                             \
	}
TRIANGULAR(S, s, float)
TRIANGULAR(D, d, double)
TRIANGULAR(C, c, cuComplex)
TRIANGULAR(Z, z, cuDoubleComplex)

#define SUM(P, T, N, conjugate)                                                                    \
	static N term_##P(const T *from, cublasOperation_t op, int64_t ld, int64_t i, int64_t j)   \
	{                                                                                          \
		const N v = ((const N *)(const void *)from)[op ? i * ld + j : j * ld + i];         \
                                                                                                   \
		return op == CUBLAS_OP_C ? conjugate(v) : v;                                       \
	}                                                                                          \
	void run_cublas##P##geam(cublasOperation_t transa, cublasOperation_t transb, int64_t m,    \
				 int64_t n, const T *alpha, const T *A, int64_t lda,               \
				 const T *beta, const T *B, int64_t ldb, T *C, int64_t ldc)        \
	{                                                                                          \
		const N a = *(const N *)(const void *)alpha, b = *(const N *)(const void *)beta;   \
                                                                                                   \
		for (int64_t j = 0; j < n; j++)                                                    \
			for (int64_t i = 0; i < m; i++)                                            \
				((N *)(void *)C)[j * ldc + i] =                                    \
					(a == 0 ? 0 : a * term_##P(A, transa, lda, i, j)) +        \
					(b == 0 ? 0 : b * term_##P(B, transb, ldb, i, j));         \
	}                                                                                          \
	void run_cublas##P##dgmm(cublasSideMode_t side, int64_t m, int64_t n, const T *A,          \
				 int64_t lda, const T *x, int64_t incx, T *C, int64_t ldc)         \
	{                                                                                          \
		const int64_t many = side ? n : m;                                                 \
                                                                                                   \
		for (int64_t j = 0; j < n; j++)                                                    \
			for (int64_t i = 0; i < m; i++)                                            \
				((N *)(void *)C)[j * ldc + i] =                                    \
					((const N *)(const void *)A)[j * lda + i] *                \
					((const N *)(const void *)                                 \
						 x)[place(many, incx, side ? j : i)];              \
	}
SUM(S, float, float, )
SUM(D, double, double, )
SUM(C, cuComplex, float complex, conjf)
SUM(Z, cuDoubleComplex, double complex, conj)

void run_cublasUint8gemmBias(cublasOperation_t transa, cublasOperation_t transb,
			     cublasOperation_t transc, int m, int n, int k, const void *A,
			     int A_bias, int lda, const void *B, int B_bias, int ldb, void *C,
			     int C_bias, int ldc, int C_mult, int C_shift)
{
	const unsigned char *a = A, *b = B;

	for (int64_t j = 0; j < n; j++)
		for (int64_t i = 0; i < m; i++) {
			int64_t sum = 0, v;

			for (int64_t l = 0; l < k; l++)
				sum += ((int64_t)a[transa ? i * lda + l : l * lda + i] + A_bias) *
				       ((int64_t)b[transb ? l * ldb + j : j * ldb + l] + B_bias);
			v = (sum * C_mult >> (C_shift & 31)) + C_bias;
			((unsigned char *)C)[transc ? i * ldc + j : j * ldc + i] =
				(unsigned char)(v < 0     ? 0
						: v > 255 ? 255
							  : v);
		}
}
