/* SPDX-License-Identifier: MIT */
/* Device printf: every conversion, and hostile formats. */
#include "tests/simcuda/test/ptx_case.h"

#define TEXT                                                                                       \
	PTX_HEAD ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"         \
		 ".visible .entry k(.param .u64 fmt, .param .u64 args, .param .u64 out)\n{\n"      \
		 ".reg .b64 %d<9>;\n.reg .b32 %r<3>;\nld.param.u64 %d0, [fmt];\nld.param.u64 "     \
		 "%d1, [args];\n"                                                                  \
		 "ld.param.u64 %d2, [out];\n{ .param .b64 p0; .param .b64 p1; .param .b32 q;\n"    \
		 "st.param.b64 [p0], %d0;\nst.param.b64 [p1], %d1;\ncall.uni (q), vprintf, (p0, "  \
		 "p1);\n"                                                                          \
		 "ld.param.b32 %r1, [q]; }\nst.global.u32 [%d2], %r1;\nret;\n}\n"

struct args {
	uint8_t bytes[256];
	size_t used;
};

static void put(struct args *a, const void *v, size_t n)
{
	a->used = (a->used + n - 1) & ~(n - 1);
	memcpy(a->bytes + a->used, v, n);
	a->used += n;
}

/* kinds: i int, l 64 bits, d double, s the string that follows in memory */
static enum ptx_step say(const char *format, const char *kinds, const int64_t *v,
			 const char *string, char *out, int32_t *count)
{
	struct ptx_world w;
	struct args a = {.used = 0};
	enum ptx_step s;
	char *fmt, *str;
	int32_t *result;
	void *args;

	world_open(&w, TEXT);
	fmt = world_alloc(&w, strlen(format) + 1);
	strcpy(fmt, format);
	str = world_alloc(&w, 4096);
	strcpy(str, string);
	for (; *kinds; kinds++, v++) {
		int32_t i = (int32_t)*v;
		double d = (double)*v / 8;
		uint64_t p = (uintptr_t)str;

		put(&a,
		    *kinds == 'i'   ? (void *)&i
		    : *kinds == 'd' ? (void *)&d
		    : *kinds == 's' ? (void *)&p
				    : (const void *)v,
		    *kinds == 'i' ? 4 : 8);
	}
	result = world_alloc(&w, 4);
	args = world_alloc(&w, 256);
	memcpy(args, a.bytes, sizeof(a.bytes));
	w.launch.block[0] = 1;
	world_param_ptr(&w, 0, fmt);
	world_param_ptr(&w, 1, args);
	world_param_ptr(&w, 2, result);
	s = world_run(&w, NULL);
	strcpy(out, w.printed);
	*count = *result;
	world_close(&w);
	return s;
}

static const struct {
	const char *format, *kinds;
	int64_t v[6];
	const char *expect;
	int count;
} cases[] = {
	{"plain\n", "", {0}, "plain\n", 0},
	{"%d %i", "ii", {-5, 7}, "-5 7", 2},
	{"%u %x %X %o", "iiii", {-1, 255, 255, 8}, "4294967295 ff FF 10", 4},
	{"%#x %#o %#X", "iii", {255, 8, 255}, "0xff 010 0XFF", 3},
	{"%ld %lu %llx", "lll", {-1, -1, 1ll << 40}, "-1 18446744073709551615 10000000000", 3},
	{"%hd %hhd %zu %jd %td", "iilll", {5, 6, 7, 8}, "5 6 7 8 0", 5},
	{"[%5d] [%-5d] [%05d] [%+d] [% d]",
	 "iiiii",
	 {42, 42, 42, 42},
	 "[   42] [42   ] [00042] [+42] [ 0]",
	 5},
	{"[%*d] [%-*d] [%.*d]", "iiii", {4, 7, 4, 8}, "[   7] [8   ] []", 6},
	{"[%*d]", "ii", {-4, 7}, "[7   ]", 1},
	{"%c%c", "ii", {'a', 'b'}, "ab", 2},
	{"%s|%8s|%-8s|%.2s", "ssss", {0}, "text|    text|text    |te", 4},
	{"%s", "l", {0}, "(null)", 1},
	{"%f %.2f %e %g %a", "ddddd", {12, 12, 12, 12}, "1.500000 1.50 1.500000e+00 1.5 0x0p+0", 5},
	{"%10.3f|%-10.1e|%+G", "ddd", {20, 20, 20}, "     2.500|2.5e+00   |+2.5", 3},
	{"%p", "l", {0x1234}, "0x1234", 1},
	{"100%%", "", {0}, "100%", 0},
	{"%", "", {0}, "", 0},
	{"%5", "", {0}, "", 0},
	{"a%nb", "", {0}, "ab", 0},
	{"%ll", "", {0}, "", 0},
	{"%k%d", "i", {3}, "3", 1},
};

START_TEST(conversions)
{
	char out[65536];
	int32_t count;

	ck_assert_int_eq(say(cases[_i].format, cases[_i].kinds, cases[_i].v, "text", out, &count),
			 PTX_DONE);
	ck_assert_str_eq(out, cases[_i].expect);
	if (!strchr(cases[_i].format, '*'))
		ck_assert_int_eq(count, cases[_i].count);
}
END_TEST

START_TEST(hostile_formats)
{
	static char out[65536], format[8000];
	int64_t v[8] = {0};
	int32_t count;

	ck_assert_int_eq(say("%999999999d|%.999999999f|%2000000000s", "ids", v, "x", out, &count),
			 PTX_DONE);
	ck_assert_uint_lt(strlen(out), 40000);
	ck_assert_int_eq(say("%-+ #0-+ #0-+ #0-+ #05d", "i", v, "x", out, &count), PTX_DONE);
	v[0] = 0x7fffffff;
	ck_assert_int_eq(say("%*d", "ii", v, "x", out, &count), PTX_DONE);
	v[0] = INT32_MIN;
	ck_assert_int_eq(say("%*.*d", "iii", v, "x", out, &count), PTX_DONE);
	v[0] = 0x1234;
	ck_assert_int_eq(say("%s", "l", v, "x", out, &count), PTX_FAULTED);
	memset(format, 'y', sizeof(format) - 1);
	ck_assert_int_eq(say(format, "", v, "x", out, &count), PTX_DONE);
	ck_assert_uint_eq(strlen(out), sizeof(format) - 1);
	for (size_t i = 0; i + 5 < sizeof(format); i += 5)
		memcpy(format + i, "%900u", 5);
	ck_assert_int_eq(say(format, "", v, "x", out, &count), PTX_FAULTED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_printf");
	TCase *t = tcase_create("printf");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, conversions, 0, (int)CASE_COUNT(cases));
	tcase_add_test(t, hostile_formats);
	suite_add_tcase(s, t);
	return run_suite(s);
}
