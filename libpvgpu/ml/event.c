/* SPDX-License-Identifier: MIT */
/* Events: a vGPU tells of none. Programs may still make a set and wait. */
#include "ml/ml.h"

#include <stdlib.h>
#include <time.h>

struct nvmlEventSet_st {
	int unused;
};

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
	const nvmlReturn_t r = ml_enter();

	if (r || !set)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	*set = calloc(1, sizeof(**set));
	return *set ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
	const nvmlReturn_t r = ml_enter();

	if (!r)
		free(set);
	return r;
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *types)
{
	const nvmlReturn_t r = ml_enter_device(device, types);

	if (!r)
		*types = 0;
	return r;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
				      nvmlEventSet_t set)
{
	const nvmlReturn_t r = ml_enter_device(device, set);

	if (r || !types)
		return r;
	return NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout_ms)
{
	const nvmlReturn_t r = ml_enter();
	struct timespec left = {.tv_sec = timeout_ms / 1000,
				.tv_nsec = timeout_ms % 1000 * 1000000L};

	if (r || !set || !data)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	while (nanosleep(&left, &left))
		;
	return NVML_ERROR_TIMEOUT;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout_ms)
{
	return nvmlEventSetWait_v2(set, data, timeout_ms);
}
