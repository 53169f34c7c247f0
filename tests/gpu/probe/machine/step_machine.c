/* SPDX-License-Identifier: MIT */
/* 1: the machine: kernel, driver, device, management library. */
#include <stdio.h>
#include <string.h>

#include "pvgpu_wire.h"
#include "tests/gpu/probe/machine/machine.h"
#include "xen-pvgpu-back/worker/far.h"

static void say_symbols(void)
{
	static const char *const needed[] = {
#define NAME(name) #name,
		FAR_NEEDED(NAME)};
	static const char *const optional[] = {FAR_OPTIONAL(NAME)};
#undef NAME
	char lacks[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!cuda_symbol(needed[i]) && n < sizeof(lacks) - 64)
			n += (size_t)snprintf(lacks + n, sizeof(lacks) - n, "%s ", needed[i]);
	verdict(ASSUME_far_symbols, !n, "%s%s", n ? "lacks " : "all are there", lacks);
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (!cuda_symbol(optional[i]))
			say_failed(optional[i], -1);
}

/* A value, or -1. */
static int attribute(CUdevice dev, int which)
{
	int value = -1;

	return CU(cuDeviceGetAttribute, &value, (CUdevice_attribute)which, dev) == CUDA_SUCCESS
		       ? value
		       : -1;
}

static void wants(enum assumption a, CUdevice dev, int which, int want)
{
	const int value = attribute(dev, which);

	verdict(a, value == want, "attribute %d is %d", which, value);
}

/* All that there are, and up to where: later ones than we know of, too. */
static void say_attributes(CUdevice dev)
{
	__typeof__(cuDeviceGetAttribute) *get =
		(__typeof__(cuDeviceGetAttribute) *)cuda_symbol("cuDeviceGetAttribute");
	char refused[512] = "";
	int known = 0, last = 0;
	size_t n = 0;

	for (int i = 1; get && i < 2 * PVGPU_ATTRS_MAX; i++) {
		char key[32];
		int value = 0;
		const CUresult r = get(&value, (CUdevice_attribute)i, dev);

		if (r == CUDA_SUCCESS) {
			snprintf(key, sizeof(key), "attribute_%d", i);
			say_int(key, value);
			last = i;
			known += i < CU_DEVICE_ATTRIBUTE_MAX;
		} else if (i < CU_DEVICE_ATTRIBUTE_MAX && n < sizeof(refused) - 16) {
			n += (size_t)snprintf(refused + n, sizeof(refused) - n, "%d:%d ", i,
					      (int)r);
		}
	}
	say_text("attributes_refused", "%s", refused);
	verdict(ASSUME_attributes_answered, !n, "%d of %d answer; attribute:result %s", known,
		CU_DEVICE_ATTRIBUTE_MAX - 1, n ? refused : "none is refused");
	verdict(ASSUME_attributes_fit, last && last < PVGPU_ATTRS_MAX, "the last one is %d", last);
}

static void say_device(CUdevice dev)
{
	char name[128] = "";
	size_t bytes = 0;
	int version = 0, count = 0;

	CU(cuDriverGetVersion, &version);
	CU(cuDeviceGetCount, &count);
	CU(cuDeviceGetName, name, sizeof(name) - 1, dev);
	CU(cuDeviceTotalMem_v2, &bytes, dev);
	say_int("driver_version", version);
	say_int("devices", count);
	say_text("device_name", "%s", name);
	say_int("device_memory_bytes", (int64_t)bytes);
	verdict(ASSUME_driver_version, version >= 13000, "%d", version);
	say_attributes(dev);
	wants(ASSUME_hmm_off, dev, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0);
	wants(ASSUME_unified_addresses, dev, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1);
	wants(ASSUME_vmm, dev, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1);
	wants(ASSUME_host_register, dev, CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1);
	wants(ASSUME_map_host, dev, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1);
	wants(ASSUME_preemption, dev, CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1);
	wants(ASSUME_compute_mode, dev, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT);
}

void step_machine(void)
{
	CUuuid uuid;
	CUdevice dev;
	bool there;

	if (opt.role) {
		machine_tenant();
		return;
	}
	/* Before libcuda has threads: this forks. */
	machine_kernel();
	machine_abilities();
	there = cuda_device(&dev);
	if (there) {
		say_symbols();
		say_device(dev);
		there = CU(cuDeviceGetUuid_v2, &uuid, dev) == CUDA_SUCCESS;
	}
	machine_nvml(there ? &uuid : NULL);
}
