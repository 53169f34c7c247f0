/* SPDX-License-Identifier: MIT */
#include "libpvgpu/image/declared.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/image/fatbin.h"
#include "libpvgpu/image/ptx_text.h"
#include "libpvgpu/image/ptx_variable.h"

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

static uint64_t variables(struct ptx_text *t)
{
	struct ptx_element element = {.align = UNIT};
	struct ptx_variable v;
	uint64_t all = 0;
	struct ptx_word w;

	ptx_element(t, &element);
	while (ptx_variable(t, &v)) {
		all = add(all, round_up(times(v.count, element.bytes), element.align));
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
