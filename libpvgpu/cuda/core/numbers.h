/* SPDX-License-Identifier: MIT */
/* The numbers of a generated call (api.h, client.h), one after the other: memory/numbers.c. */
#ifndef PVGPU_CUDA_CORE_NUMBERS_H
#define PVGPU_CUDA_CORE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "link/session.h"
#include "pvgpu_wire.h"

/* A piece of the arena, see memory/staging.h. */
struct slot {
	struct pvgpu_mark mark;
	struct slot *next;
	char *mem;
	uint64_t size;   /* STAGING_PIECE or STAGING_SMALL */
	uint64_t stream; /* the key of the one in which it is in flight */
};

struct numbers {
	struct slot *slot; /* the piece of the arena that they lie in, NULL: in small */
	char *to;
	/* For the command. */
	const void *record;
	uint32_t record_len;
	uint64_t large, large_len;
	_Alignas(8) char small[PVGPU_INLINE_MAX];
};
int numbers_begin(struct numbers *k, uint64_t bytes);
/* at: a multiple of 8; up to the next multiple behind them there is room. */
void numbers_put(struct numbers *k, uint64_t at, const void *from, uint64_t bytes);
void numbers_end(struct numbers *k, bool posted);

#endif
