/* SPDX-License-Identifier: MIT */
/* A vGPU in use: its memory, time, processes. */
#include "ml/ml.h"

#include <string.h>

static nvmlReturn_t figures(nvmlDevice_t device, const void *out, struct ml_figures *f)
{
	nvmlReturn_t r = ml_enter_device(device, out);

	if (r)
		return r;
	pthread_mutex_lock(&ml_lock);
	r = ml_figures(f);
	/* A vGPU without a limit of its own has the GPU's memory. */
	if (!r && !f->memory_limit && !ml_facts()->error)
		f->memory_limit = ml_facts()->memory;
	pthread_mutex_unlock(&ml_lock);
	return r;
}

static nvmlReturn_t memory_of(nvmlDevice_t device, const void *out, nvmlMemory_t *m)
{
	struct ml_figures f;
	const nvmlReturn_t r = figures(device, out, &f);

	if (r)
		return r;
	if (!f.used_known || !f.memory_limit)
		return NVML_ERROR_NOT_SUPPORTED;
	m->total = f.memory_limit;
	/* A limit may be lowered below what is in use. */
	m->used = f.memory_used < m->total ? f.memory_used : m->total;
	m->free = m->total - m->used;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	return memory_of(device, memory, memory);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
	nvmlReturn_t r = ml_enter_device(device, memory);
	nvmlMemory_t m;

	if (!r && memory->version != NVML_MEMORY_V2)
		r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (!r)
		r = memory_of(device, memory, &m);
	if (r)
		return r;
	memory->total = m.total;
	memory->reserved = 0; /* what the driver takes beside the programs' is part of the use */
	memory->free = m.free;
	memory->used = m.used;
	return NVML_SUCCESS;
}

/* The memory controller's part is not measured of a vGPU; the structure has no word for that. */
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)
{
	nvmlReturn_t r = ml_enter_device(device, rates);
	unsigned int percent;

	if (r)
		return r;
	r = ml_usage(&percent);
	if (!r)
		*rates = (nvmlUtilization_t){.gpu = percent};
	return r;
}

/* ---- processes ---- */

/* size: of an entry, whose layouts begin alike. */
static nvmlReturn_t processes(nvmlDevice_t device, unsigned int *count, void *infos, size_t size)
{
	struct ml_figures f;
	unsigned int room;
	nvmlReturn_t r = figures(device, count, &f);

	if (r)
		return r;
	if (!f.processes_known)
		return NVML_ERROR_NOT_SUPPORTED;
	room = *count;
	*count = f.processes;
	if (room < f.processes)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	if (f.processes && !infos)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (unsigned int i = 0; i < f.processes; i++) {
		const nvmlProcessInfo_t p = {.pid = f.process[i].pid,
					     .usedGpuMemory = f.process[i].memory,
					     .gpuInstanceId = NVML_NO_INSTANCE,
					     .computeInstanceId = NVML_NO_INSTANCE};

		memcpy((char *)infos + i * size, &p, size);
	}
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int *count,
						  nvmlProcessInfo_v1_t *infos)
{
	return processes(device, count, infos, sizeof(*infos));
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *count,
						     nvmlProcessInfo_t *infos)
{
	return processes(device, count, infos, sizeof(*infos));
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
						     nvmlProcessInfo_t *infos)
{
	return processes(device, count, infos, sizeof(*infos));
}

/* A vGPU draws nothing, and has no server of MPS. */
#define NO_PROCESSES(name)                                                                         \
	nvmlReturn_t name(nvmlDevice_t device, unsigned int *count, unsigned int *infos)           \
	{                                                                                          \
		const nvmlReturn_t r = ml_enter_device(device, count);                             \
                                                                                                   \
		if (!r)                                                                            \
			*count = 0;                                                                \
		return r;                                                                          \
	}

NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses)
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2)
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3)
