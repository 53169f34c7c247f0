/* SPDX-License-Identifier: MIT */
/* Memory that processes share: share.c. */
#ifndef PVGPU_CUDA_MEMORY_SHARE_H
#define PVGPU_CUDA_MEMORY_SHARE_H

#include <stdint.h>

/* Unmap another process's memory that begins at the address, as often as it was opened; kind:
 * PVGPU_SHARE_MEMORY or PVGPU_SHARE_POOL. A CUresult. */
int share_close_memory(uint64_t addr, uint32_t kind);

#endif
