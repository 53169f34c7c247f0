/* SPDX-License-Identifier: MIT */
/*
 * SIMCUDA_FAULT=crash:CALL, hang:CALL and absent:CALL, seen by a program that loads the library and
 * looks each symbol up. Each test is a process of its own, so each loads the library again.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/simcuda/test/simcuda_test.h"

static const char *const all[] = {
#define S(symbol) #symbol,
#include "tests/simcuda/driver/symbols.h"
#undef S
};
#define ALL ((int)(sizeof(all) / sizeof(all[0])))

static void *lib;

static void load(const char *fault)
{
	if (fault)
		setenv("SIMCUDA_FAULT", fault, 1);
	lib = dlopen(SIMCUDA_PATH, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(lib != NULL, "%s", dlerror());
	signal(SIGSEGV, SIG_DFL); /* a sanitizer has taken it */
}

#define FAR(name) ((__typeof__(name) *)dlsym(lib, #name))

static CUresult proc(const char *name, int version, cuuint64_t flags, void **fn,
		     CUdriverProcAddressQueryResult *status)
{
	CUresult (*get)(const char *, void **, int, cuuint64_t, CUdriverProcAddressQueryResult *) =
		(__typeof__(get))dlsym(lib, "cuGetProcAddress_v2");

	return get(name, fn, version, flags, status);
}

START_TEST(absent_for_dlsym)
{
	load("absent:cuFuncGetParamInfo;absent:cuMemcpyHtoD_v2");
	ck_assert_ptr_null(dlsym(lib, "cuFuncGetParamInfo"));
	ck_assert_ptr_null(dlsym(lib, "cuMemcpyHtoD_v2"));
	ck_assert_ptr_null(dlsym(lib, "cuMemcpyHtoD_v2_ptds"));
	ck_assert_ptr_nonnull(dlsym(lib, "cuMemcpyHtoD"));
	ck_assert_ptr_nonnull(dlsym(lib, "cuMemcpyDtoH_v2"));
	OK(FAR(cuInit)(0));
}
END_TEST

START_TEST(absent_for_get_proc_address)
{
	CUdriverProcAddressQueryResult status;
	void *fn = lib;

	load("absent:cuFuncGetParamInfo;absent:cuMemAlloc_v2;absent:cuStreamQuery");
	OK(proc("cuFuncGetParamInfo", 13000, 0, &fn, &status));
	ck_assert_ptr_null(fn);
	ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	OK(proc("cuStreamQuery", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &fn,
		&status));
	ck_assert_ptr_null(fn);
	/* The older revision, as an older driver would return. */
	OK(proc("cuMemAlloc", 13000, 0, &fn, &status));
	ck_assert_ptr_nonnull(fn);
	ck_assert_ptr_eq(fn, dlsym(lib, "cuMemAlloc"));
}
END_TEST

/* Every symbol is found, and none of those made absent. */
START_TEST(any_symbol_can_be_absent)
{
	size_t cap = 64 * (size_t)ALL;
	char *spec = calloc(1, cap), *end = spec;

	for (int i = 0; _i && i < ALL; i++)
		end += snprintf(end, cap - (size_t)(end - spec), "%sabsent:%s", i ? ";" : "",
				all[i]);
	load(_i ? spec : NULL);
	for (int i = 0; i < ALL; i++)
		ck_assert_msg((dlsym(lib, all[i]) == NULL) == _i, "%s", all[i]);
	free(spec);
}
END_TEST

/* Among them a refused call and one that only an older revision has. */
static const char *const crashing[] = {"cuInit", "cuImportExternalMemory", "cuCtxCreate", "cuMemcpy_ptds"};
#define CRASHES ((int)(sizeof(crashing) / sizeof(crashing[0])))

START_TEST(a_call_crashes)
{
	void (*fn)(void);

	load("crash:cuInit;crash:cuImportExternalMemory;crash:cuCtxCreate;crash:cuMemcpy");
	fn = (void (*)(void))dlsym(lib, crashing[_i]);
	ck_assert(fn != NULL);
	fn();
}
END_TEST

START_TEST(a_call_got_by_its_plain_name_crashes)
{
	void *fn = NULL;

	load("crash:cuMemAlloc_v2");
	OK(FAR(cuInit)(0));
	OK(proc("cuMemAlloc", 13000, 0, &fn, NULL));
	ck_assert_ptr_nonnull(fn);
	((void (*)(void))fn)();
}
END_TEST

static _Atomic int before, returned;

static void *call_that_hangs(void *arg)
{
	atomic_store(&before, 1);
	FAR(cuCtxSynchronize)();
	atomic_store(&returned, 1);
	return NULL;
}

/* The hang ends with the process, at once: a search for leaks beside a thread of a library that was
 * loaded later breaks off (LeakSanitizer of gcc 12, in its look at the thread's TLS). */
START_TEST(a_call_hangs)
{
	struct timespec cpu;
	clockid_t clock;
	pthread_t t;
	CUdevice dev;

	load("fail:cuDeviceGet:1:101;hang:cuCtxSynchronize");
	OK(FAR(cuInit)(0));
	FAILS(CUDA_ERROR_INVALID_DEVICE, FAR(cuDeviceGet)(&dev, 0));
	OK(FAR(cuDeviceGet)(&dev, 0));
	ck_assert_int_eq(pthread_create(&t, NULL, call_that_hangs, NULL), 0);
	while (!atomic_load(&before))
		sleep_ms(1);
	sleep_ms(200);
	ck_assert_int_eq(atomic_load(&returned), 0);
	ck_assert_int_eq(pthread_getcpuclockid(t, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &cpu), 0);
	ck_assert_int_eq(cpu.tv_sec, 0);
	ck_assert_int_lt(cpu.tv_nsec, 100000000); /* of 200 ms: it does not spin */
	_exit(0);
}
END_TEST

static const char *const wrong[] = {"crash:cuNoSuchCall", "absent:", "hang:cuInit:1", "crash",
				    "absent:cuCtxCreate;explode:cuInit"};
#define WRONG ((int)(sizeof(wrong) / sizeof(wrong[0])))

START_TEST(what_is_not_understood)
{
	load(wrong[_i]);
	if (_i == WRONG - 1) /* valid specs before a bad one are applied */
		ck_assert_ptr_null(dlsym(lib, "cuCtxCreate"));
	FAR(cuInit)(0); /* ends the process with status 2 */
	_exit(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_entry");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, absent_for_dlsym);
	tcase_add_test(t, absent_for_get_proc_address);
	tcase_add_loop_test(t, any_symbol_can_be_absent, 0, 2);
	tcase_add_loop_test_raise_signal(t, a_call_crashes, SIGSEGV, 0, CRASHES);
	tcase_add_test_raise_signal(t, a_call_got_by_its_plain_name_crashes, SIGSEGV);
	tcase_add_exit_test(t, a_call_hangs, 0);
	tcase_add_loop_exit_test(t, what_is_not_understood, 2, 0, WRONG);
	suite_add_tcase(s, t);
	return run_suite(s, "entry");
}
