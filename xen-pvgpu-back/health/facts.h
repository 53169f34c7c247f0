/* SPDX-License-Identifier: MIT */
/* What a GPU tells of itself, for its guests' management library. */
#ifndef PVGPU_HEALTH_FACTS_H
#define PVGPU_HEALTH_FACTS_H

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/health/nvml.h"

void facts_read(const struct nvml *n, nvmlDevice_t device, struct pvgpu_gpu_card *out);

#endif
