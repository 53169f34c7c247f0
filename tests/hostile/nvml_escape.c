/* SPDX-License-Identifier: MIT */
/* An NVML library that has been taken over: the simulated GPU's, but for one call, which the third
 * time tries to get out of pvgpu-health. */
#include "libpvgpu/nvml/nvml.h"
#include "tests/hostile/ways_out.h"

#define EXPORT __attribute__((visibility("default")))

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count);
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory);

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	static unsigned int times;
	unsigned int count;

	if (++times == 3)
		ways_out_try();
	*memory = (nvmlMemory_t){.total = 1 << 30};
	/* The other library is loaded with this one. */
	return nvmlDeviceGetCount_v2(&count);
}
