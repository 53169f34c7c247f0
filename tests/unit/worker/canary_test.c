/* SPDX-License-Identifier: MIT */
/* The worker's canary on the simulated GPU, whole and broken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/canary.h"

static char reason[128];

#ifdef __SANITIZE_ADDRESS__
/* The leak check follows wrong pointers in threads of a library loaded by dlopen(), and crashes. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

/* Each test is a process of its own: faults are read once. */
static int run(const char *fault, uint32_t seed)
{
	static struct far far;

	if (!far.dl) {
		if (fault)
			setenv("SIMCUDA_FAULT", fault, 1);
		ck_assert_msg(far_load(&far, SIMCUDA, reason, sizeof(reason)) == 0, "%s", reason);
		ck_assert_int_eq(far.cuInit(0), 0);
		ck_assert_int_eq(far.cuDeviceGet(&far.dev, 0), 0);
	}
	reason[0] = '\0';
	return canary_run(&far, seed, reason, sizeof(reason));
}

START_TEST(a_whole_gpu_passes)
{
	ck_assert_msg(run(NULL, 1) == 0, "%s", reason);
	ck_assert_msg(run(NULL, 0) == 0, "%s", reason);
	ck_assert_msg(run(NULL, UINT32_MAX) == 0, "%s", reason);
}
END_TEST

static const struct {
	const char *fault;
	int result;
	const char *reason;
} broken[] = {
	{"mutate:add", CANARY_WRONG, "word "},
	{"mutate:mul", CANARY_WRONG, "word "},
	{"mutate:store", CANARY_WRONG, "word "},
	{"mutate:shared", CANARY_WRONG, "word "},
	{"mutate:copy-tail", CANARY_WRONG, "word "},
	{"ecc:1", CUDA_ERROR_ECC_UNCORRECTABLE, "cuCtxSynchronize gives CUresult 214"},
	{"lost:1", CUDA_ERROR_DEVICE_UNAVAILABLE, "cuCtxSynchronize gives CUresult 46"},
	{"fail:cuCtxCreate_v2:1:999", CUDA_ERROR_UNKNOWN, "cuCtxCreate_v2 gives CUresult 999"},
	{"fail:cuModuleLoadDataEx:1:2", CUDA_ERROR_OUT_OF_MEMORY, "cuModuleLoadDataEx gives"},
};

START_TEST(a_broken_one_does_not)
{
	ck_assert_int_eq(run(broken[_i].fault, 77), broken[_i].result);
	ck_assert_msg(!strncmp(reason, broken[_i].reason, strlen(broken[_i].reason)), "%s", reason);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("canary");
	TCase *t = tcase_create("canary");
	SRunner *r = srunner_create(s);
	char gpu[64];
	int failed;

	snprintf(gpu, sizeof(gpu), "/dev/shm/pvgpu-canary-%d", (int)getpid());
	setenv("SIMCUDA_GPU", gpu, 1);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_whole_gpu_passes);
	tcase_add_loop_test(t, a_broken_one_does_not, 0, sizeof(broken) / sizeof(broken[0]));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu);
	return failed != 0;
}
