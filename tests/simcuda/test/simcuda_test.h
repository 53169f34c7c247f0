/* SPDX-License-Identifier: MIT */
/* Common code of the tests of the simulated CUDA driver. */
#ifndef PVGPU_TESTS_SIMCUDA_TEST_H
#define PVGPU_TESTS_SIMCUDA_TEST_H

#include <check.h>
#include <cuda.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OK(call)                                                                                   \
	do {                                                                                       \
		CUresult ok_ = (call);                                                             \
		if (ok_ != CUDA_SUCCESS)                                                           \
			ck_abort_msg("%s: status %d", #call, (int)ok_);                            \
	} while (0)
#define FAILS(code, call)                                                                          \
	do {                                                                                       \
		CUresult fails_ = (call);                                                          \
		ck_assert_msg(fails_ == (code), "%s: status %d, not %d", #call, (int)fails_,       \
			      (int)(code));                                                        \
	} while (0)

/* A GPU for this test program alone; its file is removed with the test's folder. */
static inline void own_gpu(const char *name)
{
	char path[256];

	if (getenv("SIMCUDA_GPU"))
		return;
	snprintf(path, sizeof(path), "/dev/shm/simcuda-test-%s-%d", name, (int)getpid());
	setenv("SIMCUDA_GPU", path, 1);
}

static inline void remove_gpu(void)
{
	const char *path = getenv("SIMCUDA_GPU");

	if (path)
		unlink(path);
}

static inline CUcontext start(void)
{
	CUcontext ctx;

	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuCtxSetCurrent(ctx));
	return ctx;
}

static inline uint64_t test_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static inline int run_suite(Suite *s, const char *name)
{
	SRunner *r;
	int failed;

	own_gpu(name);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	remove_gpu();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
