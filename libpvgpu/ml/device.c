/* SPDX-License-Identifier: MIT */
/* A fixed description of the device: from the session that facts.c had. */
#include "ml/ml.h"

#include <stdio.h>
#include <string.h>

#include "cuda.h"

/* The facts, or why there are none. */
static nvmlReturn_t known(nvmlDevice_t device, const void *out, const struct ml_facts **facts)
{
	const nvmlReturn_t r = ml_enter_device(device, out);

	if (r)
		return r;
	/* Once known they do not change. */
	pthread_mutex_lock(&ml_lock);
	*facts = ml_facts();
	pthread_mutex_unlock(&ml_lock);
	return (*facts)->error;
}

static nvmlReturn_t attribute(nvmlDevice_t device, int attr, unsigned int divide, unsigned int *out)
{
	const struct ml_facts *f;
	const nvmlReturn_t r = known(device, out, &f);

	if (r)
		return r;
	if (f->attr[attr] < 0)
		return NVML_ERROR_NOT_SUPPORTED;
	*out = (unsigned int)f->attr[attr] / divide;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
	const nvmlReturn_t r = ml_enter_device(device, index);

	if (!r)
		*index = 0;
	return r;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
	const struct ml_facts *f;
	const nvmlReturn_t r = known(device, name, &f);

	return r ? r : ml_give(name, length, f->name);
}

/* The one that CUDA shows, as nvmlDeviceGetHandleByUUID() and CUDA_VISIBLE_DEVICES take it. */
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
	const struct ml_facts *f;
	const nvmlReturn_t r = known(device, uuid, &f);
	char text[48] = "GPU-";
	size_t n = strlen(text);

	if (r)
		return r;
	for (unsigned int i = 0; i < sizeof(f->uuid); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%02x",
				      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", f->uuid[i]);
	return ml_give(uuid, length, text);
}

static nvmlReturn_t pci(nvmlDevice_t device, void *out, nvmlPciInfo_t *info)
{
	const struct ml_facts *f;
	const nvmlReturn_t r = known(device, out, &f);

	memset(info, 0, sizeof(*info));
	if (r)
		return r;
	if (sscanf(f->bus_id, "%x:%x:%x", &info->domain, &info->bus, &info->device) != 3)
		return NVML_ERROR_NOT_SUPPORTED;
	snprintf(info->busIdLegacy, sizeof(info->busIdLegacy), "%04X:%02X:%02X.0",
		 info->domain & 0xffff, info->bus & 0xff, info->device & 0xff);
	snprintf(info->busId, sizeof(info->busId), "%08X:%02X:%02X.0", info->domain,
		 info->bus & 0xff, info->device & 0xff);
	/* They stay 0 where nobody knows them. */
	ml_gpu_ids(&info->pciDeviceId, &info->pciSubSystemId);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *out)
{
	nvmlPciInfo_t info;
	const nvmlReturn_t r = pci(device, out, &info);

	if (!r)
		*out = info;
	return r;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *out)
{
	nvmlPciInfo_t info;
	const nvmlReturn_t r = pci(device, out, &info);

	if (!r) {
		memcpy(out, &info, offsetof(nvmlPciInfo_t, busId));
		memset((char *)out + offsetof(nvmlPciInfo_t, busId), 0, 16);
	}
	return r;
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *out)
{
	nvmlPciInfo_t info;
	const nvmlReturn_t r = pci(device, out, &info);

	if (!r)
		memcpy(out, &info, offsetof(nvmlPciInfo_t, pciSubSystemId));
	return r;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
	unsigned int a = 0, b = 0;
	nvmlReturn_t r;

	if (!minor || !major)
		return ml_enter() ? NVML_ERROR_UNINITIALIZED : NVML_ERROR_INVALID_ARGUMENT;
	r = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 1, &a);
	if (!r)
		r = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 1, &b);
	if (r)
		return r;
	*major = (int)a;
	*minor = (int)b;
	return NVML_SUCCESS;
}

/* NVML's number of the architecture with this compute capability; 0: none that is known. */
static unsigned int architecture(int major, int minor)
{
	switch (major) {
	case 3:
	case 5:
	case 6:
		return major == 3 ? 2 : (unsigned int)major - 2;
	case 7:
		return minor < 5 ? 5 : 6;
	case 8:
		return minor < 9 ? 7 : 8;
	case 9:
		return 9;
	case 10:
	case 11:
	case 12:
		return 10;
	}
	return 0;
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned int *out)
{
	int major = 0, minor = 0;
	nvmlReturn_t r = ml_enter_device(device, out);

	if (!r)
		r = nvmlDeviceGetCudaComputeCapability(device, &major, &minor);
	if (r)
		return r;
	*out = architecture(major, minor);
	return *out ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned int clock, unsigned int *mhz)
{
	switch (clock) {
	case NVML_CLOCK_GRAPHICS:
	case NVML_CLOCK_SM:
		return attribute(device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000, mhz);
	case NVML_CLOCK_MEM:
		return attribute(device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000, mhz);
	case NVML_CLOCK_VIDEO:
		return ml_video_clock(device, mhz);
	}
	return (nvmlReturn_t)ml_refuse();
}

nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned int *bits)
{
	return attribute(device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 1, bits);
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, unsigned int *mode)
{
	return attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 1, mode);
}

/* A vGPU has no display and is no part of a divided GPU. */
static nvmlReturn_t none(nvmlDevice_t device, unsigned int *out)
{
	const nvmlReturn_t r = ml_enter_device(device, out);

	if (!r)
		*out = NVML_FEATURE_DISABLED;
	return r;
}

nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t device, unsigned int *on)
{
	return none(device, on);
}

nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, unsigned int *on)
{
	return none(device, on);
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is)
{
	return none(device, is);
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
	return none(device, count);
}
