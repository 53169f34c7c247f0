/* SPDX-License-Identifier: MIT */
/*
 * The guest's libnvidia-ml.so.1: NVIDIA's management library as a vGPU can answer it. It shows the
 * one vGPU that libcuda.so.1 of the same process would use, with its own memory, use and processes.
 * A figure that nobody has of a vGPU is NOT_SUPPORTED.
 *
 * Where the answers come from: figures.c asks pvgpud (local link) or the kernel module (Xen link),
 * without a session. facts.c opens a session for fixed facts, such as the name, at the first
 * question for it, and closes it at once. Nothing runs on the GPU, and nothing stays open.
 */
#ifndef PVGPU_ML_H
#define PVGPU_ML_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The calls are what the library exports. */
#pragma GCC visibility push(default)
#include "nvml/nvml_more.h"
#pragma GCC visibility pop
#include "pvgpu_keys.h"

/* Serialises everything below. */
extern pthread_mutex_t ml_lock;

/* ---- facts.c ---- */

struct ml_facts {
	bool tried;
	nvmlReturn_t error; /* of all but driver_version */
	uint64_t memory;    /* bytes, when there is no other limit */
	unsigned char uuid[16];
	char name[257];
	char bus_id[33];
	int driver_version; /* CUDA's; 0: not known */
	int attr[128];      /* -1: not known */
};

/* Those of the process's vGPU. */
const struct ml_facts *ml_facts(void);

/* ---- figures.c ---- */

#define ML_PROCESSES 128u

struct ml_process {
	unsigned int pid;
	uint64_t memory; /* bytes; NVML_VALUE_NOT_AVAILABLE */
};

struct ml_figures {
	uint64_t memory_limit; /* bytes; 0: not known */
	bool used_known;
	uint64_t memory_used; /* bytes */
	uint64_t gpu_time;    /* us that were charged so far */
	bool processes_known;
	unsigned int processes;
	struct ml_process process[ML_PROCESSES];
};

/* Is there a vGPU? */
bool ml_there(void);
/* Of this moment. */
nvmlReturn_t ml_figures(struct ml_figures *out);

/* figures_xen.c: those of the module's device of this path. Tests have files of their own. */
extern const char *ml_sysfs, *ml_proc;
nvmlReturn_t ml_figures_xen(const char *device, struct ml_figures *out);

/* figures.c: an answer of exactly this size, which begins with the magic number and the question.
 */
nvmlReturn_t ml_ask_local(const char *path, uint32_t question, void *answer, size_t size);

/* ---- gpu.c ---- */

/* The GPU as pvgpud describes it; numbers that are not known as in the schema. */
nvmlReturn_t ml_gpu(struct pvgpu_gpu_card *out);
/* The next question goes to pvgpud. */
void ml_gpu_forget(void);
/* figures_xen.c: the text from which it is made, at most ML_GPU_TEXT bytes. */
#define ML_GPU_TEXT 4096u
nvmlReturn_t ml_gpu_xen(const char *device, char *text, size_t *len);
/* shared.c: PCI ids of chip and board. */
nvmlReturn_t ml_gpu_ids(unsigned int *chip, unsigned int *board);
/* The largest clock of the video engines. */
nvmlReturn_t ml_video_clock(nvmlDevice_t device, unsigned int *mhz);

/* ---- usage.c ---- */

/* A reading of the vGPU's GPU time. */
struct ml_reading {
	uint64_t at; /* us of CLOCK_MONOTONIC */
	uint64_t gpu_time;
};
#define ML_READINGS 16u
struct ml_usage {
	uint64_t shortest; /* us between two readings whose difference tells something */
	unsigned int n;    /* of reading[], the oldest first */
	struct ml_reading reading[ML_READINGS];
};

void ml_usage_add(struct ml_usage *u, struct ml_reading r);
/* Percent of the time up to the last reading; -1: not yet, wait us longer and add one. */
int ml_usage_percent(const struct ml_usage *u, uint64_t *us);
/* Reads, and waits when it must: without the lock, which it takes itself. */
nvmlReturn_t ml_usage(unsigned int *percent);
/* A first reading, from which a later ml_usage() goes. */
void ml_usage_begin(void);

/* ---- init.c ---- */

extern struct nvmlDevice_st ml_device;
/* Between init and shutdown, with a device of ours. */
nvmlReturn_t ml_enter(void);
nvmlReturn_t ml_enter_device(nvmlDevice_t device, const void *out);
/* Of the calls that no vGPU has an answer for. */
int ml_refuse(void);
/* Text into a caller's buffer. */
nvmlReturn_t ml_give(char *to, unsigned int length, const char *text);

#endif
