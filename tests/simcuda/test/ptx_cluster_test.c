/* SPDX-License-Identifier: MIT */
/* Clusters of several blocks: ranks, shared memory of all, barriers, copies to other blocks. */
#include "tests/simcuda/test/ptx_case.h"

#define BYTES 65536
static uint32_t got[BYTES / 4];

/*
 * Statements with %d0 the output, %w0 the address of `sh` (4096 bytes of shared memory), %w1 that
 * of `bar`, %w2 the thread, %w3 the rank, %w4 the number of ranks; %w5 the linear block.
 */
static enum ptx_step try_run(const char *body, const uint32_t grid[3], const uint32_t cluster[3],
			     uint32_t threads, uint64_t budget, struct ptx_fault *fault)
{
	static char text[16384];
	struct ptx_world w;
	enum ptx_step s;
	uint8_t *out;

	snprintf(text, sizeof(text),
		 PTX_HEAD ".shared .align 16 .b8 sh[4096];\n.shared .align 8 .b64 bar;\n"
			  ".visible .entry k(.param .u64 out)\n{\n"
			  ".reg .pred %%p<8>;\n.reg .b16 %%h<8>;\n.reg .b32 %%w<32>;\n"
			  ".reg .b64 %%d<16>;\nld.param.u64 %%d0, [out];\nmov.u32 %%w0, sh;\n"
			  "mov.u32 %%w1, bar;\nmov.u32 %%w2, %%tid.x;\n"
			  "mov.u32 %%w3, %%cluster_ctarank;\nmov.u32 %%w4, %%cluster_nctarank;\n"
			  "mov.u32 %%w5, %%ctaid.z;\nmov.u32 %%w6, %%nctaid.y;\nmov.u32 %%w7, "
			  "%%ctaid.y;\nmad.lo.u32 %%w5, %%w5, %%w6, %%w7;\nmov.u32 %%w6, "
			  "%%nctaid.x;\nmov.u32 %%w7, %%ctaid.x;\nmad.lo.u32 %%w5, %%w5, %%w6, "
			  "%%w7;\n%s\nret;\n}\n",
		 body);
	world_open(&w, text);
	out = world_alloc(&w, BYTES);
	memset(out, 0, BYTES);
	memcpy(w.launch.grid, grid, sizeof(w.launch.grid));
	memcpy(w.launch.cluster, cluster, sizeof(w.launch.cluster));
	w.launch.block[0] = threads;
	w.budget = budget;
	world_param_ptr(&w, 0, out);
	s = world_run(&w, fault);
	memcpy(got, out, BYTES);
	world_close(&w);
	return s;
}

static void run(const char *body, uint32_t blocks, uint32_t threads)
{
	const uint32_t one[3] = {blocks, 1, 1}, grid[3] = {2 * blocks, 1, 1};
	const uint64_t budgets[] = {1000000, 1, 17};
	static uint32_t first[BYTES / 4];
	struct ptx_fault f = {0};

	for (int i = 0; i < 3; i++) {
		enum ptx_step s = try_run(body, grid, one, threads, budgets[i], &f);

		ck_assert_msg(s == PTX_DONE, "fault %d at %#llx, line %u", f.kind,
			      (unsigned long long)f.address, f.line);
		if (!i)
			memcpy(first, got, sizeof(got));
		ck_assert(!memcmp(first, got, sizeof(got)));
	}
}

static void fails(const char *body, enum ptx_fault_kind kind)
{
	const uint32_t two[3] = {2, 1, 1};
	struct ptx_fault f = {0};

	ck_assert_int_eq(try_run(body, two, two, 32, 1000, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, kind);
}

#define STORE(n, what) "mov.u32 %w10, %" what ";\nst.global.u32 [%d1+" #n "], %w10;\n"

START_TEST(ranks)
{
	const uint32_t grid[3] = {8, 4, 6}, size[3] = {4, 2, 1}, none[3] = {0};
	const char *const body = "mul.wide.u32 %d1, %w5, 64;\nadd.u64 %d1, %d1, %d0;\n" STORE(
		0, "clusterid.x") STORE(4, "clusterid.y") STORE(8, "clusterid.z")
		STORE(12, "nclusterid.x") STORE(16, "nclusterid.y") STORE(20, "nclusterid.z") STORE(
			24, "cluster_ctaid.x") STORE(28, "cluster_ctaid.y") STORE(32,
										  "cluster_ctaid.z")
			STORE(36, "cluster_nctaid.x") STORE(40, "cluster_nctaid.y") STORE(
				44,
				"cluster_nctaid.z") "mov.pred %p1, %is_explicit_cluster;\nselp.b32 "
						    "%w10, 1, 0, %p1;\n"
						    "st.global.v4.u32 [%d1+48], {%w3, %w4, %w10, "
						    "7};\n";

	for (int clustered = 0; clustered < 2; clustered++) {
		const uint32_t *c = clustered ? size : none;

		ck_assert_int_eq(try_run(body, grid, c, 1, 1000, NULL), PTX_DONE);
		for (uint32_t b = 0; b < 8 * 4 * 6; b++) {
			const uint32_t at[3] = {b % 8, b / 8 % 4, b / 32}, *v = got + 16 * b;
			uint32_t in[3];

			for (int i = 0; i < 3; i++) {
				const uint32_t n = clustered ? size[i] : 1;

				in[i] = at[i] % n;
				ck_assert_uint_eq(v[i], at[i] / n);
				ck_assert_uint_eq(v[3 + i], grid[i] / n);
				ck_assert_uint_eq(v[6 + i], in[i]);
				ck_assert_uint_eq(v[9 + i], n);
			}
			ck_assert_uint_eq(v[12], clustered ? in[0] + 4 * in[1] : 0);
			ck_assert_uint_eq(v[13], clustered ? 8 : 1);
			ck_assert_uint_eq(v[14], (uint32_t)clustered);
			ck_assert_uint_eq(v[15], 7);
		}
	}
}
END_TEST

/* The next block's rank in %w8; the output of a thread in %d1. */
#define NEXT                                                                                       \
	"add.u32 %w8, %w3, 1;\nrem.u32 %w8, %w8, %w4;\nmov.u32 %w9, %ntid.x;\n"                    \
	"mad.lo.u32 %w9, %w5, %w9, %w2;\nmul.wide.u32 %d1, %w9, 16;\nadd.u64 %d1, %d1, %d0;\n"
#define SYNC "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n"

/* Each thread writes into the next block and adds to the one behind that. */
START_TEST(shared_memory_of_others)
{
	const uint32_t sizes[] = {1, 2, 3, 8, 16};

	for (size_t n = 0; n < CASE_COUNT(sizes); n++) {
		const uint32_t k = sizes[n];

		run(NEXT
		    "mapa.shared::cluster.u32 %w11, %w0, %w8;\nmad.lo.u32 %w11, %w2, 8, %w11;\n"
		    "mul.lo.u32 %w12, %w3, 1000;\nadd.u32 %w12, %w12, %w2;\nadd.u32 %w13, %w12, "
		    "5;\n"
		    "st.shared::cluster.v2.u32 [%w11], {%w12, %w13};\n" SYNC
		    "ld.shared.v2.u32 {%w14, %w15}, [%w11];\n"
		    "mad.lo.u32 %w16, %w2, 8, %w0;\nld.shared.u32 %w17, [%w16];\n" SYNC
		    "atom.shared::cluster.add.u32 %w18, [%w11], 3;\n"
		    "cvt.u64.u32 %d2, %w16;\ncvta.shared.u64 %d2, %d2;\nmapa.u64 %d3, %d2, %w8;\n"
		    "red.add.u32 [%d3+4], 9;\n" SYNC
		    "ld.v2.u32 {%w19, %w20}, [%d2];\nadd.u32 %w19, %w19, %w20;\n"
		    "st.global.v4.u32 [%d1], {%w14, %w17, %w18, %w19};\n",
		    k, 64);
		for (uint32_t b = 0; b < 2 * k; b++) {
			for (uint32_t t = 0; t < 64; t++) {
				const uint32_t *v = got + 4 * (64 * b + t), rank = b % k;
				const uint32_t before = (rank + k - 1) % k * 1000 + t;

				ck_assert_uint_eq(v[0], rank * 1000 + t);
				ck_assert_uint_eq(v[1], before);
				ck_assert_uint_eq(v[2], rank * 1000 + t);
				ck_assert_uint_eq(v[3], 2 * before + 5 + 3 + 9);
			}
		}
	}
}
END_TEST

/* Addresses tell whose they are. */
START_TEST(addresses)
{
	run(NEXT
	    "cvt.u64.u32 %d2, %w0;\nmapa.shared::cluster.u64 %d3, %d2, %w8;\n"
	    "getctarank.shared::cluster.u64 %w11, %d3;\ngetctarank.shared::cluster.u32 %w12, %w0;\n"
	    "cvta.shared::cluster.u64 %d4, %d3;\nisspacep.shared::cluster %p1, %d4;\n"
	    "isspacep.shared %p2, %d4;\ncvta.shared.u64 %d5, %d2;\nisspacep.shared::cta %p3, %d5;\n"
	    "isspacep.shared::cluster %p4, %d5;\nmapa.u64 %d6, %d5, %w3;\n"
	    "isspacep.shared::cta %p5, %d6;\nisspacep.global %p6, %d4;\ngetctarank.u64 %w13, %d6;\n"
	    "selp.u32 %w14, 1, 0, %p1;\nselp.u32 %w15, 2, 0, %p2;\nor.b32 %w14, %w14, %w15;\n"
	    "selp.u32 %w15, 4, 0, %p3;\nor.b32 %w14, %w14, %w15;\nselp.u32 %w15, 8, 0, %p4;\n"
	    "or.b32 %w14, %w14, %w15;\nselp.u32 %w15, 16, 0, %p5;\nor.b32 %w14, %w14, %w15;\n"
	    "selp.u32 %w15, 32, 0, %p6;\nor.b32 %w14, %w14, %w15;\n"
	    "mapa.u64 %d7, %d4, %w3;\nsub.u64 %d7, %d7, %d6;\ncvt.u32.u64 %w15, %d7;\n"
	    "add.u32 %w15, %w15, %w12;\nst.global.v4.u32 [%d1], {%w11, %w15, %w13, %w14};\n",
	    4, 1);
	for (uint32_t b = 0; b < 8; b++) {
		ck_assert_uint_eq(got[4 * b], (b + 1) % 4);
		ck_assert_uint_eq(got[4 * b + 1], b % 4);
		ck_assert_uint_eq(got[4 * b + 2], b % 4);
		ck_assert_uint_eq(got[4 * b + 3], 1 + 4 + 8 + 16);
	}
}
END_TEST

/* Rounds of different lengths; block 0 leaves early, and half of the warps of block 1. */
START_TEST(barriers)
{
	run(NEXT "setp.eq.u32 %p1, %w3, 0;\n@%p1 bra LEAVE;\nmov.u32 %w10, 0;\nmov.u32 %w11, 0;\n"
		 "mov.u32 %w12, 1;\nmapa.shared::cluster.u32 %w13, %w0, %w12;\n"
		 "setp.eq.u32 %p1, %w3, 1;\nsetp.ge.and.u32 %p1, %w2, 32, %p1;\n@%p1 bra LEAVE;\n"
		 "AGAIN:\nmul.lo.u32 %w14, %w3, 20;\nWORK:\nsub.u32 %w14, %w14, 1;\n"
		 "setp.ne.u32 %p2, %w14, 0;\n@%p2 bra WORK;\n"
		 "atom.shared::cluster.add.u32 %w15, [%w13], 1;\n"
		 "barrier.cluster.arrive;\nadd.u32 %w10, %w10, 1;\nbarrier.cluster.wait;\n"
		 "ld.shared::cluster.u32 %w16, [%w13];\nmul.lo.u32 %w17, %w10, 160;\n"
		 "setp.ne.u32 %p3, %w16, %w17;\n@%p3 trap;\nbarrier.cluster.arrive.relaxed;\n"
		 "barrier.cluster.wait;\nsetp.lt.u32 %p4, %w10, 10;\n@%p4 bra AGAIN;\n"
		 "st.global.u32 [%d1], %w16;\n" SYNC "LEAVE:\n",
	    4, 64);
	for (uint32_t b = 0; b < 8; b++)
		ck_assert_uint_eq(got[4 * 64 * b], b % 4 ? 1600 : 0);
}
END_TEST

/* A block waits for what another one stores, without a barrier. */
START_TEST(waiting_for_a_store)
{
	run(NEXT SYNC
	    "setp.ne.u32 %p1, %w3, 0;\n@%p1 bra OTHERS;\nmov.u32 %w10, 0;\n"
	    "WORK:\nadd.u32 %w10, %w10, 1;\nsetp.lt.u32 %p2, %w10, 5000;\n@%p2 bra WORK;\n"
	    "mov.u32 %w11, 42;\nmapa.shared::cluster.u32 %w12, %w0, %w8;\n"
	    "st.release.cluster.shared::cluster.u32 [%w12], %w11;\nbra DONE;\n"
	    "OTHERS:\nld.acquire.cluster.shared::cluster.u32 %w11, [%w0];\n"
	    "setp.eq.u32 %p3, %w11, 0;\n@%p3 bra OTHERS;\nmapa.shared::cluster.u32 %w12, %w0, "
	    "%w8;\n"
	    "st.release.cluster.shared::cluster.u32 [%w12], %w11;\n"
	    "DONE:\nst.global.u32 [%d1], %w11;\n" SYNC,
	    4, 1);
	for (uint32_t b = 0; b < 8; b++)
		ck_assert_uint_eq(got[4 * b], 42);
}
END_TEST

/*
 * Each block sends 64 bytes to the next one, whose mbarrier object they tell, and all arrive at the
 * object of block 0.
 */
START_TEST(barrier_objects)
{
	run(NEXT
	    "setp.eq.u32 %p1, %w2, 0;\nmul.lo.u32 %w10, %w2, 4;\nadd.u32 %w10, %w10, %w0;\n"
	    "mul.lo.u32 %w11, %w3, 100;\nadd.u32 %w11, %w11, %w2;\nst.shared.u32 [%w10], %w11;\n"
	    "add.u32 %w12, %w1, 0;\n@%p1 mbarrier.init.shared.b64 [%w1], 1;\n"
	    "mul.lo.u32 %w13, %w4, 16;\n@%p1 mbarrier.init.shared.b64 [%w0+2048], %w13;\n"
	    "fence.mbarrier_init.release.cluster;\n" SYNC
	    "@%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%w1], 64;\n"
	    "mapa.shared::cluster.u32 %w14, %w0, %w8;\nmapa.shared::cluster.u32 %w15, %w1, %w8;\n"
	    "@%p1 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes "
	    "[%w14+1024], [%w0], 64, [%w15];\n"
	    "WAIT:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [%w1], 0;\n"
	    "@!%p2 bra WAIT;\nld.shared.u32 %w16, [%w10+1024];\n"
	    "mapa.shared::cluster.u32 %w17, %w0, 0;\n"
	    "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%w17+2048];\n"
	    "setp.ne.u32 %p3, %w3, 0;\n@%p3 bra END;\n"
	    "LAST:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [%w0+2048], 0;\n"
	    "@!%p2 bra LAST;\nadd.u32 %w16, %w16, 5000;\n"
	    "END:\nst.global.u32 [%d1], %w16;\n" SYNC,
	    4, 16);
	for (uint32_t b = 0; b < 8; b++)
		for (uint32_t t = 0; t < 16; t++)
			ck_assert_uint_eq(got[4 * (16 * b + t)],
					  (b + 3) % 4 * 100 + t + (b % 4 ? 0 : 5000));
}
END_TEST

/* One block's copy arrives in the blocks of a mask, and reductions add in another one. */
START_TEST(copies_to_several)
{
	run("mul.wide.u32 %d1, %w5, 64;\nadd.u64 %d1, %d1, %d0;\n"
	    "mbarrier.init.shared.b64 [%w1], 1;\nst.shared.u32 [%w0], 0;\n" SYNC
	    "setp.eq.u32 %p1, %w3, 2;\n@!%p1 bra WAIT;\n"
	    "add.u64 %d2, %d0, 32768;\nmov.u32 %w10, 11;\nmov.u32 %w11, 22;\n"
	    "st.global.v4.u32 [%d2], {%w10, %w11, %w10, %w11};\nmov.b16 %h1, 13;\n"
	    "fence.proxy.async;\n"
	    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
	    "[%w0+16], [%d2], 16, [%w1], %h1;\n"
	    "WAIT:\nsetp.eq.u32 %p2, %w3, 1;\n@%p2 bra SYNCED;\n"
	    "mbarrier.arrive.expect_tx.shared.b64 _, [%w1], 16;\n"
	    "AGAIN:\nmbarrier.try_wait.parity.shared.b64 %p3, [%w1], 0;\n@!%p3 bra AGAIN;\n"
	    "SYNCED:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n"
	    "ld.shared.v4.u32 {%w12, %w13, %w14, %w15}, [%w0+16];\n"
	    "st.global.v4.u32 [%d1], {%w12, %w13, %w14, %w15};\n"
	    "mbarrier.inval.shared.b64 [%w1];\nmbarrier.init.shared.b64 [%w1], 1;\n"
	    "st.shared.v4.u32 [%w0+32], {%w3, %w3, 1, 2};\n" SYNC
	    "mov.u32 %w16, 0;\nmapa.shared::cluster.u32 %w17, %w0, %w16;\n"
	    "mapa.shared::cluster.u32 %w18, %w1, %w16;\n@%p2 bra SUM;\nsetp.ne.u32 %p4, %w3, 0;\n"
	    "@%p4 bra SUM;\nmbarrier.arrive.expect_tx.shared.b64 _, [%w1], 64;\n"
	    "SUM:\ncp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes."
	    "add."
	    "u32 [%w17+48], [%w0+32], 16, [%w18];\nsetp.ne.u32 %p4, %w3, 0;\n@%p4 bra END;\n"
	    "ALL:\nmbarrier.try_wait.parity.shared.b64 %p3, [%w1], 0;\n@!%p3 bra ALL;\n"
	    "ld.shared.v4.u32 {%w12, %w13, %w14, %w15}, [%w0+48];\n"
	    "st.global.v4.u32 [%d1+16], {%w12, %w13, %w14, %w15};\n"
	    "END:\n" SYNC,
	    4, 1);
	for (uint32_t b = 0; b < 8; b++) {
		const uint32_t *v = got + 16 * b, there = b % 4 != 1;

		ck_assert(v[0] == there * 11 && v[1] == there * 22 && v[2] == v[0]);
		if (b % 4 == 0)
			ck_assert(v[4] == 6 && v[5] == 6 && v[6] == 4 && v[7] == 8);
	}
}
END_TEST

START_TEST(faults)
{
	fails("mapa.shared::cluster.u32 %w10, %w0, %w4;\n", PTX_FAULT_INSTRUCTION);
	fails("mapa.shared::cluster.u32 %w10, %w0, 1;\nst.shared::cluster.u32 [%w10+8192], 1;\n",
	      PTX_FAULT_ADDRESS);
	fails("mapa.shared::cluster.u32 %w10, %w0, 1;\nst.shared::cluster.u32 [%w10+2], 1;\n",
	      PTX_FAULT_MISALIGNED);
	fails("add.u32 %w10, %w0, 0x300000;\nld.shared::cluster.u32 %w11, [%w10];\n",
	      PTX_FAULT_ADDRESS);
	fails("mov.b16 %h1, 4;\nmbarrier.init.shared.b64 [%w1], 1;\n"
	      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::"
	      "cluster "
	      "[%w0], [%d0], 16, [%w1], %h1;\n",
	      PTX_FAULT_INSTRUCTION);
	/* its neighbour has ended */
	fails("setp.eq.u32 %p1, %w3, 1;\n@%p1 ret;\nmov.u32 %w10, 0;\n"
	      "WORK:\nadd.u32 %w10, %w10, 1;\nsetp.lt.u32 %p2, %w10, 5000;\n@%p2 bra WORK;\n"
	      "mapa.shared::cluster.u32 %w10, %w0, 1;\nld.shared::cluster.u32 %w11, [%w10];\n",
	      PTX_FAULT_CLUSTER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_cluster");
	TCase *t = tcase_create("cluster");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, ranks);
	tcase_add_test(t, shared_memory_of_others);
	tcase_add_test(t, addresses);
	tcase_add_test(t, barriers);
	tcase_add_test(t, waiting_for_a_store);
	tcase_add_test(t, barrier_objects);
	tcase_add_test(t, copies_to_several);
	tcase_add_test(t, faults);
	suite_add_tcase(s, t);
	return run_suite(s);
}
