/* SPDX-License-Identifier: MIT */
/* Shared by the files of the simulation. */
#ifndef PVGPU_SCHED_SIM_INNER_H
#define PVGPU_SCHED_SIM_INNER_H

#include "xen-pvgpu-back/sched/sim/sim.h"
#include "xen-pvgpu-back/sched/turn/turn.h"

struct sim;

/* ---- events.c: timers in one heap, in order of time, then of setting ---- */

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

/* Makes room for n more timers. */
int events_room(struct events *e, size_t n);
void timer_set(struct events *e, struct timer *t, uint64_t at);
void timer_stop(struct events *e, struct timer *t);
struct timer *events_pop(struct events *e);

/* ---- dist.c ---- */

uint64_t rng_next(uint64_t *state);
double rng_unit(uint64_t *state); /* above 0, up to 1 */
/* A draw, rounded, from least to 2^52. */
uint64_t dist_count(const struct sim_dist *d, uint64_t *state, uint64_t least);

/* ---- rings of fixed-size elements that grow ---- */

struct kernel {
	uint64_t left_ns, estimate_ns, length_ns;
};
struct request {
	uint64_t arrived_ns;
	uint64_t length_ns; /* of a trace: GPU time of all its kernels; else 0 */
	uint32_t to_issue, to_end;
	bool endless;
};
struct ring {
	void *at;
	uint32_t head, n, cap;
};
/* NULL: out of memory. */
void *ring_push(struct ring *r, size_t size);
void *ring_at(const struct ring *r, size_t size, uint32_t i);
void ring_pop(struct ring *r);

/* ---- objects ---- */

struct process {
	struct turn_session session; /* first: its gate */
	struct vgpu *v;
	uint64_t rng;
	struct timer arrival;
	struct ring requests, kernels; /* waiting or in flight; in flight */
	uint32_t issuing;              /* index of the request that the next kernel belongs to */
	uint64_t inflight_ns;          /* estimated */
	uint64_t estimate_ns;          /* of the next kernel */
	uint64_t on_until_ns;
	size_t row;
	bool endless_done;
	/* The device's ring of contexts with kernels in flight. */
	struct process *prev, *next;
	uint64_t began_ns; /* when its oldest kernel reached the front */
	/* worker.c */
	struct timer rung;
	bool sleeps;      /* it has parked work and has rung */
	bool issued;      /* nothing is parked since the gate has opened */
	uint64_t busy_ns; /* of kernels that have ended, as measured alone or estimated */
	uint64_t commands, full;
};

struct vgpu {
	struct turn_vgpu turn; /* first: its turns; turn.sched NULL: native, or removed */
	struct sim *s;
	const struct sim_vgpu_spec *spec;
	const struct sim_load *load;
	struct gpu *g; /* NULL: not attached */
	struct place_want want;
	struct process *process; /* spec->processes of them */
	uint32_t n_process, busy_processes /* with requests */;
	struct timer bell, come, go;
	uint32_t in_gpu; /* index in g->vgpus */
	bool had_rest;   /* was idle in this window */
	bool held;       /* the watchdog keeps its gate closed */
	uint64_t held_ns;
	uint64_t busy_ns, busy_window, busy_warm, charged_warm;
	uint64_t requests, grants_warm, longest_wait;
	double latency_sum;
	uint64_t killed_ns;
	uint32_t load_ppm;
};

enum device_state { DEVICE_IDLE, DEVICE_SWITCH, DEVICE_RUN };

struct gpu {
	struct sim *s;
	size_t index; /* also the index in s->places */
	/* device.c */
	enum device_state state;
	struct process *cur, *last;  /* running or being switched to; context that is loaded */
	uint32_t contexts;           /* in the ring */
	uint64_t since_ns, slice_ns; /* time of the last account; begin of the hardware slice */
	struct timer device;
	/* driver.c */
	struct turns turns;
	struct sched_group **groups;
	struct timer decide;
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
	bool failed;     /* out of memory */
	bool over;
	bool is_warm;
};

/* ---- device.c ---- */

void device_init(struct gpu *g);
/* Accounts for the time up to now. */
void device_account(struct gpu *g);
/* A kernel was appended to p's ring of kernels. */
void device_issue(struct gpu *g, struct process *p);
/* Drops all that p has in flight. */
void device_kill(struct gpu *g, struct process *p);

/* ---- worker.c: the workers' side of the gates ---- */

/* p got work: issues it as far as allowed, or rings. */
void worker_works(struct process *p);
/* A kernel of p has ended. */
void worker_ended(struct process *p);
/* It has taken a ring; arg: the process. */
void worker_rung(struct sim *s, void *arg);
struct turn_report worker_report(const struct process *p);

/* ---- driver.c: in the place of pvgpud ---- */

int driver_init(struct gpu *g);
void driver_init_vgpu(struct vgpu *v);
void driver_end(struct gpu *g);
int driver_attach(struct vgpu *v);
void driver_detach(struct vgpu *v);
/* A worker of v rings. */
void driver_bell(struct vgpu *v, uint64_t in);
/* For the watchdog: closes the gate for good. */
void driver_hold(struct vgpu *v);
/* Brings charges and counts up to now. */
void driver_account(struct gpu *g);

/* ---- load.c ---- */

int load_init(struct vgpu *v);
void load_begin(struct vgpu *v);
void load_stop(struct vgpu *v);
void load_free(struct vgpu *v);
/* Puts the next kernel of p's requests in flight; false: there is none. */
bool load_issue(struct process *p);
/* p's oldest kernel is done, and with its last kernel also a request. */
void load_kernel_end(struct process *p);
bool load_waiting(const struct process *p); /* has kernels to issue */
/* How many those are, or most if they are more. */
uint64_t load_parked(const struct process *p, uint64_t most);

#endif
