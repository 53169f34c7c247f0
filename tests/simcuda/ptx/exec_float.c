/* SPDX-License-Identifier: MIT */
/*
 * Single and double precision. Results are those of IEEE 754; a single-precision NaN is always
 * 0x7fffffff as on the real device. The .approx functions are computed with the C library.
 */
#include "tests/simcuda/ptx/exec.h"

#include <fenv.h>
#include <math.h>

typedef uint32_t u32;
typedef uint64_t u64;

#define NAN32 0x7fffffffu

static inline u32 bits32(float f)
{
	u32 v;

	memcpy(&v, &f, sizeof(v));
	return f != f ? NAN32 : v;
}

static inline u64 bits64(double d)
{
	u64 v;

	memcpy(&v, &d, sizeof(v));
	return v;
}

static inline float float32(u32 v)
{
	float f;

	memcpy(&f, &v, sizeof(f));
	return f;
}

static inline u32 flush(u32 v)
{
	return v & 0x7f800000u ? v : v & 0x80000000u;
}

static inline u32 saturate(u32 v)
{
	float f = float32(v);

	return f > 0 ? f < 1 ? v : 0x3f800000u : 0;
}

#define PLAIN2(name, T, BITS, EXPR)                                                                \
	LANE_CODE static int name(struct warp *w, const struct insn *i, u32 mask)                  \
	{                                                                                          \
		const T *a = row(w, i->a), *b = row(w, i->b);                                      \
		u##BITS t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                       \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			T x = a[l], y = b[l];                                                      \
			d[l] = bits##BITS(EXPR);                                                   \
		}                                                                                  \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}
#define PLAIN1(name, T, BITS, EXPR)                                                                \
	LANE_CODE static int name(struct warp *w, const struct insn *i, u32 mask)                  \
	{                                                                                          \
		const T *a = row(w, i->a);                                                         \
		u##BITS t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                       \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			T x = a[l];                                                                \
			d[l] = bits##BITS(EXPR);                                                   \
		}                                                                                  \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}
/* With .ftz and .sat from x. */
#define FLAGS2(name, EXPR)                                                                         \
	static int name(struct warp *w, const struct insn *i, u32 mask)                            \
	{                                                                                          \
		const u32 *a = row(w, i->a), *b = row(w, i->b);                                    \
		bool ftz = i->x & FLOAT_FTZ, sat = i->x & FLOAT_SAT;                               \
		u32 t[LANES];                                                                      \
		for (int l = 0; l < LANES; l++) {                                                  \
			float x = float32(ftz ? flush(a[l]) : a[l]);                               \
			float y = float32(ftz ? flush(b[l]) : b[l]);                               \
			u32 v = bits32(EXPR);                                                      \
			v = ftz ? flush(v) : v;                                                    \
			t[l] = sat ? saturate(v) : v;                                              \
		}                                                                                  \
		put32(row(w, i->d), t, mask);                                                      \
		return STEP_NEXT;                                                                  \
	}
#define FLAGS1(name, EXPR)                                                                         \
	static int name(struct warp *w, const struct insn *i, u32 mask)                            \
	{                                                                                          \
		const u32 *a = row(w, i->a);                                                       \
		u32 t[LANES];                                                                      \
		for (int l = 0; l < LANES; l++) {                                                  \
			float x = float32(i->x & FLOAT_FTZ ? flush(a[l]) : a[l]);                  \
			u32 v = bits32(EXPR);                                                      \
			t[l] = i->x & FLOAT_FTZ ? flush(v) : v;                                    \
		}                                                                                  \
		put32(row(w, i->d), t, mask);                                                      \
		return STEP_NEXT;                                                                  \
	}

PLAIN2(add_f32, float, 32, x + y)
PLAIN2(sub_f32, float, 32, x - y)
PLAIN2(mul_f32, float, 32, x *y)
PLAIN2(div_f32, float, 32, x / y)
PLAIN2(add_f64, double, 64, x + y)
PLAIN2(sub_f64, double, 64, x - y)
PLAIN2(mul_f64, double, 64, x *y)
PLAIN2(div_f64, double, 64, x / y)
FLAGS2(add_f32x, x + y)
FLAGS2(sub_f32x, x - y)
FLAGS2(mul_f32x, x *y)
FLAGS2(div_f32x, x / y)

/* A number is preferred to a NaN, and -0 is below +0. */
static inline u32 min_bits(u32 a, u32 b)
{
	float x = float32(a), y = float32(b);

	if (x != x || y != y)
		return x != x ? y != y ? NAN32 : b : a;
	return x < y ? a : y < x ? b : a | b;
}

static inline u32 max_bits(u32 a, u32 b)
{
	float x = float32(a), y = float32(b);

	if (x != x || y != y)
		return x != x ? y != y ? NAN32 : b : a;
	return x > y ? a : y > x ? b : a & b;
}

static inline u32 minmax_bits(u32 a, u32 b, u32 flags, bool max)
{
	u32 sign = (a ^ b) & 0x80000000u, v;

	if (flags & FLOAT_FTZ) {
		a = flush(a);
		b = flush(b);
	}
	if ((flags & FLOAT_NAN) && (float32(a) != float32(a) || float32(b) != float32(b)))
		return NAN32;
	if (flags & FLOAT_XORABS) {
		a &= 0x7fffffffu;
		b &= 0x7fffffffu;
	}
	v = max ? max_bits(a, b) : min_bits(a, b);
	return flags & FLOAT_XORABS && v != NAN32 ? v | sign : v;
}

#define MINMAX32(name, EXPR)                                                                       \
	LANE_CODE static int name(struct warp *w, const struct insn *i, u32 mask)                  \
	{                                                                                          \
		const u32 *a = row(w, i->a), *b = row(w, i->b);                                    \
		u32 t[LANES];                                                                      \
		for (int l = 0; l < LANES; l++)                                                    \
			t[l] = EXPR;                                                               \
		put32(row(w, i->d), t, mask);                                                      \
		return STEP_NEXT;                                                                  \
	}
MINMAX32(min_f32, min_bits(a[l], b[l]))
MINMAX32(max_f32, max_bits(a[l], b[l]))
MINMAX32(min_f32x, minmax_bits(a[l], b[l], i->x, false))
MINMAX32(max_f32x, minmax_bits(a[l], b[l], i->x, true))

static inline double min_double(double x, double y)
{
	if (x != x || y != y)
		return x != x ? y : x;
	return x < y ? x : y < x ? y : signbit(x) ? x : y;
}

static inline double max_double(double x, double y)
{
	if (x != x || y != y)
		return x != x ? y : x;
	return x > y ? x : y > x ? y : signbit(x) ? y : x;
}

PLAIN2(min_f64, double, 64, min_double(x, y))
PLAIN2(max_f64, double, 64, max_double(x, y))

MINMAX32(copysign_f32, (b[l] & 0x7fffffffu) | (a[l] & 0x80000000u))
PLAIN2(copysign_f64, double, 64, copysign(y, x))

/* The sign instructions work on bits: a NaN keeps its payload. */
static int neg_f32(struct warp *w, const struct insn *i, u32 mask)
{
	const u32 *a = row(w, i->a);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = (i->x & FLOAT_FTZ ? flush(a[l]) : a[l]) ^ 0x80000000u;
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static int abs_f32(struct warp *w, const struct insn *i, u32 mask)
{
	const u32 *a = row(w, i->a);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = (i->x & FLOAT_FTZ ? flush(a[l]) : a[l]) & 0x7fffffffu;
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

PLAIN1(neg_f64, double, 64, -x)
PLAIN1(abs_f64, double, 64, fabs(x))
PLAIN1(rcp_f64, double, 64, 1.0 / x)
PLAIN1(sqrt_f64, double, 64, sqrt(x))
PLAIN1(rsqrt_f64, double, 64, 1.0 / sqrt(x))
FLAGS1(rcp_f32, 1.0f / x)
FLAGS1(sqrt_f32, sqrtf(x))
FLAGS1(rsqrt_f32, (float)(1.0 / sqrt((double)x)))
FLAGS1(sin_f32, sinf(x))
FLAGS1(cos_f32, cosf(x))
FLAGS1(ex2_f32, exp2f(x))
FLAGS1(lg2_f32, log2f(x))
FLAGS1(tanh_f32, tanhf(x))

/*
 * a * b + c to 53 bits, rounded to odd: narrowing it once more gives the correctly rounded result
 * for single and half precision operands, whose product is exact in double.
 */
double fma_odd(double a, double b, double c)
{
	double p = a * b, s = p + c, back = s - p;
	double error = (p - (s - back)) + (c - back);
	u64 v = bits64(s);

	if (error == 0 || error != error || (v & 1) ||
	    (v & 0x7ff0000000000000ull) == 0x7ff0000000000000ull)
		return s;
	v = (error > 0) == (s > 0) ? v + 1 : v - 1;
	memcpy(&s, &v, sizeof(s));
	return s;
}

static int fma_f32(struct warp *w, const struct insn *i, u32 mask)
{
	const float *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = bits32((float)fma_odd(a[l], b[l], c[l]));
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static int fma_f32x(struct warp *w, const struct insn *i, u32 mask)
{
	const u32 *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	bool ftz = i->x & FLOAT_FTZ;
	u32 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u32 v = bits32(fmaf(float32(ftz ? flush(a[l]) : a[l]),
				    float32(ftz ? flush(b[l]) : b[l]),
				    float32(ftz ? flush(c[l]) : c[l])));

		v = ftz ? flush(v) : v;
		t[l] = i->x & FLOAT_SAT ? saturate(v) : v;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static int fma_f64(struct warp *w, const struct insn *i, u32 mask)
{
	const double *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u64 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = bits64(fma(a[l], b[l], c[l]));
	put64(row(w, i->d), t, mask);
	return STEP_NEXT;
}

#if defined(__x86_64__)
/* One instruction where the CPU has it, instead of a dozen. */
__attribute__((target("avx2,fma"))) static int fma_f32_cpu(struct warp *w, const struct insn *i,
							   u32 mask)
{
	const float *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	float f[LANES];
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		f[l] = __builtin_fmaf(a[l], b[l], c[l]);
	for (int l = 0; l < LANES; l++)
		t[l] = bits32(f[l]);
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

__attribute__((target("avx2,fma"))) static int fma_f64_cpu(struct warp *w, const struct insn *i,
							   u32 mask)
{
	const double *a = row(w, i->a), *b = row(w, i->b), *c = row(w, i->c);
	u64 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = bits64(__builtin_fma(a[l], b[l], c[l]));
	put64(row(w, i->d), t, mask);
	return STEP_NEXT;
}

static bool cpu_has_fma(void)
{
	return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
}
#else
#define fma_f32_cpu fma_f32
#define fma_f64_cpu fma_f64
static bool cpu_has_fma(void)
{
	return false;
}
#endif

/* The loop is called through a pointer, so that the compiler moves no operation across the change
 * of mode. */
int op_rounded(struct warp *w, const struct insn *i, uint32_t mask)
{
	static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
	int r;

	fesetround(modes[i->x & FLOAT_RMASK]);
	r = i->inner(w, i, mask);
	fesetround(FE_TONEAREST);
	return r;
}

static const exec_fn float2_32[F2_COUNT] = {add_f32, sub_f32, mul_f32,     div_f32,
					    min_f32, max_f32, copysign_f32};
static const exec_fn float2_32x[F2_COUNT] = {add_f32x, sub_f32x, mul_f32x,    div_f32x,
					     min_f32x, max_f32x, copysign_f32};
static const exec_fn float2_64[F2_COUNT] = {add_f64, sub_f64, mul_f64,     div_f64,
					    min_f64, max_f64, copysign_f64};
static const exec_fn float1_32[F1_COUNT] = {neg_f32, abs_f32, rcp_f32, sqrt_f32, rsqrt_f32,
					    sin_f32, cos_f32, ex2_f32, lg2_f32,  tanh_f32};
static const exec_fn float1_64[F1_COUNT] = {neg_f64, abs_f64, rcp_f64, sqrt_f64, rsqrt_f64};

exec_fn float2_fn(enum float2 op, enum type t, uint32_t flags)
{
	if (t == TY_F32)
		return flags & ~FLOAT_RMASK ? float2_32x[op] : float2_32[op];
	if (t == TY_F64)
		return float2_64[op];
	return half2_fn(op, t);
}

exec_fn float1_fn(enum float1 op, enum type t, uint32_t flags)
{
	if (t == TY_F32)
		return float1_32[op];
	if (t == TY_F64)
		return float1_64[op];
	return half1_fn(op, t);
}

exec_fn fma_fn(enum type t, uint32_t flags)
{
	bool cpu = cpu_has_fma();

	if (t == TY_F32 && !cpu && (flags & FLOAT_RMASK))
		return fma_f32x;
	if (t == TY_F32)
		return flags & ~FLOAT_RMASK ? fma_f32x : cpu ? fma_f32_cpu : fma_f32;
	if (t == TY_F64)
		return cpu ? fma_f64_cpu : fma_f64;
	return half3_fn(t);
}
