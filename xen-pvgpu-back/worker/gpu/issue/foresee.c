/* SPDX-License-Identifier: MIT */
/* How long a command will take that has not run: the gate decides by that. */
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_decode.h"

static uint64_t of_kernel(struct gpu *g, uint64_t handle, const uint32_t shape[WORK_SHAPE],
			  bool *known)
{
	const uint64_t ns = estimate_of(g, handle, shape, known);

	/* Of other shapes of the function. */
	return *known ? ns : estimate_of(g, handle, NULL, &(bool){false});
}

static uint64_t of_launch(struct gpu *g, const void *rec, bool *known)
{
	const struct pvgpu_wire_launch *l = rec;

	return of_kernel(g, l->function,
			 (const uint32_t[WORK_SHAPE]){l->grid_x, l->grid_y, l->grid_z, l->block_x,
						      l->block_y, l->block_z, l->shared},
			 known);
}

static uint64_t of_launch_ex(struct gpu *g, const void *rec, bool *known)
{
	const struct pvgpu_wire_launch_ex *l = rec;

	return of_kernel(g, l->function,
			 (const uint32_t[WORK_SHAPE]){l->grid_x, l->grid_y, l->grid_z, l->block_x,
						      l->block_y, l->block_z, l->shared},
			 known);
}

/* A product of numbers that the handler has not checked yet. */
static uint64_t product(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t n;

	if (__builtin_mul_overflow(a, b, &n) || __builtin_mul_overflow(n, c, &n))
		return UINT64_MAX;
	return n;
}

static bool on_device(struct gpu *g, uint64_t array, uint64_t addr)
{
	return array || mem_where(g, addr, 1) == AT_DEVICE;
}

static uint64_t of_copy(struct gpu *g, bool to_device, bool from_device, uint64_t bytes)
{
	const enum work_kind kind = to_device     ? from_device ? WORK_DEVICE : WORK_TO_DEVICE
				    : from_device ? WORK_TO_HOST
						  : WORK_HOST;

	return estimate_bytes(g, kind, bytes);
}

/* Of the kind of its first copy. */
static uint64_t of_batch(struct gpu *g, const void *rec)
{
	const struct pvgpu_wire_copy_batch *c = rec;
	const uint64_t room = c->hdr.len - sizeof(*c);
	const uint64_t len = c->lines_len < room ? c->lines_len : room;
	struct pvgpu_copy_line first = {0}, line;
	uint64_t bytes = 0;

	for (uint64_t at = 0; at + sizeof(line) <= len; at += sizeof(line)) {
		memcpy(&line, (const char *)(c + 1) + at, sizeof(line));
		if (!at)
			first = line;
		if (__builtin_add_overflow(bytes, line.size, &bytes))
			bytes = UINT64_MAX;
	}
	return of_copy(g, on_device(g, 0, first.dst), on_device(g, 0, first.src), bytes);
}

static uint64_t of_bytes(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	switch (d->op) {
	case PVGPU_OP_COPY: {
		const struct pvgpu_wire_copy *c = rec;

		return of_copy(g, on_device(g, 0, c->dst), on_device(g, 0, c->src), c->size);
	}
	case PVGPU_OP_COPY_BATCH:
		return of_batch(g, rec);
	case PVGPU_OP_COPY_3D: {
		const struct pvgpu_wire_copy_3d *c = rec;

		return of_copy(g, on_device(g, 0, c->dst), on_device(g, 0, c->src),
			       product(c->width, c->height, c->depth));
	}
	case PVGPU_OP_COPY_ARRAY: {
		const struct pvgpu_wire_copy_array *c = rec;

		return of_copy(g, on_device(g, c->dst_array, c->dst),
			       on_device(g, c->src_array, c->src),
			       product(c->width, c->height, c->depth));
	}
	case PVGPU_OP_MEMSET: {
		const struct pvgpu_wire_memset *m = rec;

		return estimate_bytes(g, WORK_MEMSET, product(m->width, m->height, m->element));
	}
	default: /* the bytes are in the record or in its reply: few */
		return estimate_bytes(g, WORK_TO_DEVICE, 0);
	}
}

uint64_t work_foresee(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, bool *known)
{
	*known = true;
	if (d->gated != PVGPU_GATED_KERNEL)
		return of_bytes(g, d, rec);
	switch (d->op) {
	case PVGPU_OP_LAUNCH:
		return of_launch(g, rec, known);
	case PVGPU_OP_LAUNCH_EX:
		return of_launch_ex(g, rec, known);
	case PVGPU_OP_GRAPH_LAUNCH:
		return estimate_of(g, ((const struct pvgpu_wire_graph_launch *)rec)->exec, NULL,
				   known);
	/* A wait is as good as none to what it waits for. */
	case PVGPU_OP_STREAM_OPS:
		return ESTIMATE_LEAST_NS;
	default:
		return estimate_of(g, d->op, NULL, known);
	}
}
