/* SPDX-License-Identifier: MIT */
/* NVML, loaded at run time from the path or name in the configuration. */
#ifndef PVGPU_HEALTH_NVML_H
#define PVGPU_HEALTH_NVML_H

#include <stddef.h>

#include "nvml/nvml.h"

struct nvml {
#define NVML_MEMBER(name, parameters) nvmlReturn_t(*name) parameters;
	NVML_CALLS(NVML_MEMBER)
	NVML_OPTIONAL_CALLS(NVML_MEMBER) /* NULL: the library has none */
#undef NVML_MEMBER
	unsigned int device_n;
	char driver[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
};

/* 0, or -1 with a reason for the log. */
int nvml_load(struct nvml *n, const char *library, char *reason, size_t cap);
int nvml_start(struct nvml *n, char *reason, size_t cap);
/* "driver not loaded", or "NVML error N" for a code without a text. */
const char *nvml_text(nvmlReturn_t r);

#endif
