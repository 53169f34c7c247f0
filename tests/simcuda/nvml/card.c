/* SPDX-License-Identifier: MIT */
/* The simulated GPU describes itself by an H100's constants, and by sensors as configured. */
#include "tests/simcuda/nvml/gpu.h"

#include <stdbool.h>
#include <stdio.h>

#define SIM_EXPORT __attribute__((visibility("default")))

static nvmlReturn_t number(nvmlDevice_t device, unsigned int *out, unsigned int value)
{
	if (!nvml_gpu(device) || !out)
		return NVML_ERROR_INVALID_ARGUMENT;
	*out = value;
	return NVML_SUCCESS;
}

#define NUMBER(call, value)                                                                        \
	SIM_EXPORT nvmlReturn_t call(nvmlDevice_t device, unsigned int *out)                       \
	{                                                                                          \
		return number(device, out, value);                                                 \
	}
NUMBER(nvmlDeviceGetBrand, 14) /* NVIDIA */
NUMBER(nvmlDeviceGetNumGpuCores, 16896)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration,
       (unsigned int)nvml_setting("SIMCUDA_NVML_PCIE_GENERATION", 5, 7))
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, 16)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth,
       (unsigned int)nvml_setting("SIMCUDA_NVML_PCIE_WIDTH", 16, 16))
NUMBER(nvmlDeviceGetDefaultEccMode, 1)
NUMBER(nvmlDeviceGetPerformanceState, 0)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, 700000)
NUMBER(nvmlDeviceGetPowerUsage,
       (unsigned int)nvml_setting("SIMCUDA_NVML_MILLIWATTS", 97531, 2000000))
NUMBER(nvmlDeviceGetEnforcedPowerLimit,
       (unsigned int)nvml_setting("SIMCUDA_NVML_MILLIWATTS_LIMIT", 700000, 2000000))
NUMBER(nvmlDeviceGetPersistenceMode, !nvml_setting("SIMCUDA_NVML_NO_PERSISTENCE", 0, 1))

/* In a domain that the machine has not, unless the test names a device of the machine:
 * BUS << 8 | DEVICE << 3. pvgpud runs workers near that device. */
SIM_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	const unsigned int slot = (unsigned int)nvml_setting("SIMCUDA_NVML_PCI", 0, 0xffff);
	const struct gpu *g = nvml_gpu(device);

	if (!g || !pci)
		return NVML_ERROR_INVALID_ARGUMENT;
	*pci = (nvmlPciInfo_t){.domain = slot ? 0 : 0xffff,
			       .bus = slot ? slot >> 8 : g->index + 1,
			       .device = (slot & 0xff) >> 3,
			       .pciDeviceId = 0x233010de,
			       .pciSubSystemId = 0x16c110de};
	snprintf(pci->busId, sizeof(pci->busId), "%08X:%02X:%02X.0", pci->domain, pci->bus & 0xff,
		 pci->device & 0x1f);
	snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), "%04X:%02X:%02X.0",
		 pci->domain & 0xffff, pci->bus & 0xff, pci->device & 0x1f);
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
	const unsigned long long all = 128ull << 30;

	if (!nvml_gpu(device) || !memory)
		return NVML_ERROR_INVALID_ARGUMENT;
	*memory = (nvmlBAR1Memory_t){
		.bar1Total = all, .bar1Free = all - (1 << 20), .bar1Used = 1 << 20};
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned int *current,
					     unsigned int *pending)
{
	const nvmlReturn_t r = number(device, pending ? current : NULL, 1);

	if (!r)
		*pending = 1;
	return r;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device,
								     unsigned int *least,
								     unsigned int *most)
{
	const nvmlReturn_t r = number(device, most ? least : NULL, 200000);

	if (!r)
		*most = 700000;
	return r;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor,
						 unsigned int *celsius)
{
	return number(device, sensor == NVML_TEMPERATURE_GPU ? celsius : NULL,
		      (unsigned int)nvml_setting("SIMCUDA_NVML_CELSIUS", 41, 200));
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device,
							  unsigned int threshold,
							  unsigned int *celsius)
{
	if (threshold != NVML_TEMPERATURE_SHUTDOWN && threshold != NVML_TEMPERATURE_SLOWDOWN)
		return NVML_ERROR_NOT_SUPPORTED;
	return number(device, celsius, threshold == NVML_TEMPERATURE_SHUTDOWN ? 92 : 89);
}

static nvmlReturn_t clock_of(nvmlDevice_t device, unsigned int clock, unsigned int *mhz,
			     const unsigned int values[4])
{
	if (clock > NVML_CLOCK_VIDEO)
		return NVML_ERROR_INVALID_ARGUMENT;
	return number(device, mhz, values[clock]);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned int clock,
					       unsigned int *mhz)
{
	static const unsigned int values[] = {1755, 1755, 2619, 1545};

	return clock_of(device, clock, mhz, values);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned int clock,
						  unsigned int *mhz)
{
	static const unsigned int values[] = {1980, 1980, 2619, 1545};

	return clock_of(device, clock, mhz, values);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int direction,
						    unsigned int *kib)
{
	if (direction > NVML_PCIE_RECEIVED)
		return NVML_ERROR_INVALID_ARGUMENT;
	return number(device, kib, direction == NVML_PCIE_SENT ? 3333333 : 1234567);
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
						 nvmlFieldValue_t *values)
{
	if (!nvml_gpu(device) || !values || count < 1)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (int i = 0; i < count; i++) {
		const bool sent = values[i].fieldId == NVML_FI_DEV_PCIE_COUNT_TX_BYTES;

		values[i].nvmlReturn = sent || values[i].fieldId == NVML_FI_DEV_PCIE_COUNT_RX_BYTES
					       ? NVML_SUCCESS
					       : NVML_ERROR_NOT_SUPPORTED;
		values[i].valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
		values[i].value =
			sent ? nvml_setting("SIMCUDA_NVML_PCIE_SENT", 1000, UINT32_MAX)
			     : nvml_setting("SIMCUDA_NVML_PCIE_RECEIVED", 2000, UINT32_MAX);
	}
	return NVML_SUCCESS;
}

SIM_EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int error, int counter,
						    unsigned long long *count)
{
	if (!nvml_gpu(device) || counter != NVML_VOLATILE_ECC || !count)
		return NVML_ERROR_INVALID_ARGUMENT;
	*count = error == NVML_MEMORY_ERROR_TYPE_CORRECTED
			 ? nvml_setting("SIMCUDA_NVML_ECC", 0, 1u << 30)
			 : nvml_setting("SIMCUDA_NVML_UNCORRECTED", 0, 1u << 30);
	return NVML_SUCCESS;
}
