/* SPDX-License-Identifier: MIT */
/* Fat binaries as compilers embed them: PTX stored plain, by LZ4 and by zstd; the best entry is
 * taken. */
#include <lz4.h>
#include <zstd.h>

#include "tests/kernels/fatbin.h"
#include "tests/programs/common.h"

PTX(ptx_vector);
PTX(ptx_globals);

struct image {
	uint8_t *bytes;
	size_t len;
};

#define IMAGE_MAX (1u << 20)

static void image_begin(struct image *image)
{
	const struct fat_header h = fat_header(0);

	image->bytes = host_alloc(IMAGE_MAX);
	memcpy(image->bytes, &h, sizeof(h));
	image->len = sizeof(h);
}

static void image_add(struct image *image, enum fat_kind kind, uint32_t sm, enum fat_storage how,
		      const void *data, size_t len)
{
	uint8_t *at = image->bytes + image->len, *payload = at + sizeof(struct fat_entry);
	int room = (int)(IMAGE_MAX - image->len - sizeof(struct fat_entry));
	struct fat_header h;
	struct fat_entry e;
	size_t stored = len;

	if (how == FAT_LZ4) {
		stored = (size_t)LZ4_compress_default(data, (char *)payload, (int)len, room);
	} else if (how == FAT_ZSTD) {
		stored = ZSTD_compress(payload, (size_t)room, data, len, 3);
		CHECK(!ZSTD_isError(stored), "zstd failed");
	} else {
		memcpy(payload, data, len);
	}
	CHECK(stored, "compression failed");
	e = fat_entry(kind, sm, how, stored, len);
	memset(payload + stored, 0, e.payload - stored);
	memcpy(at, &e, sizeof(e));
	image->len += sizeof(e) + e.payload;
	h = fat_header(image->len - sizeof(h));
	memcpy(image->bytes, &h, sizeof(h));
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

static void check_storage(enum fat_storage how, const char *what)
{
	struct fat_wrapper wrapper = {.magic = FAT_WRAPPER_MAGIC, .version = 1};
	struct image image;
	CUlibrary library;
	CUkernel kernel;
	CUmodule module;
	char text[64];

	image_begin(&image);
	image_add(&image, FAT_PTX, 70, how, ptx_vector, ptx_vector_size + 1);
	snprintf(text, sizeof(text), "%s, image", what);
	CU(cuModuleLoadData(&module, image.bytes));
	run(module, text);
	wrapper.data = image.bytes;
	snprintf(text, sizeof(text), "%s, wrapper", what);
	/* NVIDIA's driver takes a wrapper by its other calls only. */
	if (handles_are_checked())
		CU(cuModuleLoadFatBinary(&module, &wrapper));
	else
		CU(cuModuleLoadData(&module, &wrapper));
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
	image_add(&image, FAT_ELF, 35, FAT_PLAIN, junk, sizeof(junk));
	image_add(&image, FAT_PTX, 999, FAT_PLAIN, junk, sizeof(junk));
	image_add(&image, FAT_PTX, 70, FAT_ZSTD, ptx_vector, ptx_vector_size + 1);
	CU(cuModuleLoadData(&module, image.bytes));
	run(module, "the entry for this device");
	free(image.bytes);

	image_begin(&image);
	image_add(&image, FAT_PTX, 999, FAT_PLAIN, ptx_globals, ptx_globals_size + 1);
	WANT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, image.bytes));
	printf("no entry for this device: refused\n");
	free(image.bytes);
}

int main(void)
{
	start();
	check_storage(FAT_PLAIN, "plain");
	check_storage(FAT_LZ4, "LZ4");
	check_storage(FAT_ZSTD, "zstd");
	check_choice();
	finish();
	return 0;
}
