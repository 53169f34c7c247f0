/* SPDX-License-Identifier: MIT */
/*
 * A discrete-event simulation of GPUs under the scheduler of sched.h: the library itself decides,
 * the rest is a model. No file, clock or thread; the same configuration and seed give the same
 * result. tests/sim and `pvgpuctl sizing` drive it.
 *
 * The model: a GPU runs one context at a time; a running kernel ends or, when other contexts have
 * work, is set aside at the end of the hardware's own time-slice; changing the context costs
 * switch_ns. A vGPU's processes are each a context, with a stream of kernels. They issue through
 * the gate (daemon/gate.h): while the grant is theirs, up to an estimated time in flight. Rings of
 * the bell, wake-ups and estimates cost and err as they do outside.
 */
#ifndef PVGPU_SCHED_SIM_H
#define PVGPU_SCHED_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/sched/place.h"
#include "xen-pvgpu-back/sched/sched.h"

#define SIM_US 1000ull
#define SIM_MS 1000000ull
#define SIM_S  1000000000ull

enum sim_dist_kind {
	SIM_CONST,
	SIM_UNIFORM, /* from mean * (1 - shape) to mean * (1 + shape) */
	SIM_EXP,
	SIM_PARETO,    /* shape: alpha, above 1; cut at 1,000 times the mean */
	SIM_LOGNORMAL, /* shape: standard deviation / mean */
};

struct sim_dist {
	enum sim_dist_kind kind;
	double mean, shape;
};

/* The next value; the state may begin as anything. */
double sim_draw(const struct sim_dist *d, uint64_t *state);

enum sim_arrival {
	SIM_IDLE,   /* never any work */
	SIM_CLOSED, /* the next request `gap` after an answer; `depth` at a time */
	SIM_OPEN,   /* a request every `gap`, whatever was answered */
	SIM_ONOFF,  /* SIM_OPEN for `on`, nothing for `off`, in turn */
	SIM_TRACE,  /* the vGPU's rows */
};

/* What a process does. Times in nanoseconds. */
struct sim_load {
	const char *name;
	enum sim_arrival arrival;
	struct sim_dist gap, on, off;
	uint32_t depth;             /* SIM_CLOSED; 0: 1 */
	struct sim_dist kernels;    /* of a request, rounded, at least 1 */
	struct sim_dist kernel_ns;  /* GPU time of each, at least 1 */
	uint64_t start_ns, stop_ns; /* requests only from then, and till then (0: the end) */
	uint64_t endless_ns; /* its first request after that is a kernel that never ends; 0: none */
};

struct sim_row {
	uint64_t at_ns, length_ns; /* request, and its GPU time in all */
};

struct sim_vgpu_spec {
	uint32_t load;      /* index */
	uint32_t processes; /* 0: 1 */
	struct sched_share share;
	uint32_t group; /* 0: none; else vGPUs of one number on a GPU are one group */
	uint32_t pool;
	uint32_t load_ppm; /* GPU time that it is expected to use, for PLACE_LOAD */
	uint64_t memory;
	uint64_t attach_ns, detach_ns; /* 0: at the beginning, never */
	uint64_t kernel_limit_ns;      /* 0: none */
	const struct sim_row *rows;    /* SIM_TRACE, ascending */
	size_t n_rows;
};

struct sim_model {
	uint64_t switch_ns;    /* the GPU's, from a context to another */
	uint64_t hw_slice_ns;  /* the GPU's own time-slice; 0: contexts change only when idle */
	uint64_t bell_ns;      /* worker to pvgpud, or pvgpud to worker */
	uint64_t alone_ns;     /* most in flight while nobody else wants the GPU */
	uint32_t inflight_ppm; /* most in flight while others do: this part of a slice */
	uint64_t drain_ns; /* wait no longer for in-flight work of whom the grant was taken from */
	uint64_t overdue_ns; /* whose work has not drained then hangs: all others' gates open; 0:
				not so */
	uint64_t grace_ns;   /* from gate closed to killed, by the watchdog */
	bool native;         /* no gate, no scheduler: what the GPU's own time-slicing gives */
};

struct sim_progress {
	uint64_t now_ns, end_ns, events;
};

struct sim_config {
	uint64_t seed, duration_ns;
	uint64_t warm_ns;   /* figures only after that */
	uint64_t window_ns; /* of Jain's index and shares over time; 0: 1 s */
	struct sim_model model;
	struct sched_params params;
	enum place_policy place;
	const struct place_gpu *gpus; /* memory, pool, overcommit of each */
	size_t n_gpus;
	const struct sched_share *groups; /* of group number i + 1 */
	size_t n_groups;
	const struct sim_load *loads;
	size_t n_loads;
	const struct sim_vgpu_spec *vgpus;
	size_t n_vgpus;
	bool record; /* keep each vGPU's time in each window */
	void (*progress)(void *arg, const struct sim_progress *p);
	void *arg;
};

/* Log-linear, 1.6 % wide buckets. */
#define SIM_HIST_SUB  64
#define SIM_HIST_SIZE (SIM_HIST_SUB * 48)
struct sim_hist {
	uint64_t count, max;
	double sum;
	uint32_t bucket[SIM_HIST_SIZE];
};
void sim_hist_add(struct sim_hist *h, uint64_t v);
/* The value that a part p (0 to 1) of them is not above; 0: there are none. */
uint64_t sim_hist_at(const struct sim_hist *h, double p);

/* All since warm_ns. */
struct sim_vgpu_result {
	size_t gpu;       /* PLACE_NONE: found no place */
	uint64_t used_ns; /* on the GPU, really */
	uint64_t charged_ns;
	uint64_t requests;                  /* answered */
	uint64_t longest_wait_ns, bound_ns; /* of sched_stats; of sched_wait_bound at the end */
	double latency_ns;                  /* mean */
	uint64_t killed_ns;                 /* by the watchdog; 0: no */
	uint64_t grants;
};

struct sim_gpu_result {
	uint64_t busy_ns, switch_ns;
	uint64_t waste_ns; /* idle although a vGPU had work */
	uint64_t context_switches, grants, decisions;
	uint64_t slice_ns; /* the latest */
	uint32_t vgpus;
};

struct sim_load_result {
	struct sim_hist latency;
	uint64_t used_ns, vgpus;
	uint64_t arrived, dropped; /* requests; those that found a full queue */
};

struct sim_result {
	uint64_t time_ns, events;
	uint64_t refused; /* vGPUs without a place */
	struct sim_gpu_result all;
	struct sim_gpu_result *gpu;
	struct sim_vgpu_result *vgpu;
	struct sim_load_result *load;
	/* Of vGPUs of one GPU with work in all of a window, weights taken into account. */
	double jain_min, jain_mean;
	uint64_t jain_windows; /* that went into it: one of one GPU each */
	size_t windows;
	uint64_t *window; /* record: windows rows of n_vgpus */
	uint32_t gpus_used;
	size_t n_vgpus, n_gpus, n_loads;
};

/* The figures of an 80 GB data-centre GPU, for those who have no better ones. */
void sim_model_default(struct sim_model *m);
/* NULL: memory is lacking, or the configuration is no such thing (errno EINVAL). */
struct sim_result *sim_run(const struct sim_config *c);
void sim_result_free(struct sim_result *r);

/* Jain's index of n values: 1: all are the same; 1/n: one has all. */
double sim_jain(const double *x, size_t n);

#endif
