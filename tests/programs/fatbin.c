/* SPDX-License-Identifier: MIT */
/* Fat binaries as compilers embed them: PTX stored plain, by LZ4 and by zstd; the best entry is
 * taken. */
#include <lz4.h>
#include <zstd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);
PTX(ptx_globals);

enum kind { KIND_PTX = 1, KIND_ELF = 2 };
enum storage { PLAIN = 0, LZ4 = 0x2000, ZSTD = 0x8000 };

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
};

struct fat_wrapper {
	uint32_t magic, version;
	const void *data;
	const void *file;
};

_Static_assert(sizeof(struct fat_header) == 16 && sizeof(struct fat_entry) == 64,
	       "as compilers write it");

struct image {
	uint8_t *bytes;
	size_t len;
};

static void image_begin(struct image *image)
{
	struct fat_header h = {.magic = 0xba55ed50, .version = 1, .header_size = sizeof(h)};

	image->bytes = host_alloc(1 << 20);
	memcpy(image->bytes, &h, sizeof(h));
	image->len = sizeof(h);
}

static void image_add(struct image *image, enum kind kind, uint32_t sm, enum storage how,
		      const void *data, size_t len)
{
	struct fat_entry e = {.kind = kind,
			      .version = 0x101,
			      .header_size = sizeof(e),
			      .major = 6,
			      .minor = 4,
			      .sm = sm,
			      .flags = 0x11 | how};
	uint8_t *payload = image->bytes + image->len + sizeof(e);
	int room = (1 << 20) - (int)(image->len + sizeof(e));
	size_t stored = len, total;

	if (how == LZ4) {
		stored = (size_t)LZ4_compress_default(data, (char *)payload, (int)len, room);
	} else if (how == ZSTD) {
		stored = ZSTD_compress(payload, (size_t)room, data, len, 3);
		CHECK(!ZSTD_isError(stored), "zstd failed");
	} else {
		memcpy(payload, data, len);
	}
	CHECK(stored, "compression failed");
	if (how != PLAIN) {
		e.compressed = (uint32_t)stored;
		e.uncompressed = len;
	}
	e.payload = (stored + 7) / 8 * 8;
	memset(payload + stored, 0, e.payload - stored);
	memcpy(image->bytes + image->len, &e, sizeof(e));
	image->len += sizeof(e) + e.payload;
	total = image->len - sizeof(struct fat_header);
	memcpy(image->bytes + offsetof(struct fat_header, size), &total, sizeof(total));
}

static void run(CUmodule module, const char *what)
{
	uint32_t n = 300, seed = 77, words[300];
	CUdeviceptr p = device_alloc(sizeof(words));

	LAUNCH(function(module, "fill"), 1, 128, 0, NULL, &p, &n, &seed);
	download(words, p, sizeof(words));
	for (uint32_t i = 0; i < n; i++)
		CHECK(words[i] == fill_value(seed, i), "%s: word %u is %u", what, i, words[i]);
	CU(cuMemFree(p));
	CU(cuModuleUnload(module));
	printf("%s: all right\n", what);
}

static void check_storage(enum storage how, const char *what)
{
	struct fat_wrapper wrapper = {.magic = 0x466243b1, .version = 1};
	struct image image;
	CUlibrary library;
	CUkernel kernel;
	CUmodule module;
	char text[64];

	image_begin(&image);
	image_add(&image, KIND_PTX, 70, how, ptx_vector, ptx_vector_size + 1);
	snprintf(text, sizeof(text), "%s, image", what);
	CU(cuModuleLoadData(&module, image.bytes));
	run(module, text);
	wrapper.data = image.bytes;
	snprintf(text, sizeof(text), "%s, wrapper", what);
	CU(cuModuleLoadFatBinary(&module, &wrapper));
	run(module, text);
	CU(cuModuleLoadDataEx(&module, &wrapper, 0, NULL, NULL));
	CU(cuModuleUnload(module));
	CU(cuLibraryLoadData(&library, &wrapper, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetKernel(&kernel, library, "vec_add"));
	CU(cuLibraryUnload(library));
	free(image.bytes);
}

/* Entries for other devices are ignored. */
static void check_choice(void)
{
	static const char junk[64] = "not for this device";
	struct image image;
	CUmodule module;

	image_begin(&image);
	image_add(&image, KIND_ELF, 35, PLAIN, junk, sizeof(junk));
	image_add(&image, KIND_PTX, 999, PLAIN, junk, sizeof(junk));
	image_add(&image, KIND_PTX, 70, ZSTD, ptx_vector, ptx_vector_size + 1);
	CU(cuModuleLoadData(&module, image.bytes));
	run(module, "the entry for this device");
	free(image.bytes);

	image_begin(&image);
	image_add(&image, KIND_PTX, 999, PLAIN, ptx_globals, ptx_globals_size + 1);
	WANT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, image.bytes));
	printf("no entry for this device: refused\n");
	free(image.bytes);
}

int main(void)
{
	start();
	check_storage(PLAIN, "plain");
	check_storage(LZ4, "LZ4");
	check_storage(ZSTD, "zstd");
	check_choice();
	finish();
	return 0;
}
