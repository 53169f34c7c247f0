/* SPDX-License-Identifier: MIT */
/* Groups of products, each with sizes of its own; and copies, which are libcuda's. */
#include "simcublas_run.h"

struct groups {
	const cublasOperation_t *transa, *transb;
	const void *m, *n, *k, *lda, *ldb, *ldc, *size; /* int, or int64_t if wide */
	bool wide;
	const void *alpha, *beta;
	const uint64_t *a, *b, *c;
	cudaDataType_t at, bt, ct;
	cublasComputeType_t compute;
	int64_t count;
};

static int64_t number(const struct groups *g, const void *of, int64_t i)
{
	return g->wide ? ((const int64_t *)of)[i] : ((const int *)of)[i];
}

static bool good(const struct groups *g, int64_t i)
{
	const int64_t m = number(g, g->m, i), n = number(g, g->n, i), k = number(g, g->k, i);
	const int64_t lda = number(g, g->lda, i), ldb = number(g, g->ldb, i);
	const int64_t ldc = number(g, g->ldc, i);

	return g->transa[i] <= 2 && g->transb[i] <= 2 && m >= 0 && n >= 0 && k >= 0 && lda >= 1 &&
	       lda >= (g->transa[i] ? k : m) && ldb >= 1 && ldb >= (g->transb[i] ? n : k) &&
	       ldc >= 1 && ldc >= m && number(g, g->size, i) >= 0;
}

static cublasStatus_t grouped(cublasHandle_t h, struct groups *g)
{
	const int bytes = cublas_scalar_bytes(g->compute, g->ct);

	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (g->count < 0 ||
	    (g->count && (!g->transa || !g->transb || !g->m || !g->n || !g->k || !g->alpha ||
			  !g->lda || !g->ldb || !g->beta || !g->ldc || !g->size)))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!bytes || !cublas_type_bytes(g->at) || !cublas_type_bytes(g->bt) ||
	    !cublas_type_bytes(g->ct))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (int64_t i = 0; i < g->count; i++)
		if (!good(g, i))
			return CUBLAS_STATUS_INVALID_VALUE;
	if (h->mode)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (int64_t i = 0; i < g->count; i++) {
		const int64_t size = number(g, g->size, i);
		const cublasStatus_t s = cublasGemmBatchedEx_64(
			h, g->transa[i], g->transb[i], number(g, g->m, i), number(g, g->n, i),
			number(g, g->k, i), (const char *)g->alpha + i * bytes, g->a, g->at,
			number(g, g->lda, i), g->b, g->bt, number(g, g->ldb, i),
			(const char *)g->beta + i * bytes, g->c, g->ct, number(g, g->ldc, i), size,
			g->compute, CUBLAS_GEMM_DEFAULT);

		if (s)
			return s;
		g->a += size;
		g->b += size;
		g->c += size;
	}
	return CUBLAS_STATUS_SUCCESS;
}

#define GROUPED(name, N, wide, T, type, compute)                                                   \
	PUBLIC cublasStatus_t name(cublasHandle_t handle, const cublasOperation_t *transa,         \
				   const cublasOperation_t *transb, const N *m, const N *n,        \
				   const N *k, const T *alpha, const uint64_t *Aarray,             \
				   const N *lda, const uint64_t *Barray, const N *ldb,             \
				   const T *beta, const uint64_t *Carray, const N *ldc, N count,   \
				   const N *size)                                                  \
	{                                                                                          \
		const cublasStatus_t status = sim_asked(#name);                                    \
		struct groups g = {transa, transb, m,    n,     k,       lda,    ldb,              \
				   ldc,    size,   wide, alpha, beta,    Aarray, Barray,           \
				   Carray, type,   type, type,  compute, count};                   \
                                                                                                   \
		return status ? status : grouped(handle, &g);                                      \
	}
GROUPED(cublasSgemmGroupedBatched, int, false, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GROUPED(cublasDgemmGroupedBatched, int, false, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GROUPED(cublasSgemmGroupedBatched_64, int64_t, true, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GROUPED(cublasDgemmGroupedBatched_64, int64_t, true, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)

#define GROUPED_EX(name, N, wide)                                                                  \
	PUBLIC cublasStatus_t name(cublasHandle_t handle, const cublasOperation_t *transa,         \
				   const cublasOperation_t *transb, const N *m, const N *n,        \
				   const N *k, const void *alpha, const uint64_t *Aarray,          \
				   cudaDataType_t Atype, const N *lda, const uint64_t *Barray,     \
				   cudaDataType_t Btype, const N *ldb, const void *beta,           \
				   const uint64_t *Carray, cudaDataType_t Ctype, const N *ldc,     \
				   N count, const N *size, cublasComputeType_t compute)            \
	{                                                                                          \
		struct groups g = {transa, transb, m,     n,     k,       lda,    ldb,             \
				   ldc,    size,   wide,  alpha, beta,    Aarray, Barray,          \
				   Carray, Atype,  Btype, Ctype, compute, count};                  \
                                                                                                   \
		return grouped(handle, &g);                                                        \
	}
GROUPED_EX(cublasGemmGroupedBatchedEx, int, false)
GROUPED_EX(cublasGemmGroupedBatchedEx_64, int64_t, true)

static cublasStatus_t copy(bool to_device, const void *from, size_t from_apart, void *to,
			   size_t to_apart, size_t width, size_t count, bool now, CUstream stream)
{
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = from,
			   .srcPitch = from_apart,
			   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			   .dstDevice = (CUdeviceptr)(uintptr_t)to,
			   .dstPitch = to_apart,
			   .WidthInBytes = width,
			   .Height = count};

	if (!to_device) {
		c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
		c.srcDevice = (CUdeviceptr)(uintptr_t)from;
		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = to;
	}
	if (!width || !count)
		return CUBLAS_STATUS_SUCCESS;
	return (now ? cuMemcpy2DUnaligned_v2(&c) : cuMemcpy2DAsync_v2(&c, stream))
		       ? CUBLAS_STATUS_MAPPING_ERROR
		       : CUBLAS_STATUS_SUCCESS;
}

#define VECTOR(Name, N, to_device, now, stream, ...)                                               \
	PUBLIC cublasStatus_t cublas##Name(N n, N elemSize, const void *x, N incx, void *y,        \
					   N incy __VA_ARGS__)                                     \
	{                                                                                          \
		const size_t bytes = (size_t)elemSize;                                             \
                                                                                                   \
		if (elemSize <= 0 || incx <= 0 || incy <= 0)                                       \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : copy(to_device, x, bytes * (size_t)incx, y, bytes * (size_t)incy,  \
				     bytes, (size_t)n, now, stream);                               \
	}
#define MATRIX(Name, N, to_device, now, stream, ...)                                               \
	PUBLIC cublasStatus_t cublas##Name(N rows, N cols, N elemSize, const void *A, N lda,       \
					   void *B, N ldb __VA_ARGS__)                             \
	{                                                                                          \
		const size_t bytes = (size_t)elemSize;                                             \
                                                                                                   \
		if (rows < 0 || cols < 0 || elemSize <= 0 || lda <= 0 || ldb <= 0 || lda < rows || \
		    ldb < rows)                                                                    \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		return copy(to_device, A, bytes * (size_t)lda, B, bytes * (size_t)ldb,             \
			    bytes * (size_t)rows, (size_t)cols, now, stream);                      \
	}
VECTOR(SetVector, int, true, true, NULL)
VECTOR(SetVectorAsync, int, true, false, stream, , CUstream stream)
VECTOR(GetVector, int, false, true, NULL)
VECTOR(GetVectorAsync, int, false, false, stream, , CUstream stream)
MATRIX(SetMatrix, int, true, true, NULL)
MATRIX(SetMatrixAsync, int, true, false, stream, , CUstream stream)
MATRIX(GetMatrix, int, false, true, NULL)
MATRIX(GetMatrixAsync, int, false, false, stream, , CUstream stream)
VECTOR(SetVector_64, int64_t, true, true, NULL)
VECTOR(SetVectorAsync_64, int64_t, true, false, stream, , CUstream stream)
VECTOR(GetVector_64, int64_t, false, true, NULL)
VECTOR(GetVectorAsync_64, int64_t, false, false, stream, , CUstream stream)
MATRIX(SetMatrix_64, int64_t, true, true, NULL)
MATRIX(SetMatrixAsync_64, int64_t, true, false, stream, , CUstream stream)
MATRIX(GetMatrix_64, int64_t, false, true, NULL)
MATRIX(GetMatrixAsync_64, int64_t, false, false, stream, , CUstream stream)

PUBLIC const char *cublasGetStatusName(cublasStatus_t status)
{
	return "?";
}

PUBLIC const char *cublasGetStatusString(cublasStatus_t status)
{
	return "?";
}
