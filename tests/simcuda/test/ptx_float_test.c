/* SPDX-License-Identifier: MIT */
/* Floating point and conversions: rounding, NaN, infinities, subnormals, saturation. */
#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define INF32  0x7f800000ull
#define NINF32 0xff800000ull
#define NAN32  0x7fffffffull
#define INF64  0x7ff0000000000000ull
#define NAN64  0x7ff8000000000000ull
#define M1     0xffffffffffffffffull

static uint64_t f(float v)
{
	uint32_t b;

	memcpy(&b, &v, 4);
	return b;
}

static uint64_t d(double v)
{
	uint64_t b;

	memcpy(&b, &v, 8);
	return b;
}

START_TEST(single)
{
	const struct insn_case cases[] = {
		{"add.f32 %w3, %w0, %w1;", f(1.5f), f(2.25f), 0, f(3.75f), 'w'},
		{"add.f32 %w3, %w0, %w1;", INF32, NINF32, 0, NAN32, 'w'},
		{"add.f32 %w3, %w0, %w1;", 0xffc12345, f(1), 0, NAN32, 'w'},
		{"add.rn.f32 %w3, %w0, %w1;", f(1), f(0x1p-24f), 0, f(1), 'w'},
		{"add.rp.f32 %w3, %w0, %w1;", f(1), f(0x1p-24f), 0, f(1.0f + 0x1p-23f), 'w'},
		{"add.rm.f32 %w3, %w0, %w1;", f(-1), f(-0x1p-30f), 0, f(-1.0f - 0x1p-23f), 'w'},
		{"add.rz.f32 %w3, %w0, %w1;", f(-1), f(-0x1p-30f), 0, f(-1), 'w'},
		{"sub.f32 %w3, %w0, %w1;", f(1), f(1), 0, 0, 'w'},
		{"sub.rm.f32 %w3, %w0, %w1;", f(1), f(1), 0, 0x80000000, 'w'},
		{"add.sat.f32 %w3, %w0, %w1;", f(1), f(5), 0, f(1), 'w'},
		{"sub.sat.f32 %w3, %w0, %w1;", f(1), f(5), 0, 0, 'w'},
		{"add.sat.f32 %w3, %w0, %w1;", NAN32, f(5), 0, 0, 'w'},
		{"mul.f32 %w3, %w0, %w1;", f(3), f(-0.5f), 0, f(-1.5f), 'w'},
		{"mul.f32 %w3, %w0, %w1;", f(0x1p-100f), f(0x1p-40f), 0, f(0x1p-140f), 'w'},
		{"mul.ftz.f32 %w3, %w0, %w1;", f(0x1p-100f), f(-0x1p-40f), 0, 0x80000000, 'w'},
		{"add.ftz.f32 %w3, %w0, %w1;", 1, 0, 0, 0, 'w'},
		{"fma.rn.f32 %w3, %w0, %w1, %w2;", f(1 + 0x1p-12f), f(1 + 0x1p-12f),
		 f(-1 - 0x1p-11f), f(0x1p-24f), 'w'},
		{"fma.rn.f32 %w3, %w0, %w1, %w2;", f(0x1p127f), f(2), f(-0x1p127f), f(0x1p127f),
		 'w'},
		{"fma.rn.f32 %w3, %w0, %w1, %w2;", INF32, 0, f(1), NAN32, 'w'},
		{"fma.rz.f32 %w3, %w0, %w1, %w2;", f(1), f(1), f(0x1p-30f), f(1), 'w'},
		{"fma.rp.f32 %w3, %w0, %w1, %w2;", f(1), f(1), f(0x1p-30f), f(1 + 0x1p-23f), 'w'},
		{"fma.rn.sat.f32 %w3, %w0, %w1, %w2;", f(2), f(2), f(0), f(1), 'w'},
		{"fma.rn.ftz.f32 %w3, %w0, %w1, %w2;", 3, f(1), 0, 0, 'w'},
		{"mad.rn.f32 %w3, %w0, %w1, %w2;", f(2), f(3), f(4), f(10), 'w'},
		{"div.rn.f32 %w3, %w0, %w1;", f(1), f(3), 0, f(1.0f / 3.0f), 'w'},
		{"div.rn.f32 %w3, %w0, %w1;", f(1), 0, 0, INF32, 'w'},
		{"div.rn.f32 %w3, %w0, %w1;", 0, 0, 0, NAN32, 'w'},
		{"div.rz.f32 %w3, %w0, %w1;", f(2), f(3), 0, 0x3f2aaaaa, 'w'},
		{"div.approx.f32 %w3, %w0, %w1;", f(6), f(3), 0, f(2), 'w'},
		{"div.full.f32 %w3, %w0, %w1;", f(6), f(3), 0, f(2), 'w'},
		{"rcp.rn.f32 %w3, %w0;", f(4), 0, 0, f(0.25f), 'w'},
		{"rcp.approx.ftz.f32 %w3, %w0;", 1, 0, 0, INF32, 'w'},
		{"sqrt.rn.f32 %w3, %w0;", f(2), 0, 0, 0x3fb504f3, 'w'},
		{"sqrt.rp.f32 %w3, %w0;", f(2), 0, 0, 0x3fb504f4, 'w'},
		{"sqrt.approx.f32 %w3, %w0;", f(-1), 0, 0, NAN32, 'w'},
		{"rsqrt.approx.f32 %w3, %w0;", f(4), 0, 0, f(0.5f), 'w'},
		{"sin.approx.f32 %w3, %w0;", 0, 0, 0, 0, 'w'},
		{"cos.approx.f32 %w3, %w0;", 0, 0, 0, f(1), 'w'},
		{"ex2.approx.f32 %w3, %w0;", f(10), 0, 0, f(1024), 'w'},
		{"lg2.approx.f32 %w3, %w0;", f(1024), 0, 0, f(10), 'w'},
		{"lg2.approx.f32 %w3, %w0;", 0, 0, 0, NINF32, 'w'},
		{"lg2.approx.ftz.f32 %w3, %w0;", f(-1), 0, 0, NAN32, 'w'},
		{"tanh.approx.f32 %w3, %w0;", INF32, 0, 0, f(1), 'w'},
		{"neg.f32 %w3, %w0;", NAN32, 0, 0, 0xffffffff, 'w'},
		{"abs.f32 %w3, %w0;", f(-2), 0, 0, f(2), 'w'},
		{"abs.ftz.f32 %w3, %w0;", 0x80000001, 0, 0, 0, 'w'},
		{"copysign.f32 %w3, %w0, %w1;", f(-0.0f), f(2), 0, f(-2), 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(min_and_max)
{
	const struct insn_case cases[] = {
		{"min.f32 %w3, %w0, %w1;", f(1), NAN32, 0, f(1), 'w'},
		{"max.f32 %w3, %w0, %w1;", 0xffc00001, f(1), 0, f(1), 'w'},
		{"max.f32 %w3, %w0, %w1;", 0xffc00001, NAN32, 0, NAN32, 'w'},
		{"min.NaN.f32 %w3, %w0, %w1;", f(1), 0x7fc00000, 0, NAN32, 'w'},
		{"min.f32 %w3, %w0, %w1;", 0, 0x80000000, 0, 0x80000000, 'w'},
		{"max.f32 %w3, %w0, %w1;", 0x80000000, 0, 0, 0, 'w'},
		{"max.ftz.f32 %w3, %w0, %w1;", 5, 0x80000007, 0, 0, 'w'},
		{"min.xorsign.abs.f32 %w3, %w0, %w1;", f(-3), f(2), 0, f(-2), 'w'},
		{"max.xorsign.abs.f32 %w3, %w0, %w1;", f(-3), f(-2), 0, f(3), 'w'},
		{"min.f64 %d3, %d0, %d1;", d(1), NAN64, 0, d(1), 'd'},
		{"max.f64 %d3, %d0, %d1;", d(-0.0), d(0.0), 0, 0, 'd'},
		{"min.f64 %d3, %d0, %d1;", d(0.0), d(-0.0), 0, d(-0.0), 'd'},
		{"min.f16 %h3, %h0, %h1;", 0x3c00, 0x4000, 0, 0x3c00, 'h'},
		{"max.NaN.f16 %h3, %h0, %h1;", 0x3c00, 0x7e00, 0, 0x7fff, 'h'},
		{"max.f16x2 %w3, %w0, %w1;", 0x3c004000, 0x40003c00, 0, 0x40004000, 'w'},
		{"max.bf16 %h3, %h0, %h1;", 0x3f80, 0x4000, 0, 0x4000, 'h'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(double_precision)
{
	const struct insn_case cases[] = {
		{"add.f64 %d3, %d0, %d1;", d(0.1), d(0.2), 0, d(0.1 + 0.2), 'd'},
		{"add.rz.f64 %d3, %d0, %d1;", d(1), d(0x1.8p-53), 0, d(1), 'd'},
		{"sub.f64 %d3, %d0, %d1;", INF64, INF64, 0, 0xfff8000000000000ull, 'd'},
		{"mul.rp.f64 %d3, %d0, %d1;", d(1 + 0x1p-52), d(1 + 0x1p-52), 0, d(1 + 0x1.8p-51),
		 'd'},
		{"fma.rn.f64 %d3, %d0, %d1, %d2;", d(1 + 0x1p-30), d(1 + 0x1p-30), d(-1 - 0x1p-29),
		 d(0x1p-60), 'd'},
		{"fma.rm.f64 %d3, %d0, %d1, %d2;", d(1), d(-1), d(-0x1p-80), d(-1 - 0x1p-52), 'd'},
		{"div.rn.f64 %d3, %d0, %d1;", d(1), d(3), 0, d(1.0 / 3.0), 'd'},
		{"rcp.rn.f64 %d3, %d0;", d(3), 0, 0, d(1.0 / 3.0), 'd'},
		{"rcp.approx.ftz.f64 %d3, %d0;", d(4), 0, 0, d(0.25), 'd'},
		{"sqrt.rn.f64 %d3, %d0;", d(2), 0, 0, d(sqrt(2.0)), 'd'},
		{"rsqrt.approx.f64 %d3, %d0;", d(4), 0, 0, d(0.5), 'd'},
		{"neg.f64 %d3, %d0;", d(1), 0, 0, d(-1), 'd'},
		{"abs.f64 %d3, %d0;", d(-1), 0, 0, d(1), 'd'},
		{"copysign.f64 %d3, %d0, %d1;", d(-1), d(7), 0, d(-7), 'd'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(comparisons)
{
	const struct insn_case cases[] = {
		{"setp.lt.f32 %p3, %w0, %w1;", f(1), f(2), 0, 1, 'p'},
		{"setp.lt.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 0, 'p'},
		{"setp.ltu.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 1, 'p'},
		{"setp.ne.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 0, 'p'},
		{"setp.neu.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 1, 'p'},
		{"setp.equ.f32 %p3, %w0, %w1;", NAN32, NAN32, 0, 1, 'p'},
		{"setp.eq.f32 %p3, %w0, %w1;", 0, 0x80000000, 0, 1, 'p'},
		{"setp.num.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 0, 'p'},
		{"setp.nan.f32 %p3, %w0, %w1;", f(1), NAN32, 0, 1, 'p'},
		{"setp.gt.ftz.f32 %p3, %w0, %w1;", 1, 0, 0, 0, 'p'},
		{"setp.gt.f32 %p3, %w0, %w1;", 1, 0, 0, 1, 'p'},
		{"setp.geu.f64 %p3, %d0, %d1;", NAN64, d(1), 0, 1, 'p'},
		{"setp.leu.and.f64 %p3, %d0, %d1, %p2;", d(0), d(1), 1, 1, 'p'},
		{"setp.gtu.f64 %p3, %d0, %d1;", d(0), d(1), 0, 0, 'p'},
		{"setp.lt.f16 %p3, %h0, %h1;", 0xbc00, 0x3c00, 0, 1, 'p'},
		{"setp.lt.f16x2 %p3|%p4, %w0, %w1;", 0x3c00bc00, 0x3c00, 0, 1, 'p'},
		{"setp.lt.f16x2 %p4|%p3, %w0, %w1;", 0x3c00bc00, 0x3c00, 0, 0, 'p'},
		{"set.eq.f32.f32 %w3, %w0, %w1;", f(1), f(1), 0, f(1), 'w'},
		{"set.eq.u32.f64 %w3, %d0, %d1;", d(1), d(1), 0, 0xffffffff, 'w'},
		{"testp.finite.f32 %p3, %w0;", INF32, 0, 0, 0, 'p'},
		{"testp.infinite.f32 %p3, %w0;", INF32, 0, 0, 1, 'p'},
		{"testp.number.f32 %p3, %w0;", NAN32, 0, 0, 0, 'p'},
		{"testp.notanumber.f64 %p3, %d0;", NAN64, 0, 0, 1, 'p'},
		{"testp.normal.f32 %p3, %w0;", 1, 0, 0, 0, 'p'},
		{"testp.subnormal.f32 %p3, %w0;", 1, 0, 0, 1, 'p'},
		{"testp.subnormal.f64 %p3, %d0;", 1, 0, 0, 1, 'p'},
		{"testp.normal.f64 %p3, %d0;", d(3), 0, 0, 1, 'p'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(halves)
{
	const struct insn_case cases[] = {
		{"add.f16 %h3, %h0, %h1;", 0x3c00, 0x4000, 0, 0x4200, 'h'},
		{"add.f16 %h3, %h0, %h1;", 0x7bff, 0x7bff, 0, 0x7c00, 'h'},
		{"add.f16 %h3, %h0, %h1;", 0x7c00, 0xfc00, 0, 0x7fff, 'h'},
		{"sub.f16 %h3, %h0, %h1;", 0x0001, 0x0002, 0, 0x8001, 'h'},
		{"mul.f16 %h3, %h0, %h1;", 0x0400, 0x3800, 0, 0x0200, 'h'},
		{"mul.ftz.f16 %h3, %h0, %h1;", 0x0400, 0x3800, 0, 0, 'h'},
		{"fma.rn.f16 %h3, %h0, %h1, %h2;", 0x3c01, 0x3c01, 0xbc02, 0x0010, 'h'},
		{"fma.rn.relu.f16 %h3, %h0, %h1, %h2;", 0x3c00, 0xbc00, 0, 0, 'h'},
		{"add.sat.f16 %h3, %h0, %h1;", 0x3c00, 0x3c00, 0, 0x3c00, 'h'},
		{"add.f16x2 %w3, %w0, %w1;", 0x3c004000, 0x3c003c00, 0, 0x40004200, 'w'},
		{"mul.f16x2 %w3, %w0, %w1;", 0x3c004000, 0xbc004000, 0, 0xbc004400, 'w'},
		{"fma.rn.f16x2 %w3, %w0, %w1, %w2;", 0x3c004000, 0x3c004000, 0x3c003c00, 0x40004500,
		 'w'},
		{"neg.f16 %h3, %h0;", 0x3c00, 0, 0, 0xbc00, 'h'},
		{"neg.f16x2 %w3, %w0;", 0x3c00bc00, 0, 0, 0xbc003c00, 'w'},
		{"abs.f16 %h3, %h0;", 0xbc00, 0, 0, 0x3c00, 'h'},
		{"fma.rn.bf16 %h3, %h0, %h1, %h2;", 0x3f80, 0x4000, 0x3f80, 0x4040, 'h'},
		{"fma.rn.bf16x2 %w3, %w0, %w1, %w2;", 0x3f803f80, 0x40003f80, 0x3f800000,
		 0x40403f80, 'w'},
		{"add.bf16 %h3, %h0, %h1;", 0x3f80, 0x3b80, 0, 0x3f80, 'h'},
		{"add.bf16 %h3, %h0, %h1;", 0x3f81, 0x3b80, 0, 0x3f82, 'h'},
		{"ex2.approx.f16 %h3, %h0;", 0x4000, 0, 0, 0x4400, 'h'},
		{"tanh.approx.f16x2 %w3, %w0;", 0x7c00, 0, 0, 0x3c00, 'w'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(integer_conversions)
{
	const struct insn_case cases[] = {
		{"cvt.u64.u32 %d3, %w0;", 0xffffffff, 0, 0, 0xffffffff, 'd'},
		{"cvt.s64.s32 %d3, %w0;", 0xffffffff, 0, 0, M1, 'd'},
		{"cvt.u32.u64 %w3, %d0;", M1 << 4, 0, 0, 0xfffffff0, 'w'},
		{"cvt.u16.u32 %h3, %w0;", 0x12345678, 0, 0, 0x5678, 'h'},
		{"cvt.s32.s16 %w3, %h0;", 0x8000, 0, 0, 0xffff8000, 'w'},
		{"cvt.u32.u16 %w3, %h0;", 0x8000, 0, 0, 0x8000, 'w'},
		{"cvt.s32.s8 %w3, %w0;", 0x1280, 0, 0, 0xffffff80, 'w'},
		{"cvt.u32.u8 %w3, %w0;", 0x1280, 0, 0, 0x80, 'w'},
		{"cvt.s8.s32 %w3, %w0;", 0x1280, 0, 0, 0xffffff80, 'w'},
		{"cvt.u8.u32 %w3, %w0;", 0x1280, 0, 0, 0x80, 'w'},
		{"cvt.s64.s8 %d3, %d0;", 0xff, 0, 0, M1, 'd'},
		{"cvt.s16.s8 %h3, %h0;", 0x80, 0, 0, 0xff80, 'h'},
		{"cvt.sat.u8.u32 %w3, %w0;", 300, 0, 0, 255, 'w'},
		{"cvt.sat.s8.s32 %w3, %w0;", 0xffff0000, 0, 0, 0xffffff80, 'w'},
		{"cvt.sat.s16.u32 %w3, %w0;", 0xffff0000, 0, 0, 0x7fff, 'w'},
		{"cvt.sat.u32.s32 %w3, %w0;", 0xffff0000, 0, 0, 0, 'w'},
		{"cvt.sat.s32.u32 %w3, %w0;", 0xffff0000, 0, 0, 0x7fffffff, 'w'},
		{"cvt.sat.s32.s64 %w3, %d0;", 1ull << 63, 0, 0, 0x80000000, 'w'},
		{"cvt.sat.u64.s64 %d3, %d0;", M1, 0, 0, 0, 'd'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(to_integers)
{
	const struct insn_case cases[] = {
		{"cvt.rzi.s32.f32 %w3, %w0;", f(-2.7f), 0, 0, 0xfffffffe, 'w'},
		{"cvt.rni.s32.f32 %w3, %w0;", f(2.5f), 0, 0, 2, 'w'},
		{"cvt.rni.s32.f32 %w3, %w0;", f(3.5f), 0, 0, 4, 'w'},
		{"cvt.rmi.s32.f32 %w3, %w0;", f(-2.1f), 0, 0, 0xfffffffd, 'w'},
		{"cvt.rpi.s32.f32 %w3, %w0;", f(2.1f), 0, 0, 3, 'w'},
		{"cvt.rzi.s32.f32 %w3, %w0;", f(3e9f), 0, 0, 0x7fffffff, 'w'},
		{"cvt.rzi.s32.f32 %w3, %w0;", f(-3e9f), 0, 0, 0x80000000, 'w'},
		{"cvt.rzi.u32.f32 %w3, %w0;", f(-3), 0, 0, 0, 'w'},
		{"cvt.rzi.u32.f32 %w3, %w0;", f(3e9f), 0, 0, 3000000000u, 'w'},
		{"cvt.rzi.u32.f32 %w3, %w0;", INF32, 0, 0, 0xffffffff, 'w'},
		{"cvt.rzi.s32.f32 %w3, %w0;", NAN32, 0, 0, 0, 'w'},
		{"cvt.rzi.s64.f32 %d3, %w0;", NAN32, 0, 0, 1ull << 63, 'd'},
		{"cvt.rzi.s64.f64 %d3, %d0;", d(-1e300), 0, 0, 1ull << 63, 'd'},
		{"cvt.rzi.u64.f64 %d3, %d0;", d(1.8e19), 0, 0, 18000000000000000000ull, 'd'},
		{"cvt.rzi.u64.f64 %d3, %d0;", d(1e20), 0, 0, M1, 'd'},
		{"cvt.rzi.s32.f64 %w3, %d0;", d(-5.9), 0, 0, 0xfffffffb, 'w'},
		{"cvt.rzi.u16.f32 %h3, %w0;", f(70000), 0, 0, 65535, 'h'},
		{"cvt.rzi.s8.f32 %w3, %w0;", f(-200), 0, 0, 0xffffff80, 'w'},
		{"cvt.rzi.s32.f16 %w3, %h0;", 0xc500, 0, 0, 0xfffffffb, 'w'},
		{"cvt.rni.f32.f32 %w3, %w0;", f(-0.4f), 0, 0, f(-0.0f), 'w'},
		{"cvt.rzi.f32.f32 %w3, %w0;", f(-1.7f), 0, 0, f(-1), 'w'},
		{"cvt.rpi.f64.f64 %d3, %d0;", d(1.1), 0, 0, d(2), 'd'},
		{"cvt.rmi.ftz.f32.f32 %w3, %w0;", 0x80000001, 0, 0, 0x80000000, 'w'},
		{"cvt.rmi.f32.f32 %w3, %w0;", 0x80000001, 0, 0, f(-1), 'w'},
		{"cvt.rni.f16.f16 %h3, %h0;", 0x3e00, 0, 0, 0x4000, 'h'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

START_TEST(to_floats)
{
	const struct insn_case cases[] = {
		{"cvt.rn.f32.s32 %w3, %w0;", 0xffffffff, 0, 0, f(-1), 'w'},
		{"cvt.rn.f32.u32 %w3, %w0;", 0xffffffff, 0, 0, f(4294967296.0f), 'w'},
		{"cvt.rz.f32.u32 %w3, %w0;", 0xffffffff, 0, 0, f(4294967040.0f), 'w'},
		{"cvt.rn.f32.u64 %w3, %d0;", 0x8000008000000001ull, 0, 0, 0x5f000001, 'w'},
		{"cvt.rp.f32.s64 %w3, %d0;", 0x4000000000000001ull, 0, 0, 0x5e800001, 'w'},
		{"cvt.rn.f64.u64 %d3, %d0;", M1, 0, 0, d(18446744073709551616.0), 'd'},
		{"cvt.rz.f64.s64 %d3, %d0;", 0x7fffffffffffffffull, 0, 0, 0x43dfffffffffffffull,
		 'd'},
		{"cvt.rn.f64.s32 %d3, %w0;", 0xfffffffe, 0, 0, d(-2), 'd'},
		{"cvt.rn.f32.u8 %w3, %w0;", 0x1ff, 0, 0, f(255), 'w'},
		{"cvt.rn.f16.s32 %h3, %w0;", 2049, 0, 0, 0x6800, 'h'},
		{"cvt.rp.f16.s32 %h3, %w0;", 2049, 0, 0, 0x6801, 'h'},
		{"cvt.rn.f16.u32 %h3, %w0;", 100000, 0, 0, 0x7c00, 'h'},
		{"cvt.rz.f16.u32 %h3, %w0;", 100000, 0, 0, 0x7bff, 'h'},
		{"cvt.rn.sat.f32.s32 %w3, %w0;", 5, 0, 0, f(1), 'w'},
		{"cvt.f64.f32 %d3, %w0;", f(1.5f), 0, 0, d(1.5), 'd'},
		{"cvt.rn.f32.f64 %w3, %d0;", d(1 + 0x1p-24), 0, 0, f(1), 'w'},
		{"cvt.rp.f32.f64 %w3, %d0;", d(1 + 0x1p-40), 0, 0, f(1 + 0x1p-23f), 'w'},
		{"cvt.rz.f32.f64 %w3, %d0;", d(1e300), 0, 0, 0x7f7fffff, 'w'},
		{"cvt.rn.f32.f64 %w3, %d0;", d(1e300), 0, 0, INF32, 'w'},
		{"cvt.rn.f32.f64 %w3, %d0;", NAN64, 0, 0, NAN32, 'w'},
		{"cvt.rn.ftz.f32.f64 %w3, %d0;", d(1e-40), 0, 0, 0, 'w'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(1 + 0x1p-11f), 0, 0, 0x3c00, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(1 + 0x1.8p-10f), 0, 0, 0x3c02, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(65520), 0, 0, 0x7c00, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(65519), 0, 0, 0x7bff, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(0x1p-25f), 0, 0, 0, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", f(0x1.8p-25f), 0, 0, 1, 'h'},
		{"cvt.rn.f16.f32 %h3, %w0;", NAN32, 0, 0, 0x7fff, 'h'},
		{"cvt.rm.f16.f32 %h3, %w0;", f(-1e9f), 0, 0, 0xfc00, 'h'},
		{"cvt.rn.f16.f64 %h3, %d0;", d(-2), 0, 0, 0xc000, 'h'},
		{"cvt.f32.f16 %w3, %h0;", 0x0001, 0, 0, f(0x1p-24f), 'w'},
		{"cvt.f32.f16 %w3, %h0;", 0xfc00, 0, 0, NINF32, 'w'},
		{"cvt.f64.f16 %d3, %h0;", 0x3555, 0, 0, d(0x1.554p-2), 'd'},
		{"cvt.rn.bf16.f32 %h3, %w0;", f(1 + 0x1p-8f), 0, 0, 0x3f80, 'h'},
		{"cvt.rn.relu.bf16.f32 %h3, %w0;", f(-3), 0, 0, 0, 'h'},
		{"cvt.f32.bf16 %w3, %h0;", 0x4049, 0, 0, 0x40490000, 'w'},
		{"cvt.rn.f16x2.f32 %w3, %w0, %w1;", f(1), f(2), 0, 0x3c004000, 'w'},
		{"cvt.rz.bf16x2.f32 %w3, %w0, %w1;", f(1), 0x40490fdb, 0, 0x3f804049, 'w'},
		{"cvt.rna.tf32.f32 %w3, %w0;", 0x3f801000, 0, 0, 0x3f802000, 'w'},
		{"cvt.sat.f32.f32 %w3, %w0;", f(7), 0, 0, f(1), 'w'},
		{"cvt.ftz.f64.f32 %d3, %w0;", 1, 0, 0, 0, 'd'},
	};

	run_insn_cases(cases, CASE_COUNT(cases));
}
END_TEST

/* Products that are exact in double but end next to a tie, against the C library. */
START_TEST(fma_is_rounded_once)
{
	uint32_t seed = 12345;

	for (int n = 0; n < 60; n++) {
		uint32_t v[3];
		float x[3], r;

		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			v[k] = (seed >> 9) | (uint32_t)(120 + (seed >> 4 & 15) + (k == 2 ? 10 : 0))
						     << 23;
			memcpy(&x[k], &v[k], 4);
		}
		r = fmaf(x[0], x[1], x[2]);
		struct insn_case c = {
			"fma.rn.f32 %w3, %w0, %w1, %w2;", v[0], v[1], v[2], f(r), 'w'};

		run_insn_cases(&c, 1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_float");
	TCase *t = tcase_create("instructions");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, single);
	tcase_add_test(t, min_and_max);
	tcase_add_test(t, double_precision);
	tcase_add_test(t, comparisons);
	tcase_add_test(t, halves);
	tcase_add_test(t, integer_conversions);
	tcase_add_test(t, to_integers);
	tcase_add_test(t, to_floats);
	tcase_add_test(t, fma_is_rounded_once);
	suite_add_tcase(s, t);
	return run_suite(s);
}
