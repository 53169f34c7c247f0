/* SPDX-License-Identifier: MIT */
/* Rotations whose numbers are in host memory: nothing for the GPU. */
#include "pvgpu_calls_cublas.h"

#include "cublas/rotations.h"

#define HOST(Letter, letter, T, R)                                                                 \
	cublasStatus_t cublas##Letter##rotg_v2_host(cublasHandle_t handle, T *ra, T *rb,           \
						    R *cosine, T *sine)                            \
	{                                                                                          \
		if (!ra || !rb || !cosine || !sine)                                                \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		rotation_##letter((void *)ra, (void *)rb, cosine, (void *)sine);                   \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
HOST(S, s, float, float)
HOST(D, d, double, double)
HOST(C, c, cuComplex, float)
HOST(Z, z, cuDoubleComplex, double)

#define HOST_MODIFIED(Letter, letter, T)                                                           \
	cublasStatus_t cublas##Letter##rotmg_v2_host(cublasHandle_t handle, T *d1, T *d2, T *x1,   \
						     const T *y1, T *param)                        \
	{                                                                                          \
		if (!d1 || !d2 || !x1 || !y1 || !param)                                            \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		rotation_modified_##letter(d1, d2, x1, *y1, param);                                \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}
HOST_MODIFIED(S, s, float)
HOST_MODIFIED(D, d, double)

cublasStatus_t cublasRotgEx_host(cublasHandle_t handle, void *ra, void *rb, cudaDataType_t abType,
				 void *cosine, void *sine, cudaDataType_t csType,
				 cudaDataType_t executiontype)
{
	if (abType == CUDA_R_32F && csType == CUDA_R_32F)
		return cublasSrotg_v2_host(handle, ra, rb, cosine, sine);
	if (abType == CUDA_R_64F && csType == CUDA_R_64F)
		return cublasDrotg_v2_host(handle, ra, rb, cosine, sine);
	return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasRotmgEx_host(cublasHandle_t handle, void *d1, cudaDataType_t d1Type, void *d2,
				  cudaDataType_t d2Type, void *x1, cudaDataType_t x1Type,
				  const void *y1, cudaDataType_t y1Type, void *param,
				  cudaDataType_t paramType, cudaDataType_t executiontype)
{
	if (d1Type != d2Type || d1Type != x1Type || d1Type != y1Type || d1Type != paramType)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (d1Type == CUDA_R_32F)
		return cublasSrotmg_v2_host(handle, d1, d2, x1, y1, param);
	if (d1Type == CUDA_R_64F)
		return cublasDrotmg_v2_host(handle, d1, d2, x1, y1, param);
	return CUBLAS_STATUS_NOT_SUPPORTED;
}
