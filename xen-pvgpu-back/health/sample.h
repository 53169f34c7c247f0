/* SPDX-License-Identifier: MIT */
/* Samples of the GPUs and their processes, as records for pvgpud. */
#ifndef PVGPU_HEALTH_SAMPLE_H
#define PVGPU_HEALTH_SAMPLE_H

#include "xen-pvgpu-back/contract/health.h"
#include "xen-pvgpu-back/health/nvml.h"

#define SAMPLE_PROCESSES 512u /* of a GPU; further ones are ignored */

struct sample_process {
	unsigned int pid;
	unsigned int round;    /* the last round that saw it */
	uint64_t stamp;        /* of its last utilisation sample, us of CLOCK_REALTIME */
	struct health_msg msg; /* of this round */
};

struct sample_gpu {
	nvmlDevice_t device;
	unsigned long long last_seen;
	struct health_msg state, pcie; /* the last */
	uint64_t facts_ns;             /* CLOCK_MONOTONIC when facts.c last asked; 0: not yet */
	uint64_t began, ended; /* of the driver's last sampling period, us of CLOCK_REALTIME */
	uint64_t shortest;     /* of all; 0: not known */
	bool asked;            /* queried since `ended` without a new sample */
	bool gap;              /* the period's begin is not known */
	unsigned int n;
	struct sample_process process[SAMPLE_PROCESSES];
};

struct sample {
	struct nvml *nvml;
	unsigned int round;
	bool lost; /* a GPU does not answer any more: the process must be restarted */
	nvmlReturn_t why;
	nvmlEventSet_t events;  /* NULL: the library has none */
	struct sample_gpu *gpu; /* nvml->device_n of them */
	struct health_msg *out; /* the round */
	unsigned int out_n, out_cap;
};

/* 0 with the records that describe the GPUs in s->out, or -1 with a reason. */
int sample_open(struct sample *s, struct nvml *n, char *reason, size_t cap);
/* Puts one round into s->out, HEALTH_ROUND last. -1: a GPU is gone, s->why says why. */
int sample_round(struct sample *s);
/* Waits up to ms for an Xid; true: s->out has it. */
bool sample_wait(struct sample *s, unsigned int ms);
uint64_t sample_now(void);

#endif
