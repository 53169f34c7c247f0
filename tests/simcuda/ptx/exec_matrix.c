/* SPDX-License-Identifier: MIT */
/*
 * Matrices that a warp holds in registers: mma, wmma, and the moves between such fragments and
 * memory. A product is computed exactly where a double can hold its sums, and rounded once; a
 * device rounds more often.
 */
#include "tests/simcuda/ptx/exec_matrix.h"

#include <math.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

uint32_t element_bits(enum type t)
{
	switch (t) {
	case TY_B1:
		return 1;
	case TY_U4:
	case TY_S4:
		return 4;
	case TY_E4M3:
	case TY_E5M2:
		return 8;
	default:
		return 8u * type_info[t].bytes;
	}
}

/* Element e of a lane's fragment: elements follow each other from the lowest bits on. */
static u64 get_bits(const struct warp *w, const struct fragment *f, u32 lane, u32 e)
{
	const u32 bits = element_bits((enum type)f->type), each = f->cls == CLS_D ? 64 : 32;
	const u32 r = f->regs[e * bits / each];

	if (bits == 64)
		return ((const u64 *)row(w, r))[lane];
	return ((const u32 *)row(w, r))[lane] >> (e * bits % 32) & (u32)(~0ull >> (64 - bits));
}

static void put_bits(struct warp *w, const struct fragment *f, u32 lane, u32 e, u64 v)
{
	const u32 bits = element_bits((enum type)f->type), at = e * bits % 32;
	const u32 r = f->regs[e * bits / (f->cls == CLS_D ? 64 : 32)];
	const u32 keep = (u32)(~0ull >> (64 - bits)) << at;
	u32 *word;

	if (bits == 64) {
		((u64 *)row(w, r))[lane] = v;
		return;
	}
	word = &((u32 *)row(w, r))[lane];
	*word = (*word & ~keep) | ((u32)v << at & keep);
}

/* Where element e of a lane lies in its matrix. */
struct place {
	u32 row, col;
};

/* The oldest shape: four products of 8 x 8 x 4, each by two groups of four lanes. */
static struct place quad_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 upper = lane >= 16 ? 4 : 0, own = lane % 4;
	struct place p;

	switch (f->part) {
	case PART_A:
		p = f->is_col ? (struct place){e % 4 + upper, own}
			      : (struct place){own + upper, e % 4};
		return p;
	case PART_B:
		p = f->is_col ? (struct place){e % 4, own + upper}
			      : (struct place){own, e % 4 + upper};
		return p;
	default:
		if (f->type == TY_F16)
			return (struct place){own + upper, e};
		return (struct place){(own & 1) + (e & 2) + upper, (e & 4) + (own & 2) + (e & 1)};
	}
}

/* mma: lanes form eight groups of four. A register has a part of a row of A, or a column of B. */
static struct place group_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 group = lane / 4, own = lane % 4, bits = element_bits((enum type)f->type);
	const u32 each = bits < 32 ? 32 / bits : 1, r = e / each, k = own * each + e % each;

	switch (f->part) {
	case PART_A:
		return f->rows == 8 ? (struct place){group, k}
				    : (struct place){group + 8 * (r & 1), 4 * each * (r >> 1) + k};
	case PART_B:
		return (struct place){4 * each * r + k, group};
	default:
		return (struct place){group + 8 * (e >> 1), 2 * own + (e & 1)};
	}
}

/* wmma leaves the layout open: rows one after the other, spread over the lanes, and repeated. */
static struct place open_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 each = f->rows * f->cols / LANES, n = lane * each + e % each;

	return (struct place){n / f->cols, n % f->cols};
}

static struct place place_of(const struct fragment *f, u32 lane, u32 e)
{
	return f->layout == LAYOUT_OPEN   ? open_place(f, lane, e)
	       : f->layout == LAYOUT_QUAD ? quad_place(f, lane, e)
					  : group_place(f, lane, e);
}

static double float_value(enum type t, u64 v)
{
	const u32 v32 = (u32)v;
	double d;
	float f;

	switch (t) {
	case TY_F64:
		memcpy(&d, &v, sizeof(d));
		return d;
	case TY_F32:
		memcpy(&f, &v32, sizeof(f));
		return f;
	case TY_TF32: /* the lower bits of the mantissa are not looked at */
		memcpy(&f, &(u32){v32 & ~0x1fffu}, sizeof(f));
		return f;
	case TY_F16:
		return half_to_float((u16)v);
	case TY_BF16:
		return bfloat_to_float((u16)v);
	default:
		return fp8_to_float((u8)v, t == TY_E4M3);
	}
}

static int64_t int_value(enum type t, u64 v)
{
	const u32 drop = 64 - element_bits(t);

	return type_info[t].kind == KIND_S ? (int64_t)(v << drop) >> drop : (int64_t)v;
}

static u64 float_bits(enum type t, double d)
{
	u64 v = 0;
	float f = (float)d;

	switch (t) {
	case TY_F64:
		memcpy(&v, &d, sizeof(d));
		return d != d ? 0x7fffffffffffffffull : v;
	case TY_F16:
		return d != d ? 0x7fff : double_to_half(d, FLOAT_RN);
	default:
		memcpy(&v, &f, sizeof(f));
		return d != d ? 0x7fffffffu : v;
	}
}

/* All values of one operand, as numbers: `first` is the first lane of a group of the old shape. */
static void load_numbers(const struct warp *w, const struct fragment *f, u32 lanes,
			 union number out[MATRIX_MAX])
{
	const enum type t = (enum type)f->type;
	const bool is_float = type_info[t].kind == KIND_F;

	for (u32 m = lanes; m; m &= m - 1) {
		const u32 lane = (u32)__builtin_ctz(m);

		for (u32 e = 0; e < f->elements; e++) {
			const struct place p = place_of(f, lane, e);
			const u64 v = get_bits(w, f, lane, e);

			if (is_float)
				out[p.row * f->cols + p.col].d = float_value(t, v);
			else
				out[p.row * f->cols + p.col].i = int_value(t, v);
		}
	}
}

static void store_numbers(struct warp *w, const struct fragment *f, u32 lanes,
			  const union number in[MATRIX_MAX])
{
	const enum type t = (enum type)f->type;
	const bool is_float = type_info[t].kind == KIND_F;

	for (u32 m = lanes; m; m &= m - 1) {
		const u32 lane = (u32)__builtin_ctz(m);

		for (u32 e = 0; e < f->elements; e++) {
			const struct place p = place_of(f, lane, e);
			const union number *n = &in[p.row * f->cols + p.col];

			put_bits(w, f, lane, e, is_float ? float_bits(t, n->d) : (u32)n->i);
		}
	}
}

static double dot_float(const struct matrix_op *m, const union number *a, const union number *b,
			double sum)
{
	for (u32 k = 0; k < m->a.cols; k++) {
		if (m->d.type == TY_F64)
			sum = fma(a[k].d, b[k * m->b.cols].d, sum);
		else
			sum += a[k].d * b[k * m->b.cols].d;
	}
	return sum;
}

static int64_t dot_int(const struct matrix_op *m, const union number *a, const union number *b,
		       int64_t sum)
{
	for (u32 k = 0; k < m->a.cols; k++) {
		const int64_t x = a[k].i, y = b[k * m->b.cols].i;

		sum += m->a.type != TY_B1 ? x * y : m->is_xor ? x ^ y : x & y;
	}
	if (m->satfinite && sum != (int32_t)sum)
		return sum < 0 ? INT32_MIN : INT32_MAX;
	return sum;
}

/* The operands of a product of 16 x 8 x 256 bits are the largest. */
static void multiply(struct warp *w, const struct matrix_op *m, u32 lanes, u32 mask)
{
	union number a[MATRIX_MAX], b[MATRIX_MAX], c[MATRIX_MAX];

	load_numbers(w, &m->a, lanes, a);
	load_numbers(w, &m->b, lanes, b);
	load_numbers(w, &m->c, lanes, c);
	for (u32 r = 0; r < m->a.rows; r++) {
		for (u32 n = 0; n < m->b.cols; n++) {
			union number *to = &c[r * m->b.cols + n];

			if (type_info[m->d.type].kind == KIND_F)
				to->d = dot_float(m, &a[r * m->a.cols], &b[n], to->d);
			else
				to->i = dot_int(m, &a[r * m->a.cols], &b[n], to->i);
		}
	}
	store_numbers(w, &m->d, lanes & mask, c);
}

void finish_mma(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;

	if (m->a.layout != LAYOUT_QUAD) {
		multiply(w, m, FULL_MASK, mask);
		return;
	}
	for (u32 q = 0; q < 4; q++)
		multiply(w, m, 0x000f000fu << 4 * q, mask);
}

/* ---- fragments and memory ---- */
/* Element e of a lane; rows, or columns, are `stride` elements apart in memory. */
static bool move_element(struct warp *w, const struct matrix_op *m, u32 lane, u32 e, u64 base,
			 u32 stride)
{
	const u32 bits = element_bits((enum type)m->d.type), bytes = bits < 8 ? 1 : bits / 8;
	const struct place p = place_of(&m->d, lane, e);
	const u64 n = m->d.is_col ? (u64)p.col * stride + p.row : (u64)p.row * stride + p.col;
	u8 *at = guest_place(w, lane, (enum space)m->space, base + n * bits / 8, bytes, m->store);
	u64 v = 0;

	if (!at)
		return false;
	if (m->store) {
		v = get_bits(w, &m->d, lane, e);
		memcpy(at, &v, bytes);
	} else {
		memcpy(&v, at, bytes);
		put_bits(w, &m->d, lane, e, v >> n * bits % 8);
	}
	return true;
}

/* wmma.load and wmma.store: the address is the same for all lanes. */
void finish_wmma_move(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;
	u64 addr[LANES];

	addresses(w, i, &m->at, mask, addr);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 lane = (u32)__builtin_ctz(n);
		const u32 stride = ((const u32 *)row(w, m->stride))[lane];

		for (u32 e = 0; e < m->d.elements; e++) {
			if (!move_element(w, m, lane, e, addr[lane], stride))
				return;
		}
	}
}

/* ldmatrix and stmatrix: lanes 8n to 8n+7 have the addresses of the rows of matrix n. */
void finish_matrix_move(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;
	u16 value[4][8][8];
	u64 addr[LANES];
	u8 *at[4][8];

	addresses(w, i, &m->at, mask, addr);
	for (u32 n = 0; n < m->count * 8; n++) {
		at[n / 8][n % 8] = guest_place(w, n, (enum space)m->space, addr[n], 16, m->store);
		if (!at[n / 8][n % 8])
			return;
		memcpy(value[n / 8][n % 8], at[n / 8][n % 8], 16);
	}
	for (u32 n = mask; n; n &= n - 1) {
		const u32 lane = (u32)__builtin_ctz(n), r = lane / 4, c = lane % 4 * 2;

		for (u32 k = 0; k < m->count; k++) {
			u32 *reg = &((u32 *)row(w, m->regs[k]))[lane];
			u16 *lo = &value[k][m->trans ? c : r][m->trans ? r : c];
			u16 *hi = &value[k][m->trans ? c + 1 : r][m->trans ? r : c + 1];

			if (m->store) {
				*lo = (u16)*reg;
				*hi = (u16)(*reg >> 16);
			} else {
				*reg = *lo | (u32)*hi << 16;
			}
		}
	}
	for (u32 n = 0; n < m->count * 8 && m->store; n++)
		memcpy(at[n / 8][n % 8], value[n / 8][n % 8], 16);
}

/* movmatrix: the matrix of all lanes, transposed. */
void finish_movmatrix(struct warp *w, const struct insn *i, uint32_t mask)
{
	u32 t[LANES];

	for (u32 l = 0; l < LANES; l++) {
		const u32 r = l / 4, c = l % 4 * 2;

		t[l] = 0;
		for (u32 e = 0; e < 2; e++) {
			const u32 from = (c + e) * 4 + r / 2;

			t[l] |= (w->exchange[from] >> (16 * (r & 1)) & 0xffff) << (16 * e);
		}
	}
	put32(row(w, i->d), t, mask);
}
