/* SPDX-License-Identifier: MIT */
/* Memory operations of streams and of graphs' nodes: memops.c. */
#ifndef PVGPU_CUDA_COPY_MEMOPS_H
#define PVGPU_CUDA_COPY_MEMOPS_H

#include "cuda/core/public.h"

#include <stdbool.h>

struct ctx;
struct pvgpu_mem_op;

/* As they travel; to has room for PVGPU_MEM_OPS_MAX. waits, or NULL, gets whether some wait. A
 * CUresult. */
int memops_to_wire(const struct ctx *c, unsigned int count, const CUstreamBatchMemOpParams *ops,
		   unsigned int flags, struct pvgpu_mem_op *to, bool *waits);
void memops_from_wire(unsigned int count, const struct pvgpu_mem_op *from,
		      CUstreamBatchMemOpParams *to);

#endif
