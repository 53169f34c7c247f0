/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "libpvgpu/image/fatbin.h"

#define HEADER_BYTES    16u
#define ENTRY_MIN_BYTES 64u
#define OPTIONS_BYTES   8u

/* Images need not be aligned. */
static uint16_t get16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Reads byte by byte, so as not to run over the end of a short text of unknown length. */
static bool starts_with(const char *p, size_t limit, const char *what)
{
	for (; *what; p++, what++, limit--)
		if (!limit || *p != *what)
			return false;
	return true;
}

static bool is_ptx(const char *p, size_t limit)
{
	while (limit && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++, limit--;
	return starts_with(p, limit, "//") || starts_with(p, limit, "/*") ||
	       starts_with(p, limit, ".version");
}

enum image_kind image_kind(const void *data, size_t limit)
{
	static const char fatbin[] = "\x50\xed\x55\xba", wrapper[] = "\xb1\x43\x62\x46";

	if (starts_with(data, limit, fatbin))
		return IMAGE_FATBIN;
	if (starts_with(data, limit, wrapper))
		return IMAGE_WRAPPER;
	if (starts_with(data, limit, ELFMAG))
		return IMAGE_ELF;
	return is_ptx(data, limit) ? IMAGE_PTX : IMAGE_UNKNOWN;
}

static int fatbin_size(const unsigned char *p, size_t limit, size_t *size)
{
	uint64_t body;

	if (limit < HEADER_BYTES || get16(p + 4) != 1 || get16(p + 6) != HEADER_BYTES)
		return -EINVAL;
	body = get64(p + 8);
	if (body > IMAGE_MAX_BYTES - HEADER_BYTES || body > limit - HEADER_BYTES)
		return -EINVAL;
	*size = HEADER_BYTES + (size_t)body;
	return 0;
}

/* The end of n records of each bytes at offset, if it lies within bounds; else 0. */
static uint64_t table_end(uint64_t offset, uint64_t n, uint64_t each, size_t limit)
{
	uint64_t end;

	if (offset > IMAGE_MAX_BYTES || n > IMAGE_MAX_BYTES || each > UINT16_MAX)
		return 0;
	end = offset + n * each;
	return end <= IMAGE_MAX_BYTES && end <= limit ? end : 0;
}

/* An ELF file's end: the largest end of its tables, sections and segments. */
static int elf_size(const unsigned char *p, size_t limit, size_t *size)
{
	uint64_t end = sizeof(Elf64_Ehdr), e;
	Elf64_Ehdr h;

	if (limit < sizeof(h))
		return -EINVAL;
	memcpy(&h, p, sizeof(h));
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (h.e_shnum && h.e_shentsize != sizeof(Elf64_Shdr)) ||
	    (h.e_phnum && h.e_phentsize != sizeof(Elf64_Phdr)))
		return -EINVAL;
	if (h.e_shnum) {
		e = table_end(h.e_shoff, h.e_shnum, sizeof(Elf64_Shdr), limit);
		if (!e)
			return -EINVAL;
		end = e > end ? e : end;
	}
	if (h.e_phnum) {
		e = table_end(h.e_phoff, h.e_phnum, sizeof(Elf64_Phdr), limit);
		if (!e)
			return -EINVAL;
		end = e > end ? e : end;
	}
	for (unsigned int i = 0; i < h.e_shnum; i++) {
		Elf64_Shdr s;

		memcpy(&s, p + h.e_shoff + i * sizeof(s), sizeof(s));
		if (s.sh_type == SHT_NOBITS || s.sh_type == SHT_NULL)
			continue;
		e = table_end(s.sh_offset, s.sh_size, 1, limit);
		if (!e && (s.sh_offset || s.sh_size))
			return -EINVAL;
		end = e > end ? e : end;
	}
	for (unsigned int i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr s;

		memcpy(&s, p + h.e_phoff + i * sizeof(s), sizeof(s));
		e = table_end(s.p_offset, s.p_filesz, 1, limit);
		if (!e && (s.p_offset || s.p_filesz))
			return -EINVAL;
		end = e > end ? e : end;
	}
	*size = (size_t)end;
	return 0;
}

static int text_size(const char *p, size_t limit, size_t *size)
{
	size_t max = limit < IMAGE_MAX_BYTES ? limit : IMAGE_MAX_BYTES, n = strnlen(p, max);

	if (n == max && limit > max)
		return -EINVAL;
	*size = n < max ? n + 1 : n;
	return 0;
}

int image_size(const void *data, size_t limit, size_t *size)
{
	switch (image_kind(data, limit)) {
	case IMAGE_PTX:
		return text_size(data, limit, size);
	case IMAGE_FATBIN:
		return fatbin_size(data, limit, size);
	case IMAGE_ELF:
		return elf_size(data, limit, size);
	default:
		return -EINVAL;
	}
}

const void *image_unwrap(const void *data)
{
	const unsigned char *p = data;
	uintptr_t inner;

	if (image_kind(data, SIZE_MAX) != IMAGE_WRAPPER)
		return data;
	inner = (uintptr_t)get64(p + 8);
	if (!inner || image_kind((const void *)inner, SIZE_MAX) != IMAGE_FATBIN)
		return NULL;
	return (const void *)inner;
}

const void *const *image_prelinked(const void *data)
{
	const unsigned char *p = data;

	if (!data || image_kind(data, SIZE_MAX) != IMAGE_WRAPPER || get32(p + 4) != 2)
		return NULL;
	return (const void *const *)(uintptr_t)get64(p + 16);
}

/* NVIDIA's driver reads the options of PTX, and other entries' where they have some, from the
 * offset that the entry states, and crashes where that leads elsewhere. */
static bool options_inside(const unsigned char *entry, uint32_t head)
{
	const uint32_t at = get32(entry + 20);

	if (!at)
		return get16(entry) != FATBIN_PTX;
	if (at < ENTRY_MIN_BYTES || at > head - OPTIONS_BYTES)
		return false;
	return (uint64_t)get32(entry + at) + get32(entry + at + 4) <= head;
}

int fatbin_next(const void *fatbin, size_t size, size_t *offset, struct fatbin_entry *entry)
{
	const unsigned char *p = fatbin;
	size_t at = *offset, body;
	uint32_t head, packed;
	uint64_t payload;

	if (!at) {
		if (image_kind(fatbin, size) != IMAGE_FATBIN || fatbin_size(p, size, &body))
			return -EINVAL;
		at = HEADER_BYTES;
	} else if (fatbin_size(p, size, &body) || at > body) {
		return -EINVAL;
	}
	if (at == body)
		return 0;
	if (body - at < ENTRY_MIN_BYTES)
		return -EINVAL;
	p += at;
	head = get32(p + 4);
	payload = get64(p + 8);
	if (head < ENTRY_MIN_BYTES || head > body - at || payload > body - at - head ||
	    !options_inside(p, head))
		return -EINVAL;
	entry->kind = get16(p);
	entry->minor = get16(p + 24);
	entry->major = get16(p + 26);
	entry->sm = get32(p + 28);
	entry->flags = get64(p + 40);
	entry->payload = p + head;
	packed = get32(p + 16);
	entry->stored = (size_t)payload;
	entry->unpacked = (size_t)payload;
	if (entry->flags & (FATBIN_LZ4 | FATBIN_ZSTD)) {
		if (!packed || packed > payload)
			return -EINVAL;
		entry->stored = packed;
		entry->unpacked = get64(p + 56) > SIZE_MAX ? SIZE_MAX : (size_t)get64(p + 56);
	}
	*offset = at + head + (size_t)payload;
	return 1;
}

/* Code for one device runs there only, or on later ones of its family; PTX on all later ones. */
static bool may_serve(const struct fatbin_entry *e, unsigned int sm)
{
	const bool exact = e->flags & FATBIN_ARCH_SPECIFIC;

	switch (e->kind) {
	case FATBIN_PTX:
		return exact ? e->sm == sm : e->sm <= sm;
	case FATBIN_ELF:
		return exact ? e->sm == sm : e->sm <= sm && e->sm / 10 == sm / 10;
	default:
		return true;
	}
}

size_t fatbin_select(const void *fatbin, size_t size, unsigned int sm, void *to)
{
	const unsigned char *from = fatbin;
	size_t at = 0, next = 0, used = HEADER_BYTES;
	unsigned char *out = to;
	struct fatbin_entry e;
	int r;

	while ((r = fatbin_next(fatbin, size, &next, &e)) > 0) {
		at = at ? at : HEADER_BYTES;
		if (may_serve(&e, sm)) {
			if (out)
				memmove(out + used, from + at, next - at);
			used += next - at;
		}
		at = next;
	}
	if (r || used == HEADER_BYTES)
		return 0;
	if (out) {
		const uint64_t body = used - HEADER_BYTES;

		memmove(out, from, HEADER_BYTES);
		memcpy(out + 8, &body, sizeof(body));
	}
	return used;
}
