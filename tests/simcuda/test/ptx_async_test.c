/* SPDX-License-Identifier: MIT */
/* Asynchronous copies, mbarrier objects, vectors of atomics, and a cluster of one block. */
#include "tests/simcuda/test/ptx_case.h"

#define BYTES 512
static uint8_t in[BYTES], got[BYTES];

/*
 * Statements with %d0 the input in global memory, %d1 the output, `sh` and `bar` in shared memory
 * and their addresses in %w0 and %w1, %w7 the thread; by `threads` threads of one block.
 */
static void run(const char *body, uint32_t threads)
{
	char text[8192];
	struct ptx_world w;
	uint8_t *from, *to;

	snprintf(text, sizeof(text),
		 PTX_HEAD ".shared .align 16 .b8 sh[1024];\n.shared .align 8 .b64 bar;\n"
			  ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
			  ".reg .pred %%p<8>;\n.reg .b16 %%h<16>;\n.reg .b32 %%w<32>;\n"
			  ".reg .f32 %%f<16>;\n.reg .b64 %%d<16>;\nld.param.u64 %%d0, [in];\n"
			  "ld.param.u64 %%d1, [out];\nmov.u32 %%w0, sh;\nmov.u32 %%w1, bar;\n"
			  "mov.u32 %%w7, %%tid.x;\n%s\nret;\n}\n",
		 body);
	/* what stands in formats, too, has two for one */
	for (char *at = text; (at = strstr(at, "%%")); at++)
		memmove(at, at + 1, strlen(at));
	world_open(&w, text);
	from = world_alloc(&w, BYTES);
	to = world_alloc(&w, BYTES);
	for (uint32_t i = 0; i < BYTES; i++)
		in[i] = (uint8_t)(i * 7 + 1);
	memcpy(from, in, BYTES);
	w.launch.block[0] = threads;
	world_param_ptr(&w, 0, from);
	world_param_ptr(&w, 1, to);
	world_run_ok(&w);
	memcpy(got, to, BYTES);
	memcpy(in, from, BYTES);
	world_close(&w);
}

static uint32_t word(uint32_t i)
{
	uint32_t v;

	memcpy(&v, got + 4 * i, 4);
	return v;
}

/* 16 bytes from shared memory to the output. */
#define SHOW(at, out)                                                                              \
	"ld.shared.v4.u32 {%%w20, %%w21, %%w22, %%w23}, [sh+" at "];\n"                            \
	"st.global.v4.u32 [%%d1+" out "], {%%w20, %%w21, %%w22, %%w23};\n"

static void copied(const char *insn, const char *operands, uint32_t bytes, uint32_t given)
{
	char body[1024];

	snprintf(body, sizeof(body),
		 "mov.u32 %%w2, -1;\nst.shared.v4.u32 [sh], {%%w2, %%w2, %%w2, %%w2};\n"
		 "setp.eq.u32 %%p1, 0, 0;\nsetp.ne.u32 %%p2, 0, 0;\nmov.u32 %%w3, %u;\n"
		 "createpolicy.fractional.L2::evict_first.b64 %%d2;\n%s [%%w0], [%%d0], %u%s;\n"
		 "cp.async.commit_group;\ncp.async.wait_group 0;\ncp.async.wait_all;\n" SHOW("0",
											     "0"),
		 given, insn, bytes, operands);
	run(body, 1);
	for (uint32_t i = 0; i < 16; i++) {
		uint8_t want = i < given ? in[i] : i < bytes ? 0 : 0xff;

		ck_assert_msg(got[i] == want, "%s %s: byte %u is %#x, not %#x", insn, operands, i,
			      got[i], want);
	}
}

START_TEST(copies_of_threads)
{
	static const char *const spaces[] = {".shared", ".shared::cta", ".shared::cluster"};
	char insn[96];

	for (size_t s = 0; s < CASE_COUNT(spaces); s++) {
		for (uint32_t bytes = 4; bytes <= 16; bytes *= 2) {
			snprintf(insn, sizeof(insn), "cp.async.ca%s.global", spaces[s]);
			copied(insn, "", bytes, bytes);
			copied(insn, ", %w3", bytes, 3);
			copied(insn, ", 0", bytes, 0);
			copied(insn, ", %p1", bytes, 0);
			copied(insn, ", %p2", bytes, bytes);
		}
		snprintf(insn, sizeof(insn), "cp.async.cg%s.global", spaces[s]);
		copied(insn, "", 16, 16);
		copied(insn, ", %w3", 16, 12);
	}
	copied("cp.async.cg.shared.global.L2::cache_hint.L2::128B", ", 16, %d2", 16, 16);
	copied("cp.async.ca.shared.global.L2::cache_hint", ", %d2", 8, 8);
	expect_invalid(PTX_HEAD ".visible .entry k()\n{\n.reg .b64 %d<2>;\n"
				"cp.async.cg.shared.global [%d0], [%d1], 8;\nret;\n}\n",
		       "operand 3 of");
}
END_TEST

/* One thread waits for 96 others, phase by phase. */
START_TEST(barriers_of_phases)
{
	static const char *const spaces[] = {"", ".shared", ".shared::cta"};
	static const char *const waits[] = {"test_wait", "try_wait"};
	static const char *const orders[] = {"", ".acquire.cta", ".acquire.cluster",
					     ".relaxed.cta"};
	char body[4096];

	for (int n = 0; n < 3 * 2 * 4; n++) {
		const char *s = spaces[n % 3], *wait = waits[n / 3 % 2], *order = orders[n / 6];
		const char *release = !*order      ? ""
				      : n / 6 == 1 ? ".release.cta"
				      : n / 6 == 2 ? ".release.cluster"
						   : ".relaxed.cta";

		snprintf(body, sizeof(body),
			 "mov.u64 %%d2, bar;\ncvta.shared.u64 %%d3, %%d2;\n%s"
			 "setp.ne.u32 %%p1, %%w7, 0;\n@%%p1 bra READY;\n"
			 "mbarrier.init%s.b64 [%%d2], 96;\nREADY:\nbar.sync 0;\n"
			 "mov.u32 %%w2, 0;\nPHASE:\natom.shared.add.u32 %%w3, [sh], 1;\n"
			 "mbarrier.arrive%s%s.b64 %%d4, [%%d2];\n"
			 "WAIT:\nmbarrier.%s%s%s.b64 %%p2, [%%d2], %%d4;\n@!%%p2 bra WAIT;\n"
			 "ld.shared.u32 %%w4, [sh];\nbar.sync 0;\nand.b32 %%w5, %%w2, 1;\n"
			 "mbarrier.%s.parity%s%s.b64 %%p3, [%%d2], %%w5;\n@!%%p3 trap;\n"
			 "xor.b32 %%w5, %%w5, 1;\nmbarrier.%s.parity%s%s.b64 %%p3, [%%d2], %%w5;\n"
			 "@%%p3 trap;\nmad.lo.u32 %%w6, %%w2, 96, 96;\n"
			 "setp.ne.u32 %%p4, %%w4, %%w6;\n@%%p4 trap;\n"
			 "add.u32 %%w2, %%w2, 1;\nsetp.lt.u32 %%p5, %%w2, 5;\n@%%p5 bra PHASE;\n"
			 "st.global.u32 [%%d1], %%w4;\n@%%p1 bra END;\nmbarrier.inval%s.b64 "
			 "[%%d2];\n"
			 "END:\n",
			 *s ? "" : "mov.u64 %d2, %d3;\n", s, release, s, wait, order, s, wait,
			 order, s, wait, order, s, s);
		run(body, 96);
		ck_assert_uint_eq(word(0), 480);
	}
}
END_TEST

/* A value of 32 bits after statements on a barrier of three arrivals. */
static void barrier_gives(const char *statements, uint32_t want)
{
	char body[2048];

	snprintf(body, sizeof(body),
		 "mbarrier.init.shared.b64 [bar], 3;\nmov.u32 %%w2, 77;\n%s\n"
		 "st.global.u32 [%%d1], %%w2;\n",
		 statements);
	run(body, 1);
	ck_assert_msg(word(0) == want, "%s gives %u, not %u", statements, word(0), want);
}

/* Has the first phase ended? */
#define ENDED "mbarrier.test_wait.parity.shared.b64 %%p1, [bar], 0;\nselp.u32 %%w2, 1, 0, %%p1;\n"

START_TEST(arrivals_and_bytes)
{
	static const char *const spaces[] = {"", ".shared", ".shared::cta", ".shared::cluster"};
	static const char *const orders[] = {"", ".release.cta", ".release.cluster",
					     ".relaxed.cluster"};
	static const char *const names[] = {"arrive", "arrive_drop"};
	char text[1024];

	barrier_gives("mbarrier.arrive.shared.b64 %d2, [bar], 2;\n" ENDED, 0);
	barrier_gives("mbarrier.arrive.shared.b64 %d2, [bar], 3;\n" ENDED, 1);
	barrier_gives("mbarrier.arrive.shared.b64 %d2, [bar], 2;\n"
		      "mbarrier.arrive.shared.b64 %d2, [bar];\n" ENDED,
		      1);
	for (int n = 0; n < 4 * 4 * 2; n++) {
		const char *s = spaces[n % 4], *o = orders[n / 4 % 4], *what = names[n / 16];

		/* the bytes are awaited, too; what has dropped out is not expected again */
		snprintf(text, sizeof(text),
			 "mov.u64 %%d3, bar;\n%smbarrier.%s.expect_tx%s%s.b64 _, [%%d3], 100;\n"
			 "mbarrier.%s%s%s.b64 %%d4, [%%d3], 2;\n" ENDED "@%%p1 trap;\n"
			 "mbarrier.complete_tx%s%s.b64 [%%d3], 60;\n" ENDED "@%%p1 trap;\n"
			 "mbarrier.expect_tx%s%s.b64 [%%d3], 10;\n"
			 "mbarrier.complete_tx%s%s.b64 [%%d3], 50;\n" ENDED,
			 *s ? "" : "cvta.shared.u64 %d3, %d3;\n", what, o, s, names[0], o, s,
			 strstr(o, "relaxed") ? o : "", s, strstr(o, "relaxed") ? o : "", s,
			 strstr(o, "relaxed") ? o : "", s);
		barrier_gives(text, 1);
		snprintf(text, sizeof(text), "mbarrier.%s.relaxed.cta.shared.b64 %%d2, [bar];\n",
			 names[n / 16]);
		strcat(text, "mbarrier.arrive.expect_tx.relaxed.cta.shared.b64 %d2, [bar], 4;\n"
			     "mbarrier.expect_tx.relaxed.cta.shared.b64 [bar], 4;\n"
			     "mbarrier.complete_tx.relaxed.cta.shared.b64 [bar], 8;\n" ENDED);
		barrier_gives(text, 0);
	}
	barrier_gives("mbarrier.arrive_drop.shared.b64 %d2, [bar], 3;\n"
		      "mbarrier.init.shared::cta.b64 [bar], 1;\n"
		      "mbarrier.arrive_drop.shared.b64 %d2, [bar];\n" ENDED,
		      1);
	for (int n = 0; n < 12; n++) {
		const char *s = spaces[n % 3];

		/* the count that was pending before: two, after one has arrived */
		snprintf(text, sizeof(text),
			 "mov.u64 %%d3, bar;\n%smbarrier.%s.noComplete%s%s.b64 %%d4, [%%d3], 1;\n"
			 "mbarrier.%s.noComplete%s%s.b64 %%d4, [%%d3], 1;\n"
			 "mbarrier.pending_count.b64 %%w2, %%d4;\n",
			 *s ? "" : "cvta.shared.u64 %d3, %d3;\n", names[n / 3 % 2],
			 n / 6 ? ".release.cta" : "", s, names[n / 3 % 2],
			 n / 6 ? ".release.cta" : "", s);
		barrier_gives(text, 2);
	}
	for (int n = 0; n < 3; n++) {
		snprintf(text, sizeof(text),
			 "mov.u64 %%d3, bar;\n%smbarrier.arrive.shared.b64 _, [bar], 2;\n"
			 "cp.async.mbarrier.arrive%s.b64 [%%d3];\n" ENDED "@%%p1 trap;\n"
			 "cp.async.mbarrier.arrive.noinc%s.b64 [%%d3];\n" ENDED,
			 *spaces[n] ? "" : "cvta.shared.u64 %d3, %d3;\n", spaces[n], spaces[n]);
		barrier_gives(text, 1);
	}
}
END_TEST

/* Where an object that is waited for does not lie in shared memory nothing else is looked at. */
START_TEST(objects_elsewhere)
{
	struct ptx_world w;
	uint64_t *at;

	world_open(&w,
		   PTX_HEAD ".visible .entry k(.param .u64 at) .reqnctapercluster 1 "
			    ".explicitcluster\n{\n.reg .b64 %d;\n.reg .b32 %r;\n.reg .pred %p;\n"
			    "ld.param.u64 %d, [at];\nmov.u32 %r, 0;\n"
			    "L:\nmbarrier.try_wait.parity.b64 %p, [%d], 0;\nadd.u32 %r, %r, 1;\n"
			    "setp.lt.u32 %p, %r, 9;\n@%p bra L;\nst.global.u32 [%d+8], %r;\n"
			    "ret;\n}\n");
	at = world_alloc(&w, 16);
	world_param_ptr(&w, 0, at);
	world_run_ok(&w);
	ck_assert_uint_eq(at[1], 9);
	world_close(&w);
}
END_TEST

/* More arrivals than are expected are an error. */
START_TEST(too_many_arrivals)
{
	struct ptx_fault f;
	struct ptx_world w;

	world_open(&w, PTX_HEAD ".shared .align 8 .b64 bar;\n.visible .entry k()\n{\n"
				".reg .b64 %d;\nmbarrier.init.shared.b64 [bar], 1;\n"
				"mbarrier.arrive.shared.b64 %d, [bar], 2;\nret;\n}\n");
	ck_assert_int_eq(world_run(&w, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, PTX_FAULT_INSTRUCTION);
	world_close(&w);
}
END_TEST

#define BAR_OF(bytes)                                                                              \
	"mbarrier.init.shared.b64 [bar], 1;\n"                                                     \
	"mbarrier.arrive.expect_tx.shared.b64 _, [bar], " bytes ";\nmov.u32 %%w2, " bytes ";\n"
#define WAIT_BAR "W:\nmbarrier.try_wait.parity.shared.b64 %%p1, [bar], 0, 1000;\n@!%%p1 bra W;\n"

START_TEST(copies_in_bulk)
{
	static const char *const to_shared[] = {
		"shared::cluster.global.mbarrier::complete_tx::bytes [%w0], [%d0], %w2, [bar]",
		"shared::cta.global.mbarrier::complete_tx::bytes [%w0], [%d0], %w2, [bar]",
		"shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%w0], "
		"[%d0], %w2, [bar], %h1",
		"shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%w0], [%d0], "
		"%w2, [bar], %d2"};
	char body[2048];

	for (size_t i = 0; i < CASE_COUNT(to_shared); i++) {
		snprintf(body, sizeof(body),
			 BAR_OF("256") "mov.u64 %%d2, 0;\nmov.u16 %%h1, 1;\n"
				       "cp.async.bulk.prefetch.L2.global [%%d0], 256;\n"
				       "cp.async.bulk.prefetch.L2.global.L2::cache_hint [%%d0], "
				       "256, "
				       "%%d2;\ncp.async.bulk.%s;\n" WAIT_BAR
				       "cp.async.bulk.global.shared::cta.bulk_group%s [%%d1], "
				       "[%%w0], "
				       "%%w2%s;\n"
				       "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read "
				       "1;\n"
				       "cp.async.bulk.wait_group 0;\n",
			 to_shared[i], i & 1 ? ".L2::cache_hint" : "", i & 1 ? ", %d2" : "");
		run(body, 1);
		ck_assert_msg(!memcmp(got, in, 256), "%s", to_shared[i]);
	}
	run(BAR_OF("16") "ld.global.v4.u32 {%w20, %w21, %w22, %w23}, [%d0+32];\n"
			 "st.shared.v4.u32 [sh], {%w20, %w21, %w22, %w23};\nadd.u32 %w3, %w0, 64;\n"
			 "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes "
			 "[%w3], "
			 "[%w0], %w2, [bar];\n" WAIT_BAR SHOW("64", "0"),
	    1);
	ck_assert(!memcmp(got, in + 32, 16));
}
END_TEST

struct reduction {
	const char *op, *type;
	uint32_t bytes;
	uint64_t a, b, want;
};
static const struct reduction reductions[] = {
	{"and", "b32", 4, 12, 10, 8},
	{"or", "b32", 4, 12, 10, 14},
	{"xor", "b32", 4, 12, 10, 6},
	{"add", "u32", 4, 0xffffffff, 2, 1},
	{"add", "s32", 4, 5, 0xfffffffe, 3},
	{"add", "u64", 8, 0xffffffff, 1, 0x100000000},
	{"min", "u32", 4, 0xffffffff, 2, 2},
	{"min", "s32", 4, 0xffffffff, 2, 0xffffffff},
	{"max", "u32", 4, 0xffffffff, 2, 0xffffffff},
	{"max", "s32", 4, 0xffffffff, 2, 2},
	{"inc", "u32", 4, 5, 5, 0},
	{"dec", "u32", 4, 0, 5, 5},
#define GLOBAL_ONLY 12
	{"and", "b64", 8, 0xc00000000000, 0xa00000000000, 0x800000000000},
	{"or", "b64", 8, 0xc, 0xa00000000000, 0xa0000000000c},
	{"xor", "b64", 8, 0xc, 0xa, 6},
	{"add", "f32", 4, 0x3f800000, 0x40000000, 0x40400000},
	{"add", "f64", 8, 0x3ff0000000000000, 0x4000000000000000, 0x4008000000000000},
	{"min", "u64", 8, UINT64_MAX, 2, 2},
	{"max", "u64", 8, UINT64_MAX, 2, UINT64_MAX},
	{"min", "s64", 8, UINT64_MAX, 2, UINT64_MAX},
	{"max", "s64", 8, UINT64_MAX, 2, 2},
	{"min", "f16", 2, 0x3c00, 0xbc00, 0xbc00},
	{"max", "f16", 2, 0x3c00, 0xbc00, 0x3c00},
	{"min", "bf16", 2, 0x3f80, 0xbf80, 0xbf80},
	{"max", "bf16", 2, 0x3f80, 0xbf80, 0x3f80},
	{"add.noftz", "f16", 2, 0x3c00, 0x3c00, 0x4000},
	{"add.noftz", "bf16", 2, 0x3f80, 0x3f80, 0x4000},
};

/* 16 bytes of b on 16 bytes of a, wherever they lie. */
static void reduces(const struct reduction *r, bool global)
{
	static const char *const cls[] = {"", "", "h", "", "w", "", "", "", "d"};
	char fill[1024] = "", body[2048];
	size_t n = 0;

	for (uint32_t at = 0; at < 16; at += r->bytes)
		n += (size_t)snprintf(
			fill + n, sizeof(fill) - n,
			"mov.b%u %%%s8, %llu;\nst.shared.b%u [sh+%u], %%%s8;\n"
			"mov.b%u %%%s8, %llu;\nst.shared.b%u [sh+%u], %%%s8;\nst.global.b%u "
			"[%%d1+%u], %%%s8;\n",
			8 * r->bytes, cls[r->bytes], (unsigned long long)r->b, 8 * r->bytes, at,
			cls[r->bytes], 8 * r->bytes, cls[r->bytes], (unsigned long long)r->a,
			8 * r->bytes, at + 64, cls[r->bytes], 8 * r->bytes, at, cls[r->bytes]);
	if (global)
		snprintf(body, sizeof(body),
			 "%smov.u64 %%d2, "
			 "0;\ncp.reduce.async.bulk.global.shared::cta.bulk_group%s.%s.%s "
			 "[%%d1], [%%w0], 16%s;\ncp.async.bulk.commit_group;\n"
			 "cp.async.bulk.wait_group 0;\n",
			 fill, r->a & 1 ? ".L2::cache_hint" : "", r->op, r->type,
			 r->a & 1 ? ", %d2" : "");
	else
		snprintf(body, sizeof(body),
			 BAR_OF("16") "%sadd.u32 %%w3, %%w0, "
				      "64;\ncp.reduce.async.bulk.shared::cluster."
				      "shared::cta.mbarrier::complete_tx::bytes.%s.%s [%%w3], "
				      "[%%w0], "
				      "%%w2, [bar];\n" WAIT_BAR SHOW("64", "0"),
			 fill, r->op, r->type);
	run(body, 1);
	for (uint32_t at = 0; at < 16; at += r->bytes) {
		uint64_t v = 0;

		memcpy(&v, got + at, r->bytes);
		ck_assert_msg(v == r->want, "%s.%s gives %#llx", r->op, r->type,
			      (unsigned long long)v);
	}
}

START_TEST(reductions_in_bulk)
{
	for (size_t i = 0; i < CASE_COUNT(reductions); i++) {
		reduces(&reductions[i], true);
		if (i < GLOBAL_ONLY)
			reduces(&reductions[i], false);
	}
}
END_TEST

START_TEST(a_cluster_of_one_block)
{
	static const char *const arrives[] = {"", ".release", ".relaxed"};
	char body[2048];

	for (int n = 0; n < 12; n++) {
		snprintf(body, sizeof(body),
			 "mov.u32 %%w2, 0;\nAGAIN:\natom.shared.add.u32 %%w3, [sh], 1;\n"
			 "barrier.cluster.arrive%s%s;\nbarrier.cluster.wait%s%s;\n"
			 "ld.shared.u32 %%w4, [sh];\nadd.u32 %%w2, %%w2, 1;\n"
			 "mul.lo.u32 %%w5, %%w2, 96;\nsetp.ne.u32 %%p1, %%w4, %%w5;\n@%%p1 trap;\n"
			 "barrier.cluster.arrive;\nbarrier.cluster.wait;\n"
			 "setp.lt.u32 %%p1, %%w2, 4;\n@%%p1 bra AGAIN;\nst.global.u32 [%%d1], "
			 "%%w4;\n",
			 arrives[n % 3], n / 3 & 1 ? ".aligned" : "", n / 6 ? ".acquire" : "",
			 n / 3 & 1 ? ".aligned" : "");
		run(body, 96);
		ck_assert_uint_eq(word(0), 384);
	}
	run("st.shared.u32 [sh], 7;\nmov.u64 %d2, sh;\nmov.u32 %w2, %cluster_ctarank;\n"
	    "mapa.shared::cluster.u32 %w3, %w0, %w2;\nmapa.shared::cluster.u64 %d3, %d2, 0;\n"
	    "cvta.shared.u64 %d4, %d2;\nmapa.u64 %d4, %d4, %w2;\nld.shared::cluster.u32 %w4, "
	    "[%w3];\n"
	    "ld.shared::cluster.u32 %w5, [%d3];\nld.u32 %w6, [%d4];\nmapa.u32 %w8, %w0, 0;\n"
	    "sub.u32 %w8, %w8, %w0;\nst.global.v4.u32 [%d1], {%w4, %w5, %w6, %w8};\n"
	    "getctarank.shared::cluster.u32 %w8, %w0;\ngetctarank.shared::cluster.u64 %w9, %d2;\n"
	    "getctarank.u64 %w10, %d4;\ngetctarank.u32 %w11, %w0;\nmov.u32 %w12, "
	    "%cluster_nctarank;\n"
	    "add.u32 %w8, %w8, %w9;\nadd.u32 %w10, %w10, %w11;\nadd.u32 %w8, %w8, %w10;\n"
	    "st.global.v2.u32 [%d1+16], {%w8, %w12};\n",
	    1);
	ck_assert(word(0) == 7 && word(1) == 7 && word(2) == 7 && word(3) == 0 && word(4) == 0);
	ck_assert_uint_eq(word(5), 1);
}
END_TEST

/* ---- vectors of atomics: element n has a + n, and n + 1 is added or compared ---- */
struct vector_atom {
	const char *type, *ops[3];
	uint32_t bytes, most;
};

/* A small whole number in each format, once or twice. */
static uint32_t number(const char *type, uint32_t n)
{
	const uint32_t e = 31 - (uint32_t)__builtin_clz(n);
	const uint32_t half = (e + 15) << 10 | (n << 10 >> e & 1023);
	float f = (float)n;
	uint32_t v;

	memcpy(&v, &f, 4);
	if (type[0] == 'f' && type[1] == '3')
		return v;
	v = type[0] == 'b' ? v >> 16 : half;
	return strstr(type, "x2") ? v << 16 | v : v;
}

static void vector_atom(const struct vector_atom *a, const char *op, uint32_t count,
			const char *order, bool red, bool hint)
{
	const char cls = a->bytes == 2 ? 'h' : 'w';
	char body[4096], from[128] = "{", to[128] = "{";
	const uint32_t bits = 8 * a->bytes;
	size_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		snprintf(from + strlen(from), sizeof(from) - strlen(from), "%s%%%c%u",
			 i ? ", " : "", cls, i + 8);
		snprintf(to + strlen(to), sizeof(to) - strlen(to), "%s%%%c%u", i ? ", " : "", cls,
			 i + (cls == 'h' ? 0 : 20));
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      "mov.b%u %%%c%u, %u;\nst.global.b%u [%%d1+%u], %%%c%u;\n"
				      "mov.b%u %%%c%u, %u;\n",
				      bits, cls, i + 8, number(a->type, i + 2), bits, i * a->bytes,
				      cls, i + 8, bits, cls, i + 8, number(a->type, 2 * i + 1));
	}
	n += (size_t)snprintf(body + n, sizeof(body) - n,
			      "mov.u64 %%d2, 0;\n%s%s.%s%s.v%u.%s %s%s[%%d1], %s}%s;\n",
			      red ? "red" : "atom", order, op, hint ? ".L2::cache_hint" : "", count,
			      a->type, red ? "" : to, red ? "" : "}, ", from, hint ? ", %d2" : "");
	for (uint32_t i = 0; i < count && !red; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      "st.global.b%u [%%d1+%u], %%%c%u;\n", bits, 64 + i * a->bytes,
				      cls, i + (cls == 'h' ? 0 : 20));
	run(body, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t x = i + 2, y = 2 * i + 1, v = 0, old = 0;
		uint32_t want = *op == 'a' ? x + y : (op[1] == 'i') == (x < y) ? x : y;

		memcpy(&v, got + i * a->bytes, a->bytes);
		memcpy(&old, got + 64 + i * a->bytes, a->bytes);
		ck_assert_msg(v == number(a->type, want), "%s.v%u.%s: element %u is %#x", op, count,
			      a->type, i, v);
		ck_assert(red || old == number(a->type, x));
	}
}

START_TEST(vectors_of_atomics)
{
	static const struct vector_atom atoms[] = {
		{"f32", {"add"}, 4, 4},
		{"f16", {"add.noftz", "min.noftz", "max.noftz"}, 2, 8},
		{"bf16", {"add.noftz", "min.noftz", "max.noftz"}, 2, 8},
		{"f16x2", {"add.noftz", "min.noftz", "max.noftz"}, 4, 4},
		{"bf16x2", {"add.noftz", "min.noftz", "max.noftz"}, 4, 4},
	};
	static const char *const orders[] = {"",
					     ".relaxed.cta.global",
					     ".relaxed.cluster",
					     ".relaxed.gpu",
					     ".release.sys.global",
					     ".acquire.gpu.global",
					     ".acq_rel.gpu"};

	for (size_t i = 0; i < CASE_COUNT(atoms); i++) {
		for (uint32_t count = 2; count <= atoms[i].most; count *= 2) {
			for (int o = 0; o < 3 && atoms[i].ops[o]; o++) {
				for (size_t k = 0; k < CASE_COUNT(orders); k++) {
					vector_atom(&atoms[i], atoms[i].ops[o], count, orders[k],
						    false, k == 1);
					if (k < 5)
						vector_atom(&atoms[i], atoms[i].ops[o], count,
							    orders[k], true, k == 2);
				}
			}
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_async");
	TCase *t = tcase_create("async");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, copies_of_threads);
	tcase_add_test(t, barriers_of_phases);
	tcase_add_test(t, arrivals_and_bytes);
	tcase_add_test(t, objects_elsewhere);
	tcase_add_test(t, too_many_arrivals);
	tcase_add_test(t, copies_in_bulk);
	tcase_add_test(t, reductions_in_bulk);
	tcase_add_test(t, a_cluster_of_one_block);
	tcase_add_test(t, vectors_of_atomics);
	suite_add_tcase(s, t);
	return run_suite(s);
}
