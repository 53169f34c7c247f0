/* SPDX-License-Identifier: MIT */
/* health/sample.c: rounds from a library that the test plays. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/health/sample.h"

#define FACT_PARTS ((sizeof(struct pvgpu_gpu_card) + HEALTH_PART - 1) / HEALTH_PART)

static struct nvml nvml;
static struct sample s;
static nvmlProcessUtilizationSample_t use[8];
static unsigned int use_n;
static nvmlProcessInfo_t info[8];
static unsigned int info_n;
static unsigned long long asked_since;
static nvmlReturn_t broken;
static nvmlEventData_t event;

static uint64_t realtime_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static nvmlReturn_t handle(unsigned int i, nvmlDevice_t *d)
{
	*d = (nvmlDevice_t)(uintptr_t)(i + 1);
	return NVML_SUCCESS;
}

static nvmlReturn_t name(nvmlDevice_t d, char *out, unsigned int n)
{
	return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t uuid(nvmlDevice_t d, char *out, unsigned int n)
{
	snprintf(out, n, "GPU-%036d", 7);
	return NVML_SUCCESS;
}

static nvmlReturn_t memory(nvmlDevice_t d, nvmlMemory_t *m)
{
	*m = (nvmlMemory_t){.total = 100, .used = 40};
	return broken;
}

static nvmlReturn_t running(nvmlDevice_t d, unsigned int *n, nvmlProcessInfo_t *out)
{
	for (unsigned int i = 0; i < info_n; i++)
		out[i] = info[i];
	*n = info_n;
	return NVML_SUCCESS;
}

static nvmlReturn_t used(nvmlDevice_t d, nvmlProcessUtilizationSample_t *out, unsigned int *n,
			 unsigned long long since)
{
	asked_since = since;
	for (unsigned int i = 0; i < use_n; i++)
		out[i] = use[i];
	*n = use_n;
	return use_n ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t set_create(nvmlEventSet_t *set)
{
	*set = (nvmlEventSet_t)(uintptr_t)1;
	return NVML_SUCCESS;
}

static nvmlReturn_t types(nvmlDevice_t d, unsigned long long *t)
{
	*t = nvmlEventTypeXidCriticalError | 1;
	return NVML_SUCCESS;
}

static nvmlReturn_t registered(nvmlDevice_t d, unsigned long long t, nvmlEventSet_t set)
{
	return t == nvmlEventTypeXidCriticalError ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

static nvmlReturn_t wait_event(nvmlEventSet_t set, nvmlEventData_t *e, unsigned int ms)
{
	*e = event;
	return event.eventType ? NVML_SUCCESS : NVML_ERROR_TIMEOUT;
}

static void set_up(void)
{
	char reason[100];

	nvml = (struct nvml){.nvmlDeviceGetHandleByIndex_v2 = handle,
			     .nvmlDeviceGetName = name,
			     .nvmlDeviceGetUUID = uuid,
			     .nvmlDeviceGetMemoryInfo = memory,
			     .nvmlDeviceGetComputeRunningProcesses_v3 = running,
			     .nvmlDeviceGetProcessUtilization = used,
			     .nvmlEventSetCreate = set_create,
			     .nvmlDeviceGetSupportedEventTypes = types,
			     .nvmlDeviceRegisterEvents = registered,
			     .nvmlEventSetWait_v2 = wait_event,
			     .device_n = 1};
	use_n = info_n = 0;
	broken = NVML_SUCCESS;
	event = (nvmlEventData_t){0};
	ck_assert_int_eq(sample_open(&s, &nvml, reason, sizeof(reason)), 0);
	ck_assert_uint_eq(s.out_n, 1);
	ck_assert_uint_eq(s.out[0].kind, HEALTH_GPU);
	ck_assert_int_eq(strncmp(s.out[0].text, "GPU-000000000000000000000000000000000007", 40), 0);
}

static const struct health_msg *of(uint32_t pid)
{
	for (unsigned int i = 0; i < s.out_n; i++)
		if (s.out[i].kind == HEALTH_PROCESS && s.out[i].pid == pid)
			return &s.out[i];
	return NULL;
}

static nvmlReturn_t temperature(nvmlDevice_t d, unsigned int sensor, unsigned int *celsius)
{
	*celsius = 55;
	return NVML_SUCCESS;
}

static unsigned int lanes_asked;

static nvmlReturn_t lanes(nvmlDevice_t d, unsigned int *out)
{
	lanes_asked++;
	*out = 8;
	return NVML_SUCCESS;
}

static nvmlReturn_t power(nvmlDevice_t d, unsigned int *milliwatts)
{
	return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t ecc(nvmlDevice_t d, int error, int counter, unsigned long long *count)
{
	*count = error == NVML_MEMORY_ERROR_TYPE_CORRECTED ? 7 : 8;
	return NVML_SUCCESS;
}

/* Sensors: those that the library has and the GPU knows; not in each round. */
START_TEST(sensors)
{
	const struct health_msg *m = &s.out[1];

	nvml.nvmlDeviceGetTemperature = temperature;
	nvml.nvmlDeviceGetPowerUsage = power;
	nvml.nvmlDeviceGetTotalEccErrors = ecc;
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(m->kind, HEALTH_STATE);
	ck_assert_uint_eq(m->state.celsius, 55);
	ck_assert_uint_eq(m->state.milliwatts, UINT32_MAX);
	ck_assert_uint_eq(m->state.sm_mhz, UINT32_MAX);
	ck_assert_uint_eq(m->state.corrected, 7);
	ck_assert_uint_eq(m->state.uncorrected, 8);
	for (unsigned int i = 1; i < 10; i++) {
		ck_assert_int_eq(sample_round(&s), 0);
		ck_assert_uint_ne(s.out[1].kind, HEALTH_STATE);
	}
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(s.out[1].kind, HEALTH_STATE);
}
END_TEST

/* The GPU's description comes in parts, in the first two rounds: pvgpud gets none of the first.
 * Values of other records are asked for once. */
START_TEST(facts)
{
	struct pvgpu_gpu_card gpu;
	unsigned int parts = 0;

	lanes_asked = 0;
	nvml.nvmlDeviceGetTemperature = temperature;
	nvml.nvmlDeviceGetCurrPcieLinkWidth = lanes;
	strcpy(nvml.driver, "535.104.05");
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(sample_round(&s), 0);
		parts = 0;
		for (unsigned int i = 0; i < s.out_n; i++) {
			const struct health_msg *m = &s.out[i];
			const size_t left = sizeof(gpu) - m->code;

			if (m->kind != HEALTH_FACTS)
				continue;
			ck_assert_uint_eq(m->code, parts++ * HEALTH_PART);
			memcpy((char *)&gpu + m->code, m->part,
			       left < HEALTH_PART ? left : HEALTH_PART);
		}
		ck_assert_uint_eq(parts, FACT_PARTS);
		ck_assert_uint_eq(gpu.driver_major, 535);
		ck_assert_uint_eq(gpu.driver_patch, 5);
		ck_assert_uint_eq(gpu.temperature, 55);
		ck_assert_uint_eq(gpu.power, UINT32_MAX);
		ck_assert_uint_eq(gpu.link_width, 8);
		ck_assert_uint_eq(gpu.bar1, 0);
	}
	ck_assert_int_eq(sample_round(&s), 0);
	for (unsigned int i = 0; i < s.out_n; i++)
		ck_assert_uint_ne(s.out[i].kind, HEALTH_FACTS);
	ck_assert_uint_eq(lanes_asked, 1);
}
END_TEST

START_TEST(a_round)
{
	const struct health_msg *m;
	uint64_t now = realtime_us();

	info_n = 2;
	info[0] = (nvmlProcessInfo_t){.pid = 5, .usedGpuMemory = 77};
	info[1] = (nvmlProcessInfo_t){.pid = 6, .usedGpuMemory = NVML_VALUE_NOT_AVAILABLE};
	use_n = 1;
	use[0] =
		(nvmlProcessUtilizationSample_t){.pid = 5, .timeStamp = now - 300000, .smUtil = 90};
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(s.out_n, 6 + FACT_PARTS);
	ck_assert_uint_eq(s.out[0].kind, HEALTH_DEVICE);
	ck_assert_uint_eq(s.out[0].device_memory.used, 40);
	ck_assert_uint_eq(s.out[1].kind, HEALTH_STATE);
	/* A driver that has none of the calls for it. */
	ck_assert_uint_eq(s.out[2].kind, HEALTH_PCIE);
	ck_assert_uint_eq(s.out[2].pcie.width, UINT32_MAX);
	ck_assert_uint_eq(s.out[2].pcie.sent, HEALTH_UNKNOWN);
	ck_assert_uint_eq(s.out[5 + FACT_PARTS].kind, HEALTH_ROUND);
	ck_assert_uint_eq(of(5)->process.memory, 77);
	ck_assert_uint_eq(of(6)->process.memory, HEALTH_UNKNOWN);
	/* The first sample has no beginning. */
	ck_assert_uint_eq(of(5)->process.end_ns, 0);

	use[0] = (nvmlProcessUtilizationSample_t){
		.pid = 5, .timeStamp = now - 100000, .smUtil = 20, .memUtil = 3};
	use[1] =
		(nvmlProcessUtilizationSample_t){.pid = 5, .timeStamp = now - 200000, .smUtil = 50};
	use_n = 2;
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(asked_since, now - 300000);
	m = of(5);
	ck_assert_uint_eq(m->process.busy_ns, 70000000);
	ck_assert_uint_eq(m->process.memory_ns, 3000000);
	ck_assert_uint_le(m->process.end_ns, m->at_ns);
	ck_assert_uint_ge(m->process.end_ns - m->process.begin_ns, 199000000);
	ck_assert_uint_le(m->process.end_ns - m->process.begin_ns, 201000000);

	/* A repeated sample adds nothing. */
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(of(5)->process.end_ns, 0);
	info_n = use_n = 0;
	ck_assert_int_eq(sample_round(&s), 0);
	ck_assert_uint_eq(s.out_n, 2);
}
END_TEST

static uint64_t clock_us;

/* Let the driver take a sample; false: it has none of either process. */
static void period(uint64_t us, unsigned int five, unsigned int six)
{
	clock_us += us;
	use_n = 0;
	if (five)
		use[use_n++] = (nvmlProcessUtilizationSample_t){
			.pid = 5, .timeStamp = clock_us, .smUtil = five};
	if (six)
		use[use_n++] = (nvmlProcessUtilizationSample_t){
			.pid = 6, .timeStamp = clock_us + 300, .smUtil = six};
	sample_round(&s);
}

static uint64_t busy_ms(uint32_t pid)
{
	return (of(pid)->process.busy_ns + 500000) / 1000000;
}

/* A process has no sample for a period in which it did nothing. */
START_TEST(after_a_pause)
{
	const uint64_t p = 334000;

	info_n = 2;
	info[0].pid = 5;
	info[1].pid = 6;
	clock_us = realtime_us() - 30 * p;
	period(p, 100, 100);
	period(p, 50, 50);
	ck_assert_uint_eq(busy_ms(5), 167);
	ck_assert_uint_eq(busy_ms(6), 167);
	/* Another process has samples, which show how long a period is. */
	period(p, 0, 100);
	period(p, 0, 100);
	ck_assert_uint_eq(busy_ms(6), 334);
	period(p, 50, 50);
	ck_assert_uint_eq(busy_ms(5), 167);
	ck_assert_uint_eq(busy_ms(6), 167);
	/* No process has samples: the gap counts as the shortest period that NVIDIA documents. */
	period(p, 0, 0);
	period(p, 100, 0);
	ck_assert_uint_eq(busy_ms(5), 166);
	ck_assert_uint_le(of(5)->process.end_ns - of(5)->process.begin_ns, 166000000);
	period(p, 100, 100);
	ck_assert_uint_eq(busy_ms(5), 334);
	ck_assert_uint_eq(busy_ms(6), 334);
	/* Asked late, without a sample in between: there may have been more use, and it counts. */
	period(2 * p, 50, 0);
	ck_assert_uint_eq(busy_ms(5), 334);
	period(40 * p, 100, 0);
	ck_assert_uint_eq(busy_ms(5), 166);
}
END_TEST

/* Each second, and asked ten times as often. */
START_TEST(slow_driver)
{
	info_n = 1;
	info[0].pid = 5;
	clock_us = realtime_us() - 20000000;
	for (unsigned int i = 0; i < 10; i++) {
		/* Stamps are not exact. */
		for (unsigned int k = 0; k < 9; k++)
			period(0, 0, 0);
		period(1000000 + i % 2 * 90000, 40, 0);
		if (i > 1)
			ck_assert_uint_eq(busy_ms(5), i % 2 ? 436 : 400);
	}
}
END_TEST

/* Time that no sample covers is charged to no process. */
START_TEST(long_ago)
{
	uint64_t now = realtime_us();

	use_n = 1;
	use[0] = (nvmlProcessUtilizationSample_t){.pid = 5, .timeStamp = now - 9000000};
	sample_round(&s);
	info_n = 1;
	info[0].pid = 5;
	use[0] = (nvmlProcessUtilizationSample_t){.pid = 5, .timeStamp = now, .smUtil = 200};
	sample_round(&s);
	ck_assert_uint_eq(of(5)->process.busy_ns, 166000000);
	ck_assert_uint_le(of(5)->process.end_ns - of(5)->process.begin_ns, 166000000);
}
END_TEST

START_TEST(events)
{
	ck_assert(!sample_wait(&s, 0));
	event = (nvmlEventData_t){.device = (nvmlDevice_t)(uintptr_t)1,
				  .eventType = nvmlEventTypeXidCriticalError,
				  .eventData = 79};
	ck_assert(sample_wait(&s, 0));
	ck_assert_uint_eq(s.out_n, 1);
	ck_assert_uint_eq(s.out[0].kind, HEALTH_XID);
	ck_assert_uint_eq(s.out[0].code, 79);
	ck_assert_uint_eq(s.out[0].device, 0);
}
END_TEST

START_TEST(gpu_is_lost)
{
	broken = NVML_ERROR_GPU_IS_LOST;
	ck_assert_int_eq(sample_round(&s), -1);
	ck_assert_int_eq(s.why, NVML_ERROR_GPU_IS_LOST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health_sample");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, sensors);
	tcase_add_test(tc, facts);
	tcase_add_test(tc, a_round);
	tcase_add_test(tc, after_a_pause);
	tcase_add_test(tc, slow_driver);
	tcase_add_test(tc, long_ago);
	tcase_add_test(tc, events);
	tcase_add_test(tc, gpu_is_lost);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
