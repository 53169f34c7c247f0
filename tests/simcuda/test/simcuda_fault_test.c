/* SPDX-License-Identifier: MIT */
/* SIMCUDA_FAULT: errors on demand, and silent ones that a program's checks must detect. */
#include <stdatomic.h>

#include "tests/simcuda/test/simcuda_kernels.h"
#include "tests/simcuda/test/simcuda_test.h"

static CUfunction kernel(const char *name)
{
	CUmodule m;
	CUfunction f;

	OK(cuModuleLoadData(&m, PTX_ALL));
	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

static void with(const char *fault)
{
	setenv("SIMCUDA_FAULT", fault, 1);
	start();
}

/* Is c = a + b computed correctly? */
static int add_works(void)
{
	enum { N = 100 };
	float a[N], b[N], c[N] = {0}; /* a copy may fall short */
	CUdeviceptr pa, pb, pc;
	unsigned int n = N;
	void *args[] = {&pa, &pb, &pc, &n};

	for (int i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = (float)(3 * i + 1);
	}
	OK(cuMemAlloc(&pa, sizeof(a)));
	OK(cuMemAlloc(&pb, sizeof(a)));
	OK(cuMemAlloc(&pc, sizeof(a)));
	OK(cuMemcpyHtoD(pa, a, sizeof(a)));
	OK(cuMemcpyHtoD(pb, b, sizeof(a)));
	OK(cuMemsetD8(pc, 0, sizeof(a)));
	OK(cuLaunchKernel(kernel("vadd"), 4, 1, 1, 32, 1, 1, 0, NULL, args, NULL));
	if (cuMemcpyDtoH(c, pc, sizeof(a)) != CUDA_SUCCESS) /* a wrong index is noticed too */
		return 0;
	for (int i = 0; i < N; i++)
		if (c[i] != a[i] + b[i])
			return 0;
	return 1;
}

START_TEST(a_call_fails)
{
	CUdeviceptr p;

	with("fail:cuMemAlloc_v2:2:2;fail:cuStreamCreate:1:999");
	OK(cuMemAlloc(&p, 4));
	FAILS(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&p, 4));
	OK(cuMemAlloc(&p, 4));
	FAILS(CUDA_ERROR_UNKNOWN, cuStreamCreate((CUstream *)&p, 0));
	OK(cuMemsetD8(p, 0, 4));
}
END_TEST

START_TEST(init_fails)
{
	setenv("SIMCUDA_FAULT", "fail:cuInit:1:100", 1);
	FAILS(CUDA_ERROR_NO_DEVICE, cuInit(0));
}
END_TEST

START_TEST(ecc_error)
{
	CUcontext c;

	setenv("SIMCUDA_FAULT", "ecc:2", 1);
	OK(cuInit(0));
	OK(cuCtxCreate(&c, NULL, 0, 0));
	OK(cuLaunchKernel(kernel("limited"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	OK(cuCtxSynchronize());
	OK(cuLaunchKernel(kernel("limited"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	FAILS(CUDA_ERROR_ECC_UNCORRECTABLE, cuCtxSynchronize());
	FAILS(CUDA_ERROR_ECC_UNCORRECTABLE, cuCtxSynchronize());
	OK(cuCtxDestroy(c));
}
END_TEST

START_TEST(lost_device)
{
	CUcontext c;

	with("lost:1");
	OK(cuLaunchKernel(kernel("limited"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	FAILS(CUDA_ERROR_DEVICE_UNAVAILABLE, cuCtxSynchronize());
	FAILS(CUDA_ERROR_DEVICE_UNAVAILABLE, cuCtxCreate(&c, NULL, 0, 0));
}
END_TEST

START_TEST(slow_and_hanging_copies)
{
	uint64_t begin;
	CUdeviceptr p;
	CUstream s;
	char *h;

	with("slow-copy:20000;hang-copy:2");
	OK(cuMemAlloc(&p, 64));
	OK(cuMemAllocHost((void **)&h, 64));
	begin = test_now_ns();
	OK(cuMemcpyHtoD(p, h, 64));
	ck_assert_uint_ge(test_now_ns() - begin, 20000000);
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemcpyHtoDAsync(p, h, 64, s));
	sleep_ms(50);
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
}
END_TEST

static const char *const wrong_sums[] = {"mutate:add", "mutate:fma", "mutate:store", "mutate:cmp",
					 "mutate:copy-tail"};

START_TEST(sums_come_out_wrong)
{
	with(wrong_sums[_i]);
	ck_assert_int_eq(add_works(), 0);
}
END_TEST

START_TEST(an_occurrence_that_is_not_there)
{
	with("mutate:add:1000");
	ck_assert_int_eq(add_works(), 1);
}
END_TEST

/* The kernel of the shared-memory test, which needs its barrier and its shared stores. */
static int reverse_works(void)
{
	uint32_t v[128];
	CUdeviceptr p;
	void *args[] = {&p};

	for (uint32_t i = 0; i < 128; i++)
		v[i] = i;
	OK(cuMemAlloc(&p, sizeof(v)));
	OK(cuMemcpyHtoD(p, v, sizeof(v)));
	OK(cuLaunchKernel(kernel("reverse"), 1, 1, 1, 128, 1, 1, 0, NULL, args, NULL));
	if (cuMemcpyDtoH(v, p, sizeof(v)) != CUDA_SUCCESS)
		return 0;
	for (uint32_t i = 0; i < 128; i++)
		if (v[i] != 127 - i)
			return 0;
	return 1;
}

static const char *const wrong_turns[] = {"mutate:bar", "mutate:shared", "mutate:sub:0"};

START_TEST(reversing_comes_out_wrong)
{
	with(wrong_turns[_i]);
	ck_assert_int_eq(reverse_works(), 0);
}
END_TEST

static uint32_t counter(void)
{
	CUdeviceptr p;
	uint32_t v;
	CUmodule m;
	CUfunction f;
	size_t size;

	OK(cuModuleLoadData(&m, PTX_ALL));
	OK(cuModuleGetGlobal(&p, &size, m, "counter"));
	OK(cuModuleGetFunction(&f, m, "count"));
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	OK(cuMemcpyDtoH(&v, p, 4));
	return v;
}

START_TEST(initial_values_are_lost)
{
	with("mutate:global-init");
	ck_assert_uint_ne(counter(), 16);
}
END_TEST

START_TEST(atomics_are_lost)
{
	CUdeviceptr p;
	unsigned int until = 0;
	void *args[] = {&p, &until};
	uint32_t v = 0;

	with("mutate:atom");
	OK(cuMemAlloc(&p, 4));
	OK(cuMemsetD32(p, 0, 1));
	OK(cuLaunchKernel(kernel("meet"), 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL));
	OK(cuMemcpyDtoH(&v, p, 4));
	ck_assert_uint_lt(v, 32);
}
END_TEST

START_TEST(memset_is_wrong)
{
	CUdeviceptr p;
	uint32_t v = 0;

	with("mutate:memset");
	OK(cuMemAlloc(&p, 4));
	OK(cuMemsetD32(p, 10, 1));
	OK(cuMemcpyDtoH(&v, p, 4));
	ck_assert_uint_ne(v, 10);
}
END_TEST

START_TEST(times_are_wrong)
{
	CUevent a, b;
	float ms;

	with(_i ? "mutate:event-negative" : "mutate:event-zero");
	OK(cuEventCreate(&a, 0));
	OK(cuEventCreate(&b, 0));
	OK(cuEventRecord(a, NULL));
	sleep_ms(2);
	OK(cuEventRecord(b, NULL));
	OK(cuEventElapsedTime(&ms, a, b));
	ck_assert(_i ? ms < 0 : ms == 0);
}
END_TEST

static void CUDA_CB set(void *arg)
{
	atomic_store((_Atomic int *)arg, 1);
}

START_TEST(callbacks_are_dropped)
{
	_Atomic int flag = 0;

	with("mutate:callback");
	OK(cuLaunchHostFunc(NULL, set, &flag));
	OK(cuCtxSynchronize());
	ck_assert_int_eq(flag, 0);
}
END_TEST

START_TEST(waits_are_ignored)
{
	uint32_t us = 50000 * 1000, times = 2, v = 9;
	CUdeviceptr p;
	void *args[] = {&us, &times, &p};
	CUstream a, b;
	CUevent e;

	with("mutate:wait-event");
	OK(cuMemAlloc(&p, 4));
	OK(cuMemsetD32(p, 0, 1));
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, 0));
	OK(cuLaunchKernel(kernel("nap"), 1, 1, 1, 1, 1, 1, 0, a, args, NULL));
	OK(cuEventRecord(e, a));
	OK(cuStreamWaitEvent(b, e, 0));
	OK(cuMemcpyDtoHAsync(&v, p, 4, b));
	OK(cuStreamSynchronize(b));
	ck_assert_uint_eq(v, 0);
	OK(cuStreamSynchronize(a));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_fault");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_call_fails);
	tcase_add_test(t, init_fails);
	tcase_add_test(t, ecc_error);
	tcase_add_test(t, lost_device);
	tcase_add_test(t, slow_and_hanging_copies);
	tcase_add_loop_test(t, sums_come_out_wrong, 0, 5);
	tcase_add_test(t, an_occurrence_that_is_not_there);
	tcase_add_loop_test(t, reversing_comes_out_wrong, 0, 3);
	tcase_add_test(t, initial_values_are_lost);
	tcase_add_test(t, atomics_are_lost);
	tcase_add_test(t, memset_is_wrong);
	tcase_add_loop_test(t, times_are_wrong, 0, 2);
	tcase_add_test(t, callbacks_are_dropped);
	tcase_add_test(t, waits_are_ignored);
	suite_add_tcase(s, t);
	return run_suite(s, "fault");
}
