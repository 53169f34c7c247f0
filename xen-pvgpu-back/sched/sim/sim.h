/* SPDX-License-Identifier: MIT */
/*
 * A discrete-event simulation of GPUs under the scheduler of sched.h and the turns of sched/turn,
 * as in pvgpud: the libraries decide, the GPU and the workers are a model. It uses no file, clock
 * or thread; the same configuration and seed give the same result. tests/sim and `pvgpuctl sizing`
 * drive it.
 *
 * The model: a GPU runs one context at a time. A kernel runs to its end or, when other contexts
 * have work, to the end of the hardware's own time slice. A change of context costs switch_ns. Each
 * process of a vGPU is a context with a stream of kernels. Processes issue through the gate
 * (contract/gate.h): with the grant, up to an estimated time in flight. Bells, wake-ups and wrong
 * estimates cost time as in reality.
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
	SIM_RARE,      /* one in SIM_RARE_PER is shape times as large as the others */
};

#define SIM_RARE_PER 16u

struct sim_dist {
	enum sim_dist_kind kind;
	double mean, shape;
};

/* The next value; any state is a valid start. */
double sim_draw(const struct sim_dist *d, uint64_t *state);

enum sim_arrival {
	SIM_IDLE,   /* never any work */
	SIM_CLOSED, /* a request follows `gap` after an answer; `depth` at a time */
	SIM_OPEN,   /* a request every `gap`, whether others were answered or not */
	SIM_ONOFF,  /* SIM_OPEN for `on`, nothing for `off`, in turn */
	SIM_TRACE,  /* the vGPU's rows */
};

/* The load of a process. Times in nanoseconds. */
struct sim_load {
	const char *name;
	enum sim_arrival arrival;
	struct sim_dist gap, on, off;
	uint32_t depth;             /* SIM_CLOSED; 0: 1 */
	struct sim_dist kernels;    /* kernels of a request, rounded, at least 1 */
	struct sim_dist kernel_ns;  /* GPU time of each, at least 1 */
	uint64_t start_ns, stop_ns; /* first and last time of requests (0: the end of the run) */
	uint64_t endless_ns; /* the first request after this time is a kernel that never ends; 0:
				none */
};

struct sim_row {
	uint64_t at_ns, length_ns; /* time of the request, and its total GPU time */
};

struct sim_vgpu_spec {
	uint32_t load;      /* index */
	uint32_t processes; /* 0: 1 */
	struct sched_share share;
	uint32_t group; /* 0: none; vGPUs of the same number on a GPU form a group */
	uint32_t pool;
	uint32_t load_ppm; /* expected GPU time, for PLACE_LOAD */
	uint64_t memory;
	uint64_t attach_ns, detach_ns; /* 0: at the start; never */
	uint64_t kernel_limit_ns;      /* 0: none */
	const struct sim_row *rows;    /* SIM_TRACE, ascending */
	size_t n_rows;
};

struct sim_model {
	uint64_t switch_ns;   /* change of context on the GPU */
	uint64_t hw_slice_ns; /* the GPU's own time slice; 0: contexts change only when idle */
	uint64_t bell_ns;     /* delay of a bell, in either direction */
	uint64_t grace_ns;    /* the watchdog's time from closing the gate to the kill */
	bool native;          /* no gate, no scheduler: only the GPU's own time slices */
};

struct sim_progress {
	uint64_t now_ns, end_ns, events;
};

struct sim_config {
	uint64_t seed, duration_ns;
	uint64_t warm_ns;   /* figures count from this time on */
	uint64_t window_ns; /* window of Jain's index and of shares over time; 0: 1 s */
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
/* The quantile p (0 to 1); 0: no values. */
uint64_t sim_hist_at(const struct sim_hist *h, double p);

/* Figures since warm_ns. */
struct sim_vgpu_result {
	size_t gpu;       /* PLACE_NONE: not placed */
	uint64_t used_ns; /* true GPU time */
	uint64_t charged_ns;
	uint64_t requests;                  /* answered */
	uint64_t longest_wait_ns, bound_ns; /* from sched_stats; from sched_wait_bound at the end */
	double latency_ns;                  /* mean */
	uint64_t killed_ns;                 /* time of the watchdog's kill; 0: none */
	uint64_t grants;
};

struct sim_gpu_result {
	uint64_t busy_ns, switch_ns;
	uint64_t waste_ns; /* idle although a vGPU had work */
	uint64_t context_switches, grants, handovers, decisions;
	uint64_t slice_ns; /* the latest */
	uint32_t vgpus;
};

struct sim_load_result {
	struct sim_hist latency;
	uint64_t used_ns, vgpus;
	uint64_t arrived, dropped; /* requests; of these, dropped at a full queue */
};

struct sim_result {
	uint64_t time_ns, events;
	uint64_t refused; /* vGPUs without a place */
	struct sim_gpu_result all;
	struct sim_gpu_result *gpu;
	struct sim_vgpu_result *vgpu;
	struct sim_load_result *load;
	/* Jain's index by weight of the vGPUs of one GPU that had work during all of a window. */
	double jain_min, jain_mean;
	uint64_t jain_windows; /* windows of single GPUs that were counted */
	size_t windows;
	uint64_t *window; /* record: windows rows of n_vgpus */
	uint32_t gpus_used;
	size_t n_vgpus, n_gpus, n_loads;
};

/* Default figures: an 80 GB data-centre GPU. */
void sim_model_default(struct sim_model *m);
/* NULL: out of memory, or the configuration is invalid (errno EINVAL). */
struct sim_result *sim_run(const struct sim_config *c);

/* The same in parts; c must stay as it is until the end. Goes on by so many events, each of which
 * takes a bounded time: false when it is over, or has failed. sim_end frees the run; NULL: it had
 * failed, or was not over. */
struct sim;
struct sim *sim_begin(const struct sim_config *c);
bool sim_go(struct sim *s, uint64_t events);
struct sim_result *sim_end(struct sim *s);

void sim_result_free(struct sim_result *r);

/* Jain's index of n values. 1: all are equal; 1/n: one has everything. */
double sim_jain(const double *x, size_t n);

#endif
