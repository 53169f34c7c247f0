/* SPDX-License-Identifier: MIT */
/* Scenarios: how they are put together, and where their figures go. */
#ifndef PVGPU_SIM_BENCH_H
#define PVGPU_SIM_BENCH_H

#include <jansson.h>

#include "xen-pvgpu-back/sched/sim/sim.h"

#define BENCH_LOADS  16
#define BENCH_GROUPS 4

struct bench {
	struct sim_config c;
	struct sim_load loads[BENCH_LOADS];
	struct sched_share groups[BENCH_GROUPS];
	struct sim_vgpu_spec *vgpus;
	struct place_gpu *gpus;
};

struct options {
	uint64_t seed;
	double duration_s; /* 0: each scenario's own */
	bool quick;        /* what `make check` has time for */
	bool quiet;        /* no progress */
	const char *trace; /* a user's file */
	size_t trace_gpus;
	uint64_t trace_memory;
	double trace_speed;
	/* --tenants, with the times of the machine that it is compared with. */
	const char *tenants;
	double bell_us, switch_us, overhead_us, gap_us;
};
extern struct options options;

/* ---- bench.c: all exit with a message when memory is lacking ---- */

/* One GPU of 80 GiB, the model's defaults, seconds (or what --duration says) after a warm-up of 1.
 */
void bench_init(struct bench *b, double seconds);
void bench_gpus(struct bench *b, size_t n, uint64_t memory);
uint32_t bench_load(struct bench *b, const struct sim_load *load);
/* n more that are alike: the first of them, to be changed before the next call. */
struct sim_vgpu_spec *bench_vgpus(struct bench *b, uint32_t load, size_t n);
uint32_t bench_group(struct bench *b, const struct sched_share *share);
/* The result is the caller's to free; the bench may be changed and run again. */
struct sim_result *bench_run(struct bench *b, const char *what);
void bench_free(struct bench *b);
/* A random number below n; any state is a valid start. */
uint64_t bench_draw(uint64_t *state, uint64_t n);

double share_of(const struct sim_result *r, size_t vgpu); /* of the GPU's time */
double busy_of(const struct sim_result *r);               /* of all GPUs' time */

/* Loads: deep queues of kernels; requests; exact figures in ns. */
struct sim_load load_saturating(const char *name, double kernel_ns);
struct sim_load load_open(const char *name, double gap_ns, double kernels, double kernel_ns);

/* ---- rows of sim.json ---- */

enum compare { ROW_NONE, ROW_LEAST, ROW_MOST };

/* details: taken over; NULL: none. */
void row(const char *name, double value, const char *unit, enum compare how, double target,
	 json_t *details);
/* Shown and judged, but what a busy machine makes of it is no failure where that is not wanted. */
void row_timed(const char *name, double value, const char *unit, enum compare how, double target,
	       json_t *details);
/* The details of a run: latencies by load, Jain, switches, waste. */
json_t *details_of(const struct bench *b, const struct sim_result *r);
json_t *rows_take(void);
size_t rows_failed(void);
size_t rows_judged(void);

/* ---- scenarios ---- */

struct scenario {
	const char *name, *what;
	bool quick; /* in the short run, too */
	void (*run)(void);
};
extern const struct scenario scenarios[];
extern const size_t n_scenarios;

/* properties.c */
void run_idle(void);
void run_equal(void);
void run_shares(void);
void run_processes(void);
void run_groups(void);
void run_long(void);
void run_priority(void);
void run_decoders(void);
void run_wait(void);
void run_endless(void);
/* mixes.c */
void run_policies(void);
void run_latency(void);
void run_timeline(void);
void run_exclusive(void);
/* loops.c */
void run_loops(void);
/* tenants.c */
void run_tenants(void);
/* strategies.c */
void run_strategies(void);
/* fleet.c */
void run_scale(void);
void run_placement(void);
/* cost.c */
void run_cost(void);
/* trace.c */
void run_trace(void);

#endif
