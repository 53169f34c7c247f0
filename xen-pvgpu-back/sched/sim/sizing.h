/* SPDX-License-Identifier: MIT */
/* The number of vGPUs with a mix of loads that one GPU carries: simulates more and more of them
 * until a goal is missed or the memory is used up. Pure, like sim.h. */
#ifndef PVGPU_SCHED_SIM_SIZING_H
#define PVGPU_SCHED_SIM_SIZING_H

#include "xen-pvgpu-back/sched/sim/sim.h"

#define SIZING_LOADS 16
#define SIZING_MAX   10000

enum sizing_arrival {
	SIZING_POISSON, /* requests at random */
	SIZING_STEADY,  /* at equal intervals */
	SIZING_PARETO,  /* at heavy-tailed intervals (alpha 1.5) */
	SIZING_ONOFF,   /* at random in bursts of 200 ms on average, a fifth of the time */
	SIZING_CLOSED,  /* the next request follows some time after the answer; duty 1: at once */
	SIZING_ARRIVALS
};

struct sizing_load {
	const char *name;
	double part; /* part of the vGPUs; only the ratios of the parts count */
	enum sizing_arrival arrival;
	double kernel_ns, spread; /* mean GPU time of a kernel; standard deviation / mean */
	double kernels;           /* kernels of a request */
	double duty; /* part of the time that one vGPU alone uses the GPU: above 0, up to 1 */
	uint64_t memory;
	uint32_t processes; /* 0: 1 */
	struct sched_share share;
	uint64_t p99_ns; /* goal; 0: none */
	double least;    /* goal: part of the GPU's time that each must get; 0: none */
};

struct sizing {
	struct sizing_load loads[SIZING_LOADS];
	size_t n_loads;
	struct sched_params params;
	struct sim_model model;
	uint64_t memory;         /* of the GPU; 0: not checked */
	uint32_t overcommit_ppm; /* 0: PLACE_PPM */
	size_t most;             /* most vGPUs tried; 0: SIZING_MAX */
	uint64_t duration_ns, seed;
};

enum sizing_limit {
	SIZING_BY_MOST, /* no limit up to sizing.most */
	SIZING_BY_MEMORY,
	SIZING_BY_LATENCY, /* p99 of a load above its goal */
	SIZING_BY_LEAST,   /* a vGPU of a load gets less GPU time than its goal */
	SIZING_BY_BACKLOG, /* requests of a load arrive faster than they are answered */
};

struct sizing_answer {
	size_t vgpus;
	enum sizing_limit limit; /* of one more ... */
	size_t load;             /* ... for this load */
	double value;            /* ... with this value: ns; part of GPU time; part unanswered */
	uint64_t memory;         /* promised */
	double busy, handover;   /* parts of the GPU's time */
	double jain;             /* of the vGPUs of the load with the most work, worst window */
	struct sizing_load_answer {
		size_t vgpus;
		uint64_t requests, p50_ns, p95_ns, p99_ns;
		double used; /* by all of them, of the GPU's time */
	} loads[SIZING_LOADS];
};

/* Defaults: 30 s to simulate, the default model, no loads. */
void sizing_init(struct sizing *z);
/* A load with default figures: weight 100, medium, poisson, 20 kernels of 100 us, 5 %. */
void sizing_load_init(struct sizing_load *l, const char *name);
/* 0; -EINVAL: no loads, or figures out of range; -ENOMEM. */
int sizing_find(const struct sizing *z, struct sizing_answer *out);

#endif
