/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: libpvgpu/image/fatbin.c libpvgpu/image/unpack.c libpvgpu/image/declared.c
 * libpvgpu/image/managed.c libpvgpu/image/ptx_text.c libpvgpu/image/ptx_variable.c */
/* FUZZ_OBJS: libpvgpu/image/fatbin.c libpvgpu/image/unpack.c libpvgpu/image/declared.c
 * libpvgpu/image/managed.c libpvgpu/image/ptx_text.c libpvgpu/image/ptx_variable.c */
/* FUZZ_LIBS: -lzstd -llz4 */
/* Images from a hostile program: sizes, entries, decompression and the search for variables stay
 * within the given bytes. */
#include <stdlib.h>

#include "libpvgpu/image/declared.h"
#include "libpvgpu/image/fatbin.h"
#include "libpvgpu/image/managed.h"

/* Managed variables of small size are placed, filled and taken out of the text. */
static void managed(const char *text, size_t size)
{
	struct managed m;
	size_t len;
	char *out;

	if (!managed_find(text, size, &m) && m.count) {
		for (size_t i = 0; i < m.count; i++) {
			void *to = m.variable[i].bytes <= 65536 ? calloc(1, m.variable[i].bytes)
								: NULL;

			m.variable[i].address = 4096 * (i + 1);
			if (to)
				managed_initial(&m, &m.variable[i], to);
			free(to);
		}
		if (!managed_rewrite(&m, &out, &len))
			free(out);
	}
	managed_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fatbin_entry e;
	size_t n, offset = 0, len;
	uint64_t bytes;
	int entries = 0;
	char *out;

	if (image_kind(data, size) == IMAGE_WRAPPER)
		return 0;
	if (!image_size(data, size, &n) && n > size)
		abort();
	n = fatbin_select(data, size, 90, NULL);
	if (n) {
		out = malloc(n);
		if (!out || n > size || fatbin_select(data, size, 90, out) != n ||
		    fatbin_select(out, n, 90, out) != n)
			abort();
		free(out);
	}
	while (fatbin_next(data, size, &offset, &e) == 1) {
		if (offset > size)
			abort();
		/* an honest header may ask for up to 64 MiB; a few are enough for one input */
		if (++entries > 64 || e.unpacked > (1 << 20))
			continue;
		if (!fatbin_unpack(&e, &out, &len)) {
			declared_ptx(out, len);
			declared_elf(out, len);
			free(out);
		}
	}
	if (entries <= 4)
		image_declared(data, size, &bytes);
	declared_ptx((const char *)data, size);
	managed((const char *)data, size);
	declared_elf(data, size);
	return 0;
}
