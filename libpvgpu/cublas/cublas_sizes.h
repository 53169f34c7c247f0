/* SPDX-License-Identifier: MIT */
/* Sizes for the description's expressions about cuBLAS; guest and worker use the same. */
#ifndef PVGPU_CUBLAS_SIZES_H
#define PVGPU_CUBLAS_SIZES_H

#include "cublas/cublas_types.h"

/* Bytes of an element; 0: a type that is not served. */
static inline int cublas_type_bytes(int64_t type)
{
	switch (type) {
	case CUDA_R_8I:
	case CUDA_R_8U:
		return 1;
	case CUDA_R_16F:
	case CUDA_R_16BF:
	case CUDA_C_8I:
	case CUDA_C_8U:
		return 2;
	case CUDA_R_32F:
	case CUDA_R_32I:
	case CUDA_C_16F:
	case CUDA_C_16BF:
		return 4;
	case CUDA_R_64F:
	case CUDA_C_32F:
	case CUDA_C_32I:
		return 8;
	case CUDA_C_64F:
		return 16;
	default:
		return 0;
	}
}

/* Bytes of alpha and beta for a result of this type; 0: a computation that is not served. */
static inline int cublas_scalar_bytes(int64_t compute, int64_t type)
{
	const int parts = type == CUDA_C_32F || type == CUDA_C_64F ? 2 : 1;

	switch (compute) {
	case CUBLAS_COMPUTE_16F:
	case CUBLAS_COMPUTE_16F_PEDANTIC:
		return 2;
	case CUBLAS_COMPUTE_32F:
	case CUBLAS_COMPUTE_32F_PEDANTIC:
	case CUBLAS_COMPUTE_32F_FAST_16F:
	case CUBLAS_COMPUTE_32F_FAST_16BF:
	case CUBLAS_COMPUTE_32F_FAST_TF32:
	case CUBLAS_COMPUTE_32F_EMULATED_16BFX9:
		return 4 * parts;
	case CUBLAS_COMPUTE_32I:
	case CUBLAS_COMPUTE_32I_PEDANTIC:
		return 4;
	case CUBLAS_COMPUTE_64F:
	case CUBLAS_COMPUTE_64F_PEDANTIC:
	case CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT:
		return 8 * parts;
	default:
		return 0;
	}
}

#endif
