/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/health/nvml.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

#include "xen-pvgpu-back/contract/health.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int nvml_load(struct nvml *n, const char *library, char *reason, size_t cap)
{
	const struct {
		const char *name;
		void **call;
		bool optional;
	} calls[] = {
#define NVML_PLACE(name, parameters) {#name, (void **)(void *)&n->name, false},
		NVML_CALLS(NVML_PLACE)
#undef NVML_PLACE
#define NVML_PLACE(name, parameters) {#name, (void **)(void *)&n->name, true},
			NVML_OPTIONAL_CALLS(NVML_PLACE)
#undef NVML_PLACE
	};
	void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!so) {
		snprintf(reason, cap, "%s", dlerror());
		return -1;
	}
	for (size_t i = 0; i < COUNT(calls); i++) {
		*calls[i].call = dlsym(so, calls[i].name);
		if (*calls[i].call || calls[i].optional)
			continue;
		snprintf(reason, cap, "%s has no function %s: it is too old", library,
			 calls[i].name);
		return -1;
	}
	return 0;
}

const char *nvml_text(nvmlReturn_t r)
{
	static const struct {
		nvmlReturn_t code;
		const char *text;
	} names[] = {
		{NVML_ERROR_UNINITIALIZED, "not initialised"},
		{NVML_ERROR_INVALID_ARGUMENT, "invalid argument"},
		{NVML_ERROR_NOT_SUPPORTED, "not supported"},
		{NVML_ERROR_NO_PERMISSION, "no permission"},
		{NVML_ERROR_NOT_FOUND, "not found"},
		{NVML_ERROR_INSUFFICIENT_SIZE, "insufficient size"},
		{NVML_ERROR_DRIVER_NOT_LOADED, "driver not loaded"},
		{NVML_ERROR_TIMEOUT, "timeout"},
		{NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
		{NVML_ERROR_RESET_REQUIRED, "GPU needs a reset"},
		{NVML_ERROR_UNKNOWN, "unknown error"},
	};
	static char number[32];

	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].code == r)
			return names[i].text;
	snprintf(number, sizeof(number), "NVML error %d", (int)r);
	return number;
}

int nvml_start(struct nvml *n, char *reason, size_t cap)
{
	const char *call = "nvmlInit";
	nvmlReturn_t r = n->nvmlInit_v2();

	if (r == NVML_SUCCESS) {
		call = "nvmlDeviceGetCount";
		r = n->nvmlDeviceGetCount_v2(&n->device_n);
	}
	if (r != NVML_SUCCESS) {
		snprintf(reason, cap, "%s: %s", call, nvml_text(r));
		return -1;
	}
	if (n->device_n > HEALTH_DEVICES)
		n->device_n = HEALTH_DEVICES;
	if (n->nvmlSystemGetDriverVersion(n->driver, sizeof(n->driver)) != NVML_SUCCESS)
		n->driver[0] = '\0';
	return 0;
}
