/* SPDX-License-Identifier: MIT */
/*
 * The model of numbers of eight and sixteen bits: a value is a double, and its place among the
 * numbers of a format is that value in units of the last place.
 */

/* A format with its bits of mantissa, its smallest normal exponent and its largest finite number.
 */
struct small {
	int mantissa, least;
	double max;
	u32 width, infinity, nan; /* infinity: what is larger than max becomes */
};
static const struct small f16 = {10, -14, 65504, 16, 0x7c00, 0x7fff};
static const struct small bf16 = {7, -126, 0x1.fep127, 16, 0x7f80, 0x7fff};
static const struct small e4m3 = {3, -6, 448, 8, 0x7e, 0x7f};
static const struct small e5m2 = {2, -14, 57344, 8, 0x7b, 0x7f};

/* Rounded to the nearest one, of two to the even one, or towards zero. */
FN u32 to_small(const struct small *f, double v, int towards_zero)
{
	const u32 sign = (signbit(v) ? 1u : 0) << (f->width - 1);
	double d = fabs(v), n;
	int e;

	if (v != v)
		return f->nan;
	e = d < ldexp(1, f->least) ? f->least : ilogb(d);
	n = ldexp(d, f->mantissa - e);
	n = d > 0 && d < INFINITY ? towards_zero ? floor(n) : rint(n) : 0;
	if (d == INFINITY || ldexp(n, e - f->mantissa) > f->max)
		return sign | (towards_zero && d < INFINITY ? f->infinity - 1 : f->infinity);
	return sign | ((u32)n + ((u32)(e - f->least) << f->mantissa));
}

FN double of_small(const struct small *f, u32 v)
{
	const u32 m = v & ((1u << f->mantissa) - 1), s = v >> (f->width - 1) & 1;
	const u32 e = (v & ((1u << (f->width - 1)) - 1)) >> f->mantissa;
	double d;

	if (e << f->mantissa == f->infinity)
		d = m ? NAN : INFINITY;
	else
		d = ldexp(e ? m | 1u << f->mantissa : m,
			  (int)(e ? e : 1) - 1 + f->least - f->mantissa);
	return s ? -d : d;
}

/* A sum that is not exact ends in an odd digit, so that it can be rounded again. */
static __attribute__((noinline)) double sum_odd(double a, double b)
{
	volatile double x = a, y = b, r;
	u64 v;

	fesetround(FE_TOWARDZERO);
	feclearexcept(FE_INEXACT);
	r = x + y;
	v = fetestexcept(FE_INEXACT) ? 1 : 0;
	fesetround(FE_TONEAREST);
	a = r;
	v |= dbits(a);
	__builtin_memcpy(&a, &v, 8);
	return a;
}

enum small_op { OP_ADD, OP_SUB, OP_MUL, OP_FMA, OP_MIN, OP_MAX };
enum { RELU = 1, SAT = 2, NANS = 4 };

FN double small_op(enum small_op op, double a, double b, double c, u32 flags)
{
	switch (op) {
	case OP_ADD:
		return sum_odd(a, b);
	case OP_SUB:
		return sum_odd(a, -b);
	case OP_MUL:
		return a * b;
	case OP_FMA:
		return sum_odd(a * b, c);
	default:
		break;
	}
	if (a != a || b != b)
		return flags & NANS || (a != a && b != b) ? NAN : a != a ? b : a;
	if (a == b)
		return !signbit(a) == (op == OP_MAX) ? a : b;
	return (a < b) == (op == OP_MIN) ? a : b;
}

FN u32 of_one(const struct small *f, enum small_op op, u32 a, u32 b, u32 c, u32 flags)
{
	double v = small_op(op, of_small(f, a), of_small(f, b), of_small(f, c), flags);

	if (flags & SAT)
		v = v > 0 ? v < 1 ? v : 1 : 0;
	if (flags & RELU && v < 0)
		v = 0;
	return to_small(f, v, 0);
}

FN u32 of_two(const struct small *f, enum small_op op, u32 a, u32 b, u32 c, u32 flags)
{
	return of_one(f, op, a & 0xffff, b & 0xffff, c & 0xffff, flags) |
	       of_one(f, op, a >> 16, b >> 16, c >> 16, flags) << 16;
}
#define h_add(a, b, c)     of_two(&f16, OP_ADD, a, b, c, 0)
#define h_sub(a, b, c)     of_two(&f16, OP_SUB, a, b, c, 0)
#define h_mul(a, b, c)     of_two(&f16, OP_MUL, a, b, c, 0)
#define h_sat(a, b, c)     of_two(&f16, OP_ADD, a, b, c, SAT)
#define h_fma(a, b, c)     of_two(&f16, OP_FMA, a, b, c, 0)
#define h_relu(a, b, c)    of_two(&f16, OP_FMA, a, b, c, RELU)
#define h_min(a, b, c)     of_two(&f16, OP_MIN, a, b, c, 0)
#define h_max_nan(a, b, c) of_two(&f16, OP_MAX, a, b, c, NANS)
#define b_fma(a, b, c)     of_two(&bf16, OP_FMA, a, b, c, 0)
#define b_relu(a, b, c)    of_two(&bf16, OP_FMA, a, b, c, RELU)
#define b_min_nan(a, b, c) of_two(&bf16, OP_MIN, a, b, c, NANS)
#define b_max(a, b, c)     of_two(&bf16, OP_MAX, a, b, c, 0)

FN float relu(float v)
{
	return v < 0 ? 0 : v;
}
#define fp8(a, b)         (to_small(&e4m3, a, 0) << 8 | to_small(&e4m3, b, 0))
#define fp8_wide(a, b)    (to_small(&e5m2, a, 0) << 8 | to_small(&e5m2, b, 0))
#define halves(a, b)      (to_small(&f16, a, 0) << 16 | to_small(&f16, b, 0))
#define halves_rz(a, b)   (to_small(&f16, a, 1) << 16 | to_small(&f16, b, 1))
#define brains(a, b)      (to_small(&bf16, a, 0) << 16 | to_small(&bf16, b, 0))
#define brains_relu(a, b) (to_small(&bf16, relu(a), 0) << 16 | to_small(&bf16, relu(b), 0))
#define half_of(v)        ((float)of_small(&f16, (v)&0xffff))
