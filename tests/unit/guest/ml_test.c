/* SPDX-License-Identifier: MIT */
/* The management library's arithmetic of use, and its end of the Xen link, on files that look like
 * the module's. */
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ml/ml.h"

static int percent_of(struct ml_usage *u, uint64_t at, uint64_t gpu_time, uint64_t *wait)
{
	ml_usage_add(u, (struct ml_reading){.at = at, .gpu_time = gpu_time});
	return ml_usage_percent(u, wait);
}

START_TEST(usage_needs_two_readings)
{
	struct ml_usage u = {.shortest = 100000};
	uint64_t wait;

	ck_assert_int_eq(ml_usage_percent(&u, &wait), -1);
	ck_assert_int_eq(percent_of(&u, 1000000, 5000, &wait), -1);
	ck_assert_uint_eq(wait, 100000);
	ck_assert_int_eq(percent_of(&u, 1040000, 5000, &wait), -1);
	ck_assert_uint_eq(wait, 60000);
	ck_assert_int_eq(percent_of(&u, 1100000, 55000, &wait), 50);
	/* The GPU may be charged for what was before. */
	ck_assert_int_eq(percent_of(&u, 1200000, 900000, &wait), 100);
}
END_TEST

START_TEST(usage_follows)
{
	struct ml_usage u = {.shortest = 100000};
	uint64_t wait, at = 1, gpu = 0;

	for (int i = 0; i < 1000; i++) {
		at += 7000;
		gpu += 3500;
		percent_of(&u, at, gpu, &wait);
		ck_assert_uint_le(u.n, ML_READINGS);
	}
	ck_assert_int_eq(ml_usage_percent(&u, &wait), 50);
	/* Idle: 0 as soon as the busy time is past. */
	for (int i = 0; i < 100; i++)
		percent_of(&u, at += 7000, gpu, &wait);
	ck_assert_int_eq(ml_usage_percent(&u, &wait), 0);
	/* Seldom asked: since the last time. */
	ck_assert_int_eq(percent_of(&u, at += 2000000, gpu += 500000, &wait), 25);
	/* So long ago that it says nothing of now. */
	ck_assert_int_eq(percent_of(&u, at += 3600000000, gpu += 500000, &wait), -1);
	ck_assert_uint_eq(wait, 100000);
	/* Another pvgpud counts anew. */
	ck_assert_int_eq(percent_of(&u, at += 1000000, 5, &wait), -1);
	ck_assert_int_eq(percent_of(&u, at += 1000000, 500005, &wait), 50);
}
END_TEST

/* After a long pause one more reading does, although older ones are there. */
START_TEST(usage_after_a_pause)
{
	struct ml_usage u = {.shortest = 1000000};
	uint64_t wait, at = 1, gpu = 0;

	for (int i = 0; i < 5; i++)
		percent_of(&u, at += 1000000, gpu += 1000000, &wait);
	ck_assert_int_eq(percent_of(&u, at += 60000000, gpu, &wait), -1);
	ck_assert_uint_eq(wait, 1000000);
	/* A part of the time was gone already. */
	ck_assert_int_eq(percent_of(&u, at += 600000, gpu += 300000, &wait), -1);
	ck_assert_uint_eq(wait, 400000);
	ck_assert_int_eq(percent_of(&u, at += 400000, gpu += 200000, &wait), 50);
	ck_assert_int_eq(percent_of(&u, at += 1000000, gpu += 1000000, &wait), 75);
}
END_TEST

static char folder[] = "/tmp/pvgpu-ml-XXXXXX", device[64], sysfs[64], proc[64];

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/pvgpu0/device/%s", sysfs, name);
	unlink(path);
	if (!text)
		return;
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void make(const char *format, const char *in)
{
	char path[256];

	snprintf(path, sizeof(path), format, in);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void setup(void)
{
	char path[256];
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(sysfs, sizeof(sysfs), "%s/class", folder);
	snprintf(proc, sizeof(proc), "%s/proc", folder);
	snprintf(device, sizeof(device), "%s/pvgpu0", folder);
	make("%s", sysfs);
	make("%s/pvgpu0", sysfs);
	make("%s/pvgpu0/device", sysfs);
	make("%s", proc);
	make("%s/12", proc);
	make("%s/12/fd", proc);
	make("%s/13", proc);
	make("%s/13/fd", proc);
	make("%s/self", proc);
	make("%s/self/fd", proc);
	f = fopen(device, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/12/fd/7", proc);
	ck_assert_int_eq(symlink(device, path), 0);
	snprintf(path, sizeof(path), "%s/13/fd/7", proc);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	snprintf(path, sizeof(path), "%s/self/fd/7", proc);
	ck_assert_int_eq(symlink(device, path), 0);
	setenv("PVGPU_DEVICE", device, 1);
	unsetenv("PVGPU_SOCKET");
	ml_sysfs = sysfs;
	ml_proc = proc;
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
	strcpy(folder, "/tmp/pvgpu-ml-XXXXXX");
}

START_TEST(figures_of_the_module)
{
	nvmlProcessInfo_t p[4];
	unsigned int n = 4;
	nvmlDevice_t d;
	nvmlMemory_t m;

	put("memory", "1073741824\n");
	put("usage", "memory-used=4096 sessions=1 gpu-time=12 memory-peak=9\n");
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(0, &d), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetMemoryInfo(d, &m), NVML_SUCCESS);
	ck_assert_uint_eq(m.total, 1073741824);
	ck_assert_uint_eq(m.used, 4096);
	ck_assert_uint_eq(m.free, 1073741824 - 4096);
	/* The process with the device open; its part of the memory is not known. */
	ck_assert_int_eq(nvmlDeviceGetComputeRunningProcesses_v3(d, &n, p), NVML_SUCCESS);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(p[0].pid, 12);
	ck_assert_uint_eq(p[0].usedGpuMemory, NVML_VALUE_NOT_AVAILABLE);
	ck_assert_int_eq(nvmlShutdown(), NVML_SUCCESS);
}
END_TEST

/* The GPU's description is in a file of the module; without the file nothing is known. */
START_TEST(gpu_of_the_module)
{
	char version[80];
	unsigned int n;
	nvmlDevice_t d;

	put("memory", "1073741824\n");
	put("gpu",
	    "driver-major=535 driver-minor=104 driver-patch=5 brand=14 temperature=45 later=1\n");
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(0, &d), NVML_SUCCESS);
	ck_assert_int_eq(nvmlSystemGetDriverVersion(version, sizeof(version)), NVML_SUCCESS);
	ck_assert_str_eq(version, "535.104.05");
	ck_assert_int_eq(nvmlSystemGetDriverVersion(version, 10), NVML_ERROR_INSUFFICIENT_SIZE);
	ck_assert_int_eq(nvmlDeviceGetTemperature(d, NVML_TEMPERATURE_GPU, &n), NVML_SUCCESS);
	ck_assert_uint_eq(n, 45);
	ck_assert_int_eq(nvmlDeviceGetPowerUsage(d, &n), NVML_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(nvmlShutdown(), NVML_SUCCESS);
	put("gpu", NULL);
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetTemperature(d, NVML_TEMPERATURE_GPU, &n),
			 NVML_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(nvmlShutdown(), NVML_SUCCESS);
}
END_TEST

static const char *const bad[] = {
	NULL,
	"",
	"\n",
	"memory-used=\n",
	"xmemory-used=5 gpu-time=5",
	"memory-used 5 gpu-time 5",
	"memory-used=x gpu-time=5",
	"memory-used=5",
	"gpu-time=5",
};

START_TEST(figures_that_are_not_there)
{
	nvmlUtilization_t u;
	nvmlDevice_t d;
	nvmlMemory_t m;

	put("memory", "1073741824\n");
	put("usage", bad[_i]);
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(0, &d), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetMemoryInfo(d, &m), NVML_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(nvmlDeviceGetUtilizationRates(d, &u), NVML_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(nvmlShutdown(), NVML_SUCCESS);
}
END_TEST

static bool enough;
static unsigned int asked;

static void *ask_on(void *handle)
{
	nvmlMemory_t m;

	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
		__atomic_add_fetch(&asked, !nvmlDeviceGetMemoryInfo(handle, &m), __ATOMIC_RELAXED);
	return NULL;
}

/* A child is forked while another thread asks: it asks, too. */
START_TEST(forked_child)
{
	pthread_t thread;
	nvmlDevice_t d;
	int status;

	put("memory", "1073741824\n");
	put("usage", "memory-used=4096 gpu-time=12\n");
	ck_assert_int_eq(nvmlInit_v2(), NVML_SUCCESS);
	ck_assert_int_eq(nvmlDeviceGetHandleByIndex_v2(0, &d), NVML_SUCCESS);
	ck_assert_int_eq(pthread_create(&thread, NULL, ask_on, d), 0);
	for (int i = 0; i < 40; i++) {
		const unsigned int before = __atomic_load_n(&asked, __ATOMIC_RELAXED);
		nvmlMemory_t m;
		pid_t pid;

		while (__atomic_load_n(&asked, __ATOMIC_RELAXED) == before)
			sched_yield();
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (!pid)
			_exit(nvmlDeviceGetMemoryInfo(d, &m) == NVML_SUCCESS ? 0 : 1);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_int_eq(nvmlShutdown(), NVML_SUCCESS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ml");
	TCase *usage = tcase_create("usage"), *xen = tcase_create("xen");
	SRunner *r;
	int failed;

	tcase_add_test(usage, usage_needs_two_readings);
	tcase_add_test(usage, usage_follows);
	tcase_add_test(usage, usage_after_a_pause);
	tcase_add_checked_fixture(xen, setup, teardown);
	tcase_set_timeout(xen, 120);
	tcase_add_test(xen, figures_of_the_module);
	tcase_add_loop_test(xen, figures_that_are_not_there, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(xen, gpu_of_the_module);
	tcase_add_test(xen, forked_child);
	suite_add_tcase(s, usage);
	suite_add_tcase(s, xen);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
