/* SPDX-License-Identifier: MIT */
/* Floats of eight bits, packed integers, and ranges of bits: each against a search or a loop. */
#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define MOST 256
static uint64_t in[MOST][3], out[MOST];

/* ---- floats of eight bits ---- */
static const struct small {
	const char *name;
	int digits, bias;
	uint32_t greatest; /* the largest number's bits */
} smalls[] = {{"e4m3x2", 3, 7, 0x7e}, {"e5m2x2", 2, 15, 0x7b}};

static double small_value(const struct small *s, uint32_t v)
{
	const uint32_t e = (v & 0x7f) >> s->digits, m = v & ((1u << s->digits) - 1);
	double d;

	if ((v & 0x7f) > s->greatest)
		d = s->digits == 2 && (v & 0x7f) == 0x7c ? INFINITY : NAN;
	else
		d = ldexp(e ? (double)m / (1 << s->digits) + 1 : (double)m / (1 << s->digits),
			  (e ? (int)e : 1) - s->bias);
	return v & 0x80 ? -d : d;
}

/* The number that is nearest, of two the even one; what is above the largest one becomes it. */
static uint32_t nearest(const struct small *s, double d, bool relu)
{
	uint32_t best = 0;

	if (d != d)
		return 0x7f;
	if (relu && d < 0)
		return 0;
	for (uint32_t v = 1; v <= s->greatest; v++) {
		const double now = fabs(fabs(d) - small_value(s, v));
		const double before = fabs(fabs(d) - small_value(s, best));

		if (now < before || (now == before && !(v & 1)) || isinf(d))
			best = v;
	}
	return best | (signbit(d) ? 0x80 : 0);
}

/* Values of both formats, those half way between, and what neither has. */
static double some_value(uint32_t i)
{
	static const double more[] = {0,        INFINITY, NAN,     464,     465,
				      448.0001, 480,      57344,   61440,   61441,
				      65504,    0x1p-17,  0x1p-16, 0x1p-10, 0x1.8p-10,
				      0x1p-9,   1.0625,   1.1875,  1e-3,    100};
	double d = i / 2 < CASE_COUNT(more) ? more[i / 2]
					    : ldexp(1 + (i % 37) / 32.0, (int)(i % 29) - 18);

	return i & 1 ? -d : d;
}

static uint32_t float_bits(double d)
{
	float f = (float)d;
	uint32_t v;

	memcpy(&v, &f, sizeof(v));
	return v;
}

static uint32_t half_bits(double d)
{
	const uint32_t sign = signbit(d) ? 0x8000 : 0;
	int e;

	if (d != d)
		return 0x7fff;
	if (isinf(d))
		return sign | 0x7c00;
	if (fabs(d) < 0x1p-14)
		return sign | (uint32_t)rint(fabs(d) * 0x1p24);
	e = ilogb(d);
	return sign | (((uint32_t)(e + 14) << 10) + (uint32_t)rint(ldexp(fabs(d), 10 - e)));
}

/* As the engine is given it: of two halves of a register, or of a single. */
static double half_value(uint32_t h)
{
	const uint32_t e = h >> 10 & 31, m = h & 1023;
	double d = e == 31 ? (m ? NAN : INFINITY)
		   : e     ? ldexp(1 + m / 1024.0, (int)e - 15)
			   : m * 0x1p-24;

	return h & 0x8000 ? -d : d;
}

START_TEST(to_eight_bits)
{
	const struct small *s = &smalls[_i & 1];
	const bool relu = _i & 2, halves = _i & 4;
	char insn[96];

	snprintf(insn, sizeof(insn), "cvt.rn.satfinite%s.%s.%s;", relu ? ".relu" : "", s->name,
		 halves ? "f16x2 %h3, %w0" : "f32 %h3, %w0, %w1");
	for (uint32_t i = 0; i < MOST; i++) {
		const double a = some_value(i), b = some_value(i * 7 + 5);

		in[i][0] = halves ? half_bits(a) << 16 | half_bits(b) : float_bits(a);
		in[i][1] = float_bits(b);
	}
	run_threads(insn, 'h', (const uint64_t(*)[3])in, out, MOST);
	for (uint32_t i = 0; i < MOST; i++) {
		double a = some_value(i), b = some_value(i * 7 + 5);
		uint64_t got = out[i];

		if (halves) {
			a = half_value((uint32_t)in[i][0] >> 16);
			b = half_value((uint32_t)in[i][0] & 0xffff);
		} else {
			a = (float)a;
			b = (float)b;
		}
		if (relu) /* -0 may stay */
			got &= ~(((got & 0x7f) ? 0 : 0x80ull) | ((got & 0x7f00) ? 0 : 0x8000ull));
		expect_value(insn, in[i], got,
			     (relu && a == 0 ? 0 : nearest(s, a, relu) << 8) |
				     (relu && b == 0 ? 0 : nearest(s, b, relu)));
	}
}
END_TEST

START_TEST(from_eight_bits)
{
	const struct small *s = &smalls[_i & 1];
	char insn[96];

	snprintf(insn, sizeof(insn), "cvt.rn%s.f16x2.%s %%w3, %%h0;", _i & 2 ? ".relu" : "",
		 s->name);
	for (uint32_t i = 0; i < MOST; i++)
		in[i][0] = i | (255 - i) << 8;
	run_threads(insn, 'w', (const uint64_t(*)[3])in, out, MOST);
	for (uint32_t i = 0; i < MOST; i++) {
		uint64_t want = 0;

		for (int k = 0; k < 2; k++) {
			double d = small_value(s, in[i][0] >> 8 * k & 0xff);
			uint64_t got = out[i] >> 16 * k & 0xffff;

			want = _i & 2 && d <= 0 ? 0 : half_bits(d);
			if (_i & 2 && got == 0x8000)
				got = 0;
			ck_assert_msg(got == want, "%s: %#llx gives %#llx, not %#llx", insn,
				      (unsigned long long)in[i][0], (unsigned long long)got,
				      (unsigned long long)want);
		}
	}
}
END_TEST

/* ---- integers ---- */
static const int64_t ints[] = {
	0,   1,   2,     3,     4,     5,     7,      8,      9,       15,        16,
	17,  30,  31,    32,    33,    63,    64,     127,    128,     129,       255,
	256, 257, 32767, 32768, 32769, 65535, 65536,  65537,  1 << 30, INT32_MAX, -1,
	-2,  -3,  -8,    -9,    -128,  -129,  -32768, -32769, -65536,  INT32_MIN};

static void fill_ints(void)
{
	for (uint32_t i = 0; i < MOST; i++)
		for (uint32_t k = 0; k < 3; k++)
			in[i][k] = (uint32_t)
				ints[(i * (5 + 6 * k) + i / 43 * (k + 1) + k) % CASE_COUNT(ints)];
}

START_TEST(packed_integers)
{
	static const struct {
		const char *name;
		uint32_t bits;
		int64_t least, greatest;
	} types[] = {{"u16", 16, 0, 65535}, {"s16", 16, -32768, 32767},
		     {"u8", 8, 0, 255},     {"s8", 8, -128, 127},
		     {"u4", 4, 0, 15},      {"s4", 4, -8, 7},
		     {"u2", 2, 0, 3},       {"s2", 2, -2, 1}};
	char insn[96];

	fill_ints();
	for (size_t t = 0; t < CASE_COUNT(types); t++) {
		const bool third = types[t].bits < 16;

		snprintf(insn, sizeof(insn), "cvt.pack.sat.%s.s32%s;", types[t].name,
			 third ? ".b32 %w3, %w0, %w1, %w2" : " %w3, %w0, %w1");
		run_threads(insn, 'w', (const uint64_t(*)[3])in, out, MOST);
		for (uint32_t i = 0; i < MOST; i++) {
			uint64_t want = third ? in[i][2] : 0;

			for (int k = 0; k < 2; k++) { /* the first one above the second */
				int64_t v = (int32_t)in[i][k];

				v = v < types[t].least      ? types[t].least
				    : v > types[t].greatest ? types[t].greatest
							    : v;
				want = want << types[t].bits |
				       ((uint64_t)v & ((1u << types[t].bits) - 1));
			}
			expect_value(insn, in[i], out[i], want & 0xffffffff);
		}
	}
}
END_TEST

static uint64_t want_bits(int what, const uint64_t x[3])
{
	const bool wrap = what & 1;
	const uint64_t first = wrap ? x[0] % 32 : x[0], count = wrap ? x[1] % 32 : x[1];
	uint32_t v = 0;

	switch (what / 2) {
	case 0: /* ones */
		for (uint64_t i = 0; i < 32; i++)
			v |= (uint32_t)(i >= first && i - first < count) << i;
		return v;
	default: /* the lower bits, and the sign or zeros */
		for (uint64_t i = 0; i < 32; i++) {
			const uint64_t from = i < count ? i : count - 1;
			const bool fill = i < count || (what / 2 == 2 && count);

			v |= (uint32_t)(fill && x[0] >> from & 1) << i;
		}
		return v;
	}
}

START_TEST(ranges_of_bits)
{
	static const char *const insns[] = {
		"bmsk.clamp.b32 %w3, %w0, %w1;",  "bmsk.wrap.b32 %w3, %w0, %w1;",
		"szext.clamp.u32 %w3, %w0, %w1;", "szext.wrap.u32 %w3, %w0, %w1;",
		"szext.clamp.s32 %w3, %w0, %w1;", "szext.wrap.s32 %w3, %w0, %w1;"};

	fill_ints();
	run_threads(insns[_i], 'w', (const uint64_t(*)[3])in, out, MOST);
	for (uint32_t i = 0; i < MOST; i++)
		expect_value(insns[_i], in[i], out[i], want_bits(_i, in[i]));
}
END_TEST

START_TEST(the_nth_bit)
{
	static const struct insn_case cases[] = {
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 0, 1, 1, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 3, 1, 3, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 3, 0, 3, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 2, 0, 0xffffffff, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 16, 3, 21, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 16, 0xfffffffe, 13, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 0, 17, 0xffffffff, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0xaaaaaaaa, 0, 16, 31, 'w'},
		{"fns.b32 %w3, %w0, %w1, %w2;", 0, 5, 1, 0xffffffff, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_small");
	TCase *t = tcase_create("small");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, to_eight_bits, 0, 8);
	tcase_add_loop_test(t, from_eight_bits, 0, 4);
	tcase_add_test(t, packed_integers);
	tcase_add_loop_test(t, ranges_of_bits, 0, 6);
	tcase_add_test(t, the_nth_bit);
	suite_add_tcase(s, t);
	return run_suite(s);
}
