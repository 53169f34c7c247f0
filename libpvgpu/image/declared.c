/* SPDX-License-Identifier: MIT */
#include "libpvgpu/image/declared.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/image/fatbin.h"
#include "libpvgpu/image/ptx_text.h"

#define UNIT 256u /* a variable's share of the device's memory is a multiple of it */

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return n > UINT64_MAX - to ? UINT64_MAX : (n + to - 1) / to * to;
}

/* Bytes of a fundamental type; 0: it is none. */
static unsigned int type_bytes(const struct ptx_word *w)
{
	static const char *const opaque[] = {".texref", ".samplerref", ".surfref"};
	unsigned int bits = 0;
	size_t i = 2;

	for (size_t k = 0; k < sizeof(opaque) / sizeof(opaque[0]); k++)
		if (ptx_is(w, opaque[k]))
			return 8;
	if (ptx_is(w, ".pred"))
		return 1;
	if (ptx_is(w, ".f16x2") || ptx_is(w, ".bf16x2"))
		return 4;
	if (w->len < 3 || w->at[0] != '.')
		return 0;
	if (w->len > 3 && w->at[1] == 'b' && w->at[2] == 'f')
		i = 3;
	else if (!strchr("busf", w->at[1]))
		return 0;
	for (; i < w->len && bits <= 128; i++) {
		if (w->at[i] < '0' || w->at[i] > '9')
			return 0;
		bits = 10 * bits + (unsigned int)(w->at[i] - '0');
	}
	return bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128 ? bits / 8 : 0;
}

/* Before the name: .align N, .attribute(...), .v4, the type. 0: no variable follows. */
static uint64_t element(struct ptx_text *t, uint64_t *align)
{
	uint64_t vector = 1, bytes = 0;
	struct ptx_word w;

	while (ptx_next(t, &w)) {
		if (w.at[0] != '.') {
			ptx_back(t, &w);
			break;
		}
		bytes = type_bytes(&w);
		if (bytes)
			break;
		if (ptx_is(&w, ".align")) {
			int64_t n;

			if (ptx_number(t, &n) && n > 0 && n <= 1 << 30)
				*align = (uint64_t)n > *align ? (uint64_t)n : *align;
		} else if (w.len == 3 && w.at[1] == 'v' && w.at[2] >= '2' && w.at[2] <= '8') {
			vector = (uint64_t)(w.at[2] - '0');
		} else if (ptx_is(&w, ".attribute") && ptx_next(t, &w) && ptx_is(&w, "(")) {
			while (ptx_next(t, &w) && !ptx_is(&w, ")"))
				;
		}
	}
	return bytes * vector;
}

/*
 * The initial value: how many elements it gives a variable whose first dimension is left open. In
 * brackets of their own the values of an outer element may be fewer than `inner`. Stops before `,`
 * or `;`.
 */
static uint64_t initial(struct ptx_text *t, uint64_t inner)
{
	uint64_t values = 1, outer = 1;
	unsigned int depth = 0;
	bool nested = false;
	struct ptx_word w;

	while (ptx_next(t, &w)) {
		if (!depth && (ptx_is(&w, ",") || ptx_is(&w, ";"))) {
			ptx_back(t, &w);
			break;
		}
		if (ptx_is(&w, "{"))
			nested |= depth++ > 0;
		else if (ptx_is(&w, "}") && depth)
			depth--;
		else if (ptx_is(&w, ",")) {
			values++;
			outer += depth == 1;
		}
	}
	return nested ? times(outer, inner) : round_up(values, inner ? inner : 1);
}

/* name<10>[20][30] = {...}: how many elements. False: it is no declaration. */
static bool elements(struct ptx_text *t, uint64_t *count)
{
	uint64_t n = 1, inner = 1, given = 0;
	bool open = false;
	struct ptx_word w;
	int64_t size;

	if (!ptx_next(t, &w))
		return false;
	if (!ptx_is_name(&w)) {
		ptx_back(t, &w);
		return false;
	}
	while (ptx_next(t, &w)) {
		if (ptx_is(&w, "<")) {
			if (ptx_literal(t, &size))
				n = times(n, (uint64_t)size);
		} else if (ptx_is(&w, "[")) {
			if (ptx_number(t, &size))
				inner = times(inner, size > 0 ? (uint64_t)size : 0);
			else
				open = true;
		} else if (ptx_is(&w, "=")) {
			given = initial(t, inner);
		} else if (ptx_is(&w, ",") || ptx_is(&w, ";")) {
			ptx_back(t, &w);
			break;
		}
	}
	*count = times(n, open ? given : inner);
	return true;
}

static uint64_t variables(struct ptx_text *t)
{
	uint64_t align = UNIT, all = 0, n;
	const uint64_t bytes = element(t, &align);
	struct ptx_word w;

	while (elements(t, &n)) {
		all = add(all, round_up(times(n, bytes), align));
		if (!ptx_next(t, &w))
			break;
		if (!ptx_is(&w, ",")) {
			ptx_back(t, &w);
			break;
		}
	}
	return all;
}

uint64_t declared_ptx(const char *text, size_t len)
{
	struct ptx_text t = {.at = text, .end = text + strnlen(text, len)};
	bool elsewhere = false;
	uint64_t all = 0;
	struct ptx_word w;

	while (ptx_next(&t, &w)) {
		if (ptx_is(&w, ".extern"))
			elsewhere = true;
		else if (ptx_is(&w, ";") || ptx_is(&w, "{") || ptx_is(&w, "}"))
			elsewhere = false;
		else if (!elsewhere && (ptx_is(&w, ".global") || ptx_is(&w, ".const")))
			all = add(all, variables(&t));
	}
	return all;
}

/* The section's name, inside the table of names; "" when it is not. */
static const char *section_name(const char *elf, size_t len, const Elf64_Shdr *names, uint32_t at)
{
	const char *name;

	if (names->sh_type != SHT_STRTAB || names->sh_offset > len ||
	    names->sh_size > len - names->sh_offset || at >= names->sh_size)
		return "";
	name = elf + names->sh_offset + at;
	return memchr(name, '\0', names->sh_size - at) ? name : "";
}

uint64_t declared_elf(const void *elf, size_t len)
{
	Elf64_Shdr names = {0}, s;
	const char *base = elf;
	uint64_t all = 0;
	Elf64_Ehdr h;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, elf, sizeof(h));
	if (h.e_shentsize != sizeof(s) || h.e_shoff > len ||
	    h.e_shnum > (len - h.e_shoff) / sizeof(s))
		return 0;
	if (h.e_shstrndx < h.e_shnum)
		memcpy(&names, base + h.e_shoff + h.e_shstrndx * sizeof(s), sizeof(s));
	for (unsigned int i = 0; i < h.e_shnum; i++) {
		memcpy(&s, base + h.e_shoff + i * sizeof(s), sizeof(s));
		/* Bytes in the file count with it. Shared memory is not the device's. */
		if (s.sh_type == SHT_NOBITS &&
		    strncmp(section_name(base, len, &names, s.sh_name), ".nv.shared", 10))
			all = add(all, round_up(s.sh_size, UNIT));
	}
	return all;
}

static int fatbin_declared(const void *fatbin, size_t len, uint64_t *bytes)
{
	struct fatbin_entry e;
	size_t at = 0, size;
	uint64_t one;
	char *text;
	int r;

	while (fatbin_next(fatbin, len, &at, &e) > 0) {
		if (e.kind != FATBIN_PTX && e.kind != FATBIN_ELF)
			continue;
		if (!(e.flags & (FATBIN_LZ4 | FATBIN_ZSTD))) {
			one = e.kind == FATBIN_PTX ? declared_ptx(e.payload, e.stored)
						   : declared_elf(e.payload, e.stored);
		} else {
			r = fatbin_unpack(&e, &text, &size);
			if (r == -ENOMEM)
				return r;
			if (r)
				continue; /* the far end cannot, either */
			one = e.kind == FATBIN_PTX ? declared_ptx(text, size)
						   : declared_elf(text, size);
			free(text);
		}
		*bytes = one > *bytes ? one : *bytes;
	}
	return 0;
}

int image_declared(const void *image, size_t len, uint64_t *bytes)
{
	*bytes = 0;
	switch (image_kind(image, len)) {
	case IMAGE_PTX:
		*bytes = declared_ptx(image, len);
		return 0;
	case IMAGE_ELF:
		*bytes = declared_elf(image, len);
		return 0;
	case IMAGE_FATBIN:
		return fatbin_declared(image, len, bytes);
	default:
		return 0;
	}
}
