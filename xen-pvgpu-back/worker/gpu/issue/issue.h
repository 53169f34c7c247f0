/* SPDX-License-Identifier: MIT */
/*
 * Copies and fills on their way to the far end, whose ranges are checked. The arena's chunks are
 * registered one by one, and the driver refuses a copy or a fill that reaches from one registration
 * into the next, so each goes in parts of which none does.
 */
#ifndef PVGPU_WORKER_ISSUE_H
#define PVGPU_WORKER_ISSUE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"

struct array;
struct gpu;
struct pvgpu_in_memset;
struct stream;

/* Bytes on one side of a copy. */
struct span {
	enum where at;
	uint64_t addr, len;
};

/* One side of a strided copy: lines of memory, or a place in an array. */
struct end {
	struct span r;
	uint64_t pitch, rows;
	struct array *array;
	uint64_t at[3];
};

/* The arena is not registered, and the copy touches it. */
bool issue_bounces(struct gpu *g, const struct span *dst, const struct span *src);

/* CUresults; an error may leave parts that were issued. */
int issue_line(struct gpu *g, struct stream *s, const struct span *dst, const struct span *src);
int issue_box(struct gpu *g, struct stream *s, const struct end *dst, const struct end *src,
	      const uint64_t size[3]);
int issue_fill(struct gpu *g, struct stream *s, const struct pvgpu_in_memset *in);

#endif
