/* SPDX-License-Identifier: MIT */
/* The parts of the step "window". */
#ifndef PVGPU_PROBE_WINDOW_H
#define PVGPU_PROBE_WINDOW_H

#include "tests/gpu/probe/probe.h"

#define PAGE   ((size_t)2 << 20) /* of the window: mem_init takes no smaller one */
#define WINDOW 0x200000000000ull /* where window.c asks first, and arena.c */

/* Memory of the device at a place of a reservation. */
struct piece {
	CUdeviceptr at;
	size_t bytes;
	CUmemGenericAllocationHandle handle;
};
/* cuMemCreate, cuMemMap and cuMemSetAccess as memory.c makes them; all or nothing. */
CUresult piece_map(struct piece *p, CUdevice dev);
void piece_unmap(const struct piece *p);

/* The rest, with a context: at `base` are `bytes` reserved. */
void window_with_context(CUdevice dev, CUdeviceptr base, size_t bytes);
/* The role that leaves marked memory behind. */
void window_leaver(void);

#endif
