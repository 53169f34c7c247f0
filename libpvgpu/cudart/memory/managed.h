/* SPDX-License-Identifier: MIT */
/* Prefetch and advice in both forms: a device's number, or a location. */
#ifndef PVGPU_CUDART_MANAGED_H
#define PVGPU_CUDART_MANAGED_H

#include "cudart/rt.h"

cudaError_t rt_prefetch(const void *ptr, size_t bytes, int device, cudaStream_t stream);
cudaError_t rt_prefetch_to(const void *ptr, size_t bytes, struct cudaMemLocation to,
			   unsigned int flags, cudaStream_t stream);
cudaError_t rt_advise(const void *ptr, size_t bytes, int advice, int device);
cudaError_t rt_advise_for(const void *ptr, size_t bytes, int advice, struct cudaMemLocation where);

#endif
