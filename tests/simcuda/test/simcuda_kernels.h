/* SPDX-License-Identifier: MIT */
/* Kernels for the tests of the simulated driver, written by hand in PTX. */
#ifndef PVGPU_TESTS_SIMCUDA_KERNELS_H
#define PVGPU_TESTS_SIMCUDA_KERNELS_H

#define PTX_HEAD ".version 7.5\n.target sm_70\n.address_size 64\n"

#define PTX_VADD                                                                                   \
	".visible .entry vadd(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u32 pn)\n"   \
	"{\n"                                                                                      \
	".reg .pred %p<2>; .reg .f32 %f<4>; .reg .b32 %r<6>; .reg .b64 %rd<8>;\n"                  \
	"ld.param.u64 %rd1, [pa];\nld.param.u64 %rd2, [pb];\nld.param.u64 %rd3, [pc];\n"           \
	"ld.param.u32 %r1, [pn];\n"                                                                \
	"mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\n"                    \
	"mad.lo.s32 %r5, %r2, %r3, %r4;\n"                                                         \
	"setp.ge.u32 %p1, %r5, %r1;\n"                                                             \
	"@%p1 bra DONE;\n"                                                                         \
	"cvta.to.global.u64 %rd1, %rd1;\n"                                                         \
	"mul.wide.u32 %rd4, %r5, 4;\n"                                                             \
	"add.s64 %rd5, %rd1, %rd4;\nadd.s64 %rd6, %rd2, %rd4;\nadd.s64 %rd7, %rd3, %rd4;\n"        \
	"ld.global.f32 %f1, [%rd5];\nld.global.f32 %f2, [%rd6];\n"                                 \
	"add.f32 %f3, %f1, %f2;\n"                                                                 \
	"st.global.f32 [%rd7], %f3;\n"                                                             \
	"DONE:\nret;\n}\n"

/* Adds 1 to a counter, then waits until it is at least `until`. */
#define PTX_MEET                                                                                   \
	".visible .entry meet(.param .u64 pc, .param .u32 until)\n"                                \
	"{\n"                                                                                      \
	".reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %rd<2>;\n"                                   \
	"ld.param.u64 %rd1, [pc];\nld.param.u32 %r1, [until];\n"                                   \
	"atom.global.add.u32 %r2, [%rd1], 1;\n"                                                    \
	"AGAIN:\nld.volatile.global.u32 %r3, [%rd1];\n"                                            \
	"setp.lt.u32 %p1, %r3, %r1;\n@%p1 bra AGAIN;\nret;\n}\n"

/* Waits until a word is not 0. */
#define PTX_SPIN                                                                                   \
	".visible .entry spin(.param .u64 flag)\n"                                                 \
	"{\n"                                                                                      \
	".reg .pred %p<2>; .reg .b32 %r<2>; .reg .b64 %rd<2>;\n"                                   \
	"ld.param.u64 %rd1, [flag];\n"                                                             \
	"AGAIN2:\nld.volatile.global.u32 %r1, [%rd1];\n"                                           \
	"setp.eq.u32 %p1, %r1, 0;\n@%p1 bra AGAIN2;\nret;\n}\n"

/* Sleeps `times` times `ns`, then stores 1. */
#define PTX_NAP                                                                                    \
	".visible .entry nap(.param .u32 ns, .param .u32 times, .param .u64 out)\n"                \
	"{\n"                                                                                      \
	".reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %rd<2>;\n"                                   \
	"ld.param.u32 %r1, [ns];\nld.param.u32 %r2, [times];\nld.param.u64 %rd1, [out];\n"         \
	"AGAIN3:\nnanosleep.u32 %r1;\nsub.u32 %r2, %r2, 1;\n"                                      \
	"setp.ne.u32 %p1, %r2, 0;\n@%p1 bra AGAIN3;\n"                                             \
	"mov.u32 %r3, 1;\nst.global.u32 [%rd1], %r3;\nret;\n}\n"

#define PTX_STORE                                                                                  \
	".visible .entry store(.param .u64 at, .param .u32 value)\n"                               \
	"{\n"                                                                                      \
	".reg .b32 %r<2>; .reg .b64 %rd<2>;\n"                                                     \
	"ld.param.u64 %rd1, [at];\nld.param.u32 %r1, [value];\n"                                   \
	"st.global.u32 [%rd1], %r1;\nret;\n}\n"

#define PTX_TRAP ".visible .entry die()\n{\ntrap;\nret;\n}\n"

#define PTX_GLOBALS                                                                                \
	".visible .global .align 4 .u32 counter = 7;\n"                                            \
	".visible .const .align 4 .u32 step[2] = {5, 9};\n"                                        \
	".visible .entry count()\n"                                                                \
	"{\n"                                                                                      \
	".reg .b32 %r<4>;\n"                                                                       \
	"ld.const.u32 %r1, [step+4];\nld.global.u32 %r2, [counter];\n"                             \
	"add.u32 %r3, %r1, %r2;\nst.global.u32 [counter], %r3;\nret;\n}\n"

/* Each block reverses its part of an array through shared memory. */
#define PTX_REVERSE                                                                                \
	".visible .entry reverse(.param .u64 p)\n"                                                 \
	"{\n"                                                                                      \
	".reg .b32 %r<8>; .reg .b64 %rd<4>; .shared .align 4 .b8 buf[512];\n"                      \
	"ld.param.u64 %rd1, [p];\n"                                                                \
	"mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\n"                    \
	"mad.lo.u32 %r4, %r2, %r3, %r1;\nmul.wide.u32 %rd2, %r4, 4;\n"                             \
	"add.s64 %rd3, %rd1, %rd2;\nld.global.u32 %r5, [%rd3];\n"                                  \
	"mov.u32 %r6, buf;\nshl.b32 %r7, %r1, 2;\nadd.u32 %r7, %r6, %r7;\n"                        \
	"st.shared.u32 [%r7], %r5;\nbar.sync 0;\n"                                                 \
	"sub.u32 %r7, %r3, %r1;\nsub.u32 %r7, %r7, 1;\nshl.b32 %r7, %r7, 2;\n"                     \
	"add.u32 %r7, %r6, %r7;\nld.shared.u32 %r5, [%r7];\nst.global.u32 [%rd3], %r5;\nret;\n}\n"

#define PTX_PRINT                                                                                  \
	".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"                   \
	".global .align 1 .b8 fmt[13] = {104, 101, 108, 108, 111, 32, 37, 100, 33, 10, 0, 0, "     \
	"0};\n"                                                                                    \
	".visible .entry hello(.param .u32 v)\n"                                                   \
	"{\n"                                                                                      \
	".local .align 8 .b8 args[8]; .reg .b32 %r<4>; .reg .b64 %rd<5>;\n"                        \
	"ld.param.u32 %r1, [v];\nmov.u64 %rd1, args;\n"                                            \
	"st.local.u32 [%rd1], %r1;\ncvta.local.u64 %rd2, %rd1;\n"                                  \
	"mov.u64 %rd3, fmt;\ncvta.global.u64 %rd4, %rd3;\n"                                        \
	"{\n.param .b64 p0; .param .b64 p1; .param .b32 q0;\n"                                     \
	"st.param.b64 [p0+0], %rd4;\nst.param.b64 [p1+0], %rd2;\n"                                 \
	"call.uni (q0), vprintf, (p0, p1);\nld.param.b32 %r2, [q0+0];\n}\nret;\n}\n"

#define PTX_ASSERT                                                                                 \
	".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 fn, " \
	".param .b64 s);\n"                                                                        \
	".global .align 1 .b8 text[4] = {120, 62, 49, 0};\n"                                       \
	".visible .entry check()\n"                                                                \
	"{\n"                                                                                      \
	".reg .b64 %rd<3>; .reg .b32 %r<2>;\n"                                                     \
	"mov.u64 %rd1, text;\ncvta.global.u64 %rd2, %rd1;\nmov.u32 %r1, 42;\n"                     \
	"{\n.param .b64 a0; .param .b64 a1; .param .b32 a2; .param .b64 a3; .param .b64 a4;\n"     \
	"st.param.b64 [a0+0], %rd2;\nst.param.b64 [a1+0], %rd2;\nst.param.b32 [a2+0], %r1;\n"      \
	"st.param.b64 [a3+0], %rd2;\nmov.u64 %rd1, 1;\nst.param.b64 [a4+0], %rd1;\n"               \
	"call.uni __assertfail, (a0, a1, a2, a3, a4);\n}\nret;\n}\n"

#define PTX_LIMITED ".visible .entry limited()\n.maxntid 64, 1, 1\n{\nret;\n}\n"

#define PTX_ALL                                                                                    \
	PTX_HEAD PTX_VADD PTX_MEET PTX_SPIN PTX_NAP PTX_STORE PTX_TRAP PTX_GLOBALS PTX_REVERSE     \
		PTX_PRINT PTX_ASSERT PTX_LIMITED

#endif
