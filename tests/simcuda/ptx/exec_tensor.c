/* SPDX-License-Identifier: MIT */
/*
 * Copies between shared memory and a box of a tensor that a map describes. What is outside the
 * tensor reads as zero or NaN and is not written. As with other asynchronous copies, all is done
 * where it begins.
 */
#include "tests/simcuda/ptx/exec_async.h"

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define ROW_BYTES (256 * 8u)

_Static_assert(sizeof(struct ptx_tensor_map) <= PTX_TENSOR_MAP_BYTES, "a map's size");

/* By enum ptx_tensor_element; the pattern that stands outside a tensor which is filled with NaN. */
static const struct {
	u8 bytes, type;
	u64 nan;
} elements[PTX_TENSOR_ELEMENTS] = {
	[PTX_TENSOR_U8] = {1, TY_U8, 0},
	[PTX_TENSOR_U16] = {2, TY_U16, 0},
	[PTX_TENSOR_U32] = {4, TY_U32, 0},
	[PTX_TENSOR_S32] = {4, TY_S32, 0},
	[PTX_TENSOR_U64] = {8, TY_U64, 0},
	[PTX_TENSOR_S64] = {8, TY_S64, 0},
	[PTX_TENSOR_F16] = {2, TY_F16, 0x7fff},
	[PTX_TENSOR_F32] = {4, TY_F32, 0x7fffffff},
	[PTX_TENSOR_F64] = {8, TY_F64, 0x7fffffffffffffff},
	[PTX_TENSOR_BF16] = {2, TY_BF16, 0x7fff},
	[PTX_TENSOR_F32_FTZ] = {4, TY_F32, 0x7fffffff},
	[PTX_TENSOR_TF32] = {4, TY_F32, 0x7fffffff},
	[PTX_TENSOR_TF32_FTZ] = {4, TY_F32, 0x7fffffff},
};

uint32_t ptx_tensor_bytes(enum ptx_tensor_element e)
{
	return (u32)e < PTX_TENSOR_ELEMENTS ? elements[e].bytes : 0;
}

/* One lane's copy: the box from `at` on, and its place in shared memory. */
struct box {
	const struct tensor_op *op;
	struct ptx_tensor_map map;
	int32_t at[PTX_TENSOR_RANK];
	u32 offsets[PTX_TENSOR_RANK - 2]; /* of im2col */
	u32 bytes, count;                 /* of an element; elements of the innermost dimension */
	u8 *shared;
	u32 low; /* the low bits of its address, on which the swizzle depends */
	u32 lane;
};

static u32 dimension_count(const struct ptx_tensor_map *m, u32 n)
{
	return m->step[n] ? (m->box[n] + m->step[n] - 1u) / m->step[n] : 0;
}

static u64 box_bytes(const struct box *b)
{
	u64 rows = 1;

	if (b->map.is_im2col)
		rows = b->map.pixels;
	for (u32 n = 1; n < b->map.rank && !b->map.is_im2col; n++)
		rows *= dimension_count(&b->map, n);
	return rows * b->count * b->bytes;
}

/* Units of 16 bytes are exchanged within lines of 128, by the line's number. */
static u32 swizzled(const struct box *b, u32 offset)
{
	static const u8 masks[] = {0, 0x10, 0x30, 0x70};
	const u32 a = b->low + offset;

	return (a ^ (a >> 3 & masks[b->map.swizzle])) - b->low;
}

static void exchange_row(const struct box *b, u32 offset, u8 *row, bool to_shared)
{
	const u32 all = b->count * b->bytes;

	for (u32 k = 0; k < all;) {
		const u32 n =
			16 - ((offset + k) & 15) < all - k ? 16 - ((offset + k) & 15) : all - k;
		u8 *at = b->shared + swizzled(b, offset + k);

		if (to_shared)
			memcpy(at, row + k, n);
		else
			memcpy(row + k, at, n);
		k += n;
	}
}

static bool row_is_inside(const struct box *b, const int64_t *c)
{
	for (u32 n = 1; n < b->map.rank; n++)
		if (c[n] < 0 || c[n] > b->map.last[n])
			return false;
	return true;
}

static void fill_outside(const struct box *b, u8 *row)
{
	const u64 v = b->map.fill_nan ? elements[b->map.element].nan : 0;

	for (u32 k = 0; k < b->count; k++)
		memcpy(row + k * b->bytes, &v, b->bytes);
}

static void move_element(const struct box *b, u8 *global, u8 *row)
{
	const struct tensor_op *op = b->op;
	u64 v = 0;

	if (!op->to_global) {
		memcpy(row, global, b->bytes);
	} else if (op->reduces) {
		const struct mem_op m = {.atom = op->atom,
					 .atom_type = elements[b->map.element].type,
					 .bytes = (u8)b->bytes};

		memcpy(&v, row, b->bytes);
		atomic_at(global, &m, v, 0);
	} else {
		memcpy(global, row, b->bytes);
	}
}

/* The elements along the innermost dimension from c on; offset: of the row in shared memory. */
static bool copy_row(struct warp *w, const struct box *b, const int64_t *c, u32 offset)
{
	const u32 step = b->map.is_im2col ? 1 : b->map.step[0];
	_Alignas(16) u8 row[ROW_BYTES];
	u64 base = b->map.base;

	if (b->op->to_global)
		exchange_row(b, offset, row, false);
	else
		fill_outside(b, row);
	if (row_is_inside(b, c)) {
		for (u32 n = 1; n < b->map.rank; n++)
			base += (u64)c[n] * b->map.stride[n - 1];
		for (u32 k = 0; k < b->count; k++) {
			const int64_t x = c[0] + (int64_t)k * step;
			const u64 at = base + (u64)x * b->bytes;

			if (x < 0 || x > b->map.last[0])
				continue;
			if (!address_allowed(w->cta, at, b->bytes, b->op->to_global)) {
				fault(w, b->lane, PTX_FAULT_ADDRESS, at);
				return false;
			}
			move_element(b, (u8 *)(uintptr_t)at, row + k * b->bytes);
		}
	}
	if (!b->op->to_global)
		exchange_row(b, offset, row, true);
	return true;
}

static bool copy_tile(struct warp *w, const struct box *b)
{
	u32 index[PTX_TENSOR_RANK] = {0}, offset = 0, n;
	int64_t c[PTX_TENSOR_RANK];

	do {
		for (n = 0; n < b->map.rank; n++)
			c[n] = (int64_t)b->at[n] + (int64_t)index[n] * b->map.step[n];
		if (!copy_row(w, b, c, offset))
			return false;
		offset += b->count * b->bytes;
		for (n = 1; n < b->map.rank && ++index[n] == dimension_count(&b->map, n); n++)
			index[n] = 0;
	} while (n < b->map.rank);
	return true;
}

/* Pixels follow each other in the box between the corners, then in the next image. */
static bool copy_pixels(struct warp *w, const struct box *b)
{
	const struct ptx_tensor_map *m = &b->map;
	const u32 inner = m->rank - 2u; /* dimensions of an image */
	int64_t at[PTX_TENSOR_RANK], c[PTX_TENSOR_RANK];

	for (u32 n = 0; n < m->rank; n++)
		at[n] = b->at[n];
	for (u32 p = 0; p < m->pixels; p++) {
		u32 n;

		memcpy(c, at, sizeof(c));
		for (n = 0; n < inner; n++)
			c[1 + n] += b->offsets[n];
		if (!copy_row(w, b, c, p * b->count * b->bytes))
			return false;
		for (n = 0; n < inner; n++) {
			at[1 + n] += m->step[1 + n];
			if (at[1 + n] <= (int64_t)m->last[1 + n] + m->upper[n])
				break;
			at[1 + n] = m->lower[n];
		}
		at[1 + inner] += n == inner;
	}
	return true;
}

/* 128 bytes at an address of any space; false after a fault. */
static bool read_map(struct warp *w, const struct tensor_op *op, u64 addr, struct box *b)
{
	if (op->map.at.space == SPACE_PARAM)
		addr |= PARAM_WINDOW;
	else if (op->map.at.space == SPACE_SHARED)
		addr |= SHARED_WINDOW;
	if (addr % 64) {
		fault(w, b->lane, PTX_FAULT_MISALIGNED, addr);
		return false;
	}
	if (!guest_read(w, b->lane, addr, &b->map, sizeof(b->map)))
		return false;
	if (b->map.magic == PTX_TENSOR_MAGIC && b->map.rank == op->rank &&
	    b->map.element < PTX_TENSOR_ELEMENTS && b->map.swizzle < 4 &&
	    b->map.is_im2col == op->is_im2col)
		return true;
	fault(w, b->lane, PTX_FAULT_INSTRUCTION, addr);
	return false;
}

/* A kernel may have made the map of anything. */
static bool box_is_valid(const struct box *b)
{
	if (!b->count || b->count > 256 || b->count * b->bytes > ROW_BYTES)
		return false;
	for (u32 n = 0; n < b->map.rank; n++)
		if (!b->map.step[n] ||
		    (!b->map.is_im2col && (!b->map.box[n] || b->map.box[n] > 256)))
			return false;
	return box_bytes(b) <= MAX_SHARED_BYTES;
}

static bool copy_box(struct warp *w, struct box *b, u64 shared, u64 barrier)
{
	const struct tensor_op *op = b->op;
	const u32 bytes = (u32)box_bytes(b);
	u8 *tells = NULL;

	if (shared % 128) {
		fault(w, b->lane, PTX_FAULT_MISALIGNED, shared);
		return false;
	}
	b->shared = guest_block(w, b->lane, (enum space)op->shared.at.space, shared, bytes, true);
	b->low = shared & 0x3ff;
	if (b->shared && op->tells)
		tells = guest_place(w, b->lane, (enum space)op->barrier.at.space, barrier, 8, true);
	if (!b->shared || (op->tells && !tells))
		return false;
	if (!(op->is_im2col ? copy_pixels(w, b) : copy_tile(w, b)))
		return false;
	if (tells)
		tell_barrier(tells, bytes);
	return true;
}

static bool copy_lane(struct warp *w, const struct tensor_op *op, u32 lane, u64 map, u64 shared,
		      u64 barrier)
{
	struct box b = {.op = op, .lane = lane};
	u32 ranks;

	if (!read_map(w, op, map, &b))
		return false;
	for (u32 n = 0; n < op->rank; n++)
		b.at[n] = ((const int32_t *)row(w, op->at[n]))[lane];
	for (u32 n = 0; n < op->offset_count; n++)
		b.offsets[n] = ((const uint16_t *)row(w, op->offsets[n]))[lane];
	b.bytes = elements[b.map.element].bytes;
	b.count = b.map.is_im2col ? b.map.channels : dimension_count(&b.map, 0);
	if (!box_is_valid(&b)) {
		fault(w, lane, PTX_FAULT_INSTRUCTION, map);
		return false;
	}
	if (op->ranks == OPERAND_NONE)
		return copy_box(w, &b, shared, barrier);
	for (ranks = ((const uint16_t *)row(w, op->ranks))[lane]; ranks; ranks &= ranks - 1) {
		const u32 rank = (u32)__builtin_ctz(ranks);

		if (rank >= w->cta->cluster->count) {
			fault(w, lane, PTX_FAULT_INSTRUCTION, rank);
			return false;
		}
		if (!copy_box(w, &b, cluster_address(w->cta, shared, rank),
			      cluster_address(w->cta, barrier, rank)))
			return false;
	}
	return true;
}

int op_tensor(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct tensor_op *op = i->ptr;
	u64 map[LANES], shared[LANES], barrier[LANES] = {0};

	no_spin(w);
	place_addresses(w, &op->map, mask, map);
	place_addresses(w, &op->shared, mask, shared);
	if (op->tells)
		place_addresses(w, &op->barrier, mask, barrier);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 l = (u32)__builtin_ctz(n);

		if (!copy_lane(w, op, l, map[l], shared[l], barrier[l]))
			return STEP_FAULT;
	}
	return STEP_NEXT;
}
