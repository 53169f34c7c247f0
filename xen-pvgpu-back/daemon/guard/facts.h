/* SPDX-License-Identifier: MIT */
/* A pool's GPU as NVIDIA's management library describes it, for the guests' own. */
#ifndef PVGPU_GUARD_FACTS_H
#define PVGPU_GUARD_FACTS_H

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/contract/health.h"

struct daemon;
struct pool;
struct vgpu;

/* A part, from pvgpu-health. */
void facts_take(struct daemon *d, const struct health_msg *m);
/* A value that the pool's guests may know has changed. */
void facts_changed(struct pool *p);
/* As the vGPU's guest may know them. */
void facts_of(const struct vgpu *v, struct pvgpu_gpu_card *out);

#endif
