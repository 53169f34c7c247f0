/* SPDX-License-Identifier: MIT */
/*
 * How long would commands of some vGPUs wait for a GPU that they share? Those with a goal are
 * simulated with a short command from time to time, well within their share; all others have work
 * all the time. Pure, like sim.h, and the same each time. It takes some milliseconds.
 */
#ifndef PVGPU_SCHED_SIM_GOAL_H
#define PVGPU_SCHED_SIM_GOAL_H

#include "xen-pvgpu-back/sched/sim/sim.h"

struct goal_vgpu {
	struct sched_share share;
	uint32_t group;   /* 0: none; 1 and on: of groups[] */
	uint64_t goal_ns; /* 0: none */
	uint64_t p99_ns;  /* the answer, of those with a goal */
};

struct goal {
	struct sched_params params;
	const struct sched_share *groups;
	size_t n_groups;
	struct goal_vgpu *v;
	size_t n;
};

/* 0 or -ENOMEM, also where the goal is none that can be simulated. */
int goal_predict(const struct goal *g);

/* The same in parts; g must stay as it is until the end. NULL: it cannot be simulated. Goes on by
 * so many events of the simulation: false when there are none left. goal_end frees the run: 0 with
 * the answers, or -ENOMEM, also before it is over. */
struct goal_run;
struct goal_run *goal_begin(const struct goal *g);
bool goal_go(struct goal_run *r, uint64_t events);
int goal_end(struct goal_run *r);

#endif
