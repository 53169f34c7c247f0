/* SPDX-License-Identifier: MIT */
/* Physical memory and reserved addresses: vmm.c. Counts are under its lock. */
#ifndef PVGPU_CUDA_MEMORY_VMM_H
#define PVGPU_CUDA_MEMORY_VMM_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct physical {
	struct object o;
	CUmemAllocationProp prop;
	uint64_t size;
	bool imported;           /* another process's */
	unsigned int refs, maps; /* uses of the handle; mappings: it goes when both are 0 */
};
struct reservation {
	struct object o;
	uint64_t base, size;
	unsigned int maps;
};

/* For share.c: the wire handle of memory that other processes may have; 0: it is none. */
uint64_t physical_to_share(CUmemGenericAllocationHandle handle);
/* A handle of another process's; a CUresult. */
int physical_import(const void *token, CUmemGenericAllocationHandle *handle);

#endif
