/* SPDX-License-Identifier: MIT */
/* The simulated driver: locks that many threads want, and how far behind an allocation kernels
 * reach. */
#include "tests/simcuda/test/simcuda_test.h"

#define THREADS 1024
#define MANY    98 /* blocks: 100,352 threads */
#define SOME    10

/*
 * Each thread takes the lock at `at`, appends its number to the list behind the count at at+4, and
 * gives the lock back. TAKE: what takes the lock, a predicate p2 where it has not.
 */
#define PTX_APPEND(NAME, TAKE)                                                                     \
	".visible .entry " NAME "(.param .u64 at, .param .u64 list)\n{\n"                          \
	".reg .pred %p<4>;\n.reg .b32 %r<12>;\n.reg .b64 %d<4>;\n"                                 \
	"ld.param.u64 %d1, [at];\nld.param.u64 %d2, [list];\n"                                     \
	"mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"                    \
	"mad.lo.u32 %r1, %r1, %r2, %r3;\n" TAKE                                                    \
	"membar.gl;\nld.volatile.global.u32 %r5, [%d1+4];\n"                                       \
	"mad.wide.u32 %d3, %r5, 4, %d2;\nst.global.u32 [%d3], %r1;\nadd.u32 %r5, %r5, 1;\n"        \
	"st.volatile.global.u32 [%d1+4], %r5;\nmembar.gl;\n"                                       \
	"atom.global.exch.b32 %r6, [%d1], 0;\nret;\n}\n"

static const char text[] = ".version 7.0\n.target sm_70\n.address_size 64\n" PTX_APPEND(
	"cas",
	"L:\natom.global.cas.b32 %r4, [%d1], 0, 1;\nsetp.ne.u32 %p2, %r4, 0;\n"
	"@%p2 bra L;\n") PTX_APPEND("exch",
				    "L:\natom.global.exch.b32 %r4, [%d1], "
				    "1;\nsetp.ne.u32 %p2, %r4, 0;\n"
				    "@%p2 bra L;\n") PTX_APPEND("look_first",
								"L:\nld.volatile.global.u32 %r4, "
								"[%d1];\nsetp.ne.u32 %p2, %r4, 0;\n"
								"@%p2 bra L;\natom.global.cas.b32 "
								"%r4, [%d1], 0, 1;\n"
								"setp.ne.u32 %p2, %r4, 0;\n@%p2 "
								"bra L;\n")
	PTX_APPEND("nap",
		   "L:\natom.global.cas.b32 %r4, [%d1], 0, 1;\n"
		   "setp.eq.u32 %p2, %r4, 0;\n@%p2 bra HAVE;\n"
		   "nanosleep.u32 100;\nbra L;\nHAVE:\n") ".visible .entry peek(.param .u64 at, "
							  ".param .u32 by, .param .u64 out)\n{\n"
							  ".reg .b32 %r<4>;\n.reg .b64 %d<4>;\n"
							  "ld.param.u64 %d1, [at];\nld.param.u32 "
							  "%r1, [by];\nld.param.u64 %d2, [out];\n"
							  "cvt.u64.u32 %d3, %r1;\nadd.u64 %d1, "
							  "%d1, %d3;\nld.global.u32 %r2, [%d1];\n"
							  "add.u32 %r2, %r2, 1;\nst.global.u32 "
							  "[%d2], %r2;\nret;\n}\n"
							  ".global .align 16 .u32 word[4] = {1, 2, "
							  "3, 4};\n";

static CUfunction kernel(CUmodule *m, const char *name)
{
	CUfunction f;

	OK(cuModuleLoadData(m, text));
	OK(cuModuleGetFunction(&f, *m, name));
	return f;
}

static void append(const char *name, uint32_t blocks)
{
	const uint32_t appends = blocks * THREADS;
	uint32_t *list = calloc(appends + 2, 4), zero[2] = {0, 0};
	char *seen = calloc(appends, 1);
	CUdeviceptr at, to;
	CUmodule m;
	CUfunction f;
	void *args[] = {&at, &to};

	start();
	f = kernel(&m, name);
	OK(cuMemAlloc_v2(&at, 8));
	OK(cuMemAlloc_v2(&to, appends * 4));
	OK(cuMemcpyHtoD_v2(at, zero, 8));
	OK(cuLaunchKernel(f, blocks, 1, 1, THREADS, 1, 1, 0, NULL, args, NULL));
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH_v2(zero, at, 8));
	ck_assert_uint_eq(zero[0], 0);
	ck_assert_uint_eq(zero[1], appends);
	OK(cuMemcpyDtoH_v2(list, to, appends * 4));
	for (uint32_t i = 0; i < appends; i++) {
		ck_assert_uint_lt(list[i], appends);
		ck_assert_msg(!seen[list[i]]++, "thread %u has appended twice", list[i]);
	}
	free(list);
	free(seen);
}

START_TEST(a_lock_that_many_threads_want)
{
	static const char *const names[] = {"cas", "exch", "look_first", "nap"};

	append(names[_i], _i ? SOME : MANY);
}
END_TEST

/* Turns decide nothing about who has to wait. */
START_TEST(a_lock_with_long_turns)
{
	setenv("SIMCUDA_TURN", _i ? "512" : "1", 1);
	append("cas", SOME);
}
END_TEST

static CUresult peek(CUdeviceptr at, uint32_t by)
{
	CUdeviceptr out;
	CUmodule m;
	CUfunction f = kernel(&m, "peek");
	void *args[] = {&at, &by, &out};

	OK(cuMemAlloc_v2(&out, 4));
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
	return cuCtxSynchronize();
}

START_TEST(bounds_are_exact)
{
	CUdeviceptr at;

	start();
	OK(cuMemAlloc_v2(&at, 16));
	OK(peek(at, 12));
	FAILS(CUDA_ERROR_ILLEGAL_ADDRESS, peek(at, 1024 * 1024 + 512));
}
END_TEST

START_TEST(bounds_of_pages)
{
	CUdeviceptr at, word;
	CUfunction f;
	CUmodule m;
	size_t size;

	setenv("SIMCUDA_PAGE_BOUNDS", "1", 1);
	start();
	OK(cuMemAlloc_v2(&at, 16));
	OK(peek(at, 1024 * 1024 + 512));
	f = kernel(&m, "peek");
	ck_assert_ptr_nonnull(f);
	OK(cuModuleGetGlobal_v2(&word, &size, m, "word"));
	OK(peek(word, 80 * 8));
	/* a large one is rounded up to pages, and behind them there is nothing */
	OK(cuMemAlloc_v2(&at, (3 << 20) + 16));
	OK(peek(at, (4 << 20) - 4));
	FAILS(CUDA_ERROR_ILLEGAL_ADDRESS, peek(at, 1u << 31));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_spin");
	TCase *t = tcase_create("spin");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_lock_that_many_threads_want, 0, 4);
	tcase_add_loop_test(t, a_lock_with_long_turns, 0, 2);
	tcase_add_test(t, bounds_are_exact);
	tcase_add_test(t, bounds_of_pages);
	suite_add_tcase(s, t);
	return run_suite(s, "spin");
}
