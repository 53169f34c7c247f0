/* SPDX-License-Identifier: MIT */
/* Images: kinds, sizes, fatbin entries, decompression, and hostile bytes. */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "libpvgpu/image/fatbin.h"
#include "tests/kernels/fatbin.h"

static void put(unsigned char *p, uint64_t v, size_t n)
{
	memcpy(p, &v, n);
}

struct builder {
	unsigned char bytes[65536];
	size_t len;
};

static void begin(struct builder *b)
{
	memset(b, 0, sizeof(*b));
	put(b->bytes, FATBIN_MAGIC, 4);
	put(b->bytes + 4, 1, 2);
	put(b->bytes + 6, 16, 2);
	b->len = 16;
}

static void entry(struct builder *b, unsigned int kind, unsigned int sm, uint64_t flags,
		  const void *data, size_t len, size_t unpacked)
{
	struct fat_entry e = fat_entry(kind, sm, FAT_PLAIN, len, 0);

	e.major = 7;
	e.minor = 5;
	e.flags = flags;
	e.compressed = flags & (FATBIN_LZ4 | FATBIN_ZSTD) ? (uint32_t)len : 0;
	e.uncompressed = unpacked;
	memcpy(b->bytes + b->len, &e, sizeof(e));
	memcpy(b->bytes + b->len + sizeof(e), data, len);
	b->len += sizeof(e) + e.payload;
	put(b->bytes + 8, b->len - 16, 8);
}

static const char text[] = "// some text that repeats, repeats, repeats, repeats and repeats\n";

START_TEST(kinds)
{
	ck_assert_int_eq(image_kind("// PTX", 6), IMAGE_PTX);
	ck_assert_int_eq(image_kind(" \n\t.version 7.5", 15), IMAGE_PTX);
	ck_assert_int_eq(image_kind("\x7f"
				    "ELF",
				    4),
			 IMAGE_ELF);
	ck_assert_int_eq(image_kind("\x50\xed\x55\xba", 4), IMAGE_FATBIN);
	ck_assert_int_eq(image_kind("\xb1\x43\x62\x46", 4), IMAGE_WRAPPER);
	ck_assert_int_eq(image_kind("\x50\xed\x55", 3), IMAGE_UNKNOWN);
	ck_assert_int_eq(image_kind("", 0), IMAGE_UNKNOWN);
	ck_assert_int_eq(image_kind("", SIZE_MAX), IMAGE_UNKNOWN);
	ck_assert_int_eq(image_kind("hello", 5), IMAGE_UNKNOWN);
}
END_TEST

START_TEST(sizes)
{
	static struct builder b;
	unsigned char elf[sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Shdr) + 100] = {0};
	Elf64_Ehdr *h = (Elf64_Ehdr *)elf;
	Elf64_Shdr *s = (Elf64_Shdr *)(elf + sizeof(*h));
	size_t n = 0;

	ck_assert_int_eq(image_size(text, SIZE_MAX, &n), 0);
	ck_assert_uint_eq(n, sizeof(text));
	ck_assert_int_eq(image_size(text, 10, &n), 0);
	ck_assert_uint_eq(n, 10);
	begin(&b);
	entry(&b, FATBIN_PTX, 70, 0, text, sizeof(text), 0);
	ck_assert_int_eq(image_size(b.bytes, SIZE_MAX, &n), 0);
	ck_assert_uint_eq(n, b.len);
	ck_assert_int_eq(image_size(b.bytes, b.len - 1, &n), -EINVAL);
	put(b.bytes + 8, UINT64_MAX - 3, 8);
	ck_assert_int_eq(image_size(b.bytes, SIZE_MAX, &n), -EINVAL);

	memcpy(h->e_ident, ELFMAG, 4);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_shoff = sizeof(*h);
	h->e_shnum = 2;
	h->e_shentsize = sizeof(*s);
	s[1].sh_type = SHT_PROGBITS;
	s[1].sh_offset = sizeof(elf) - 100;
	s[1].sh_size = 100;
	ck_assert_int_eq(image_size(elf, SIZE_MAX, &n), 0);
	ck_assert_uint_eq(n, sizeof(elf));
	ck_assert_int_eq(image_size(elf, sizeof(elf) - 1, &n), -EINVAL);
	s[1].sh_size = UINT64_MAX;
	ck_assert_int_eq(image_size(elf, SIZE_MAX, &n), -EINVAL);
	h->e_shoff = UINT64_MAX - 8;
	ck_assert_int_eq(image_size(elf, SIZE_MAX, &n), -EINVAL);
}
END_TEST

START_TEST(entries)
{
	static struct builder b;
	char packed[256];
	struct fatbin_entry e;
	size_t at = 0, len;
	char *out;
	int n;

	begin(&b);
	entry(&b, FATBIN_ELF, 80, FATBIN_64BIT,
	      "\x7f"
	      "ELFabc",
	      7, 0);
	n = LZ4_compress_default(text, packed, sizeof(text), sizeof(packed));
	entry(&b, FATBIN_PTX, 70, FATBIN_64BIT | FATBIN_LZ4, packed, (size_t)n, sizeof(text));
	n = (int)ZSTD_compress(packed, sizeof(packed), text, sizeof(text), 3);
	entry(&b, FATBIN_PTX, 90, FATBIN_64BIT | FATBIN_ZSTD, packed, (size_t)n, sizeof(text));
	ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), 1);
	ck_assert_uint_eq(e.kind, FATBIN_ELF);
	ck_assert_uint_eq(e.sm, 80);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), 1);
		ck_assert_uint_eq(e.kind, FATBIN_PTX);
		ck_assert_uint_eq(e.major * 10 + e.minor, 75);
		ck_assert_int_eq(fatbin_unpack(&e, &out, &len), 0);
		ck_assert_uint_eq(len, sizeof(text));
		ck_assert_str_eq(out, text);
		free(out);
	}
	ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), 0);
}
END_TEST

/* Of code for many devices what one of them may take, in order; in place, too. */
START_TEST(selection)
{
	static const struct {
		unsigned int kind, sm;
		uint64_t flags;
		bool for_90, for_86;
	} all[] = {
		{FATBIN_ELF, 75, 0, false, false},
		{FATBIN_ELF, 80, 0, false, true},
		{FATBIN_ELF, 86, 0, false, true},
		{FATBIN_ELF, 89, 0, false, false},
		{FATBIN_ELF, 90, 0, true, false},
		{FATBIN_ELF, 90, FATBIN_ARCH_SPECIFIC, true, false},
		{FATBIN_ELF, 100, 0, false, false},
		{FATBIN_PTX, 70, FATBIN_ZSTD, true, true},
		{FATBIN_PTX, 80, FATBIN_ARCH_SPECIFIC, false, false},
		{FATBIN_PTX, 90, 0, true, false},
		{FATBIN_PTX, 120, 0, false, false},
		{FATBIN_LTO, 90, 0, true, true},
	};
	static const unsigned int sms[] = {90, 86};
	static struct builder b, some;
	struct fatbin_entry e;
	size_t at = 0, n;

	begin(&b);
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		entry(&b, all[i].kind, all[i].sm, all[i].flags, text, 8 + i, sizeof(text));
	for (unsigned int k = 0; k < 2; k++) {
		n = fatbin_select(b.bytes, b.len, sms[k], NULL);
		ck_assert_uint_gt(n, 16);
		ck_assert_uint_lt(n, b.len);
		ck_assert_uint_eq(fatbin_select(b.bytes, b.len, sms[k], some.bytes), n);
		at = 0;
		for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			if (!(k ? all[i].for_86 : all[i].for_90))
				continue;
			ck_assert_int_eq(fatbin_next(some.bytes, n, &at, &e), 1);
			ck_assert_uint_eq(e.kind, all[i].kind);
			ck_assert_uint_eq(e.sm, all[i].sm);
			ck_assert_uint_eq(e.stored, all[i].flags == FATBIN_ZSTD
							    ? 8 + i
							    : (8 + i + 7) / 8 * 8);
			ck_assert_mem_eq(e.payload, text, 8 + i);
		}
		ck_assert_int_eq(fatbin_next(some.bytes, n, &at, &e), 0);
	}
	n = fatbin_select(b.bytes, b.len, 86, b.bytes);
	ck_assert_mem_eq(b.bytes, some.bytes, n);
	/* Nothing for it; cut short; not a fatbin. */
	begin(&b);
	entry(&b, FATBIN_ELF, 75, 0, text, 8, 8);
	ck_assert_uint_eq(fatbin_select(b.bytes, b.len, 90, NULL), 0);
	ck_assert_uint_eq(fatbin_select(some.bytes, n - 8, 86, NULL), 0);
	ck_assert_uint_eq(fatbin_select(text, sizeof(text), 90, NULL), 0);
}
END_TEST

START_TEST(lies_about_sizes)
{
	static struct builder b;
	char packed[256];
	struct fatbin_entry e;
	size_t at = 0, len;
	char *out;
	int n = LZ4_compress_default(text, packed, sizeof(text), sizeof(packed));

	begin(&b);
	entry(&b, FATBIN_PTX, 70, FATBIN_LZ4, packed, (size_t)n, sizeof(text) - 1);
	ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), 1);
	ck_assert_int_eq(fatbin_unpack(&e, &out, &len), -EINVAL);
	put(b.bytes + 16 + 56, 1ull << 40, 8);
	at = 0;
	ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), 1);
	ck_assert_int_eq(fatbin_unpack(&e, &out, &len), -EFBIG);
	put(b.bytes + 16 + 16, 1000000, 4);
	at = 0;
	ck_assert_int_eq(fatbin_next(b.bytes, b.len, &at, &e), -EINVAL);
}
END_TEST

/* PTX has options, and those of any entry lie in its header. */
START_TEST(options)
{
	static const struct {
		unsigned int kind, at, text, len;
		int result;
	} some[] = {
		{FATBIN_PTX, 64, 72, 0, 1},       {FATBIN_PTX, 64, 72, 8, 1},
		{FATBIN_PTX, 64, 80, 0, 1},       {FATBIN_PTX, 0, 72, 0, -EINVAL},
		{FATBIN_PTX, 63, 72, 0, -EINVAL}, {FATBIN_PTX, 73, 72, 0, -EINVAL},
		{FATBIN_PTX, 80, 72, 0, -EINVAL}, {FATBIN_PTX, UINT32_MAX, 72, 0, -EINVAL},
		{FATBIN_PTX, 64, 72, 9, -EINVAL}, {FATBIN_PTX, 64, UINT32_MAX, UINT32_MAX, -EINVAL},
		{FATBIN_ELF, 0, 0, 0, 1},         {FATBIN_ELF, 64, 72, 8, 1},
		{FATBIN_ELF, 64, 72, 9, -EINVAL}, {FATBIN_ELF, 4096, 72, 0, -EINVAL},
	};
	static struct builder b;
	struct fatbin_entry e;

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		unsigned char *p = b.bytes + 16;
		size_t at = 0;

		begin(&b);
		entry(&b, some[i].kind, 70, 0, text, sizeof(text), 0);
		put(p + offsetof(struct fat_entry, options), some[i].at, 4);
		put(p + offsetof(struct fat_entry, options_text), some[i].text, 4);
		put(p + offsetof(struct fat_entry, options_len), some[i].len, 4);
		ck_assert_msg(fatbin_next(b.bytes, b.len, &at, &e) == some[i].result, "row %zu", i);
	}
}
END_TEST

/* Cut anywhere and damaged anywhere: an error or an answer, never a read outside. */
START_TEST(every_prefix_and_every_byte)
{
	static struct builder b;
	struct fatbin_entry e;
	char packed[256];
	size_t len;
	char *out;
	int n = (int)ZSTD_compress(packed, sizeof(packed), text, sizeof(text), 3);

	begin(&b);
	entry(&b, FATBIN_PTX, 70, 0, text, sizeof(text), 0);
	entry(&b, FATBIN_PTX, 90, FATBIN_ZSTD, packed, (size_t)n, sizeof(text));
	for (size_t cut = 0; cut < b.len; cut++) {
		unsigned char *copy = malloc(cut + 1);
		size_t at = 0;

		memcpy(copy, b.bytes, cut);
		ck_assert_int_eq(fatbin_next(copy, cut, &at, &e), -EINVAL);
		free(copy);
	}
	for (size_t i = 0; i < b.len; i++) {
		unsigned char *copy = malloc(b.len);
		size_t at = 0;

		memcpy(copy, b.bytes, b.len);
		copy[i] ^= 0xff;
		while (fatbin_next(copy, b.len, &at, &e) == 1)
			if (!fatbin_unpack(&e, &out, &len))
				free(out);
		free(copy);
	}
}
END_TEST

START_TEST(wrappers)
{
	static struct builder b;
	struct {
		uint32_t magic, version;
		const void *data, *more;
	} w = {FATBIN_WRAPPER_MAGIC, 1, b.bytes, NULL};

	begin(&b);
	ck_assert_ptr_eq(image_unwrap(&w), b.bytes);
	ck_assert_ptr_eq(image_unwrap(text), text);
	w.data = text;
	ck_assert_ptr_null(image_unwrap(&w));
	w.data = NULL;
	ck_assert_ptr_null(image_unwrap(&w));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fatbin");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, kinds);
	tcase_add_test(t, sizes);
	tcase_add_test(t, entries);
	tcase_add_test(t, selection);
	tcase_add_test(t, options);
	tcase_add_test(t, lies_about_sizes);
	tcase_add_test(t, every_prefix_and_every_byte);
	tcase_add_test(t, wrappers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
