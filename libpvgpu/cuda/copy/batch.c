/* SPDX-License-Identifier: MIT */
/*
 * Batches of linear copies. Copies between memory that the worker reaches travel together, so many
 * in a record; so do short ones from and to pageable memory, which share a piece of the arena. The
 * others go one by one.
 */
#include "cuda/copy/copy.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/staging/staging.h"
#include "cuda/streams/batch.h"

#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

enum { PACKED_MAX = STAGING_SMALL }; /* longer pageable copies go by themselves */

/* Memory to fill when the record's copies have ended. */
struct back {
	void *to;
	const char *from; /* in the piece */
	uint64_t len;
};

/* The record that is being made. */
struct record {
	const struct target *t;
	struct pvgpu_copy_line line[PVGPU_COPIES_MAX];
	struct back back[PVGPU_COPIES_MAX];
	uint32_t lines, backs;
	struct slot *slot;
	uint64_t used; /* of the slot */
	bool mapped;   /* the worker may copy from and to the arena by itself */
};

static int post(struct record *k)
{
	const uint32_t bytes = k->lines * (uint32_t)sizeof(k->line[0]);
	struct slot *const s = k->slot;
	int r;

	if (!k->lines)
		return 0;
	r = s ? pvgpu_do_copy_batch_mark(session(), &s->mark, k->t->ctx->o.wire, k->t->stream,
					 k->line, bytes)
	      : pvgpu_do_copy_batch(session(), k->t->ctx->o.wire, k->t->stream, k->line, bytes);
	if (!r && k->backs) {
		r = pvgpu_mark_wait(session(), &s->mark);
		for (uint32_t i = 0; i < k->backs && !r; i++)
			memcpy(k->back[i].to, k->back[i].from, k->back[i].len);
		r = ctx_result(k->t->ctx, r);
		staging_give(s, false);
	} else if (s) {
		staging_give(s, !r);
	}
	k->slot = NULL;
	k->used = 0;
	k->lines = k->backs = 0;
	return r;
}

static int add(struct record *k, uint64_t dst, uint64_t src, uint64_t size)
{
	k->line[k->lines++] = (struct pvgpu_copy_line){dst, src, size};
	return k->lines == PVGPU_COPIES_MAX ? post(k) : 0;
}

/* Room for so many bytes in the piece; *at NULL: there is none. */
static int room(struct record *k, uint64_t len, char **at)
{
	int r = 0;

	*at = NULL;
	if (k->slot && k->used + len > k->slot->size)
		r = post(k);
	if (!k->slot)
		k->slot = staging_take();
	if (r || !k->slot)
		return r;
	*at = k->slot->mem + k->used;
	k->used += (len + 63) & ~(uint64_t)63;
	return 0;
}

/* A short copy of which one side is pageable memory; *done: it is in the record. */
static int pack(struct record *k, const struct copy *c, bool *done)
{
	const bool to_device = c->dst_side == SIDE_DEVICE;
	char *at;
	int r = room(k, c->len, &at);

	*done = at != NULL;
	if (r || !at)
		return r;
	if (to_device) {
		memcpy(at, (const void *)(uintptr_t)c->src, c->len);
		return add(k, c->dst, (uintptr_t)at, c->len);
	}
	k->back[k->backs++] = (struct back){(void *)(uintptr_t)c->dst, at, c->len};
	return add(k, (uintptr_t)at, c->src, c->len);
}

static bool is_packed(const struct record *k, const struct copy *c)
{
	if (!k->mapped || c->len > PACKED_MAX || k->t->captured)
		return false;
	return (c->dst_side == SIDE_DEVICE && c->src_side == SIDE_PAGEABLE) ||
	       (c->src_side == SIDE_DEVICE && c->dst_side == SIDE_PAGEABLE);
}

static bool is_direct(const struct record *k, const struct copy *c)
{
	if (c->dst_side == SIDE_DEVICE && c->src_side == SIDE_DEVICE)
		return true;
	return k->mapped && side_is_mapped(c->dst_side) && side_is_mapped(c->src_side);
}

static int one(struct record *k, const struct copy *c)
{
	bool done = false;
	int r = 0;

	if (is_direct(k, c))
		return add(k, c->dst, c->src, c->len);
	if (is_packed(k, c))
		r = pack(k, c, &done);
	return r || done ? r : copy_between(k->t, c);
}

/* The sides of a copy, in a byte. */
static int sides(uint64_t dst, uint64_t src, uint64_t len, unsigned char *out)
{
	enum side d = SIDE_DEVICE, s = SIDE_DEVICE;
	int r = 0;

	if (len)
		r = side_of_any(dst, len, &d);
	if (len && !r)
		r = side_of_any(src, len, &s);
	*out = (unsigned char)(d << 4 | s);
	return r;
}

bool batch_order_known(CUmemcpySrcAccessOrder order)
{
	return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM &&
	       order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

struct lines {
	const CUdeviceptr *dst, *src;
	const size_t *size;
	size_t count, *fail;
};

static int run(const struct target *t, const struct lines *b, const unsigned char *side)
{
	struct record *k = malloc(sizeof(*k));
	int r = 0, last;

	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	k->t = t;
	k->lines = k->backs = 0;
	k->slot = NULL;
	k->used = 0;
	k->mapped = device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY);
	for (size_t i = 0; i < b->count && !r; i++) {
		const struct copy c = {b->dst[i],    b->src[i],     b->size[i],
				       side[i] >> 4, side[i] & 15u, true};

		if (c.len)
			r = one(k, &c);
	}
	last = post(k);
	if (k->slot)
		staging_give(k->slot, false);
	free(k);
	return r ? r : last;
}

static int copies(const struct lines *b, const CUmemcpyAttributes *attrs, const size_t *first,
		  size_t groups, CUstream stream, bool per_thread)
{
	unsigned char *side;
	struct target t;
	int r = batch_enter(stream, per_thread, &t);

	if (b->fail)
		*b->fail = SIZE_MAX;
	if (r)
		return r;
	if (!b->dst || !b->src || !b->size || !b->count || !attrs ||
	    !batch_groups(first, groups, b->count))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < groups; i++)
		if (!batch_order_known(attrs[i].srcAccessOrder) ||
		    attrs[i].flags & ~(unsigned int)CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE)
			return CUDA_ERROR_INVALID_VALUE;
	side = malloc(b->count);
	if (!side)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < b->count && !r; i++) {
		r = sides(b->dst[i], b->src[i], b->size[i], &side[i]);
		if (r && b->fail)
			*b->fail = i;
	}
	if (!r)
		r = run(&t, b, side);
	free(side);
	return r;
}

CU_PTSZ(cuMemcpyBatchAsync,
	(CUdeviceptr * dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
	 CUmemcpyAttributes *attrs, size_t *first, size_t groups, size_t *fail, CUstream stream),
	copies(&(struct lines){dsts, srcs, sizes, count, fail}, attrs, first, groups, stream,
	       per_thread))

CU_PTSZ(cuMemcpyBatchAsync_v2,
	(CUdeviceptr * dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
	 CUmemcpyAttributes *attrs, size_t *first, size_t groups, CUstream stream),
	copies(&(struct lines){dsts, srcs, sizes, count, NULL}, attrs, first, groups, stream,
	       per_thread))
