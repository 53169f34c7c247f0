/* SPDX-License-Identifier: MIT */
/*
 * Blocks of one size in one page. Sizes go in steps of a quarter of the power of two below, so a
 * block wastes at most a fifth; nothing is ever written into device memory.
 */
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"

/* Classes 0 to 3 are 1 to 4 units; then four to each doubling: 5 6 7 8, 10 12 14 16, ... */
unsigned int slab_class(uint64_t size)
{
	const uint64_t n = size ? (size + SLAB_UNIT - 1) / SLAB_UNIT : 1;
	unsigned int shift;

	if (n <= 4)
		return (unsigned int)n - 1;
	shift = 63u - (unsigned int)__builtin_clzll(n - 1) - 2;
	return 4 * shift + (unsigned int)((n - 1) >> shift);
}

uint32_t slab_block(unsigned int class)
{
	const unsigned int shift = class < 4 ? 0 : class / 4 - 1;
	const uint32_t n = class < 4 ? class + 1 : ((class % 4) + 5) << shift;

	return n * SLAB_UNIT;
}

struct slab *slab_new(uint64_t page, unsigned int class)
{
	const uint32_t block = slab_block(class);
	const uint32_t count = (uint32_t)(page / block);
	struct slab *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->block = block;
	s->count = count;
	s->map = calloc((count + 63) / 64, sizeof(*s->map));
	s->len = calloc(count, sizeof(*s->len));
	if (s->map && s->len)
		return s;
	slab_free(s);
	return NULL;
}

void slab_free(struct slab *s)
{
	if (!s)
		return;
	free(s->map);
	free(s->len);
	free(s);
}

int64_t slab_take(struct slab *s, uint32_t len)
{
	const uint32_t words = (s->count + 63) / 64;

	if (s->used == s->count)
		return -1;
	for (uint32_t i = 0; i < words; i++) {
		const uint32_t word = (s->hint + i) % words;
		const uint64_t open = ~s->map[word];
		uint32_t block;

		if (!open)
			continue;
		block = word * 64 + (uint32_t)__builtin_ctzll(open);
		if (block >= s->count)
			continue;
		s->map[word] |= open & -open;
		s->len[block] = len;
		s->used++;
		s->hint = word;
		return block;
	}
	return -1;
}

void slab_put(struct slab *s, uint32_t block)
{
	s->map[block / 64] &= ~(1ull << (block % 64));
	s->len[block] = 0;
	s->used--;
	s->hint = block / 64;
}
