/* SPDX-License-Identifier: MIT */
/*
 * Floating point of any format, computed with whole numbers: a reference for the engine, which
 * shares nothing with it and does not use the CPU's.
 */
#ifndef PVGPU_TESTS_UNIT_PTX_REAL_H
#define PVGPU_TESTS_UNIT_PTX_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

struct format {
	const char *name;
	int bits, precision, least, greatest; /* exponents of the first digit */
	char cls;                             /* of its register */
};
extern const struct format f16, bf16, f32, f64;

enum rounding { TO_NEAREST, TO_ZERO, DOWN, UP };
extern const char *const rounding_names[4], *const integral_names[4]; /* rn.., rni.. */

enum kind { FINITE, INFINITE, NOT_A_NUMBER };
struct real {
	enum kind kind;
	bool neg;
	uwide m; /* times 2 to the e */
	int e;
};

struct real real_from(const struct format *f, uint64_t bits);
struct real real_from_int(wide v);
/* A NaN is the format's canonical one. */
uint64_t real_to(const struct format *f, struct real v, enum rounding mode);
/* To a whole number. */
struct real real_round(struct real v, enum rounding mode);
struct real real_add(struct real a, struct real b, enum rounding mode);
struct real real_mul(struct real a, struct real b);
/* -1, 0, 1; 2: one is a NaN. Zeros are equal. */
int real_compare(struct real a, struct real b);
/* Is it below the normal numbers of the format, and not 0? */
bool real_is_subnormal(const struct format *f, uint64_t bits);
/* A subnormal's zero, anything else as it is. */
uint64_t real_flush(const struct format *f, uint64_t bits);
bool bits_are_nan(const struct format *f, uint64_t bits);

#endif
