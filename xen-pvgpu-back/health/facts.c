/* SPDX-License-Identifier: MIT */
/*
 * A value that guests are to see has its field in the key `card` of xenstore-schema/pvgpu.schema, a
 * line here, and its answer in libpvgpu/ml. One that tells what others do has a line in
 * daemon/rules/facts_rules.c, too.
 */
#include "xen-pvgpu-back/health/facts.h"

#include <stdio.h>
#include <string.h>

typedef nvmlReturn_t question(nvmlDevice_t device, unsigned int *out);
typedef nvmlReturn_t question_of(nvmlDevice_t device, unsigned int which, unsigned int *out);

/* The field stays unknown where the library has no such call, or the GPU no answer. */
static void ask(question *call, nvmlDevice_t device, uint32_t *field)
{
	unsigned int value = 0;

	if (call && call(device, &value) == NVML_SUCCESS)
		*field = value;
}

static void ask_of(question_of *call, nvmlDevice_t device, unsigned int which, uint32_t *field)
{
	unsigned int value = 0;

	if (call && call(device, which, &value) == NVML_SUCCESS)
		*field = value;
}

static void read_driver(const struct nvml *n, struct pvgpu_gpu_card *out)
{
	unsigned int v[3] = {0};
	const int parts = sscanf(n->driver, "%u.%u.%u", &v[0], &v[1], &v[2]);

	if (parts < 2)
		return;
	out->driver_major = v[0];
	out->driver_minor = v[1];
	if (parts == 3)
		out->driver_patch = v[2];
}

static void read_card(const struct nvml *n, nvmlDevice_t d, struct pvgpu_gpu_card *out)
{
	nvmlBAR1Memory_t bar1;
	unsigned int pending, ecc;
	nvmlPciInfo_t pci;

	ask(n->nvmlDeviceGetBrand, d, &out->brand);
	ask(n->nvmlDeviceGetNumGpuCores, d, &out->cores);
	ask(n->nvmlDeviceGetDefaultEccMode, d, &out->ecc_default);
	if (n->nvmlDeviceGetPciInfo_v3 && n->nvmlDeviceGetPciInfo_v3(d, &pci) == NVML_SUCCESS) {
		out->pci_device = pci.pciDeviceId;
		out->pci_subsystem = pci.pciSubSystemId;
	}
	if (n->nvmlDeviceGetBAR1MemoryInfo &&
	    n->nvmlDeviceGetBAR1MemoryInfo(d, &bar1) == NVML_SUCCESS)
		out->bar1 = bar1.bar1Total;
	if (n->nvmlDeviceGetEccMode && n->nvmlDeviceGetEccMode(d, &ecc, &pending) == NVML_SUCCESS)
		out->ecc = ecc == 1;
}

static void read_link(const struct nvml *n, nvmlDevice_t d, const struct health_msg *pcie,
		      struct pvgpu_gpu_card *out)
{
	out->link_generation_max = pcie->pcie.most_generation;
	out->link_generation = pcie->pcie.generation;
	out->link_width_max = pcie->pcie.most_width;
	out->link_width = pcie->pcie.width;
	ask(n->nvmlDeviceGetGpuMaxPcieLinkGeneration, d, &out->link_generation_gpu);
	ask_of(n->nvmlDeviceGetPcieThroughput, d, NVML_PCIE_SENT, &out->sent);
	ask_of(n->nvmlDeviceGetPcieThroughput, d, NVML_PCIE_RECEIVED, &out->received);
}

static void read_limits(const struct nvml *n, nvmlDevice_t d, struct pvgpu_gpu_card *out)
{
	unsigned int least, most;

	ask(n->nvmlDeviceGetPowerManagementDefaultLimit, d, &out->power_limit_default);
	if (n->nvmlDeviceGetPowerManagementLimitConstraints &&
	    n->nvmlDeviceGetPowerManagementLimitConstraints(d, &least, &most) == NVML_SUCCESS) {
		out->power_limit_min = least;
		out->power_limit_max = most;
	}
	ask_of(n->nvmlDeviceGetTemperatureThreshold, d, NVML_TEMPERATURE_SLOWDOWN,
	       &out->temperature_slowdown);
	ask_of(n->nvmlDeviceGetTemperatureThreshold, d, NVML_TEMPERATURE_SHUTDOWN,
	       &out->temperature_shutdown);
	ask_of(n->nvmlDeviceGetMaxClockInfo, d, NVML_CLOCK_VIDEO, &out->clock_video_max);
}

static void read_sensors(const struct nvml *n, nvmlDevice_t d, const struct health_msg *state,
			 struct pvgpu_gpu_card *out)
{
	out->persistence = state->state.persistence;
	out->power_limit = state->state.limit_milliwatts;
	out->temperature = state->state.celsius;
	out->power = state->state.milliwatts;
	out->clock_sm = state->state.sm_mhz;
	out->clock_memory = state->state.memory_mhz;
	out->uncorrected = state->state.uncorrected;
	ask_of(n->nvmlDeviceGetClockInfo, d, NVML_CLOCK_GRAPHICS, &out->clock_graphics);
	ask_of(n->nvmlDeviceGetClockInfo, d, NVML_CLOCK_VIDEO, &out->clock_video);
	ask(n->nvmlDeviceGetPerformanceState, d, &out->performance_state);
}

void facts_read(const struct nvml *n, nvmlDevice_t device, const struct health_msg *state,
		const struct health_msg *pcie, struct pvgpu_gpu_card *out)
{
	memset(out, 0xff, sizeof(*out));
	out->pci_device = out->pci_subsystem = 0;
	out->bar1 = 0;
	read_driver(n, out);
	read_card(n, device, out);
	read_link(n, device, pcie, out);
	read_limits(n, device, out);
	read_sensors(n, device, state, out);
}
