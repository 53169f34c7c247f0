/* SPDX-License-Identifier: MIT */
/*
 * PTX in words, and the constant expressions in it: as much of the language as it takes to find the
 * size of a variable. The text may be hostile.
 */
#ifndef PVGPU_IMAGE_PTX_TEXT_H
#define PVGPU_IMAGE_PTX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ptx_text {
	const char *at, *end;
};

/* An identifier, an instruction with its suffixes, a directive or type with its point, a number, an
 * operator or another single character; never empty. Comments and strings are left out. */
struct ptx_word {
	const char *at;
	size_t len;
};

/* False: the text ends. */
bool ptx_next(struct ptx_text *t, struct ptx_word *w);
/* The word is read again. */
void ptx_back(struct ptx_text *t, const struct ptx_word *w);
bool ptx_is(const struct ptx_word *w, const char *what);
bool ptx_is_name(const struct ptx_word *w);
/* A number that stands there; false: none does. */
bool ptx_literal(struct ptx_text *t, int64_t *out);
/* The value of a constant expression of integers, as in C. False: it is none; how much of it was
 * read is undefined then, but for a closing bracket, which is left. */
bool ptx_number(struct ptx_text *t, int64_t *out);

#endif
