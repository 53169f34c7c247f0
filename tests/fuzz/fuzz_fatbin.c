/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: libpvgpu/image/fatbin.c libpvgpu/image/unpack.c */
/* FUZZ_LIBS: -lzstd -llz4 */
/* Images from a hostile program: sizes, entries and decompression stay within the given bytes. */
#include <stdlib.h>

#include "libpvgpu/image/fatbin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fatbin_entry e;
	size_t n, offset = 0, len;
	int entries = 0;
	char *out;

	if (image_kind(data, size) == IMAGE_WRAPPER)
		return 0;
	if (!image_size(data, size, &n) && n > size)
		abort();
	while (fatbin_next(data, size, &offset, &e) == 1) {
		if (offset > size)
			abort();
		/* an honest header may ask for up to 64 MiB; a few are enough for one input */
		if (e.unpacked > (1 << 20) || ++entries > 64)
			continue;
		if (!fatbin_unpack(&e, &out, &len))
			free(out);
	}
	return 0;
}
