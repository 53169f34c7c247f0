/* SPDX-License-Identifier: MIT */
/*
 * Requests for memory that are made in the side lane, and wait there for frees that are under way
 * before they are refused: alloc.c.
 */
#ifndef PVGPU_WORKER_ALLOC_H
#define PVGPU_WORKER_ALLOC_H

#include <stdbool.h>

#include "side.h"

struct gpu;

struct mem_wait {
	struct job job;
	struct mem_wait *next;
	/* Answer the guest and free it: always when `last`; else false when there is no memory. */
	bool (*attempt)(struct gpu *g, struct mem_wait *w, bool last);
};
void mem_wait_push(struct gpu *g, struct mem_wait *w);
/* Memory that was pending has come back, in another thread than the side lane. */
void mem_freed(struct gpu *g);

#endif
