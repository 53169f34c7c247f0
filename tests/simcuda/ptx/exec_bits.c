/* SPDX-License-Identifier: MIT */
/* Byte permutation, funnel shifts, carries, dot products, predicate logic, moves and selections. */
#include "tests/simcuda/ptx/exec.h"

typedef uint32_t u32;
typedef uint64_t u64;

#define PRED2(name, EXPR)                                                                          \
	int name(struct warp *w, const struct insn *i, uint32_t mask)                              \
	{                                                                                          \
		u32 x = pred_row(w, i->a), y = pred_row(w, i->b);                                  \
		put_pred(w, i->d, EXPR, mask);                                                     \
		return STEP_NEXT;                                                                  \
	}
PRED2(op_and_pred, x &y)
PRED2(op_or_pred, x | y)
PRED2(op_xor_pred, x ^ y)

int op_not_pred(struct warp *w, const struct insn *i, uint32_t mask)
{
	put_pred(w, i->d, ~pred_row(w, i->a), mask);
	return STEP_NEXT;
}

/* x: the truth table, one bit for each combination of a (4), b (2) and c (1). */
int op_lop3(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES], lut[8];

	for (int k = 0; k < 8; k++)
		lut[k] = i->x >> k & 1 ? ~0u : 0;
	for (int l = 0; l < LANES; l++) {
		u32 x = a[l], y = b[l], z = c[l];
		u32 lo = ~y & ((~z & lut[0]) | (z & lut[1]));
		u32 hi = ~y & ((~z & lut[4]) | (z & lut[5]));

		lo |= y & ((~z & lut[2]) | (z & lut[3]));
		hi |= y & ((~z & lut[6]) | (z & lut[7]));
		t[l] = (~x & lo) | (x & hi);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* Selectors of the special modes: four nibbles for each value of the two low bits of c. */
static u32 prmt_selector(u32 mode, u32 c)
{
	static const uint16_t table[7][4] = {
		{0},
		{0x3210, 0x4321, 0x5432, 0x6543}, /* f4e */
		{0x5670, 0x6701, 0x7012, 0x0123}, /* b4e */
		{0x0000, 0x1111, 0x2222, 0x3333}, /* rc8 */
		{0x3210, 0x3211, 0x3222, 0x3333}, /* ecl */
		{0x0000, 0x1110, 0x2210, 0x3210}, /* ecr */
		{0x1010, 0x3232, 0x1010, 0x3232}, /* rc16 */
	};

	return mode ? table[mode][c & 3] : c;
}

int op_prmt(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u64 bytes = (u64)b[l] << 32 | a[l];
		u32 s = prmt_selector(i->x, c[l]), v = 0;

		for (int k = 0; k < 4; k++) {
			u32 n = s >> (4 * k) & 15;
			u32 byte = (u32)(bytes >> (8 * (n & 7))) & 255;

			if (n & 8)
				byte = byte & 128 ? 255 : 0;
			v |= byte << (8 * k);
		}
		t[l] = v;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_shf_l(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u32 n = i->x ? c[l] & 31 : c[l] < 32 ? c[l] : 32;

		t[l] = (u32)((((u64)b[l] << 32 | a[l]) << n) >> 32);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_shf_r(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u32 n = i->x ? c[l] & 31 : c[l] < 32 ? c[l] : 32;

		t[l] = (u32)(((u64)b[l] << 32 | a[l]) >> n);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static int part(u32 v, int n, bool is_signed, int bits)
{
	v = v >> (n * bits) & ((1u << bits) - 1);
	return is_signed && v >> (bits - 1) ? (int)v - (1 << bits) : (int)v;
}

int op_dp4a(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		t[l] = c[l];
		for (int k = 0; k < 4; k++)
			t[l] += (u32)(part(a[l], k, i->x & 1, 8) * part(b[l], k, i->x & 2, 8));
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_dp2a(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	int first = i->x & 4 ? 2 : 0;
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		t[l] = c[l];
		for (int k = 0; k < 2; k++)
			t[l] += (u32)(part(a[l], k, i->x & 1, 16) *
				      part(b[l], first + k, i->x & 2, 8));
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/*
 * x: 1 64 bits, 2 subtract, 4 use the carry, 8 set it. As on a GPU a subtraction is a + ~b + 1: its
 * carry says that there was no borrow.
 */
int op_add_cc(struct warp *w, const struct insn *i, uint32_t mask)
{
	enum cls cls = i->x & 1 ? CLS_D : CLS_W;
	u32 carry = i->x & 4 ? pred_row(w, i->c) : i->x & 2 ? FULL_MASK : 0, out = 0;
	u64 a[LANES], b[LANES], t[LANES];

	get_wide(w, i->a, cls, a);
	get_wide(w, i->b, cls, b);
	for (int l = 0; l < LANES; l++) {
		u64 in = carry >> l & 1, v;
		bool o;

		if (i->x & 2) /* the carry of a + ~b + 1 says that there is no borrow */
			b[l] = cls == CLS_D ? ~b[l] : (u32)~b[l];
		v = a[l] + b[l] + in;
		o = i->x & 1 ? v < a[l] || (v == a[l] && in) : v >> 32 != 0;
		t[l] = v;
		out |= (u32)o << l;
	}
	put_wide(w, i->d, cls, t, mask);
	if (i->x & 8)
		put_pred(w, i->c, out, mask);
	return STEP_NEXT;
}

#define SELP(BITS)                                                                                 \
	LANE_CODE static int selp##BITS(struct warp *w, const struct insn *i, uint32_t mask)       \
	{                                                                                          \
		const uint##BITS##_t *a = row(w, i->a), *b = row(w, i->b);                         \
		uint##BITS##_t t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                \
		u32 p = pred_row(w, i->c), m[LANES];                                               \
		expand_mask(p, m);                                                                 \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++)                                                    \
			d[l] = m[l] ? a[l] : b[l];                                                 \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}                                                                                          \
	LANE_CODE static int mov##BITS(struct warp *w, const struct insn *i, uint32_t mask)        \
	{                                                                                          \
		const uint##BITS##_t *a = row(w, i->a);                                            \
		uint##BITS##_t *d = row(w, i->d);                                                  \
		if (mask != FULL_MASK) {                                                           \
			put##BITS(d, a, mask);                                                     \
			return STEP_NEXT;                                                          \
		}                                                                                  \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++)                                                    \
			d[l] = a[l];                                                               \
		return STEP_NEXT;                                                                  \
	}                                                                                          \
	static int slct##BITS(struct warp *w, const struct insn *i, uint32_t mask)                 \
	{                                                                                          \
		const uint##BITS##_t *a = row(w, i->a), *b = row(w, i->b);                         \
		const int32_t *c = row(w, i->c);                                                   \
		uint##BITS##_t t[LANES];                                                           \
		for (int l = 0; l < LANES; l++)                                                    \
			t[l] = c[l] >= 0 ? a[l] : b[l];                                            \
		put##BITS(row(w, i->d), t, mask);                                                  \
		return STEP_NEXT;                                                                  \
	}                                                                                          \
	static int slctf##BITS(struct warp *w, const struct insn *i, uint32_t mask)                \
	{                                                                                          \
		const uint##BITS##_t *a = row(w, i->a), *b = row(w, i->b);                         \
		const float *c = row(w, i->c);                                                     \
		/* what flushing makes a zero: the subnormals */                                   \
		const float least = i->x & FLOAT_FTZ ? -0x1.fffffcp-127f : 0;                      \
		uint##BITS##_t t[LANES];                                                           \
		for (int l = 0; l < LANES; l++)                                                    \
			t[l] = c[l] >= least ? a[l] : b[l];                                        \
		put##BITS(row(w, i->d), t, mask);                                                  \
		return STEP_NEXT;                                                                  \
	}
SELP(16)
SELP(32)
SELP(64)

static int mov_pred(struct warp *w, const struct insn *i, uint32_t mask)
{
	put_pred(w, i->d, pred_row(w, i->a), mask);
	return STEP_NEXT;
}

exec_fn selp_fn(enum cls c)
{
	return c == CLS_H ? selp16 : c == CLS_W ? selp32 : selp64;
}

exec_fn mov_fn(enum cls c)
{
	return c == CLS_P ? mov_pred : c == CLS_H ? mov16 : c == CLS_W ? mov32 : mov64;
}

exec_fn slct_fn(enum cls c, bool float_condition)
{
	if (float_condition)
		return c == CLS_H ? slctf16 : c == CLS_W ? slctf32 : slctf64;
	return c == CLS_H ? slct16 : c == CLS_W ? slct32 : slct64;
}

void get_wide(const struct warp *w, uint32_t operand, enum cls cls, uint64_t out[LANES])
{
	const void *from = row(w, operand);

	for (int l = 0; l < LANES; l++)
		out[l] = cls == CLS_H   ? ((const uint16_t *)from)[l]
			 : cls == CLS_W ? ((const u32 *)from)[l]
					: ((const u64 *)from)[l];
}

void put_wide(struct warp *w, uint32_t operand, enum cls cls, const uint64_t in[LANES],
	      uint32_t mask)
{
	void *to = row(w, operand);
	uint16_t h[LANES];
	u32 v[LANES];

	if (cls == CLS_D) {
		put64(to, in, mask);
	} else if (cls == CLS_W) {
		for (int l = 0; l < LANES; l++)
			v[l] = (u32)in[l];
		put32(to, v, mask);
	} else {
		for (int l = 0; l < LANES; l++)
			h[l] = (uint16_t)in[l];
		put16(to, h, mask);
	}
}

/* `bits` ones from bit `first` on. x: 1 numbers are taken modulo 32, else 32 at most. */
int op_bmsk(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u32 first = i->x & 1 ? a[l] & 31 : a[l] < 32 ? a[l] : 32;
		u32 bits = i->x & 1 ? b[l] & 31 : b[l] < 32 ? b[l] : 32;

		t[l] = (u32)(((1ull << bits) - 1) << first);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* The lower bits of a, extended. x: 1 as above, 2 by the sign. */
int op_szext_bits(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u32 bits = i->x & 1 ? b[l] & 31 : b[l] < 32 ? b[l] : 32, drop = 32 - bits;

		t[l] = !bits      ? 0
		       : i->x & 2 ? (u32)((int32_t)(a[l] << drop) >> drop)
				  : a[l] << drop >> drop;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* The n-th bit that is set, from a base upwards or, of a negative n, downwards. */
static u32 nth_set(u32 v, u32 base, int32_t n)
{
	const int step = n < 0 ? -1 : 1;
	int64_t left = n < 0 ? -(int64_t)n : n;

	if (base > 31)
		return ~0u;
	if (!n)
		return v >> base & 1 ? base : ~0u;
	for (int at = (int)base; at >= 0 && at < 32; at += step) {
		left -= v >> at & 1;
		if (!left)
			return (u32)at;
	}
	return ~0u;
}

int op_fns(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b);
	const int32_t *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = nth_set(a[l], b[l], c[l]);
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* x: class of the source, then of the destination: cut off, or filled with zeros. */
int op_szext(struct warp *w, const struct insn *i, uint32_t mask)
{
	u64 t[LANES];

	get_wide(w, i->a, (enum cls)(i->x & 3), t);
	put_wide(w, i->d, (enum cls)(i->x >> 2 & 3), t, mask);
	return STEP_NEXT;
}

int op_pack(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct pack_op *p = i->ptr;
	u64 whole[LANES] = {0}, t[LANES], keep = p->bytes == 4 ? ~0u : (1u << 8 * p->bytes) - 1;

	for (uint32_t k = 0; k < p->count; k++) {
		get_wide(w, p->regs[k], (enum cls)p->cls, t);
		for (int l = 0; l < LANES; l++)
			whole[l] |= (t[l] & keep) << (8 * p->bytes * k);
	}
	put_wide(w, i->d, (enum cls)p->whole_cls, whole, mask);
	return STEP_NEXT;
}

int op_unpack(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct pack_op *p = i->ptr;
	u64 whole[LANES], t[LANES], keep = p->bytes == 4 ? ~0u : (1u << 8 * p->bytes) - 1;

	get_wide(w, i->a, (enum cls)p->whole_cls, whole);
	for (uint32_t k = 0; k < p->count; k++) {
		for (int l = 0; l < LANES; l++)
			t[l] = whole[l] >> (8 * p->bytes * k) & keep;
		put_wide(w, p->regs[k], (enum cls)p->cls, t, mask);
	}
	return STEP_NEXT;
}
