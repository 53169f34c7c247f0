/* SPDX-License-Identifier: MIT */
/* The device memory that images declare, in texts as compilers write them and as nobody does. */
#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/image/declared.h"
#include "tests/kernels/fatbin.h"

#define HEAD ".version 6.4\n.target sm_70\n.address_size 64\n"
#define MIB  (1ull << 20)

static const struct {
	const char *text;
	uint64_t bytes;
} texts[] = {
	{"", 0},
	{HEAD, 0},
	{HEAD ".global .b8 x[943718400];", 900 * MIB},
	{HEAD ".visible .global .align 4 .b8 x[1024];", 1024},
	{HEAD ".visible.global.align 4.b8 x[1024];", 1024},
	{HEAD ".global .u32 x;", 256},
	{HEAD ".const .f64 table[100];", 1024},
	{HEAD ".global .v4 .f32 x[64];", 1024},
	{HEAD ".global .b16 x[10][20][30];", 12032},
	{HEAD ".weak .global .u64 a[128], b[128];", 2048},
	{HEAD ".global .b32 many<8>;", 256},
	{HEAD ".global .b64 many<100>;", 1024},
	{HEAD ".global .b8 a[0], b[900<<20];", 900 * MIB},
	{HEAD ".global .b8 x[(900 << 19) * 2];", 900 * MIB},
	{HEAD ".global .b8 x[0x38400000U];", 900 * MIB},
	{HEAD ".global .b8 x[07020000000];", 900 * MIB},
	{HEAD ".global .b8 x[10%3 ? 1 << 20 : 7];", MIB},
	{HEAD ".global .b8 x[-(-1 - 1048575)];", MIB},
	{HEAD ".global .b8 x[(.s64)1048576 | 5 & 2];", MIB},
	{HEAD ".global .b8 x /* [5] */ [ // [6]\n 1048576 ];", MIB},
	{HEAD ".global .attribute(.managed) .b8 x[1048576];", MIB},
	{HEAD ".global .align 1048576 .b8 x[1];", MIB},
	{HEAD ".global .u32 x[] = {1, 2, 3};\n.global .b8 y[1048576];", MIB + 256},
	{HEAD ".global .u32 x[][262144] = {{1}, {2}};", 2 * MIB},
	{HEAD ".global .u32 x[][2] = {1, 2, 3};", 256},
	{HEAD ".global .u64 x = y; .global .b8 z[512];", 768},
	{HEAD ".global .u64 x[2] = {y, z}; .global .b8 u[512];", 768},
	{HEAD ".file 1 \".global .b8 x[1048576];\"", 0},
	{HEAD ".extern .global .b8 x[1048576];", 0},
	{HEAD ".extern .global .b8 x[];\n.global .b8 y[512];", 512},
	{HEAD ".shared .b8 x[1048576];", 0},
	{HEAD ".visible .entry k(.param .u64 p)\n{ .reg .b32 %r<9>;\n.local .b8 x[1048576];\n"
	      "ld.global.u32 %r1, [%rd1+1048576];\nst.global.u32 [%rd1], %r1;\nret;\n}",
	 0},
	/* Too much for any number. */
	{HEAD ".global .b8 x[18446744073709551615];", INT64_MAX},
	{HEAD ".global .b64 x[4611686018427387905];", UINT64_MAX},
	{HEAD ".global .b64 x[1 << 62], y[1 << 62], z;", UINT64_MAX},
	{HEAD ".global .b8 x[1 << 70];", INT64_MAX},
	/* Texts that the far end refuses. */
	{HEAD ".global .b8 x[y];", 0},
	{HEAD ".global .b8 x[1 / 0];", 0},
	{HEAD ".global .b8 x[-5];", 0},
	{HEAD ".global .align", 0},
	{HEAD ".global .b8", 0},
	{HEAD ".global .b8 x[", 0},
	{HEAD ".global .b8 x[((((((((1", 0},
	{HEAD ".global .b8 x[] = {", 256},
	{HEAD "/* .global .b8 x[1024];", 0},
	{HEAD "// .global .b8 x[1024];", 0},
	{HEAD "\" .global .b8 x[1024];", 0},
};

START_TEST(variables_of_ptx)
{
	const char *text = texts[_i].text;
	const uint64_t n = declared_ptx(text, strlen(text)), want = texts[_i].bytes;

	/* The largest numbers are rounded up. */
	if (want == INT64_MAX)
		ck_assert_msg(n >= want, "%s", text);
	else
		ck_assert_msg(n == want, "%s: %llu", text, (unsigned long long)n);
}
END_TEST

/* Every beginning of every text, in a buffer of its size: a sanitizer sees what is read. */
START_TEST(cut_texts)
{
	const char *text = texts[_i].text;

	for (size_t len = 0; len <= strlen(text); len++) {
		char *some = malloc(len ? len : 1);

		ck_assert_ptr_nonnull(some);
		memcpy(some, text, len);
		declared_ptx(some, len);
		free(some);
	}
}
END_TEST

START_TEST(brackets_without_end)
{
	char text[20000];
	size_t n = (size_t)snprintf(text, sizeof(text), ".global .b8 x[");

	memset(text + n, '(', sizeof(text) - n);
	ck_assert_uint_eq(declared_ptx(text, sizeof(text)), 0);
	memset(text + n, '-', sizeof(text) - n);
	ck_assert_uint_eq(declared_ptx(text, sizeof(text)), 0);
}
END_TEST

struct cubin {
	Elf64_Ehdr head;
	Elf64_Shdr section[5];
	char names[64];
};

static struct cubin cubin(void)
{
	static const char names[] = "\0.nv.global\0.nv.shared.k\0.nv.global.init\0.names";
	struct cubin c = {
		.head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_shoff = offsetof(struct cubin, section),
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 5,
			 .e_shstrndx = 4},
	};

	memcpy(c.names, names, sizeof(names));
	c.section[1] = (Elf64_Shdr){.sh_name = 1, .sh_type = SHT_NOBITS, .sh_size = 900 * MIB};
	c.section[2] = (Elf64_Shdr){.sh_name = 12, .sh_type = SHT_NOBITS, .sh_size = 48 << 10};
	c.section[3] = (Elf64_Shdr){.sh_name = 25, .sh_type = SHT_PROGBITS, .sh_size = 16};
	c.section[4] = (Elf64_Shdr){.sh_name = 41,
				    .sh_type = SHT_STRTAB,
				    .sh_offset = offsetof(struct cubin, names),
				    .sh_size = sizeof(c.names)};
	return c;
}

START_TEST(variables_of_a_cubin)
{
	struct cubin c = cubin();
	uint64_t n;

	ck_assert_int_eq(image_declared(&c, sizeof(c), &n), 0);
	ck_assert_uint_eq(n, 900 * MIB);
	/* A section without a name counts. */
	c.section[4].sh_offset = UINT64_MAX;
	ck_assert_uint_eq(declared_elf(&c, sizeof(c)), 900 * MIB + (48 << 10));
	c = cubin();
	c.section[1].sh_name = UINT32_MAX;
	ck_assert_uint_eq(declared_elf(&c, sizeof(c)), 900 * MIB);
	c.section[1].sh_size = c.section[2].sh_size = UINT64_MAX;
	ck_assert_uint_eq(declared_elf(&c, sizeof(c)), UINT64_MAX);
	c.head.e_shoff = UINT64_MAX;
	ck_assert_uint_eq(declared_elf(&c, sizeof(c)), 0);
	c = cubin();
	c.head.e_shnum = UINT16_MAX;
	ck_assert_uint_eq(declared_elf(&c, sizeof(c)), 0);
	ck_assert_uint_eq(declared_elf(&c, sizeof(c.head) - 1), 0);
}
END_TEST

static size_t put_entry(char *at, enum fat_kind kind, const void *payload, size_t len)
{
	const struct fat_entry e = fat_entry(kind, 50, FAT_PLAIN, len, 0);

	memcpy(at, &e, sizeof(e));
	memcpy(at + sizeof(e), payload, len);
	return sizeof(e) + e.payload;
}

/* The far end takes one of the entries. */
START_TEST(the_largest_of_a_fatbin)
{
	const char small[] = HEAD ".global .b8 x[1024];", large[] = HEAD ".global .b8 x[900<<20];";
	const struct cubin c = cubin();
	char bytes[4096] = {0};
	struct fat_header h = fat_header(0);
	size_t n = sizeof(h);
	uint64_t declared;

	n += put_entry(bytes + n, FAT_PTX, small, sizeof(small));
	h.size = n - sizeof(h);
	memcpy(bytes, &h, sizeof(h));
	ck_assert_int_eq(image_declared(bytes, n, &declared), 0);
	ck_assert_uint_eq(declared, 1024);
	n += put_entry(bytes + n, FAT_PTX, large, sizeof(large));
	n += put_entry(bytes + n, FAT_ELF, &c, sizeof(c));
	h.size = n - sizeof(h);
	memcpy(bytes, &h, sizeof(h));
	ck_assert_int_eq(image_declared(bytes, n, &declared), 0);
	ck_assert_uint_eq(declared, 900 * MIB);
	/* Ill-formed, it has no entries. */
	ck_assert_int_eq(image_declared(bytes, n - 1, &declared), 0);
	ck_assert_uint_eq(declared, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("declared");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, variables_of_ptx, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(t, cut_texts, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(t, brackets_without_end);
	tcase_add_test(t, variables_of_a_cubin);
	tcase_add_test(t, the_largest_of_a_fatbin);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
