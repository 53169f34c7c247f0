/* SPDX-License-Identifier: MIT */
/* The state of schedules, shared by schedule.c, charge.c, joint.c, dry.c, tenant.c,
 * gate.c, rate_limits.c and help.c only.
 * Times are CLOCK_MONOTONIC ns. */
#ifndef PVGPU_SCHEDULE_STATE_H
#define PVGPU_SCHEDULE_STATE_H

#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/dispatch/entitle.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/sched/rate.h"

/* A rate limit: one of a vGPU's, over all its sessions, or one of struct rates. */
struct limit {
	struct rate rate;
	uint64_t per_s;       /* 0: none */
	uint64_t half;        /* of the burst */
	unsigned int waiting; /* of struct rates: members that it holds back */
};

/* Limits of several vGPUs together. */
struct rates {
	TAILQ_HEAD(, tenant) members;
	unsigned int gate_n;
	struct limit commands, bytes;
};

/* A vGPU's part of one of its group's limits. */
struct from_group {
	bool waits;
	uint64_t tokens; /* taken from the bucket for it, not in an allowance yet */
};

struct gate {
	TAILQ_ENTRY(gate) link;
	struct tenant *tenant;
	struct pvgpu_gate *word;       /* written by pvgpud only */
	struct pvgpu_gate_report *far; /* written by the worker; read in gate.c only */
	int bell;                      /* pvgpud's end of both bells: gate.h */
	bool hung_up;                  /* the worker has closed its end */
	ev_io io;
	struct pvgpu_gate_report last; /* as last taken */
	struct entitle entitle;
	uint64_t taken_at;
	uint32_t learns;            /* times without other vGPUs' work */
	bool counts_full, was_full; /* it counts when it has no room in flight; it has */
	bool adopted;               /* its first report is the baseline of its counters */
	bool open, kept;            /* kept: closed even while the tenant has the grant */
	bool closing;               /* closed, and not known to have drained */
	uint64_t closed_at;         /* while closing */
	uint64_t opened_commands;   /* as reported then */
	uint64_t former_closed_at;  /* the former closed_at, if it was opened without a grant before
				it had drained */
	uint64_t commands, bytes;   /* allowances, as in *word */
	/* latency.c: as last taken */
	struct pvgpu_latency waits, kernels;
	uint64_t waits_commands, waits_at;
};

struct tenant {
	TAILQ_ENTRY(tenant) link;
	struct schedule *s;
	struct sched_vgpu *v;
	struct tenant_policy policy;
	TAILQ_HEAD(, gate) gates;
	unsigned int gate_n;
	bool wants;         /* as told to the library */
	unsigned int users; /* workers with work on the GPU, at least 1 */
	bool on_gpu;        /* had work on the GPU at the last look, while it holds the grant */
	bool undrained;     /* it lost the grant and has not drained yet: in s->undrained */
	TAILQ_ENTRY(tenant) undrained_link, look_link;
	bool look; /* one of its workers has rung: in s->looks */
	uint64_t undrained_since;
	/* help.c */
	bool helped; /* its gates are open for a moment, though it has not drained */
	uint64_t help_at, help_wait; /* the next moment's begin, or its end; 0: not known yet */
	uint64_t drain_ns;  /* GPU time in flight that it reported when it lost the grant */
	uint32_t drain_q8;  /* measured drain divided by the reported one; 256 is 1 */
	uint64_t budget_ns; /* wall time not charged yet, a bound for the charge of reported use */
	uint64_t alone_ns;  /* GPU time reported but not charged yet */
	uint64_t ahead_ns;  /* charged by the driver's accounting, not reported by workers yet */
	bool dry; /* its turn has ended before its last work, with nothing parked: dry.c */
	uint32_t dry_turns; /* a bit for each of its last turns: it ended because it ran dry */
	struct limit commands, bytes;
	struct rates *together; /* its group's limits; NULL: it has no group */
	TAILQ_ENTRY(tenant) together_link;
	struct from_group group_commands, group_bytes;
	uint64_t limits_at; /* when its allowances are due; SCHED_NEVER: when it rings */
	bool throttled;
	uint64_t throttled_at;
	uint64_t issued_at; /* the last look at which it had issued more, or its grant */
	/* joint.c */
	bool joint;           /* has the GPU with others at once, or is held because it is ahead */
	bool joint_open;      /* its gates are open */
	bool asked;           /* its workers report every change */
	unsigned int still;   /* looks since it issued something */
	bool as_issued;       /* what drains is charged by what was issued, as joint turns are */
	uint64_t issued;      /* estimated GPU time of all that its workers have issued */
	uint64_t issued_seen; /* at the last look at all */
	uint64_t full_from;   /* as it was when it was last seen to fill its queue */
	uint64_t idle_since;
	/* Use as the driver counts it, divided by what was issued; 256 is 1. Between two
	 * comparisons: issued by then, and use counted since. */
	uint32_t rate_q8;
	uint64_t rate_from, rate_used;
	enum { RATE_NONE, RATE_BEGUN, RATE_KNOWN } rate_known;
	uint64_t charged_ns;        /* since it joined the schedule */
	struct tenant_stats *count; /* &own, or the caller's */
	struct tenant_stats own;
	struct sched_stats seen; /* the library's counters, as last added to *count */
	unsigned int bells;      /* in the window */
	uint64_t window_end;
	bool muted;
	unsigned int want_turn; /* the loop's, in which it began to wait for the grant */
	uint64_t want_at;       /* the time of that */
};

struct schedule {
	struct ev_loop *loop;
	char name[40];
	struct sched_params params;
	struct sched *lib;
	int timer;
	ev_io timer_io;
	TAILQ_HEAD(, tenant) tenants, undrained, looks;
	unsigned int awaited;                  /* workers */
	unsigned int inhabited[SCHED_CLASSES]; /* tenants with a gate, by class */
	uint64_t wanted_at[SCHED_CLASSES];     /* one began to want the GPU; 0: none has */
	bool alike[SCHED_CLASSES];             /* they have the same weight; */
	bool weighed;                          /* it has been looked at since the last change */
	unsigned int muted;                    /* muted tenants */
	uint64_t limits_at;        /* the earliest limits_at of its tenants, or earlier */
	unsigned int wanting;      /* tenants that the library knows to want the GPU */
	struct tenant *holder;     /* has the grant: its gates are open */
	struct tenant *leaving;    /* the former holder, while the next one waits for it to drain */
	struct tenant *overlapped; /* a former holder that drains while the next has the grant */
	uint64_t give_at;          /* when the drain of `leaving` is expected to be done */
	uint64_t given_at;         /* when the holder got the grant */
	uint64_t queued_until;     /* the holder's work is behind that of `overlapped` */
	uint64_t dry_at;           /* when the holder may be about to run dry; SCHED_NEVER */
	/* joint.c */
	bool joint;      /* several vGPUs have the GPU at once */
	bool joint_left; /* `leaving` is one of several that had it: the next one waits for all */
	unsigned int joints;
	uint64_t joint_at;       /* the next look at all of them, */
	uint64_t joint_last;     /* and the last */
	uint64_t joint_charged;  /* since then, to all vGPUs */
	uint64_t joint_inflight; /* of all of them together, at the last look */
	uint64_t ahead_ns;       /* one that is ahead by more is held */
	uint64_t drained_at;     /* when `leaving` had drained; 0: not yet */
	bool stopped;
	bool exact; /* the holder's flags are exact: others want the GPU, or its share is limited
		       and it rests */
	bool limited_share; /* no other vGPU may have the GPU, but the holder's share is limited */
	uint64_t slice_ns;
	uint64_t charged_at; /* all time before is charged, */
	uint64_t doubt_ns;   /* but for this, whose it will be known: charge.c */
	bool no_doubt;       /* since the hand-over it has taken too long to be known */
	uint64_t again;      /* time of the next decision */
	uint64_t armed;      /* when the timer fires; SCHED_NEVER: not set */
	uint64_t late_ns;    /* average delay of the timer */
	uint64_t cost_ns;    /* average cost of a hand-over */
	uint64_t told_ns;    /* the cost as told to the library */
	uint64_t handovers, wakeups;
	uint64_t charged_ns;        /* to all its tenants */
	uint64_t waste_ns;          /* one waited for the GPU while none had work there */
	uint64_t waits, wait_turns; /* grants that were waited for; turns of the loop meanwhile */
};

#define NEVER_NS (UINT64_MAX / 4) /* no counter grows so far */

uint64_t schedule_now(void);

/* gate.c */
/* Copies the report and adds its growth to the statistics. */
void gate_take(struct gate *g, uint64_t now);
void gate_set_open(struct gate *g, bool open, uint64_t now);
/* Sets the words that apply while the vGPU has the grant; rings when the worker must look. */
void gate_tell(struct gate *g, bool contended, bool learn, uint64_t inflight_ns);
/* Another vGPU's work comes to the GPU before this one's has ended. */
void gate_learn_no_more(struct gate *g);
/* Is the worker to ring when it has issued all? */
void gate_tell_issued(struct gate *g, bool tell);
/* Sets the word for the time when pvgpud is away, in open and closed gates alike. */
void gate_set_exclusive(struct gate *g, bool exclusive);
/* Reads the page, not the last copy: to be called after a word was stored. */
bool gate_sleeps(const struct gate *g);
/* The estimated time to drain of its work in flight; bounded, so that sums do not overflow. */
uint64_t gate_drain_ns(const struct gate *g);
/* Has it work that it could issue with the grant? */
bool gate_wants(const struct gate *g);

/* latency.c */
/* Adds what the worker has reported since the last call to the vGPU's histograms. */
void latency_take(struct gate *g, uint64_t now);
/* The worker's commands that wait. */
uint64_t latency_parked(const struct gate *g);

/* charge.c */
/* Charges the time since the last charge. */
void charge(struct schedule *s, uint64_t now);
/* Charges a vGPU's use as its workers report it; passed: time that is not charged yet. */
void charge_alone(struct tenant *t, uint64_t passed, uint64_t now);
/* Drop use that is reported and not charged yet: wall time is charged for it instead. */
void charge_forget(struct tenant *t);
/* Likewise, all that have the GPU at once. Returns how many of them have work there. */
uint64_t charge_joint(struct schedule *s, uint64_t passed, uint64_t now);
/* Likewise, what of the time that has passed since the last look is not charged, by what each has
 * issued. */
void charge_joint_rest(struct schedule *s, uint64_t passed, uint64_t now);
/* The former holder has drained, or one of the two is gone: charges the time since the hand-over.
 */
void charge_settle(struct schedule *s, uint64_t now);
/* To be called when the holder has got the grant. */
void charge_granted(struct schedule *s, uint64_t now);
/* From now on the holder's flags are exact and wall time is charged. */
void charge_exactly(struct schedule *s, uint64_t now);

/* joint.c */
/* Decides whether several have the GPU at once, and which of them; next: the library's choice.
 * False: they take turns. */
bool joint_decide(struct schedule *s, struct tenant *next, uint64_t now);
/* A look at its workers; full: one has had no room for more in flight since the last. */
void joint_seen(struct tenant *t, bool full);
/* Has it work in flight, by its workers' last report? Not that which should have ended by now; 0:
 * that too. */
bool joint_busy(const struct tenant *t, uint64_t now);
/* May it have the GPU with others at once? */
bool joint_may(const struct tenant *t);
/* A gate is new, or not kept closed any more. */
void joint_join(struct gate *g, uint64_t now);
/* The vGPU leaves the schedule. */
void joint_leave(struct tenant *t);

/* dry.c */
/* The time to drain of its work in flight, by its workers' estimates when it was issued. */
uint64_t tenant_drain_ns(const struct tenant *t);
/* The rest of that time by now; 0: no work is in flight. */
#define OVERDUE_NS 1u /* it should have ended */
uint64_t tenant_drains_in(const struct tenant *t, uint64_t now);
/* Does its turn end before its last work, or has it? It does not count as one that wants the GPU
 * then. Of the holder s->dry_at says when to look again. */
bool dry_look(struct tenant *t, bool wants, uint64_t now);
/* Its turn is over. */
void dry_turn(struct tenant *t, bool ran_dry);
/* Has it run dry lately? Its workers are to tell when they have issued all. */
bool dry_expected(const struct tenant *t);
/* Time until all known work of the holder has ended, as estimated; 0: not known. */
uint64_t dry_ends_in(const struct tenant *t, uint64_t now);

/* rate_limits.c */
void rate_limits_set(struct tenant *t, uint64_t now);
void rate_limits_join(struct gate *g, uint64_t now);
void rate_limits_leave(struct tenant *t); /* to be called when gate_n has gone down by one */
/* The vGPU is removed: it leaves its group's limits. */
void rate_limits_gone(struct tenant *t);
/* Takes the first report of an adopted worker as the baseline. */
void rate_limits_based(struct gate *g, const struct pvgpu_gate_report *r);
/* Refills allowances that are used up. Returns when to look again. */
uint64_t rate_limits_run(struct tenant *t, uint64_t now);
bool rate_limits_used_up(const struct gate *g);

/* help.c */
/* Helps vGPUs that should have drained. *at: when to look again. */
void help_look(struct schedule *s, uint64_t now, uint64_t *at);

/* schedule.c: charge, look, decide */
void schedule_think(struct schedule *s);
/* The same, with a look at this vGPU's workers. */
void schedule_look(struct tenant *t);
/* A gate is new, or not kept closed any more: opens it if its vGPU's gates are open. */
void schedule_join(struct gate *g, uint64_t now);
void schedule_set_undrained(struct tenant *t, bool undrained);
/* To be called before and after a change of its schedule, its class, or its number of gates. */
void schedule_uncount(struct tenant *t);
void schedule_count(struct tenant *t);
/* Has a vGPU of a higher class a session? */
bool schedule_is_below(const struct tenant *t);
/* Have all of its class that have a session the same weight? */
bool schedule_alike(const struct tenant *t);

#endif
