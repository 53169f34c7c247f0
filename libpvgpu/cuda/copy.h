/* SPDX-License-Identifier: MIT */
/* Copies: what copy.c, copy3d.c and memset.c give each other. */
#ifndef PVGPU_CUDA_COPY_H
#define PVGPU_CUDA_COPY_H

#include "guest.h"

/* What a copy's operand is. */
enum side {
	SIDE_DEVICE, /* device memory or a variable */
	SIDE_PINNED, /* arena memory: the worker has it, too */
	SIDE_PAGEABLE,
	SIDE_REGISTERED, /* pageable to us; the application may change it until its turn comes */
};

static inline bool side_is_mapped(enum side s)
{
	return s == SIDE_DEVICE || s == SIDE_PINNED;
}

/* What an address given as a device's, as the host's, or as either is; CUDA_ERROR_INVALID_VALUE
 * when [addr, addr+len) is not wholly one. */
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

#endif
