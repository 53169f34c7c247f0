/* SPDX-License-Identifier: MIT */
/* Managed variables in PTX: found, their initial values, and the code with addresses for names. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/image/managed.h"

#define HEAD   ".version 6.4\n.target sm_70\n.address_size 64\n"
#define M      ".global .attribute(.managed) "
#define KERNEL ".visible .entry k(.param .u64 p)\n{\n"
#define BASE   4096u /* the first variable's address; each has a page */

static const char loads[] = "{ .reg .b64 %__pvgpu0; mov.b64 %__pvgpu0, 4096; ";

/* a text, and what is left of it behind HEAD */
static const struct {
	const char *text, *rest;
} texts[] = {
	{M ".u32 x;", ""},
	{".visible " M ".u32 x; .global .u32 y;", " .global .u32 y;"},
	{".global .u32 y; .weak .visible " M ".u32 x, x2[4] = {1}, x3; .const .u32 z;",
	 ".global .u32 y;  .const .u32 z;"},
	{M ".u64 x; .global .u64 y[3] = {x, generic(x)+8, x-16};",
	 " .global .u64 y[3] = {4096, 4104, 4080};"},
	{M ".u64 x; .global .u64 y = generic(z);", " .global .u64 y = generic(z);"},
	{M ".u64 x; .section .debug_info { .b32 5 .b64 x .b64 x+4 }",
	 " .section .debug_info { .b32 5 .b64 4096 .b64 4100 }"},
	{M ".u32 x;\n.file 1 \"x\"\n.func f() { ret; } // x",
	 "\n.file 1 \"x\"\n.func f() { ret; } // x"},
	{M ".u32 x; .func f() { ret; }", " .func f() { ret; }"},
	{M ".u32 x;" KERNEL "xx: st.u32 [%d], x1; }", KERNEL "xx: st.u32 [%d], x1; }"},
};

static const struct {
	const char *before, *after; /* an instruction, behind what comes first */
} code[] = {
	{"ld.global.u32 %r1, [x];", "ld.global.u32 %r1, [%__pvgpu0]; }"},
	{"@!%p1 ld.global.v2.u32 {%r1, %r2}, [ x ];",
	 "@!%p1 ld.global.v2.u32 {%r1, %r2}, [ %__pvgpu0 ]; }"},
	{"mov.u64 %d1, x;", "mov.u64 %d1, %__pvgpu0; }"},
	{"cvta.global.u64 %d1, x;", "cvta.global.u64 %d1, %__pvgpu0; }"},
	{"st.param.b64 [p0+0], x;", "st.param.b64 [p0+0], %__pvgpu0; }"},
};

/* Uses of variables that are not understood. */
static const char *const unknown[] = {
	M ".u32 x; .extern " M ".u32 y;",
	M ".u32 x; " M ".u32 x;",
	M ".u32 x[0];",
	M ".u32 x[1 << 50];",
	M ".u32 x<5>;",
	M ".align 8192 .u32 x;",
	M "x;",
	M ".u32 x",
	M ".u32 x; .func f(.param .u64 x) { ret; }",
	M ".u32 x;" KERNEL ".reg .u32 x; }",
	M ".u32 x;" KERNEL "x: ret; }",
	M ".u32 x[4];" KERNEL "ld.global.u32 %r1, x[2]; }",
	M ".u32 x;" KERNEL "mov.u64 %d1, x+y; }",
	M ".u32 x;" KERNEL "foo x, x, x, x, x, x, x, x, x; }",
};

static int place(const char *text, size_t len, struct managed *m)
{
	const int r = managed_find(text, len, m);

	for (size_t i = 0; !r && i < m->count; i++)
		m->variable[i].address = BASE + 4096 * i;
	return r;
}

/* A text that ends with the memory; the result is the caller's to free. */
static int rewritten(const char *text, char **out)
{
	const size_t len = strlen(text);
	char *exact = malloc(len);
	struct managed m;
	size_t n;
	int r;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, text, len);
	*out = NULL;
	r = place(exact, len, &m);
	if (!r)
		r = managed_rewrite(&m, out, &n);
	managed_free(&m);
	free(exact);
	return r;
}

static char *joined(const char *a, const char *b, const char *c)
{
	char *s = malloc(strlen(a) + strlen(b) + strlen(c) + 1);

	ck_assert_ptr_nonnull(s);
	return strcat(strcat(strcpy(s, a), b), c);
}

START_TEST(test_texts)
{
	char *text = joined(HEAD, texts[_i].text, ""), *want = joined(HEAD, texts[_i].rest, "");
	char *got;

	ck_assert_int_eq(rewritten(text, &got), 0);
	ck_assert_str_eq(got, want);
	free(got);
	free(want);
	free(text);
}
END_TEST

START_TEST(test_code)
{
	static const char head[] = M ".u32 x;" KERNEL "\t.loc 1 2 3\nlabel:\n\t";
	char *text = joined(head, code[_i].before, "\n\tret;\n}\n"), *got;
	char *tail = joined(loads, code[_i].after, "\n\tret;\n}\n");
	char *want = joined(KERNEL "\t.loc 1 2 3\nlabel:\n\t", tail, "");

	ck_assert_int_eq(rewritten(text, &got), 0);
	ck_assert_str_eq(got, want);
	free(got);
	free(want);
	free(tail);
	free(text);
}
END_TEST

START_TEST(test_unknown)
{
	char *got;

	ck_assert_int_eq(rewritten(unknown[_i], &got), -EINVAL);
	ck_assert_ptr_null(got);
}
END_TEST

static const struct {
	const char *declared;
	bool known;
	unsigned int bytes;
	unsigned char value[24];
} values[] = {
	{".u32 x;", true, 4, {0}},
	{".u32 x = 0x1F;", true, 4, {31}},
	{".s16 x = -2;", true, 2, {0xfe, 0xff}},
	{".u64 x = 18446744073709551615;", true, 8, {255, 255, 255, 255, 255, 255, 255, 255}},
	{".u8 x = 3 + 4 * 2;", true, 1, {11}},
	{".f32 x = 0f3F800000;", true, 4, {0, 0, 0x80, 0x3f}},
	{".f64 x = -0d3FF0000000000000;", true, 8, {0, 0, 0, 0, 0, 0, 0xf0, 0xbf}},
	{".b8 x[] = {1, 2, 3};", true, 3, {1, 2, 3}},
	{".b8 x[2][3] = {{1}, {2, 3}};", true, 6, {1, 0, 0, 2, 3}},
	{".b8 x[2][3] = {1, 2, 3, 4};", true, 6, {1, 2, 3, 4}},
	{".b8 x[2][2][2] = {{{1}, {2}}, {{3}}};", true, 8, {1, 0, 2, 0, 3}},
	{".v2 .b16 x[2] = {{1, 2}, {3}};", true, 8, {1, 0, 2, 0, 3}},
	{".b64 x = generic(x)+4;", true, 8, {4, 16}},
	{".b8 x[2] = {1, 2, 3};", false, 2, {0}},
	{".b8 x[2][2] = {{1, 2, 3}};", false, 4, {0}},
	{".f32 x = 1.5;", false, 4, {0}},
	{".f32 x = 0d3FF0000000000000;", false, 4, {0}},
	{".b64 x = generic(y);", false, 8, {0}},
	{".b32 x = x;", false, 4, {0}},
	{".b8 x[2] = {0xFF(x), 0xFF00(x)};", false, 2, {0}},
	{".b128 x = 1;", false, 16, {0}},
	{".u32 x = {{{{{{{{{{{1}}}}}}}}}}};", false, 4, {0}},
	{".u32 x = ;", false, 4, {0}},
	{".u32 x[2] = {,1};", false, 8, {0}},
};

START_TEST(test_values)
{
	char *text = joined(HEAD M, values[_i].declared, "");
	unsigned char got[24] = {0};
	struct managed m;

	ck_assert_int_eq(place(text, strlen(text), &m), 0);
	ck_assert_uint_eq(m.count, 1);
	ck_assert_uint_eq(m.variable[0].bytes, values[_i].bytes);
	ck_assert_int_eq(managed_initial(&m, &m.variable[0], got), values[_i].known);
	if (values[_i].known)
		ck_assert_mem_eq(got, values[_i].value, sizeof(got));
	managed_free(&m);
	free(text);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("managed");
	TCase *t = tcase_create("managed");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_texts, 0, COUNT(texts));
	tcase_add_loop_test(t, test_code, 0, COUNT(code));
	tcase_add_loop_test(t, test_unknown, 0, COUNT(unknown));
	tcase_add_loop_test(t, test_values, 0, COUNT(values));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
