/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/facts_rules.h"

#include <stddef.h>

#define SENSOR(field, step)                                                                        \
	{                                                                                          \
		offsetof(struct pvgpu_gpu_card, field), step                                       \
	}

/* Values that tell of other vGPUs' work. The steps are so wide that a value says whether the GPU
 * works, not at what. */
static const struct {
	size_t offset;
	uint32_t step;
} sensors_of[] = {
	SENSOR(temperature, 5),       SENSOR(power, 25000),       SENSOR(clock_graphics, 100),
	SENSOR(clock_sm, 100),        SENSOR(clock_memory, 100),  SENSOR(clock_video, 100),
	SENSOR(performance_state, 1), SENSOR(link_generation, 1), SENSOR(sent, 1u << 20),
	SENSOR(received, 1u << 20),
};

static uint32_t rounded(uint32_t value, uint32_t step)
{
	const uint64_t n = ((uint64_t)value + step / 2) / step * step;

	return value == UINT32_MAX || n >= UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void facts_for_guest(struct pvgpu_gpu_card *g, bool sensors)
{
	for (size_t i = 0; i < sizeof(sensors_of) / sizeof(sensors_of[0]); i++) {
		uint32_t *value = (uint32_t *)(void *)((char *)g + sensors_of[i].offset);

		*value = sensors ? rounded(*value, sensors_of[i].step) : UINT32_MAX;
	}
	if (!sensors)
		g->uncorrected = UINT64_MAX;
}
