/* SPDX-License-Identifier: MIT */
/*
 * The simulated GPU's libnvidia-ml.so.1: reports processes, memory and errors like NVIDIA's, from
 * the accounts in the shared file (simgpu.h), which it only reads. The first process that uses the
 * GPU creates the file; before that the GPU is idle.
 *
 * As with NVIDIA's, GPU time comes in whole percents of sampling periods; a rounded-off rest is
 * added to the next percentage.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/simcuda/nvml/gpu.h"

#define SIM_EXPORT __attribute__((visibility("default")))

static unsigned int users;
static unsigned int device_n = 1;
static struct gpu gpus[GPUS_MAX];
static uint64_t sample_us = 50000; /* shortest sampling period: SIMCUDA_NVML_SAMPLE_MS */
static unsigned int look_ms = 10;  /* between two looks for an Xid: SIMCUDA_NVML_LOOK_MS */
static unsigned long long hang_at; /* SIMCUDA_NVML_FAULT */
static nvmlReturn_t init_fails;

struct nvmlEventSet_st {
	bool watched[GPUS_MAX];
	uint64_t seen[GPUS_MAX];
};

uint64_t nvml_setting(const char *name, uint64_t fallback, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t v = text && *text ? strtoull(text, NULL, 0) : fallback;

	return v && v <= max ? v : fallback;
}

/* init:CODE: nvmlInit fails with it; hang:N: the N-th query of processes' use never ends. */
static void read_fault(void)
{
	const char *text = getenv("SIMCUDA_NVML_FAULT");
	int code;

	if (!text || !*text)
		return;
	if (sscanf(text, "init:%d", &code) == 1) {
		init_fails = (nvmlReturn_t)code;
	} else if (sscanf(text, "hang:%llu", &hang_at) != 1) {
		fprintf(stderr, "simcuda: SIMCUDA_NVML_FAULT: \"%s\" is not understood\n", text);
		_exit(2);
	}
}

SIM_EXPORT nvmlReturn_t nvmlInit_v2(void)
{
	if (users++)
		return NVML_SUCCESS;
	read_fault();
	device_n = (unsigned int)nvml_setting("SIMCUDA_DEVICES", 1, GPUS_MAX);
	sample_us = nvml_setting("SIMCUDA_NVML_SAMPLE_MS", 50, 60000) * 1000;
	look_ms = (unsigned int)nvml_setting("SIMCUDA_NVML_LOOK_MS", 10, 999);
	for (unsigned int i = 0; i < device_n; i++)
		gpu_init(&gpus[i], i);
	if (init_fails)
		users--;
	return init_fails;
}

SIM_EXPORT nvmlReturn_t nvmlShutdown(void)
{
	if (!users)
		return NVML_ERROR_UNINITIALIZED;
	if (--users == 0)
		for (unsigned int i = 0; i < device_n; i++)
			gpu_close(&gpus[i]);
	return NVML_SUCCESS;
}

static nvmlReturn_t put(const char *text, char *out, unsigned int length)
{
	if (!out)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (strlen(text) >= length)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	strcpy(out, text);
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	return users ? put("580.65.06", version, length) : NVML_ERROR_UNINITIALIZED;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
	if (!users)
		return NVML_ERROR_UNINITIALIZED;
	if (!count)
		return NVML_ERROR_INVALID_ARGUMENT;
	*count = device_n;
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	if (!users)
		return NVML_ERROR_UNINITIALIZED;
	if (index >= device_n || !device)
		return NVML_ERROR_INVALID_ARGUMENT;
	*device = (nvmlDevice_t)(void *)&gpus[index];
	return NVML_SUCCESS;
}

struct gpu *nvml_gpu(nvmlDevice_t device)
{
	for (unsigned int i = 0; users && i < device_n; i++)
		if ((void *)device == (void *)&gpus[i])
			return &gpus[i];
	return NULL;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
	return nvml_gpu(device) ? put("pvgpu simulated GPU", name, length)
				: NVML_ERROR_INVALID_ARGUMENT;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
	struct gpu *g = nvml_gpu(device);
	char text[SIMGPU_UUID];

	if (!g)
		return NVML_ERROR_INVALID_ARGUMENT;
	simgpu_uuid_text(g->path, text);
	return put(text, uuid, length);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	struct gpu *g = nvml_gpu(device);

	if (!g || !memory)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (!gpu_look(g))
		return NVML_ERROR_NOT_SUPPORTED; /* the first process sets the size */
	memory->total = g->map->memory;
	memory->used = gpu_memory_used(g);
	memory->free =
		memory->total - (memory->used < memory->total ? memory->used : memory->total);
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
								unsigned int *count,
								nvmlProcessInfo_t *infos)
{
	struct gpu *g = nvml_gpu(device);
	unsigned int n = 0, room;
	bool there;

	if (!g || !count || (*count && !infos))
		return NVML_ERROR_INVALID_ARGUMENT;
	room = *count;
	there = gpu_look(g);
	for (unsigned int i = 0; there && i < SIMGPU_SLOTS; i++) {
		const struct simgpu_process *p = &g->map->slot[i];

		if (!simgpu_alive(p))
			continue;
		if (n < room)
			infos[n] = (nvmlProcessInfo_t){.pid = p->pid,
						       .usedGpuMemory = simgpu_load64(&p->memory),
						       .gpuInstanceId = UINT32_MAX,
						       .computeInstanceId = UINT32_MAX};
		n++;
	}
	*count = n;
	return n > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

static void maybe_hang(void)
{
	static unsigned long long calls;
	const struct timespec t = {3600, 0};

	while (++calls == hang_at || (hang_at && calls > hang_at))
		nanosleep(&t, NULL);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
							nvmlProcessUtilizationSample_t *samples,
							unsigned int *count,
							unsigned long long last_seen)
{
	struct gpu *g = nvml_gpu(device);
	unsigned int n = 0, room;

	if (!g || !count)
		return NVML_ERROR_INVALID_ARGUMENT;
	maybe_hang();
	room = samples ? *count : 0;
	gpu_sample(g, sample_us);
	for (unsigned int i = 0; i < SIMGPU_SLOTS; i++) {
		const nvmlProcessUtilizationSample_t *u = &g->seen[i].sample;

		if (!u->pid || u->timeStamp <= last_seen)
			continue;
		if (n < room)
			samples[n] = *u;
		n++;
	}
	*count = n;
	if (!n)
		return NVML_ERROR_NOT_FOUND;
	return n > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
	if (!users)
		return NVML_ERROR_UNINITIALIZED;
	if (!set)
		return NVML_ERROR_INVALID_ARGUMENT;
	*set = calloc(1, sizeof(**set));
	return *set ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

SIM_EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
	free(set);
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device,
							 unsigned long long *types)
{
	if (!nvml_gpu(device) || !types)
		return NVML_ERROR_INVALID_ARGUMENT;
	*types = nvmlEventTypeXidCriticalError;
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
						 nvmlEventSet_t set)
{
	struct gpu *g = nvml_gpu(device);

	if (!g || !set)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (types != nvmlEventTypeXidCriticalError)
		return NVML_ERROR_NOT_SUPPORTED;
	set->watched[g->index] = true;
	set->seen[g->index] = gpu_xids(g);
	return NVML_SUCCESS;
}

static bool take_event(nvmlEventSet_t set, struct gpu *g, nvmlEventData_t *data)
{
	uint64_t n = gpu_xids(g), *seen = &set->seen[g->index];

	if (*seen > n)
		*seen = 0; /* another file */
	if (*seen == n)
		return false;
	if (n - *seen > SIMGPU_XIDS)
		*seen = n - SIMGPU_XIDS;
	*data = (nvmlEventData_t){
		.device = (nvmlDevice_t)(void *)g,
		.eventType = nvmlEventTypeXidCriticalError,
		.eventData = (uint32_t)simgpu_load64(&g->map->xid[(*seen)++ % SIMGPU_XIDS]),
		.gpuInstanceId = UINT32_MAX,
		.computeInstanceId = UINT32_MAX,
	};
	return true;
}

SIM_EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
					    unsigned int timeout_ms)
{
	if (!set || !data)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (;;) {
		unsigned int ms = timeout_ms < look_ms ? timeout_ms : look_ms;
		const struct timespec t = {0, (long)ms * 1000000};

		for (unsigned int i = 0; i < device_n; i++)
			if (set->watched[i] && take_event(set, &gpus[i], data))
				return NVML_SUCCESS;
		if (!timeout_ms)
			return NVML_ERROR_TIMEOUT;
		nanosleep(&t, NULL);
		timeout_ms -= ms;
	}
}
