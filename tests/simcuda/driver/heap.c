/* SPDX-License-Identifier: MIT */
/*
 * The heap of device-side malloc and free: device memory that is taken when the first kernel that
 * can use it is launched. Blocks lie one behind the other; their lengths are kept outside of the
 * heap, where no kernel can destroy them.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define UNIT    64u /* bytes; more than the alignment of 16 that is promised */
#define IN_USE  0x80000000u
#define MINIMUM (1u << 20)

void heap_init(struct device_heap *h)
{
	pthread_mutex_init(&h->lock, NULL);
}

bool heap_is_open(struct device_heap *h)
{
	bool open;

	pthread_mutex_lock(&h->lock);
	open = h->base != 0;
	pthread_mutex_unlock(&h->lock);
	return open;
}

CUresult heap_open(struct sim_ctx *ctx)
{
	struct device_heap *h = &ctx->heap;
	size_t size = ctx->limit[CU_LIMIT_MALLOC_HEAP_SIZE];
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&h->lock);
	if (h->base)
		goto out;
	size = size < MINIMUM ? MINIMUM : (size + UNIT - 1) & ~(size_t)(UNIT - 1);
	h->units = (uint32_t)(size / UNIT);
	h->block = calloc(h->units, sizeof(*h->block));
	r = h->block ? memory_alloc(ctx, size, &h->base) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r == CUDA_SUCCESS) {
		/* the first unit is nobody's: cuMemFree must not find the heap by a block */
		h->block[0] = 1 | IN_USE;
		h->block[1] = h->units - 1;
		h->next = 1;
	} else {
		free(h->block);
		h->block = NULL;
		h->base = 0;
	}
out:
	pthread_mutex_unlock(&h->lock);
	return r;
}

/* The memory itself is freed with all of the context's. */
void heap_close(struct sim_ctx *ctx)
{
	free(ctx->heap.block);
	ctx->heap.block = NULL;
	ctx->heap.base = 0;
	pthread_mutex_destroy(&ctx->heap.lock);
}

/* A free block and the free ones behind it become one. */
static uint32_t joined(struct device_heap *h, uint32_t at)
{
	uint32_t n = h->block[at];

	while (at + n < h->units && !(h->block[at + n] & IN_USE)) {
		uint32_t more = h->block[at + n];

		if (h->next == at + n)
			h->next = at;
		h->block[at + n] = 0;
		n += more;
	}
	h->block[at] = n;
	return n;
}

static bool take(struct device_heap *h, uint32_t from, uint32_t to, uint32_t want, uint32_t *out)
{
	for (uint32_t at = from; at < to;) {
		uint32_t n = h->block[at];

		if (n & IN_USE) {
			at += n & ~IN_USE;
			continue;
		}
		n = joined(h, at);
		if (n >= want) {
			if (n > want)
				h->block[at + want] = n - want;
			h->block[at] = want | IN_USE;
			*out = at;
			return true;
		}
		at += n;
	}
	return false;
}

uint64_t heap_malloc(struct sim_ctx *ctx, uint64_t size)
{
	struct device_heap *h = &ctx->heap;
	uint64_t addr = 0;
	uint32_t at, want;

	pthread_mutex_lock(&h->lock);
	if (h->base && size && size <= (uint64_t)h->units * UNIT) {
		want = (uint32_t)((size + UNIT - 1) / UNIT);
		/* from where the last search ended; next stays at the start of a block */
		if (take(h, h->next, h->units, want, &at) || take(h, 1, h->units, want, &at)) {
			addr = h->base + (uint64_t)at * UNIT;
			h->next = at;
		}
	}
	pthread_mutex_unlock(&h->lock);
	return addr;
}

bool heap_free(struct sim_ctx *ctx, uint64_t addr)
{
	struct device_heap *h = &ctx->heap;
	uint64_t at = (addr - h->base) / UNIT;
	bool ok;

	pthread_mutex_lock(&h->lock);
	ok = h->base && addr > h->base && at && at < h->units && !((addr - h->base) % UNIT) &&
	     h->block[at] & IN_USE;
	if (ok)
		h->block[at] &= ~IN_USE;
	pthread_mutex_unlock(&h->lock);
	return ok;
}
