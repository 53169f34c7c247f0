/* SPDX-License-Identifier: MIT */
/* The functions of cuBLAS that ggml-cuda.cu calls, as programs name them. */
#ifndef PVGPU_LLAMA_CUBLAS_V2_H
#define PVGPU_LLAMA_CUBLAS_V2_H

#include "cublas/cublas_types.h"

#define cublasCreate    cublasCreate_v2
#define cublasSetStream cublasSetStream_v2
#define cublasSgemm     cublasSgemm_v2

extern "C" {
cublasStatus_t cublasCreate(cublasHandle_t *handle);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
cublasStatus_t cublasSetStream(cublasHandle_t handle, CUstream stream);
const char *cublasGetStatusString(cublasStatus_t status);
cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m,
			   int n, int k, const float *alpha, const float *a, int lda,
			   const float *b, int ldb, const float *beta, float *c, int ldc);
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
			    int m, int n, int k, const void *alpha, const void *a,
			    cudaDataType_t at, int lda, const void *b, cudaDataType_t bt, int ldb,
			    const void *beta, void *c, cudaDataType_t ct, int ldc,
			    cublasComputeType_t compute, cublasGemmAlgo_t algo);
cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t ta,
					  cublasOperation_t tb, int m, int n, int k,
					  const void *alpha, const void *a, cudaDataType_t at,
					  int lda, long long sa, const void *b, cudaDataType_t bt,
					  int ldb, long long sb, const void *beta, void *c,
					  cudaDataType_t ct, int ldc, long long sc, int count,
					  cublasComputeType_t compute, cublasGemmAlgo_t algo);
cublasStatus_t cublasGemmBatchedEx(cublasHandle_t handle, cublasOperation_t ta,
				   cublasOperation_t tb, int m, int n, int k, const void *alpha,
				   const void *const a[], cudaDataType_t at, int lda,
				   const void *const b[], cudaDataType_t bt, int ldb,
				   const void *beta, void *const c[], cudaDataType_t ct, int ldc,
				   int count, cublasComputeType_t compute, cublasGemmAlgo_t algo);
}

#endif
