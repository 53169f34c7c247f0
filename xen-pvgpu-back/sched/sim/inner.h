/* SPDX-License-Identifier: MIT */
/* Shared by the files of the simulation. */
#ifndef PVGPU_SCHED_SIM_INNER_H
#define PVGPU_SCHED_SIM_INNER_H

#include "xen-pvgpu-back/sched/sim/sim.h"
#include "xen-pvgpu-back/sched/turn/internal.h"

/* As in sched/turn/window.c and joint.c. */
#define UNLIKE_NS    1500000u
#define SOON_BACK_NS 1000000000u
#define SHOWN_NS     5000000u

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
	bool told;       /* the scheduler knows that it wants the GPU */
	bool on_gpu;     /* at the last look, while it holds the grant */
	uint32_t users;  /* processes with work on the GPU at the last look; at least 1 */
	bool undrained;  /* in g->undrained */
	struct vgpu *undrained_next;
	bool issued; /* since it got the grant nothing was parked at some time, which it has told */
	bool dry;    /* its turn has ended before its last work */
	uint32_t dry_turns; /* a bit for each of its last turns: it ended because it ran dry */
	uint64_t undrained_since, drain_ns; /* estimated drain; 0: nothing is learned from it */
	uint32_t drain_q8;                  /* measured drain divided by the estimate; 256 is 1 */
	uint64_t alone_ns, budget_ns; /* reported but not charged; bound of the next charge of it */
	/* at_once.c */
	bool joint, joint_open; /* has the GPU with others at once, or is held; its gate is open */
	bool as_issued;         /* what drains is charged by what was issued */
	uint64_t issued_ns, issued_seen, full_from, idle_since;
	uint64_t issued_at; /* the last time, or its grant */
	bool had_rest;      /* was idle in this window */
	bool held;          /* the watchdog keeps its gate closed */
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
	size_t index; /* also the index in s->places */
	/* device.c */
	enum device_state state;
	struct process *cur, *last;  /* running or being switched to; context that is loaded */
	uint32_t contexts;           /* in the ring */
	uint64_t since_ns, slice_ns; /* time of the last account; begin of the hardware slice */
	struct timer device;
	/* gate.c */
	struct sched *sched;
	struct sched_params params;
	struct sched_group **groups;
	struct vgpu *holder;     /* its gate is open */
	struct vgpu *leaving;    /* the former holder, while the next one waits for it to drain */
	struct vgpu *overlapped; /* had not drained when the holder got the grant */
	struct vgpu *undrained;  /* closed, with kernels still in flight */
	bool exact;              /* wall time is charged */
	bool limited;   /* no other vGPU may have the GPU, but the holder's share is limited */
	uint32_t wants; /* vGPUs that the scheduler knows to want the GPU */
	uint32_t inhabited[SCHED_CLASSES]; /* vGPUs, by class */
	uint64_t wanted_at[SCHED_CLASSES]; /* one began to want the GPU; 0: none has */
	bool alike;                        /* all have the same weight */
	uint64_t slice_ns_now, again, give_at, given_at, drained_at, charged_at;
	uint64_t queued_until;     /* the holder's work is behind the former holder's */
	uint64_t dry_at;           /* when the holder may be about to run dry */
	uint64_t cost_ns, told_ns; /* cost of a hand-over, measured, and as told to the scheduler */
	struct timer decide, wake;
	bool joint;      /* several have the GPU at once (at_once.c) */
	bool joint_left; /* `leaving` is one of several that had it: the next one waits for all */
	uint32_t joints;
	uint64_t joint_at;       /* the next look at all of them, */
	uint64_t joint_last;     /* and the last */
	uint64_t joint_charged;  /* since then, to all vGPUs */
	uint64_t joint_inflight; /* of all of them together, at the last look */
	uint64_t ahead_ns;       /* one that is ahead by more is held */
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

/* ---- gate.c: pvgpud and the workers' gates ---- */

int gate_init(struct gpu *g);
void gate_init_vgpu(struct vgpu *v);
void gate_end(struct gpu *g);
int gate_attach(struct vgpu *v);
void gate_detach(struct vgpu *v);
/* p got work: issues it as far as allowed, or rings. */
void gate_work(struct process *p);
/* A kernel of p, of that length, has ended. */
void gate_ended(struct process *p, uint64_t length);
/* For the watchdog: closes the gate for good. */
void gate_hold(struct vgpu *v);
/* Charges the time up to now. */
void gate_charge(struct gpu *g);

/* For ends.c and at_once.c. */
void gate_bell(struct vgpu *v, uint64_t in);
bool gate_is_below(const struct vgpu *v); /* has it a neighbour of a higher class? */
void gate_look(struct vgpu *v);
void gate_pump(struct vgpu *v);
void gate_set_undrained(struct vgpu *v, bool undrained);
void gate_charge_one(struct vgpu *v, uint64_t ns);
void gate_charge_alone(struct vgpu *v, uint64_t passed);
void gate_charge_forget(struct vgpu *v);
/* GPU time of its work in flight by its workers' estimates, and what is left of that by now. */
uint64_t gate_in_flight(const struct vgpu *v);
uint64_t gate_left(const struct vgpu *v);

/* ---- ends.c: turns that end before their holder runs dry ---- */

/* Nothing of v is parked any more, which its workers tell once in a turn. */
void ends_issued(struct vgpu *v);
/* Time until all work that v has ends, by its workers' estimates. */
uint64_t ends_in(const struct vgpu *v);
/* Does v's turn end before its last work, or has it? It does not count as one that wants the GPU
 * then. Of the holder g->dry_at says when to look again. */
bool ends_look(struct vgpu *v);

/* ---- at_once.c: the GPU for several at once ---- */

/* p has issued a kernel; its vGPU has no room for more in flight. */
void at_once_issued(struct process *p, uint64_t estimate_ns);
void at_once_full(struct vgpu *v);
bool at_once_may(const struct vgpu *v); /* may it have the GPU with others at once? */
void at_once_look(struct gpu *g);
uint64_t at_once_charge(struct gpu *g, uint64_t passed);
/* False: they take turns. */
bool at_once_decide(struct gpu *g, struct vgpu *next);
void at_once_leave(struct vgpu *v);

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
