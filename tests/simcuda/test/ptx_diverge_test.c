/* SPDX-License-Identifier: MIT */
/* Lanes that part and meet: what PTX says of barriers, masks and votes then. */
#include "tests/simcuda/test/ptx_case.h"

#define ENTRY                                                                                      \
	".visible .entry k(.param .u64 out)\n{\n.reg .pred %p<10>;\n.reg .b32 %r<40>;\n"           \
	".reg .b64 %d<10>;\n.shared .align 4 .b32 sm[1024];\n"                                     \
	"ld.param.u64 %d0, [out];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %d1, %r0, 4;\n"              \
	"add.u64 %d1, %d1, %d0;\nmov.u32 %r9, 0;\nand.b32 %r8, %r0, 31;\n"
#define STORE "st.global.u32 [%d1], %r9;\nret;\n}\n"

static const uint64_t budgets[] = {1u << 20, 1, 7};

/* Run the text for `threads`, whole and in small steps; want() is each thread's %r9. */
static void run_text(const char *functions, const char *body, uint32_t threads,
		     uint32_t (*want)(uint32_t t, uint32_t n))
{
	static char text[16384];

	snprintf(text, sizeof(text), "%s%s%s%s%s", PTX_HEAD, functions, ENTRY, body, STORE);
	for (size_t b = 0; b < CASE_COUNT(budgets); b++) {
		struct ptx_world w;
		uint32_t *out;

		world_open(&w, text);
		out = world_alloc(&w, 8192);
		w.launch.block[0] = threads;
		w.budget = budgets[b];
		world_param_ptr(&w, 0, out);
		world_run_ok(&w);
		for (uint32_t t = 0; t < threads; t++)
			ck_assert_msg(out[t] == want(t, threads),
				      "thread %u of %u has %#x, not %#x", t, threads, out[t],
				      want(t, threads));
		world_close(&w);
	}
}

static uint32_t warp_mask(uint32_t t, uint32_t n)
{
	uint32_t left = n - (t & ~31u);

	return left >= 32 ? 0xffffffff : (1u << left) - 1;
}

/* The last warp of a block has fewer lanes: it counts whole at a barrier with a number of threads.
 */
static uint32_t want_sum(uint32_t t, uint32_t n)
{
	return n * (n - 1) / 2;
}

START_TEST(barrier_with_a_partial_warp)
{
	static const char body[] = "atom.shared.add.u32 %r1, [sm], %r0;\nmov.u32 %r2, %ntid.x;\n"
				   "add.u32 %r2, %r2, 31;\nand.b32 %r2, %r2, -32;\n"
				   "bar.sync 5, %r2;\nld.shared.u32 %r9, [sm];\n";

	for (uint32_t n = 1; n <= 100; n += 11)
		run_text("", body, n, want_sum);
}
END_TEST

/* Lanes arrive at the barrier at different times, and half of them have left before. */
static uint32_t want_halves(uint32_t t, uint32_t n)
{
	return t & 1 ? n / 2 : 0;
}

START_TEST(barrier_after_early_exits)
{
	run_text("",
		 "and.b32 %r1, %r0, 1;\nsetp.eq.u32 %p0, %r1, 0;\n@%p0 exit;\n"
		 "and.b32 %r2, %r0, 7;\nL: setp.eq.u32 %p1, %r2, 0;\n@%p1 bra D;\n"
		 "sub.u32 %r2, %r2, 1;\nbra L;\nD: atom.shared.add.u32 %r3, [sm], 1;\nbar.sync 0;\n"
		 "ld.shared.u32 %r9, [sm];\n",
		 96, want_halves);
}
END_TEST

/* Two groups of lanes of one warp wait for their own members alone. */
static uint32_t want_groups(uint32_t t, uint32_t n)
{
	return (t & 31) < 16 ? 0x0000ffff : 0xffff0000;
}

START_TEST(warp_barrier_with_masks)
{
	run_text("",
		 "setp.lt.u32 %p0, %r8, 16;\nmov.u32 %r1, 0xffff0000;\n@%p0 mov.u32 %r1, 0xffff;\n"
		 "shr.u32 %r2, %r0, 5;\nshl.b32 %r2, %r2, 3;\ncvt.u64.u32 %d3, %r2;\n"
		 "mov.u64 %d2, sm;\nadd.u64 %d3, %d3, %d2;\n@%p0 bra A;\nadd.u64 %d3, %d3, 4;\n"
		 "and.b32 %r5, %r0, 3;\nL: setp.eq.u32 %p2, %r5, 0;\n@%p2 bra A;\n"
		 "sub.u32 %r5, %r5, 1;\nbra L;\n"
		 "A: mov.u32 %r4, 1;\nshl.b32 %r4, %r4, %r8;\natom.shared.or.b32 %r3, [%d3], %r4;\n"
		 "bar.warp.sync %r1;\nld.shared.u32 %r9, [%d3];\n",
		 64, want_groups);
}
END_TEST

/* A member that has exited is not waited for. */
static uint32_t want_rest(uint32_t t, uint32_t n)
{
	return (t & 31) < 8 ? 0 : 0xffffff00;
}

START_TEST(masks_with_exited_lanes)
{
	run_text("",
		 "setp.lt.u32 %p0, %r8, 8;\n@%p0 exit;\nbar.warp.sync -1;\n"
		 "setp.ge.u32 %p1, %r8, 0;\nvote.sync.ballot.b32 %r9, %p1, -1;\n",
		 64, want_rest);
}
END_TEST

static uint32_t want_neighbours(uint32_t t, uint32_t n)
{
	uint32_t l = t & 31;

	return l < 8 ? (t ^ 1) + 100 : l < 16 ? (t & ~31u) + 8 : t;
}

/* Lanes 0 to 7 and 8 to 15 shuffle apart; the others do not take part. */
START_TEST(shuffles_with_masks)
{
	run_text("",
		 "mov.u32 %r9, %r0;\nsetp.ge.u32 %p0, %r8, 16;\n@%p0 bra E;\nsetp.ge.u32 %p1, %r8, "
		 "8;\n"
		 "@%p1 bra B;\nshfl.sync.bfly.b32 %r9, %r0, 1, 31, 0xff;\nadd.u32 %r9, %r9, 100;\n"
		 "bra E;\nB: shfl.sync.idx.b32 %r9, %r0, 8, 31, 0xff00;\nE:\n",
		 64, want_neighbours);
}
END_TEST

static uint32_t want_active(uint32_t t, uint32_t n)
{
	uint32_t all = warp_mask(t, n), third = 0;

	for (uint32_t l = 0; l < 32; l++)
		third |= (uint32_t)(l % 3 == (t & 31) % 3) << l;
	return (third & all) ^ all;
}

/* activemask at the start of a block, of the last warp, too, and in a branch. */
START_TEST(activemask)
{
	static const char body[] =
		"activemask.b32 %r1;\nrem.u32 %r2, %r8, 3;\nsetp.eq.u32 %p0, %r2, 0;\n@%p0 bra A;\n"
		"setp.eq.u32 %p1, %r2, 1;\n@%p1 bra B;\nactivemask.b32 %r9;\nbra E;\n"
		"A: activemask.b32 %r9;\nbra E;\nB: activemask.b32 %r9;\nE: xor.b32 %r9, %r9, "
		"%r1;\n";

	run_text("", body, 64, want_active);
	run_text("", body, 45, want_active);
}
END_TEST

/* Loops in loops, each lane with numbers of rounds of its own; then all lanes vote together. */
static uint32_t want_rounds(uint32_t t, uint32_t n)
{
	uint32_t l = t & 31, sum = 0, odd = 0;

	for (uint32_t i = 0; i < l % 5; i++) {
		for (uint32_t k = 0; k < (l + i) % 4; k++)
			sum += i * k + 1;
	}
	for (uint32_t j = 0; j < 32; j++) {
		uint32_t s = 0;

		for (uint32_t i = 0; i < j % 5; i++) {
			for (uint32_t k = 0; k < (j + i) % 4; k++)
				s += i * k + 1;
		}
		odd |= (s & 1) << j;
	}
	return sum ^ (odd & warp_mask(t, n));
}

START_TEST(nested_loops_and_a_vote_after_them)
{
	static const char body[] =
		"mov.u32 %r1, 0;\nrem.u32 %r2, %r8, 5;\n"
		"O: setp.ge.u32 %p0, %r1, %r2;\n@%p0 bra OE;\nmov.u32 %r3, 0;\nadd.u32 %r4, %r8, "
		"%r1;\n"
		"and.b32 %r4, %r4, 3;\nI: setp.ge.u32 %p1, %r3, %r4;\n@%p1 bra IE;\n"
		"mad.lo.u32 %r9, %r1, %r3, %r9;\nadd.u32 %r9, %r9, 1;\nadd.u32 %r3, %r3, 1;\nbra "
		"I;\n"
		"IE: add.u32 %r1, %r1, 1;\nbra O;\n"
		"OE: and.b32 %r5, %r9, 1;\nsetp.ne.u32 %p2, %r5, 0;\nmov.u32 %r7, -1;\n"
		"vote.sync.ballot.b32 %r6, %p2, %r7;\nxor.b32 %r9, %r9, %r6;\n";

	run_text("", body, 64, want_rounds);
	run_text("", body, 41, want_rounds);
}
END_TEST

static uint32_t fibonacci(uint32_t n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t want_fibonacci(uint32_t t, uint32_t n)
{
	uint32_t most = fibonacci(n - 1 < 9 ? n - 1 : 9);

	return fibonacci(t % 10) + 1000 * most;
}

/* Every lane's recursion has another depth; afterwards the lanes are together. */
START_TEST(recursion)
{
	run_text(".func (.param .b32 f) fib(.param .b32 n)\n{\n.reg .b32 %r<8>;\n.reg .pred %p;\n"
		 ".param .b32 a;\n.param .b32 b;\nld.param.u32 %r0, [n];\nsetp.lt.u32 %p, %r0, 2;\n"
		 "@%p bra L;\nsub.u32 %r1, %r0, 1;\nst.param.b32 [a], %r1;\ncall (b), fib, (a);\n"
		 "ld.param.b32 %r2, [b];\nsub.u32 %r1, %r0, 2;\nst.param.b32 [a], %r1;\n"
		 "call (b), fib, (a);\nld.param.b32 %r3, [b];\nadd.u32 %r0, %r2, %r3;\n"
		 "L: st.param.b32 [f], %r0;\nret;\n}\n",
		 ".param .b32 a;\n.param .b32 b;\nrem.u32 %r1, %r0, 10;\nst.param.b32 [a], %r1;\n"
		 "call (b), fib, (a);\nld.param.b32 %r9, [b];\nredux.sync.max.u32 %r2, %r9, -1;\n"
		 "mad.lo.u32 %r9, %r2, 1000, %r9;\n",
		 32, want_fibonacci);
}
END_TEST

/* vote and match in a branch see the lanes of the branch, afterwards all of them. */
static uint32_t want_votes(uint32_t t, uint32_t n)
{
	uint32_t l = t & 31;

	return (l < 20 ? 0x000aaaaau : 0xaaa00000u) ^ (l < 20 ? 0x000fffffu : 0xfff00000u) ^
	       0xaaaaaaaau;
}

START_TEST(votes_in_and_after_a_branch)
{
	run_text("",
		 "and.b32 %r1, %r8, 1;\nsetp.ne.u32 %p0, %r1, 0;\nsetp.lt.u32 %p1, %r8, 20;\n@%p1 "
		 "bra A;\n"
		 "vote.sync.ballot.b32 %r2, %p0, 0xfff00000;\nmatch.any.sync.b32 %r3, 7, "
		 "0xfff00000;\n"
		 "bra E;\nA: vote.sync.ballot.b32 %r2, %p0, 0xfffff;\n"
		 "match.any.sync.b32 %r3, 7, 0xfffff;\nE: vote.sync.ballot.b32 %r4, %p0, -1;\n"
		 "xor.b32 %r9, %r2, %r3;\nxor.b32 %r9, %r9, %r4;\n",
		 64, want_votes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_diverge");
	TCase *t = tcase_create("diverge");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, barrier_with_a_partial_warp);
	tcase_add_test(t, barrier_after_early_exits);
	tcase_add_test(t, warp_barrier_with_masks);
	tcase_add_test(t, masks_with_exited_lanes);
	tcase_add_test(t, shuffles_with_masks);
	tcase_add_test(t, activemask);
	tcase_add_test(t, nested_loops_and_a_vote_after_them);
	tcase_add_test(t, recursion);
	tcase_add_test(t, votes_in_and_after_a_branch);
	suite_add_tcase(s, t);
	return run_suite(s);
}
