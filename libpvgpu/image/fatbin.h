/* SPDX-License-Identifier: MIT */
/*
 * Images as cuModuleLoadData takes them: PTX text, ELF cubins, and fatbins, which hold several of
 * both, compressed or not. Says how many bytes an image has and takes fatbins apart; understands
 * no code. The bytes may be hostile: nothing beyond the given length is read, and the unpacked size
 * is bounded. Depends on libc, zstd and lz4 only.
 *
 * Layout (little-endian): a header of 16 bytes {u32 0xBA55ED50, u16 version 1, u16 header bytes,
 * u64 bytes that follow}, then entries, each a header and its padded payload. The header of PTX
 * says where in it the compiler's options are: {u32 offset, u32 bytes} of a text. A program's own
 * data segment holds a wrapper {u32 0x466243B1, u32 version, pointer to the fatbin, pointer}.
 */
#ifndef PVGPU_IMAGE_FATBIN_H
#define PVGPU_IMAGE_FATBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FATBIN_MAGIC         0xBA55ED50u
#define FATBIN_WRAPPER_MAGIC 0x466243B1u
#define IMAGE_MAX_BYTES      (1ull << 31)  /* a larger image is refused */
#define FATBIN_MAX_UNPACKED  (64ull << 20) /* of one entry */

enum image_kind {
	IMAGE_UNKNOWN,
	IMAGE_PTX,
	IMAGE_ELF,
	IMAGE_FATBIN,
	IMAGE_WRAPPER, /* holds pointers: only meaningful in the program's own memory */
};

/* The kind of image, from its first bytes; limit: readable bytes, SIZE_MAX if unknown. */
enum image_kind image_kind(const void *data, size_t limit);

/*
 * Bytes of the image at data. limit: how many are readable, SIZE_MAX if that is unknown, as with a
 * pointer from a program; text is then taken to end with NUL (counted). A wrapper is an error: see
 * image_unwrap(). Returns 0, or -EINVAL for data that is no image, is cut short, or claims a size
 * beyond limit or IMAGE_MAX_BYTES.
 */
int image_size(const void *data, size_t limit, size_t *size);

/* The fatbin that a wrapper in this process's own memory points to; NULL when it points to none.
 * Any other image is returned unchanged. */
const void *image_unwrap(const void *data);

/*
 * A program that was compiled to be linked (version 2 of the wrapper) has beside the fatbin of its
 * linked code those that it was linked from, for a device that the linked code is not for: a list
 * that ends with NULL. NULL for any other image.
 */
const void *const *image_prelinked(const void *data);

enum fatbin_kind { FATBIN_PTX = 1, FATBIN_ELF = 2, FATBIN_LTO = 8 };

enum fatbin_flags {
	FATBIN_64BIT = 0x1,
	FATBIN_DEBUG = 0x2,
	FATBIN_LZ4 = 0x2000,
	FATBIN_ZSTD = 0x8000,
	FATBIN_ARCH_SPECIFIC = 0x100000, /* e.g. sm_90a: runs on that device only */
};

struct fatbin_entry {
	unsigned int kind;
	unsigned int major, minor; /* of PTX: its version */
	unsigned int sm;           /* e.g. 90 */
	uint64_t flags;
	const void *payload; /* as stored */
	size_t stored;       /* its bytes, without padding */
	size_t unpacked;     /* bytes after decompression; stored when not compressed */
};

/*
 * Walk the entries: *offset is 0 before the first call. Returns 1 and the entry, 0 at the end, or
 * -EINVAL when the rest is malformed.
 */
int fatbin_next(const void *fatbin, size_t size, size_t *offset, struct fatbin_entry *entry);

/*
 * The fatbin with those entries alone that may serve a device of this compute capability (90 is
 * 9.0): bytes of it, written to `to`, which may be the fatbin itself, unless that is NULL. 0: there
 * are none, or it is malformed.
 */
size_t fatbin_select(const void *fatbin, size_t size, unsigned int sm, void *to);

/*
 * The entry's contents in fresh memory with a NUL after them (not counted in *len). Returns 0,
 * -EFBIG above FATBIN_MAX_UNPACKED, -ENOMEM, or -EINVAL when it does not unpack to its stated size.
 */
int fatbin_unpack(const struct fatbin_entry *entry, char **out, size_t *len);

#endif
