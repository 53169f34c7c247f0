/* SPDX-License-Identifier: MIT */
/* Elements of matrices in tests: numbers to bits and back, with nothing of the engine's. */
#ifndef PVGPU_TESTS_UNIT_PTX_ELEM_H
#define PVGPU_TESTS_UNIT_PTX_ELEM_H

#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define REGS 8 /* of a fragment, at most */

enum elem { F16, BF16, TF32, F32, F64, E4M3, E5M2, S8, U8, S4, U4, B1, S32 };
static const struct {
	const char *name;
	uint32_t bits, exp, man; /* exp 0: an integer */
	bool is_signed;
} elems[] = {
	[F16] = {"f16", 16, 5, 10, true},   [BF16] = {"bf16", 16, 8, 7, true},
	[TF32] = {"tf32", 32, 8, 23, true}, [F32] = {"f32", 32, 8, 23, true},
	[F64] = {"f64", 64, 11, 52, true},  [E4M3] = {"e4m3", 8, 4, 3, true},
	[E5M2] = {"e5m2", 8, 5, 2, true},   [S8] = {"s8", 8, 0, 0, true},
	[U8] = {"u8", 8, 0, 0, false},      [S4] = {"s4", 4, 0, 0, true},
	[U4] = {"u4", 4, 0, 0, false},      [B1] = {"b1", 1, 0, 0, false},
	[S32] = {"s32", 32, 0, 0, true},
};

/* A number that the type holds exactly. */
static inline uint64_t encoded(enum elem t, double v)
{
	const uint32_t man = elems[t].man, bits = elems[t].bits;
	const int bias = (1 << (elems[t].exp - 1)) - 1;
	uint64_t sign = (uint64_t)(signbit(v) != 0) << (bits - 1);
	int e;

	if (!elems[t].exp)
		return (uint64_t)(int64_t)v & (bits == 64 ? UINT64_MAX : (1ull << bits) - 1);
	if (v == 0)
		return sign;
	e = ilogb(v);
	return sign | (uint64_t)(e + bias) << man |
	       (uint64_t)ldexp(fabs(v) - ldexp(1, e), (int)man - e);
}

static inline double decoded(enum elem t, uint64_t v)
{
	const uint32_t man = elems[t].man, bits = elems[t].bits;
	const int bias = (1 << (elems[t].exp - 1)) - 1;
	uint64_t e = v >> man & ((1u << elems[t].exp) - 1), m = v & ((1ull << man) - 1);
	double d;

	if (t == S32)
		return (int32_t)v;
	if (e == (1u << elems[t].exp) - 1)
		d = m ? NAN : INFINITY;
	else
		d = e ? ldexp((double)(m | 1ull << man), (int)e - bias - (int)man)
		      : ldexp((double)m, 1 - bias - (int)man);
	return v >> (bits - 1) & 1 ? -d : d;
}

static uint32_t seed = 1;
static inline uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Sums of products of these are exact in every type of C. */
static inline double any_value(enum elem t)
{
	switch (t) {
	case S8:
		return (int)rnd(256) - 128;
	case U8:
		return rnd(256);
	case S4:
		return (int)rnd(16) - 8;
	case U4:
		return rnd(16);
	case B1:
		return rnd(2);
	case S32:
		return (int)rnd(2000000) - 1000000;
	case E4M3:
	case E5M2:
		return ((int)rnd(9) - 4) / 2.0;
	default:
		return ((int)rnd(17) - 8) / 4.0;
	}
}

static inline void list_registers(char *to, size_t size, char name, uint32_t count)
{
	size_t n = (size_t)snprintf(to, size, "{");

	for (uint32_t i = 0; i < count; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%%%c%u", i ? ", " : "", name, i);
	snprintf(to + n, size - n, "}");
}

static inline double limited(double v, const char *insn)
{
	if (strstr(insn, "satfinite"))
		return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
	return (int32_t)(uint32_t)(uint64_t)(int64_t)v;
}

#endif
