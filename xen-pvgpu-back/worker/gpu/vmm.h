/* SPDX-License-Identifier: MIT */
/* Physical memory and addresses that the guest maps itself: vmm.c. */
#ifndef PVGPU_WORKER_VMM_H
#define PVGPU_WORKER_VMM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "objects.h"

struct gpu;

struct reservation {
	struct obj o;
	uint64_t addr, size;
	uint32_t areas; /* mem.lock: mapped in it; and jobs for its addresses */
};

struct physical {
	struct obj o;
	unsigned long long far;
	uint64_t size;
	uint64_t number; /* share.c: other sessions may have it; 0: none has */
	bool imported;
	uint32_t giving;  /* exports under way; mem.lock */
	atomic_bool gone; /* the memory is */
	uint32_t users;   /* side lane: its handle, and areas that map it; 0: the memory is gone */
};

/* At the end, when no thread is left: unmap and free all that the guest has left. */
void vmm_end(struct gpu *g);

#endif
