/* SPDX-License-Identifier: MIT */
/* A reader of one simulated GPU's shared file. */
#ifndef PVGPU_SIMCUDA_NVML_GPU_H
#define PVGPU_SIMCUDA_NVML_GPU_H

#include <sys/types.h>

#include "nvml/nvml.h"
#include "tests/simcuda/simgpu.h"

#define GPUS_MAX 64u

/* A slot at the last sample. */
struct seen {
	uint64_t start_time; /* of its process */
	uint64_t compute_ns, copy_ns;
	uint64_t compute_rest, copy_rest; /* rounded off by the percentages so far */
	nvmlProcessUtilizationSample_t sample;
};

/* The use of a process up to a moment. */
struct look {
	uint64_t start_time;
	uint64_t compute_ns, copy_ns;
};

struct gpu {
	unsigned int index;
	char path[4096];
	ino_t inode;
	const struct simgpu *map; /* NULL: no process has used it */
	uint64_t sampled_us;      /* CLOCK_REALTIME */
	struct seen seen[SIMGPU_SLOTS];
	struct look look[SIMGPU_SLOTS];
};

void gpu_init(struct gpu *g, unsigned int index);
void gpu_close(struct gpu *g);
/* False: no process has used it yet. */
bool gpu_look(struct gpu *g);
uint64_t gpu_memory_used(const struct gpu *g);
uint64_t gpu_xids(struct gpu *g);
/* A new sample of each process, unless the last one is younger than that. */
void gpu_sample(struct gpu *g, uint64_t period_us);

/* nvml.c: the GPU of a handle; NULL: no handle of ours. */
struct gpu *nvml_gpu(nvmlDevice_t device);
/* A number in the environment, from 1 to max. */
uint64_t nvml_setting(const char *name, uint64_t fallback, uint64_t max);

#endif
