/* SPDX-License-Identifier: MIT */
/*
 * Half precision and bfloat16, one or two in a register: computed in double, where sums and
 * products of halves are exact, and rounded once.
 */
#include "tests/simcuda/ptx/exec.h"

#include <math.h>

typedef uint32_t u32;
typedef uint64_t u64;

#define SMALL_NAN 0x7fffu

/* A double as a format of fewer bits: sign, exponent, mantissa in the low bits of the result. */
static u32 narrow(double d, u32 exp_bits, u32 man_bits, u32 mode)
{
	u64 v, m, q, rest, half;
	int e, bias = (1 << (exp_bits - 1)) - 1, shift = 52 - (int)man_bits;
	u32 sign, max = ((1u << exp_bits) - 1) << man_bits, out;
	bool up;

	memcpy(&v, &d, sizeof(v));
	sign = (u32)(v >> 63);
	e = (int)(v >> 52 & 0x7ff) - 1023;
	m = v & 0xfffffffffffffull;
	if (e == 1024)
		return m ? max | ((1u << man_bits) - 1) : sign << (exp_bits + man_bits) | max;
	if (e == -1023)
		e = -1022;
	else
		m |= 1ull << 52;
	if (e < 1 - bias)
		shift += 1 - bias - e;
	if (shift > 54)
		shift = 54;
	half = 1ull << (shift - 1);
	rest = m & ((half << 1) - 1);
	q = m >> shift;
	if (mode == FLOAT_RZ)
		up = false;
	else if (mode == FLOAT_RM)
		up = sign && rest;
	else if (mode == FLOAT_RP)
		up = !sign && rest;
	else if (mode == FLOAT_RN)
		up = rest > half || (rest == half && (q & 1));
	else
		up = rest >= half;
	q += up;
	if (e < 1 - bias)
		out = (u32)q;
	else if (e > bias)
		out = max;
	else
		out = (u32)(((u64)(e + bias - 1) << man_bits) + q);
	if (out >= max) {
		bool inf = mode == FLOAT_RZ   ? false
			   : mode == FLOAT_RM ? sign
			   : mode == FLOAT_RP ? !sign
					      : true;

		out = inf ? max : max - 1;
	}
	return sign << (exp_bits + man_bits) | out;
}

uint16_t double_to_half(double d, uint32_t mode)
{
	return (uint16_t)narrow(d, 5, 10, mode);
}

uint16_t double_to_bfloat(double d, uint32_t mode)
{
	return (uint16_t)narrow(d, 8, 7, mode);
}

float double_to_float(double d, uint32_t mode)
{
	u32 v = narrow(d, 8, 23, mode);
	float f;

	memcpy(&f, &v, sizeof(f));
	return f;
}

float double_to_tf32(double d, uint32_t mode)
{
	u32 v = narrow(d, 8, 10, mode) << 13;
	float f;

	if (d != d)
		v = 0x7fffffffu;
	memcpy(&f, &v, sizeof(f));
	return f;
}

float fp8_to_float(uint8_t v, bool e4m3)
{
	const u32 man = e4m3 ? 3 : 2, bias = e4m3 ? 7 : 15, e = (v & 0x7f) >> man;
	const u32 m = v & ((1u << man) - 1);
	float f;

	if (e4m3 ? (v & 0x7f) == 0x7f : e == 31 && m)
		return NAN;
	if (!e4m3 && e == 31)
		f = INFINITY;
	else
		f = ldexpf((float)(e ? m + (1u << man) : m), (int)((e ? e : 1) - bias - man));
	return v & 0x80 ? -f : f;
}

uint8_t double_to_fp8(double d, bool e4m3)
{
	const int man = e4m3 ? 3 : 2, least = e4m3 ? -6 : -14;
	const double max = e4m3 ? 448 : 57344, a = fabs(d);
	const uint8_t sign = signbit(d) ? 0x80 : 0;
	int e = least;
	u32 n;

	if (d != d)
		return 0x7f;
	if (a >= max)
		return sign | (e4m3 ? 0x7e : 0x7b);
	if (a >= ldexp(1, least))
		e = ilogb(a);
	/* as many steps of the last place, which may carry into the exponent */
	n = (u32)rint(ldexp(a, man - e));
	return (uint8_t)(sign | (n + ((u32)(e - least) << man)));
}

float half_to_float(uint16_t h)
{
	u32 sign = (u32)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023, v;
	float f;

	if (e == 31)
		v = sign | 0x7f800000u | m << 13;
	else if (e)
		v = sign | (e + 112) << 23 | m << 13;
	else {
		f = (float)m * 0x1p-24f;
		memcpy(&v, &f, sizeof(v));
		v |= sign;
	}
	memcpy(&f, &v, sizeof(f));
	return f;
}

float bfloat_to_float(uint16_t h)
{
	u32 v = (u32)h << 16;
	float f;

	memcpy(&f, &v, sizeof(f));
	return f;
}

/* A format's properties. */
struct format {
	bool bfloat, pair;
};

/* Zero, or a subnormal number. */
static bool is_tiny(u32 v, bool bfloat)
{
	return !(v & (bfloat ? 0x7f80 : 0x7c00));
}

static double widen(u32 v, bool bfloat, bool ftz)
{
	uint16_t h = (uint16_t)v;

	if (ftz && is_tiny(h, bfloat))
		h &= 0x8000;
	return bfloat ? bfloat_to_float(h) : half_to_float(h);
}

static u32 finish(double d, bool bfloat, u32 flags)
{
	u32 v;

	if (d != d)
		return flags & FLOAT_SAT ? 0 : SMALL_NAN;
	if (flags & FLOAT_SAT)
		d = d > 0 ? d < 1 ? d : 1 : 0;
	if ((flags & FLOAT_RELU) && d < 0)
		d = 0;
	v = bfloat ? double_to_bfloat(d, FLOAT_RN) : double_to_half(d, FLOAT_RN);
	if ((flags & FLOAT_FTZ) && is_tiny(v, bfloat))
		v &= 0x8000;
	return v;
}

static double select_double(double x, double y, u32 flags, bool max)
{
	bool negative = signbit(x) != signbit(y);
	double v;

	if ((flags & FLOAT_NAN) && (x != x || y != y))
		return NAN;
	if (flags & FLOAT_XORABS) {
		x = fabs(x);
		y = fabs(y);
	}
	if (x != x || y != y)
		v = x != x ? y : x;
	else if (x == y)
		v = max == (signbit(x) != 0) ? y : x;
	else
		v = (x > y) == max ? x : y;
	return (flags & FLOAT_XORABS) && negative ? -v : v;
}

static double half_op(enum float2 op, double x, double y, u32 flags)
{
	switch (op) {
	case F2_ADD:
		return x + y;
	case F2_SUB:
		return x - y;
	case F2_MUL:
		return x * y;
	case F2_MIN:
		return select_double(x, y, flags, false);
	default:
		return select_double(x, y, flags, true);
	}
}

static inline u32 half_lane2(enum float2 op, u32 a, u32 b, struct format f, u32 flags)
{
	bool ftz = flags & FLOAT_FTZ;
	u32 v = finish(half_op(op, widen(a, f.bfloat, ftz), widen(b, f.bfloat, ftz), flags),
		       f.bfloat, flags);

	if (f.pair)
		v |= finish(half_op(op, widen(a >> 16, f.bfloat, ftz),
				    widen(b >> 16, f.bfloat, ftz), flags),
			    f.bfloat, flags)
		     << 16;
	return v;
}

static int half2(struct warp *w, const struct insn *i, u32 mask, enum float2 op, struct format f)
{
	u64 a[LANES], b[LANES], t[LANES];
	enum cls cls = f.pair ? CLS_W : CLS_H;

	get_wide(w, i->a, cls, a);
	get_wide(w, i->b, cls, b);
	for (int l = 0; l < LANES; l++)
		t[l] = half_lane2(op, (u32)a[l], (u32)b[l], f, i->x);
	put_wide(w, i->d, cls, t, mask);
	return STEP_NEXT;
}

static u32 half_fma(u32 a, u32 b, u32 c, bool bfloat, u32 flags)
{
	bool ftz = flags & FLOAT_FTZ;

	return finish(fma_odd(widen(a, bfloat, ftz), widen(b, bfloat, ftz), widen(c, bfloat, ftz)),
		      bfloat, flags);
}

static int half3(struct warp *w, const struct insn *i, u32 mask, struct format f)
{
	u64 a[LANES], b[LANES], c[LANES], t[LANES];
	enum cls cls = f.pair ? CLS_W : CLS_H;

	get_wide(w, i->a, cls, a);
	get_wide(w, i->b, cls, b);
	get_wide(w, i->c, cls, c);
	for (int l = 0; l < LANES; l++) {
		t[l] = half_fma((u32)a[l], (u32)b[l], (u32)c[l], f.bfloat, i->x);
		if (f.pair)
			t[l] |= (u64)half_fma((u32)a[l] >> 16, (u32)b[l] >> 16, (u32)c[l] >> 16,
					      f.bfloat, i->x)
				<< 16;
	}
	put_wide(w, i->d, cls, t, mask);
	return STEP_NEXT;
}

static u32 half_unary(enum float1 op, u32 v, struct format f, u32 flags)
{
	double x;

	if ((flags & FLOAT_FTZ) && is_tiny(v, f.bfloat))
		v &= 0x8000;
	if (op == F1_NEG)
		return (v ^ 0x8000) & 0xffff;
	if (op == F1_ABS)
		return v & 0x7fff;
	x = widen(v, f.bfloat, false);
	return finish(op == F1_EX2 ? exp2(x) : tanh(x), f.bfloat, flags & FLOAT_FTZ);
}

static int half1(struct warp *w, const struct insn *i, u32 mask, enum float1 op, struct format f)
{
	u64 a[LANES], t[LANES];
	enum cls cls = f.pair ? CLS_W : CLS_H;

	get_wide(w, i->a, cls, a);
	for (int l = 0; l < LANES; l++) {
		t[l] = half_unary(op, (u32)a[l] & 0xffff, f, i->x);
		if (f.pair)
			t[l] |= (u64)half_unary(op, (u32)a[l] >> 16, f, i->x) << 16;
	}
	put_wide(w, i->d, cls, t, mask);
	return STEP_NEXT;
}

#define F16_FORMAT   ((struct format){false, false})
#define F16X2_FORMAT ((struct format){false, true})
#define BF_FORMAT    ((struct format){true, false})
#define BFX2_FORMAT  ((struct format){true, true})

#define HALF2(name, op)                                                                            \
	static int name##_h(struct warp *w, const struct insn *i, u32 mask)                        \
	{                                                                                          \
		return half2(w, i, mask, op, F16_FORMAT);                                          \
	}                                                                                          \
	static int name##_h2(struct warp *w, const struct insn *i, u32 mask)                       \
	{                                                                                          \
		return half2(w, i, mask, op, F16X2_FORMAT);                                        \
	}                                                                                          \
	static int name##_b(struct warp *w, const struct insn *i, u32 mask)                        \
	{                                                                                          \
		return half2(w, i, mask, op, BF_FORMAT);                                           \
	}                                                                                          \
	static int name##_b2(struct warp *w, const struct insn *i, u32 mask)                       \
	{                                                                                          \
		return half2(w, i, mask, op, BFX2_FORMAT);                                         \
	}
#define HALF1(name, op)                                                                            \
	static int name##_h(struct warp *w, const struct insn *i, u32 mask)                        \
	{                                                                                          \
		return half1(w, i, mask, op, F16_FORMAT);                                          \
	}                                                                                          \
	static int name##_h2(struct warp *w, const struct insn *i, u32 mask)                       \
	{                                                                                          \
		return half1(w, i, mask, op, F16X2_FORMAT);                                        \
	}                                                                                          \
	static int name##_b(struct warp *w, const struct insn *i, u32 mask)                        \
	{                                                                                          \
		return half1(w, i, mask, op, BF_FORMAT);                                           \
	}                                                                                          \
	static int name##_b2(struct warp *w, const struct insn *i, u32 mask)                       \
	{                                                                                          \
		return half1(w, i, mask, op, BFX2_FORMAT);                                         \
	}

HALF2(add, F2_ADD)
HALF2(sub, F2_SUB)
HALF2(mul, F2_MUL)
HALF2(min, F2_MIN)
HALF2(max, F2_MAX)
HALF1(neg, F1_NEG)
HALF1(abs, F1_ABS)
HALF1(ex2, F1_EX2)
HALF1(tanh, F1_TANH)

static int fma_h(struct warp *w, const struct insn *i, u32 mask)
{
	return half3(w, i, mask, F16_FORMAT);
}

static int fma_h2(struct warp *w, const struct insn *i, u32 mask)
{
	return half3(w, i, mask, F16X2_FORMAT);
}

static int fma_b(struct warp *w, const struct insn *i, u32 mask)
{
	return half3(w, i, mask, BF_FORMAT);
}

static int fma_b2(struct warp *w, const struct insn *i, u32 mask)
{
	return half3(w, i, mask, BFX2_FORMAT);
}

static int half_column(enum type t)
{
	switch (t) {
	case TY_F16:
		return 0;
	case TY_F16X2:
		return 1;
	case TY_BF16:
		return 2;
	case TY_BF16X2:
		return 3;
	default:
		return -1;
	}
}

#define FORMATS(n)                                                                                 \
	{                                                                                          \
		n##_h, n##_h2, n##_b, n##_b2                                                       \
	}

exec_fn half2_fn(enum float2 op, enum type t)
{
	static const exec_fn table[F2_COUNT][4] = {
		[F2_ADD] = FORMATS(add), [F2_SUB] = FORMATS(sub), [F2_MUL] = FORMATS(mul),
		[F2_MIN] = FORMATS(min), [F2_MAX] = FORMATS(max),
	};
	int c = half_column(t);

	return c < 0 ? NULL : table[op][c];
}

exec_fn half1_fn(enum float1 op, enum type t)
{
	static const exec_fn table[F1_COUNT][4] = {
		[F1_NEG] = FORMATS(neg),
		[F1_ABS] = FORMATS(abs),
		[F1_EX2] = FORMATS(ex2),
		[F1_TANH] = FORMATS(tanh),
	};
	int c = half_column(t);

	return c < 0 ? NULL : table[op][c];
}

exec_fn half3_fn(enum type t)
{
	static const exec_fn table[4] = FORMATS(fma);
	int c = half_column(t);

	return c < 0 ? NULL : table[c];
}

uint32_t half_atomic(uint32_t op, enum type t, uint32_t a, uint32_t b)
{
	struct format f = {t == TY_BF16 || t == TY_BF16X2, t == TY_F16X2 || t == TY_BF16X2};

	return half_lane2(op == ATOM_ADD ? F2_ADD : op == ATOM_MIN ? F2_MIN : F2_MAX, a, b, f, 0);
}
