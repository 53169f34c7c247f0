/* SPDX-License-Identifier: MIT */
/* Both layouts of cudaDeviceProp. */
#ifndef PVGPU_CUDART_PROPERTIES_H
#define PVGPU_CUDART_PROPERTIES_H

#include "cudart/rt.h"

#define PVGPU_PROP    prop12
#define PVGPU_PROP_13 0
#include "cudart/include/cuda_runtime_prop.h"
#undef PVGPU_PROP
#undef PVGPU_PROP_13
#define PVGPU_PROP    prop13
#define PVGPU_PROP_13 1
#include "cudart/include/cuda_runtime_prop.h"
#undef PVGPU_PROP
#undef PVGPU_PROP_13

_Static_assert(sizeof(struct prop12) == 1032, "CUDA 12's size");
_Static_assert(sizeof(struct prop13) == 1008, "CUDA 13's size");
_Static_assert(offsetof(struct prop12, hostRegisterSupported) == 728, "CUDA 11's size");

cudaError_t rt_properties12(struct prop12 *p, int device);
cudaError_t rt_properties13(struct prop13 *p, int device);

/* The device that is most like what is wanted: enough memory, then the compute capability. */
cudaError_t rt_choose(int *device, size_t memory, int major, int minor);

#endif
