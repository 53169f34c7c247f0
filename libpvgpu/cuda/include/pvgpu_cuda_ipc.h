/* SPDX-License-Identifier: MIT */
/* Memory and events that processes share: this part of cuda.h. Included by cuda.h. */
#ifndef PVGPU_CUDA_IPC_H
#define PVGPU_CUDA_IPC_H

#include "pvgpu_cuda_structs.h"

#define CU_IPC_HANDLE_SIZE 64

typedef enum CUipcMem_flags_enum {
	CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS = 0x1,
} CUipcMem_flags;

typedef struct CUipcEventHandle_st {
	char reserved[CU_IPC_HANDLE_SIZE];
} CUipcEventHandle_v1;
typedef CUipcEventHandle_v1 CUipcEventHandle;

typedef struct CUipcMemHandle_st {
	char reserved[CU_IPC_HANDLE_SIZE];
} CUipcMemHandle_v1;
typedef CUipcMemHandle_v1 CUipcMemHandle;

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

CUresult CUDAAPI cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event);
CUresult CUDAAPI cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle);
CUresult CUDAAPI cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr addr);
CUresult CUDAAPI cuIpcOpenMemHandle(CUdeviceptr *addr, CUipcMemHandle handle, unsigned int flags);
CUresult CUDAAPI cuIpcOpenMemHandle_v2(CUdeviceptr *addr, CUipcMemHandle handle,
				       unsigned int flags);
CUresult CUDAAPI cuIpcCloseMemHandle(CUdeviceptr addr);
CUresult CUDAAPI cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
					      CUmemAllocationHandleType type,
					      unsigned long long flags);
CUresult CUDAAPI cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle,
						void *shareable, CUmemAllocationHandleType type);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
