/* SPDX-License-Identifier: MIT */
#include "tests/simcuda/test/ptx_real.h"

const struct format f16 = {"f16", 16, 11, -14, 15, 'h'}, bf16 = {"bf16", 16, 8, -126, 127, 'h'},
		    f32 = {"f32", 32, 24, -126, 127, 'w'}, f64 = {"f64", 64, 53, -1022, 1023, 'd'};
const char *const rounding_names[4] = {"rn", "rz", "rm", "rp"};
const char *const integral_names[4] = {"rni", "rzi", "rmi", "rpi"};

static uint64_t exponent_mask(const struct format *f)
{
	return (1ull << (f->bits - f->precision)) - 1;
}

static uint64_t sign_bit(const struct format *f)
{
	return 1ull << (f->bits - 1);
}

struct real real_from(const struct format *f, uint64_t bits)
{
	const int digits = f->precision - 1;
	uint64_t exponent = bits >> digits & exponent_mask(f), m = bits & ((1ull << digits) - 1);
	struct real v = {.neg = bits & sign_bit(f), .m = m, .e = f->least - digits};

	if (exponent == exponent_mask(f)) {
		v.kind = m ? NOT_A_NUMBER : INFINITE;
	} else if (exponent) {
		v.m |= 1ull << digits;
		v.e = (int)exponent - f->greatest - digits;
	}
	return v;
}

struct real real_from_int(wide v)
{
	return (struct real){.neg = v < 0, .m = v < 0 ? -(uwide)v : (uwide)v};
}

static int length(uwide m)
{
	int n = 0;

	for (; m; m >>= 1)
		n++;
	return n;
}

/* m times 2 to the e as a multiple of 2 to the q. */
static uwide rounded(struct real v, int q, enum rounding mode)
{
	int shift = q - v.e;
	uwide keep, rest, half;

	if (shift <= 0)
		return v.m << -shift;
	keep = shift > 127 ? 0 : v.m >> shift;
	rest = shift > 127 ? v.m : v.m & (((uwide)1 << shift) - 1);
	half = shift > 127 ? 0 : (uwide)1 << (shift - 1);
	if (!rest)
		return keep;
	switch (mode) {
	case TO_NEAREST:
		return keep + (half && (rest > half || (rest == half && keep & 1)));
	case TO_ZERO:
		return keep;
	case DOWN:
		return keep + v.neg;
	default:
		return keep + !v.neg;
	}
}

uint64_t real_to(const struct format *f, struct real v, enum rounding mode)
{
	const int digits = f->precision - 1;
	const uint64_t sign = v.neg ? sign_bit(f) : 0, infinite = exponent_mask(f) << digits;
	uint64_t keep;
	int q;

	if (v.kind == NOT_A_NUMBER)
		return f->bits == 64 ? 0x7fffffffffffffffull : (1ull << (f->bits - 1)) - 1;
	if (v.kind == INFINITE)
		return sign | infinite;
	if (!v.m)
		return sign;
	q = v.e + length(v.m) - f->precision;
	if (q < f->least - digits)
		q = f->least - digits;
	keep = (uint64_t)rounded(v, q, mode);
	if (keep >> f->precision) {
		keep >>= 1;
		q++;
	}
	if (q + digits > f->greatest) {
		bool away = mode == TO_NEAREST || (mode == UP && !v.neg) || (mode == DOWN && v.neg);

		return sign | (away ? infinite : infinite - 1);
	}
	if (!(keep >> digits))
		return sign | keep;
	return sign | (uint64_t)(q + digits + f->greatest) << digits |
	       (keep & ((1ull << digits) - 1));
}

struct real real_round(struct real v, enum rounding mode)
{
	if (v.kind != FINITE || v.e >= 0)
		return v;
	v.m = rounded(v, 0, mode);
	v.e = 0;
	return v;
}

/* Far below the other one a number's size no longer matters, only that it is there. */
static void align(struct real *a, struct real *b)
{
	struct real *high = a->e > b->e ? a : b, *low = a->e > b->e ? b : a;
	int apart = high->e - low->e;

	if (apart > 70 && low->m) {
		low->m = 1;
		low->e = high->e - 70;
		apart = 70;
	} else if (apart > 70) {
		low->e = high->e;
		return;
	}
	high->m <<= apart;
	high->e -= apart;
}

struct real real_add(struct real a, struct real b, enum rounding mode)
{
	wide sum;

	if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER ||
	    (a.kind == INFINITE && b.kind == INFINITE && a.neg != b.neg))
		return (struct real){.kind = NOT_A_NUMBER};
	if (a.kind == INFINITE || b.kind == INFINITE)
		return a.kind == INFINITE ? a : b;
	if (!a.m && !b.m)
		return (struct real){.neg = a.neg == b.neg ? a.neg : mode == DOWN};
	if (!a.m || !b.m)
		return a.m ? a : b;
	align(&a, &b);
	sum = (a.neg ? -(wide)a.m : (wide)a.m) + (b.neg ? -(wide)b.m : (wide)b.m);
	if (!sum)
		return (struct real){.neg = mode == DOWN};
	return (struct real){.neg = sum < 0, .m = sum < 0 ? (uwide)-sum : (uwide)sum, .e = a.e};
}

struct real real_mul(struct real a, struct real b)
{
	struct real r = {.neg = a.neg != b.neg, .m = a.m * b.m, .e = a.e + b.e};

	if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER ||
	    (a.kind == INFINITE && b.kind == FINITE && !b.m) ||
	    (b.kind == INFINITE && a.kind == FINITE && !a.m))
		r.kind = NOT_A_NUMBER;
	else if (a.kind == INFINITE || b.kind == INFINITE)
		r.kind = INFINITE;
	return r;
}

int real_compare(struct real a, struct real b)
{
	struct real d;

	if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER)
		return 2;
	if (a.kind == INFINITE && b.kind == INFINITE)
		return (int)b.neg - (int)a.neg;
	b.neg = !b.neg;
	d = real_add(a, b, TO_NEAREST);
	if (d.kind == FINITE && !d.m)
		return 0;
	return d.neg ? -1 : 1;
}

bool bits_are_nan(const struct format *f, uint64_t bits)
{
	return real_from(f, bits).kind == NOT_A_NUMBER;
}

bool real_is_subnormal(const struct format *f, uint64_t bits)
{
	return !(bits >> (f->precision - 1) & exponent_mask(f)) &&
	       bits & ((1ull << (f->precision - 1)) - 1);
}

uint64_t real_flush(const struct format *f, uint64_t bits)
{
	return real_is_subnormal(f, bits) ? bits & sign_bit(f) : bits;
}
