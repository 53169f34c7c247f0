/* SPDX-License-Identifier: MIT */
/* Loads, stores and atomics in every space; faults; hostile addresses. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/simcuda/test/ptx_case.h"

#define ENTRY                                                                                      \
	PTX_HEAD ".global .align 8 .u32 gvar[4] = {1, 2, 3, 4};\n"                                 \
		 ".const .align 8 .u32 cvar[2] = {77, 78};\n"                                      \
		 ".extern .shared .align 16 .b8 dyn[];\n"                                          \
		 ".visible .entry k(.param .u64 a, .param .align 8 .b8 st[24], .param .u8 "        \
		 "small)\n{\n"                                                                     \
		 ".reg .pred %p<10>;\n.reg .b16 %h<20>;\n.reg .b32 %r<40>;\n.reg .b64 %d<40>;\n"   \
		 ".shared .align 8 .b8 sm[64];\n.local .align 8 .b8 loc[64];\n"                    \
		 "ld.param.u64 %d0, [a];\nmov.u32 %r0, %tid.x;\n"

static void open_body(struct ptx_world *w, const char *body, void **mem)
{
	static char text[16384];

	snprintf(text, sizeof(text), "%s%s\nret;\n}\n", ENTRY, body);
	world_open(w, text);
	*mem = world_alloc(w, 1024);
	w->launch.block[0] = 1;
	world_param_ptr(w, 0, *mem);
}

static void expect_words(const char *body, const uint32_t *in, size_t n_in, const uint32_t *out,
			 size_t n)
{
	struct ptx_world w;
	uint32_t *mem;

	open_body(&w, body, (void **)&mem);
	memcpy(mem, in, n_in * 4);
	for (int i = 0; i < 24; i++)
		w.params[w.launch.kernel->params[1].offset + (uint32_t)i] = (uint8_t)(i + 1);
	w.params[w.launch.kernel->params[2].offset] = 0x80;
	world_run_ok(&w);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(mem[i] == out[i], "%s: word %zu is %#x, not %#x", body, i, mem[i],
			      out[i]);
	world_close(&w);
}

START_TEST(loads_and_stores)
{
	static const uint32_t in[] = {0xdeadbeef, 2, 3, 4};

	expect_words(
		"ld.global.u8 %r1, [%d0]; ld.global.s8 %r2, [%d0+1]; ld.global.u16 %h1, [%d0+2];\n"
		"cvt.u32.u16 %r3, %h1; st.global.u32 [%d0], %r1; st.global.u32 [%d0+4], %r2;\n"
		"st.global.u32 [%d0+8], %r3;",
		in, 4, (const uint32_t[]){0xef, 0xffffffbe, 0xdead}, 3);
	expect_words("ld.global.s32 %d1, [%d0]; st.global.u64 [%d0+8], %d1; ld.global.s16 %r4, "
		     "[%d0+2];\n"
		     "st.global.b32 [%d0], %r4; st.global.u8 [%d0+4], 0xff;",
		     in, 4, (const uint32_t[]){0xffffdead, 0xff, 0xdeadbeef, 0xffffffff}, 4);
	expect_words("ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%d0];\n"
		     "st.global.v2.u32 [%d0], {%r4, %r3}; st.global.v2.b32 [%d0+8], {%r2, 9};",
		     in, 4, (const uint32_t[]){4, 3, 2, 9}, 4);
	expect_words("ld.global.v2.u64 {%d1,%d2}, [%d0]; st.v2.u64 [%d0], {%d2, %d1};", in, 4,
		     (const uint32_t[]){3, 4, 0xdeadbeef, 2}, 4);
	expect_words("ld.global.v4.u8 {%h1,%h2,%h3,%h4}, [%d0]; st.global.v4.u8 [%d0], "
		     "{%h4,%h3,%h2,%h1};",
		     in, 4, (const uint32_t[]){0xefbeadde}, 1);
	expect_words(
		"ld.volatile.global.u32 %r1, [%d0+4]; ld.relaxed.gpu.global.u32 %r2, [%d0+8];\n"
		"ld.acquire.sys.u32 %r3, [%d0+12]; ld.global.nc.L1::no_allocate.u32 %r4, [%d0];\n"
		"add.u32 %r1, %r1, %r2; add.u32 %r1, %r1, %r3; st.release.cta.global.u32 [%d0], "
		"%r1;\n"
		"ldu.global.u32 %r5, [%d0]; st.global.wt.u32 [%d0+4], %r5; st.global.cg.u32 "
		"[%d0+8], %r4;\n"
		"prefetch.global.L2 [%d0]; prefetchu.L1 [%d0]; membar.gl; fence.acq_rel.gpu; "
		"fence.sc.sys;",
		in, 4, (const uint32_t[]){9, 9, 0xdeadbeef}, 3);
	expect_words("ld.global.u32 %r1, [gvar+4]; ld.const.u32 %r2, [cvar+4]; mov.u64 %d1, gvar;\n"
		     "ld.global.u32 %r3, [%d1+12]; mov.u64 %d2, cvar; ld.const.u32 %r4, [%d2];\n"
		     "st.global.v4.u32 [%d0], {%r1,%r2,%r3,%r4};",
		     in, 4, (const uint32_t[]){2, 78, 4, 77}, 4);
}
END_TEST

START_TEST(spaces)
{
	static const uint32_t in[] = {1, 2, 3, 4};

	expect_words("mov.u32 %r1, 0x11223344; st.shared.u32 [sm+8], %r1; mov.u64 %d1, sm;\n"
		     "cvta.shared.u64 %d2, %d1; ld.u8 %r2, [%d2+9]; cvta.to.shared.u64 %d3, %d2;\n"
		     "ld.shared.u16 %h1, [%d3+10]; cvt.u32.u16 %r3, %h1; mov.u32 %r4, sm;\n"
		     "ld.shared.u32 %r4, [%r4+8]; st.global.v2.u32 [%d0], {%r2,%r3}; st.global.u32 "
		     "[%d0+8], %r4;",
		     in, 4, (const uint32_t[]){0x33, 0x1122, 0x11223344}, 3);
	expect_words(
		"mov.u64 %d1, 0x1122334455667788; st.local.u64 [loc+8], %d1; mov.u64 %d2, loc;\n"
		"ld.local.u32 %r1, [%d2+12]; cvta.local.u64 %d3, %d2; ld.u16 %h1, [%d3+10];\n"
		"cvt.u32.u16 %r2, %h1; st.u8 [%d3+8], 0xee; ld.local.v2.u32 {%r3,%r4}, [loc+8];\n"
		"st.global.v4.u32 [%d0], {%r1,%r2,%r3,%r4};",
		in, 4, (const uint32_t[]){0x11223344, 0x5566, 0x556677ee, 0x11223344}, 4);
	expect_words("ld.param.u32 %r1, [st+4]; mov.b64 %d1, st; ld.param.u8 %r2, [%d1+23];\n"
		     "ld.param.s8 %r3, [small]; ld.param.v2.u32 {%r4,%r5}, [st+16];\n"
		     "st.global.v4.u32 [%d0], {%r1,%r2,%r3,%r5};",
		     in, 4, (const uint32_t[]){0x08070605, 24, 0xffffff80, 0x18171615}, 4);
	expect_words(
		"cvta.param.u64 %d1, st; ld.u32 %r1, [%d1]; mov.u64 %d2, sm; cvta.shared.u64 %d2, "
		"%d2;\n"
		"mov.u64 %d3, loc; cvta.local.u64 %d3, %d3; isspacep.shared %p0, %d2;\n"
		"isspacep.local %p1, %d3; isspacep.global %p2, %d0; isspacep.shared %p3, %d0;\n"
		"isspacep.global %p4, %d2; selp.u32 %r2, 1, 0, %p0; @%p1 add.u32 %r2, %r2, 10;\n"
		"@%p2 add.u32 %r2, %r2, 100; @%p3 add.u32 %r2, %r2, 1000; @%p4 add.u32 %r2, %r2, "
		"1000;\n"
		"st.global.v2.u32 [%d0], {%r1,%r2};",
		in, 4, (const uint32_t[]){0x04030201, 111}, 2);
}
END_TEST

START_TEST(atomic_operations)
{
	static const uint32_t in[] = {10, 20, 0x3f800000, 0x40000000, 0, 0x40000000, 5, 6};

	expect_words("atom.global.add.u32 %r1, [%d0], 5; atom.global.exch.b32 %r2, [%d0+4], %r1;\n"
		     "atom.global.add.f32 %r3, [%d0+8], 0f3F800000; st.global.u32 [%d0+12], %r2;",
		     in, 4, (const uint32_t[]){15, 10, 0x40000000, 20}, 4);
	expect_words("atom.global.cas.b32 %r1, [%d0], 10, 11; atom.global.cas.b32 %r2, [%d0+4], "
		     "10, 11;\n"
		     "st.global.v2.u32 [%d0+8], {%r1, %r2};",
		     in, 4, (const uint32_t[]){11, 20, 10, 20}, 4);
	expect_words(
		"red.global.max.s32 [%d0], -1; red.min.u32 [%d0+4], 3; red.global.and.b32 [%d0+8], "
		"0xff;\n"
		"red.relaxed.gpu.global.or.b32 [%d0+12], 1; red.global.xor.b32 [%d0+24], 4;\n"
		"red.global.add.f64 [%d0+16], 0d4000000000000000; red.global.inc.u32 [%d0+28], 6;",
		in, 8, (const uint32_t[]){10, 3, 0, 0x40000001, 0, 0x40100000, 1, 0}, 8);
	expect_words("mov.u64 %d1, 5; atom.global.add.u64 %d2, [%d0], %d1; atom.max.s64 %d3, "
		     "[%d0+8], -1;\n"
		     "atom.global.cas.b64 %d4, [%d0+16], 0x4000000000000000, %d1;\n"
		     "atom.global.dec.u32 %r1, [%d0+24], 9; atom.acq_rel.gpu.global.exch.b64 %d5, "
		     "[%d0], %d4;",
		     in, 8, (const uint32_t[]){0, 0x40000000, 0x3f800000, 0x40000000, 5, 0, 4}, 7);
	expect_words("mov.u32 %r1, 0x3c003c00; atom.global.add.noftz.f16x2 %r2, [%d0+8], %r1;\n"
		     "mov.u16 %h1, 0x3c00; atom.global.add.noftz.f16 %h2, [%d0+16], %h1;\n"
		     "atom.global.cas.b16 %h3, [%d0+18], 0, 7;",
		     in, 8, (const uint32_t[]){10, 20, 0x41c03c00, 0x40000000, 0x00073c00}, 5);
	expect_words(
		"st.shared.u32 [sm], 3; atom.shared.add.u32 %r1, [sm], 4; mov.u64 %d1, sm;\n"
		"cvta.shared.u64 %d1, %d1; atom.add.u32 %r2, [%d1], 1; ld.shared.u32 %r3, [sm];\n"
		"st.local.u32 [loc], 8; mov.u64 %d2, loc; cvta.local.u64 %d2, %d2;\n"
		"atom.add.u32 %r4, [%d2], 1; ld.local.u32 %r5, [loc]; add.u32 %r4, %r4, %r5;\n"
		"st.global.v4.u32 [%d0], {%r1,%r2,%r3,%r4};",
		in, 4, (const uint32_t[]){3, 7, 8, 17}, 4);
}
END_TEST

static const struct {
	const char *body;
	enum ptx_fault_kind kind;
} faults[] = {
	{"mov.u64 %d1, 0; ld.global.u32 %r1, [%d1];", PTX_FAULT_ADDRESS},
	{"ld.global.u32 %r1, [%d0+1000000000];", PTX_FAULT_ADDRESS},
	{"st.global.u32 [%d0+100000000], %r0;", PTX_FAULT_ADDRESS},
	{"ld.u32 %r1, [%d0+-1000000000];", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, -4; ld.u64 %d2, [%d1];", PTX_FAULT_MISALIGNED},
	{"mov.u64 %d1, -8; ld.u64 %d2, [%d1];", PTX_FAULT_ADDRESS},
	{"ld.global.u32 %r1, [%d0+2];", PTX_FAULT_MISALIGNED},
	{"st.global.u16 [%d0+1], 3;", PTX_FAULT_MISALIGNED},
	{"ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%d0+8];", PTX_FAULT_MISALIGNED},
	{"ld.global.v2.u64 {%d1,%d2}, [%d0+8];", PTX_FAULT_MISALIGNED},
	{"atom.global.add.u32 %r1, [%d0+2], 1;", PTX_FAULT_MISALIGNED},
	{"atom.add.u64 %d1, [%d0+1000000000], 1;", PTX_FAULT_ADDRESS},
	{"red.shared.add.u32 [sm+100000], 1;", PTX_FAULT_ADDRESS},
	{"mov.u32 %r1, 0x7fffffff; ld.shared.u8 %r2, [%r1];", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, -1; ld.shared.u8 %r2, [%d1];", PTX_FAULT_ADDRESS},
	{"st.shared.u32 [sm+2], 1;", PTX_FAULT_MISALIGNED},
	{"mov.u64 %d1, dyn; st.shared.u32 [%d1], 1;", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, loc; st.local.u32 [%d1+100000], 1;", PTX_FAULT_ADDRESS},
	{"ld.local.u64 %d1, [loc+4];", PTX_FAULT_MISALIGNED},
	{"mov.u64 %d1, 0x2000000000100000; ld.u32 %r1, [%d1];", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, 0x1fffffffffffffff; ld.u8 %r1, [%d1];", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, 0x4000000000000010; ld.u32 %r1, [%d1];", PTX_FAULT_ADDRESS},
	{"mov.u64 %d1, 0x9000000000000010; st.u32 [%d1], %r1;", PTX_FAULT_ADDRESS},
	{"mov.b64 %d1, st; ld.param.u32 %r1, [%d1+4000];", PTX_FAULT_ADDRESS},
	{"mov.b64 %d1, 0x100000; ld.param.u32 %r1, [%d1];", PTX_FAULT_ADDRESS},
	{"ld.param.u32 %r1, [st+10000];", PTX_FAULT_ADDRESS},
	{"ld.param.u32 %r1, [st+2];", PTX_FAULT_MISALIGNED},
	{"mov.b64 %d1, st; st.param.u32 [%d1], 1;", PTX_FAULT_ADDRESS},
	{"cvta.param.u64 %d1, st; st.u32 [%d1], 1;", PTX_FAULT_ADDRESS},
	{"cvta.param.u64 %d1, st; atom.add.u32 %r1, [%d1], 1;", PTX_FAULT_ADDRESS},
	{"trap;", PTX_FAULT_TRAP},
	{"brkpt;", PTX_FAULT_TRAP},
	{"bar.sync 16;", PTX_FAULT_INSTRUCTION},
	{"bar.sync 0, 33;", PTX_FAULT_INSTRUCTION},
	{"t: .branchtargets A, B; mov.u32 %r1, 2; brx.idx %r1, t; A: B:", PTX_FAULT_INSTRUCTION},
};

START_TEST(bad_accesses_fault)
{
	struct ptx_fault f;
	struct ptx_world w;
	void *mem;

	open_body(&w, faults[_i].body, &mem);
	ck_assert_msg(world_run(&w, &f) == PTX_FAULTED, "%s", faults[_i].body);
	ck_assert_msg(f.kind == faults[_i].kind, "%s: kind %d", faults[_i].body, f.kind);
	ck_assert_uint_eq(f.line, 17);
	world_close(&w);
}
END_TEST

START_TEST(a_fault_names_its_thread)
{
	struct ptx_fault f;
	struct ptx_world w;
	uint32_t *mem;

	open_body(&w,
		  "mul.wide.u32 %d1, %r0, 4096;\nadd.u64 %d1, %d1, %d0;\nst.global.u32 [%d1], %r0;",
		  (void **)&mem);
	w.launch.block[0] = 1024;
	w.launch.grid[0] = 2;
	world_alloc(&w, 40 * 4096 + 512 - 1024);
	ck_assert_int_eq(world_run(&w, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, PTX_FAULT_ADDRESS);
	ck_assert_uint_eq(f.thread[0], 41);
	ck_assert_uint_eq(f.cta[0], 0);
	ck_assert_uint_eq(f.address, (uintptr_t)mem + 41 * 4096);
	ck_assert_uint_eq(f.line, 19);
	world_close(&w);
}
END_TEST

START_TEST(dynamic_shared_memory)
{
	struct ptx_world w;
	uint32_t *mem;

	open_body(&w,
		  "mov.u64 %d1, dyn; st.shared.u32 [%d1+60], 9; st.shared.u32 [sm], 8;\n"
		  "ld.shared.u32 %r1, [dyn+60]; mov.u32 %r2, %dynamic_smem_size; mov.u32 %r3, "
		  "%total_smem_size;\n"
		  "st.global.v2.u32 [%d0], {%r1, %r2}; st.global.u32 [%d0+8], %r3;",
		  (void **)&mem);
	w.launch.dynamic_shared = 64;
	world_run_ok(&w);
	ck_assert_uint_eq(mem[0], 9);
	ck_assert_uint_eq(mem[1], 64);
	ck_assert_uint_eq(mem[2], 128);
	ck_assert_uint_eq(w.launch.kernel->shared_bytes, 64);
	world_close(&w);
}
END_TEST

/* An allowed range is checked once in a step, not for each access. */
START_TEST(ranges_are_remembered)
{
	struct ptx_world w;
	void *mem;

	open_body(&w,
		  "mov.u32 %r1, 1000;\nL: ld.global.u32 %r2, [%d0];\nst.global.u32 [%d0+4], %r2;\n"
		  "sub.u32 %r1, %r1, 1;\nsetp.ne.u32 %p0, %r1, 0;\n@%p0 bra L;",
		  &mem);
	world_run_ok(&w);
	ck_assert_uint_le(w.checks, 4);
	world_close(&w);
}
END_TEST

#define FUNCTIONS                                                                                  \
	PTX_HEAD ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"         \
		 ".func (.param .b32 r) deep(.param .b32 n)\n{\n.local .align 4 .b8 x[64];\n.reg " \
		 ".b32 %a<9>;\n"                                                                   \
		 ".reg .pred %p;\nld.param.u32 %a1, [n];\nsetp.eq.u32 %p, %a1, 0;\n@%p bra E;\n"   \
		 "sub.u32 %a2, %a1, 1;\nst.local.u32 [x+32], %a1;\n{ .param .b32 p0; .param .b32 " \
		 "q0;\n"                                                                           \
		 "st.param.b32 [p0+0], %a2;\ncall.uni (q0), deep, (p0);\nld.param.b32 %a3, "       \
		 "[q0+0]; }\n"                                                                     \
		 "ld.local.u32 %a4, [x+32];\nadd.u32 %a5, %a3, %a4;\nst.param.b32 [r+0], "         \
		 "%a5;\nret;\n"                                                                    \
		 "E: st.param.b32 [r+0], 0;\nret;\n}\n"                                            \
		 ".func (.reg .u32 r) add3(.reg .u32 a, .reg .u32 b)\n{\nadd.u32 r, a, b;\n"       \
		 "add.u32 r, r, 3;\nret;\n}\n"                                                     \
		 ".func (.param .b32 r) neg1(.param .b32 a)\n{\n.reg .u32 %x;\nld.param.u32 %x, "  \
		 "[a];\n"                                                                          \
		 "neg.s32 %x, %x;\nst.param.b32 [r], %x;\nret;\n}\n"                               \
		 ".global .align 8 .u64 table[2] = {neg1, deep};\n"                                \
		 ".visible .entry k(.param .u64 out, .param .u32 n)\n{\n.reg .b32 %r<20>;\n.reg "  \
		 ".b64 %d<20>;\n"                                                                  \
		 ".reg .pred %p<4>;\nld.param.u64 %d0, [out];\nld.param.u32 %r9, [n];\nmov.u32 "   \
		 "%r0, %tid.x;\n"                                                                  \
		 "mul.wide.u32 %d1, %r0, 4;\nadd.u64 %d1, %d1, %d0;\n"

static enum ptx_step run_functions(const char *body, uint32_t n, uint32_t out[64],
				   struct ptx_fault *f)
{
	static char text[16384];
	struct ptx_world w;
	enum ptx_step s;
	uint32_t *mem;

	snprintf(text, sizeof(text), "%s%s\nst.global.u32 [%%d1], %%r1;\nret;\n}\n", FUNCTIONS,
		 body);
	world_open(&w, text);
	mem = world_alloc(&w, 256);
	w.launch.block[0] = 64;
	world_param_ptr(&w, 0, mem);
	world_param_u32(&w, 1, n);
	s = world_run(&w, f);
	memcpy(out, mem, 256);
	world_close(&w);
	return s;
}

#define CALL_DEEP                                                                                  \
	"{ .param .b32 p; .param .b32 q; st.param.b32 [p], %r2;\n"                                 \
	"call (q), deep, (p); ld.param.b32 %r1, [q]; }"

START_TEST(calls)
{
	struct ptx_fault f;
	uint32_t out[64];

	ck_assert_int_eq(run_functions("mov.u32 %r2, %r0;\n" CALL_DEEP, 0, out, &f), PTX_DONE);
	for (uint32_t t = 0; t < 64; t++)
		ck_assert_uint_eq(out[t], t * (t + 1) / 2);
	ck_assert_int_eq(run_functions("call (%r1), add3, (%r0, 10);", 0, out, &f), PTX_DONE);
	for (uint32_t t = 0; t < 64; t++)
		ck_assert_uint_eq(out[t], t + 13);
	ck_assert_int_eq(
		run_functions("and.b32 %r3, %r0, 1; mul.wide.u32 %d2, %r3, 8; mov.u64 %d3, table;\n"
			      "add.u64 %d2, %d2, %d3; ld.global.u64 %d4, [%d2];\n"
			      "{ .param .b32 p; .param .b32 q; st.param.b32 [p], %r0;\n"
			      "proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
			      "call (q), %d4, (p), proto; ld.param.b32 %r1, [q]; }",
			      0, out, &f),
		PTX_DONE);
	for (uint32_t t = 0; t < 64; t++)
		ck_assert_uint_eq(out[t], t & 1 ? t * (t + 1) / 2 : 0 - t);
	ck_assert_int_eq(run_functions("setp.gt.u32 %p0, %r0, 9; mov.u32 %r1, 5;\n"
				       "@%p0 call (%r1), add3, (%r0, 10);",
				       0, out, &f),
			 PTX_DONE);
	for (uint32_t t = 0; t < 64; t++)
		ck_assert_uint_eq(out[t], t > 9 ? t + 13 : 5);
}
END_TEST

/* At module scope: one for each thread, below the frames of all functions. */
START_TEST(local_variables_of_a_module)
{
	static const char text[] = PTX_HEAD
		".local .align 4 .b8 pad[12];\n.local .align 8 .u64 own;\n.local .u64 second;\n"
		".func down(.param .b32 n)\n{\n.local .align 4 .b8 x[32];\n"
		".reg .b32 %a<5>;\n.reg .b64 %b<4>;\n.reg .pred %p;\n"
		"ld.param.u32 %a1, [n];\nst.local.u32 [x], -1;\nst.local.u32 [x+28], -1;\n"
		"ld.local.u64 %b1, [own];\nadd.u64 %b1, %b1, 1;\nst.local.u64 [own], %b1;\n"
		"sub.u32 %a1, %a1, 1;\nsetp.eq.u32 %p, %a1, 0;\n@%p ret;\n"
		"{ .param .b32 q; st.param.b32 [q], %a1; call down, (q); }\nret;\n}\n"
		".visible .entry k(.param .u64 out)\n{\n.local .align 8 .b8 mine[8];\n"
		".reg .b32 %r<5>;\n.reg .b64 %d<9>;\n"
		"ld.param.u64 %d0, [out];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %d1, %r0, 8;\n"
		"add.u64 %d0, %d0, %d1;\ncvt.u64.u32 %d2, %r0;\nst.local.u64 [mine], %d2;\n"
		"mov.u64 %d3, own;\ncvta.local.u64 %d4, %d3;\nst.u64 [%d4], %d2;\n"
		"st.local.u64 [%d3+8], 5000;\n"
		"{ .param .b32 q; st.param.b32 [q], 6; call down, (q); }\n"
		"ld.local.u64 %d5, [own];\nld.local.u64 %d6, [second];\nld.local.u64 %d7, [mine];\n"
		"mul.lo.u64 %d7, %d7, 100000;\nadd.u64 %d5, %d5, %d6;\nadd.u64 %d5, %d5, %d7;\n"
		"st.global.u64 [%d0], %d5;\nret;\n}\n";
	struct ptx_world w;
	uint64_t *mem;

	world_open(&w, text);
	ck_assert_uint_ge(w.launch.kernel->local_bytes, 32 + 32 + 8);
	mem = world_alloc(&w, 64 * sizeof(*mem));
	w.launch.block[0] = 64;
	world_param_ptr(&w, 0, mem);
	world_run_ok(&w);
	for (uint64_t t = 0; t < 64; t++)
		ck_assert_uint_eq(mem[t], t + 6 + 5000 + t * 100000);
	world_close(&w);
	expect_invalid(PTX_HEAD ".visible .local .u32 x;\n",
		       "line 4: a .local variable is of one text alone");
	expect_invalid(PTX_HEAD ".local .u32 x = 1;\n", "line 4: 'x' cannot have an initial value");
	expect_invalid(PTX_HEAD ".local .b8 x[600000];\n",
		       "line 4: the local memory of 'x' is too big");
	expect_invalid(PTX_HEAD ".local .u32 x;\n.global .u64 y = x;\n",
		       "line 5: initial value of 'y' refers to unknown 'x'");
}
END_TEST

START_TEST(calls_that_fault)
{
	static const char *const bad[] = {"mov.u64 %d4, 0;", "mov.u64 %d4, 0x4000000000000008;",
					  "mov.u64 %d4, 0x4000000000100000;", "mov.u64 %d4, k;",
					  "mov.u64 %d4, add3;"};
	struct ptx_fault f;
	uint32_t out[64];
	char body[512];

	ck_assert_int_eq(run_functions("mov.u32 %r2, -1;\n" CALL_DEEP, 0, out, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, PTX_FAULT_STACK);
	for (size_t i = 0; i < CASE_COUNT(bad); i++) {
		snprintf(body, sizeof(body),
			 "%s\n{ .param .b32 p; .param .b32 q; proto: .callprototype (.param .b32 "
			 "_) _ "
			 "(.param .b32 _);\ncall (q), %%d4, (p), proto; }",
			 bad[i]);
		ck_assert_int_eq(run_functions(body, 0, out, &f), PTX_FAULTED);
		ck_assert_int_eq(f.kind, PTX_FAULT_INSTRUCTION);
	}
}
END_TEST

static atomic_bool stops;

/* Another block's thread, as it were. */
static void *count_up(void *word)
{
	while (!atomic_load(&stops))
		__atomic_fetch_add((uint32_t *)word, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* All lanes get the same value from one address, also while another block writes there: code of
 * GCC's for OpenMP rests on that. Half of the lanes, too. */
START_TEST(lanes_that_load_one_word)
{
	const char *body =
		"add.u64 %d1, %d0, 256; mov.u32 %r1, 0; mov.u32 %r2, 0;\n"
		"setp.lt.u32 %p2, %r0, 16;\n"
		"again: ld.volatile.global.u32 %r3, [%d0];\n"
		"shfl.sync.idx.b32 %r4, %r3, 0, 31, -1; setp.ne.u32 %p0, %r3, %r4;\n"
		"@%p0 add.u32 %r1, %r1, 1;\n"
		"mov.u32 %r5, 0; mov.u32 %r6, 0;\n"
		"@%p2 ld.volatile.global.u32 %r5, [%d0];\n"
		"shfl.sync.idx.b32 %r6, %r5, 0, 31, -1; setp.ne.and.u32 %p0, %r5, %r6, %p2;\n"
		"@%p0 add.u32 %r1, %r1, 1;\n"
		"add.u32 %r2, %r2, 1; setp.lt.u32 %p1, %r2, 1000000; @%p1 bra again;\n"
		"mul.wide.u32 %d2, %r0, 4; add.u64 %d1, %d1, %d2; st.global.u32 [%d1], %r1;";
	struct ptx_world w;
	uint32_t before, *mem;
	pthread_t other;

	open_body(&w, body, (void **)&mem);
	w.launch.block[0] = 32;
	atomic_store(&stops, false);
	ck_assert_int_eq(pthread_create(&other, NULL, count_up, mem), 0);
	do {
		before = __atomic_load_n(mem, __ATOMIC_RELAXED);
		world_run_ok(&w);
	} while (__atomic_load_n(mem, __ATOMIC_RELAXED) - before < 1000);
	atomic_store(&stops, true);
	pthread_join(other, NULL);
	for (int i = 0; i < 32; i++)
		ck_assert_msg(!mem[64 + i], "lane %d: %u of 2000000 differ", i, mem[64 + i]);
	world_close(&w);
}
END_TEST

START_TEST(relocated_initial_values)
{
	struct ptx_world w;
	uint64_t *v, a;
	uint8_t *packed;

	world_open(&w, PTX_HEAD ".global .align 4 .u32 a[3] = {1, 2, 3};\n"
				".global .align 8 .u64 p[3] = {a, generic(a)+8, a-4};\n"
				".global .align 8 .b8 q[9] = {0xFF(a), 0xFF00(generic(a)), 7};\n"
				".global .f32 f[2] = {0f3F800000, -1.5};\n.global .f64 g = 2.5;\n"
				".global .u16 h[2][2] = {{1,2},{3}};\n.global .s8 n = -1;\n"
				".weak .global .align 16 .b8 empty[100];\n"
				".visible .entry k()\n{\nret;\n}\n");
	a = (uintptr_t)w.mem;
	v = (uint64_t *)(w.mem + 256);
	packed = w.mem + 512;
	ck_assert_uint_eq(v[0], a);
	ck_assert_uint_eq(v[1], a + 8);
	ck_assert_uint_eq(v[2], a - 4);
	ck_assert_uint_eq(packed[0], a & 255);
	ck_assert_uint_eq(packed[1], a >> 8 & 255);
	ck_assert_uint_eq(packed[2], 7);
	ck_assert_mem_eq(w.mem + 768, ((const uint32_t[]){0x3f800000, 0xbfc00000}), 8);
	ck_assert_mem_eq(w.mem + 1024, ((const double[]){2.5}), 8);
	ck_assert_mem_eq(w.mem + 1280, ((const uint16_t[]){1, 2, 3, 0}), 8);
	ck_assert_uint_eq(w.mem[1536], 255);
	ck_assert_str_eq(ptx_global_at(w.m, 7)->name, "empty");
	ck_assert_uint_eq(ptx_global_at(w.m, 7)->size, 100);
	ck_assert_uint_eq(ptx_global_at(w.m, 7)->align, 16);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_memory");
	TCase *t = tcase_create("memory");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, loads_and_stores);
	tcase_add_test(t, spaces);
	tcase_add_test(t, atomic_operations);
	tcase_add_loop_test(t, bad_accesses_fault, 0, (int)CASE_COUNT(faults));
	tcase_add_test(t, a_fault_names_its_thread);
	tcase_add_test(t, dynamic_shared_memory);
	tcase_add_test(t, ranges_are_remembered);
	tcase_add_test(t, calls);
	tcase_add_test(t, local_variables_of_a_module);
	tcase_add_test(t, calls_that_fault);
	tcase_add_test(t, lanes_that_load_one_word);
	tcase_add_test(t, relocated_initial_values);
	suite_add_tcase(s, t);
	return run_suite(s);
}
