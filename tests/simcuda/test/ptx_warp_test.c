/* SPDX-License-Identifier: MIT */
/* Divergence, calls, barriers, and the instructions by which lanes exchange values. */
#include "tests/simcuda/test/ptx_case.h"

#include <pthread.h>

#define ENTRY                                                                                      \
	PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .pred %p<10>;\n.reg .b32 %r<40>;\n"  \
		 ".reg .b64 %d<10>;\n.shared .align 4 .b32 sm[1024];\n"                            \
		 "ld.param.u64 %d0, [out];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %d1, %r0, 4;\n"     \
		 "add.u64 %d1, %d1, %d0;\nmov.u32 %r9, 0;\n"
#define STORE "st.global.u32 [%d1], %r9;\n"

static const uint64_t budgets[] = {1u << 20, 1, 7};

/* Run body for `threads`, whole and in small steps; check() gets each thread's %r9. */
static void run_body(const char *body, uint32_t threads,
		     void (*check)(const uint32_t *out, uint32_t n))
{
	static char text[16384];

	snprintf(text, sizeof(text), "%s%s}\n", ENTRY, body);
	for (size_t b = 0; b < CASE_COUNT(budgets); b++) {
		struct ptx_world w;
		uint32_t *out;

		world_open(&w, text);
		out = world_alloc(&w, 8192);
		w.launch.block[0] = threads;
		w.budget = budgets[b];
		world_param_ptr(&w, 0, out);
		world_run_ok(&w);
		check(out, threads);
		world_close(&w);
	}
}

static void check_branches(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t % 3 == 0   ? 100 + t
					  : t % 3 == 1 ? 200 + t
					  : t & 1      ? 300
						       : 400);
}

START_TEST(nested_branches)
{
	run_body("rem.u32 %r1, %r0, 3;\nsetp.eq.u32 %p0, %r1, 0;\n@%p0 bra A;\nsetp.eq.u32 %p1, "
		 "%r1, 1;\n"
		 "@%p1 bra B;\nand.b32 %r2, %r0, 1;\nsetp.eq.u32 %p2, %r2, 1;\n@%p2 bra C;\n"
		 "mov.u32 %r9, 400;\nbra.uni E;\nC: mov.u32 %r9, 300;\nbra E;\nB: add.u32 %r9, "
		 "%r0, 200;\n"
		 "bra E;\nA: add.u32 %r9, %r0, 100;\nE:\n" STORE "ret;\n",
		 77, check_branches);
}
END_TEST

static void check_loop(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t * (t + 1) / 2);
}

START_TEST(loops_of_different_length)
{
	run_body("mov.u32 %r1, %r0;\nsetp.eq.u32 %p0, %r1, 0;\n@%p0 bra E;\n"
		 "L: add.u32 %r9, %r9, %r1;\nsub.u32 %r1, %r1, 1;\nsetp.ne.u32 %p1, %r1, 0;\n@%p1 "
		 "bra L;\n"
		 "E:\n" STORE "ret;\n",
		 100, check_loop);
}
END_TEST

static void check_early(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t < 10 ? 1 : t < 20 ? 2 : 3);
}

START_TEST(early_exits)
{
	run_body("setp.ge.u32 %p0, %r0, 10;\nmov.u32 %r9, 1;\n@!%p0 st.global.u32 [%d1], "
		 "%r9;\n@!%p0 exit;\n"
		 "mov.u32 %r9, 2;\nsetp.lt.u32 %p1, %r0, 20;\n@%p1 st.global.u32 [%d1], %r9;\n@%p1 "
		 "ret;\n"
		 "bar.sync 0;\nmov.u32 %r9, 3;\n" STORE "ret;\n",
		 64, check_early);
}
END_TEST

static void check_exclusive(const uint32_t *out, uint32_t n)
{
	ck_assert_uint_eq(out[n], n);
}

/* Each thread of the block takes the lock: lanes of one warp and warps of one block compete. */
START_TEST(spin_lock)
{
	run_body("mov.u64 %d2, sm;\nsetp.ne.u32 %p0, %r0, 0;\n@%p0 bra W;\nmov.u32 %r1, 0;\n"
		 "st.shared.u32 [sm], %r1;\nst.shared.u32 [sm+4], %r1;\nW: bar.sync 0;\n"
		 "L: atom.shared.cas.b32 %r2, [sm], 0, 1;\nsetp.ne.u32 %p1, %r2, 0;\n@%p1 bra L;\n"
		 "ld.volatile.shared.u32 %r3, [%d2+4];\nadd.u32 %r3, %r3, 1;\n"
		 "st.volatile.shared.u32 [%d2+4], %r3;\nmembar.cta;\natom.shared.exch.b32 %r4, "
		 "[sm], 0;\n"
		 "bar.sync 0;\nld.shared.u32 %r9, [sm+4];\nmov.u32 %r10, %ntid.x;\n"
		 "mul.wide.u32 %d4, %r10, 4;\nadd.u64 %d4, %d4, %d0;\nst.global.u32 [%d4], "
		 "%r9;\nret;\n",
		 96, check_exclusive);
}
END_TEST

static void check_handover(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t);
}

/* Lane n waits for lane n - 1, which lies behind it in the same warp or in another one. */
START_TEST(lanes_wait_for_each_other)
{
	run_body("mov.u64 %d2, sm;\nmul.wide.u32 %d3, %r0, 4;\nadd.u64 %d3, %d3, %d2;\n"
		 "setp.eq.u32 %p0, %r0, 0;\n@%p0 bra GO;\n"
		 "L: ld.volatile.shared.u32 %r1, [%d2];\nsetp.ne.u32 %p1, %r1, %r0;\n@%p1 bra L;\n"
		 "GO: add.u32 %r2, %r0, 1;\nmov.u32 %r9, %r0;\n" STORE
		 "st.volatile.shared.u32 [%d2], %r2;\nret;\n",
		 70, check_handover);
}
END_TEST

static void check_sum(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], n * (n - 1) / 2);
}

START_TEST(barrier_in_a_loop)
{
	run_body("mov.u64 %d2, sm;\nmul.wide.u32 %d3, %r0, 4;\nadd.u64 %d3, %d3, %d2;\n"
		 "st.shared.u32 [%d3], %r0;\nmov.u32 %r1, 128;\n"
		 "L: bar.sync 0;\nsetp.ge.u32 %p0, %r0, %r1;\n@%p0 bra S;\nmul.wide.u32 %d4, %r1, "
		 "4;\n"
		 "add.u64 %d4, %d4, %d3;\nld.shared.u32 %r2, [%d4];\nld.shared.u32 %r3, [%d3];\n"
		 "add.u32 %r3, %r3, %r2;\nst.shared.u32 [%d3], %r3;\n"
		 "S: shr.u32 %r1, %r1, 1;\nsetp.ne.u32 %p1, %r1, 0;\n@%p1 bra L;\nbar.sync 0;\n"
		 "ld.shared.u32 %r9, [sm];\n" STORE "ret;\n",
		 256, check_sum);
}
END_TEST

static void check_pace(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 55);
}

/*
 * Each round's sum is cleared by one thread while the others may still have to read the last one:
 * nothing orders the two but the pace of the warps. LLVM 16 compiles OpenMP's reductions to this.
 */
START_TEST(warps_keep_pace_after_a_barrier)
{
	run_body("mov.u32 %r1, 0;\nsetp.ne.u32 %p0, %r0, 0;\nmov.u32 %r2, 0;\n"
		 "L: @!%p0 st.shared.u32 [sm], %r2;\nbar.sync 0;\nadd.u32 %r1, %r1, 1;\n"
		 "@!%p0 st.shared.u32 [sm], %r1;\nbar.sync 0;\nmul.wide.u32 %d3, %r1, 8;\n"
		 "add.u64 %d3, %d3, %d0;\nld.shared.u32 %r3, [sm];\nadd.u32 %r9, %r9, %r3;\n"
		 "st.global.u32 [%d3+1024], %r3;\nst.global.u32 [%d3+1028], %r3;\n"
		 "setp.ne.u32 %p1, %r1, 10;\n@%p1 bra L;\n" STORE "ret;\n",
		 128, check_pace);
}
END_TEST

static void check_divergent_barrier(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t < 40 ? 7 : 9);
}

/* Both sides of a branch have a barrier of their own: threads arrive one by one. */
START_TEST(barriers_on_both_sides)
{
	run_body("setp.lt.u32 %p0, %r0, 40;\n@%p0 bra A;\nbar.sync 0;\nmov.u32 %r9, 9;\nbra E;\n"
		 "A: bar.sync 0;\nmov.u32 %r9, 7;\nE:\n" STORE "ret;\n",
		 90, check_divergent_barrier);
}
END_TEST

static void check_named(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t < 32 ? 0 : 5);
}

/* The first warp produces and arrives, the second waits. */
START_TEST(named_barrier_with_arrive)
{
	run_body("setp.ge.u32 %p0, %r0, 32;\n@%p0 bra C;\nmov.u32 %r1, 5;\nst.shared.u32 [sm], "
		 "%r1;\n"
		 "bar.arrive 3, 64;\n" STORE
		 "ret;\nC: barrier.sync 3, 64;\nld.shared.u32 %r9, [sm];\n" STORE "ret;\n",
		 64, check_named);
}
END_TEST

static void check_bar_red(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 20 + 100 * 0 + 1000 * 1);
}

START_TEST(barrier_reduction)
{
	run_body("setp.lt.u32 %p0, %r0, 20;\nbar.red.popc.u32 %r1, 0, %p0;\nbar.red.and.pred %p1, "
		 "0, %p0;\n"
		 "bar.red.or.pred %p2, 1, !%p0;\nselp.u32 %r2, 100, 0, %p1;\nselp.u32 %r3, 1000, "
		 "0, %p2;\n"
		 "add.u32 %r9, %r1, %r2;\nadd.u32 %r9, %r9, %r3;\n" STORE "ret;\n",
		 70, check_bar_red);
}
END_TEST

static void check_shuffles(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++) {
		uint32_t l = t & 31, up = l >= 2 ? t - 2 : t, down = l + 3 < 32 ? t + 3 : t;
		uint32_t segment = (l & 8) | 5;

		ck_assert_uint_eq(out[t], up + down * 3 + (t ^ 5) * 7 + ((t & ~31u) + 9) * 11 +
						  ((t & ~15u) + segment) * 13 +
						  (l >= 2 ? 100000 : 0));
	}
}

START_TEST(shuffles)
{
	run_body("shfl.sync.up.b32 %r1|%p0, %r0, 2, 0, -1;\nshfl.sync.down.b32 %r2, %r0, 3, 31, "
		 "-1;\n"
		 "shfl.sync.bfly.b32 %r3, %r0, 5, 31, -1;\nshfl.sync.idx.b32 %r4, %r0, 9, 31, -1;\n"
		 "shfl.idx.b32 %r5, %r0, 5, 0x181f;\n"
		 "mad.lo.u32 %r9, %r2, 3, %r1;\nmad.lo.u32 %r9, %r3, 7, %r9;\nmad.lo.u32 %r9, %r4, "
		 "11, %r9;\n"
		 "mad.lo.u32 %r9, %r5, 13, %r9;\n@%p0 add.u32 %r9, %r9, 100000;\n" STORE "ret;\n",
		 64, check_shuffles);
}
END_TEST

static void check_votes(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++) {
		uint32_t even = t & 1 ? 0xaaaaaaaa : 0x55555555, some = 0x00000fff & even;

		ck_assert_uint_eq(out[t] & 0xfff, some & 0xfff);
		ck_assert_uint_eq(out[t] >> 28, 2 | (t & 1 ? 4 : 0));
	}
}

/* Odd and even lanes vote apart, each with its own member mask. */
START_TEST(votes_in_divergent_code)
{
	run_body("and.b32 %r1, %r0, 1;\nsetp.ne.u32 %p0, %r1, 0;\nand.b32 %r8, %r0, 31;\n"
		 "setp.lt.u32 %p1, %r8, 12;\nmov.u32 %r2, 0x55555555;\n@%p0 mov.u32 %r2, "
		 "0xaaaaaaaa;\n"
		 "@%p0 bra O;\nvote.sync.ballot.b32 %r9, %p1, 0x55555555;\nbra J;\n"
		 "O: vote.sync.ballot.b32 %r9, %p1, 0xaaaaaaaa;\nJ:\n"
		 "vote.sync.all.pred %p2, %p1, %r2;\nvote.sync.any.pred %p3, %p1, %r2;\n"
		 "vote.sync.uni.pred %p4, %p0, %r2;\nvote.sync.all.pred %p5, %p0, %r2;\n"
		 "@%p2 or.b32 %r9, %r9, 0x10000000;\n@%p3 or.b32 %r9, %r9, 0x20000000;\n"
		 "@!%p4 or.b32 %r9, %r9, 0x80000000;\n@%p5 or.b32 %r9, %r9, 0x40000000;\n" STORE
		 "ret;\n",
		 64, check_votes);
}
END_TEST

static void check_gather(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t < 16 ? 31 - t : 31 - t + 1000);
}

/* The two halves reach a full-mask shuffle by different ways, and at different times. */
START_TEST(sync_waits_for_lanes)
{
	run_body("mov.u32 %r1, %r0;\nsetp.lt.u32 %p0, %r0, 16;\n@%p0 bra A;\nmov.u32 %r2, 50;\n"
		 "L: sub.u32 %r2, %r2, 1;\nsetp.ne.u32 %p1, %r2, 0;\n@%p1 bra L;\nbra J;\n"
		 "A: add.u32 %r1, %r1, 1000;\nJ: shfl.sync.bfly.b32 %r9, %r1, 31, 31, -1;\n" STORE
		 "ret;\n",
		 32, check_gather);
}
END_TEST

static void check_apart(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], (t ^ 31) + (t < 16 ? 1 : 2));
}

/* The same exchange written twice, on both sides of a branch, with all lanes as members. */
START_TEST(sync_at_different_places)
{
	run_body(
		"setp.lt.u32 %p0, %r0, 16;\n@%p0 bra A;\nshfl.sync.bfly.b32 %r9, %r0, 31, 31, -1;\n"
		"bar.warp.sync -1;\nadd.u32 %r9, %r9, 2;\nbra J;\n"
		"A: shfl.sync.bfly.b32 %r9, %r0, 31, 31, -1;\nbar.warp.sync -1;\nadd.u32 %r9, %r9, "
		"1;\n"
		"J:\n" STORE "ret;\n",
		32, check_apart);
}
END_TEST

static void check_match(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 0x11111111u << (t & 3));
}

START_TEST(match_any)
{
	run_body("and.b32 %r1, %r0, 3;\ncvt.u64.u32 %d2, %r1;\nshl.b64 %d2, %d2, 40;\n"
		 "match.any.sync.b64 %r9, %d2, -1;\nmatch.any.sync.b32 %r3, %r1, -1;\nand.b32 %r9, "
		 "%r9, %r3;\n" STORE "ret;\n",
		 64, check_match);
}
END_TEST

static void check_all(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 0xffffffff);
}

START_TEST(match_all_and_redux)
{
	run_body(
		"match.all.sync.b32 %r1|%p0, 5, -1;\nmatch.all.sync.b32 %r2|%p1, %r0, -1;\n"
		"or.b32 %r9, %r1, %r2;\n@%p1 mov.u32 %r9, 1;\n@!%p0 mov.u32 %r9, 2;\n"
		"and.b32 %r8, %r0, 31;\nredux.sync.add.u32 %r3, %r8, -1;\nsetp.ne.u32 %p2, %r3, "
		"496;\n"
		"@%p2 mov.u32 %r9, 3;\nsub.s32 %r4, %r8, 5;\nredux.sync.min.s32 %r5, %r4, -1;\n"
		"setp.ne.s32 %p3, %r5, -5;\n@%p3 mov.u32 %r9, 4;\nredux.sync.max.u32 %r5, %r4, "
		"-1;\n"
		"setp.ne.u32 %p3, %r5, 0xffffffff;\n@%p3 mov.u32 %r9, 5;\n"
		"redux.sync.xor.b32 %r5, %r8, -1;\nsetp.ne.u32 %p3, %r5, 0;\n@%p3 mov.u32 %r9, 6;\n"
		"redux.sync.or.b32 %r5, %r8, -1;\nsetp.ne.u32 %p3, %r5, 31;\n@%p3 mov.u32 %r9, 7;\n"
		"redux.sync.and.b32 %r5, %r8, -1;\nsetp.ne.u32 %p3, %r5, 0;\n@%p3 mov.u32 %r9, 8;\n"
		"activemask.b32 %r6;\nsetp.ne.u32 %p3, %r6, -1;\n@%p3 mov.u32 %r9, 9;\n"
		"elect.sync %r7|%p4, -1;\nsetp.eq.u32 %p5, %r8, 0;\nxor.pred %p6, %p4, %p5;\n"
		"@%p6 mov.u32 %r9, 10;\n" STORE "ret;\n",
		64, check_all);
}
END_TEST

static void check_sleep(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 1);
}

START_TEST(nanosleep_and_clocks)
{
	run_body("mov.u64 %d2, %globaltimer;\nmov.u64 %d3, %clock64;\nmul.lo.u32 %r1, %r0, 1000;\n"
		 "add.u32 %r1, %r1, 5000;\nnanosleep.u32 %r1;\nmov.u64 %d4, %globaltimer;\n"
		 "mov.u64 %d5, %clock64;\nsub.u64 %d4, %d4, %d2;\ncvt.u64.u32 %d6, %r1;\n"
		 "setp.ge.u64 %p0, %d4, %d6;\nsetp.gt.u64 %p1, %d5, %d3;\nand.pred %p0, %p0, %p1;\n"
		 "selp.u32 %r9, 1, 0, %p0;\n" STORE "ret;\n",
		 40, check_sleep);
}
END_TEST

START_TEST(a_sleeping_block_says_so)
{
	struct ptx_world w;
	struct ptx_cta *c;
	uint64_t ns = 0;

	world_open(&w, PTX_HEAD ".visible .entry k()\n{\nnanosleep.u32 5000;\nret;\n}\n");
	w.now_ns = 1000;
	c = ptx_cta_new(&w.launch, 0, 0, 0, 0);
	ck_assert_int_eq(ptx_cta_step(c, 1000, &ns), PTX_SLEEPING);
	ck_assert_uint_eq(ns, 5000);
	w.now_ns += 2000;
	ck_assert_int_eq(ptx_cta_step(c, 1000, &ns), PTX_SLEEPING);
	ck_assert_uint_eq(ns, 3000);
	w.now_ns += 3000;
	ck_assert_int_eq(ptx_cta_step(c, 1000, &ns), PTX_DONE);
	ptx_cta_free(c);
	world_close(&w);
}
END_TEST

START_TEST(an_endless_block_runs_on)
{
	struct ptx_world w;
	struct ptx_cta *c;
	uint64_t ns = 0;

	world_open(&w, PTX_HEAD ".visible .entry k()\n{\nL: bra L;\n}\n");
	c = ptx_cta_new(&w.launch, 0, 0, 0, 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(ptx_cta_step(c, 1000, &ns), PTX_RUNNING);
	ck_assert_uint_eq(ptx_cta_instructions(c), 10000);
	ptx_cta_free(c);
	world_close(&w);
}
END_TEST

/* Two warps in different barriers wait for ever, without spinning. */
START_TEST(a_deadlock_does_not_spin)
{
	struct ptx_world w;
	struct ptx_cta *c;
	uint64_t ns = 0;

	world_open(&w, PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r;\n.reg .pred %p;\n"
				"mov.u32 %r, %tid.x;\nsetp.lt.u32 %p, %r, 32;\n"
				"@%p bar.sync 1, 64;\n@!%p bar.sync 2, 64;\nret;\n}\n");
	w.launch.block[0] = 64;
	c = ptx_cta_new(&w.launch, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ptx_cta_step(c, 1000, &ns), PTX_SLEEPING);
	ck_assert_uint_gt(ns, 0);
	ck_assert_uint_lt(ptx_cta_instructions(c), 100);
	ptx_cta_free(c);
	world_close(&w);
}
END_TEST

struct runner {
	pthread_t thread;
	const struct ptx_launch *l;
	enum ptx_step last;
};

static void *run_blocks(void *arg)
{
	struct runner *r = arg;

	for (uint32_t x = 0; x < 20; x++) {
		struct ptx_cta *c = ptx_cta_new(r->l, x, 0, 0, 0);
		uint64_t ns;

		while (c && (r->last = ptx_cta_step(c, 50, &ns)) == PTX_RUNNING)
			;
		ptx_cta_free(c);
	}
	return NULL;
}

/* Blocks in several threads share a counter, a sum and a lock. */
START_TEST(blocks_run_in_parallel)
{
	struct runner r[4];
	struct ptx_world w;
	uint32_t *out;

	world_open(&w, ENTRY "atom.global.add.u32 %r1, [%d0], 1;\n"
			     "red.global.add.f64 [%d0+8], 0d3FF0000000000000;\n"
			     "setp.ne.u32 %p0, %r0, 0;\n@%p0 ret;\n"
			     "L: atom.acquire.gpu.global.cas.b32 %r2, [%d0+16], 0, 1;\n"
			     "setp.ne.u32 %p1, %r2, 0;\n@%p1 bra L;\n"
			     "ld.global.u32 %r3, [%d0+20];\nadd.u32 %r3, %r3, 1;\n"
			     "st.global.u32 [%d0+20], %r3;\nmembar.gl;\n"
			     "atom.release.gpu.global.exch.b32 %r4, [%d0+16], 0;\nret;\n}\n");
	out = world_alloc(&w, 256);
	w.launch.block[0] = 64;
	world_param_ptr(&w, 0, out);
	for (int i = 0; i < 4; i++) {
		r[i].l = &w.launch;
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, run_blocks, &r[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_int_eq(r[i].last, PTX_DONE);
	}
	ck_assert_uint_eq(out[0], 4 * 20 * 64);
	ck_assert_double_eq(*(double *)(out + 2), 4 * 20 * 64);
	ck_assert_uint_eq(out[5], 4 * 20);
	world_close(&w);
}
END_TEST

static void check_each_name(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 21 + 100 + 1000);
}

/* The same by each of their names; of barriers without .aligned a part of a warp may come first. */
START_TEST(barriers_by_each_name)
{
	static const char *const names[] = {"bar", "bar.cta", "barrier", "barrier.cta"};
	char text[2048];

	for (size_t i = 0; i < 2 * CASE_COUNT(names); i++) {
		const char *name = names[i / 2], *a = i / 2 > 1 && i & 1 ? ".aligned" : "";

		snprintf(text, sizeof(text),
			 "setp.lt.u32 %%p0, %%r0, 21;\n%s.red.popc%s.u32 %%r1, 0, %%p0;\n"
			 "%s.red.and%s.pred %%p1, 1, %%p0;\n%s.red.or%s.pred %%p2, 2, %%p0;\n"
			 "selp.u32 %%r2, 50, 100, %%p1;\nselp.u32 %%r3, 1000, 0, %%p2;\n"
			 "add.u32 %%r1, %%r1, %%r2;\nadd.u32 %%r1, %%r1, %%r3;\nsetp.ge.u32 %%p3, "
			 "%%r0, 64;\n"
			 "@%%p3 bra LAST;\n%s.sync%s 3, 96;\nld.shared.u32 %%r9, [sm];\n%sret;\n"
			 "LAST: st.shared.u32 [sm], %%r1;\nmembar.cta;\n%s.arrive%s 3, "
			 "96;\nmov.u32 %%r9, %%r1;\n%sret;\n",
			 name, a, name, a, name, a, name, a, STORE, name, a, STORE);
		run_body(text, 96, check_each_name);
	}
}
END_TEST

static void check_table(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], t % 3 * 100 + 7);
}

static void check_one_way(const uint32_t *out, uint32_t n)
{
	for (uint32_t t = 0; t < n; t++)
		ck_assert_uint_eq(out[t], 107);
}

START_TEST(branches_by_a_table)
{
	static const char *const names[] = {"brx.idx", "brx.idx.uni"};
	char text[1024];

	for (int i = 0; i < 2; i++) {
		/* .uni: all lanes of a warp go the same way */
		snprintf(text, sizeof(text),
			 "%s rem.u32 %%r1, %%r0, 3;\nt: .branchtargets A, B, C;\n%s %%r1, t;\n"
			 "C: add.u32 %%r9, %%r9, 100;\nB: add.u32 %%r9, %%r9, 100;\nA: add.u32 "
			 "%%r9, %%r9, 7;\n%sret;\n",
			 i ? "mov.u32 %r0, 1;" : "", names[i], STORE);
		run_body(text, i ? 2 : 70, i ? check_one_way : check_table);
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, nested_branches);
	tcase_add_test(t, loops_of_different_length);
	tcase_add_test(t, early_exits);
	tcase_add_test(t, spin_lock);
	tcase_add_test(t, lanes_wait_for_each_other);
	tcase_add_test(t, barrier_in_a_loop);
	tcase_add_test(t, warps_keep_pace_after_a_barrier);
	tcase_add_test(t, barriers_on_both_sides);
	tcase_add_test(t, named_barrier_with_arrive);
	tcase_add_test(t, barrier_reduction);
	tcase_add_test(t, shuffles);
	tcase_add_test(t, votes_in_divergent_code);
	tcase_add_test(t, sync_waits_for_lanes);
	tcase_add_test(t, sync_at_different_places);
	tcase_add_test(t, match_any);
	tcase_add_test(t, match_all_and_redux);
	tcase_add_test(t, nanosleep_and_clocks);
	tcase_add_test(t, a_sleeping_block_says_so);
	tcase_add_test(t, an_endless_block_runs_on);
	tcase_add_test(t, a_deadlock_does_not_spin);
	tcase_add_test(t, blocks_run_in_parallel);
	tcase_add_test(t, barriers_by_each_name);
	tcase_add_test(t, branches_by_a_table);
}

int main(void)
{
	Suite *s = suite_create("ptx_warp");
	TCase *t = tcase_create("warp");

	tcase_set_timeout(t, 120);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
