/* SPDX-License-Identifier: MIT */
/* Batches of copies, prefetches and discards: a part of cuda.h. */
#ifndef PVGPU_CUDA_BATCH_H
#define PVGPU_CUDA_BATCH_H

#include "pvgpu_cuda_structs.h"

typedef enum CUmemcpyFlags_enum {
	CU_MEMCPY_FLAG_DEFAULT = 0x0,
	CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE = 0x1
} CUmemcpyFlags;

/* When a copy may read its source */
typedef enum CUmemcpySrcAccessOrder_enum {
	CU_MEMCPY_SRC_ACCESS_ORDER_INVALID = 0x0,
	CU_MEMCPY_SRC_ACCESS_ORDER_STREAM = 0x1,
	CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL = 0x2,
	CU_MEMCPY_SRC_ACCESS_ORDER_ANY = 0x3,
	CU_MEMCPY_SRC_ACCESS_ORDER_MAX = 0x7FFFFFFF
} CUmemcpySrcAccessOrder;

typedef struct CUmemcpyAttributes_st {
	CUmemcpySrcAccessOrder srcAccessOrder;
	CUmemLocation srcLocHint, dstLocHint;
	unsigned int flags;
} CUmemcpyAttributes_v1;
typedef CUmemcpyAttributes_v1 CUmemcpyAttributes;

typedef enum CUmemcpy3DOperandType_enum {
	CU_MEMCPY_OPERAND_TYPE_POINTER = 0x1,
	CU_MEMCPY_OPERAND_TYPE_ARRAY = 0x2,
	CU_MEMCPY_OPERAND_TYPE_MAX = 0x7FFFFFFF
} CUmemcpy3DOperandType;

typedef struct CUoffset3D_st {
	size_t x, y, z;
} CUoffset3D_v1;
typedef CUoffset3D_v1 CUoffset3D;

typedef struct CUextent3D_st {
	size_t width, height, depth;
} CUextent3D_v1;
typedef CUextent3D_v1 CUextent3D;

typedef struct CUmemcpy3DOperand_st {
	CUmemcpy3DOperandType type;
	union {
		struct {
			CUdeviceptr ptr;
			size_t rowLength, layerHeight; /* in elements */
			CUmemLocation locHint;
		} ptr;
		struct {
			CUarray array;
			CUoffset3D offset;
		} array;
	} op;
} CUmemcpy3DOperand_v1;
typedef CUmemcpy3DOperand_v1 CUmemcpy3DOperand;

typedef struct CUDA_MEMCPY3D_BATCH_OP_st {
	CUmemcpy3DOperand src, dst;
	CUextent3D extent; /* in elements of the array; of a byte where there is none */
	CUmemcpySrcAccessOrder srcAccessOrder;
	unsigned int flags;
} CUDA_MEMCPY3D_BATCH_OP_v1;
typedef CUDA_MEMCPY3D_BATCH_OP_v1 CUDA_MEMCPY3D_BATCH_OP;

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

PVGPU_CU_PTSZ(cuMemcpyBatchAsync, (CUdeviceptr * dsts, CUdeviceptr *srcs, size_t *sizes,
				   size_t count, CUmemcpyAttributes *attrs, size_t *attrs_indexes,
				   size_t num_attrs, size_t *fail_index, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyBatchAsync_v2, (CUdeviceptr * dsts, CUdeviceptr *srcs, size_t *sizes,
				      size_t count, CUmemcpyAttributes *attrs,
				      size_t *attrs_indexes, size_t num_attrs, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpy3DBatchAsync, (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *fail_index,
				     unsigned long long flags, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpy3DBatchAsync_v2, (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops,
					unsigned long long flags, CUstream stream));
PVGPU_CU_PTSZ(cuMemPrefetchBatchAsync,
	      (CUdeviceptr * addrs, size_t *sizes, size_t count, CUmemLocation *places,
	       size_t *places_indexes, size_t num_places, unsigned long long flags,
	       CUstream stream));
PVGPU_CU_PTSZ(cuMemDiscardBatchAsync, (CUdeviceptr * addrs, size_t *sizes, size_t count,
				       unsigned long long flags, CUstream stream));
PVGPU_CU_PTSZ(cuMemDiscardAndPrefetchBatchAsync,
	      (CUdeviceptr * addrs, size_t *sizes, size_t count, CUmemLocation *places,
	       size_t *places_indexes, size_t num_places, unsigned long long flags,
	       CUstream stream));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#ifndef __CUDA_API_VERSION_INTERNAL
#define cuMemcpyBatchAsync                __CUDA_API_PTSZ(cuMemcpyBatchAsync_v2)
#define cuMemcpy3DBatchAsync              __CUDA_API_PTSZ(cuMemcpy3DBatchAsync_v2)
#define cuMemPrefetchBatchAsync           __CUDA_API_PTSZ(cuMemPrefetchBatchAsync)
#define cuMemDiscardBatchAsync            __CUDA_API_PTSZ(cuMemDiscardBatchAsync)
#define cuMemDiscardAndPrefetchBatchAsync __CUDA_API_PTSZ(cuMemDiscardAndPrefetchBatchAsync)
#endif

#endif
