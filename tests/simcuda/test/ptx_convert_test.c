/* SPDX-License-Identifier: MIT */
/* cvt between all formats and types, in each rounding, with each modifier. */
#include "tests/simcuda/test/ptx_case.h"
#include "tests/simcuda/test/ptx_real.h"

#include <stdarg.h>

/* Of 64 bits; what a type has of it are the lower ones. */
static const uint64_t ints[] = {0,
				1,
				2,
				3,
				0x7e,
				0x7f,
				0x80,
				0x81,
				0xff,
				0x100,
				0x101,
				0x7ff,
				0x801,
				0x803,
				0x7fef,
				0x7ff0,
				0x7fff,
				0x8000,
				0xffef,
				0xffff,
				0x10001,
				0x1000003,
				0x7fffffff,
				0x80000000,
				0xffffff80,
				0xffffffff,
				0x20000000000001ull,
				0x7fffffffffffffffull,
				0x8000000000000000ull,
				0xfffffffffffff800ull,
				0xffffffffffffffffull};
static const double values[] = {0,
				0.25,
				0.5,
				0.75,
				1,
				1.5,
				2.5,
				3.999,
				126.5,
				127.5,
				128.49,
				254.5,
				255.5,
				2049,
				32767.5,
				65519,
				65520,
				65535.5,
				1e-3,
				1e-7,
				0x1p-14,
				0x1.ffp-15,
				0x1p-24,
				0x1p-25,
				0x1.8p-25,
				0x1p-126,
				0x1p-127,
				0x1p-149,
				0x1.1p-150,
				0x1p31,
				0x1p32,
				2147483647.5,
				0x1p63,
				0x1p64,
				0x1p127,
				3.4028235e38,
				3.4028236e38,
				0x1.01p0,
				0x1.0180p0,
				0x1.001p0,
				0x1.003p0,
				0x1.0018p3,
				0x1.fffffffp5,
				1e300,
				5e-324,
				1.0 / 3};
#define MOST 128

static uint64_t in[MOST][3], out[MOST];

static void say(char *to, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(vsnprintf(to, size, format, args), (int)size);
	va_end(args);
}

/* Each value as the format has it, above and below 0, its subnormal numbers, infinities, NaNs. */
static uint32_t fill_reals(const struct format *f)
{
	const uint64_t sign = 1ull << (f->bits - 1), digits = f->precision - 1;
	const uint64_t infinite = sign - (1ull << digits);
	const uint64_t more[] = {1,
				 3,
				 (1ull << digits) - 1,
				 1ull << digits,
				 infinite,
				 infinite - 1,
				 infinite | 1,
				 infinite | 1ull << (digits - 1)};
	uint32_t n = 0;
	uint64_t bits;

	for (size_t i = 0; i < CASE_COUNT(values) + CASE_COUNT(more); i++) {
		if (i < CASE_COUNT(values)) {
			memcpy(&bits, &values[i], 8);
			bits = real_to(f, real_from(&f64, bits), TO_NEAREST);
		} else {
			bits = more[i - CASE_COUNT(values)];
		}
		in[n++][0] = bits;
		in[n++][0] = bits | sign;
	}
	ck_assert_uint_le(n, MOST);
	for (uint32_t i = 0; i < n; i++)
		in[i][1] = in[(i * 7 + 3) % n][0];
	return n;
}

struct how {
	enum rounding mode;
	bool integral, ftz, sat, relu, finite;
};

static uint64_t converted(const struct format *to, const struct format *from, uint64_t bits,
			  const struct how *h)
{
	const uint64_t one = real_to(to, real_from_int(1), TO_NEAREST);
	const uint64_t infinite = (1ull << (to->bits - 1)) - (1ull << (to->precision - 1));
	struct real v = real_from(from, h->ftz && from == &f32 ? real_flush(from, bits) : bits);
	uint64_t r;

	if (h->integral)
		v = real_round(v, h->mode);
	r = real_to(to, v, h->mode);
	if (h->finite && v.kind != NOT_A_NUMBER && (r & (infinite | 1)) == infinite)
		r--; /* the largest number */
	if (h->sat && (v.kind == NOT_A_NUMBER || v.neg))
		return 0;
	if (h->sat && r > one)
		return one;
	if (h->relu && v.kind != NOT_A_NUMBER && v.neg)
		return 0;
	return h->ftz && to == &f32 ? real_flush(to, r) : r;
}

static void check_reals(const char *insn, const struct format *to, const struct format *from,
			uint32_t n, const struct how *h)
{
	run_threads(insn, to->cls, (const uint64_t(*)[3])in, out, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t want = converted(to, from, in[i][0], h);

		if (bits_are_nan(to, want) && bits_are_nan(to, out[i]) &&
		    (to == &f64 || from == to))
			continue; /* its payload is free */
		if (h->relu && !want && out[i] == 1ull << (to->bits - 1))
			continue; /* the manual leaves open what becomes of -0 */
		expect_value(insn, in[i], out[i], want);
	}
}

/* Which modifiers a conversion has: its rounding is none, one of four, or rn and rz alone. */
static const struct conversion {
	const struct format *to, *from;
	enum { NONE, FOUR, TWO, INTEGRAL } rounding;
	bool has_ftz, has_sat, has_relu;
} conversions[] = {
	{&f32, &f64, FOUR, true, true, false},      {&f16, &f32, FOUR, true, true, false},
	{&f16, &f64, FOUR, false, true, false},     {&f64, &f32, NONE, true, true, false},
	{&f32, &f16, NONE, true, true, false},      {&f64, &f16, NONE, false, true, false},
	{&f32, &bf16, NONE, false, false, false},   {&f64, &bf16, NONE, false, false, false},
	{&f16, &f32, TWO, false, false, true},      {&bf16, &f32, TWO, false, false, true},
	{&f32, &f32, NONE, true, true, false},      {&f64, &f64, NONE, false, true, false},
	{&f16, &bf16, FOUR, false, false, false},   {&bf16, &f16, FOUR, false, false, false},
	{&bf16, &f64, FOUR, false, false, false},   {&bf16, &bf16, FOUR, false, false, false},
	{&f16, &f16, NONE, false, true, false},     {&f32, &f32, INTEGRAL, true, true, false},
	{&f64, &f64, INTEGRAL, false, true, false}, {&f16, &f16, INTEGRAL, false, true, false},
};

START_TEST(between_formats)
{
	const struct conversion *c = &conversions[_i];
	const uint32_t n = fill_reals(c->from);
	char insn[96];

	for (int k = 0; k < 8 * (c->rounding == NONE ? 1 : c->rounding == TWO ? 2 : 4); k++) {
		const struct how h = {.mode = (enum rounding)(k / 8),
				      .integral = c->rounding == INTEGRAL,
				      .ftz = k & 1,
				      .sat = k & 2,
				      .relu = k & 4};

		if ((h.ftz && !c->has_ftz) || (h.sat && !c->has_sat) || (h.relu && !c->has_relu))
			continue;
		say(insn, sizeof(insn), "cvt%s%s%s%s%s.%s.%s %%%c3, %%%c0;",
		    c->rounding == NONE ? "" : ".",
		    c->rounding == NONE       ? ""
		    : c->rounding == INTEGRAL ? integral_names[h.mode]
					      : rounding_names[h.mode],
		    h.ftz ? ".ftz" : "", h.sat ? ".sat" : "", h.relu ? ".relu" : "", c->to->name,
		    c->from->name, c->to->cls, c->from->cls);
		check_reals(insn, c->to, c->from, n, &h);
	}
}
END_TEST

/* Two of f32 into one word, the first one above. */
START_TEST(packed)
{
	const struct format *f = _i ? &bf16 : &f16;
	const uint32_t n = fill_reals(&f32);
	char insn[96];

	for (int k = 0; k < 8; k++) {
		const struct how h = {
			.mode = k & 1 ? TO_ZERO : TO_NEAREST, .relu = k & 2, .finite = k & 4};

		say(insn, sizeof(insn), "cvt.%s%s%s.%sx2.f32 %%w3, %%w0, %%w1;",
		    rounding_names[h.mode], h.relu ? ".relu" : "", h.finite ? ".satfinite" : "",
		    f->name);
		run_threads(insn, 'w', (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t want = converted(f, &f32, in[i][0], &h) << 16 |
					converted(f, &f32, in[i][1], &h);
			uint64_t got = out[i];

			if (h.relu) /* -0 may stay */
				got &= ~(((got & 0x7fff) ? 0 : 0x8000ull) |
					 ((got & 0x7fff0000) ? 0 : 0x80000000ull));
			expect_value(insn, in[i], got, want);
		}
	}
}
END_TEST

/* One of f32, with the largest number for what is above it; of tf32 with ten digits. */
START_TEST(finite_numbers)
{
	static const struct format tf32 = {"tf32", 19, 11, -126, 127, 'w'};
	static const struct format *const to[] = {&f16, &bf16, &tf32};
	const struct format *f = to[_i];
	const uint32_t n = fill_reals(&f32);
	char insn[96];

	for (int k = 0; k < 8; k++) {
		const struct how h = {
			.mode = k & 1 ? TO_ZERO : TO_NEAREST, .relu = k & 2, .finite = k & 4};

		say(insn, sizeof(insn), "cvt.%s%s%s.%s.f32 %%%c3, %%w0;", rounding_names[h.mode],
		    h.relu ? ".relu" : "", h.finite ? ".satfinite" : "", f->name, f->cls);
		run_threads(insn, f->cls, (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t want = converted(f, &f32, in[i][0], &h);
			uint64_t got = f == &tf32 ? out[i] >> 13 : out[i];

			if (bits_are_nan(f, want) && bits_are_nan(f, got))
				continue;
			if (h.relu && got == 1ull << (f->bits - 1)) /* -0 may stay */
				got = 0;
			expect_value(insn, in[i], got, want);
		}
	}
}
END_TEST

/* Ten digits behind the point, ties away from zero. */
START_TEST(tensor_float)
{
	const uint32_t n = fill_reals(&f32);
	const char *insn =
		_i ? "cvt.rna.satfinite.tf32.f32 %w3, %w0;" : "cvt.rna.tf32.f32 %w3, %w0;";

	run_threads(insn, 'w', (const uint64_t(*)[3])in, out, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t want = (in[i][0] + 0x1000) & ~0x1fffull;

		if (_i && real_from(&f32, in[i][0]).kind != NOT_A_NUMBER &&
		    (want & 0x7fffffff) >= 0x7f800000) {
			expect_value(insn, in[i], out[i], (want & 0x80000000) | 0x7f7fe000);
			continue;
		}
		if (real_from(&f32, in[i][0]).kind == NOT_A_NUMBER)
			ck_assert(bits_are_nan(&f32, out[i]));
		else if (real_from(&f32, in[i][0]).kind == INFINITE)
			expect_value(insn, in[i], out[i], in[i][0]);
		else
			expect_value(insn, in[i], out[i], want);
	}
}
END_TEST

/* ---- integers ---- */
static const struct whole {
	const char *name;
	int bits;
	bool is_signed;
	char cls;
} wholes[] = {{"u8", 8, false, 'h'},   {"s8", 8, true, 'h'},    {"u16", 16, false, 'h'},
	      {"s16", 16, true, 'h'},  {"u32", 32, false, 'w'}, {"s32", 32, true, 'w'},
	      {"u64", 64, false, 'd'}, {"s64", 64, true, 'd'}};
static const struct format *const formats[] = {&f16, &bf16, &f32, &f64};

static wide least(const struct whole *t)
{
	return t->is_signed ? -((wide)1 << (t->bits - 1)) : 0;
}

static wide greatest(const struct whole *t)
{
	return ((wide)1 << (t->bits - t->is_signed)) - 1;
}

/* In a register of its class, which a narrow one fills by its sign. */
static uint64_t in_register(const struct whole *t, wide v)
{
	const int bits = t->bits < 16 ? 16 : t->bits;

	return (uint64_t)v & (bits == 64 ? UINT64_MAX : (1ull << bits) - 1);
}

static uint64_t whole_of(const struct whole *t, const struct format *from, uint64_t bits,
			 const struct how *h)
{
	struct real v =
		real_round(real_from(from, h->ftz ? real_flush(from, bits) : bits), h->mode);
	wide whole;

	if (v.kind == NOT_A_NUMBER)
		return in_register(t, from != &f64 && t->bits != 64 ? 0
				      : t->is_signed                ? least(t)
								    : (wide)1 << (t->bits - 1));
	if (v.kind == INFINITE || v.e > 90 || (v.e > 0 && v.m >> (100 - v.e)))
		return in_register(t, v.neg ? least(t) : greatest(t));
	whole = v.neg ? -(wide)(v.m << v.e) : (wide)(v.m << v.e);
	return in_register(t, whole < least(t)      ? least(t)
			      : whole > greatest(t) ? greatest(t)
						    : whole);
}

START_TEST(to_integers)
{
	const struct format *from = formats[_i];
	const uint32_t n = fill_reals(from);
	char insn[96];

	for (size_t k = 0; k < CASE_COUNT(wholes) * 16; k++) {
		const struct whole *t = &wholes[k / 16];
		const struct how h = {.mode = (enum rounding)(k & 3), .ftz = k & 4, .sat = k & 8};

		if ((h.ftz && from != &f32) || (h.sat && from == &bf16))
			continue;
		say(insn, sizeof(insn), "cvt.%s%s%s.%s.%s %%%c3, %%%c0;", integral_names[h.mode],
		    h.ftz ? ".ftz" : "", h.sat ? ".sat" : "", t->name, from->name, t->cls,
		    from->cls);
		run_threads(insn, t->cls, (const uint64_t(*)[3])in, out, n);
		for (uint32_t i = 0; i < n; i++)
			expect_value(insn, in[i], out[i], whole_of(t, from, in[i][0], &h));
	}
}
END_TEST

START_TEST(from_integers)
{
	const struct format *to = formats[_i];
	char insn[96];

	for (size_t k = 0; k < CASE_COUNT(wholes) * 8; k++) {
		const struct whole *t = &wholes[k / 8];
		const struct how h = {.mode = (enum rounding)(k & 3), .sat = k & 4};

		if (h.sat && to == &bf16)
			continue;
		for (size_t i = 0; i < CASE_COUNT(ints); i++)
			in[i][0] = ints[i];
		say(insn, sizeof(insn), "cvt.%s%s.%s.%s %%%c3, %%%c0;", rounding_names[h.mode],
		    h.sat ? ".sat" : "", to->name, t->name, to->cls, t->cls);
		run_threads(insn, to->cls, (const uint64_t(*)[3])in, out,
			    (uint32_t)CASE_COUNT(ints));
		for (size_t i = 0; i < CASE_COUNT(ints); i++) {
			uint64_t bits = t->bits == 64 ? ints[i] : ints[i] & ((1ull << t->bits) - 1);
			wide v = t->is_signed && bits >> (t->bits - 1)
					 ? (wide)bits - ((wide)1 << t->bits)
					 : (wide)bits;

			v = h.sat ? v < 0 ? 0 : v > 1 ? 1 : v : v;
			expect_value(insn, in[i], out[i], real_to(to, real_from_int(v), h.mode));
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_convert");
	TCase *t = tcase_create("conversions");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, between_formats, 0, (int)CASE_COUNT(conversions));
	tcase_add_loop_test(t, packed, 0, 2);
	tcase_add_loop_test(t, finite_numbers, 0, 3);
	tcase_add_loop_test(t, tensor_float, 0, 2);
	tcase_add_loop_test(t, to_integers, 0, (int)CASE_COUNT(formats));
	tcase_add_loop_test(t, from_integers, 0, (int)CASE_COUNT(formats));
	suite_add_tcase(s, t);
	return run_suite(s);
}
