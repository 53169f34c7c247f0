/* SPDX-License-Identifier: MIT */
/* Managed memory: the part of cuda.h that speaks of it. Included by cuda.h. */
#ifndef PVGPU_CUDA_MANAGED_H
#define PVGPU_CUDA_MANAGED_H

#include "pvgpu_cuda_structs.h"

typedef enum CUmemAttach_flags_enum {
	CU_MEM_ATTACH_GLOBAL = 1,
	CU_MEM_ATTACH_HOST = 2,
	CU_MEM_ATTACH_SINGLE = 4,
} CUmemAttach_flags;

typedef enum CUmem_advise_enum {
	CU_MEM_ADVISE_SET_READ_MOSTLY = 1,
	CU_MEM_ADVISE_UNSET_READ_MOSTLY = 2,
	CU_MEM_ADVISE_SET_PREFERRED_LOCATION = 3,
	CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION = 4,
	CU_MEM_ADVISE_SET_ACCESSED_BY = 5,
	CU_MEM_ADVISE_UNSET_ACCESSED_BY = 6,
} CUmem_advise;

typedef enum CUmem_range_attribute_enum {
	CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY = 1,
	CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION = 2,
	CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY = 3,
	CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION = 4,
	CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE = 5,
	CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID = 6,
	CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE = 7,
	CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID = 8,
} CUmem_range_attribute;

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr *addr, size_t bytes, unsigned int flags);
CUresult CUDAAPI cuMemPrefetchAsync(CUdeviceptr addr, size_t bytes, CUdevice to, CUstream stream);
CUresult CUDAAPI cuMemPrefetchAsync_ptsz(CUdeviceptr addr, size_t bytes, CUdevice to,
					 CUstream stream);
CUresult CUDAAPI cuMemPrefetchAsync_v2(CUdeviceptr addr, size_t bytes, CUmemLocation to,
				       unsigned int flags, CUstream stream);
CUresult CUDAAPI cuMemPrefetchAsync_v2_ptsz(CUdeviceptr addr, size_t bytes, CUmemLocation to,
					    unsigned int flags, CUstream stream);
CUresult CUDAAPI cuMemAdvise(CUdeviceptr addr, size_t bytes, CUmem_advise advice, CUdevice device);
CUresult CUDAAPI cuMemAdvise_v2(CUdeviceptr addr, size_t bytes, CUmem_advise advice,
				CUmemLocation where);
CUresult CUDAAPI cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute attr,
					CUdeviceptr addr, size_t bytes);
CUresult CUDAAPI cuMemRangeGetAttributes(void **data, size_t *sizes, CUmem_range_attribute *attrs,
					 size_t count, CUdeviceptr addr, size_t bytes);
CUresult CUDAAPI cuStreamAttachMemAsync(CUstream stream, CUdeviceptr addr, size_t bytes,
					unsigned int flags);
CUresult CUDAAPI cuStreamAttachMemAsync_ptsz(CUstream stream, CUdeviceptr addr, size_t bytes,
					     unsigned int flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
