/* SPDX-License-Identifier: MIT */
/* tests/simcuda/nvml: the simulated GPU's accounts, reported in NVML's terms. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nvml/nvml.h"
#include "tests/simcuda/simgpu.h"

static char path[] = "/dev/shm/pvgpu-simnvml-XXXXXX";
static struct simgpu *gpu;
static nvmlDevice_t dev;

static void process(unsigned int i, uint32_t pid, uint64_t memory)
{
	struct simgpu_process *p = &gpu->slot[i];
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&p->life, &a);
	pthread_mutex_lock(&p->life);
	p->pid = pid;
	p->start_time = pid;
	p->memory = memory;
	p->in_use = 1;
	gpu->slots_used = i + 1;
}

static void set_up(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	setenv("SIMCUDA_GPU", path, 1);
	setenv("SIMCUDA_NVML_SAMPLE_MS", "1", 1);
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(0, &dev), NVML_SUCCESS);
	ck_assert_int_eq(ftruncate(fd, sizeof(*gpu)), 0);
	gpu = mmap(NULL, sizeof(*gpu), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(gpu, MAP_FAILED);
	close(fd);
	gpu->version = SIMGPU_VERSION;
	gpu->memory = 1 << 30;
	process(3, 70, 5 << 20);
	process(9, 71, 6 << 20);
	gpu->magic = SIMGPU_MAGIC;
}

static void tear_down(void)
{
	unlink(path);
}

START_TEST(names)
{
	unsigned int n;
	char name[32];

	ck_assert_int_eq(nvmlDeviceGetCount_v2(&n), NVML_SUCCESS);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(nvmlDeviceGetName(dev, name, sizeof(name)), NVML_SUCCESS);
	ck_assert_str_eq(name, "pvgpu simulated GPU");
	ck_assert_int_eq(nvmlDeviceGetName(dev, name, 4), NVML_ERROR_INSUFFICIENT_SIZE);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(1, &dev), NVML_ERROR_INVALID_ARGUMENT);
	ck_assert_int_eq(nvmlDeviceGetName(NULL, name, sizeof(name)), NVML_ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(memory)
{
	nvmlProcessInfo_t info[4];
	unsigned int n = 1;
	nvmlMemory_t m;

	ck_assert_int_eq(nvmlDeviceGetMemoryInfo(dev, &m), NVML_SUCCESS);
	ck_assert_uint_eq(m.total, 1 << 30);
	ck_assert_uint_eq(m.used, 11 << 20);
	ck_assert_int_eq(nvmlDeviceGetComputeRunningProcesses_v3(dev, &n, info),
			 NVML_ERROR_INSUFFICIENT_SIZE);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(nvmlDeviceGetComputeRunningProcesses_v3(dev, &n, info), NVML_SUCCESS);
	ck_assert_uint_eq(info[0].pid, 70);
	ck_assert_uint_eq(info[1].usedGpuMemory, 6 << 20);
	/* An unlocked life mutex: the process is dead. */
	pthread_mutex_unlock(&gpu->slot[3].life);
	ck_assert_int_eq(nvmlDeviceGetComputeRunningProcesses_v3(dev, &n, info), NVML_SUCCESS);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(info[0].pid, 71);
}
END_TEST

/* The next samples of both processes. */
static void sample(nvmlProcessUtilizationSample_t u[2])
{
	static unsigned long long seen;
	unsigned int n = 2;

	while (nvmlDeviceGetProcessUtilization(dev, u, &n, seen) == NVML_ERROR_NOT_FOUND)
		n = 2;
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_gt(u[0].timeStamp, seen);
	seen = u[0].timeStamp;
}

START_TEST(utilisation)
{
	nvmlProcessUtilizationSample_t u[2];
	uint64_t begin;

	sample(u);
	begin = u[0].timeStamp;
	ck_assert_uint_eq(u[0].pid, 70);
	gpu->slot[9].compute += 1000000000000;
	gpu->slot[3].copy_ns += 1000000000000;
	sample(u);
	ck_assert_uint_eq(u[0].smUtil, 0);
	ck_assert_uint_eq(u[0].memUtil, 100);
	ck_assert_uint_eq(u[1].smUtil, 100);
	ck_assert_uint_eq(u[1].memUtil, 0);
	/* A use of more than 100 % is cut, and not reported later. */
	sample(u);
	ck_assert_uint_eq(u[0].memUtil, 0);
	ck_assert_uint_eq(u[1].smUtil, 0);
	ck_assert_uint_gt(u[0].timeStamp, begin);
}
END_TEST

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned long long period, period_before;

static void sample_after(nvmlProcessUtilizationSample_t u[2])
{
	unsigned long long begin = u[0].timeStamp;

	sample(u);
	period_before = period;
	period = u[0].timeStamp - begin;
}

/* The largest rest that the percentage before could round off, in percents of this period. */
static unsigned int lacked(void)
{
	return (unsigned int)(period_before / period);
}

/* Work in flight is reported in the period in which it runs, before the process accounts for it. */
START_TEST(under_way)
{
	struct simgpu_process *p = &gpu->slot[3], *q = &gpu->slot[9];
	nvmlProcessUtilizationSample_t u[2];
	uint64_t begin;

	sample(u);
	begin = q->copy_since[2] = now_ns();
	p->compute = begin | SIMGPU_RUNS;
	sample(u);
	for (int i = 0; i < 5; i++) {
		sample(u);
		ck_assert_uint_ge(u[0].smUtil, 90);
		ck_assert_uint_eq(u[0].memUtil, 0);
		ck_assert_uint_ge(u[1].memUtil, 90);
		ck_assert_uint_eq(u[1].smUtil, 0);
	}
	/* The end of a copy: missing for a moment, then counted once. */
	q->copy_since[2] = 0;
	p->compute = now_ns() - begin;
	sample_after(u);
	sample_after(u);
	ck_assert_uint_le(u[0].smUtil, lacked());
	ck_assert_uint_le(u[1].memUtil, lacked());
	q->copy_ns += 1;
	sample_after(u);
	ck_assert_uint_le(u[1].memUtil, lacked());
}
END_TEST

/* Rounded-off rests are reported later: no time is lost or invented. */
START_TEST(no_time_is_lost)
{
	nvmlProcessUtilizationSample_t u[2];
	uint64_t given = 0, said = 0, before;

	sample(u);
	before = u[0].timeStamp;
	for (int i = 0; i < 200; i++) {
		gpu->slot[3].compute += 7777;
		given += 7777;
		sample(u);
		said += (u[0].timeStamp - before) * 10 * u[0].smUtil;
		before = u[0].timeStamp;
		ck_assert_uint_le(said, given);
	}
	while (given - said >= 10000000) {
		sample(u);
		said += (u[0].timeStamp - before) * 10 * u[0].smUtil;
		before = u[0].timeStamp;
	}
	ck_assert_uint_le(said, given);
}
END_TEST

START_TEST(xids)
{
	nvmlEventSet_t set;
	nvmlEventData_t e;

	gpu->xid[0] = 99;
	gpu->xids = 1;
	ck_assert_int_eq(nvmlEventSetCreate(&set), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceRegisterEvents(dev, nvmlEventTypeXidCriticalError, set),
			 NVML_SUCCESS);
	ck_assert_int_eq(nvmlEventSetWait_v2(set, &e, 0), NVML_ERROR_TIMEOUT);
	gpu->xid[1] = 70ull << 32 | 31;
	gpu->xid[2] = 71ull << 32 | 79;
	gpu->xids = 3;
	ck_assert_int_eq(nvmlEventSetWait_v2(set, &e, 5000), NVML_SUCCESS);
	ck_assert_uint_eq(e.eventData, 31);
	ck_assert_ptr_eq(e.device, dev);
	ck_assert_int_eq(nvmlEventSetWait_v2(set, &e, 0), NVML_SUCCESS);
	ck_assert_uint_eq(e.eventData, 79);
	ck_assert_int_eq(nvmlEventSetWait_v2(set, &e, 1), NVML_ERROR_TIMEOUT);
	nvmlEventSetFree(set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simnvml");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, names);
	tcase_add_test(tc, memory);
	tcase_add_test(tc, utilisation);
	tcase_add_test(tc, under_way);
	tcase_add_test(tc, no_time_is_lost);
	tcase_add_test(tc, xids);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
