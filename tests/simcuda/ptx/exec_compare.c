/* SPDX-License-Identifier: MIT */
/* Comparisons: 32 results become the bits of a predicate. */
#include "tests/simcuda/ptx/exec.h"

#include <math.h>

static const uint32_t lane_bit[LANES] = {
#define BITS8(n) 1u << n, 2u << n, 4u << n, 8u << n, 16u << n, 32u << n, 64u << n, 128u << n
	BITS8(0), BITS8(8), BITS8(16), BITS8(24)};

#define COMPARE(name, T, LOAD, EXPR)                                                               \
	LANE_CODE static uint32_t name(const void *pa, const void *pb)                             \
	{                                                                                          \
		const T *a = pa, *b = pb;                                                          \
		uint32_t r = 0;                                                                    \
		for (int l = 0; l < LANES; l++) {                                                  \
			__typeof__(LOAD(a[l])) x = LOAD(a[l]), y = LOAD(b[l]);                     \
			r |= (EXPR) ? lane_bit[l] : 0;                                             \
		}                                                                                  \
		return r;                                                                          \
	}

#define SAME(x) (x)
#define SIX(suffix, T, LOAD)                                                                       \
	COMPARE(eq_##suffix, T, LOAD, x == y)                                                      \
	COMPARE(ne_##suffix, T, LOAD, x != y)                                                      \
	COMPARE(lt_##suffix, T, LOAD, x < y)                                                       \
	COMPARE(le_##suffix, T, LOAD, x <= y)                                                      \
	COMPARE(gt_##suffix, T, LOAD, x > y)                                                       \
	COMPARE(ge_##suffix, T, LOAD, x >= y)
/* ne of floats is false for a NaN; the u forms are true for one */
#define FLOATS(suffix, T, LOAD)                                                                    \
	COMPARE(eq_##suffix, T, LOAD, x == y)                                                      \
	COMPARE(ne_##suffix, T, LOAD, x<y || x> y)                                                 \
	COMPARE(lt_##suffix, T, LOAD, x < y)                                                       \
	COMPARE(le_##suffix, T, LOAD, x <= y)                                                      \
	COMPARE(gt_##suffix, T, LOAD, x > y)                                                       \
	COMPARE(ge_##suffix, T, LOAD, x >= y)                                                      \
	COMPARE(equ_##suffix, T, LOAD, !(x < y || x > y))                                          \
	COMPARE(neu_##suffix, T, LOAD, !(x == y))                                                  \
	COMPARE(ltu_##suffix, T, LOAD, !(x >= y))                                                  \
	COMPARE(leu_##suffix, T, LOAD, !(x > y))                                                   \
	COMPARE(gtu_##suffix, T, LOAD, !(x <= y))                                                  \
	COMPARE(geu_##suffix, T, LOAD, !(x < y))                                                   \
	COMPARE(num_##suffix, T, LOAD, x == x && y == y)                                           \
	COMPARE(nan_##suffix, T, LOAD, x != x || y != y)

static inline float flushed(uint32_t v)
{
	float f;

	if (!(v & 0x7f800000u))
		v &= 0x80000000u;
	memcpy(&f, &v, sizeof(f));
	return f;
}

static inline float flushed_half(uint16_t v)
{
	return half_to_float(v & 0x7c00u ? v : v & 0x8000u);
}

SIX(u16, uint16_t, SAME)
SIX(u32, uint32_t, SAME)
SIX(u64, uint64_t, SAME)
SIX(s16, int16_t, SAME)
SIX(s32, int32_t, SAME)
SIX(s64, int64_t, SAME)
FLOATS(f32, float, SAME)
FLOATS(f64, double, SAME)
FLOATS(f32z, uint32_t, flushed)
FLOATS(f16, uint16_t, half_to_float)
FLOATS(f16z, uint16_t, flushed_half)
FLOATS(bf16, uint16_t, bfloat_to_float)

#define ROW6(s)                                                                                    \
	{                                                                                          \
		eq_##s, ne_##s, lt_##s, le_##s, gt_##s, ge_##s                                     \
	}
#define ROW10(s)                                                                                   \
	{                                                                                          \
		eq_##s, ne_##s, lt_##s, le_##s, gt_##s, ge_##s, lt_##s, le_##s, gt_##s, ge_##s     \
	}
#define ROWF(s)                                                                                    \
	{                                                                                          \
		eq_##s, ne_##s, lt_##s, le_##s, gt_##s, ge_##s, NULL, NULL, NULL, NULL, equ_##s,   \
			neu_##s, ltu_##s, leu_##s, gtu_##s, geu_##s, num_##s, nan_##s              \
	}
#define ROWB(s)                                                                                    \
	{                                                                                          \
		eq_##s, ne_##s                                                                     \
	}

static const compare_fn compare_table[][CMP_COUNT] = {
	[TY_U16] = ROW10(u16), [TY_U32] = ROW10(u32), [TY_U64] = ROW10(u64),  [TY_S16] = ROW6(s16),
	[TY_S32] = ROW6(s32),  [TY_S64] = ROW6(s64),  [TY_B16] = ROWB(u16),   [TY_B32] = ROWB(u32),
	[TY_B64] = ROWB(u64),  [TY_F16] = ROWF(f16),  [TY_BF16] = ROWF(bf16), [TY_F32] = ROWF(f32),
	[TY_F64] = ROWF(f64),  [TY_PRED] = {NULL},
};
static const compare_fn flushed_single[CMP_COUNT] = ROWF(f32z);
static const compare_fn flushed_halves[CMP_COUNT] = ROWF(f16z);

compare_fn compare_by(enum compare c, enum type t, bool ftz)
{
	if (!ftz)
		return compare_table[t][c];
	return t == TY_F32 ? flushed_single[c] : t == TY_F16 ? flushed_halves[c] : NULL;
}

int op_setp(struct warp *w, const struct insn *i, uint32_t mask)
{
	put_pred(w, i->d, i->cmp(row(w, i->a), row(w, i->b)), mask);
	return STEP_NEXT;
}

/* x: the row of q (none: all ones), and in its two low bits the boolean operation with c. */
int op_setp_bool(struct warp *w, const struct insn *i, uint32_t mask)
{
	uint32_t r = i->cmp(row(w, i->a), row(w, i->b)), q = ~r, c;

	switch (i->x & 3) {
	case BOOL_AND:
		c = pred_row(w, i->c);
		r &= c;
		q &= c;
		break;
	case BOOL_OR:
		c = pred_row(w, i->c);
		r |= c;
		q |= c;
		break;
	case BOOL_XOR:
		c = pred_row(w, i->c);
		r ^= c;
		q ^= c;
		break;
	}
	put_pred(w, i->d, r, mask);
	if ((i->x & ~3u) != ~3u)
		put_pred(w, i->x & ~3u, q, mask);
	return STEP_NEXT;
}

/* Two halves, two predicates: d from the lower ones, c from the upper. */
int op_setp_f16x2(struct warp *w, const struct insn *i, uint32_t mask)
{
	const uint32_t *a = row(w, i->a), *b = row(w, i->b);
	uint16_t x[2][LANES], y[2][LANES];

	for (int l = 0; l < LANES; l++) {
		x[0][l] = (uint16_t)a[l];
		x[1][l] = (uint16_t)(a[l] >> 16);
		y[0][l] = (uint16_t)b[l];
		y[1][l] = (uint16_t)(b[l] >> 16);
	}
	put_pred(w, i->d, i->cmp(x[0], y[0]), mask);
	put_pred(w, i->c, i->cmp(x[1], y[1]), mask);
	return STEP_NEXT;
}

/* x: what true is */
int op_set(struct warp *w, const struct insn *i, uint32_t mask)
{
	uint32_t t[LANES];

	expand_mask(pred_row(w, i->a), t);
	for (int l = 0; l < LANES; l++)
		t[l] &= i->x;
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_set_half(struct warp *w, const struct insn *i, uint32_t mask)
{
	uint32_t t[LANES];
	uint16_t v[LANES];

	expand_mask(pred_row(w, i->a), t);
	for (int l = 0; l < LANES; l++)
		v[l] = (uint16_t)(t[l] & i->x);
	put16(row(w, i->d), v, mask);
	return STEP_NEXT;
}

/* Two halves: the lower one by a, the upper by b. */
int op_set_packed(struct warp *w, const struct insn *i, uint32_t mask)
{
	uint32_t t[LANES], upper[LANES];

	expand_mask(pred_row(w, i->a), t);
	expand_mask(pred_row(w, i->b), upper);
	for (int l = 0; l < LANES; l++)
		t[l] = (t[l] & i->x) | (upper[l] & i->x << 16);
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static inline int classify(int test, double v, bool subnormal)
{
	switch (test) {
	case 0:
		return isfinite(v);
	case 1:
		return isinf(v) != 0;
	case 2:
		return !isnan(v);
	case 3:
		return isnan(v) != 0;
	case 4:
		return isfinite(v) && v != 0 && !subnormal;
	default:
		return subnormal;
	}
}

int op_testp(struct warp *w, const struct insn *i, uint32_t mask)
{
	uint32_t r = 0;

	for (int l = 0; l < LANES; l++) {
		float f = i->x & 256 ? 1 : ((const float *)row(w, i->a))[l];
		double d = i->x & 256 ? ((const double *)row(w, i->a))[l] : f;
		bool sub =
			i->x & 256 ? fpclassify(d) == FP_SUBNORMAL : fpclassify(f) == FP_SUBNORMAL;

		r |= (uint32_t)classify(i->x & 255, d, sub) << l;
	}
	put_pred(w, i->d, r, mask);
	return STEP_NEXT;
}
