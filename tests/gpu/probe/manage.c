/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/manage.h"

#include <stdio.h>
#include <string.h>

#include "tests/gpu/probe/core.h"

static struct nvml nvml;

struct nvml *manage_open(char *reason, size_t cap)
{
	static bool open;

	if (!*opt.libnvml) {
		snprintf(reason, cap, "left out");
		return NULL;
	}
	say_note("dlopen of libnvidia-ml");
	if (!open && nvml_load(&nvml, opt.libnvml, reason, cap) < 0)
		return NULL;
	say_note("nvmlInit_v2");
	open = open || !nvml_start(&nvml, reason, cap);
	return open ? &nvml : NULL;
}

bool manage_did(const char *call, nvmlReturn_t r)
{
	if (r != NVML_SUCCESS)
		say_failed(call, (int)r);
	return r == NVML_SUCCESS;
}

static bool same_uuid(const char *text, const CUuuid *uuid)
{
	char hex[33] = "";
	size_t n = 0;

	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)uuid->bytes[i]);
	if (strncmp(text, "GPU-", 4))
		return false;
	for (size_t i = 4; text[i]; i++)
		if (text[i] != '-' && (n >= 32 || text[i] != hex[n++]))
			return false;
	return n == 32;
}

bool manage_device(const CUuuid *uuid, nvmlDevice_t *device, int *index)
{
	char text[NVML_DEVICE_UUID_BUFFER_SIZE];

	for (unsigned int i = 0; uuid && i < nvml.device_n; i++) {
		*index = (int)i;
		if (manage_did("nvmlDeviceGetHandleByIndex_v2",
			       nvml.nvmlDeviceGetHandleByIndex_v2(i, device)) &&
		    manage_did("nvmlDeviceGetUUID",
			       nvml.nvmlDeviceGetUUID(*device, text, sizeof(text))) &&
		    same_uuid(text, uuid))
			return true;
	}
	*index = -1;
	return nvml.device_n && manage_did("nvmlDeviceGetHandleByIndex_v2",
					   nvml.nvmlDeviceGetHandleByIndex_v2(0, device));
}

unsigned int manage_processes(nvmlDevice_t device, nvmlProcessInfo_t *at)
{
	unsigned int n = MANAGE_PROCESSES;

	say_note("nvmlDeviceGetComputeRunningProcesses_v3");
	if (!manage_did("nvmlDeviceGetComputeRunningProcesses_v3",
			nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, at)))
		return 0;
	return n < MANAGE_PROCESSES ? n : MANAGE_PROCESSES;
}
