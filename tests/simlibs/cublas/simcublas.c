/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for libcublas.so.12: plain kernels on whatever libcuda is loaded. It takes the
 * arguments that cuBLAS takes, works in the handle's stream, and reads numbers by pointer as the
 * handle's mode says. For tests: SIMCUBLAS_STATUS=CALL:STATUS has a call answer a status,
 * SIMCUBLAS_WORKSPACE=BYTES has a handle take so much device memory for itself.
 */
#define __CUDA_API_VERSION_INTERNAL
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_cublas.h"

#define PUBLIC __attribute__((visibility("default")))

extern const char ptx_blas[];

enum { WORKSPACE = 4 << 20, BLOCK = 64, GRID = 16 };

struct cublasContext {
	CUmodule module;
	CUdeviceptr workspace; /* as cuBLAS has one for itself */
	CUstream stream;
	cublasPointerMode_t mode;
	cublasMath_t math;
	cublasAtomicsMode_t atomics;
};

/* The status that a call is to answer, or success. */
static cublasStatus_t asked(const char *call)
{
	const char *text = getenv("SIMCUBLAS_STATUS");
	const size_t len = strlen(call);

	if (!text || strncmp(text, call, len) || text[len] != ':')
		return CUBLAS_STATUS_SUCCESS;
	return (cublasStatus_t)atoi(text + len + 1);
}

static size_t workspace(void)
{
	const char *text = getenv("SIMCUBLAS_WORKSPACE");

	return text ? strtoull(text, NULL, 10) : WORKSPACE;
}

PUBLIC cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
	cublasStatus_t s = asked("cublasCreate_v2");
	struct cublasContext *h;

	if (s || !handle)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	h = calloc(1, sizeof(*h));
	if (!h)
		return CUBLAS_STATUS_ALLOC_FAILED;
	if (cuModuleLoadData(&h->module, ptx_blas)) {
		free(h);
		return CUBLAS_STATUS_NOT_INITIALIZED;
	}
	if (cuMemAlloc_v2(&h->workspace, workspace())) {
		cuModuleUnload(h->module);
		free(h);
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	*handle = h;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasDestroy_v2(cublasHandle_t h)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	cuCtxSynchronize();
	cuMemFree_v2(h->workspace);
	cuModuleUnload(h->module);
	free(h);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasGetVersion_v2(cublasHandle_t h, int *version)
{
	const cublasStatus_t s = asked("cublasGetVersion_v2");

	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (s || !version)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	*version = 120000;
	return CUBLAS_STATUS_SUCCESS;
}

#define PAIR(Name, member, type, name, bad)                                                        \
	PUBLIC cublasStatus_t cublasSet##Name(cublasHandle_t h, type name)                         \
	{                                                                                          \
		if (!h)                                                                            \
			return CUBLAS_STATUS_NOT_INITIALIZED;                                      \
		if (bad)                                                                           \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		h->member = name;                                                                  \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasGet##Name(cublasHandle_t h, type *name)                        \
	{                                                                                          \
		if (!h)                                                                            \
			return CUBLAS_STATUS_NOT_INITIALIZED;                                      \
		if (!name)                                                                         \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		*name = h->member;                                                                 \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
PAIR(Stream_v2, stream, CUstream, streamId, 0)
PAIR(PointerMode_v2, mode, cublasPointerMode_t, pointerMode, pointerMode > 1)
PAIR(MathMode, math, cublasMath_t, mathMode, mathMode > 31)
PAIR(AtomicsMode, atomics, cublasAtomicsMode_t, atomicsMode, atomicsMode > 1)

PUBLIC cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t h, void *workspace, size_t bytes)
{
	return h ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

static cublasStatus_t launch(cublasHandle_t h, const char *kernel, bool alone, void **params)
{
	CUfunction f;

	if (cuModuleGetFunction(&f, h->module, kernel))
		return CUBLAS_STATUS_INTERNAL_ERROR;
	return cuLaunchKernel(f, alone ? 1 : GRID, 1, 1, alone ? 1 : BLOCK, 1, 1, 0, h->stream,
			      params, NULL)
		       ? CUBLAS_STATUS_EXECUTION_FAILED
		       : CUBLAS_STATUS_SUCCESS;
}

/* A number by pointer: its address on the device, or its value. */
#define NUMBER(T, name)                                                                            \
	const T *name##_at = h->mode ? name : NULL;                                                \
	T name##_value = h->mode ? 0 : *name

#define ENTER(name, ...)                                                                           \
	const cublasStatus_t status = asked(name);                                                 \
	if (!h)                                                                                    \
		return CUBLAS_STATUS_NOT_INITIALIZED;                                              \
	if (status || (__VA_ARGS__))                                                               \
	return status ? status : CUBLAS_STATUS_INVALID_VALUE
#define RUN(kernel, alone, ...) launch(h, kernel, alone, (void *[]){__VA_ARGS__})

/* Answers that need a place: in device mode the caller's, else the workspace, read back. */
#define ANSWER(T, kernel)                                                                          \
	T *to = h->mode ? value : (T *)(uintptr_t)h->workspace;                                    \
	cublasStatus_t s = RUN(kernel, true, &n, &x, &incx, &to);                                  \
	return s || h->mode ? s : fetch(h, value, sizeof(*value))

static cublasStatus_t fetch(cublasHandle_t h, void *to, size_t bytes)
{
	if (cuMemcpyDtoHAsync_v2(to, h->workspace, bytes, h->stream) ||
	    cuStreamSynchronize(h->stream))
		return CUBLAS_STATUS_EXECUTION_FAILED;
	return CUBLAS_STATUS_SUCCESS;
}

#define LEVEL1(P, L, T)                                                                            \
	PUBLIC cublasStatus_t cublas##P##axpy_v2(cublasHandle_t h, int n, const T *alpha,          \
						 const T *x, int incx, T *y, int incy)             \
	{                                                                                          \
		ENTER("cublas" #P "axpy_v2", !alpha);                                              \
		NUMBER(T, alpha);                                                                  \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : RUN(#L "axpy", false, &n, &alpha_at, &alpha_value, &x, &incx, &y,  \
				    &incy);                                                        \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##scal_v2(cublasHandle_t h, int n, const T *alpha, T *x,    \
						 int incx)                                         \
	{                                                                                          \
		ENTER("cublas" #P "scal_v2", !alpha);                                              \
		NUMBER(T, alpha);                                                                  \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : RUN(#L "scal", false, &n, &alpha_at, &alpha_value, &x, &incx);     \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##copy_v2(cublasHandle_t h, int n, const T *x, int incx,    \
						 T *y, int incy)                                   \
	{                                                                                          \
		ENTER("cublas" #P "copy_v2", 0);                                                   \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : RUN(#L "copy", false, &n, &x, &incx, &y, &incy);                   \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##swap_v2(cublasHandle_t h, int n, T *x, int incx, T *y,    \
						 int incy)                                         \
	{                                                                                          \
		ENTER("cublas" #P "swap_v2", 0);                                                   \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : RUN(#L "swap", false, &n, &x, &incx, &y, &incy);                   \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##dot_v2(cublasHandle_t h, int n, const T *x, int incx,     \
						const T *y, int incy, T *value)                    \
	{                                                                                          \
		ENTER("cublas" #P "dot_v2", !value);                                               \
		T *to = h->mode ? value : (T *)(uintptr_t)h->workspace;                            \
		cublasStatus_t s = RUN(#L "dot", true, &n, &x, &incx, &y, &incy, &to);             \
		return s || h->mode ? s : fetch(h, value, sizeof(*value));                         \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##nrm2_v2(cublasHandle_t h, int n, const T *x, int incx,    \
						 T *value)                                         \
	{                                                                                          \
		ENTER("cublas" #P "nrm2_v2", !value);                                              \
		ANSWER(T, #L "nrm2");                                                              \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##asum_v2(cublasHandle_t h, int n, const T *x, int incx,    \
						 T *value)                                         \
	{                                                                                          \
		ENTER("cublas" #P "asum_v2", !value);                                              \
		ANSWER(T, #L "asum");                                                              \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasI##L##amax_v2(cublasHandle_t h, int n, const T *x, int incx,   \
						  int *value)                                      \
	{                                                                                          \
		ENTER("cublasI" #L "amax_v2", !value);                                             \
		ANSWER(int, #L "amax");                                                            \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##gemv_v2(                                                  \
		cublasHandle_t h, cublasOperation_t trans, int m, int n, const T *alpha,           \
		const T *A, int lda, const T *x, int incx, const T *beta, T *y, int incy)          \
	{                                                                                          \
		ENTER("cublas" #P "gemv_v2", trans > 2 || m < 0 || n < 0 || lda < 1 || lda < m ||  \
						     !incx || !incy || !alpha || !beta);           \
		NUMBER(T, alpha);                                                                  \
		NUMBER(T, beta);                                                                   \
		return !m || !n ? CUBLAS_STATUS_SUCCESS                                            \
				: RUN(#L "gemv", false, &trans, &m, &n, &alpha_at, &alpha_value,   \
				      &A, &lda, &x, &incx, &beta_at, &beta_value, &y, &incy);      \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##gemmStridedBatched(                                       \
		cublasHandle_t h, cublasOperation_t transa, cublasOperation_t transb, int m,       \
		int n, int k, const T *alpha, const T *A, int lda, long long strideA, const T *B,  \
		int ldb, long long strideB, const T *beta, T *C, int ldc, long long strideC,       \
		int batchCount)                                                                    \
	{                                                                                          \
		ENTER("cublas" #P "gemmStridedBatched",                                            \
		      transa > 2 || transb > 2 || m < 0 || n < 0 || k < 0 || lda < 1 ||            \
			      lda < (transa ? k : m) || ldb < 1 || ldb < (transb ? n : k) ||       \
			      ldc < 1 || ldc < m || batchCount < 0 || strideA < 0 ||               \
			      strideB < 0 || strideC < 0 || !alpha || !beta);                      \
		NUMBER(T, alpha);                                                                  \
		NUMBER(T, beta);                                                                   \
		if (!m || !n || !batchCount)                                                       \
			return CUBLAS_STATUS_SUCCESS;                                              \
		return RUN(#L "gemm", false, &transa, &transb, &m, &n, &k, &alpha_at,              \
			   &alpha_value, &A, &lda, &strideA, &B, &ldb, &strideB, &beta_at,         \
			   &beta_value, &C, &ldc, &strideC, &batchCount);                          \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##gemm_v2(cublasHandle_t h, cublasOperation_t transa,       \
						 cublasOperation_t transb, int m, int n, int k,    \
						 const T *alpha, const T *A, int lda, const T *B,  \
						 int ldb, const T *beta, T *C, int ldc)            \
	{                                                                                          \
		const cublasStatus_t status = asked("cublas" #P "gemm_v2");                        \
                                                                                                   \
		return status ? status                                                             \
			      : cublas##P##gemmStridedBatched(h, transa, transb, m, n, k, alpha,   \
							      A, lda, 0, B, ldb, 0, beta, C, ldc,  \
							      0, 1);                               \
	}
LEVEL1(S, s, float)
LEVEL1(D, d, double)

/* Matrices whose addresses lie in device memory; numbers of groups in host memory. */
#define BATCHED(P, L, T)                                                                           \
	PUBLIC cublasStatus_t cublas##P##gemmBatched(                                              \
		cublasHandle_t h, cublasOperation_t transa, cublasOperation_t transb, int m,       \
		int n, int k, const T *alpha, const uint64_t *Aarray, int lda,                     \
		const uint64_t *Barray, int ldb, const T *beta, const uint64_t *Carray, int ldc,   \
		int batchCount)                                                                    \
	{                                                                                          \
		ENTER("cublas" #P "gemmBatched",                                                   \
		      transa > 2 || transb > 2 || m < 0 || n < 0 || k < 0 || lda < 1 ||            \
			      lda < (transa ? k : m) || ldb < 1 || ldb < (transb ? n : k) ||       \
			      ldc < 1 || ldc < m || batchCount < 0 || !alpha || !beta);            \
		NUMBER(T, alpha);                                                                  \
		NUMBER(T, beta);                                                                   \
		if (!m || !n || !batchCount)                                                       \
			return CUBLAS_STATUS_SUCCESS;                                              \
		return RUN(#L "gemm_at", false, &transa, &transb, &m, &n, &k, &alpha_at,           \
			   &alpha_value, &Aarray, &lda, &Barray, &ldb, &beta_at, &beta_value,      \
			   &Carray, &ldc, &batchCount);                                            \
	}                                                                                          \
	PUBLIC cublasStatus_t cublas##P##gemmGroupedBatched(                                       \
		cublasHandle_t h, const cublasOperation_t *transa,                                 \
		const cublasOperation_t *transb, const int *m, const int *n, const int *k,         \
		const T *alpha, const uint64_t *Aarray, const int *lda, const uint64_t *Barray,    \
		const int *ldb, const T *beta, const uint64_t *Carray, const int *ldc, int groups, \
		const int *size)                                                                   \
	{                                                                                          \
		ENTER("cublas" #P "gemmGroupedBatched",                                            \
		      groups < 0 || (groups && (!transa || !transb || !m || !n || !k || !alpha ||  \
						!lda || !ldb || !beta || !ldc || !size)));         \
		for (int i = 0; i < groups; i++)                                                   \
			if (transa[i] > 2 || transb[i] > 2 || m[i] < 0 || n[i] < 0 || k[i] < 0 ||  \
			    lda[i] < 1 || lda[i] < (transa[i] ? k[i] : m[i]) || ldb[i] < 1 ||      \
			    ldb[i] < (transb[i] ? n[i] : k[i]) || ldc[i] < 1 || ldc[i] < m[i] ||   \
			    size[i] < 0)                                                           \
				return CUBLAS_STATUS_INVALID_VALUE;                                \
		if (h->mode)                                                                       \
			return CUBLAS_STATUS_NOT_SUPPORTED;                                        \
		for (int i = 0; i < groups; i++) {                                                 \
			const cublasStatus_t s = cublas##P##gemmBatched(                           \
				h, transa[i], transb[i], m[i], n[i], k[i], &alpha[i], Aarray,      \
				lda[i], Barray, ldb[i], &beta[i], Carray, ldc[i], size[i]);        \
                                                                                                   \
			if (s)                                                                     \
				return s;                                                          \
			Aarray += size[i];                                                         \
			Barray += size[i];                                                         \
			Carray += size[i];                                                         \
		}                                                                                  \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
BATCHED(S, s, float)
BATCHED(D, d, double)

PUBLIC cublasStatus_t cublasGemmGroupedBatchedEx(
	cublasHandle_t h, const cublasOperation_t *transa, const cublasOperation_t *transb,
	const int *m, const int *n, const int *k, const void *alpha, const uint64_t *Aarray,
	cudaDataType_t Atype, const int *lda, const uint64_t *Barray, cudaDataType_t Btype,
	const int *ldb, const void *beta, const uint64_t *Carray, cudaDataType_t Ctype,
	const int *ldc, int groups, const int *size, cublasComputeType_t computeType)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (Atype == CUDA_R_32F && Btype == Atype && Ctype == Atype &&
	    computeType == CUBLAS_COMPUTE_32F)
		return cublasSgemmGroupedBatched(h, transa, transb, m, n, k, alpha, Aarray, lda,
						 Barray, ldb, beta, Carray, ldc, groups, size);
	if (Atype == CUDA_R_64F && Btype == Atype && Ctype == Atype &&
	    computeType == CUBLAS_COMPUTE_64F)
		return cublasDgemmGroupedBatched(h, transa, transb, m, n, k, alpha, Aarray, lda,
						 Barray, ldb, beta, Carray, ldc, groups, size);
	return CUBLAS_STATUS_NOT_SUPPORTED;
}

PUBLIC cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t transa,
				   cublasOperation_t transb, int m, int n, int k, const void *alpha,
				   const void *A, cudaDataType_t Atype, int lda, const void *B,
				   cudaDataType_t Btype, int ldb, const void *beta, void *C,
				   cudaDataType_t Ctype, int ldc, cublasComputeType_t computeType,
				   cublasGemmAlgo_t algo)
{
	if (!h)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if ((int)algo < -1 || (int)algo > 115)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (Atype == CUDA_R_32F && Btype == Atype && Ctype == Atype &&
	    computeType == CUBLAS_COMPUTE_32F)
		return cublasSgemm_v2(h, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C,
				      ldc);
	if (Atype == CUDA_R_64F && Btype == Atype && Ctype == Atype &&
	    computeType == CUBLAS_COMPUTE_64F)
		return cublasDgemm_v2(h, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C,
				      ldc);
	return CUBLAS_STATUS_NOT_SUPPORTED;
}

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

#define VECTOR(Name, to_device, now, stream, ...)                                                  \
	PUBLIC cublasStatus_t cublas##Name(int n, int elemSize, const void *x, int incx, void *y,  \
					   int incy __VA_ARGS__)                                   \
	{                                                                                          \
		const size_t bytes = (size_t)elemSize;                                             \
                                                                                                   \
		if (elemSize <= 0 || incx <= 0 || incy <= 0)                                       \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		return n <= 0 ? CUBLAS_STATUS_SUCCESS                                              \
			      : copy(to_device, x, bytes * (size_t)incx, y, bytes * (size_t)incy,  \
				     bytes, (size_t)n, now, stream);                               \
	}
#define MATRIX(Name, to_device, now, stream, ...)                                                  \
	PUBLIC cublasStatus_t cublas##Name(int rows, int cols, int elemSize, const void *A,        \
					   int lda, void *B, int ldb __VA_ARGS__)                  \
	{                                                                                          \
		const size_t bytes = (size_t)elemSize;                                             \
                                                                                                   \
		if (rows < 0 || cols < 0 || elemSize <= 0 || lda <= 0 || ldb <= 0 || lda < rows || \
		    ldb < rows)                                                                    \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		return copy(to_device, A, bytes * (size_t)lda, B, bytes * (size_t)ldb,             \
			    bytes * (size_t)rows, (size_t)cols, now, stream);                      \
	}
VECTOR(SetVector, true, true, NULL)
VECTOR(GetVector, false, true, NULL)
VECTOR(SetVectorAsync, true, false, stream, , CUstream stream)
VECTOR(GetVectorAsync, false, false, stream, , CUstream stream)
MATRIX(SetMatrix, true, true, NULL)
MATRIX(GetMatrix, false, true, NULL)
MATRIX(SetMatrixAsync, true, false, stream, , CUstream stream)
MATRIX(GetMatrixAsync, false, false, stream, , CUstream stream)

PUBLIC const char *cublasGetStatusName(cublasStatus_t status)
{
	return "?";
}

PUBLIC const char *cublasGetStatusString(cublasStatus_t status)
{
	return "?";
}
