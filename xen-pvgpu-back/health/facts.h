/* SPDX-License-Identifier: MIT */
/* A GPU's description of itself, for its guests' management library. */
#ifndef PVGPU_HEALTH_FACTS_H
#define PVGPU_HEALTH_FACTS_H

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/contract/health.h"
#include "xen-pvgpu-back/health/nvml.h"

/* Values in the GPU's last records are not asked for anew. */
void facts_read(const struct nvml *n, nvmlDevice_t device, const struct health_msg *state,
		const struct health_msg *pcie, struct pvgpu_gpu_card *out);

#endif
