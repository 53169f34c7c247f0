/* SPDX-License-Identifier: MIT */
/* Modules from several texts: whose names are seen by whom, and what GCC's compiler writes. */
#include "tests/simcuda/test/ptx_case.h"

static char link_log[1024];

static enum ptx_result link_texts(const char *const *text, size_t count, struct ptx_module **m)
{
	struct ptx_unit u[8];

	ck_assert_uint_le(count, 8);
	for (size_t i = 0; i < count; i++)
		u[i] = (struct ptx_unit){
			.name = i ? "second" : "first", .text = text[i], .len = strlen(text[i])};
	return ptx_link(u, count, 90, m, link_log, sizeof(link_log));
}

static void links(const char *a, const char *b)
{
	struct ptx_module *m;

	if (link_texts((const char *const[]){a, b}, 2, &m) != PTX_OK)
		ck_abort_msg("%s", link_log);
	ptx_module_free(m);
}

static void fails(const char *a, const char *b, const char *why)
{
	struct ptx_module *m;

	ck_assert_int_eq(link_texts((const char *const[]){a, b}, 2, &m), PTX_INVALID);
	ck_assert_msg(strstr(link_log, why) != NULL, "'%s' is not in '%s'", why, link_log);
}

#define KERNEL(body) ".visible .entry k()\n{\n.reg .b32 %w<8>;\n" body "ret;\n}\n"
#define CALL(f)      "call " f ";\n"
#define READ(v)      "ld.global.u32 %w1, [" v "];\n"

START_TEST(names_of_other_texts)
{
	links(PTX_HEAD ".extern .func f();\n" KERNEL(CALL("f")),
	      PTX_HEAD ".visible .func f()\n{\nret;\n}\n");
	links(PTX_HEAD ".visible .func f()\n{\nret;\n}\n",
	      PTX_HEAD ".extern .func f();\n" KERNEL(CALL("f")));
	links(PTX_HEAD ".extern .global .u32 v;\n" KERNEL(READ("v")),
	      PTX_HEAD ".visible .global .u32 v = 3;\n");
	links(PTX_HEAD ".visible .global .u32 v = 3;\n",
	      PTX_HEAD ".extern .global .u32 v;\n" KERNEL(READ("v")));
	/* each text's own */
	links(PTX_HEAD ".global .u32 v = 3;\n.func f()\n{\nret;\n}\n",
	      PTX_HEAD ".global .u64 v = 4;\n.func f(.param .u32 p)\n{\nret;\n}\n");
	links(PTX_HEAD ".visible .global .u32 v = 3;\n", PTX_HEAD ".global .u64 v = 4;\n");
}
END_TEST

START_TEST(better_definitions_win)
{
	links(PTX_HEAD ".weak .func f()\n{\nret;\n}\n",
	      PTX_HEAD ".weak .func f()\n{\nnonsense;\n}\n" KERNEL(CALL("f")));
	links(PTX_HEAD ".weak .func f()\n{\nret;\n}\n",
	      PTX_HEAD ".visible .func f()\n{\nret;\n}\n" KERNEL(CALL("f")));
	links(PTX_HEAD ".visible .func f()\n{\nret;\n}\n",
	      PTX_HEAD ".weak .func f()\n{\nret;\n}\n" KERNEL(CALL("f")));
	links(PTX_HEAD ".common .global .u32 v;\n", PTX_HEAD ".visible .global .u32 v = 3;\n");
	fails(PTX_HEAD ".visible .func f()\n{\nret;\n}\n",
	      PTX_HEAD ".visible .func f()\n{\nret;\n}\n", "second, line 4: 'f' is defined twice");
	fails(PTX_HEAD ".visible .global .u32 v = 3;\n", PTX_HEAD ".visible .global .u32 v = 3;\n",
	      "'v' is defined twice");
	fails(PTX_HEAD KERNEL(""), PTX_HEAD KERNEL(""), "'k' is defined twice");
}
END_TEST

START_TEST(what_is_missing_is_named)
{
	fails(PTX_HEAD ".extern .func f();\n" KERNEL(CALL("f")), PTX_HEAD ".func f()\n{\nret;\n}\n",
	      "first, line 4: unresolved extern function 'f'");
	fails(PTX_HEAD ".extern .global .u32 v;\n", PTX_HEAD ".global .u32 v;\n",
	      "first, line 4: unresolved extern variable 'v'");
	/* all of them in one log */
	fails(PTX_HEAD ".extern .global .u32 v;\n.extern .global .u32 other;\n", PTX_HEAD,
	      "unresolved extern variable 'other'");
	/* what another text has and this one does not declare */
	fails(PTX_HEAD ".visible .global .u32 v = 3;\n", PTX_HEAD KERNEL(READ("v")),
	      "second, line 7: unknown name 'v'");
	fails(PTX_HEAD ".visible .func f()\n{\nret;\n}\n", PTX_HEAD KERNEL(CALL("f")),
	      "unknown function 'f'");
	fails(PTX_HEAD ".extern .func f(.param .u32 p);\n",
	      PTX_HEAD ".visible .func f()\n{\nret;\n}\n", "second, line 4: 'f' is declared twice");
	fails(PTX_HEAD ".extern .global .u64 v;\n", PTX_HEAD ".visible .global .u32 v;\n",
	      "'v' is declared twice");
	fails(PTX_HEAD, ".visible .global .u32 v;\n", "expected .version and .target first");
}
END_TEST

START_TEST(one_text_can_be_checked)
{
	const char text[] = PTX_HEAD
		".extern .func f();\n.extern .global .u32 v;\n" KERNEL(CALL("f") READ("v"));
	const char bad[] = PTX_HEAD KERNEL("nothing;\n");
	struct ptx_unit u = {.text = text, .len = strlen(text)};

	ck_assert_int_eq(ptx_check(&u, 90, link_log, sizeof(link_log)), PTX_OK);
	u = (struct ptx_unit){.name = "mine", .text = bad, .len = strlen(bad)};
	ck_assert_int_eq(ptx_check(&u, 90, link_log, sizeof(link_log)), PTX_INVALID);
	ck_assert_str_eq(link_log, "mine, line 7: unknown instruction 'nothing'\n");
}
END_TEST

START_TEST(a_text_alone_says_what_it_lacks)
{
	expect_invalid(PTX_HEAD ".extern .global .u32 v;\n",
		       "line 4: unresolved extern variable 'v'");
	expect_invalid(PTX_HEAD ".extern .func f();\n" KERNEL(CALL("f")),
		       "line 4: unresolved extern function 'f'");
}
END_TEST

/* A kernel that stores %w1 to %w4 of its first thread, after these statements. */
static void computes(const char *statements, const uint32_t expect[4])
{
	char text[4096];
	struct ptx_world w;
	uint32_t *out;

	snprintf(text, sizeof(text),
		 PTX_HEAD ".func (.param .u64 r) add(.param .u64 x, .param .u64 y)\n"
			  "{\n.reg .u64 %%a<4>;\nld.param.u64 %%a1, [x];\nld.param.u64 %%a2, [y];\n"
			  "add.u64 %%a3, %%a1, %%a2;\nst.param.u64 [r], %%a3;\nret;\n}\n"
			  ".visible .entry k(.param .u64 out)\n{\n"
			  ".reg .b32 %%w<8>;\n.reg .b64 %%d<8>;\n%s\n"
			  "ld.param.u64 %%d7, [out];\n"
			  "st.global.v4.u32 [%%d7], {%%w1, %%w2, %%w3, %%w4};\nret;\n}\n",
		 statements);
	world_open(&w, text);
	world_kernel(&w, "k");
	out = world_alloc(&w, 16);
	world_param_ptr(&w, 0, out);
	world_run_ok(&w);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(out[i] == expect[i], "%s: word %d is %u, not %u", statements, i,
			      out[i], expect[i]);
	world_close(&w);
}

START_TEST(vector_registers)
{
	computes(".reg .v2 .u32 %v;\nmov.v2.u32 %v, {11, 22};\nmov.u32 %w1, %v.x;\n"
		 "mov.u32 %v.x, 33;\nmov.u32 %w2, %v.y;\nmov.u32 %w3, %v.x;\nmov.u32 %w4, 4;",
		 (const uint32_t[]){11, 22, 33, 4});
	/* all elements are read before one is written */
	computes(".reg .v2 .u32 %v;\nmov.v2.u32 %v, {11, 22};\nmov.v2.u32 %v, {%v.y, %v.x};\n"
		 "mov.v2.u32 {%w1, %w2}, %v;\nmov.u32 %w3, %v.r;\nmov.u32 %w4, %v.g;",
		 (const uint32_t[]){22, 11, 22, 11});
	computes(".reg .v4 .u32 %v;\n.local .align 16 .b32 m[4];\nmov.v4.u32 %v, {1, 2, 3, 4};\n"
		 "st.local.v4.u32 [m], %v;\nmov.u32 %v.w, 9;\nld.local.v4.u32 %v, [m];\n"
		 "mov.v4.u32 {%w1, %w2, %w3, %w4}, %v;",
		 (const uint32_t[]){1, 2, 3, 4});
	expect_invalid(PTX_HEAD KERNEL(".reg .v2 .u32 %v;\nmov.u32 %w1, %v.z;\n"),
		       "line 8: vector register '%v' has no element '.z'");
	expect_invalid(PTX_HEAD KERNEL(".reg .v2 .u32 %v;\nmov.u32 %w1, %v;\n"), "line 8: ");
	computes(".reg .v2 .u32 %v<4>;\nmov.v2.u32 %v3, {11, 22};\nmov.v2.u32 %v0, {33, 44};\n"
		 "mov.v2.u32 {%w1, %w2}, %v3;\nmov.u32 %w3, %v0.y;\nmov.u32 %w4, %v0.x;",
		 (const uint32_t[]){11, 22, 44, 33});
}
END_TEST

START_TEST(ranges_of_parameters)
{
	computes("{\n.param .u64 %P<2>;\n.param .u64 q;\nmov.u64 %d1, 40;\nst.param.u64 [%P0], "
		 "%d1;\n"
		 "mov.u64 %d1, 2;\nst.param.u64 [%P1], %d1;\ncall (q), add, (%P0, %P1);\n"
		 "ld.param.u64 %d2, [q];\n}\ncvt.u32.u64 %w1, %d2;\nmov.u32 %w2, 0;\nmov.u32 %w3, "
		 "0;\n"
		 "mov.u32 %w4, 0;",
		 (const uint32_t[]){42, 0, 0, 0});
	expect_invalid(PTX_HEAD KERNEL("{\n.param .u64 %P<2>;\nst.param.u64 [%P2], 1;\n}\n"),
		       "line 9: unknown name '%P2'");
	expect_invalid(PTX_HEAD KERNEL("{\n.param .u64 %P<2>;\nst.param.u64 [%P], 1;\n}\n"),
		       "line 9: unknown name '%P'");
}
END_TEST

static const struct insn_case video[] = {
	{"vadd.u32.u32.u32 %w3, %w0, %w1;", 7, 8, 0, 15, 'w'},
	{"vadd.u32.u32.u32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 0, 'w'},
	{"vadd.u32.u32.u32.sat %w3, %w0, %w1;", 0xffffffff, 1, 0, 0xffffffff, 'w'},
	{"vadd.s32.s32.s32.sat %w3, %w0, %w1;", 0x7fffffff, 1, 0, 0x7fffffff, 'w'},
	{"vadd.u32.s32.s32.sat %w3, %w0, %w1;", 0xffffffff, 0, 0, 0, 'w'},
	{"vadd.s32.u32.u32.sat %w3, %w0, %w1;", 0xffffffff, 0, 0, 0x7fffffff, 'w'},
	{"vadd.u32.u32.u32.add %w3, %w0, %w1, %w2;", 1, 2, 3, 6, 'w'},
	{"vadd.u32.u32.u32.sat.add %w3, %w0, %w1, %w2;", 0xffffffff, 9, 3, 2, 'w'},
	{"vsub.u32.u32.u32.add %w3, %w0, %w1, %w2;", 1, 2, 3, 2, 'w'},
	{"vsub.u32.u32.u32.sat %w3, %w0, %w1;", 1, 2, 0, 0, 'w'},
	{"vsub.s32.u32.u32 %w3, %w0, %w1;", 1, 2, 0, 0xffffffff, 'w'},
	{"vsub.s32.s32.u32.sat %w3, %w0, %w1;", 0x80000000, 1, 0, 0x80000000, 'w'},
	{"vabsdiff.u32.u32.u32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 0xfffffffe, 'w'},
	{"vabsdiff.u32.s32.s32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 2, 'w'},
	{"vabsdiff.u32.s32.s32.add %w3, %w0, %w1, %w2;", 1, 0xffffffff, 5, 7, 'w'},
	{"vmin.u32.u32.u32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 1, 'w'},
	{"vmin.s32.s32.s32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 0xffffffff, 'w'},
	{"vmin.s32.s32.u32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 1, 'w'},
	{"vmax.s32.s32.s32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 1, 'w'},
	{"vmax.u32.s32.s32.sat %w3, %w0, %w1;", 0x80000000, 0xffffffff, 0, 0, 'w'},
};

START_TEST(video_instructions)
{
	run_insn_cases(video, CASE_COUNT(video));
	expect_invalid(PTX_HEAD KERNEL("vadd.u32.u32.u32 %w1, %w2.b0, %w3;\n"), "line 7: ");
	expect_invalid(PTX_HEAD KERNEL("vadd.u32.u32.u32.min %w1, %w2, %w3, %w4;\n"),
		       "line 7: unknown instruction 'vadd.u32.u32.u32.min'");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_link");
	TCase *names = tcase_create("names"), *gcc = tcase_create("gcc");

	tcase_add_test(names, names_of_other_texts);
	tcase_add_test(names, better_definitions_win);
	tcase_add_test(names, what_is_missing_is_named);
	tcase_add_test(names, one_text_can_be_checked);
	tcase_add_test(names, a_text_alone_says_what_it_lacks);
	suite_add_tcase(s, names);
	tcase_add_test(gcc, vector_registers);
	tcase_add_test(gcc, ranges_of_parameters);
	tcase_add_test(gcc, video_instructions);
	suite_add_tcase(s, gcc);
	return run_suite(s);
}
