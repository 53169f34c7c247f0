/* SPDX-License-Identifier: MIT */
/* Copies: copy.c, copy3d.c, batch.c. See box.h for those of more dimensions. */
#ifndef PVGPU_CUDA_COPY_COPY_H
#define PVGPU_CUDA_COPY_COPY_H

#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct box;
struct ctx;
struct target;

/* The kind of memory of a copy's operand. */
enum side {
	SIDE_DEVICE, /* device memory or a variable */
	SIDE_PINNED, /* arena memory, mapped in the worker, too */
	SIDE_PAGEABLE,
	SIDE_REGISTERED, /* or pinned beyond the arena: staged like pageable memory, but not before
			  * the copy's turn comes */
};

static inline bool side_is_mapped(enum side s)
{
	return s == SIDE_DEVICE || s == SIDE_PINNED;
}

/* The side of an address that is given as a device's, as the host's, or as either;
 * CUDA_ERROR_INVALID_VALUE when [addr, addr+len) is not wholly on one side. */
int side_of_device(uint64_t addr, uint64_t len, enum side *side);
int side_of_host(uint64_t addr, uint64_t len, enum side *side);
int side_of_any(uint64_t addr, uint64_t len, enum side *side);

struct copy {
	uint64_t dst, src, len;
	enum side dst_side, src_side;
	bool async;
};

/* A linear copy of at least one byte whose sides are known. */
int copy_between(const struct target *t, const struct copy *c);

/* batch.c: is it an order in which a batch's sources may be read? */
bool batch_order_known(CUmemcpySrcAccessOrder order);

/* copy3d.c: a node's copy as a box, checked. */
int copy_node(struct ctx *c, const CUDA_MEMCPY3D *copy, struct box *b);

#endif
