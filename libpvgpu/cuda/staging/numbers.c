/* SPDX-License-Identifier: MIT */
/*
 * Numbers of generated calls (docs/calls.md): a few travel inside the record, many through a piece
 * of the arena, which is free again when the worker has copied them.
 */
#include "cuda/core/numbers.h"
#include "cuda/staging/staging.h"

#include <string.h>

int numbers_begin(struct numbers *k, uint64_t bytes)
{
	k->slot = NULL;
	k->large = k->large_len = 0;
	k->record = k->to = k->small;
	k->record_len = (uint32_t)bytes;
	if (bytes <= sizeof(k->small))
		return 0;
	k->record = NULL;
	k->record_len = 0;
	k->slot = bytes <= STAGING_PIECE ? staging_take() : NULL;
	if (!k->slot)
		return staging_failure();
	k->to = k->slot->mem;
	k->large = (uintptr_t)k->to;
	k->large_len = bytes;
	return 0;
}

void numbers_put(struct numbers *k, uint64_t at, const void *from, uint64_t bytes)
{
	static const char zeros[8];

	if (!bytes)
		return;
	memcpy(k->to + at, from, bytes);
	memcpy(k->to + at + bytes, zeros, -bytes & 7);
}

void numbers_end(struct numbers *k, bool posted)
{
	if (k->slot)
		staging_give(k->slot, posted);
}
