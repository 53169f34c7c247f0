/* SPDX-License-Identifier: MIT */
/* The simulation's parts, for each other. */
#ifndef PVGPU_SCHED_SIM_INNER_H
#define PVGPU_SCHED_SIM_INNER_H

#include "xen-pvgpu-back/sched/sim/sim.h"

struct sim;

/* ---- events.c: timers in one heap, those of equal time in the order in which they were set ----
 */

struct timer {
	uint64_t at, order;
	uint32_t pos; /* in the heap, from 1; 0: not set */
	void (*fire)(struct sim *s, void *arg);
	void *arg;
};

struct events {
	struct timer **heap; /* from 1 */
	uint32_t n, cap;
	uint64_t order;
};

/* Room for n timers more. */
int events_room(struct events *e, size_t n);
void timer_set(struct events *e, struct timer *t, uint64_t at);
void timer_stop(struct events *e, struct timer *t);
struct timer *events_pop(struct events *e);

/* ---- dist.c ---- */

uint64_t rng_next(uint64_t *state);
double rng_unit(uint64_t *state); /* above 0, up to 1 */
/* Rounded, from least to 2^52. */
uint64_t dist_count(const struct sim_dist *d, uint64_t *state, uint64_t least);

/* ---- rings of fixed-size elements that grow ---- */

struct kernel {
	uint64_t left_ns, estimate_ns, length_ns;
};
struct request {
	uint64_t arrived_ns;
	uint64_t length_ns; /* of a trace: all that its kernels may take; else 0 */
	uint32_t to_issue, to_end;
	bool endless;
};
struct ring {
	void *at;
	uint32_t head, n, cap;
};
/* NULL: memory is lacking. */
void *ring_push(struct ring *r, size_t size);
void *ring_at(const struct ring *r, size_t size, uint32_t i);
void ring_pop(struct ring *r);

/* ---- objects ---- */

struct process {
	struct vgpu *v;
	uint64_t rng;
	struct timer arrival;
	struct ring requests, kernels; /* waiting or in flight; in flight */
	uint32_t issuing;              /* index of the request of which kernels are issued next */
	uint64_t inflight_ns;          /* estimated */
	uint64_t estimate_ns;          /* of its next kernel */
	uint64_t on_until_ns;
	size_t row;
	bool endless_done;
	/* The device's ring of contexts with kernels in flight. */
	struct process *prev, *next;
	uint64_t began_ns; /* its oldest kernel reached the front */
};

struct vgpu {
	struct sim *s;
	const struct sim_vgpu_spec *spec;
	const struct sim_load *load;
	struct gpu *g; /* NULL: not attached */
	struct place_want want;
	struct sched_vgpu *sched; /* NULL: native, or removed */
	struct process *process;  /* spec->processes of them */
	uint32_t n_process, busy_processes /* with requests */, draining /* kernels in flight */;
	struct timer bell, come, go;
	uint32_t in_gpu; /* index in g->vgpus */
	bool told;       /* the scheduler was told that it wants the GPU */
	bool on_gpu;     /* as last looked at, while it holds the grant */
	uint32_t users;  /* its processes with work on the GPU, as last looked at; at least 1 */
	bool tail;       /* in g->tails */
	struct vgpu *tail_next;
	bool beside; /* its gate is open beside the holder's, since another one hangs */
	uint64_t tail_since, drain_ns;
	uint32_t drain_q8;            /* what draining took, by what was estimated: 256 is 1 */
	uint64_t alone_ns, budget_ns; /* reported and not charged; what may be charged of it */
	bool had_rest;                /* was without work in this window */
	bool held;                    /* the watchdog keeps its gate closed */
	uint64_t held_ns;
	uint64_t busy_ns, busy_window, busy_warm, charged_ns, charged_warm;
	uint64_t requests, grants, grants_warm, longest_wait;
	double latency_sum;
	uint64_t killed_ns;
	uint32_t load_ppm;
};

enum device_state { DEVICE_IDLE, DEVICE_SWITCH, DEVICE_RUN };

struct gpu {
	struct sim *s;
	size_t index; /* in s->places, too */
	/* device.c */
	enum device_state state;
	struct process *cur, *last;  /* running or being switched to; whose context is loaded */
	uint32_t contexts;           /* in the ring */
	uint64_t since_ns, slice_ns; /* of what is accounted; the hardware slice's begin */
	struct timer device;
	/* gate.c */
	struct sched *sched;
	struct sched_params params;
	struct sched_group **groups;
	struct vgpu *holder;     /* its gate is open */
	struct vgpu *leaving;    /* was it; the next one waits for it to drain */
	struct vgpu *overlapped; /* had not drained when the holder was given the grant */
	struct vgpu *tails;      /* closed, with kernels in flight yet */
	bool exact;              /* others want it, or a limit holds: wall time is charged */
	bool limited;
	uint32_t besides;
	uint32_t wants; /* vGPUs of which the scheduler was told that they want the GPU */
	uint64_t slice_ns_now, again, give_at, drained_at, charged_at;
	uint64_t cost_ns, told_ns; /* of a hand-over: learned, and what the scheduler was told */
	struct timer decide, wake;
	/* figures */
	struct vgpu **vgpus;
	uint32_t n_vgpus, cap_vgpus, wanting /* vGPUs with work */;
	struct sim_gpu_result sum, warm;
};

struct sim {
	const struct sim_config *c;
	uint64_t now, end;
	struct events events;
	struct gpu *gpus;
	struct place_gpu *places;
	struct vgpu *vgpus;
	struct sim_load_result *load;
	struct sim_result *r;
	struct timer window, warm, watchdog;
	uint64_t n_events, refused;
	double jain_sum;
	double *scratch; /* room for all vGPUs */
	bool failed;     /* memory is lacking */
	bool is_warm;
};

/* ---- device.c ---- */

void device_init(struct gpu *g);
/* Count the time up to now to whom it belongs. */
void device_account(struct gpu *g);
/* A kernel is in p's ring of kernels now, after those before it. */
void device_issue(struct gpu *g, struct process *p);
/* Everything that p has in flight is gone. */
void device_kill(struct gpu *g, struct process *p);

/* ---- gate.c: what pvgpud and the workers' gates do ---- */

int gate_init(struct gpu *g);
void gate_init_vgpu(struct vgpu *v);
void gate_free(struct gpu *g);
int gate_attach(struct vgpu *v);
void gate_detach(struct vgpu *v);
/* p got work: issue what may be, or ring. */
void gate_work(struct process *p);
/* A kernel of p ended, of that length. */
void gate_ended(struct process *p, uint64_t length);
/* The watchdog's. */
void gate_hold(struct vgpu *v);
/* Charge all time up to now. */
void gate_charge(struct gpu *g);

/* ---- load.c ---- */

int load_init(struct vgpu *v);
void load_begin(struct vgpu *v);
void load_stop(struct vgpu *v);
void load_free(struct vgpu *v);
/* Put the next kernel of p's requests in flight; false: there is none. */
bool load_issue(struct process *p);
/* p's oldest kernel is done: its request, too, perhaps. */
void load_kernel_end(struct process *p);
bool load_waiting(const struct process *p); /* has kernels to issue */

#endif
