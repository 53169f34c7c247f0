/* SPDX-License-Identifier: MIT */
/* Values of the GPU that the vGPU shares, as gpu.c gets them. */
#include "ml/ml.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static nvmlReturn_t told(nvmlDevice_t device, const void *out, struct pvgpu_gpu_card *g)
{
	nvmlReturn_t r = ml_enter_device(device, out);

	if (r)
		return r;
	pthread_mutex_lock(&ml_lock);
	r = ml_gpu(g);
	pthread_mutex_unlock(&ml_lock);
	return r;
}

/* A number that may not be known. */
static nvmlReturn_t give(uint32_t value, unsigned int *out)
{
	if (value == UINT32_MAX)
		return NVML_ERROR_NOT_SUPPORTED;
	*out = value;
	return NVML_SUCCESS;
}

static nvmlReturn_t number(nvmlDevice_t device, unsigned int *out, size_t offset)
{
	struct pvgpu_gpu_card g;
	uint32_t value;
	const nvmlReturn_t r = told(device, out, &g);

	if (r)
		return r;
	memcpy(&value, (const char *)&g + offset, sizeof(value));
	return give(value, out);
}

#define NUMBER(call, field)                                                                        \
	nvmlReturn_t call(nvmlDevice_t device, unsigned int *out)                                  \
	{                                                                                          \
		return number(device, out, offsetof(struct pvgpu_gpu_card, field));                \
	}
NUMBER(nvmlDeviceGetBrand, brand)
NUMBER(nvmlDeviceGetNumGpuCores, cores)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, link_generation_max)
NUMBER(nvmlDeviceGetPcieLinkMaxSpeed, link_generation_max) /* its numbers are the generations */
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, link_generation_gpu)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, link_width_max)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, link_width)
NUMBER(nvmlDeviceGetDefaultEccMode, ecc_default)
NUMBER(nvmlDeviceGetPowerManagementLimit, power_limit)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, power_limit)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, power_limit_default)
NUMBER(nvmlDeviceGetPowerUsage, power)
NUMBER(nvmlDeviceGetPerformanceState, performance_state)
NUMBER(nvmlDeviceGetPowerState, performance_state)

nvmlReturn_t ml_gpu_ids(unsigned int *chip, unsigned int *board)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(&ml_device, chip, &g);

	if (r)
		return r;
	*chip = g.pci_device;
	*board = g.pci_subsystem;
	return NVML_SUCCESS;
}

/* ---- versions ---- */

static nvmlReturn_t driver(char text[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE])
{
	const size_t cap = NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE;
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(&ml_device, text, &g);

	if (r)
		return r;
	if (g.driver_major == UINT32_MAX || g.driver_minor == UINT32_MAX)
		return NVML_ERROR_NOT_SUPPORTED;
	if (g.driver_patch == UINT32_MAX)
		snprintf(text, cap, "%u.%u", g.driver_major, g.driver_minor);
	else
		snprintf(text, cap, "%u.%u.%02u", g.driver_major, g.driver_minor, g.driver_patch);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	char text[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
	nvmlReturn_t r = ml_enter();

	if (r || !version)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	r = driver(text);
	return r ? r : ml_give(version, length, text);
}

/* NVIDIA's library has CUDA's and the driver's version together. */
nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
	char text[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
	char all[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE + 16];
	nvmlReturn_t r = ml_enter();
	int cuda = 0;

	if (r || !version)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	r = nvmlSystemGetCudaDriverVersion_v2(&cuda);
	if (!r)
		r = driver(text);
	if (r)
		return r;
	snprintf(all, sizeof(all), "%d.%s", cuda / 1000, text);
	return ml_give(version, length, all);
}

/* ---- memory ---- */

/* A vGPU maps nothing through it. */
nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, memory, &g);

	if (r)
		return r;
	if (!g.bar1)
		return NVML_ERROR_NOT_SUPPORTED;
	*memory = (nvmlBAR1Memory_t){.bar1Total = g.bar1, .bar1Free = g.bar1};
	return NVML_SUCCESS;
}

/* A guest cannot change it: what is pending is what is. */
nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
	unsigned int mode = 0;
	const nvmlReturn_t r = number(device, current && pending ? &mode : NULL,
				      offsetof(struct pvgpu_gpu_card, ecc));

	if (!r)
		*current = *pending = mode;
	return r;
}

/* Corrected errors would tell a guest that makes bits flip how well it does. */
nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int error, int counter,
					 unsigned long long *count)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, count, &g);

	if (r)
		return r;
	if (error != NVML_MEMORY_ERROR_TYPE_UNCORRECTED || counter != NVML_VOLATILE_ECC ||
	    g.uncorrected == UINT64_MAX)
		return NVML_ERROR_NOT_SUPPORTED;
	*count = g.uncorrected;
	return NVML_SUCCESS;
}

/* ---- link ---- */

/* Where the pool hides it: that of a GPU with work. */
nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned int *out)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, out, &g);

	if (r)
		return r;
	return give(g.link_generation != UINT32_MAX ? g.link_generation : g.link_generation_max,
		    out);
}

nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, unsigned int *megabits)
{
	static const unsigned int speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
	unsigned int generation = 0;
	const nvmlReturn_t r =
		nvmlDeviceGetCurrPcieLinkGeneration(device, megabits ? &generation : NULL);

	if (r)
		return r;
	if (!generation || generation >= sizeof(speeds) / sizeof(speeds[0]))
		return NVML_ERROR_NOT_SUPPORTED;
	*megabits = speeds[generation];
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int direction,
					 unsigned int *kib)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, kib, &g);

	if (r)
		return r;
	if (direction > NVML_PCIE_RECEIVED)
		return NVML_ERROR_INVALID_ARGUMENT;
	return give(direction == NVML_PCIE_SENT ? g.sent : g.received, kib);
}

/* ---- sensors and settings ---- */

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor,
				      unsigned int *celsius)
{
	const nvmlReturn_t r =
		number(device, celsius, offsetof(struct pvgpu_gpu_card, temperature));

	if (r == NVML_ERROR_UNINITIALIZED || sensor == NVML_TEMPERATURE_GPU)
		return r;
	return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
	unsigned int celsius = 0;
	nvmlReturn_t r = ml_enter_device(device, temperature);

	if (!r && temperature->version != NVML_TEMPERATURE_V1)
		r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (!r)
		r = nvmlDeviceGetTemperature(device, temperature->sensorType, &celsius);
	if (!r)
		temperature->temperature = (int)celsius;
	return r;
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned int threshold,
					       unsigned int *celsius)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, celsius, &g);

	if (r)
		return r;
	switch (threshold) {
	case NVML_TEMPERATURE_SHUTDOWN:
		return give(g.temperature_shutdown, celsius);
	case NVML_TEMPERATURE_SLOWDOWN:
		return give(g.temperature_slowdown, celsius);
	}
	return NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, unsigned int *mode)
{
	unsigned int limit = 0;
	const nvmlReturn_t r = nvmlDeviceGetPowerManagementLimit(device, mode ? &limit : NULL);

	if (!r)
		*mode = NVML_FEATURE_ENABLED;
	return r;
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *least,
							  unsigned int *most)
{
	struct pvgpu_gpu_card g;
	nvmlReturn_t r = told(device, least && most ? least : NULL, &g);

	if (!r)
		r = give(g.power_limit_min, least);
	return r ? r : give(g.power_limit_max, most);
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned int *mode)
{
	unsigned int on = 0;
	const nvmlReturn_t r =
		number(device, mode ? &on : NULL, offsetof(struct pvgpu_gpu_card, persistence));

	if (!r)
		*mode = on == 1;
	return r;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned int clock, unsigned int *mhz)
{
	struct pvgpu_gpu_card g;
	const nvmlReturn_t r = told(device, mhz, &g);

	if (r)
		return r;
	switch (clock) {
	case NVML_CLOCK_GRAPHICS:
		return give(g.clock_graphics, mhz);
	case NVML_CLOCK_SM:
		return give(g.clock_sm, mhz);
	case NVML_CLOCK_MEM:
		return give(g.clock_memory, mhz);
	case NVML_CLOCK_VIDEO:
		return give(g.clock_video, mhz);
	}
	return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t ml_video_clock(nvmlDevice_t device, unsigned int *mhz)
{
	return number(device, mhz, offsetof(struct pvgpu_gpu_card, clock_video_max));
}

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned int clock, unsigned int id,
				unsigned int *mhz)
{
	enum { CURRENT = 0, BOOST_MAX = 3 };

	if (id == CURRENT)
		return nvmlDeviceGetClockInfo(device, clock, mhz);
	return id == BOOST_MAX ? nvmlDeviceGetMaxClockInfo(device, clock, mhz)
			       : (nvmlReturn_t)ml_refuse();
}

/* ---- fields ---- */

static const struct {
	unsigned int id;
	size_t offset;
} fields[] = {
	{1, offsetof(struct pvgpu_gpu_card, ecc)},
	{2, offsetof(struct pvgpu_gpu_card, ecc)},     /* pending */
	{185, offsetof(struct pvgpu_gpu_card, power)}, /* average */
	{186, offsetof(struct pvgpu_gpu_card, power)}, /* of the moment */
	{187, offsetof(struct pvgpu_gpu_card, power_limit_min)},
	{188, offsetof(struct pvgpu_gpu_card, power_limit_max)},
	{189, offsetof(struct pvgpu_gpu_card, power_limit_default)},
	{190, offsetof(struct pvgpu_gpu_card, power_limit)},
	{192, offsetof(struct pvgpu_gpu_card, power_limit)}, /* requested */
};

static nvmlReturn_t field(nvmlDevice_t device, nvmlFieldValue_t *f)
{
	struct timespec now;
	unsigned int value = 0;
	nvmlReturn_t r = NVML_ERROR_NOT_SUPPORTED;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].id == f->fieldId)
			r = number(device, &value, fields[i].offset);
	if (r)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	f->timestamp = now.tv_sec * 1000000ll + now.tv_nsec / 1000;
	f->latencyUsec = 0;
	f->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
	f->value = value;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
	const nvmlReturn_t r = ml_enter_device(device, values);

	if (r || count < 0)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	for (int i = 0; i < count; i++)
		values[i].nvmlReturn = field(device, &values[i]);
	return NVML_SUCCESS;
}
