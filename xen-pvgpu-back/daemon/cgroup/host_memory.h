/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory that the sessions of a vGPU hold together. Each worker has a limit of its
 * own, which the kernel enforces (cgroup.h); the sum is looked at, since workers of a vGPU are in
 * no cgroup together.
 */
#ifndef PVGPU_DAEMON_HOST_MEMORY_H
#define PVGPU_DAEMON_HOST_MEMORY_H

#include "xen-pvgpu-back/daemon/core/daemon.h"

/* Bytes: `vgpu_memory`, or the vGPU's part of three quarters of the machine, as large as its part
 * of the GPU's memory, and at least HOST_MEMORY_LEAST. */
#define HOST_MEMORY_LEAST ((uint64_t)1 << 30)
uint64_t host_memory_limit(const struct vgpu *v, uint64_t machine);
/* Read what the worker's cgroup holds. Where the sum is over the limit, the session with the most
 * is ended. */
void host_memory_look(struct worker *w, uint64_t machine);
/* Bytes that its sessions may hold beside what they hold. */
uint64_t host_memory_room(const struct vgpu *v, uint64_t machine);
/* Does the vGPU hold so much that its sessions are to be looked at often? */
bool host_memory_is_tight(const struct vgpu *v, uint64_t machine);

#endif
