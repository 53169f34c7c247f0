/* SPDX-License-Identifier: MIT */
/* Types and numbers of cuBLASLt 12 and 13, as its documentation has them. Attributes are plain
 * numbers here: attributes.h has their sizes. */
#ifndef PVGPU_CUBLASLT_TYPES_H
#define PVGPU_CUBLASLT_TYPES_H

#include <stdio.h>

#include "cublas/cublas_types.h"

typedef struct cublasLtContext *cublasLtHandle_t;

/* An application's descriptors. Version 12's layout has 8 words, its preference as well. */
enum { LT_LAYOUT_WORDS = 14, LT_LAYOUT_WORDS_12 = 8, LT_PREFERENCE_WORDS = 12 };

typedef struct {
	uint64_t data[LT_LAYOUT_WORDS];
} cublasLtMatrixLayoutOpaque_t;
typedef cublasLtMatrixLayoutOpaque_t *cublasLtMatrixLayout_t;
typedef struct {
	uint64_t data[32];
} cublasLtMatmulDescOpaque_t;
typedef cublasLtMatmulDescOpaque_t *cublasLtMatmulDesc_t;
typedef struct {
	uint64_t data[8];
} cublasLtMatrixTransformDescOpaque_t;
typedef cublasLtMatrixTransformDescOpaque_t *cublasLtMatrixTransformDesc_t;
typedef struct {
	uint64_t data[LT_PREFERENCE_WORDS];
} cublasLtMatmulPreferenceOpaque_t;
typedef cublasLtMatmulPreferenceOpaque_t *cublasLtMatmulPreference_t;
typedef struct {
	uint64_t data[8];
} cublasLtEmulationDescOpaque_t;
typedef cublasLtEmulationDescOpaque_t *cublasLtEmulationDesc_t;

typedef struct {
	uint64_t data[8];
} cublasLtMatmulAlgo_t;

typedef struct {
	cublasLtMatmulAlgo_t algo;
	size_t workspaceSize;
	cublasStatus_t state;
	float wavesCount;
	int reserved[4];
} cublasLtMatmulHeuristicResult_t;

typedef void (*cublasLtLoggerCallback_t)(int level, const char *function, const char *message);

enum lt_order { LT_COL, LT_ROW, LT_COL32, LT_COL4_4R2_8C, LT_COL32_2R_4R4, LT_ORDERS };

enum lt_batch_mode { LT_STRIDED, LT_POINTERS, LT_GROUPED };

enum lt_pointer_mode {
	LT_HOST,
	LT_DEVICE,
	LT_VECTORS,
	LT_VECTOR_ZERO, /* alpha is a vector, beta 0 */
	LT_VECTOR_HOST, /* alpha is a vector, beta a number of the host's */
	LT_POINTER_MODES
};

/* An epilogue is a sum of these. */
enum lt_epilogue {
	LT_PLAIN = 1,
	LT_RELU = 2,
	LT_BIAS = 4,
	LT_DRELU = 8,
	LT_BGRAD = 16,
	LT_GELU = 32,
	LT_DGELU = 64,
	LT_AUX = 128,
	LT_BGRADA = 256,
	LT_BGRADB = 512
};

enum lt_scale_mode {
	LT_SCALE_ONE,
	LT_SCALE_VEC16,
	LT_SCALE_VEC32,
	LT_SCALE_OUTER,
	LT_SCALE_VEC128,
	LT_SCALE_BLOCK128,
	LT_SCALE_BATCH,
	LT_SCALE_VEC128_K4 = 12,
	LT_SCALE_VEC32_K4 = 13
};

/* Of cudaDataType_t. */
enum lt_type { LT_E4M3 = 28, LT_E5M2 = 29 };

enum { LT_FILL_FULL = 2, LT_REDUCTION_MASK = 7, LT_UNSET_INVARIANCE = 0x8000 };

#endif
