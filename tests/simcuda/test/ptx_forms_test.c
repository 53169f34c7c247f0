/* SPDX-License-Identifier: MIT */
/*
 * What has one form for each type: logic, selection, comparison of integers, carries, products of
 * 24 bits, bytes, video instructions, moves, and the functions that are approximate.
 */
#include "tests/simcuda/test/ptx_case.h"
#include "tests/simcuda/test/ptx_real.h"

#include <math.h>
#include <stdarg.h>

static const uint64_t ints[] = {
	0,
	1,
	2,
	3,
	0x7f,
	0x80,
	0xff,
	0x7fff,
	0x8000,
	0xffff,
	0x7fffff,
	0x800000,
	0xffffff,
	0x1000000,
	0x12345678,
	0x76543210,
	0x7fffffff,
	0x80000000,
	0x80000001,
	0xfedcba98,
	0xffffffff,
	0x100000000ull,
	0x0123456789abcdefull,
	INT64_MAX,
	1ull << 63,
	UINT64_MAX,
};
#define INTS CASE_COUNT(ints)
#define N    (INTS * INTS)

static uint64_t in[N][3], out[N];

static const struct type {
	const char *name;
	int bits;
	bool is_signed;
	char cls;
} types[] = {{"u16", 16, false, 'h'}, {"s16", 16, true, 'h'},  {"u32", 32, false, 'w'},
	     {"s32", 32, true, 'w'},  {"u64", 64, false, 'd'}, {"s64", 64, true, 'd'},
	     {"b16", 16, false, 'h'}, {"b32", 32, false, 'w'}, {"b64", 64, false, 'd'},
	     {"f32", 32, false, 'w'}, {"f64", 64, false, 'd'}};
enum { INTEGER = 6, ALL = CASE_COUNT(types) };

static void say(char *to, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(vsnprintf(to, size, format, args), (int)size);
	va_end(args);
}

static void fill(void)
{
	for (size_t i = 0; i < INTS; i++) {
		for (size_t k = 0; k < INTS; k++) {
			in[i * INTS + k][0] = ints[i];
			in[i * INTS + k][1] = ints[k];
			in[i * INTS + k][2] = (i + k) % 4 ? ints[(i * 5 + k * 3) % INTS] : 0;
		}
	}
}

static uint64_t cut(uwide v, int bits)
{
	return (uint64_t)v & (bits == 64 ? UINT64_MAX : (1ull << bits) - 1);
}

static wide value(uint64_t v, const struct type *t)
{
	v = cut(v, t->bits);
	return t->is_signed && v >> (t->bits - 1) ? (wide)v - ((wide)1 << t->bits) : (wide)v;
}

/* Runs it, and compares with what want says of each input. */
typedef uint64_t (*want_fn)(const struct type *t, const uint64_t x[3], int how);
static void check(const char *insn, char result, const struct type *t, want_fn want, int how)
{
	fill();
	run_threads(insn, result, (const uint64_t(*)[3])in, out, N);
	for (size_t i = 0; i < N; i++)
		expect_value(insn, in[i], out[i], want(t, in[i], how));
}

/* ---- logic ---- */
static uint64_t want_logic(const struct type *t, const uint64_t x[3], int how)
{
	const uint64_t v[] = {
		x[0] & x[1],
		x[0] | x[1],
		x[0] ^ x[1],
		~x[0],
		cut(x[0], t->bits) == 0,
		(uint32_t)x[1] >= (uint32_t)t->bits ? 0 : cut(x[0], t->bits) >> (x[1] & 63)};

	return cut(v[how], t->bits);
}

static uint64_t want_predicate(const struct type *t, const uint64_t x[3], int how)
{
	const bool a = x[0] & 1, b = x[1] & 1;
	const bool v[] = {a && b, a || b, a != b, !a};

	return v[how];
}

START_TEST(logic)
{
	static const char *const names[] = {"and", "or", "xor", "not", "cnot", "shr"};
	char insn[256];

	for (int k = 0; k < 6; k++) {
		for (size_t i = INTEGER; i < INTEGER + 3; i++) {
			const struct type *t = &types[i];

			say(insn, sizeof(insn),
			    k == 3 || k == 4 ? "%s.%s %%%c3, %%%c0;" : "%s.%s %%%c3, %%%c0, %%%c1;",
			    names[k], t->name, t->cls, t->cls, k == 5 ? 'w' : t->cls);
			check(insn, t->cls, t, want_logic, k);
		}
		if (k > 3)
			continue;
		say(insn, sizeof(insn),
		    "and.b32 %%w4, %%w0, 1; setp.ne.u32 %%p1, %%w4, 0; and.b32 %%w4, %%w1, 1; "
		    "setp.ne.u32 %%p2, %%w4, 0; "
		    "%s.pred %%p3, %%p1%s;",
		    names[k], k == 3 ? "" : ", %p2");
		check(insn, 'p', NULL, want_predicate, k);
	}
}
END_TEST

/* ---- comparison ---- */
static const char *const comparisons[] = {"eq", "ne", "lt", "le", "gt",
					  "ge", "lo", "ls", "hi", "hs"};
static const char *const combinations[] = {"", ".and", ".or", ".xor"};

/* how: the comparison, times 4 the combination with the third */
static uint64_t want_compared(const struct type *t, const uint64_t x[3], int how)
{
	const wide a = value(x[0], t), b = value(x[1], t);
	const bool v[] = {a == b, a != b, a<b, a <= b, a> b, a >= b, a<b, a <= b, a> b, a >= b};
	const bool r = v[how / 4], p = x[2] != 0;

	return (how & 3) == 0 ? r : (how & 3) == 1 ? (r && p) : (how & 3) == 2 ? (r || p) : r != p;
}

static uint64_t want_set(const struct type *t, const uint64_t x[3], int how)
{
	return want_compared(t, x, how) ? 0xffffffff : 0;
}

static uint64_t want_set_float(const struct type *t, const uint64_t x[3], int how)
{
	return want_compared(t, x, how) ? 0x3f800000 : 0;
}

static uint64_t want_set_f16(const struct type *t, const uint64_t x[3], int how)
{
	return want_compared(t, x, how) ? 0x3c00 : 0;
}

static uint64_t want_set_bf16(const struct type *t, const uint64_t x[3], int how)
{
	return want_compared(t, x, how) ? 0x3f80 : 0;
}

static bool has_comparison(const struct type *t, int op)
{
	return t->name[0] == 'b' ? op < 2 : op < 6 || !t->is_signed;
}

START_TEST(comparison)
{
	static const struct {
		const char *insn, *gives;
		char result;
		want_fn want;
	} forms[] = {{"setp", "", 'p', want_compared},   {"set", ".u32", 'w', want_set},
		     {"set", ".s32", 'w', want_set},     {"set", ".f32", 'w', want_set_float},
		     {"set", ".f16", 'h', want_set_f16}, {"set", ".bf16", 'h', want_set_bf16}};
	const struct type *t = &types[_i];
	char insn[128];

	for (int k = 0; k < 40; k++) {
		if (!has_comparison(t, k / 4))
			continue;
		for (size_t f = 0; f < CASE_COUNT(forms); f++) {
			say(insn, sizeof(insn), "%s.%s%s%s.%s %%%c3, %%%c0, %%%c1%s;",
			    forms[f].insn, comparisons[k / 4], combinations[k & 3], forms[f].gives,
			    t->name, forms[f].result, t->cls, t->cls, k & 3 ? ", %p0" : "");
			check(insn, forms[f].result, t, forms[f].want, k);
		}
	}
}
END_TEST

/* ---- selection and moves ---- */
static uint64_t want_selp(const struct type *t, const uint64_t x[3], int how)
{
	return cut(x[2] ? x[0] : x[1], t->bits);
}

/* how: 0 s32, 1 f32, 2 f32 without subnormal numbers */
static uint64_t want_slct(const struct type *t, const uint64_t x[3], int how)
{
	uint64_t c = how == 2 ? real_flush(&f32, (uint32_t)x[2]) : (uint32_t)x[2];
	int order = real_compare(real_from(&f32, c), real_from_int(0));
	bool first = how ? order == 0 || order == 1 : (int32_t)x[2] >= 0;

	return cut(first ? x[0] : x[1], t->bits);
}

static uint64_t want_same(const struct type *t, const uint64_t x[3], int how)
{
	return cut(x[how], t->bits);
}

START_TEST(selection)
{
	static const char *const by[] = {"s32", "f32", "f32"};
	const struct type *t = &types[_i];
	char insn[256];

	say(insn, sizeof(insn), "selp.%s %%%c3, %%%c0, %%%c1, %%p0;", t->name, t->cls, t->cls,
	    t->cls);
	check(insn, t->cls, t, want_selp, 0);
	for (int k = 0; k < 3; k++) {
		say(insn, sizeof(insn), "slct%s.%s.%s %%%c3, %%%c0, %%%c1, %%w2;",
		    k == 2 ? ".ftz" : "", t->name, by[k], t->cls, t->cls, t->cls);
		check(insn, t->cls, t, want_slct, k);
	}
	say(insn, sizeof(insn), "mov.%s %%%c3, %%%c0;", t->name, t->cls, t->cls);
	check(insn, t->cls, t, want_same, 0);
	/* what is moved is read first: the two change places */
	say(insn, sizeof(insn), "mov.v2.%s {%%%c0, %%%c3}, {%%%c1, %%%c0};", t->name, t->cls,
	    t->cls, t->cls, t->cls);
	check(insn, t->cls, t, want_same, 0);
	say(insn, sizeof(insn),
	    "mov.v4.%s {%%%c0, %%%c1, %%%c2, %%%c3}, {%%%c1, %%%c2, %%%c0, %%%c1};", t->name,
	    t->cls, t->cls, t->cls, t->cls, t->cls, t->cls, t->cls, t->cls);
	check(insn, t->cls, t, want_same, 1);
}
END_TEST

/* ---- carries: three statements, of which each takes what the one before it leaves ---- */
static uint64_t high(uint64_t a, uint64_t b, const struct type *t)
{
	uwide p = (uwide)cut(a, t->bits) * cut(b, t->bits);
	uint64_t h = cut(p >> t->bits, t->bits);

	if (t->is_signed)
		h -= (value(a, t) < 0 ? cut(b, t->bits) : 0) +
		     (value(b, t) < 0 ? cut(a, t->bits) : 0);
	return cut(h, t->bits);
}

static uint64_t plus(const struct type *t, uint64_t a, uint64_t b, bool *carry)
{
	uwide v = (uwide)cut(a, t->bits) + cut(b, t->bits) + *carry;

	*carry = v >> t->bits & 1;
	return cut(v, t->bits);
}

static uint64_t minus(const struct type *t, uint64_t a, uint64_t b, bool *borrow)
{
	wide v = (wide)cut(a, t->bits) - (wide)cut(b, t->bits) - *borrow;

	*borrow = v < 0;
	return cut((uwide)v, t->bits);
}

/* how: 0 sums, 1 differences, 2 and 3 products with the lower and the upper half first */
static uint64_t want_carried(const struct type *t, const uint64_t x[3], int how)
{
	const uint64_t lo = cut(x[0] * x[1], t->bits), hi = high(x[0], x[1], t);
	bool carry = false;
	uint64_t a, b;

	switch (how) {
	case 0:
		a = plus(t, x[0], x[1], &carry);
		b = plus(t, x[2], x[0], &carry);
		return plus(t, b ^ x[1], a, &carry);
	case 1:
		a = minus(t, x[0], x[1], &carry);
		b = minus(t, x[2], x[0], &carry);
		return minus(t, b ^ x[1], a, &carry);
	case 2:
		a = plus(t, lo, x[2], &carry);
		b = plus(t, hi, x[2], &carry);
		return plus(t, cut(a * x[1], t->bits), b, &carry);
	default:
		a = plus(t, hi, x[2], &carry);
		b = plus(t, lo, x[2], &carry);
		return plus(t, high(a, x[1], t), b, &carry);
	}
}

START_TEST(carries)
{
	static const char *const text[] = {
		"add.cc.T %r4, %r0, %r1; addc.cc.T %r5, %r2, %r0; xor.B %r5, %r5, %r1; addc.T %r3, "
		"%r5, %r4;",
		"sub.cc.T %r4, %r0, %r1; subc.cc.T %r5, %r2, %r0; xor.B %r5, %r5, %r1; subc.T %r3, "
		"%r5, %r4;",
		"mad.lo.cc.T %r4, %r0, %r1, %r2; madc.hi.cc.T %r5, %r0, %r1, %r2; madc.lo.T %r3, "
		"%r4, %r1, %r5;",
		"mad.hi.cc.T %r4, %r0, %r1, %r2; madc.lo.cc.T %r5, %r0, %r1, %r2; madc.hi.T %r3, "
		"%r4, %r1, %r5;",
	};
	const struct type *t = &types[2 + _i / 4];
	char insn[256] = "";
	size_t n = 0;

	for (const char *s = text[_i % 4]; *s; s++) {
		char one[2] = {*s == 'r' ? t->cls : *s, 0}, bits[4];

		snprintf(bits, sizeof(bits), "b%d", t->bits);
		n += (size_t)snprintf(insn + n, sizeof(insn) - n, "%s",
				      *s == 'T'   ? t->name
				      : *s == 'B' ? bits
						  : one);
	}
	for (char *x = strstr(insn, "xo"); x && x[2] != 'r';) /* r is also a letter of xor */
		x[2] = 'r';
	check(insn, t->cls, t, want_carried, _i % 4);
}
END_TEST

/* ---- products of 24 bits, bytes, packed products ---- */
static wide lower24(uint64_t v, bool is_signed)
{
	v &= 0xffffff;
	return is_signed && v >> 23 ? (wide)v - (1 << 24) : (wide)v;
}

/* how: 1 the upper half, 2 with a third one, 4 saturated */
static uint64_t want_24(const struct type *t, const uint64_t x[3], int how)
{
	wide p = lower24(x[0], t->is_signed) * lower24(x[1], t->is_signed);
	wide v = value(how & 1 ? (uint64_t)(p >> 16) : (uint64_t)p, t);

	if (how & 2)
		v += value(x[2], t);
	if (how & 4)
		v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
	return cut((uwide)v, 32);
}

START_TEST(products_of_24_bits)
{
	char insn[128];

	for (int k = 0; k < 8; k++) {
		const struct type *t = &types[2 + k % 2];
		int how = k / 2;

		say(insn, sizeof(insn), "%s24.%s.%s %%w3, %%w0, %%w1%s;", how & 2 ? "mad" : "mul",
		    how & 1 ? "hi" : "lo", t->name, how & 2 ? ", %w2" : "");
		check(insn, 'w', t, want_24, how);
	}
	check("mad24.hi.sat.s32 %w3, %w0, %w1, %w2;", 'w', &types[3], want_24, 7);
}
END_TEST

static uint64_t byte_of(const uint64_t x[3], uint32_t which)
{
	return (which & 4 ? x[1] : x[0]) >> 8 * (which & 3) & 0xff;
}

static uint64_t want_prmt(const struct type *t, const uint64_t x[3], int how)
{
	const uint32_t s = (uint32_t)x[2], n = s & 3;
	uint64_t r = 0;

	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t of[] = {0,
				       n + i,
				       (n - i) & 7,
				       n,
				       i > n ? i : n,
				       i < n ? i : n,
				       (n & 1) * 2 + (i & 1)};
		uint64_t b = byte_of(x, how ? of[how] : s >> 4 * i & 7);

		if (!how && s >> 4 * i & 8)
			b = b & 0x80 ? 0xff : 0;
		r |= b << 8 * i;
	}
	return r;
}

START_TEST(permuted_bytes)
{
	static const char *const modes[] = {"", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16"};
	char insn[128];

	for (int k = 0; k < 7; k++) {
		say(insn, sizeof(insn), "prmt.b32%s %%w3, %%w0, %%w1, %%w2;", modes[k]);
		check(insn, 'w', NULL, want_prmt, k);
	}
}
END_TEST

/* how: 1 a is signed, 2 b is, 4 the upper two bytes of b; 8: four products of bytes */
static uint64_t want_dp(const struct type *t, const uint64_t x[3], int how)
{
	const uint32_t a = (uint32_t)x[0], b = (uint32_t)x[1];
	uint64_t sum = x[2];

	for (int i = 0; i < (how & 8 ? 4 : 2); i++) {
		uint32_t byte = b >> 8 * (how & 8 ? i : i + (how & 4 ? 2 : 0)) & 0xff;
		uint32_t other = how & 8 ? a >> 8 * i & 0xff : a >> 16 * i & 0xffff;
		int64_t p = how & 1 ? how & 8 ? (int8_t)other : (int16_t)other : (int64_t)other;

		sum += (uint64_t)(p * (how & 2 ? (int8_t)byte : (int64_t)byte));
	}
	return cut(sum, 32);
}

START_TEST(packed_products)
{
	static const char *const sign[] = {"u32", "s32"};
	char insn[128];

	for (int k = 0; k < 8; k++) {
		say(insn, sizeof(insn), "dp2a.%s.%s.%s %%w3, %%w0, %%w1, %%w2;",
		    k & 4 ? "hi" : "lo", sign[k & 1], sign[k >> 1 & 1]);
		check(insn, 'w', NULL, want_dp, k);
	}
	for (int k = 0; k < 4; k++) {
		say(insn, sizeof(insn), "dp4a.%s.%s %%w3, %%w0, %%w1, %%w2;", sign[k & 1],
		    sign[k >> 1]);
		check(insn, 'w', NULL, want_dp, k | 8);
	}
}
END_TEST

/* how: 1 d is signed, 2 a is, 4 b is, 8 saturated, 16 with a third; times 32 the operation */
static uint64_t want_video(const struct type *t, const uint64_t x[3], int how)
{
	const wide a = value(x[0], &types[how & 2 ? 3 : 2]),
		   b = value(x[1], &types[how & 4 ? 3 : 2]);
	const wide of[] = {a + b, a - b, a > b ? a - b : b - a, a < b ? a : b, a > b ? a : b};
	const wide lo = how & 1 ? INT32_MIN : 0, hi = how & 1 ? INT32_MAX : UINT32_MAX;
	wide v = of[how / 32];

	if (how & 8)
		v = v < lo ? lo : v > hi ? hi : v;
	return cut((uwide)v + (how & 16 ? x[2] : 0), 32);
}

START_TEST(video)
{
	static const char *const names[] = {"vadd", "vsub", "vabsdiff", "vmin", "vmax"},
				 *const sign[] = {"u32", "s32"};
	char insn[128];

	for (int k = 0; k < 32; k++) {
		say(insn, sizeof(insn), "%s.%s.%s.%s%s%s %%w3, %%w0, %%w1%s;", names[_i],
		    sign[k & 1], sign[k >> 1 & 1], sign[k >> 2 & 1], k & 8 ? ".sat" : "",
		    k & 16 ? ".add" : "", k & 16 ? ", %w2" : "");
		check(insn, 'w', NULL, want_video, k + 32 * _i);
	}
}
END_TEST

/* how: 1 d is signed, 2 a is, 4 the distance wraps, 8 saturated, 16 with a third, 32 to the right
 */
static uint64_t want_shifted(const struct type *t, const uint64_t x[3], int how)
{
	const wide a = value(x[0], &types[how & 2 ? 3 : 2]);
	const uint32_t by = (uint32_t)x[1], n = how & 4 ? by % 32 : by < 32 ? by : 32;
	const wide lo = how & 1 ? INT32_MIN : 0, hi = how & 1 ? INT32_MAX : UINT32_MAX;
	wide v = how & 32 ? a >> n : a * ((wide)1 << n);

	if (how & 8)
		v = v < lo ? lo : v > hi ? hi : v;
	return cut((uwide)v + (how & 16 ? x[2] : 0), 32);
}

START_TEST(video_shifts)
{
	static const char *const sign[] = {"u32", "s32"};
	char insn[128];

	for (int k = 0; k < 64; k++) {
		say(insn, sizeof(insn), "%s.%s.%s.u32%s%s%s %%w3, %%w0, %%w1%s;",
		    k & 32 ? "vshr" : "vshl", sign[k & 1], sign[k >> 1 & 1], k & 8 ? ".sat" : "",
		    k & 4 ? ".wrap" : ".clamp", k & 16 ? ".add" : "", k & 16 ? ", %w2" : "");
		check(insn, 'w', NULL, want_shifted, k);
	}
}
END_TEST

/* ---- approximate functions: as exact as the manual says of a device ---- */
static double number(const struct format *f, uint64_t bits)
{
	uint64_t v = real_to(&f64, real_from(f, bits), TO_NEAREST);
	double r;

	memcpy(&r, &v, 8);
	return r;
}

static double power_of_two(double x)
{
	return exp2(x);
}

static double root(double x)
{
	return 1 / sqrt(x);
}

static const struct function {
	const char *insn;
	const struct format *f;
	bool ftz, packed;
	double (*ref)(double x);
	double relative, absolute; /* one of them is met */
} functions[] = {
	{"sin.approx.f32", &f32, false, false, sin, 0, 0x1p-20},
	{"sin.approx.ftz.f32", &f32, true, false, sin, 0, 0x1p-20},
	{"cos.approx.f32", &f32, false, false, cos, 0, 0x1p-20},
	{"cos.approx.ftz.f32", &f32, true, false, cos, 0, 0x1p-20},
	{"ex2.approx.f32", &f32, false, false, power_of_two, 0x1p-22, 0},
	{"ex2.approx.ftz.f32", &f32, true, false, power_of_two, 0x1p-22, 0},
	{"lg2.approx.f32", &f32, false, false, log2, 0x1p-20, 0x1p-22},
	{"lg2.approx.ftz.f32", &f32, true, false, log2, 0x1p-20, 0x1p-22},
	{"rsqrt.approx.f32", &f32, false, false, root, 0x1p-22, 0},
	{"rsqrt.approx.ftz.f32", &f32, true, false, root, 0x1p-22, 0},
	{"tanh.approx.f32", &f32, false, false, tanh, 0x1p-10, 0},
	{"ex2.approx.f16", &f16, false, false, power_of_two, 0x1p-9, 0x1p-24},
	{"ex2.approx.f16x2", &f16, false, true, power_of_two, 0x1p-9, 0x1p-24},
	{"ex2.approx.ftz.bf16", &bf16, true, false, power_of_two, 0x1p-7, 0},
	{"ex2.approx.ftz.bf16x2", &bf16, true, true, power_of_two, 0x1p-7, 0},
	{"tanh.approx.f16", &f16, false, false, tanh, 0x1p-9, 0x1p-24},
	{"tanh.approx.f16x2", &f16, false, true, tanh, 0x1p-9, 0x1p-24},
	{"tanh.approx.bf16", &bf16, false, false, tanh, 0x1p-7, 0x1p-133},
	{"tanh.approx.bf16x2", &bf16, false, true, tanh, 0x1p-7, 0x1p-133},
};

static bool near(const struct function *fn, uint64_t x, uint64_t got)
{
	const struct format *f = fn->f;
	const double a = number(f, fn->ftz ? real_flush(f, x) : x), r = number(f, got);
	double want = fn->ref(a);
	uint64_t bits;

	memcpy(&bits, &want, 8);
	bits = real_to(f, real_from(&f64, bits), TO_NEAREST);
	if (fn->ftz)
		bits = real_flush(f, bits);
	want = number(f, bits);
	if (isnan(want) || isinf(want))
		return isnan(want) ? isnan(r) : r == want;
	return fabs(r - want) <= fmax(fn->relative * fabs(want), fn->absolute) || r == want;
}

START_TEST(approximate)
{
	static const float at[] = {0,        -0.0f,     1,       -1,       0.5f,      -0.25f,
				   2,        10,        -10,     3.14159f, 0x1p-140f, -0x1p-140f,
				   0x1p-20f, 100,       -126.5f, 127.5f,   -140,      1e-3f,
				   INFINITY, -INFINITY, NAN,     0.7f};
	const struct function *fn = &functions[_i];
	const char c = fn->packed || fn->f == &f32 ? 'w' : 'h';
	char insn[128];

	for (size_t i = 0; i < CASE_COUNT(at); i++) {
		uint32_t w;

		memcpy(&w, &at[i], 4);
		in[i][0] = real_to(fn->f, real_from(&f32, w), TO_NEAREST);
	}
	for (size_t i = CASE_COUNT(at); fn->packed && i-- > 0;)
		in[i][0] |= (in[(i + 5) % CASE_COUNT(at)][0] & 0xffff) << 16;
	say(insn, sizeof(insn), "%s %%%c3, %%%c0;", fn->insn, c, c);
	run_threads(insn, c, (const uint64_t(*)[3])in, out, (uint32_t)CASE_COUNT(at));
	for (size_t i = 0; i < CASE_COUNT(at); i++) {
		for (int part = 0; part <= fn->packed; part++) {
			const uint64_t mask = fn->f->bits == 32 ? 0xffffffff : 0xffff;

			ck_assert_msg(
				near(fn, in[i][0] >> 16 * part & mask, out[i] >> 16 * part & mask),
				"%s of %#llx is %#llx", insn, (unsigned long long)in[i][0],
				(unsigned long long)out[i]);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_forms");
	TCase *t = tcase_create("forms");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, logic);
	tcase_add_loop_test(t, comparison, 0, INTEGER + 3);
	tcase_add_loop_test(t, selection, 0, ALL);
	tcase_add_loop_test(t, carries, 0, 16);
	tcase_add_test(t, products_of_24_bits);
	tcase_add_test(t, permuted_bytes);
	tcase_add_test(t, packed_products);
	tcase_add_loop_test(t, video, 0, 5);
	tcase_add_test(t, video_shifts);
	tcase_add_loop_test(t, approximate, 0, (int)CASE_COUNT(functions));
	suite_add_tcase(s, t);
	return run_suite(s);
}
