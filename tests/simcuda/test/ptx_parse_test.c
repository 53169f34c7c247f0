/* SPDX-License-Identifier: MIT */
/* Texts that are accepted, texts that are refused and the error; no text may do worse harm. */
#include "tests/simcuda/test/ptx_case.h"

#define BODY(text)                                                                                 \
	PTX_HEAD ".visible .entry k(.param .u64 a)\n{\n.reg .b32 %r<9>;\n.reg .b64 %d<9>;\n"       \
		 ".reg .f32 %f<9>;\n.reg .pred %p<9>;\n.reg .b16 %h<9>;\n" text "\nret;\n}\n"

static const struct {
	const char *text, *log;
} bad[] = {
	{"", "expected .version"},
	{".version 7.5\n", "expected .version and .target"},
	{".version 7.5\n.target sm_70\n.address_size 32\n", "line 3: only 64-bit"},
	{".version x\n", "line 1: expected a version"},
	{".version 7.5\n.target debug\n.target sm_x\n", "line 3: unknown target 'sm_x'"},
	{".version 7.5\n.target sm_70, map_f64_to_f32\n", "line 2: unknown target 'map_f64"},
	{PTX_HEAD ".nonsense\n", "line 4: unknown directive '.nonsense'"},
	{PTX_HEAD "hello\n", "line 4: unknown directive 'hello'"},
	{BODY("frobnicate.u32 %r1, %r2;"), "line 11: unknown instruction 'frobnicate.u32'"},
	{BODY("add.u32.weird %r1, %r2, %r3;"), "line 11: unknown instruction 'add.u32.weird'"},
	{BODY("\n\nadd.f33 %r1, %r2, %r3;"), "line 13: unknown instruction 'add.f33'"},
	{BODY("wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r1}, [%d1];"), "operand 1 of"},
	{BODY("multimem.red.global.add.u32 [%d1], %r1;"),
	 "line 11: instruction 'multimem.red.global.add.u32' is not supported"},
	{BODY("tex.cube.v4.f32.f32 {%f1,%f2,%f3,%f4}, [%d1, {%f1,%f2,%f3,%f4}];"),
	 "line 11: instruction 'tex.cube.v4.f32.f32' is not supported"},
	{BODY("vadd2.u32.u32.u32 %r1, %r2, %r3, %r1;"),
	 "instruction 'vadd2.u32.u32.u32' is not supp"},
	/* what would run as something near it */
	{BODY("cvt.rm.tf32.f32 %r1, %f1;"), "line 11: unknown instruction 'cvt.rm.tf32.f32'"},
	{BODY("cvt.tf32.rna.f32.f32 %r1, %f1;"), "unknown instruction"},
	{BODY("prefetch.whatever [%d1];"), "unknown instruction 'prefetch.whatever'"},
	{BODY("trap.uni;"), "unknown instruction 'trap.uni'"},
	{BODY("membar.cta.sys;"), "unknown instruction 'membar.cta.sys'"},
	{BODY("ld.global.relaxed.acquire.gpu.u32 %r1, [%d1];"), "unknown instruction"},
	{BODY("st.release.acquire.gpu.u32 [%d1], %r1;"), "unknown instruction"},
	/* an order with other threads has a scope, and nothing else has */
	{BODY("ld.relaxed.global.u32 %r1, [%d1];"),
	 "line 11: unknown instruction 'ld.relaxed.global.u32'"},
	{BODY("ld.acquire.u64 %d1, [%d2];"), "line 11: unknown instruction 'ld.acquire.u64'"},
	{BODY("st.relaxed.shared.u32 [%d1], %r1;"), "unknown instruction 'st.relaxed.shared.u32'"},
	{BODY("st.release.u32 [%d1], %r1;"), "line 11: unknown instruction 'st.release.u32'"},
	{BODY("ld.gpu.global.u32 %r1, [%d1];"), "unknown instruction 'ld.gpu.global.u32'"},
	{BODY("ld.weak.sys.u32 %r1, [%d1];"), "unknown instruction 'ld.weak.sys.u32'"},
	{BODY("st.volatile.cta.u64 [%d1], %d2;"), "unknown instruction 'st.volatile.cta.u64'"},
	/* and is of memory that others see */
	{BODY("ld.volatile.local.u32 %r1, [%d1];"), "unknown instruction 'ld.volatile.local.u32'"},
	{BODY("ld.relaxed.gpu.const.u32 %r1, [%d1];"), "unknown instruction 'ld.relaxed.gpu.const"},
	{BODY("st.release.cta.local.u32 [%d1], %r1;"), "unknown instruction 'st.release.cta.local"},
	{BODY("ld.volatile.cv.u32 %r1, [%d1];"), "unknown instruction 'ld.volatile.cv.u32'"},
	{BODY("ld.nc.u32 %r1, [%d1];"), "unknown instruction 'ld.nc.u32'"},
	{BODY("ld.global.ca.L1::no_allocate.u32 %r1, [%d1];"),
	 "unknown instruction 'ld.global.ca."},
	{BODY("add.noftz.f32 %f1, %f2, %f3;"), "unknown instruction 'add.noftz.f32'"},
	{BODY("fma.f32 %f1, %f2, %f3, %f1;"), "unknown instruction 'fma.f32'"},
	{BODY("add.sat.bf16 %h1, %h2, %h3;"), "unknown instruction 'add.sat.bf16'"},
	{BODY("min.u16x2 %r1, %r2, %r3;"), "unknown instruction 'min.u16x2'"},
	{BODY("setp.hi.s32 %p1, %r1, %r2;"), "unknown instruction 'setp.hi.s32'"},
	{BODY("barrier.cluster.arrive.acquire;"),
	 "unknown instruction 'barrier.cluster.arrive.acquire'"},
	{BODY("wgmma.fence.sync.aligned;"),
	 "instruction 'wgmma.fence.sync.aligned' is not supported"},
	{BODY("tcgen05.wait::ld.sync.aligned;"),
	 "instruction 'tcgen05.wait::ld.sync.aligned' is not supported"},
	{BODY("mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1};"),
	 "instruction 'mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32' is not supported"},
	{BODY("tensormap.replace.tile.rank.global.b1024.b32 [%d1], 2;"),
	 "instruction 'tensormap.replace.tile.rank.global.b1024.b32' is not supported"},
	{PTX_HEAD ".alias f, g;\n", "line 4: unknown directive '.alias'"},
	{PTX_HEAD ".global .attribute(.unified(1, 2)) .u32 x;\n",
	 "line 4: attribute 'unified' is not supported"},
	{PTX_HEAD ".const .attribute(.managed) .u32 x;\n",
	 "line 4: only a module's .global variable can be managed"},
	{BODY(".global .attribute(.managed) .u32 x;"),
	 "line 11: only a module's .global variable can be managed"},
	{BODY(".reg .v2 .pred v;"), "line 11: expected a register type"},
	{PTX_HEAD ".entry k() .reqnctapercluster 8, 3, 1 { ret; }\n",
	 "line 4: a cluster of 'k' must have 1 to 16 blocks"},
	{PTX_HEAD ".entry k() .reqnctapercluster 0 { ret; }\n",
	 "line 4: a cluster of 'k' must have 1 to 16 blocks"},
	{BODY("mov.u32 %r1, %is_explicit_cluster;"),
	 "operand 2 of 'mov.u32' is of the wrong kind or size"},
	{BODY(".pragma_x \"a\";"), "line 11: unknown directive '.pragma_x'"},
	{BODY("add.u32 %r1, %r2;"), "line 11: 'add.u32' has 2 operands"},
	{BODY("add.u32 %r1, %r2, %r3, %r4;"), "has 4 operands"},
	{BODY("add.u32 %r1, %r2, %d3;"), "operand 3 of 'add.u32' is of the wrong kind or size"},
	{BODY("add.u32 %d1, %r2, %r3;"), "operand 1 of"},
	{BODY("add.u32 5, %r2, %r3;"), "operand 1 of"},
	{BODY("add.f32 %f1, %f2, 1;"), "operand 3 of"},
	{BODY("add.u32 %r1, %r2, %r9;"), "unknown name '%r9'"},
	{BODY("add.u32 %r1, %r2, %r01;"), "unknown name '%r01'"},
	{BODY("add.u32 %r1, %r2, nothing;"), "unknown name 'nothing'"},
	{BODY("bra NOWHERE;"), "line 11: undefined label 'NOWHERE'"},
	{BODY("{ L: } bra L;"), "undefined label 'L'"},
	{BODY("L: L: ret;"), "'L' is declared twice"},
	{BODY(".reg .b32 x; .reg .b64 x;"), "'x' is declared twice"},
	{BODY("@%r1 bra L; L:"), "expected a predicate register"},
	{BODY("@%p1 5;"), "expected an instruction at '5'"},
	{BODY("call foo, (%r1);"), "unknown function 'foo'"},
	{BODY("call k;"), "'k' is a kernel"},
	{BODY("call %d1, ();"), "needs a prototype"},
	{BODY("mov.b64 {%r1, %r2, %r3}, %d1;"), "operand 1 of"},
	{BODY("ld.global.v4.u64 {%d1,%d2,%d3,%d4}, [%d5];"), "unknown instruction"},
	{BODY("ld.global.v2.u32 %r1, [%d5];"), "operand 1 of"},
	{BODY("ld.global.u64 %r1, [%d5];"), "operand 1 of"},
	{BODY("ld.global.u32 %r1, %d5;"), "operand 2 of"},
	{BODY("ld.global.u32 %r1, [%p1];"), "operand 2 of"},
	{BODY("ld.global.u32 %r1, [a];"), "operand 2 of"},
	{BODY("st.const.u32 [%d1], %r1;"), "unknown instruction"},
	{BODY("atom.global.add.b32 %r1, [%d1], 1;"), "unknown instruction"},
	{BODY("atom.local.add.u32 %r1, [%d1], 1;"), "unknown instruction"},
	{BODY("cvt.f32.s32 %f1, %r1;"), "unknown instruction"},
	{BODY("cvt.s32.f32 %r1, %f1;"), "unknown instruction"},
	{BODY("mul.u32 %r1, %r2, %r3;"), "unknown instruction"},
	{BODY("setp.foo.u32 %p1, %r2, %r3;"), "unknown instruction"},
	{BODY("shfl.sync.up.b32 %r1, %r2, 1, 0;"), "has 4 operands"},
	{BODY(".shared .b8 big[50000]; mov.u32 %r1, big;"), "uses too much shared memory"},
	{BODY(".local .b8 big[600000];"), "local memory of 'k' is too big"},
	{BODY("mov.u32 %r1, %nosuch;"), "unknown name '%nosuch'"},
	{BODY("mov.u32 %r1, 99999999999999999999999;"), "malformed token"},
	{BODY("mov.u32 %r1, 0x;"), "malformed token"},
	{BODY("mov.u32 %r1, 12abc;"), "malformed token"},
	{BODY("mov.f32 %f1, 0f12;"), "malformed token"},
	{BODY("mov.u32 %r1, (1;"), "expected ')'"},
	{PTX_HEAD ".visible .entry k()\n{\nret;\n", "'k' has no '}'"},
	{PTX_HEAD ".visible .entry k()\n{\n}\n.visible .entry k()\n{\n}\n",
	 "'k' is declared twice"},
	{PTX_HEAD ".global .u32 x;\n.global .u32 x;\n", "line 5: 'x' is declared twice"},
	{PTX_HEAD ".global .u32 x[2] = {1,2,3};\n", "longer than 'x'"},
	{PTX_HEAD ".global .u32 x[99999999999999];\n", "'x' is too big"},
	{PTX_HEAD ".global .u32 x = {1;\n", "expected '}'"},
	{PTX_HEAD ".global .u64 x = y;\n", "refers to unknown 'y'"},
	{PTX_HEAD ".global .align 3 .u64 x;\n", "alignment 3"},
	{PTX_HEAD ".shared .u32 x = 1;\n", "cannot have an initial value"},
	{PTX_HEAD ".section .debug {\n.b8 1\n", "line 4: '{' without '}'"},
	{PTX_HEAD ".extern .func (.param .b64 r) getmem(.param .b64 n);\n.visible .entry k()\n{\n"
		  ".reg .b64 %d;\n{ .param .b64 n; .param .b64 r; call (r), getmem, (n); }\n}\n",
	 "line 4: unresolved extern function 'getmem'"},
	{PTX_HEAD ".visible .entry k(.param .b8 x[40000])\n{\n}\n", "is too big"},
};

START_TEST(refusals)
{
	expect_invalid(bad[_i].text, bad[_i].log);
}
END_TEST

START_TEST(several_problems_in_one_log)
{
	const char *text =
		BODY("foo.u32 %r1;\nadd.u32 %r1, %r2, %r3;\nbar.u32 %r1;\nadd.u32 %d1, %r1, %r1;");
	char log[1024];
	struct ptx_module *m;

	ck_assert_int_eq(ptx_parse(text, strlen(text), 90, &m, log, sizeof(log)), PTX_INVALID);
	ck_assert_ptr_null(m);
	ck_assert_ptr_nonnull(strstr(log, "line 11: unknown instruction 'foo.u32'\n"));
	ck_assert_ptr_nonnull(strstr(log, "line 13: unknown instruction 'bar.u32'\n"));
	ck_assert_ptr_nonnull(strstr(log, "line 14: operand 1 of 'add.u32'"));
}
END_TEST

START_TEST(a_short_log_is_terminated)
{
	const char *text = BODY("foo.u32 %r1;");
	struct ptx_module *m;
	char log[64];

	for (size_t n = 0; n < sizeof(log); n++) {
		memset(log, 'x', sizeof(log));
		ck_assert_int_eq(ptx_parse(text, strlen(text), 90, &m, n ? log : NULL, n),
				 PTX_INVALID);
		if (n)
			ck_assert_uint_lt(strnlen(log, n), n);
		ck_assert_int_eq(log[n], 'x');
	}
}
END_TEST

START_TEST(targets)
{
	static const struct {
		const char *target;
		unsigned int sm;
		enum ptx_result result;
	} cases[] = {{"sm_70", 70, PTX_OK},
		     {"sm_70", 90, PTX_OK},
		     {"sm_75", 70, PTX_UNSUPPORTED},
		     {"sm_90a", 90, PTX_OK},
		     {"sm_100", 90, PTX_UNSUPPORTED},
		     {"sm_70, debug", 70, PTX_OK},
		     {"sm_70, texmode_independent", 70, PTX_OK}};
	struct ptx_module *m;
	char text[256], log[256];

	for (size_t i = 0; i < CASE_COUNT(cases); i++) {
		snprintf(text, sizeof(text), ".version 7.5\n.target %s\n.address_size 64\n",
			 cases[i].target);
		ck_assert_int_eq(ptx_parse(text, strlen(text), cases[i].sm, &m, log, sizeof(log)),
				 cases[i].result);
		ptx_module_free(m);
	}
	ck_assert_int_eq(ptx_parse(".version 7.5\n.target sm_90\n", 28, 70, &m, log, sizeof(log)),
			 PTX_UNSUPPORTED);
	ck_assert_str_eq(log, "line 2: target sm_90 is above the device's sm_70\n");
}
END_TEST

/* As XLA's kernels have it, and NVIDIA's compiler takes it. */
START_TEST(a_declaration_without_a_semicolon)
{
	const char *text = PTX_HEAD
		".extern .func cudaGraphSetConditional\n(\n.param .b64 h,\n.param .b32 v\n)\n\n"
		".visible .entry k(.param .u64 h)\n{\n.reg .b64 %d;\nld.param.u64 %d, [h];\n"
		"{\n.param .b64 a;\nst.param.b64 [a+0], %d;\n.param .b32 b;\n"
		"st.param.b32 [b+0], 1;\ncall.uni\ncudaGraphSetConditional,\n(\na,\nb\n);\n}\n"
		"ret;\n}\n";
	struct ptx_module *m;
	char log[256];

	ck_assert_int_eq(ptx_parse(text, strlen(text), 90, &m, log, sizeof(log)), PTX_OK);
	ck_assert_uint_eq(ptx_kernel_count(m), 1);
	ptx_module_free(m);
}
END_TEST

START_TEST(kernel_facts)
{
	struct ptx_world w;
	const struct ptx_kernel *k;

	world_open(
		&w,
		".version 7.8 // a comment\n.target sm_80 /* another\n one */\n.address_size 64\n"
		".pragma \"nounroll\";\n.file 1 \"x.cu\"\n.const .u32 c[5];\n"
		".shared .align 16 .b8 both[32];\n.shared .b8 unused[1000];\n"
		".func helper()\n{\n.local .b8 l[100];\n.reg .u32 %r;\nmov.u32 %r, both;\nret;\n}\n"
		".visible .entry one(.param .u32 x, .param .u64 .ptr .global .align 16 y, .param "
		".u8 z,\n"
		".param .align 8 .b8 s[12])\n.maxntid 32, 4, 2\n.minnctapersm 2\n{\n"
		".loc 1 5 3\n.shared .b32 own[3];\n.reg .u32 %r;\nmov.u32 %r, own;\ncall "
		"helper;\nret;\n}\n"
		".entry two() .reqntid 64 .maxnreg 24\n{\n.reg .b64 %d<100>;\nmov.b64 %d1, "
		"%d2;\n}\n"
		".section .debug_info\n{\n.b8 1, 2\n.b64 .debug_abbrev\n{ }\n}\n");
	ck_assert_uint_eq(ptx_kernel_count(w.m), 2);
	k = ptx_kernel_find(w.m, "one");
	ck_assert_uint_eq(k->param_count, 4);
	ck_assert_uint_eq(k->params[1].offset, 8);
	ck_assert_uint_eq(k->params[2].offset, 16);
	ck_assert_uint_eq(k->params[3].offset, 24);
	ck_assert_uint_eq(k->params[3].size, 12);
	ck_assert_uint_eq(k->params[3].align, 8);
	ck_assert_uint_eq(k->param_bytes, 36);
	ck_assert_uint_eq(k->shared_bytes, 44);
	ck_assert_uint_ge(k->local_bytes, 100);
	ck_assert_uint_eq(k->const_bytes, 20);
	ck_assert_uint_eq(k->maxntid[0], 32);
	ck_assert_uint_eq(k->maxntid[2], 2);
	ck_assert_uint_eq(k->max_threads, 256);
	ck_assert_uint_eq(k->version, 78);
	ck_assert_uint_eq(k->target, 80);
	k = ptx_kernel_find(w.m, "two");
	ck_assert_uint_eq(k->max_threads, 64);
	ck_assert_uint_eq(k->reqntid[1], 1);
	ck_assert_uint_eq(k->shared_bytes, 0);
	ck_assert_uint_le(k->registers, 24);
	ck_assert_ptr_null(ptx_kernel_find(w.m, "helper"));
	world_close(&w);
}
END_TEST

START_TEST(extern_variables_are_defined_later)
{
	struct ptx_world w;

	world_open(&w, PTX_HEAD ".extern .global .u32 here;\n.visible .global .u32 here = 7;\n"
				".visible .entry k()\n{\nret;\n}\n");
	ck_assert_uint_eq(ptx_global_count(w.m), 1);
	ck_assert_str_eq(ptx_global_at(w.m, 0)->name, "here");
	ck_assert_uint_eq(*(const uint32_t *)ptx_global_at(w.m, 0)->init, 7);
	world_close(&w);
}
END_TEST

/* Parsing ends for every truncated text and every changed byte. */
START_TEST(damaged_texts)
{
	static char text[65536];
	const char *const files[] = {"tests/kernels/engine/memory.O2.ptx",
				     "tests/kernels/engine/print.O0.ptx"};
	FILE *f = fopen(files[_i], "rb");
	struct ptx_module *m;
	char log[256];
	uint32_t seed = 1;
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t cut = 0; cut < n; cut += 37) {
		ptx_parse(text, cut, 90, &m, log, sizeof(log));
		ptx_module_free(m);
	}
	for (int k = 0; k < 1500; k++) {
		char *at;
		char old;

		seed = seed * 1664525u + 1013904223u;
		at = &text[(seed >> 8) % n];
		old = *at;
		*at = "{}()[];,.%@!:0x\0\xff\"\n-"[(seed >> 3) % 21];
		ptx_parse(text, n, 90, &m, log, sizeof(log));
		ptx_module_free(m);
		if (k & 1)
			*at = old;
	}
}
END_TEST

static char *repeated(const char *head, const char *part, size_t times, const char *tail)
{
	size_t a = strlen(head), b = strlen(part), c = strlen(tail);
	char *text = malloc(a + b * times + c + 1);

	ck_assert_ptr_nonnull(text);
	memcpy(text, head, a);
	for (size_t i = 0; i < times; i++)
		memcpy(text + a + i * b, part, b);
	memcpy(text + a + b * times, tail, c + 1);
	return text;
}

/* Nesting and counts are bounded, in stack, memory and time. */
START_TEST(deep_and_long_texts)
{
	static const struct {
		const char *head, *part, *tail;
	} cases[] = {
		{BODY("mov.u32 %r1, "), "(", "1;"},
		{BODY("mov.u32 %r1, "), "-", "1;"},
		{BODY("mov.u32 %r1, "), "1+", "1;"},
		{BODY("mov.u32 %r1, "), "1|1<<", "1;"},
		{BODY("mov.u32 %r1, "), "{", "1;"},
		{PTX_HEAD ".visible .entry k()\n{\n", "{", ""},
		{PTX_HEAD ".visible .entry k()\n{\n", "x:", ""},
		{PTX_HEAD ".global .u32 x[4] = ", "{", ""},
		{PTX_HEAD ".global .u32 x", "[2]", ";"},
		{PTX_HEAD, "/*", ""},
		{PTX_HEAD, "a", ""},
		{PTX_HEAD ".section x {", "{", ""},
		{PTX_HEAD ".func f(.param .u32 a", ", .param .u32 a", ")"},
		{PTX_HEAD ".visible .entry k()\n{\n", "bra L;", "}"},
		{PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r<4000000000>;\n",
		 "mov.u32 %r3999999999, 1;", "}"},
	};
	struct ptx_module *m;
	char log[256];
	char *text = repeated(cases[_i].head, cases[_i].part, 100000, cases[_i].tail);

	ptx_parse(text, strlen(text), 90, &m, log, sizeof(log));
	ptx_module_free(m);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_parse");
	TCase *t = tcase_create("parse");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, refusals, 0, (int)CASE_COUNT(bad));
	tcase_add_test(t, several_problems_in_one_log);
	tcase_add_test(t, a_short_log_is_terminated);
	tcase_add_test(t, targets);
	tcase_add_test(t, a_declaration_without_a_semicolon);
	tcase_add_test(t, kernel_facts);
	tcase_add_test(t, extern_variables_are_defined_later);
	tcase_add_loop_test(t, damaged_texts, 0, 2);
	tcase_add_loop_test(t, deep_and_long_texts, 0, 15);
	suite_add_tcase(s, t);
	return run_suite(s);
}
