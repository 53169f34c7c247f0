/* SPDX-License-Identifier: MIT */
/* A vGPU's statistics of one moment, in the order of xenstore-schema/pvgpu.statistics. */
#ifndef PVGPU_GUARD_STATISTICS_H
#define PVGPU_GUARD_STATISTICS_H

#include <stdint.h>

#include "pvgpu_statistics.h"
#include "xen-pvgpu-back/contract/latency.h"

struct vgpu;

struct statistics_vgpu {
	uint64_t value[PVGPU_VGPU_N];
	struct pvgpu_latency latency[PVGPU_VGPU_HIST_N];
};

void statistics_vgpu(const struct vgpu *v, struct statistics_vgpu *out);
/* The value of a field of xenstore's key `statistics`. */
uint64_t statistics_field(const struct statistics_vgpu *s, unsigned int field);

#endif
