/* SPDX-License-Identifier: MIT */
/*
 * Every pair of special values of the small formats, and of the large ones where the two meet:
 * arithmetic, minimum and maximum, comparison, conversion, with all their modifiers.
 */
#include "tests/simcuda/test/ptx_case.h"
#include "tests/simcuda/test/ptx_real.h"

#include <stdarg.h>

static const uint16_t specials16[] = {
	0x0000, 0x8000, 0x0001, 0x8001, 0x0200, 0x03ff, 0x83ff, 0x0400, 0x8400, 0x1400, 0x3555,
	0x3800, 0x3bff, 0x3c00, 0xbc00, 0x3c01, 0x3e00, 0xc100, 0x4248, 0x5bff, 0x6800, 0x7800,
	0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01, 0x4900, 0xc880, 0x57f8};
static const uint16_t specials_b16[] = {
	0x0000, 0x8000, 0x0001, 0x8001, 0x0040, 0x007f, 0x807f, 0x0080, 0x8080, 0x3b80, 0x3eab,
	0x3f00, 0x3f7f, 0x3f80, 0xbf80, 0x3f81, 0x3fc0, 0xc020, 0x4049, 0x42ff, 0x4300, 0x4f00,
	0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0xffc1, 0x7f81, 0x4f80, 0xc300, 0x5f00};
#define SPECIALS CASE_COUNT(specials16)
#define PAIRS    (SPECIALS * SPECIALS)
_Static_assert(PAIRS <= 1024, "a thread each");

static uint64_t in[PAIRS][3], out[PAIRS];

static uint16_t special(const struct format *f, size_t i)
{
	return (f == &f16 ? specials16 : specials_b16)[i % SPECIALS];
}

/* Of the packed form the upper half has other pairs. */
static void fill_pairs(const struct format *f)
{
	for (size_t i = 0; i < SPECIALS; i++) {
		for (size_t k = 0; k < SPECIALS; k++) {
			uint64_t *x = in[i * SPECIALS + k];

			x[0] = special(f, i) | (uint64_t)special(f, i * 3 + k) << 16;
			x[1] = special(f, k) | (uint64_t)special(f, k * 5 + i + 1) << 16;
			x[2] = special(f, i * 7 + k) | (uint64_t)special(f, i + k * 11) << 16;
		}
	}
}

/* Of f32: those of both formats, widened, with bits that they do not have. */
static void fill_singles(void)
{
	for (size_t i = 0; i < PAIRS; i++) {
		size_t a = i % SPECIALS, b = i / SPECIALS;
		const struct format *f = b & 1 ? &f16 : &bf16;
		static const uint32_t more[] = {0,      1,      0x800,  0x1000,
						0x1001, 0x7fff, 0x8000, 0x8001};

		for (int k = 0; k < 3; k++)
			in[i][k] = real_to(&f32, real_from(f, special(f, a + (size_t)k * b)),
					   TO_NEAREST) ^
				   more[(b >> 1) & 7];
	}
}

static void say(char *to, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(vsnprintf(to, size, format, args), (int)size);
	va_end(args);
}

struct flags {
	bool ftz, sat, relu, nan, xorsign;
};

/* NaNs of which the payload is free count as equal; of .relu the manual leaves open whether -0
 * stays. */
static void check_value(const char *insn, const struct format *f, const uint64_t x[3], uint64_t got,
			uint64_t want, bool free_nan, bool free_zero)
{
	if (free_nan && bits_are_nan(f, got) && bits_are_nan(f, want))
		return;
	if (free_zero && !want && got == 1ull << (f->bits - 1))
		return;
	expect_value(insn, x, got, want);
}

typedef uint64_t (*half_fn)(const struct format *f, const uint64_t x[3], const struct flags *g);

/* A form, for one value and packed. */
static void check_both(const struct format *f, const char *name, const char *mods,
		       uint32_t operands, half_fn want, const struct flags *g, bool free_nan)
{
	static const char *const args[] = {"", "%%%c3, %%%c0;", "%%%c3, %%%c0, %%%c1;",
					   "%%%c3, %%%c0, %%%c1, %%%c2;"};
	char insn[128], regs[64];

	fill_pairs(f);
	for (int packed = 0; packed < 2; packed++) {
		char c = packed ? 'w' : 'h';

		snprintf(regs, sizeof(regs), args[operands], c, c, c, c);
		say(insn, sizeof(insn), "%s%s.%s%s %s", name, mods, f->name, packed ? "x2" : "",
		    regs);
		run_threads(insn, c, (const uint64_t(*)[3])in, out, PAIRS);
		for (size_t i = 0; i < PAIRS; i++) {
			for (int part = 0; part <= packed; part++) {
				uint64_t x[3];

				for (int k = 0; k < 3; k++)
					x[k] = in[i][k] >> 16 * part & 0xffff;
				check_value(insn, f, x, out[i] >> 16 * part & 0xffff, want(f, x, g),
					    free_nan, g->relu);
			}
		}
	}
}

static struct real operand(const struct format *f, uint64_t bits, const struct flags *g)
{
	return real_from(f, g->ftz ? real_flush(f, bits) : bits);
}

static uint64_t result(const struct format *f, struct real v, const struct flags *g)
{
	const uint64_t one = real_to(f, real_from_int(1), TO_NEAREST);
	uint64_t bits;

	if (g->relu && v.kind != NOT_A_NUMBER && v.neg)
		return 0;
	bits = real_to(f, v, TO_NEAREST);
	if (g->sat && (v.kind == NOT_A_NUMBER || v.neg))
		return 0;
	if (g->sat && bits > one)
		return one;
	return g->ftz ? real_flush(f, bits) : bits;
}

static uint64_t want_add(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return result(f, real_add(operand(f, x[0], g), operand(f, x[1], g), TO_NEAREST), g);
}

static uint64_t want_sub(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	struct real b = operand(f, x[1], g);

	b.neg = !b.neg;
	return result(f, real_add(operand(f, x[0], g), b, TO_NEAREST), g);
}

static uint64_t want_mul(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return result(f, real_mul(operand(f, x[0], g), operand(f, x[1], g)), g);
}

static uint64_t want_fma(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	struct real p = real_mul(operand(f, x[0], g), operand(f, x[1], g));

	return result(f, real_add(p, operand(f, x[2], g), TO_NEAREST), g);
}

START_TEST(arithmetic)
{
	static const struct {
		const char *name;
		uint32_t operands;
		half_fn want;
	} ops[] = {{"add", 2, want_add}, {"sub", 2, want_sub}, {"mul", 2, want_mul}};
	const struct format *f = _i ? &bf16 : &f16;
	char mods[32];

	for (size_t o = 0; o < CASE_COUNT(ops); o++) {
		for (int k = 0; k < (f == &f16 ? 8 : 2); k++) {
			struct flags g = {.ftz = k & 2, .sat = k & 4};

			say(mods, sizeof(mods), "%s%s%s", k & 1 ? ".rn" : "", g.ftz ? ".ftz" : "",
			    g.sat ? ".sat" : "");
			check_both(f, ops[o].name, mods, ops[o].operands, ops[o].want, &g, false);
		}
	}
	for (int k = 0; k < (f == &f16 ? 6 : 2); k++) {
		struct flags g = f == &f16 ? (struct flags){.ftz = k & 1,
							    .sat = k / 2 == 1,
							    .relu = k / 2 == 2}
					   : (struct flags){.relu = k & 1};

		say(mods, sizeof(mods), ".rn%s%s%s", g.ftz ? ".ftz" : "", g.sat ? ".sat" : "",
		    g.relu ? ".relu" : "");
		check_both(f, "fma", mods, 3, want_fma, &g, false);
	}
}
END_TEST

static uint64_t want_abs(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return (g->ftz ? real_flush(f, x[0]) : x[0]) & ~(1ull << (f->bits - 1));
}

static uint64_t want_neg(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return (g->ftz ? real_flush(f, x[0]) : x[0]) ^ 1ull << (f->bits - 1);
}

START_TEST(absolute_and_negative)
{
	const struct format *f = _i ? &bf16 : &f16;

	for (int ftz = 0; ftz < (f == &f16 ? 2 : 1); ftz++) {
		const struct flags g = {.ftz = ftz};

		check_both(f, "abs", ftz ? ".ftz" : "", 1, want_abs, &g, true);
		check_both(f, "neg", ftz ? ".ftz" : "", 1, want_neg, &g, true);
	}
}
END_TEST

/* -0 is below +0. */
static uint64_t extreme(const struct format *f, const uint64_t x[3], const struct flags *g,
			bool max)
{
	const uint64_t sign = 1ull << (f->bits - 1);
	uint64_t a = g->ftz ? real_flush(f, x[0]) : x[0], b = g->ftz ? real_flush(f, x[1]) : x[1];
	uint64_t signs = (a ^ b) & sign, r;
	bool below;

	if (g->xorsign) {
		a &= ~sign;
		b &= ~sign;
	}
	if (bits_are_nan(f, a) || bits_are_nan(f, b)) {
		if (g->nan || (bits_are_nan(f, a) && bits_are_nan(f, b)))
			return real_to(f, (struct real){.kind = NOT_A_NUMBER}, TO_NEAREST);
		r = bits_are_nan(f, a) ? b : a;
	} else {
		int c = real_compare(real_from(f, a), real_from(f, b));

		below = c < 0 || (c == 0 && a & sign);
		r = below == max ? b : a;
	}
	return g->xorsign ? r | signs : r;
}

static uint64_t want_min(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return extreme(f, x, g, false);
}

static uint64_t want_max(const struct format *f, const uint64_t x[3], const struct flags *g)
{
	return extreme(f, x, g, true);
}

static void check_singles(const char *name, const char *mods, half_fn want, const struct flags *g)
{
	char insn[128];

	fill_singles();
	say(insn, sizeof(insn), "%s%s.f32 %%w3, %%w0, %%w1;", name, mods);
	run_threads(insn, 'w', (const uint64_t(*)[3])in, out, PAIRS);
	for (size_t i = 0; i < PAIRS; i++)
		expect_value(insn, in[i], out[i], want(&f32, in[i], g));
}

START_TEST(extremes)
{
	static const struct format *const formats[] = {&f16, &bf16, &f32};
	const struct format *f = formats[_i];
	char mods[32];

	for (int k = 0; k < 8; k++) {
		const struct flags g = {.ftz = k & 4, .nan = k & 1, .xorsign = k & 2};

		if (g.ftz && f == &bf16)
			continue;
		say(mods, sizeof(mods), "%s%s%s", g.ftz ? ".ftz" : "", g.nan ? ".NaN" : "",
		    g.xorsign ? ".xorsign.abs" : "");
		if (f == &f32) {
			check_singles("min", mods, want_min, &g);
			check_singles("max", mods, want_max, &g);
		} else {
			check_both(f, "min", mods, 2, want_min, &g, false);
			check_both(f, "max", mods, 2, want_max, &g, false);
		}
	}
}
END_TEST

/* ---- comparison ---- */
static const char *const comparisons[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
					  "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
static const char *const combinations[] = {"", ".and", ".or", ".xor"};

static bool compared(size_t op, int c)
{
	const bool nan = c == 2;

	switch (op) {
	case 0:
		return c == 0;
	case 1:
		return !nan && c;
	case 2:
		return c < 0;
	case 3:
		return c <= 0;
	case 4:
		return c == 1;
	case 5:
		return c == 0 || c == 1;
	case 12:
		return !nan;
	case 13:
		return nan;
	default:
		return nan || compared(op - 6, c);
	}
}

/* with the third value, as a predicate */
static bool combined(int how, bool v, uint64_t third)
{
	const bool p = third != 0;

	return how == 0 ? v : how == 1 ? (v && p) : how == 2 ? (v || p) : v != p;
}

/* Which formats setp and set compare, and what set gives. */
static const struct comparison {
	const struct format *f;
	bool has_ftz, gives_float;
} compare_forms[] = {
	{&f16, true, false}, {&bf16, false, false}, {&f32, true, true}, {&f64, false, true}};

static void fill_compared(const struct format *f)
{
	if (f->bits == 16) {
		fill_pairs(f);
	} else {
		fill_singles();
		for (size_t i = 0; i < PAIRS && f->bits == 64; i++)
			for (int k = 0; k < 2; k++)
				in[i][k] = real_to(&f64, real_from(&f32, in[i][k]), TO_NEAREST);
	}
	for (size_t i = 0; i < PAIRS; i++)
		in[i][2] = i / 3 % 2;
}

static bool outcome(const struct format *f, const uint64_t x[3], size_t op, int how,
		    const struct flags *g)
{
	uint64_t mask = f->bits == 64 ? UINT64_MAX : (1ull << f->bits) - 1;

	return combined(
		how,
		compared(op, real_compare(operand(f, x[0] & mask, g), operand(f, x[1] & mask, g))),
		x[2]);
}

START_TEST(comparison)
{
	const size_t op = (size_t)_i;
	char insn[128];

	for (size_t k = 0; k < CASE_COUNT(compare_forms) * 8; k++) {
		const struct comparison *c = &compare_forms[k / 8];
		const struct flags g = {.ftz = k & 4};
		const char r = c->f->cls;
		const int how = k & 3;

		if (g.ftz && !c->has_ftz)
			continue;
		fill_compared(c->f);
		say(insn, sizeof(insn), "setp.%s%s%s.%s %%p3, %%%c0, %%%c1%s;", comparisons[op],
		    combinations[how], g.ftz ? ".ftz" : "", c->f->name, r, r, how ? ", %p0" : "");
		run_threads(insn, 'p', (const uint64_t(*)[3])in, out, PAIRS);
		for (size_t i = 0; i < PAIRS; i++)
			expect_value(insn, in[i], out[i], outcome(c->f, in[i], op, how, &g));
	}
}
END_TEST

/* A half gives a whole number or its own type, a wider one a half or, as long, 1.0. */
static bool can_set(const struct comparison *c, const char *type)
{
	if (strchr("us", type[0]))
		return c->f->bits == 16 || !strcmp(type + 1, "32");
	if (!strcmp(type, "f32"))
		return c->gives_float;
	return c->f->bits > 16 || !strcmp(type, c->f->name);
}

START_TEST(set_by_comparison)
{
	static const struct {
		const char *name;
		uint64_t yes;
		char result;
	} gives[] = {{"u32", 0xffffffff, 'w'}, {"s32", 0xffffffff, 'w'}, {"f32", 0x3f800000, 'w'},
		     {"u16", 0xffff, 'h'},     {"s16", 0xffff, 'h'},     {"f16", 0x3c00, 'h'},
		     {"bf16", 0x3f80, 'h'}};
	const size_t op = (size_t)_i;
	char insn[128];

	for (size_t k = 0; k < CASE_COUNT(compare_forms) * 8 * CASE_COUNT(gives); k++) {
		const struct comparison *c = &compare_forms[k / 8 % CASE_COUNT(compare_forms)];
		const size_t type = k / 8 / CASE_COUNT(compare_forms);
		const struct flags g = {.ftz = k & 4};
		const char r = c->f->cls;
		const int how = k & 3;

		if ((g.ftz && !c->has_ftz) || !can_set(c, gives[type].name))
			continue;
		fill_compared(c->f);
		say(insn, sizeof(insn), "set.%s%s%s.%s.%s %%%c3, %%%c0, %%%c1%s;", comparisons[op],
		    combinations[how], g.ftz ? ".ftz" : "", gives[type].name, c->f->name,
		    gives[type].result, r, r, how ? ", %p0" : "");
		run_threads(insn, gives[type].result, (const uint64_t(*)[3])in, out, PAIRS);
		for (size_t i = 0; i < PAIRS; i++)
			expect_value(insn, in[i], out[i],
				     outcome(c->f, in[i], op, how, &g) ? gives[type].yes : 0);
	}
}
END_TEST

START_TEST(packed_comparison)
{
	static const struct format *const formats[] = {&f16, &bf16};
	const size_t op = (size_t)_i;
	char insn[160];

	for (size_t k = 0; k < 3; k++) {
		const struct format *f = formats[k / 2];
		const struct flags g = {.ftz = k & 1};

		fill_pairs(f);
		say(insn, sizeof(insn),
		    "setp.%s%s.%sx2 %%p3|%%p4, %%w0, %%w1; selp.u32 %%w3, 1, 0, %%p3; selp.u32 "
		    "%%w4, 2, 0, %%p4; "
		    "or.b32 %%w3, %%w3, %%w4;",
		    comparisons[op], g.ftz ? ".ftz" : "", f->name);
		run_threads(insn, 'w', (const uint64_t(*)[3])in, out, PAIRS);
		for (size_t i = 0; i < PAIRS; i++) {
			uint64_t upper[3] = {in[i][0] >> 16, in[i][1] >> 16, 0};

			expect_value(insn, in[i], out[i],
				     (uint64_t)(outcome(f, in[i], op, 0, &g) |
						outcome(f, upper, op, 0, &g) << 1));
		}
	}
}
END_TEST

START_TEST(set_by_packed_comparison)
{
	static const struct format *const formats[] = {&f16, &bf16};
	const size_t op = (size_t)_i;
	char insn[160];

	for (size_t k = 0; k < 2 * 3 * 8; k++) {
		const struct format *f = formats[k & 1];
		const size_t type = k / 2 % 3;
		const struct flags g = {.ftz = f == &f16 && k / 6 & 4};
		const int how = k / 6 & 3;
		const char *const gives[] = {"u32", "s32", f == &f16 ? "f16x2" : "bf16x2"};
		const uint64_t yes = type < 2 ? 0xffff : f == &f16 ? 0x3c00 : 0x3f80;

		fill_pairs(f);
		for (size_t i = 0; i < PAIRS; i++)
			in[i][2] = i / 3 % 2;
		say(insn, sizeof(insn), "set.%s%s%s.%s.%sx2 %%w3, %%w0, %%w1%s;", comparisons[op],
		    combinations[how], g.ftz ? ".ftz" : "", gives[type], f->name,
		    how ? ", %p0" : "");
		run_threads(insn, 'w', (const uint64_t(*)[3])in, out, PAIRS);
		for (size_t i = 0; i < PAIRS; i++) {
			uint64_t upper[3] = {in[i][0] >> 16, in[i][1] >> 16, in[i][2]};

			expect_value(insn, in[i], out[i],
				     (outcome(f, in[i], op, how, &g) ? yes : 0) |
					     (outcome(f, upper, op, how, &g) ? yes << 16 : 0));
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_half");
	TCase *t = tcase_create("half");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, arithmetic, 0, 2);
	tcase_add_loop_test(t, absolute_and_negative, 0, 2);
	tcase_add_loop_test(t, extremes, 0, 3);
	tcase_add_loop_test(t, comparison, 0, 14);
	tcase_add_loop_test(t, set_by_comparison, 0, 14);
	tcase_add_loop_test(t, packed_comparison, 0, 14);
	tcase_add_loop_test(t, set_by_packed_comparison, 0, 14);
	suite_add_tcase(s, t);
	return run_suite(s);
}
