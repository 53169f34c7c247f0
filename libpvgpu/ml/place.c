/* SPDX-License-Identifier: MIT */
/* Where the vGPU is in its guest, and what a vGPU never has: no question to the backend. */
#include "ml/ml.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/link.h"

#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)

static nvmlReturn_t constant(nvmlDevice_t device, unsigned int *out, unsigned int value)
{
	const nvmlReturn_t r = ml_enter_device(device, out);

	if (!r)
		*out = value;
	return r;
}

/* That of /dev/pvgpuN. */
nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor)
{
	const char *path, *end;
	unsigned int n = 0;

	if (pvgpu_link_named(&path)) {
		end = path + strlen(path);
		while (end > path && isdigit((unsigned char)end[-1]))
			end--;
		n = (unsigned int)strtoul(end, NULL, 10);
	}
	return constant(device, minor, n);
}

/* The library numbers boards by their place on the bus. */
nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned int *id)
{
	nvmlPciInfo_t pci;
	nvmlReturn_t r = ml_enter_device(device, id);

	if (!r)
		r = nvmlDeviceGetPciInfo_v3(device, &pci);
	if (!r)
		*id = (pci.domain & 0xffff) << 16 | (pci.bus & 0xff) << 8 |
		      (pci.device & 0x1f) << 3;
	return r;
}

nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, unsigned int *is)
{
	return constant(device, is, 0);
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device, nvmlDevice_t other, int *same)
{
	const nvmlReturn_t r = ml_enter_device(device, other == device ? same : NULL);

	if (!r)
		*same = 1;
	return r;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device, nvmlDevice_t other,
						 unsigned int *level)
{
	return constant(device, other == device ? level : NULL, NVML_TOPOLOGY_INTERNAL);
}

nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, unsigned int *type)
{
	return constant(device, type, NVML_BUS_TYPE_PCIE);
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
	const nvmlReturn_t r = constant(device, pending ? current : NULL, NVML_FEATURE_DISABLED);

	if (!r)
		*pending = NVML_FEATURE_DISABLED;
	return r;
}

nvmlReturn_t nvmlDeviceGetAccountingMode(nvmlDevice_t device, unsigned int *mode)
{
	return constant(device, mode, NVML_FEATURE_DISABLED);
}

nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned int *count)
{
	return constant(device, count, 0);
}

/* No vGPU has these engines, so that they are idle. */
static nvmlReturn_t idle(nvmlDevice_t device, unsigned int *percent, unsigned int *period)
{
	const nvmlReturn_t r = constant(device, period ? percent : NULL, 0);

	if (!r)
		*period = 1000000;
	return r;
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *percent,
					     unsigned int *period)
{
	return idle(device, percent, period);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int *percent,
					     unsigned int *period)
{
	return idle(device, percent, period);
}

nvmlReturn_t nvmlDeviceGetJpgUtilization(nvmlDevice_t device, unsigned int *percent,
					 unsigned int *period)
{
	return idle(device, percent, period);
}

nvmlReturn_t nvmlDeviceGetOfaUtilization(nvmlDevice_t device, unsigned int *percent,
					 unsigned int *period)
{
	return idle(device, percent, period);
}

/* ---- affinity: no processor and no node of a guest is nearer to a vGPU than another ---- */

static nvmlReturn_t enter_set(nvmlDevice_t device, unsigned int words, unsigned long *set,
			      unsigned int scope)
{
	const nvmlReturn_t r = ml_enter_device(device, words ? set : NULL);

	if (r || scope > NVML_AFFINITY_SCOPE_SOCKET)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	memset(set, 0, words * sizeof(*set));
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int words,
						 unsigned long *set, unsigned int scope)
{
	const nvmlReturn_t r = enter_set(device, words, set, scope);
	const long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (size_t i = 0; !r && (long)i < cpus && i < words * WORD_BITS; i++)
		set[i / WORD_BITS] |= 1ul << (i % WORD_BITS);
	return r;
}

nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int words, unsigned long *set)
{
	return nvmlDeviceGetCpuAffinityWithinScope(device, words, set, NVML_AFFINITY_SCOPE_NODE);
}

nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int words,
					 unsigned long *set, unsigned int scope)
{
	const nvmlReturn_t r = enter_set(device, words, set, scope);
	char path[64];

	if (r)
		return r;
	for (size_t i = 0; i < words * WORD_BITS && i < 1024; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%zu", i);
		/* A kernel without NUMA has no such folders, and one node. */
		if (!i || !access(path, F_OK))
			set[i / WORD_BITS] |= 1ul << (i % WORD_BITS);
	}
	return NVML_SUCCESS;
}
