/* SPDX-License-Identifier: MIT */
/* Managed memory: managed.c. */
#ifndef PVGPU_CUDA_MEMORY_MANAGED_H
#define PVGPU_CUDA_MEMORY_MANAGED_H

#include "cuda/memory/memory_map.h"

#include <stdbool.h>

/* Of a RANGE_PINNED's flags: it is managed memory. */
#define RANGE_MANAGED 0x80000000u

static inline bool range_is_managed(const struct range *r)
{
	return r->kind == RANGE_PINNED && r->flags & RANGE_MANAGED;
}
/* Its memory goes: so do advice and prefetches of it. */
void managed_forget(const struct range *r);

#endif
