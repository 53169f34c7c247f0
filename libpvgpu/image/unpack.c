/* SPDX-License-Identifier: MIT */
/* A file of its own, so that a program that only walks a fatbin needs no compression library. */
#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "libpvgpu/image/fatbin.h"

int fatbin_unpack(const struct fatbin_entry *e, char **out, size_t *len)
{
	char *buf;
	bool ok;

	if (e->unpacked > FATBIN_MAX_UNPACKED || e->stored > FATBIN_MAX_UNPACKED)
		return -EFBIG;
	buf = malloc(e->unpacked + 1);
	if (!buf)
		return -ENOMEM;
	if (e->flags & FATBIN_LZ4) {
		int n = LZ4_decompress_safe(e->payload, buf, (int)e->stored, (int)e->unpacked);

		ok = n >= 0 && (size_t)n == e->unpacked;
	} else if (e->flags & FATBIN_ZSTD) {
		size_t n = ZSTD_decompress(buf, e->unpacked, e->payload, e->stored);

		ok = !ZSTD_isError(n) && n == e->unpacked;
	} else {
		memcpy(buf, e->payload, e->unpacked);
		ok = true;
	}
	if (!ok) {
		free(buf);
		return -EINVAL;
	}
	buf[e->unpacked] = 0;
	*out = buf;
	*len = e->unpacked;
	return 0;
}
