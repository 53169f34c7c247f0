/* SPDX-License-Identifier: MIT */
/* Operands in all their forms: elements of arrays and vectors, addresses, initial values, policies.
 */
#include "tests/simcuda/test/ptx_case.h"

/* Statements that leave their results in %w1 to %w4, in thread 0 of a full warp. */
static void computes_in(const char *module, const char *body, const uint32_t want[4])
{
	char text[4096];
	struct ptx_world w;
	uint32_t *out;

	snprintf(text, sizeof(text),
		 PTX_HEAD "%s\n.visible .entry k(.param .u64 out, .param .v4 .u32 four, "
			  ".param .u32 list[4])\n{\n"
			  ".reg .pred %%p<4>;\n.reg .b16 %%h<4>;\n.reg .b32 %%w<8>;\n"
			  ".reg .b64 %%d<8>;\n%s\n"
			  "ld.param.u64 %%d7, [out];\nmov.u32 %%w7, %%tid.x;\n"
			  "setp.ne.u32 %%p3, %%w7, 0;\n@%%p3 exit;\n"
			  "st.global.v4.u32 [%%d7], {%%w1, %%w2, %%w3, %%w4};\nret;\n}\n",
		 module, body);
	world_open(&w, text);
	out = world_alloc(&w, 16);
	world_param_ptr(&w, 0, out);
	world_param(&w, 1, (const uint32_t[]){101, 102, 103, 104});
	world_param(&w, 2, (const uint32_t[]){201, 202, 203, 204});
	world_run_ok(&w);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(out[i] == want[i], "%s\nword %d is %u, not %u", body, i, out[i],
			      want[i]);
	world_close(&w);
}

#define WANT(...) ((const uint32_t[4]){__VA_ARGS__})

/* As Triton writes each access: braces around one register, and cache policies. */
START_TEST(forms_of_inline_text)
{
	static const char *const module = ".global .align 16 .u32 g[8] = {1, 2, 3, 4, 5, 6, 7, 8};";

	computes_in(
		module,
		"mov.u64 %d1, g;\nmov.u32 %w1, 0x0;\nsetp.eq.u32 %p1, 1, 1;\n"
		"@%p1 ld.global.b32 { %w1 }, [ %d1 + 0 ];\nld.global.b32 { %w2 }, [ %d1 + 4 ];\n"
		"st.global.b32 [ %d1 + 8 ], { %w2 };\nld.global.u32 %w3, [%d1+8];\n"
		"atom.global.add.u32 { %w4 }, [ %d1 + 12 ], { %w2 };\n",
		WANT(1, 2, 2, 4));
	computes_in(
		module,
		"mov.u64 %d1, g;\nmov.u64 %d2, 0x0;\n"
		"createpolicy.fractional.L2::evict_first.b64 %d2, 1.0;\n"
		"ld.global.L1::evict_first.L2::cache_hint.v4.b32 { %w1, %w2, %w3, %w4 }, "
		"[ %d1 + 16 ], %d2;\n"
		"st.global.L1::evict_last.L2::cache_hint.v2.b32 [ %d1 + 0 ], { %w3, %w4 }, %d2;\n"
		"ld.global.nc.L2::cache_hint.u32 %w1, [%d1], %d2;\n"
		"red.global.add.L2::cache_hint.u32 [%d1+4], 10, %d2;\n"
		"ld.relaxed.gpu.global.u32 %w2, [%d1+4].unified;\n",
		WANT(7, 328, 7, 8));
	computes_in(
		module,
		"mov.u64 %d1, g;\ncreatepolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 "
		"%d2, 0.5;\ncreatepolicy.range.global.L2::evict_last.b64 %d3, [%d1], 16, 32;\n"
		"createpolicy.cvt.L2.b64 %d4, 7;\n"
		"atom.global.cas.L2::cache_hint.b32 %w1, [%d1], 1, 9, %d3;\n"
		"ld.global.L2::evict_last.L2::cache_hint.u32 %w2, [%d1], %d4;\n"
		"mov.u32 %w3, 3;\nmov.u32 %w4, 4;\n",
		WANT(1, 9, 3, 4));
}
END_TEST

START_TEST(elements_of_arrays)
{
	static const char *const module =
		".global .align 16 .u32 g[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n"
		".const .align 8 .u16 c[3][4] = {{10, 11, 12, 13}, {20, 21}, {30}};\n"
		".shared .align 16 .v4 .u32 sh[4];";

	computes_in(module,
		    "mov.u64 %d1, g[0];\nld.global.u32 %w1, [%d1];\nmov.u64 %d1, g[3];\n"
		    "ld.global.u32 %w2, [%d1];\nld.global.u32 %w3, g[8-1];\n"
		    "ld.global.u32 %w4, [g[1]+4];",
		    WANT(1, 4, 8, 3));
	computes_in(module,
		    "mov.u32 %w6, 5;\nmov.u64 %d6, 2;\nld.global.u32 %w1, g[%w6];\n"
		    "ld.global.u32 %w2, g[%d6+1];\nmov.u64 %d1, g[%w6-1];\n"
		    "ld.global.u32 %w3, [%d1];\nst.global.u32 g[%w6+1], 70;\n"
		    "atom.global.add.u32 %w4, g[6], 1;",
		    WANT(6, 4, 5, 70));
	computes_in(module,
		    "mov.u32 %w6, 1;\nld.const.u16 %w1, c[1][1];\nld.const.u16 %w2, c[%w6][0];\n"
		    "ld.const.u16 %w3, c[%w6+1][%w6-1];\nld.const.u16 %w4, c[0][%w6+2];",
		    WANT(21, 20, 30, 13));
	computes_in(
		module,
		"mov.u32 %w6, 2;\nst.shared.v4.u32 sh[%w6], {5, 6, 7, 8};\nmov.u32 %w5, sh[1];\n"
		"ld.shared.v2.u32 {%w1, %w2}, [%w5+16];\nmov.u32 %w5, sh[%w6];\n"
		"ld.shared.v2.u32 {%w3, %w4}, [%w5+8];",
		WANT(5, 6, 7, 8));
	computes_in("",
		    ".local .align 4 .u32 l[4];\nmov.u32 %w6, 3;\nst.local.u32 l[1], 50;\n"
		    "st.local.u32 l[%w6], 51;\nld.local.u32 %w1, [l+4];\nmov.u64 %d1, l[%w6];\n"
		    "ld.local.u32 %w2, [%d1];\nld.param.u32 %w3, list[%w6-1];\n"
		    "ld.param.u32 %w4, list[1];",
		    WANT(50, 51, 203, 202));
}
END_TEST

START_TEST(addresses)
{
	static const char *const module =
		".global .align 16 .u32 g[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n"
		".shared .u32 sh[8];";

	computes_in(module,
		    "mov.u64 %d1, g+8;\nld.global.u32 %w1, [%d1];\nld.global.u32 %w2, [g+4*3];\n"
		    "ld.global.u32 %w3, [%d1+-4];\nld.global.u32 %w4, [%d1-8];",
		    WANT(3, 4, 2, 1));
	computes_in(module,
		    "mov.u32 %w5, sh+12;\nst.shared.u32 [%w5], 12;\nld.shared.u32 %w1, [sh+12];\n"
		    "mov.u64 %d1, sh+12;\nld.shared.u32 %w2, [%d1];\nmov.u32 %w3, sh+8;\n"
		    "mov.u32 %w4, sh;\nsub.u32 %w3, %w3, %w4;\nld.u32 %w4, [g];",
		    WANT(12, 12, 8, 1));
	computes_in(module,
		    "ld.param.v4.u32 {%w1, %w2, %w3, %w4}, [four];\nld.param.u32 %w1, [four+12];\n"
		    "ld.param.u32 %w2, [list+4];",
		    WANT(104, 202, 103, 104));
}
END_TEST

/* What is .extern and sized, and defined nowhere, is allocated; without a size it is the launch's.
 */
/* Vectors of registers as a function's parameters and result, whole and by their elements. */
START_TEST(vector_parameters)
{
	static const char *const module =
		".func (.reg .v2 .u32 sum) both(.reg .v2 .u32 x, .reg .u32 by)\n{\n"
		".reg .v2 .u32 t;\nadd.u32 t.x, x.x, x.y;\nmul.lo.u32 t.y, x.y, by;\n"
		"mov.v2.u32 sum, t;\nret;\n}\n"
		".func (.reg .u32 word) packed(.reg .v4 .u16 x)\n{\n.reg .b32 lo;\n"
		"mov.b32 lo, {x.x, x.w};\nmov.u32 word, lo;\nret;\n}";

	computes_in(module,
		    ".reg .v2 .u32 v;\nmov.v2.u32 v, {3, 4};\ncall (v), both, (v, 5);\n"
		    "mov.u32 %w1, v.x;\nmov.u32 %w2, v.y;\n"
		    "call ({%w3, %w4}), both, ({%w1, %w2}, 2);\n"
		    "mov.u16 %h0, 7;\nmov.u16 %h1, 9;\n.reg .v4 .u16 h;\n"
		    "mov.v4.u16 h, {%h0, %h0, %h0, %h1};\ncall (%w3), packed, (h);",
		    WANT(7, 20, 7 | 9 << 16, 40));
}
END_TEST

/* As LLVM writes addresses in .const where its pointers are short, and generic ones made of them.
 */
START_TEST(short_addresses_of_constants)
{
	static const char *const module = ".const .align 16 .u32 first[4] = {1, 2, 3, 4};\n"
					  ".const .align 16 .u32 second[4] = {5, 6, 7, 8};";

	computes_in(module,
		    "mov.b32 %w5, second;\nadd.s32 %w6, %w5, 4;\nld.const.u32 %w1, [%w6+4];\n"
		    "ld.const.v2.u32 {%w2, %w3}, [%w5+8];\ncvt.u64.u32 %d1, %w5;\n"
		    "cvta.const.u64 %d1, %d1;\nld.u32 %w4, [%d1+12];",
		    WANT(7, 7, 8, 8));
	computes_in(
		module,
		"mov.u64 %d1, first;\ncvta.const.u64 %d2, %d1;\nld.u32 %w1, [%d2];\n"
		"mov.b32 %w5, first;\nld.const.u32 %w2, [%w5+4];\ncvta.to.const.u64 %d3, %d2;\n"
		"cvt.u32.u64 %w6, %d3;\nld.const.u32 %w3, [%w6+8];\nld.const.u32 %w4, [%d3+12];",
		WANT(1, 2, 3, 4));
}
END_TEST

START_TEST(shared_memory_of_others)
{
	static const char *const module =
		".extern .shared .align 8 .b8 buffer[484];\n"
		".extern .shared .align 16 .b8 rest[];\n.shared .u32 own;";

	computes_in(
		module,
		"mov.u32 %w1, buffer;\nmov.u32 %w2, own;\nmov.u32 %w3, rest;\n"
		"and.b32 %w1, %w1, 7;\nst.shared.u32 [own], 5;\nst.shared.u32 [buffer+480], 6;\n"
		"ld.shared.u32 %w2, [own];\nsetp.ge.u32 %p1, %w3, 488;\n"
		"selp.u32 %w3, 1, 0, %p1;\nld.shared.u32 %w4, [buffer+480];",
		WANT(0, 5, 1, 6));
}
END_TEST

START_TEST(initial_values)
{
	computes_in(".global .u32 open[] = {1, 2, 3};\n"
		    ".global .u32 rows[][2] = {{1}, {2, 3}, {4, 5}};\n",
		    "ld.global.u32 %w1, [open+8];\nld.global.u32 %w2, [rows+4];\n"
		    "ld.global.u32 %w3, rows[2][0];\nld.global.u32 %w4, rows[1][1];",
		    WANT(3, 0, 4, 3));
	expect_invalid(PTX_HEAD ".global .u32 rows[2][2] = {{1, 2, 3}};\n",
		       "a row of the initial value of 'rows' is too long");
	expect_invalid(PTX_HEAD ".global .u32 x[2] = {1, 2, 3};\n",
		       "initial value is longer than 'x'");
	expect_invalid(PTX_HEAD ".global .u32 x[2][];\n", "unknown dimensions");
	computes_in(".global .v2 .u32 pairs[3] = {{1, 2}, {3}, {5, 6}};\n"
		    ".global .u32 deep[2][2][2] = {{{1, 2}, {3}}, {{4}}};\n",
		    "ld.global.u32 %w1, [pairs+12];\nld.global.u32 %w2, [pairs+16];\n"
		    "ld.global.u32 %w3, deep[1][0][0];\nld.global.u32 %w4, deep[0][1][0];",
		    WANT(0, 5, 4, 3));
	computes_in(
		".global .u32 open[] = {1, 2, 3};\n"
		".global .u64 to[3] = {open, open+4, generic(open)+8};\n"
		".global .align 8 .u8 b[8] = {0xff(open), 0xff00(open), 0xff0000(open), "
		"0xff000000(open), 0xff00000000(open), 0xff0000000000(open), "
		"0xff000000000000(open), 0xff00000000000000(open)};\n",
		"ld.global.u64 %d1, to[0];\nld.global.u32 %w1, [%d1];\nld.global.u64 %d1, to[1];\n"
		"ld.global.u32 %w2, [%d1];\nld.global.u64 %d1, to[2];\nld.u32 %w3, [%d1];\n"
		"ld.global.u64 %d1, [b];\nld.global.u32 %w4, [%d1];",
		WANT(1, 2, 3, 1));
}
END_TEST

/* As a GPU has it: after a subtraction the carry says that there was no borrow. */
START_TEST(carry_of_a_subtraction)
{
	static const struct insn_case cases[] = {
		{"sub.cc.u32 %w4, %w0, %w1; addc.u32 %w3, %w2, 0;", 5, 3, 10, 11, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; addc.u32 %w3, %w2, 0;", 3, 5, 10, 10, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; addc.u32 %w3, %w2, 0;", 5, 5, 10, 11, 'w'},
		{"sub.cc.u64 %d4, %d0, %d1; addc.u64 %d3, %d2, 0;", 5, 5, 10, 11, 'd'},
		{"sub.cc.u64 %d4, %d0, %d1; addc.u64 %d3, %d2, 0;", 0, 1, 10, 10, 'd'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.u32 %w3, %w2, 0;", 3, 5, 10, 9, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.u32 %w3, %w2, 0;", 5, 3, 10, 10, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; madc.lo.u32 %w3, %w2, 2, 0;", 5, 3, 10, 21, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.cc.u32 %w5, 0, 0; addc.u32 %w3, %w2, 0;", 3, 5, 10,
		 10, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_operand");
	TCase *t = tcase_create("operand");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, forms_of_inline_text);
	tcase_add_test(t, elements_of_arrays);
	tcase_add_test(t, addresses);
	tcase_add_test(t, vector_parameters);
	tcase_add_test(t, short_addresses_of_constants);
	tcase_add_test(t, shared_memory_of_others);
	tcase_add_test(t, initial_values);
	tcase_add_test(t, carry_of_a_subtraction);
	suite_add_tcase(s, t);
	return run_suite(s);
}
