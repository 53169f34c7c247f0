/* SPDX-License-Identifier: MIT */
/*
 * Kernels in the forms in which tile compilers write them: copies to shared memory ahead of the
 * loop, fragments by ldmatrix, products by mma, masked accesses with one register in braces.
 */
#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define M 48
#define N 32
#define K 80

/* Of each tile 16 x 16 of A lies at sh, 16 x 8 of B 512 bytes behind; a stage has 768 bytes. */
#define TILE_HEAD                                                                                  \
	PTX_HEAD                                                                                   \
	".extern .shared .align 16 .b8 global_smem[];\n"                                           \
	".visible .entry k(.param .u64 .ptr .global .align 16 a, .param .u64 .ptr .global .align " \
	"16 b, .param .u64 .ptr .global .align 16 c, .param .u32 steps)\n"                         \
	".reqntid 32\n{\n"                                                                         \
	".reg .pred %p<8>;\n.reg .b16 %rs<4>;\n.reg .b32 %r<64>;\n.reg .f32 %f<8>;\n"              \
	".reg .b64 %rd<32>;\n"                                                                     \
	"ld.param.u64 %rd1, [a];\nld.param.u64 %rd2, [b];\nld.param.u64 %rd3, [c];\n"              \
	"ld.param.u32 %r1, [steps];\nmov.u32 %r2, %tid.x;\nmov.u32 %r3, %ctaid.x;\n"               \
	"mov.u32 %r4, %ctaid.y;\nmov.u32 %r5, global_smem;\n"                                      \
	"mov.f32 %f0, 0f00000000;\nmov.f32 %f1, %f0;\nmov.f32 %f2, %f0;\nmov.f32 %f3, %f0;\n"

/* %r30: the stage's address; %f0 to %f3 += its product. */
#define TILE_PRODUCT                                                                               \
	"and.b32 %r31, %r2, 15;\nshl.b32 %r32, %r31, 5;\nshr.u32 %r33, %r2, 4;\n"                  \
	"shl.b32 %r33, %r33, 4;\nadd.u32 %r34, %r30, %r32;\nadd.u32 %r34, %r34, %r33;\n"           \
	"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r40, %r41, %r42, %r43}, [ %r34 + 0 ];\n"       \
	"shl.b32 %r35, %r31, 4;\nadd.u32 %r35, %r35, %r30;\n"                                      \
	"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r44, %r45}, [%r35+512];\n"               \
	"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { %f0, %f1, %f2, %f3 }, { %r40, %r41, " \
	"%r42, %r43 }, { %r44, %r45 }, { %f0, %f1, %f2, %f3 };\n"

/* Rows of N floats; a lane has two of a row, and two of the eighth row behind it. */
#define TILE_STORE                                                                                 \
	"shr.u32 %r50, %r2, 2;\nmad.lo.u32 %r50, %r4, 16, %r50;\nand.b32 %r51, %r2, 3;\n"          \
	"shl.b32 %r51, %r51, 1;\nmad.lo.u32 %r51, %r3, 8, %r51;\n"                                 \
	"mad.lo.u32 %r52, %r50, 32, %r51;\nmad.wide.u32 %rd20, %r52, 4, %rd3;\n"                   \
	"mov.b32 %r53, %f0;\nmov.b32 %r54, %f1;\n"                                                 \
	"st.global.v2.b32 [ %rd20 + 0 ], { %r53, %r54 };\n"                                        \
	"mov.b32 %r53, %f2;\nmov.b32 %r54, %f3;\n"                                                 \
	"st.global.v2.b32 [ %rd20 + 1024 ], { %r53, %r54 };\nret;\n}\n"

/* %r10: the step; its stage is %r30. All lanes copy A, the first 16 B. */
#define STAGE "rem.u32 %r11, %r10, 2;\nmad.lo.u32 %r30, %r11, 768, %r5;\n"
#define COPY                                                                                       \
	STAGE "shr.u32 %r12, %r2, 1;\nand.b32 %r13, %r2, 1;\nmad.lo.u32 %r14, %r4, 16, %r12;\n"    \
	      "mul.lo.u32 %r14, %r14, 160;\nmad.lo.u32 %r14, %r10, 32, %r14;\n"                    \
	      "mad.lo.u32 %r14, %r13, 16, %r14;\ncvt.u64.u32 %rd4, %r14;\n"                        \
	      "add.u64 %rd4, %rd4, %rd1;\nmad.lo.u32 %r15, %r2, 16, %r30;\n"                       \
	      "cp.async.cg.shared.global [ %r15 + 0 ], [ %rd4 + 0 ], 0x10, %r16;\n"                \
	      "mad.lo.u32 %r17, %r10, 16, %r2;\nmul.lo.u32 %r17, %r17, 64;\n"                      \
	      "mad.lo.u32 %r17, %r3, 16, %r17;\ncvt.u64.u32 %rd5, %r17;\n"                         \
	      "add.u64 %rd5, %rd5, %rd2;\nadd.u32 %r18, %r15, 512;\nsetp.lt.u32 %p2, %r2, 16;\n"   \
	      "@%p2 cp.async.ca.shared.global [ %r18 + 0 ], [ %rd5 + 0 ], 0x10, %r16;\n"           \
	      "cp.async.commit_group;\n"

static const char by_threads[] = TILE_HEAD
	"mov.u32 %r10, 0;\nmov.u32 %r16, 16;\n" COPY "mov.u32 %r20, 0;\n$L_LOOP:\n"
	/* behind the last step nothing is read */
	"add.u32 %r10, %r20, 1;\nsetp.lt.u32 %p1, %r10, %r1;\nselp.b32 %r16, 16, 0, %p1;\n" COPY
	"cp.async.wait_group 0x1;\nbar.sync 0;\nmov.u32 %r10, %r20;\n" STAGE TILE_PRODUCT
	"bar.sync 0;\nadd.u32 %r20, %r20, 1;\nsetp.lt.u32 %p3, %r20, %r1;\n@%p3 bra $L_LOOP;\n"
	"cp.async.wait_all;\n" TILE_STORE;

/* One lane copies rows in bulk, and all wait for the bytes of the phase. */
static const char in_bulk[] = TILE_HEAD
	"setp.eq.u32 %p1, %r2, 0;\n@%p1 mbarrier.init.shared::cta.b64 [%r5+1536], 1;\n"
	"fence.proxy.async.shared::cta;\nbar.sync 0;\nmov.u32 %r30, %r5;\nmov.u32 %r20, "
	"0;\n$L_LOOP:\n"
	"elect.sync %r6|%p2, -1;\n@!%p2 bra $L_WAIT;\n"
	"mbarrier.arrive.expect_tx.shared.b64 _, [%r5+1536], 768;\nmov.u32 %r21, 0;\n$L_ROW:\n"
	"mad.lo.u32 %r14, %r4, 16, %r21;\nmul.lo.u32 %r14, %r14, 160;\n"
	"mad.lo.u32 %r14, %r20, 32, %r14;\ncvt.u64.u32 %rd4, %r14;\nadd.u64 %rd4, %rd4, %rd1;\n"
	"mad.lo.u32 %r15, %r21, 32, %r30;\n"
	"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r15], [%rd4], 32, "
	"[%r5+1536];\nmad.lo.u32 %r17, %r20, 16, %r21;\nmul.lo.u32 %r17, %r17, 64;\n"
	"mad.lo.u32 %r17, %r3, 16, %r17;\ncvt.u64.u32 %rd5, %r17;\nadd.u64 %rd5, %rd5, %rd2;\n"
	"mad.lo.u32 %r18, %r21, 16, %r30;\nadd.u32 %r18, %r18, 512;\n"
	"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r18], [%rd5], 16, "
	"[%r5+1536];\nadd.u32 %r21, %r21, 1;\nsetp.lt.u32 %p3, %r21, 16;\n@%p3 bra $L_ROW;\n"
	"$L_WAIT:\nand.b32 %r22, %r20, 1;\n"
	"mbarrier.try_wait.parity.shared.b64 %p4, [%r5+1536], %r22;\n@!%p4 bra.uni "
	"$L_WAIT;\n" TILE_PRODUCT
	"bar.warp.sync -1;\nadd.u32 %r20, %r20, 1;\nsetp.lt.u32 %p3, %r20, %r1;\n"
	"@%p3 bra $L_LOOP;\n" TILE_STORE;

static uint16_t half(int quarters) /* of -8 to 8 quarters */
{
	const uint32_t n = (uint32_t)abs(quarters), sign = quarters < 0 ? 0x8000 : 0;
	const uint32_t e = n ? 31 - (uint32_t)__builtin_clz(n) : 0;

	return (uint16_t)(n ? sign | (e + 13) << 10 | (n << 10 >> e & 1023) : sign);
}

START_TEST(products)
{
	static float want[M][N];
	static int a[M][K], b[K][N];
	struct ptx_world w;
	uint16_t *da, *db;
	float *dc;

	world_open(&w, _i ? in_bulk : by_threads);
	da = world_alloc(&w, sizeof(uint16_t) * M * K);
	db = world_alloc(&w, sizeof(uint16_t) * K * N);
	dc = world_alloc(&w, sizeof(float) * M * N);
	for (int i = 0; i < M; i++)
		for (int k = 0; k < K; k++)
			da[i * K + k] = half(a[i][k] = (i * 7 + k * 3) % 17 - 8);
	for (int k = 0; k < K; k++)
		for (int n = 0; n < N; n++)
			db[k * N + n] = half(b[k][n] = (k * 5 + n * 11) % 17 - 8);
	for (int i = 0; i < M; i++) {
		for (int n = 0; n < N; n++) {
			int sum = 0;

			for (int k = 0; k < K; k++)
				sum += a[i][k] * b[k][n];
			want[i][n] = (float)sum / 16;
		}
	}
	w.launch.grid[0] = N / 8;
	w.launch.grid[1] = M / 16;
	w.launch.dynamic_shared = 1536 + 8;
	world_param_ptr(&w, 0, da);
	world_param_ptr(&w, 1, db);
	world_param_ptr(&w, 2, dc);
	world_param_u32(&w, 3, K / 16);
	world_run_ok(&w);
	for (int i = 0; i < M; i++)
		for (int n = 0; n < N; n++)
			ck_assert_msg(dc[i * N + n] == want[i][n], "(%d, %d) is %g, not %g", i, n,
				      dc[i * N + n], want[i][n]);
	world_close(&w);
}
END_TEST

/*
 * A row's softmax, a row of 100 for each block of 128 threads: masked loads with a policy, the
 * greatest and the sum by bfly and through shared memory.
 */
#define ROW 100
#define ALL_LANES(op)                                                                              \
	"shfl.sync.bfly.b32 %r10, %r9, 16, 31, -1;\n" op                                           \
	"shfl.sync.bfly.b32 %r10, %r9, 8, 31, -1;\n" op                                            \
	"shfl.sync.bfly.b32 %r10, %r9, 4, 31, -1;\n" op                                            \
	"shfl.sync.bfly.b32 %r10, %r9, 2, 31, -1;\n" op                                            \
	"shfl.sync.bfly.b32 %r10, %r9, 1, 31, -1;\n" op
#define ALL_WARPS(op)                                                                              \
	"@%p3 st.shared.b32 [ %r12 + 0 ], { %r9 };\nbar.sync 0;\n"                                 \
	"@%p4 ld.shared.b32 { %r9 }, [ %r13 + 0 ];\n"                                              \
	"shfl.sync.bfly.b32 %r10, %r9, 2, 31, -1;\n" op                                            \
	"shfl.sync.bfly.b32 %r10, %r9, 1, 31, -1;\n" op                                            \
	"@%p5 st.shared.b32 [ %r13 + 0 ], { %r9 };\nbar.sync 0;\n"                                 \
	"ld.shared.b32 { %r9 }, [ %r6 + 0 ];\nbar.sync 0;\n"
#define MAXIMUM "mov.b32 %f1, %r9;\nmov.b32 %f2, %r10;\nmax.f32 %f1, %f1, %f2;\nmov.b32 %r9, %f1;\n"
#define SUM     "mov.b32 %f1, %r9;\nmov.b32 %f2, %r10;\nadd.f32 %f1, %f1, %f2;\nmov.b32 %r9, %f1;\n"

START_TEST(softmax)
{
	static const char text[] = PTX_HEAD
		".extern .shared .align 16 .b8 global_smem[];\n"
		".visible .entry k(.param .u64 in, .param .u64 out, .param .u32 n)\n"
		".maxntid 128, 1, 1\n{\n"
		".reg .pred %p<8>;\n.reg .b32 %r<20>;\n.reg .f32 %f<8>;\n.reg .b64 %rd<8>;\n"
		"ld.param.u64 %rd1, [in];\nld.param.u64 %rd2, [out];\nld.param.u32 %r1, [n];\n"
		"mov.u32 %r2, %tid.x;\nmov.u32 %r3, %ctaid.x;\nmov.u32 %r6, global_smem;\n"
		"setp.lt.s32 %p1, %r2, %r1;\nmad.lo.s32 %r4, %r3, %r1, %r2;\n"
		"mul.wide.s32 %rd3, %r4, 4;\nadd.s64 %rd1, %rd1, %rd3;\nadd.s64 %rd2, %rd2, %rd3;\n"
		"mov.u64 %rd4, 0x0;\ncreatepolicy.fractional.L2::evict_first.b64 %rd4, 1.0;\n"
		"mov.u32 %r8, 0xff800000;\n"
		"@%p1 ld.global.L1::evict_first.L2::cache_hint.b32 { %r8 }, [ %rd1 + 0 ], %rd4;\n"
		"and.b32 %r7, %r2, 31;\nsetp.eq.u32 %p3, %r7, 0;\nshr.u32 %r11, %r2, 5;\n"
		"shl.b32 %r12, %r11, 2;\nadd.u32 %r12, %r12, %r6;\nshl.b32 %r13, %r2, 2;\n"
		"add.u32 %r13, %r13, %r6;\nsetp.lt.u32 %p4, %r2, 4;\nsetp.eq.u32 %p5, %r2, 0;\n"
		"mov.u32 %r9, %r8;\n" ALL_LANES(MAXIMUM) ALL_WARPS(
			MAXIMUM) "mov.b32 %f1, %r9;\nmov.b32 %f3, %r8;\nsub.f32 %f3, %f3, %f1;\n"
				 "mul.f32 %f3, %f3, 0f3FB8AA3B;\nex2.approx.f32 %f3, %f3;\nmov.b32 "
				 "%r9, %f3;\n" ALL_LANES(SUM)
					 ALL_WARPS(SUM) "mov.b32 %f1, %r9;\ndiv.full.f32 %f3, %f3, "
							"%f1;\nmov.b32 %r8, %f3;\n"
							"@%p1 st.global.b32 [ %rd2 + 0 ], { %r8 "
							"};\nret;\n}\n";
	struct ptx_world w;
	float *in, *out;

	world_open(&w, text);
	in = world_alloc(&w, 3 * ROW * 4);
	out = world_alloc(&w, 3 * ROW * 4);
	for (int i = 0; i < 3 * ROW; i++)
		in[i] = (float)(i * 37 % 101) / 16 - 3;
	w.launch.grid[0] = 3;
	w.launch.block[0] = 128;
	w.launch.dynamic_shared = 512;
	world_param_ptr(&w, 0, in);
	world_param_ptr(&w, 1, out);
	world_param_u32(&w, 2, ROW);
	world_run_ok(&w);
	for (int i = 0; i < 3 * ROW; i++) {
		double sum = 0, want;

		for (int k = 0; k < ROW; k++)
			sum += exp(in[i / ROW * ROW + k]);
		want = exp(in[i]) / sum;
		ck_assert_msg(fabs(out[i] - want) <= 1e-5 * want, "%d is %g, not %g", i, out[i],
			      want);
	}
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_tile");
	TCase *t = tcase_create("tile");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, products, 0, 2);
	tcase_add_test(t, softmax);
	suite_add_tcase(s, t);
	return run_suite(s);
}
