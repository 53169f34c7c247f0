/* SPDX-License-Identifier: MIT */
/* What gate.c, limits.c and schedule.c share, and nobody else sees. Times are CLOCK_MONOTONIC ns.
 */
#ifndef PVGPU_SCHEDULE_STATE_H
#define PVGPU_SCHEDULE_STATE_H

#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/entitle.h"
#include "xen-pvgpu-back/daemon/schedule.h"
#include "xen-pvgpu-back/sched/rate.h"

/* One of a vGPU's rate limits, spread over its sessions. */
struct limit {
	struct rate rate;
	uint64_t per_s; /* 0: none */
	uint64_t half;  /* of the burst */
};

struct gate {
	TAILQ_ENTRY(gate) link;
	struct seat *seat;
	struct pvgpu_gate *word;       /* ours; the worker cannot write it */
	struct pvgpu_gate_report *far; /* the worker's: only gate.c looks */
	int to_worker, to_pvgpud;
	ev_io io;
	struct pvgpu_gate_report last; /* as last taken */
	struct entitle entitle;
	uint64_t taken_at;
	bool adopted;             /* what its first report counts was counted before */
	bool open, kept;          /* kept: closed whatever the seat is granted */
	bool closing;             /* closed, and not known to have drained */
	uint64_t closed_at;       /* while closing */
	uint64_t opened_at;       /* while open */
	uint64_t opened_commands; /* as reported then */
	uint64_t undrained;       /* closed_at before, if this is no turn and it had not drained */
	uint64_t open_ns;         /* before opened_at */
	uint64_t commands, bytes; /* allowed, as the word says */
};

struct seat {
	TAILQ_ENTRY(seat) link;
	struct schedule *s;
	struct sched_vgpu *v;
	struct seat_policy policy;
	TAILQ_HEAD(, gate) gates;
	unsigned int gate_n;
	bool wants;         /* as the library was told */
	unsigned int users; /* workers with work there, 1 at least */
	bool on_gpu;        /* has work there, as last known, while it holds the grant */
	bool tail; /* the grant was taken from it and its work has not drained: in s->tails */
	TAILQ_ENTRY(seat) tail_link, look_link;
	bool look; /* a worker of it has rung: in s->looks */
	uint64_t tail_since;
	/* hang.c */
	bool hangs;  /* its work has not drained for long */
	bool beside; /* its gates are open beside the holder's, since another one hangs */
	uint64_t hang_used, hang_seen;
	uint64_t drain_ns;  /* that it said it needs, when the grant was taken */
	uint32_t drain_q8;  /* what it has needed, by what it said: 256 is 1 */
	uint64_t budget_ns; /* wall time that may yet be charged for what it has done alone */
	uint64_t alone_ns;  /* GPU time reported and not charged yet */
	uint64_t ahead_ns;  /* charged for the far end, of what is not reported yet */
	struct limit commands, bytes;
	uint64_t limits_at; /* its limits are to be looked at; SCHED_NEVER: when it rings */
	bool throttled;
	uint64_t throttled_at;
	struct seat_stats *count; /* perhaps the one behind it */
	struct seat_stats own;
	struct sched_stats seen; /* the library's, as last added to count */
	unsigned int bells;      /* in the window */
	uint64_t window_end;
	bool muted;
};

struct schedule {
	struct ev_loop *loop;
	char name[40];
	struct sched_params params;
	struct sched *lib;
	int timer;
	ev_io timer_io;
	TAILQ_HEAD(, seat) seats, tails, looks;
	unsigned int awaited;                  /* workers */
	unsigned int inhabited[SCHED_CLASSES]; /* seats that have a gate */
	unsigned int muted;                    /* seats that are not listened to */
	uint64_t limits_at;                    /* the first of theirs, or earlier */
	unsigned int wanting;                  /* seats of which the library knows that they want */
	struct seat *holder;                   /* its gates are open */
	struct seat *leaving;                  /* was it; the next waits for it to drain */
	struct seat *overlapped;               /* was, and the next has the grant already */
	uint64_t give_at;                      /* when that is about done */
	/* hang.c */
	bool together; /* all that want the GPU have their gates open */
	unsigned int besides;
	bool with_hanging; /* those that hang, too */
	uint64_t together_seen, phase_end;
	uint64_t drained_at; /* 0: not yet */
	bool stopped;
	bool exact; /* the holder keeps its flags exact: others want, or its share is limited */
	bool limited_share; /* exact though nobody else wants the GPU */
	uint64_t slice_ns;
	uint64_t charged_at; /* up to then everything is charged */
	uint64_t again;      /* as decided */
	uint64_t armed;      /* the timer; SCHED_NEVER: not */
	uint64_t late_ns;    /* how late the timer is, averaged */
	uint64_t cost_ns;    /* of a hand-over, averaged */
	uint64_t told_ns;    /* of that, the library */
	uint64_t handovers, wakeups;
};

uint64_t schedule_now(void);

/* gate.c */
/* Copy the report, count what has grown. */
void gate_take(struct gate *g, uint64_t now);
void gate_set_open(struct gate *g, bool open, uint64_t now);
/* Set the words that hold while it has the grant; rings when the worker has to look. */
void gate_tell(struct gate *g, bool contended, bool learn, uint64_t inflight_ns);
/* What is to be while pvgpud is away; all of the pool's gates have it, open or not. */
void gate_set_exclusive(struct gate *g, bool exclusive);
/* Now, and not when its report was last taken: to be asked after a word of ours was stored. */
bool gate_sleeps(const struct gate *g);
/* Has it work that it may do if it gets the grant? */
bool gate_wants(const struct gate *g);

/* limits.c */
void limits_set(struct seat *t, uint64_t now);
void limits_join(struct gate *g, uint64_t now);
/* An adopted worker's counts begin there. */
void limits_based(struct gate *g, const struct pvgpu_gate_report *r);
/* Give what there is to those that have used up theirs. When to look again. */
uint64_t limits_run(struct seat *t, uint64_t now);
bool limits_used_up(const struct gate *g);

/* hang.c */
/* Does one hang, so that no decision is to be made now? When to look again. */
bool hang_look(struct schedule *s, uint64_t now, uint64_t *at);
/* It has come, or is not kept closed any more: open, if its vGPU has the GPU. */
void hang_join(struct gate *g, uint64_t now);
/* It leaves the schedule. */
void hang_leave(struct seat *t);

/* schedule.c: something has happened */
void schedule_think(struct schedule *s);
/* And this one's workers are to be looked at. */
void schedule_look(struct seat *t);
void schedule_set_tail(struct seat *t, bool tail);
/* Before its schedule, its class or whether it has gates changes, and after. */
void schedule_uncount(struct seat *t);
void schedule_count(struct seat *t);

#endif
