/* SPDX-License-Identifier: MIT */
/* A worker's prepare phase on the simulated GPU: where it serves, and where it must not. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/frame/frame.h"

static char said[256], reason[512], gpu_file[64];

void worker_log(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

static struct worker w;
static bool no_ecc;

static int begin(bool hmm, bool allowed)
{
	setenv("SIMCUDA_GPU", gpu_file, 1);
	if (hmm)
		setenv("SIMCUDA_HMM", "1", 1);
	w.opt = (struct options){
		.libcuda = SIMCUDA, .id = 1, .allow_hmm = allowed, .allow_no_ecc = no_ecc};
	return prepare(&w, reason, sizeof(reason));
}

/* A library that has its own cuBLASLt inside stands for a cuBLAS that has loaded one. */
static int begin_libraries(const char *cublas, const char *cublaslt)
{
	setenv("SIMCUDA_GPU", gpu_file, 1);
	w.opt = (struct options){
		.libcuda = SIMCUDA, .id = 1, .libcublas = cublas, .libcublaslt = cublaslt};
	return prepare(&w, reason, sizeof(reason));
}

START_TEST(one_cublaslt)
{
	ck_assert_msg(begin_libraries(SIMLIB "12", SIMLIB "12") == 0, "%s", reason);
	ck_assert_ptr_nonnull(w.far.lib.cublaslt.cublasLtMatmul);
}
END_TEST

START_TEST(two_cublaslts_are_refused)
{
	ck_assert_int_eq(begin_libraries(SIMLIB "13", SIMLIB "12"), -1);
	ck_assert_ptr_nonnull(strstr(reason, "uses another libcublasLt"));
}
END_TEST

START_TEST(an_isolated_gpu)
{
	ck_assert_msg(begin(false, _i) == 0, "%s", reason);
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(w.far.driver_version, 13000);
}
END_TEST

START_TEST(hmm_is_refused)
{
	ck_assert_int_eq(begin(true, false), -1);
	ck_assert_ptr_nonnull(strstr(reason, "attribute 88 is 1"));
	ck_assert_ptr_nonnull(strstr(reason, "uvm_disable_hmm=1"));
}
END_TEST

/* The worker's log has the reason. */
START_TEST(hmm_is_allowed)
{
	ck_assert_msg(begin(true, true) == 0, "%s", reason);
	ck_assert_ptr_nonnull(strstr(said, "TEST OVERRIDE test_allow_hmm"));
}
END_TEST

START_TEST(memory_without_correction)
{
	setenv("SIMCUDA_ECC", "0", 1);
	ck_assert_int_eq(begin(false, false), -1);
	ck_assert_ptr_nonnull(strstr(reason, "no error correction"));
	ck_assert_ptr_nonnull(strstr(reason, "allow_no_ecc"));
}
END_TEST

START_TEST(memory_without_correction_is_allowed)
{
	setenv("SIMCUDA_ECC", "0", 1);
	no_ecc = true;
	ck_assert_msg(begin(false, false) == 0, "%s", reason);
}
END_TEST

START_TEST(no_device)
{
	setenv("CUDA_VISIBLE_DEVICES", "7", 1);
	ck_assert_int_eq(begin(false, false), -1);
	ck_assert_ptr_nonnull(strstr(reason, "cuInit"));
	ck_assert_ptr_nonnull(strstr(reason, "CUresult 100"));
}
END_TEST

START_TEST(a_call_is_missing)
{
	setenv("SIMCUDA_FAULT", "absent:cuMemMap", 1);
	ck_assert_int_eq(begin(false, false), -1);
	ck_assert_ptr_nonnull(strstr(reason, "cuMemMap"));
}
END_TEST

/* Without it no kernel could be launched: said at the start, and with the way out. */
START_TEST(parameters_are_not_told)
{
	setenv("SIMCUDA_FAULT", "absent:cuFuncGetParamInfo", 1);
	ck_assert_int_eq(begin(false, false), -1);
	ck_assert_ptr_nonnull(strstr(reason, "cuFuncGetParamInfo"));
	ck_assert_ptr_nonnull(strstr(reason, "driver 550 (CUDA 12.4) or later"));
}
END_TEST

/* The end of the reason stays, however long the path is. */
START_TEST(no_library)
{
	static const char end[] = ": cannot open shared object file: No such file or directory";
	char path[256] = "/";

	for (size_t len = 2; len < 250; len++) {
		path[len - 1] = 'x';
		w.opt = (struct options){.libcuda = path, .id = 1};
		ck_assert_int_eq(prepare(&w, reason, sizeof(reason)), -1);
		ck_assert_int_eq(strncmp(reason, "cannot load libcuda: ", 21), 0);
		ck_assert_msg(strlen(reason) > sizeof(end), "%s", reason);
		ck_assert_str_eq(reason + strlen(reason) - strlen(end), end);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prepare");
	TCase *t = tcase_create("prepare");
	SRunner *r;
	int failed;

	snprintf(gpu_file, sizeof(gpu_file), "/dev/shm/simcuda-test-prepare-%d", (int)getpid());
	tcase_add_loop_test(t, an_isolated_gpu, 0, 2);
	tcase_add_test(t, one_cublaslt);
	tcase_add_test(t, two_cublaslts_are_refused);
	tcase_add_test(t, hmm_is_refused);
	tcase_add_test(t, hmm_is_allowed);
	tcase_add_test(t, memory_without_correction);
	tcase_add_test(t, memory_without_correction_is_allowed);
	tcase_add_test(t, no_device);
	tcase_add_test(t, a_call_is_missing);
	tcase_add_test(t, parameters_are_not_told);
	tcase_add_test(t, no_library);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(gpu_file);
	return failed != 0;
}
