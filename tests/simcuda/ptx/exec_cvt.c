/* SPDX-License-Identifier: MIT */
/* Conversions between number formats. */
#include "tests/simcuda/ptx/exec.h"
#include "tests/simcuda/ptx/cvt.h"

#include <float.h>
#include <math.h>

typedef uint32_t u32;
typedef uint64_t u64;

#define NAN32 0x7fffffffu

/* Registers may be wider than the source type: cut, then extend as its sign says. */
static void get_int(const struct warp *w, const struct insn *i, u64 out[LANES])
{
	const struct type_info *t = &type_info[CVT_ST(i->x)];
	u32 drop = 64 - 8u * t->bytes;

	get_wide(w, i->a, CVT_SC(i->x), out);
	if (t->kind == KIND_S) {
		for (int l = 0; l < LANES; l++)
			out[l] = (u64)((int64_t)(out[l] << drop) >> drop);
	} else {
		for (int l = 0; l < LANES; l++)
			out[l] = out[l] << drop >> drop;
	}
}

static void put_int(struct warp *w, const struct insn *i, u64 v[LANES], u32 mask)
{
	const struct type_info *t = &type_info[CVT_DT(i->x)];
	u32 drop = 64 - 8u * t->bytes;

	if (t->kind == KIND_S) {
		for (int l = 0; l < LANES; l++)
			v[l] = (u64)((int64_t)(v[l] << drop) >> drop);
	} else {
		for (int l = 0; l < LANES; l++)
			v[l] = v[l] << drop >> drop;
	}
	put_wide(w, i->d, CVT_DC(i->x), v, mask);
}

static u64 clamp_int(u64 v, bool from_signed, const struct type_info *t)
{
	u32 bits = 8u * t->bytes;
	u64 max = t->kind == KIND_S ? (1ull << (bits - 1)) - 1 : ~0ull >> (64 - bits);
	int64_t min = t->kind == KIND_S ? -(int64_t)max - 1 : 0;

	if (from_signed && (int64_t)v < 0)
		return (int64_t)v < min ? (u64)min : v;
	return v > max ? max : v;
}

int op_cvt_int(struct warp *w, const struct insn *i, uint32_t mask)
{
	u64 v[LANES];

	get_int(w, i, v);
	if (i->x & FLOAT_SAT) {
		bool from_signed = type_info[CVT_ST(i->x)].kind == KIND_S;

		for (int l = 0; l < LANES; l++)
			v[l] = clamp_int(v[l], from_signed, &type_info[CVT_DT(i->x)]);
	}
	put_int(w, i, v, mask);
	return STEP_NEXT;
}

#define QUICK(name, S, T, BITS, EXPR)                                                              \
	LANE_CODE int name(struct warp *w, const struct insn *i, uint32_t mask)                    \
	{                                                                                          \
		const S *a = row(w, i->a);                                                         \
		T v[LANES], *d = mask == FULL_MASK ? row(w, i->d) : v;                             \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++)                                                    \
			d[l] = (T)a[l];                                                            \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), (const uint##BITS##_t *)v, mask);                  \
		return STEP_NEXT;                                                                  \
	}

QUICK(op_cvt_u64_u32, u32, u64, 64, )
QUICK(op_cvt_s64_s32, int32_t, int64_t, 64, )
QUICK(op_cvt_u32_u64, u64, u32, 32, )
QUICK(op_cvt_f32_s32, int32_t, float, 32, )
QUICK(op_cvt_f64_f32, float, double, 64, )

QUICK(op_cvt_f64_s32, int32_t, double, 64, )
QUICK(op_cvt_f64_u32, u32, double, 64, )

/* Towards zero; a value out of range becomes the nearest in range, a NaN zero. */
int op_cvt_s32_f32(struct warp *w, const struct insn *i, uint32_t mask)
{
	const float *a = row(w, i->a);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		float x = a[l] == a[l] ? a[l] : 0;
		float y = x < -0x1p31f ? -0x1p31f : x > 0x1.fffffep30f ? 0 : x;

		t[l] = x > 0x1.fffffep30f ? 0x7fffffffu : (u32)(int32_t)y;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_cvt_f32_f64(struct warp *w, const struct insn *i, uint32_t mask)
{
	const double *a = row(w, i->a);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		float f = (float)a[l];

		memcpy(&t[l], &f, sizeof(f));
		t[l] = f == f ? t[l] : NAN32;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static double saturated(double d, u32 flags)
{
	if (flags & FLOAT_SAT)
		d = d > 0 ? d < 1 ? d : 1 : 0;
	if ((flags & FLOAT_RELU) && d < 0)
		d = 0;
	return d;
}

static u64 small_bits(double d, enum type t, u32 mode)
{
	if (d != d)
		return 0x7fff;
	return t == TY_F16 ? double_to_half(d, mode) : double_to_bfloat(d, mode);
}

/* An integer as a double that later rounds like the integer: excess bits become one sticky bit. */
static double jammed(u64 v, bool is_signed)
{
	bool negative = is_signed && (int64_t)v < 0;
	u64 m = negative ? 0 - v : v;

	if (m >> 53)
		m = (m & ~0x7ffull) | (m & 0x7ff ? 0x800 : 0);
	return negative ? -(double)m : (double)m;
}

static u64 int_to_float(u64 v, bool is_signed, enum type t, u32 flags)
{
	u64 out = 0;
	double d;
	float f;

	switch (t) {
	case TY_F64:
		/* clang's code for unsigned ones makes -0 of 0 where it rounds down */
		d = !v ? 0 : is_signed ? (double)(int64_t)v : (double)v;
		d = saturated(d, flags);
		memcpy(&out, &d, sizeof(d));
		return out;
	case TY_F32:
		f = is_signed ? (float)(int64_t)v : (float)v;
		f = (float)saturated((double)f, flags);
		memcpy(&out, &f, sizeof(f));
		return out;
	default:
		return small_bits(saturated(jammed(v, is_signed), flags), t, flags & FLOAT_RMASK);
	}
}

int op_cvt_to_float(struct warp *w, const struct insn *i, uint32_t mask)
{
	bool is_signed = type_info[CVT_ST(i->x)].kind == KIND_S;
	u64 v[LANES];

	get_int(w, i, v);
	for (int l = 0; l < LANES; l++)
		v[l] = int_to_float(v[l], is_signed, CVT_DT(i->x), i->x);
	put_wide(w, i->d, CVT_DC(i->x), v, mask);
	return STEP_NEXT;
}

static double load_float(u64 v, enum type t, u32 flags)
{
	u32 v32 = (u32)v;
	double d;
	float f;

	switch (t) {
	case TY_F64:
		memcpy(&d, &v, sizeof(d));
		return d;
	case TY_F32:
		if ((flags & FLOAT_FTZ) && !(v32 & 0x7f800000u))
			v32 &= 0x80000000u;
		memcpy(&f, &v32, sizeof(f));
		return f;
	case TY_F16:
		return half_to_float((uint16_t)v);
	default:
		return bfloat_to_float((uint16_t)v);
	}
}

/* Independent of the CPU's rounding mode, which is always to nearest here. */
static double to_integral(double d, u32 mode)
{
	switch (mode & FLOAT_RMASK) {
	case FLOAT_RZ:
		return trunc(d);
	case FLOAT_RM:
		return floor(d);
	case FLOAT_RP:
		return ceil(d);
	default:
		return rint(d);
	}
}

static u64 float_to_int(double d, const struct type_info *t, bool from64)
{
	u32 bits = 8u * t->bytes;
	double limit = ldexp(1.0, (int)(t->kind == KIND_S ? bits - 1 : bits));

	if (d != d) /* as the device does: zero, or only the top bit where 64 bits are involved */
		return from64 || bits == 64 ? 1ull << (bits - 1) : 0;
	if (t->kind == KIND_S) {
		if (d >= limit)
			return (1ull << (bits - 1)) - 1;
		return d < -limit ? (u64)(-(int64_t)((1ull << (bits - 1)) - 1) - 1)
				  : (u64)(int64_t)d;
	}
	if (d >= limit)
		return ~0ull >> (64 - bits);
	return d <= 0 ? 0 : (u64)d;
}

int op_cvt_from_float(struct warp *w, const struct insn *i, uint32_t mask)
{
	enum type st = CVT_ST(i->x);
	u64 v[LANES];

	get_wide(w, i->a, CVT_SC(i->x), v);
	for (int l = 0; l < LANES; l++) {
		double d = to_integral(load_float(v[l], st, i->x), i->x);

		v[l] = float_to_int(d, &type_info[CVT_DT(i->x)], st == TY_F64);
	}
	put_int(w, i, v, mask);
	return STEP_NEXT;
}

/* The largest number of a type. */
static double largest(enum type t)
{
	return t == TY_F16    ? 65504
	       : t == TY_BF16 ? 0x1.fep127
	       : t == TY_TF32 ? 0x1.ffcp127
			      : FLT_MAX;
}

static u64 store_float(double d, enum type t, u32 flags)
{
	u32 mode = flags & CVT_INTEGRAL ? FLOAT_RN : flags & CVT_AWAY ? ~0u : flags & FLOAT_RMASK;
	u64 out = 0;
	u32 v32;
	float f;

	if ((flags & CVT_FINITE) && fabs(d) > largest(t))
		d = copysign(largest(t), d);
	switch (t) {
	case TY_F64:
		memcpy(&out, &d, sizeof(d));
		return out;
	case TY_F32:
	case TY_TF32:
		f = t == TY_TF32       ? double_to_tf32(d, mode)
		    : mode == FLOAT_RN ? (float)d
				       : double_to_float(d, mode);
		memcpy(&v32, &f, sizeof(f));
		if (d != d)
			v32 = NAN32;
		if ((flags & FLOAT_FTZ) && !(v32 & 0x7f800000u))
			v32 &= 0x80000000u;
		return v32;
	default:
		return small_bits(d, t, mode);
	}
}

int op_cvt_float(struct warp *w, const struct insn *i, uint32_t mask)
{
	u64 v[LANES];

	get_wide(w, i->a, CVT_SC(i->x), v);
	for (int l = 0; l < LANES; l++) {
		double d = load_float(v[l], CVT_ST(i->x), i->x);

		if (i->x & CVT_INTEGRAL)
			d = to_integral(d, i->x);
		v[l] = store_float(saturated(d, i->x), CVT_DT(i->x), i->x);
	}
	put_wide(w, i->d, CVT_DC(i->x), v, mask);
	return STEP_NEXT;
}

/* Two singles to two halves, a above b. */
int op_cvt_pack(struct warp *w, const struct insn *i, uint32_t mask)
{
	enum type t = CVT_DT(i->x) == TY_F16X2 ? TY_F16 : TY_BF16;
	const float *a = row(w, i->a), *b = row(w, i->b);
	u32 v[LANES];

	for (int l = 0; l < LANES; l++)
		v[l] = (u32)store_float(saturated(a[l], i->x), t, i->x) << 16 |
		       (u32)store_float(saturated(b[l], i->x), t, i->x);
	put32(row(w, i->d), v, mask);
	return STEP_NEXT;
}

/* x: types. Two singles, or the halves of one register, to two bytes, a above b. */
int op_cvt_fp8(struct warp *w, const struct insn *i, uint32_t mask)
{
	const bool e4m3 = CVT_DT(i->x) == TY_E4M3X2;
	const u32 *a = row(w, i->a);
	const float *fa = row(w, i->a), *fb = i->b != OPERAND_NONE ? row(w, i->b) : NULL;
	uint16_t t[LANES];

	for (int l = 0; l < LANES; l++) {
		double hi = fb ? fa[l] : half_to_float((uint16_t)(a[l] >> 16));
		double lo = fb ? fb[l] : half_to_float((uint16_t)a[l]);

		t[l] = (uint16_t)(double_to_fp8(saturated(hi, i->x), e4m3) << 8 |
				  double_to_fp8(saturated(lo, i->x), e4m3));
	}
	put16(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_cvt_from_fp8(struct warp *w, const struct insn *i, uint32_t mask)
{
	const bool e4m3 = CVT_ST(i->x) == TY_E4M3X2;
	const uint16_t *a = row(w, i->a);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		double hi = fp8_to_float((uint8_t)(a[l] >> 8), e4m3);
		double lo = fp8_to_float((uint8_t)a[l], e4m3);

		t[l] = (u32)small_bits(saturated(hi, i->x), TY_F16, FLOAT_RN) << 16 |
		       (u32)small_bits(saturated(lo, i->x), TY_F16, FLOAT_RN);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static u32 type_bits(enum type t)
{
	return t == TY_U2 || t == TY_S2   ? 2
	       : t == TY_U4 || t == TY_S4 ? 4
					  : 8u * type_info[t].bytes;
}

/* a above b, each saturated, and c above both. */
int op_cvt_pack_int(struct warp *w, const struct insn *i, uint32_t mask)
{
	const enum type dt = CVT_DT(i->x);
	const u32 bits = type_bits(dt), keep = (1u << bits) - 1;
	const bool is_signed = type_info[dt].kind == KIND_S;
	const int32_t max = (int32_t)(is_signed ? keep >> 1 : keep), min = is_signed ? -max - 1 : 0;
	const int32_t *a = row(w, i->a), *b = row(w, i->b);
	const u32 *c = i->c != OPERAND_NONE ? row(w, i->c) : NULL;
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		int32_t x = a[l] < min ? min : a[l] > max ? max : a[l];
		int32_t y = b[l] < min ? min : b[l] > max ? max : b[l];

		t[l] = ((u32)x & keep) << bits | ((u32)y & keep) | (c ? c[l] << 2 * bits : 0);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_cvta(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u64 *a = row(w, i->a);
	u64 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = a[l] + (u64)i->imm;
	put64(row(w, i->d), t, mask);
	return STEP_NEXT;
}

int op_cvta_to(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u64 *a = row(w, i->a);
	u64 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = a[l] - (u64)i->imm;
	put64(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* imm: a window; zero stands for plain memory, all ones for a space that does not exist. x: bytes
 * of the window, of which shared::cta has the first. */
int op_isspacep(struct warp *w, const struct insn *i, uint32_t mask)
{
	const u64 *a = row(w, i->a);
	u64 window = (u64)i->imm;
	u32 r = 0;

	for (int l = 0; l < LANES; l++) {
		u64 top = a[l] & WINDOW_MASK, offset = a[l] & ~WINDOW_MASK;
		bool in_window;

		if (i->x == CLUSTER_STRIDE && offset / CLUSTER_STRIDE == w->cta->rank + 1)
			offset %= CLUSTER_STRIDE;
		in_window = top && offset < i->x;

		r |= (u32)(window ? in_window && top == window : !in_window) << l;
	}
	put_pred(w, i->d, r, mask);
	return STEP_NEXT;
}
