/* SPDX-License-Identifier: MIT */
/*
 * Fat binaries for tests, as compilers write them: a header, then entries, each with its padded
 * payload. PTX has options, if only an empty text: NVIDIA's driver crashes where the header of an
 * entry of PTX does not say where they are.
 */
#ifndef PVGPU_TEST_FATBIN_H
#define PVGPU_TEST_FATBIN_H

#include <stddef.h>
#include <stdint.h>

enum fat_kind { FAT_PTX = 1, FAT_ELF = 2 };
enum fat_storage { FAT_PLAIN = 0, FAT_LZ4 = 0x2000, FAT_ZSTD = 0x8000 };

struct fat_header {
	uint32_t magic;
	uint16_t version, header_size;
	uint64_t size;
};

struct fat_entry {
	uint16_t kind, version;
	uint32_t header_size;
	uint64_t payload;
	uint32_t compressed, options;
	uint16_t minor, major;
	uint32_t sm;
	uint32_t name, name_len;
	uint64_t flags, reserved, uncompressed;
	uint32_t options_text, options_len;
	uint64_t text;
};

/* In a program's own memory. Version 1: file is NULL or a name; 2: a list of the parts. */
struct fat_wrapper {
	uint32_t magic, version;
	const void *data;
	const void *file;
};
#define FAT_WRAPPER_MAGIC 0x466243b1u

_Static_assert(sizeof(struct fat_header) == 16 && sizeof(struct fat_entry) == 80 &&
		       offsetof(struct fat_entry, options_text) == 64,
	       "as compilers write it");

/* size: bytes of the entries, with their headers */
static inline struct fat_header fat_header(uint64_t size)
{
	return (struct fat_header){.magic = 0xba55ed50,
				   .version = 1,
				   .header_size = sizeof(struct fat_header),
				   .size = size};
}

/* stored: bytes of the payload without its padding; len: those that it unpacks to */
static inline struct fat_entry fat_entry(enum fat_kind kind, uint32_t sm, enum fat_storage how,
					 size_t stored, size_t len)
{
	struct fat_entry e = {.kind = (uint16_t)kind,
			      .version = 0x101,
			      .header_size = sizeof(e),
			      .payload = (stored + 7) / 8 * 8,
			      .sm = sm,
			      .flags = 0x11u | (unsigned int)how};

	e.major = kind == FAT_PTX ? 6 : 1;
	e.minor = kind == FAT_PTX ? 4 : 8;
	if (kind == FAT_PTX) {
		e.options = offsetof(struct fat_entry, options_text);
		e.options_text = offsetof(struct fat_entry, text);
	}
	if (how != FAT_PLAIN) {
		e.compressed = (uint32_t)stored;
		e.uncompressed = len;
	}
	return e;
}

#endif
