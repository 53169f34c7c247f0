/* SPDX-License-Identifier: MIT */
/* Green contexts, device resources, events of whole contexts: this part of cuda.h. */
#ifndef PVGPU_CUDA_GREEN_H
#define PVGPU_CUDA_GREEN_H

#include "pvgpu_cuda_structs.h"

#define RESOURCE_ABI_VERSION        1
#define RESOURCE_ABI_EXTERNAL_BYTES 48

typedef struct CUdevResourceDesc_st *CUdevResourceDesc;

typedef enum { CU_GREEN_CTX_DEFAULT_STREAM = 0x1 } CUgreenCtxCreate_flags;

typedef enum {
	CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING = 0x1,
	CU_DEV_SM_RESOURCE_SPLIT_MAX_POTENTIAL_CLUSTER_SIZE = 0x2
} CUdevSmResourceSplit_flags;

typedef enum { CU_DEV_RESOURCE_TYPE_INVALID = 0, CU_DEV_RESOURCE_TYPE_SM = 1 } CUdevResourceType;

typedef struct CUdevSmResource_st {
	unsigned int smCount, minSmPartitionSize, smCoscheduledAlignment;
} CUdevSmResource;

/* Only what made one knows what it stands for: it is handed on as it is. */
typedef struct CUdevResource_st {
	CUdevResourceType type;
	unsigned char _internal_padding[92];
	union {
		CUdevSmResource sm;
		unsigned char _oversize[RESOURCE_ABI_EXTERNAL_BYTES];
	};
} CUdevResource_v1;
typedef CUdevResource_v1 CUdevResource;

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

CUresult CUDAAPI cuDeviceGetDevResource(CUdevice dev, CUdevResource *resource,
					CUdevResourceType type);
CUresult CUDAAPI cuCtxGetDevResource(CUcontext ctx, CUdevResource *resource,
				     CUdevResourceType type);
CUresult CUDAAPI cuGreenCtxGetDevResource(CUgreenCtx green, CUdevResource *resource,
					  CUdevResourceType type);
CUresult CUDAAPI cuDevSmResourceSplitByCount(CUdevResource *result, unsigned int *groups,
					     const CUdevResource *input, CUdevResource *remaining,
					     unsigned int flags, unsigned int minimum);
CUresult CUDAAPI cuDevResourceGenerateDesc(CUdevResourceDesc *desc, CUdevResource *resources,
					   unsigned int count);
CUresult CUDAAPI cuGreenCtxCreate(CUgreenCtx *green, CUdevResourceDesc desc, CUdevice dev,
				  unsigned int flags);
CUresult CUDAAPI cuGreenCtxDestroy(CUgreenCtx green);
CUresult CUDAAPI cuCtxFromGreenCtx(CUcontext *ctx, CUgreenCtx green);
CUresult CUDAAPI cuGreenCtxGetId(CUgreenCtx green, unsigned long long *id);
CUresult CUDAAPI cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx green, unsigned int flags,
					int priority);
CUresult CUDAAPI cuStreamGetGreenCtx(CUstream stream, CUgreenCtx *green);
CUresult CUDAAPI cuGreenCtxRecordEvent(CUgreenCtx green, CUevent event);
CUresult CUDAAPI cuGreenCtxWaitEvent(CUgreenCtx green, CUevent event);
CUresult CUDAAPI cuCtxRecordEvent(CUcontext ctx, CUevent event);
CUresult CUDAAPI cuCtxWaitEvent(CUcontext ctx, CUevent event);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
