/* SPDX-License-Identifier: MIT */
/*
 * Turns: how the vGPUs of one GPU use it by the decisions of sched.h. They decide which vGPUs
 * are in a turn, how much they may have in flight, when a turn ends and which of them pays. Pure,
 * like sched.h: no clock, file, thread or process. pvgpud (daemon/dispatch) and the simulator
 * (sched/sim) are drivers of the same code.
 *
 * A driver has a struct turns for each GPU. A vGPU has sessions: one for each process that works
 * for it, with a gate that lets its work pass while it is open, and a report of that work. The
 * driver calls turns_step() after each event and at the time that the last call returned. In a step
 * the driver is asked for reports and told what to do by way of struct turn_actions.
 *
 * All reports are hints: one affects the turns of its own vGPU only. Times are ns of one clock that
 * does not go back.
 */
#ifndef PVGPU_SCHED_TURN_H
#define PVGPU_SCHED_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/sched/sched.h"

struct turns;
struct turn_vgpu;

/* A session's account of its work. */
struct turn_report {
	bool wants;   /* it has work, waiting for the gate or in flight */
	bool sleeps;  /* something waits for the gate: work, or work behind a host function */
	bool drained; /* none of its work is on the GPU */
	bool issued;  /* since the gate opened there was a time when nothing was parked */
	bool counts_full;
	uint64_t full;        /* times that there was no room in flight; counts_full: it counts */
	uint64_t parked;      /* commands that wait for the gate */
	uint64_t commands;    /* issued since the session began, */
	uint64_t awaited;     /* and of these ended by a wait of the program's */
	uint64_t inflight_ns; /* estimated GPU time of what is in flight, */
	uint64_t drain_ns;    /* and until all of it has ended, from oldest_ns on */
	uint64_t busy_ns;     /* GPU time of what has ended */
	uint64_t oldest_ns;   /* when the oldest work in flight began; 0: nothing is in flight */
};

/* The terms for work of a session while its gate is open. */
struct turn_window {
	uint64_t inflight_ns; /* the most that may be in flight, in time to drain */
	bool contended;       /* others wait: the session must report each change */
	bool learn;           /* no other vGPU's work is on the GPU: lengths may be learned */
	bool tell_issued;     /* report when nothing is parked any more */
};

struct turn_session {
	TAILQ_ENTRY(turn_session) link;
	struct turn_vgpu *vgpu;
	struct turn_report last;
	struct turn_window window; /* as told */
	bool open;
	bool closing; /* the gate is closed, and its work has not drained yet, as far as is known */
	bool kept;    /* the driver keeps the gate closed, even in a turn */
	bool adopted; /* its first report is the baseline of its counters */
	bool full;    /* it had no room in flight since the last look */
	/* Set by the driver with each report: a rate limit holds back what is parked. */
	bool limited;
};

enum turn_state {
	TURN_OUT,         /* it has no turn, and no work on the GPU */
	TURN_ALONE,       /* has the grant and the only turn: its gates are open */
	TURN_MEMBER,      /* has a turn with others at once: its gates are open */
	TURN_HELD,        /* one of several at once, closed: it is ahead, or has just come */
	TURN_HELD_DRAINS, /* likewise, and its work has not drained yet */
	TURN_DRAINS,      /* its turn is over, and its work has not drained yet */
	TURN_HELPED,      /* likewise, and its gates are open for a moment */
	TURN_STATES
};

enum turn_event {
	TURN_GRANT,     /* it gets the grant */
	TURN_CLOSE,     /* its gates close */
	TURN_BUSY,      /* closed, it has work on the GPU */
	TURN_DRAINED,   /* it has none any more */
	TURN_JOIN,      /* it becomes one of several at once */
	TURN_OPEN,      /* the gates of one of several open */
	TURN_DROP,      /* it is one of several no more */
	TURN_HELP,      /* it should have drained, and something waits for its gate */
	TURN_HELP_OVER, /* the moment is over */
	TURN_EVENTS
};

struct turn_vgpu {
	TAILQ_ENTRY(turn_vgpu) link, leaver_link, look_link;
	struct turns *turns;
	struct sched_vgpu *sched;
	struct sched_share share;
	TAILQ_HEAD(, turn_session) sessions;
	unsigned int session_n;
	enum turn_state state;
	bool wants;          /* as told to the library */
	bool look;           /* the driver has news of it: in turns->looks */
	bool on_gpu;         /* had work on the GPU at the last look, while it holds the grant */
	unsigned int users;  /* sessions with work on the GPU, at least 1 */
	uint64_t issued_at;  /* the last look at which it had issued more, or its grant */
	uint64_t issued;     /* estimated GPU time of all that its sessions have issued */
	uint64_t charged_ns; /* since it joined these turns */
	uint64_t grants;
	/* leavers.c */
	uint64_t drains_since;
	uint64_t drain_ns; /* GPU time in flight that it reported when it lost the grant */
	uint32_t drain_q8; /* measured drain divided by the reported one; 256 is 1 */
	struct {
		uint64_t at, wait; /* the next moment's begin, or its end; 0: not known yet */
	} help;
	/* dry.c */
	bool dry;           /* its turn has ended before its last work, with nothing parked */
	uint32_t dry_turns; /* a bit for each of its last turns: it ended because it ran dry */
	/* pause.c */
	struct {
		uint64_t since; /* it has had no work; 0: it has some */
		uint64_t from;  /* charged by the end of its last pause */
		uint64_t burst; /* charged between the last two */
		uint64_t ns;    /* average of its pauses */
	} pause;
	/* joint.c: several at once */
	struct {
		bool asked;         /* its sessions report every change */
		unsigned int still; /* looks since it issued something */
		uint64_t seen;      /* issued at the last look at all */
		uint64_t full_from; /* issued when it was last seen to fill its window */
		uint64_t idle_since;
	} joint;
	/* charge.c */
	bool as_issued; /* what drains is charged by what was issued, as joint turns are */
	struct {
		uint64_t budget_ns;   /* wall time not charged yet, the most that is charged */
		uint64_t reported_ns; /* GPU time reported but not charged yet */
		uint64_t ahead_ns;    /* charged by the driver's account, not reported yet */
	} account;
	/* Use as the driver counts it, divided by what was issued; 256 is 1. Between two
	 * comparisons: issued by then, and use counted since. */
	struct {
		uint32_t q8;
		uint64_t from, used;
		enum { RATE_NONE, RATE_BEGUN, RATE_KNOWN } known;
	} rate;
};

/* How a step acts on sessions. */
struct turn_actions {
	/* Calls turns_report() for each of its sessions. */
	void (*report)(struct turn_vgpu *v, uint64_t now);
	void (*open)(struct turn_session *s, uint64_t now);
	/* True: it has work in flight. */
	bool (*close)(struct turn_session *s, uint64_t now);
	/* The window differs from what was told, or is the same. */
	void (*tell)(struct turn_session *s, const struct turn_window *w);
	void (*charge)(struct turn_vgpu *v, uint64_t ns);
	/* It has the grant that it waited for since the last call of waits(). */
	void (*granted)(struct turn_vgpu *v, uint64_t now);
	void (*waits)(struct turn_vgpu *v, uint64_t now);
};

struct turns {
	struct sched *lib;
	struct sched_params params;
	const struct turn_actions *act;
	TAILQ_HEAD(, turn_vgpu) vgpus, leavers, looks; /* leavers: state_leaves() */
	unsigned int awaited; /* sessions whose gates are not there yet: set by the driver */
	unsigned int wanting; /* vGPUs that the library knows to want the GPU */
	unsigned int inhabited[SCHED_CLASSES]; /* vGPUs with a session, by class */
	uint64_t wanted_at[SCHED_CLASSES];     /* one began to want the GPU; 0: none has */
	bool alike[SCHED_CLASSES];             /* they have the same weight; */
	bool weighed;                          /* it has been looked at since the last change */
	struct turn_vgpu *holder;              /* has the grant: its gates are open */
	struct turn_vgpu *leaving;    /* the former holder, while the next one waits for it */
	struct turn_vgpu *overlapped; /* a former holder that drains while the next has the grant */
	uint64_t give_at;             /* when the drain of `leaving` is expected to be done */
	uint64_t given_at;            /* when the holder got the grant */
	uint64_t drained_at;          /* when `leaving` had drained; 0: not yet */
	uint64_t dry_at;              /* when the holder may be about to run dry; SCHED_NEVER */
	uint64_t pause_at;            /* when its pause is over; SCHED_NEVER */
	struct {
		bool on;              /* several vGPUs have the GPU at once */
		bool left;            /* `leaving` is one of several: the next one waits for all */
		unsigned int n;       /* members */
		uint64_t at;          /* the next look at all of them, */
		uint64_t last;        /* and the last */
		uint64_t charged;     /* since then, to all vGPUs */
		uint64_t inflight_ns; /* of all of them together, at the last look */
		uint64_t ahead_ns;    /* one that is ahead by more is held */
	} joint;
	bool exact; /* the holder's flags are exact: others want the GPU, or its share is limited
		       and it rests */
	bool limited_share; /* no other vGPU may have the GPU, but the holder's share is limited */
	uint64_t slice_ns;
	uint64_t again;        /* time of the next decision */
	uint64_t charged_at;   /* all time before is charged, */
	uint64_t doubt_ns;     /* but for this, whose it will be known: charge.c */
	uint64_t queued_until; /* the holder's work is behind that of `overlapped` */
	bool no_doubt;         /* since the hand-over it has taken too long to be known */
	uint64_t armed;        /* when the driver's timer fires, set by it; SCHED_NEVER: not set */
	uint64_t late_ns;      /* average delay of that timer */
	uint64_t cost_ns;      /* average cost of a hand-over, */
	uint64_t told_ns;      /* and as told to the library */
	bool cost_given;       /* which was told that it is params.handover_ns */
	uint64_t handovers, decisions;
	uint64_t charged_ns; /* to all vGPUs */
	uint64_t waste_ns;   /* one waited for the GPU while none had work there */
};

/* The most GPU time in flight of a vGPU that no other vGPU waits for. */
#define TURN_ALONE_NS 2000000u
/* A former holder's work that takes longer to drain is not waited for in a pool that is not
 * exclusive: the next vGPU has its turn beside it. */
#define TURN_WAIT_NS  30000000u
#define TURN_NEVER_NS (UINT64_MAX / 4) /* no counter grows so far */

/* 0, or -ENOMEM. p->handover_ns 0: the cost of a hand-over is measured. */
int turns_init(struct turns *t, const struct sched_params *p, const struct turn_actions *act,
	       uint64_t now);
/* All vGPUs must have been removed. */
void turns_end(struct turns *t);
/* Settings change, but for the cost of a hand-over. */
void turns_set(struct turns *t, const struct sched_params *p, uint64_t now);
/* Charges the time up to now. To be called before a group's settings change. */
void turns_charge(struct turns *t, uint64_t now);

/* Charges, asks for reports, decides, opens and closes gates. Returns when to call again at the
 * latest; SCHED_NEVER: at the next event. */
uint64_t turns_step(struct turns *t, uint64_t now);
/* The driver's timer has fired, which was set to turns->armed. */
void turns_fired(struct turns *t, uint64_t now);

/* Once for each vGPU, before it joins. */
void turn_vgpu_init(struct turn_vgpu *v);
/* It joins; group NULL: none. 0, or -ENOMEM. */
int turns_add(struct turns *t, struct turn_vgpu *v, struct sched_group *group,
	      const struct sched_share *share, uint64_t now);
/* It goes to other turns, and has no session. 0, or -ENOMEM with nothing changed. */
int turns_move(struct turn_vgpu *v, struct turns *to, struct sched_group *group, uint64_t now);
/* It leaves, and keeps what is known of it. It has no session. */
void turns_remove(struct turn_vgpu *v, uint64_t now);
void turns_set_share(struct turn_vgpu *v, const struct sched_share *share, uint64_t now);
/* There is news of its sessions: the next step asks for reports. */
void turns_news(struct turn_vgpu *v);
/* Its use as the driver's account counts it: charge ns beyond what was charged; so much was counted
 * in all. */
void turns_charge_more(struct turn_vgpu *v, uint64_t ns, uint64_t now);
void turns_measured(struct turn_vgpu *v, uint64_t used_ns);

/* A session begins, with its gate closed. adopted: it may have work in flight. */
void turns_join(struct turn_vgpu *v, struct turn_session *s, bool adopted);
/* Opens the gate of one that has joined, or is not kept closed any more, if its vGPU's are open. */
void turns_admit(struct turn_session *s, uint64_t now);
void turns_leave(struct turn_session *s);
void turns_report(struct turn_session *s, const struct turn_report *r);
/* on: the gate stays closed even while its vGPU has the grant. */
void turns_keep_closed(struct turn_session *s, bool on, uint64_t now);
/* GPU time of all that the session has issued, by its estimates. */
uint64_t turn_issued_ns(const struct turn_report *r);

#endif
