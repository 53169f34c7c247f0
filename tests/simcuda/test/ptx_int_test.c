/* SPDX-License-Identifier: MIT */
/* Integer, logic and data movement instructions with their edge cases. */
#include "tests/simcuda/test/ptx_case.h"

#define M1 0xffffffffffffffffull

START_TEST(arithmetic)
{
	static const struct insn_case cases[] = {
		{"add.u32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 0, 'w'},
		{"add.s32 %w3, %w0, -1;", 5, 0, 0, 4, 'w'},
		{"add.u16 %h3, %h0, %h1;", 0xffff, 2, 0, 1, 'h'},
		{"add.u64 %d3, %d0, %d1;", M1, 1, 0, 0, 'd'},
		{"add.sat.s32 %w3, %w0, %w1;", 0x7fffffff, 1, 0, 0x7fffffff, 'w'},
		{"add.sat.s32 %w3, %w0, %w1;", 0x80000000, M1, 0, 0x80000000, 'w'},
		{"sub.sat.s32 %w3, %w0, %w1;", 0x80000000, 1, 0, 0x80000000, 'w'},
		{"sub.u16 %h3, %h0, %h1;", 1, 2, 0, 0xffff, 'h'},
		{"sub.s64 %d3, %d0, %d1;", 1, 2, 0, M1, 'd'},
		{"mul.lo.u16 %h3, %h0, %h1;", 0xffff, 0xffff, 0, 1, 'h'},
		{"mul.lo.s32 %w3, %w0, %w1;", 0x10001, 0x10001, 0, 0x20001, 'w'},
		{"mul.lo.s64 %d3, %d0, %d1;", 1ull << 33, 1ull << 31, 0, 0, 'd'},
		{"mul.hi.u16 %h3, %h0, %h1;", 0xffff, 0xffff, 0, 0xfffe, 'h'},
		{"mul.hi.s16 %h3, %h0, %h1;", 0xffff, 2, 0, 0xffff, 'h'},
		{"mul.hi.u32 %w3, %w0, %w1;", 0xffffffff, 0xffffffff, 0, 0xfffffffe, 'w'},
		{"mul.hi.s32 %w3, %w0, %w1;", 0xffffffff, 0xffffffff, 0, 0, 'w'},
		{"mul.hi.u64 %d3, %d0, %d1;", M1, M1, 0, M1 - 1, 'd'},
		{"mul.hi.s64 %d3, %d0, %d1;", M1, 5, 0, M1, 'd'},
		{"mul.wide.u16 %w3, %h0, %h1;", 0xffff, 0xffff, 0, 0xfffe0001, 'w'},
		{"mul.wide.s16 %w3, %h0, %h1;", 0xffff, 3, 0, 0xfffffffd, 'w'},
		{"mul.wide.u32 %d3, %w0, %w1;", 0xffffffff, 16, 0, 0xffffffff0ull, 'd'},
		{"mul.wide.s32 %d3, %w0, 4;", 0xffffffff, 0, 0, M1 - 3, 'd'},
		{"mad.lo.s32 %w3, %w0, %w1, %w2;", 3, 5, 7, 22, 'w'},
		{"mad.lo.u16 %h3, %h0, %h1, %h2;", 300, 300, 1, (90001 & 0xffff), 'h'},
		{"mad.lo.u64 %d3, %d0, %d1, %d2;", 1ull << 40, 3, 9, (3ull << 40) + 9, 'd'},
		{"mad.wide.u32 %d3, %w0, %w1, %d2;", 0xffffffff, 2, 1, 0x1ffffffffull, 'd'},
		{"mad.wide.s32 %d3, %w0, %w1, %d2;", 0xffffffff, 2, 1, M1, 'd'},
		{"mad.wide.s16 %w3, %h0, %h1, %w2;", 0xffff, 2, 1, 0xffffffff, 'w'},
		{"mad.hi.u32 %w3, %w0, %w1, %w2;", 0x80000000, 4, 3, 5, 'w'},
		{"mad.hi.sat.s32 %w3, %w0, %w1, %w2;", 0x7fffffff, 0x7fffffff, 0x7fffffff,
		 0x7fffffff, 'w'},
		{"mul24.lo.u32 %w3, %w0, %w1;", 0xff000003, 5, 0, 15, 'w'},
		{"mul24.lo.s32 %w3, %w0, %w1;", 0x00ffffff, 5, 0, 0xfffffffb, 'w'},
		{"mul24.hi.u32 %w3, %w0, %w1;", 0xffffff, 0xffffff, 0, 0xfffffe00, 'w'},
		{"mad24.lo.s32 %w3, %w0, %w1, %w2;", 7, 6, 1, 43, 'w'},
		{"neg.s32 %w3, %w0;", 0x80000000, 0, 0, 0x80000000, 'w'},
		{"neg.s16 %h3, %h0;", 1, 0, 0, 0xffff, 'h'},
		{"abs.s32 %w3, %w0;", 0x80000000, 0, 0, 0x80000000, 'w'},
		{"abs.s64 %d3, %d0;", M1, 0, 0, 1, 'd'},
		{"abs.s16 %h3, %h0;", 0xfffe, 0, 0, 2, 'h'},
		{"min.s32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 0xffffffff, 'w'},
		{"min.u32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 1, 'w'},
		{"max.s64 %d3, %d0, %d1;", M1, 1, 0, 1, 'd'},
		{"max.u64 %d3, %d0, %d1;", M1, 1, 0, M1, 'd'},
		{"max.s16 %h3, %h0, %h1;", 0x8000, 0x7fff, 0, 0x7fff, 'h'},
		{"sad.u32 %w3, %w0, %w1, %w2;", 3, 10, 100, 107, 'w'},
		{"sad.s32 %w3, %w0, %w1, %w2;", 0xffffffff, 1, 100, 102, 'w'},
		{"sad.s16 %h3, %h0, %h1, %h2;", 0xfffe, 3, 1, 6, 'h'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(division)
{
	static const struct insn_case cases[] = {
		{"div.u32 %w3, %w0, %w1;", 100, 7, 0, 14, 'w'},
		{"div.u32 %w3, %w0, %w1;", 100, 0, 0, 0xffffffff, 'w'},
		{"rem.u32 %w3, %w0, %w1;", 100, 0, 0, 100, 'w'},
		{"div.s32 %w3, %w0, %w1;", 0xffffff9c, 7, 0, 0xfffffff2, 'w'},
		{"div.s32 %w3, %w0, %w1;", 0x80000000, 0xffffffff, 0, 0x80000000, 'w'},
		{"rem.s32 %w3, %w0, %w1;", 0x80000000, 0xffffffff, 0, 0, 'w'},
		{"rem.s32 %w3, %w0, %w1;", 0xfffffff9, 4, 0, 0xfffffffd, 'w'},
		{"div.s64 %d3, %d0, %d1;", 1ull << 63, M1, 0, 1ull << 63, 'd'},
		{"div.u64 %d3, %d0, %d1;", M1, 10, 0, M1 / 10, 'd'},
		{"rem.u64 %d3, %d0, %d1;", M1, 10, 0, 5, 'd'},
		{"div.s16 %h3, %h0, %h1;", 0x8000, 0xffff, 0, 0x8000, 'h'},
		{"rem.u16 %h3, %h0, %h1;", 1000, 7, 0, 6, 'h'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(logic_and_shifts)
{
	static const struct insn_case cases[] = {
		{"and.b32 %w3, %w0, %w1;", 0xff00ff, 0x0ff0ff0, 0, 0xff00f0, 'w'},
		{"or.b16 %h3, %h0, %h1;", 0xf0, 0x0f, 0, 0xff, 'h'},
		{"xor.b64 %d3, %d0, %d1;", M1, 1, 0, M1 - 1, 'd'},
		{"not.b32 %w3, %w0;", 0, 0, 0, 0xffffffff, 'w'},
		{"cnot.b32 %w3, %w0;", 0, 0, 0, 1, 'w'},
		{"cnot.b64 %d3, %d0;", 1ull << 40, 0, 0, 0, 'd'},
		{"and.pred %p3, %p0, %p1;", 1, 0, 0, 0, 'p'},
		{"or.pred %p3, %p0, %p1;", 1, 0, 0, 1, 'p'},
		{"xor.pred %p3, %p0, !%p1;", 1, 0, 0, 0, 'p'},
		{"not.pred %p3, %p1;", 1, 0, 0, 1, 'p'},
		{"mov.pred %p3, %p0;", 1, 0, 0, 1, 'p'},
		{"mov.pred %p3, -1;", 0, 0, 0, 1, 'p'},
		{"shl.b32 %w3, %w0, %w1;", 1, 31, 0, 0x80000000, 'w'},
		{"shl.b32 %w3, %w0, %w1;", 1, 32, 0, 0, 'w'},
		{"shl.b32 %w3, %w0, %w1;", 1, 0xffffffff, 0, 0, 'w'},
		{"shl.b16 %h3, %h0, %w1;", 1, 16, 0, 0, 'h'},
		{"shl.b16 %h3, %h0, 4;", 0xffff, 0, 0, 0xfff0, 'h'},
		{"shl.b64 %d3, %d0, %w1;", 1, 63, 0, 1ull << 63, 'd'},
		{"shl.b64 %d3, %d0, %w1;", 1, 64, 0, 0, 'd'},
		{"shr.u32 %w3, %w0, %w1;", 0x80000000, 31, 0, 1, 'w'},
		{"shr.u32 %w3, %w0, %w1;", 0x80000000, 40, 0, 0, 'w'},
		{"shr.s32 %w3, %w0, %w1;", 0x80000000, 40, 0, 0xffffffff, 'w'},
		{"shr.s32 %w3, %w0, %w1;", 0x40000000, 30, 0, 1, 'w'},
		{"shr.s64 %d3, %d0, %w1;", 1ull << 63, 100, 0, M1, 'd'},
		{"shr.b64 %d3, %d0, %w1;", 1ull << 63, 63, 0, 1, 'd'},
		{"shr.s16 %h3, %h0, %w1;", 0x8000, 3, 0, 0xf000, 'h'},
		{"shf.l.wrap.b32 %w3, %w0, %w1, %w2;", 0x80000001, 0x12345678, 36, 0x23456788, 'w'},
		{"shf.l.clamp.b32 %w3, %w0, %w1, %w2;", 0x80000001, 0x12345678, 36, 0x80000001,
		 'w'},
		{"shf.r.wrap.b32 %w3, %w0, %w1, %w2;", 0x12345678, 0xabcdef01, 4, 0x11234567, 'w'},
		{"shf.r.clamp.b32 %w3, %w0, %w1, %w2;", 0x12345678, 0xabcdef01, 99, 0xabcdef01,
		 'w'},
		{"lop3.b32 %w3, %w0, %w1, %w2, 0x96;", 0xf0f0, 0xcccc, 0xaaaa, 0x9696, 'w'},
		{"lop3.b32 %w3, %w0, %w1, %w2, 0xca;", 0xf0f0, 0xcccc, 0xaaaa, 0xcaca, 'w'},
		{"lop3.b32 %w3, %w0, %w1, %w2, 0x01;", 0, 0, 0, 0xffffffff, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(bits)
{
	static const struct insn_case cases[] = {
		{"popc.b32 %w3, %w0;", 0xffffffff, 0, 0, 32, 'w'},
		{"popc.b64 %w3, %d0;", M1, 0, 0, 64, 'w'},
		{"clz.b32 %w3, %w0;", 0, 0, 0, 32, 'w'},
		{"clz.b32 %w3, %w0;", 1, 0, 0, 31, 'w'},
		{"clz.b64 %w3, %d0;", 0, 0, 0, 64, 'w'},
		{"brev.b32 %w3, %w0;", 1, 0, 0, 0x80000000, 'w'},
		{"brev.b64 %d3, %d0;", 0x12, 0, 0, 0x4800000000000000ull, 'd'},
		{"bfind.u32 %w3, %w0;", 0, 0, 0, 0xffffffff, 'w'},
		{"bfind.u32 %w3, %w0;", 0x8000, 0, 0, 15, 'w'},
		{"bfind.s32 %w3, %w0;", 0xffffffff, 0, 0, 0xffffffff, 'w'},
		{"bfind.s32 %w3, %w0;", 0xfffffff0, 0, 0, 3, 'w'},
		{"bfind.shiftamt.u32 %w3, %w0;", 0x8000, 0, 0, 16, 'w'},
		{"bfind.u64 %w3, %d0;", 1ull << 40, 0, 0, 40, 'w'},
		{"bfind.s64 %w3, %d0;", M1 << 8, 0, 0, 7, 'w'},
		{"bfe.u32 %w3, %w0, %w1, %w2;", 0x12345678, 8, 12, 0x456, 'w'},
		{"bfe.s32 %w3, %w0, %w1, %w2;", 0x0000f000, 12, 4, 0xffffffff, 'w'},
		{"bfe.s32 %w3, %w0, %w1, %w2;", 0x80000000, 28, 30, 0xfffffff8, 'w'},
		{"bfe.u32 %w3, %w0, %w1, %w2;", 0x80000000, 28, 30, 8, 'w'},
		{"bfe.u32 %w3, %w0, %w1, %w2;", M1, 40, 4, 0, 'w'},
		{"bfe.s32 %w3, %w0, %w1, %w2;", 0x80000000, 40, 4, 0xffffffff, 'w'},
		{"bfe.s32 %w3, %w0, %w1, %w2;", M1, 3, 0, 0, 'w'},
		{"bfe.u64 %d3, %d0, %w1, %w2;", M1, 60, 10, 15, 'd'},
		{"bfe.s64 %d3, %d0, %w1, %w2;", M1, 0, 64, M1, 'd'},
		{"bfi.b32 %w3, %w0, %w1, 4, 8;", 0xabcd, 0, 0, 0xcd0, 'w'},
		{"bfi.b32 %w3, %w0, %w1, %w2, 32;", 0xab, 0xffffffff, 28, 0xbfffffff, 'w'},
		{"bfi.b32 %w3, %w0, %w1, 32, 8;", 0xab, 0x1234, 0, 0x1234, 'w'},
		{"bfi.b64 %d3, %d0, %d1, 32, 16;", 0xabcd, M1, 0, 0xffffabcdffffffffull, 'd'},
		{"prmt.b32 %w3, %w0, %w1, %w2;", 0x33221100, 0x77665544, 0x7531, 0x77553311, 'w'},
		{"prmt.b32 %w3, %w0, %w1, %w2;", 0x000080ff, 0, 0x98, 0xffffffff, 'w'},
		{"prmt.b32.f4e %w3, %w0, %w1, %w2;", 0x33221100, 0x77665544, 1, 0x44332211, 'w'},
		{"prmt.b32.rc16 %w3, %w0, %w1, %w2;", 0x33221100, 0, 1, 0x33223322, 'w'},
		{"prmt.b32.ecl %w3, %w0, %w1, %w2;", 0x33221100, 0, 2, 0x33222222, 'w'},
		{"dp4a.u32.u32 %w3, %w0, %w1, %w2;", 0x01020304, 0x01010101, 5, 15, 'w'},
		{"dp4a.s32.s32 %w3, %w0, %w1, %w2;", 0xff020304, 0x02010101, 0, 7, 'w'},
		{"dp4a.u32.s32 %w3, %w0, %w1, %w2;", 0xff, 0xff, 0, 0xffffff01, 'w'},
		{"dp2a.lo.u32.u32 %w3, %w0, %w1, %w2;", 0x00030002, 0x04030201, 0, 8, 'w'},
		{"dp2a.hi.s32.u32 %w3, %w0, %w1, %w2;", 0xffff0002, 0x04030201, 0, 2, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(carries)
{
	static const struct insn_case cases[] = {
		{"add.cc.u32 %w4, %w0, %w1; addc.u32 %w3, %w2, 0;", 0xffffffff, 1, 7, 8, 'w'},
		{"add.cc.u32 %w4, %w0, %w1; addc.u32 %w3, %w2, 0;", 0xfffffffe, 1, 7, 7, 'w'},
		{"add.cc.u32 %w4, %w0, %w1; addc.cc.u32 %w5, %w0, 0; addc.u32 %w3, %w2, 0;",
		 0xffffffff, 1, 7, 8, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.u32 %w3, %w2, 0;", 0, 1, 7, 6, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.u32 %w3, %w2, 0;", 1, 1, 7, 7, 'w'},
		{"sub.cc.u32 %w4, %w0, %w1; subc.cc.u32 %w5, 0, 0; subc.u32 %w3, %w2, 0;", 0, 1, 7,
		 6, 'w'},
		{"add.cc.u64 %d4, %d0, %d1; addc.u64 %d3, %d2, 0;", M1, 1, 7, 8, 'd'},
		{"sub.cc.s64 %d4, %d0, %d1; subc.s64 %d3, %d2, 0;", 0, 1, 7, 6, 'd'},
		{"mad.lo.cc.u32 %w4, %w0, %w1, %w2; madc.hi.u32 %w3, %w0, %w1, 0;", 0xffffffff,
		 0xffffffff, 0xffffffff, 0xffffffff, 'w'},
		{"mad.lo.cc.u64 %d4, %d0, %d1, %d2; madc.hi.u64 %d3, %d0, %d1, 0;", M1, 2, 2, 2,
		 'd'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(comparisons)
{
	static const struct insn_case cases[] = {
		{"setp.lt.s32 %p3, %w0, %w1;", 0xffffffff, 1, 0, 1, 'p'},
		{"setp.lt.u32 %p3, %w0, %w1;", 0xffffffff, 1, 0, 0, 'p'},
		{"setp.lo.u32 %p3, %w0, %w1;", 1, 2, 0, 1, 'p'},
		{"setp.hs.u32 %p3, %w0, %w1;", 2, 2, 0, 1, 'p'},
		{"setp.eq.b16 %p3, %h0, %h1;", 0x10001, 1, 0, 1, 'p'},
		{"setp.ge.s64 %p3, %d0, %d1;", M1, 0, 0, 0, 'p'},
		{"setp.gt.u64 %p3, %d0, %d1;", M1, 0, 0, 1, 'p'},
		{"setp.le.s16 %p3, %h0, %h1;", 0x8000, 0, 0, 1, 'p'},
		{"setp.eq.and.s32 %p3, %w0, %w1, %p2;", 4, 4, 0, 0, 'p'},
		{"setp.eq.and.s32 %p3, %w0, %w1, !%p2;", 4, 4, 0, 1, 'p'},
		{"setp.ne.or.s32 %p3, %w0, %w1, %p2;", 4, 4, 1, 1, 'p'},
		{"setp.ne.xor.s32 %p3, %w0, %w1, %p2;", 4, 5, 1, 0, 'p'},
		{"setp.eq.s32 %p4|%p3, %w0, %w1;", 4, 5, 1, 1, 'p'},
		{"setp.eq.and.s32 %p4|%p3, %w0, %w1, %p2;", 4, 5, 1, 1, 'p'},
		{"setp.eq.s32 _|%p3, %w0, %w1;", 4, 5, 1, 1, 'p'},
		{"set.lt.u32.s32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 0xffffffff, 'w'},
		{"set.lt.f32.s32 %w3, %w0, %w1;", 0xffffffff, 1, 0, 0x3f800000, 'w'},
		{"set.gt.and.u32.u32 %w3, %w0, %w1, %p2;", 5, 1, 0, 0, 'w'},
		{"selp.b32 %w3, %w0, %w1, %p2;", 5, 1, 1, 5, 'w'},
		{"selp.b16 %h3, %h0, %h1, %p2;", 5, 1, 0, 1, 'h'},
		{"selp.b64 %d3, %d0, %d1, !%p2;", 5, 1, 1, 1, 'd'},
		{"selp.u32 %w3, 10, 20, %p2;", 5, 1, 1, 10, 'w'},
		{"slct.u32.s32 %w3, %w0, %w1, %w2;", 5, 1, 0xffffffff, 1, 'w'},
		{"slct.b64.s32 %d3, %d0, %d1, %w2;", 5, 1, 0, 5, 'd'},
		{"slct.f32.f32 %w3, %w0, %w1, %w2;", 5, 1, 0x7fc00000, 1, 'w'},
		{"slct.b32.f32 %w3, %w0, %w1, %w2;", 5, 1, 0x80000000, 5, 'w'},
		{"slct.b32.f32 %w3, %w0, %w1, %w2;", 5, 1, 0x80000001, 1, 'w'},
		{"slct.ftz.b32.f32 %w3, %w0, %w1, %w2;", 5, 1, 0x807fffff, 5, 'w'},
		{"slct.ftz.b64.f32 %d3, %d0, %d1, %w2;", 5, 1, 0x80800000, 1, 'd'},
		{"slct.ftz.b16.f32 %h3, %h0, %h1, %w2;", 5, 1, 0x7fc00000, 1, 'h'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(moves)
{
	static const struct insn_case cases[] = {
		{"mov.b64 {%w4, %w3}, %d0;", 0x1122334455667788ull, 0, 0, 0x11223344, 'w'},
		{"mov.b64 {%w3, _}, %d0;", 0x1122334455667788ull, 0, 0, 0x55667788, 'w'},
		{"mov.b64 %d3, {%w0, %w1};", 0x11111111, 0x22222222, 0, 0x2222222211111111ull, 'd'},
		{"mov.b32 %w3, {%h0, %h1};", 0x1111, 0x2222, 0, 0x22221111, 'w'},
		{"mov.b32 {%h4, %h3}, %w0;", 0x22221111, 0, 0, 0x2222, 'h'},
		{"mov.b64 %d3, {%h0, %h1, %h2, 4};", 1, 2, 3, 0x0004000300020001ull, 'd'},
		{"mov.b64 {%h4, %h5, %h3, %h6}, %d0;", 0x0004000300020001ull, 0, 0, 3, 'h'},
		{"mov.b16 %h3, {%h0, %h1};", 0x112, 0x34, 0, 0x3412, 'h'},
		{"mov.u32 %w3, %laneid; sub.u32 %w3, %w3, %w7;", 0, 0, 0, 0, 'w'},
		{"mov.u32 %w3, %ntid.x;", 0, 0, 0, 32, 'w'},
		{"mov.u32 %w3, %nsmid;", 0, 0, 0, 4, 'w'},
		{"mov.u32 %w3, %smid;", 0, 0, 0, 1, 'w'},
		{"mov.u64 %d3, %gridid;", 0, 0, 0, 7, 'd'},
		{"mov.u32 %w3, %envreg5;", 0, 0, 0, 0, 'w'},
		{"mov.u16 %h3, %ntid.x;", 0, 0, 0, 32, 'h'},
		{"cvt.u64.u32 %d3, %ntid.x;", 0, 0, 0, 32, 'd'},
		{"mov.u32 %w3, WARP_SZ;", 0, 0, 0, 32, 'w'},
		{"mov.u32 %w3, (1 << 4) + 3 * 2 - (8 >> 1);", 0, 0, 0, 18, 'w'},
		{"mov.u32 %w3, ~0;", 0, 0, 0, 0xffffffff, 'w'},
		{"mov.u32 %w3, 0b101;", 0, 0, 0, 5, 'w'},
		{"mov.u32 %w3, 017;", 0, 0, 0, 15, 'w'},
		{"mov.u32 %w3, 0xFFU;", 0, 0, 0, 255, 'w'},
		{"mov.b32 %w3, 0f3F800000;", 0, 0, 0, 0x3f800000, 'w'},
		{"mov.f64 %d3, 0d3FF0000000000000;", 0, 0, 0, 0x3ff0000000000000ull, 'd'},
		{"mov.f32 %w3, 1.5;", 0, 0, 0, 0x3fc00000, 'w'},
		{"mov.f64 %d3, -2.5e0;", 0, 0, 0, 0xc004000000000000ull, 'd'},
		{"{ .reg .b32 %w3; mov.u32 %w3, 9; } mov.u32 %w4, 0;", 0, 0, 0, 0x5a5a5a5a, 'w'},
		{"{ .reg .b32 t<3>; mov.u32 t2, 9; mov.u32 %w3, t2; }", 0, 0, 0, 9, 'w'},
		{"@%p0 mov.u32 %w3, 1; @!%p0 mov.u32 %w3, 2;", 0, 0, 0, 2, 'w'},
		{"@%p0 mov.u32 %w3, 1; @!%p0 mov.u32 %w3, 2;", 1, 0, 0, 1, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_int");
	TCase *t = tcase_create("instructions");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, arithmetic);
	tcase_add_test(t, division);
	tcase_add_test(t, logic_and_shifts);
	tcase_add_test(t, bits);
	tcase_add_test(t, carries);
	tcase_add_test(t, comparisons);
	tcase_add_test(t, moves);
	suite_add_tcase(s, t);
	return run_suite(s);
}
