/* SPDX-License-Identifier: MIT */
/*
 * Forms of the table of instructions against values computed here: every pair of special values,
 * over types, rounding and saturation. The reference works on wide integers and on the CPU's
 * floating point, and shares nothing with the engine.
 */
#include "tests/simcuda/test/ptx_case.h"
#include "tests/simcuda/test/ptx_real.h"

#include <fenv.h>
#include <math.h>

static const uint64_t ints[] = {
	0,          1,          2,          7,          31,
	32,         33,         63,         64,         0x7f,
	0x80,       0xff,       0x7fff,     0x8000,     0xffff,
	0x12345678, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffffffffffe,
	1ull << 62, INT64_MAX,  1ull << 63, UINT64_MAX,
};
static const double reals[] = {
	0.0,          -0.0,
	1.0,          -1.0,
	0.5,          1.5,
	-2.5,         3.0,
	1e-3,         1.0 / 3,
	0x1p-149,     -0x1p-149,
	0x1p-126,     0x1.fffffcp-127,
	-0x1p-130,    0x1p127,
	-0x1p127,     0x1p31,
	-0x1p31,      0x1p32,
	0x1p63,       -0x1p63,
	0x1p64,       254.5,
	255.5,        -128.5,
	-129.0,       32767.5,
	65535.5,      65504,
	INFINITY,     -INFINITY,
	NAN,          0x1.fffffep127,
	0x1.000002p0, 2147483647.0,
};
#define INTS  CASE_COUNT(ints)
#define REALS CASE_COUNT(reals)

/* ---- integers ---- */
struct num {
	const char *name;
	uint32_t bits;
	bool is_signed;
	char cls;
};
static const struct num nums[] = {{"u16", 16, false, 'h'}, {"s16", 16, true, 'h'},
				  {"u32", 32, false, 'w'}, {"s32", 32, true, 'w'},
				  {"u64", 64, false, 'd'}, {"s64", 64, true, 'd'}};

static uint64_t cut(uwide v, uint32_t bits)
{
	return (uint64_t)v & (bits == 64 ? UINT64_MAX : (1ull << bits) - 1);
}

static wide value(uint64_t v, const struct num *t)
{
	v = cut(v, t->bits);
	return t->is_signed && v >> (t->bits - 1) ? (wide)v - ((wide)1 << t->bits) : (wide)v;
}

static wide least(const struct num *t)
{
	return t->is_signed ? -((wide)1 << (t->bits - 1)) : 0;
}

static wide greatest(const struct num *t)
{
	return t->is_signed ? ((wide)1 << (t->bits - 1)) - 1 : ((wide)1 << t->bits) - 1;
}

static wide clamp(wide v, const struct num *t)
{
	return v < least(t) ? least(t) : v > greatest(t) ? greatest(t) : v;
}

/* A product's upper half: of 64 bits by parts. */
static uint64_t high(wide a, wide b, const struct num *t)
{
	uwide lo = (uwide)(uint64_t)a * (uint64_t)b;
	uint64_t h;

	if (t->bits < 64)
		return cut((uwide)(a * b) >> t->bits, t->bits);
	h = (uint64_t)(lo >> 64);
	if (t->is_signed)
		h -= (a < 0 ? (uint64_t)b : 0) + (b < 0 ? (uint64_t)a : 0);
	return h;
}

enum op { ADD, SUB, MUL, MULHI, MAD, MADHI, SAD, DIV, REM, MIN, MAX, ABS, NEG, SHR, ADDS, SUBS };
static uint64_t int_value(enum op op, const struct num *t, uint64_t ra, uint64_t rb, uint64_t rc)
{
	wide a = value(ra, t), b = value(rb, t), c = value(rc, t);
	uint64_t n = cut(rb, 32);

	switch (op) {
	case ADD:
		return cut((uwide)(a + b), t->bits);
	case SUB:
		return cut((uwide)(a - b), t->bits);
	case ADDS:
		return cut((uwide)clamp(a + b, t), t->bits);
	case SUBS:
		return cut((uwide)clamp(a - b, t), t->bits);
	case MUL:
		return cut((uwide)a * (uwide)b, t->bits);
	case MAD:
		return cut((uwide)a * (uwide)b + (uwide)c, t->bits);
	case MULHI:
		return high(a, b, t);
	case MADHI:
		return cut((uwide)high(a, b, t) + (uwide)c, t->bits);
	case SAD:
		return cut((uwide)((a > b ? a - b : b - a) + c), t->bits);
	case DIV: /* by zero: what devices give, all ones */
		return cut((uwide)(b ? a / b : -1), t->bits);
	case REM:
		return cut((uwide)(b ? a % b : a), t->bits);
	case MIN:
		return cut((uwide)(a < b ? a : b), t->bits);
	case MAX:
		return cut((uwide)(a > b ? a : b), t->bits);
	case ABS:
		return cut((uwide)(a < 0 ? -a : a), t->bits);
	case NEG:
		return cut((uwide)-a, t->bits);
	default: /* a shift by the width or more leaves the sign */
		return cut((uwide)(n >= t->bits ? (a < 0 ? -1 : 0) : a >> n), t->bits);
	}
}

static uint32_t pairs_of_ints(uint64_t (*in)[3])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < INTS; i++) {
		for (uint32_t k = 0; k < INTS; k++, n++) {
			in[n][0] = ints[i];
			in[n][1] = ints[k];
			in[n][2] = ints[(i * 5 + k * 3) % INTS];
		}
	}
	return n;
}

START_TEST(integers)
{
	enum { ANY, SIGNED, S32 };
	static const struct {
		const char *name;
		enum op op;
		uint32_t operands, types;
	} ops[] = {
		{"add", ADD, 2, ANY},      {"sub", SUB, 2, ANY},    {"mul.lo", MUL, 2, ANY},
		{"mul.hi", MULHI, 2, ANY}, {"mad.lo", MAD, 3, ANY}, {"mad.hi", MADHI, 3, ANY},
		{"sad", SAD, 3, ANY},      {"div", DIV, 2, ANY},    {"rem", REM, 2, ANY},
		{"min", MIN, 2, ANY},      {"max", MAX, 2, ANY},    {"shr", SHR, 2, ANY},
		{"abs", ABS, 1, SIGNED},   {"neg", NEG, 1, SIGNED}, {"add.sat", ADDS, 2, S32},
		{"sub.sat", SUBS, 2, S32},
	};
	static uint64_t in[INTS * INTS][3], out[INTS * INTS];
	const struct num *t = &nums[_i];
	uint32_t n = pairs_of_ints(in);
	char insn[128];

	for (size_t o = 0; o < CASE_COUNT(ops); o++) {
		if ((ops[o].types != ANY && !t->is_signed) ||
		    (ops[o].types == S32 && t->bits != 32))
			continue;
		snprintf(insn, sizeof(insn),
			 ops[o].operands == 1   ? "%s.%s %%%c3, %%%c0;"
			 : ops[o].operands == 2 ? "%s.%s %%%c3, %%%c0, %%%c1;"
						: "%s.%s %%%c3, %%%c0, %%%c1, %%%c2;",
			 ops[o].name, t->name, t->cls, t->cls, ops[o].op == SHR ? 'w' : t->cls,
			 t->cls);
		run_threads(insn, t->cls, (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++)
			expect_value(insn, in[i], out[i],
				     int_value(ops[o].op, t, in[i][0], in[i][1], in[i][2]));
	}
}
END_TEST

/* mul.wide and mad.wide, and the conversions between integers with and without saturation. */
START_TEST(widths)
{
	static const struct num small[] = {{"u8", 8, false, 'h'}, {"s8", 8, true, 'h'}};
	static uint64_t in[INTS * INTS][3], out[INTS * INTS];
	const struct num *t = _i < 6 ? &nums[_i] : &small[_i - 6];
	uint32_t n = pairs_of_ints(in);
	char insn[128];

	for (size_t k = 0; k < CASE_COUNT(nums) + 2; k++) {
		const struct num *d = k < 6 ? &nums[k] : &small[k - 6];

		for (int sat = 0; sat < 2; sat++) {
			snprintf(insn, sizeof(insn), "cvt%s.%s.%s %%%c3, %%%c0;", sat ? ".sat" : "",
				 d->name, t->name, d->cls, t->cls);
			run_threads(insn, d->cls, (const uint64_t(*)[3])in, out, n);
			for (uint32_t i = 0; i < n; i += INTS) {
				wide v = value(in[i][0], t);
				uint64_t want = cut((uwide)(sat ? clamp(v, d) : v), d->bits);

				/* a narrow result fills its register by its sign */
				if (d->bits == 8 && d->is_signed)
					want = cut((uwide)value(want, d), 16);
				expect_value(insn, in[i], out[i], want);
			}
		}
	}
	if (_i >= 4)
		return;
	for (int mad = 0; mad < 2; mad++) {
		const struct num *d = &nums[_i + 2];

		snprintf(insn, sizeof(insn), "%s.wide.%s %%%c3, %%%c0, %%%c1%s%c%s;",
			 mad ? "mad" : "mul", t->name, d->cls, t->cls, t->cls, mad ? ", %" : "",
			 mad ? d->cls : ' ', mad ? "2" : "");
		run_threads(insn, d->cls, (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++)
			expect_value(insn, in[i], out[i],
				     cut((uwide)(value(in[i][0], t) * value(in[i][1], t)) +
						 (mad ? in[i][2] : 0),
					 d->bits));
	}
}
END_TEST

/* ---- floats ---- */
static const char *const modes[] = {"rn", "rz", "rm", "rp"};
static const int fenv_modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
enum fop { FADD, FSUB, FMUL, FDIV, FFMA, FRCP, FSQRT };

static uint64_t bits_of(double v, bool is64)
{
	float f = (float)v;
	uint64_t d;
	uint32_t w;

	memcpy(&d, &v, 8);
	memcpy(&w, &f, 4);
	return is64 ? d : v != v ? 0x7fffffffu : w;
}

static float single(uint64_t v, bool ftz)
{
	uint32_t w = (uint32_t)v;
	float f;

	if (ftz && !(w & 0x7f800000u))
		w &= 0x80000000u;
	memcpy(&f, &w, 4);
	return f;
}

/* volatile: the compiler does not know of rounding modes. */
#define CALCULATE(name, type, fma_, sqrt_)                                                         \
	static type name(enum fop op, int mode, type a_, type b_, type c_)                         \
	{                                                                                          \
		volatile type a = a_, b = b_, c = c_, one = 1, r;                                  \
                                                                                                   \
		fesetround(fenv_modes[mode]);                                                      \
		switch (op) {                                                                      \
		case FADD:                                                                         \
			r = a + b;                                                                 \
			break;                                                                     \
		case FSUB:                                                                         \
			r = a - b;                                                                 \
			break;                                                                     \
		case FMUL:                                                                         \
			r = a * b;                                                                 \
			break;                                                                     \
		case FDIV:                                                                         \
			r = a / b;                                                                 \
			break;                                                                     \
		case FFMA:                                                                         \
			r = fma_(a, b, c);                                                         \
			break;                                                                     \
		case FRCP:                                                                         \
			r = one / a;                                                               \
			break;                                                                     \
		default:                                                                           \
			r = sqrt_(a);                                                              \
		}                                                                                  \
		fesetround(FE_TONEAREST);                                                          \
		return r;                                                                          \
	}
CALCULATE(calculate32, float, fmaf, sqrtf)
CALCULATE(calculate64, double, fma, sqrt)

static uint64_t float_value(enum fop op, int mode, bool ftz, bool sat, const uint64_t in[3])
{
	float r = calculate32(op, mode, single(in[0], ftz), single(in[1], ftz), single(in[2], ftz));
	uint64_t v;

	if (sat)
		r = r > 0 ? r < 1 ? r : 1 : 0;
	v = bits_of((double)r, false);
	return ftz && !(v & 0x7f800000u) ? v & 0x80000000u : v;
}

/* As many threads as a block may have. */
static uint32_t pairs_of_reals(uint64_t (*in)[3], bool is64)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < REALS; i++) {
		for (uint32_t k = i % 2; k < REALS; k += 2, n++) {
			in[n][0] = bits_of(reals[i], is64);
			in[n][1] = bits_of(reals[k], is64);
			in[n][2] = bits_of(reals[(i * 7 + k) % REALS], is64);
		}
	}
	return n;
}

static const struct {
	const char *name;
	enum fop op;
	uint32_t operands;
	bool has_sat;
} float_ops[] = {{"add", FADD, 2, true},    {"sub", FSUB, 2, true},  {"mul", FMUL, 2, true},
		 {"fma", FFMA, 3, true},    {"div", FDIV, 2, false}, {"rcp", FRCP, 1, false},
		 {"sqrt", FSQRT, 1, false}, {"mad", FFMA, 3, true}};

static bool is_nan64(uint64_t v)
{
	return (v << 1) > 0x7ff0000000000000ull << 1;
}

START_TEST(rounded)
{
	static uint64_t in[REALS * REALS][3], out[REALS * REALS];
	const char *operands[] = {"", "%s3, %s0", "%s3, %s0, %s1", "%s3, %s0, %s1, %s2"};
	bool is64 = _i >= 4;
	uint32_t n = pairs_of_reals(in, is64);
	char insn[128], regs[64];
	int mode = _i % 4;

	for (size_t o = 0; o < CASE_COUNT(float_ops); o++) {
		const char *r = is64 ? "%d" : "%w";

		snprintf(regs, sizeof(regs), operands[float_ops[o].operands], r, r, r, r);
		for (int flags = 0; flags < (is64 ? 1 : float_ops[o].has_sat ? 4 : 2); flags++) {
			snprintf(insn, sizeof(insn), "%s.%s%s%s.%s %s;", float_ops[o].name,
				 modes[mode], flags & 1 ? ".ftz" : "", flags & 2 ? ".sat" : "",
				 is64 ? "f64" : "f32", regs);
			run_threads(insn, is64 ? 'd' : 'w', (const uint64_t(*)[3])in, out, n);
			for (uint32_t i = 0; i < n; i++) {
				double a[3], d;
				uint64_t want;

				memcpy(a, in[i], sizeof(a));
				d = calculate64(float_ops[o].op, mode, a[0], a[1], a[2]);
				want = is64 ? bits_of(d, true)
					    : float_value(float_ops[o].op, mode, flags & 1,
							  flags & 2, in[i]);
				if (is64 && is_nan64(want) && is_nan64(out[i]))
					continue;
				expect_value(insn, in[i], out[i], want);
			}
		}
	}
}
END_TEST

/* cvt from and to integers, in each rounding; out of range is the nearest, a NaN as documented. */
START_TEST(conversions)
{
	static const char *const integral[] = {"rni", "rzi", "rmi", "rpi"};
	static uint64_t in[INTS + REALS][3], out[INTS + REALS];
	bool is64 = _i >= 4;
	const char *name = is64 ? "f64" : "f32";
	char insn[128], c = is64 ? 'd' : 'w';
	int mode = _i % 4;

	for (size_t k = 0; k < CASE_COUNT(nums); k++) {
		const struct num *t = &nums[k];

		for (uint32_t i = 0; i < REALS; i++)
			in[i][0] = bits_of(reals[i], is64);
		snprintf(insn, sizeof(insn), "cvt.%s.%s.%s %%%c3, %%%c0;", integral[mode], t->name,
			 name, t->cls, c);
		run_threads(insn, t->cls, (const uint64_t(*)[3])in, out, REALS);
		for (uint32_t i = 0; i < REALS; i++) {
			double v = is64 ? reals[i] : (double)(float)reals[i];
			double r = mode == 0   ? rint(v)
				   : mode == 1 ? trunc(v)
				   : mode == 2 ? floor(v)
					       : ceil(v);
			wide want;

			if (r != r)
				want = is64 || t->bits == 64 ? (wide)1 << (t->bits - 1) : 0;
			else
				want = r >= 0x1p65    ? greatest(t)
				       : r <= -0x1p65 ? least(t)
						      : clamp((wide)r, t);
			expect_value(insn, in[i], out[i], cut((uwide)want, t->bits));
		}
		for (uint32_t i = 0; i < INTS; i++)
			in[i][0] = ints[i];
		snprintf(insn, sizeof(insn), "cvt.%s.%s.%s %%%c3, %%%c0;", modes[mode], name,
			 t->name, c, t->cls);
		run_threads(insn, c, (const uint64_t(*)[3])in, out, INTS);
		for (uint32_t i = 0; i < INTS; i++) {
			volatile wide v = value(ints[i], t);
			volatile float f;
			volatile double d;

			fesetround(fenv_modes[mode]);
			f = v < 0 ? (float)(int64_t)v : (float)(uint64_t)v;
			/* not by clang's code for unsigned ones, which makes -0 of 0 rounded down
			 */
			d = v <= 0 ? (double)(int64_t)v : (double)(uint64_t)v;
			fesetround(FE_TONEAREST);
			expect_value(insn, in[i], out[i], bits_of(is64 ? d : (double)f, is64));
		}
	}
}
END_TEST

static bool compared(int op, double a, double b)
{
	bool nan = a != a || b != b;

	switch (op) {
	case 0:
		return a == b;
	case 1:
		return !nan && a != b;
	case 2:
		return a < b;
	case 3:
		return a <= b;
	case 4:
		return a > b;
	case 5:
		return a >= b;
	case 12:
		return !nan;
	case 13:
		return nan;
	default: /* equ to geu: true if one is a NaN */
		return nan || compared(op - 6, a, b);
	}
}

START_TEST(float_comparisons)
{
	static const char *const ops[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
					  "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
	static uint64_t in[REALS * REALS][3], out[REALS * REALS];
	char insn[128];

	for (int kind = 0; kind < 3; kind++) { /* f32, with ftz, f64 */
		bool is64 = kind == 2;
		uint32_t n = pairs_of_reals(in, is64);
		char c = is64 ? 'd' : 'w';

		snprintf(insn, sizeof(insn), "setp.%s%s.%s %%p3, %%%c0, %%%c1;", ops[_i],
			 kind == 1 ? ".ftz" : "", is64 ? "f64" : "f32", c, c);
		run_threads(insn, 'p', (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++) {
			double a[2];

			memcpy(a, in[i], sizeof(a));
			if (!is64) {
				a[0] = (double)single(in[i][0], kind == 1);
				a[1] = (double)single(in[i][1], kind == 1);
			}
			expect_value(insn, in[i], out[i], compared(_i, a[0], a[1]));
		}
	}
}
END_TEST

/* ---- bits, written as the manual explains them ---- */
static uint64_t reversed(uint64_t v, uint32_t n)
{
	uint64_t r = 0;

	for (uint32_t i = 0; i < n; i++)
		r |= (v >> i & 1) << (n - 1 - i);
	return r;
}

/* The highest bit that differs from the sign; all ones if there is none. */
static uint64_t found(uint64_t v, uint32_t n, bool is_signed)
{
	uint64_t sign = is_signed && v >> (n - 1) & 1;

	for (uint32_t i = n; i-- > 0;) {
		if ((v >> i & 1) != sign)
			return i;
	}
	return 0xffffffff;
}

static uint64_t extracted(uint64_t v, uint32_t pos, uint32_t len, uint32_t n, bool is_signed)
{
	uint64_t r = 0, sign;
	uint32_t last = pos + len - 1 < n - 1 ? pos + len - 1 : n - 1;

	sign = is_signed && len ? v >> last & 1 : 0;
	for (uint32_t i = 0; i < n; i++)
		r |= (i < len && pos + i < n ? v >> (pos + i) & 1 : sign) << i;
	return r;
}

static uint64_t inserted(uint64_t a, uint64_t b, uint32_t pos, uint32_t len, uint32_t n)
{
	for (uint32_t i = 0; i < len && pos + i < n; i++)
		b = (b & ~(1ull << (pos + i))) | (a >> i & 1) << (pos + i);
	return b;
}

#define REF(name, expr)                                                                            \
	static uint64_t name(uint64_t a, uint64_t b, uint64_t c)                                   \
	{                                                                                          \
		uint32_t w = (uint32_t)a, v = (uint32_t)b, u = (uint32_t)c;                        \
                                                                                                   \
		(void)w, (void)v, (void)u;                                                         \
		return (uint64_t)(expr);                                                           \
	}
REF(popc32, __builtin_popcount(w))
REF(popc64, __builtin_popcountll(a))
REF(clz32, found(w, 32, false) == 0xffffffff ? 32 : 31 - found(w, 32, false))
REF(clz64, found(a, 64, false) == 0xffffffff ? 64 : 63 - found(a, 64, false))
REF(brev32, reversed(w, 32))
REF(brev64, reversed(a, 64))
REF(bfind_u32, found(w, 32, false))
REF(bfind_s32, found(w, 32, true))
REF(bfind_u64, found(a, 64, false))
REF(bfind_s64, found(a, 64, true))
REF(bfe_u32, extracted(w, v & 255, u & 255, 32, false))
REF(bfe_s32, extracted(w, v & 255, u & 255, 32, true))
REF(bfe_u64, extracted(a, v & 255, u & 255, 64, false))
REF(bfe_s64, extracted(a, v & 255, u & 255, 64, true))
REF(bfi_b32, inserted(w, ~w, v & 255, u & 255, 32))
REF(bfi_b64, inserted(a, ~a, v & 255, u & 255, 64))
REF(shl16, v > 15 ? 0 : (w << v) & 0xffff)
REF(shl32, v > 31 ? 0 : (uint32_t)(w << v))
REF(shl64, v > 63 ? 0 : a << v)
REF(shf_l_wrap, (uint32_t)((((uint64_t)v << 32 | w) << (u & 31)) >> 32))
REF(shf_r_clamp, (uint32_t)(((uint64_t)v << 32 | w) >> (u > 32 ? 32 : u)))
REF(cnot32, w == 0)
REF(lop3_e8, (w & v) | (w & u) | (v & u))
REF(below_s16, (int16_t)w < (int16_t)v)
REF(below_u64, a < b)
REF(least_s32, (int32_t)w >= (int32_t)v && c != 0)

START_TEST(bits)
{
	static const struct {
		const char *insn;
		char result;
		uint64_t (*ref)(uint64_t a, uint64_t b, uint64_t c);
	} forms[] = {
		{"popc.b32 %w3, %w0;", 'w', popc32},
		{"popc.b64 %w3, %d0;", 'w', popc64},
		{"clz.b32 %w3, %w0;", 'w', clz32},
		{"clz.b64 %w3, %d0;", 'w', clz64},
		{"brev.b32 %w3, %w0;", 'w', brev32},
		{"brev.b64 %d3, %d0;", 'd', brev64},
		{"bfind.u32 %w3, %w0;", 'w', bfind_u32},
		{"bfind.s32 %w3, %w0;", 'w', bfind_s32},
		{"bfind.u64 %w3, %d0;", 'w', bfind_u64},
		{"bfind.s64 %w3, %d0;", 'w', bfind_s64},
		{"bfe.u32 %w3, %w0, %w1, %w2;", 'w', bfe_u32},
		{"bfe.s32 %w3, %w0, %w1, %w2;", 'w', bfe_s32},
		{"bfe.u64 %d3, %d0, %w1, %w2;", 'd', bfe_u64},
		{"bfe.s64 %d3, %d0, %w1, %w2;", 'd', bfe_s64},
		{"not.b32 %w4, %w0; bfi.b32 %w3, %w0, %w4, %w1, %w2;", 'w', bfi_b32},
		{"not.b64 %d4, %d0; bfi.b64 %d3, %d0, %d4, %w1, %w2;", 'd', bfi_b64},
		{"shl.b16 %h3, %h0, %w1;", 'h', shl16},
		{"shl.b32 %w3, %w0, %w1;", 'w', shl32},
		{"shl.b64 %d3, %d0, %w1;", 'd', shl64},
		{"shf.l.wrap.b32 %w3, %w0, %w1, %w2;", 'w', shf_l_wrap},
		{"shf.r.clamp.b32 %w3, %w0, %w1, %w2;", 'w', shf_r_clamp},
		{"cnot.b32 %w3, %w0;", 'w', cnot32},
		{"lop3.b32 %w3, %w0, %w1, %w2, 0xe8;", 'w', lop3_e8},
		{"setp.lt.s16 %p3, %h0, %h1;", 'p', below_s16},
		{"setp.lo.u64 %p3, %d0, %d1;", 'p', below_u64},
		{"setp.ge.and.s32 %p3, %w0, %w1, %p0;", 'p', least_s32},
	};
	static uint64_t in[INTS * INTS][3], out[INTS * INTS];
	uint32_t n = pairs_of_ints(in);

	for (size_t k = 0; k < CASE_COUNT(forms); k++) {
		run_threads(forms[k].insn, forms[k].result, (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++)
			expect_value(forms[k].insn, in[i], out[i],
				     forms[k].ref(in[i][0], in[i][1], in[i][2]));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_value");
	TCase *t = tcase_create("values");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, integers, 0, 6);
	tcase_add_loop_test(t, widths, 0, 8);
	tcase_add_loop_test(t, rounded, 0, 8);
	tcase_add_loop_test(t, conversions, 0, 8);
	tcase_add_loop_test(t, float_comparisons, 0, 14);
	tcase_add_test(t, bits);
	suite_add_tcase(s, t);
	return run_suite(s);
}
