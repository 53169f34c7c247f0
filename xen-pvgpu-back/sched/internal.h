/* SPDX-License-Identifier: MIT */
/*
 * The internals of the scheduler, shared by its files:
 *   sched.c      events and the decision        queue.c    vGPUs with work, in their orders
 *   settings.c   vGPUs, groups, their settings  maximum.c  maxima, and vGPUs held back
 *   vtime.c      virtual time                   stats.c    counters
 *   wait.c       the longest wait               due.c      the time each is entitled to
 *   heap.c, pace.c, rate.c
 *   fair.c equal.c fixed.c best_effort.c        the policies
 */
#ifndef PVGPU_SCHED_INTERNAL_H
#define PVGPU_SCHED_INTERNAL_H

#include "xen-pvgpu-back/sched/heap.h"
#include "xen-pvgpu-back/sched/pace.h"
#include "xen-pvgpu-back/sched/sched.h"

/* The most that is charged at once: more would be a caller's error. */
#define SCHED_CHARGE_MOST ((uint64_t)1 << 42) /* ns; 73 minutes */
/* Maxima: slices that may be saved, in addition to what is earned while each other vGPU has one. */
#define SCHED_SAVED_SLICES SCHED_REST_SLICES

/* Why the holder has the grant. */
enum reason {
	REASON_SHARE,     /* its turn in its class */
	REASON_GUARANTEE, /* its own guaranteed minimum or its group's */
	REASON_RELIEF,    /* it waited for starve_ns because of other classes and guarantees */
};

/* An element of a heap: a vGPU, or a group on behalf of its vGPUs. */
struct node {
	struct heap_node h;
	struct sched_vgpu *v;
	struct sched_group *g;
};

/* A position in virtual time: GPU time used, divided by weight. */
struct tag {
	uint64_t at;
	uint64_t rest; /* remainder of the division */
	uint64_t lag;  /* how far it was behind the first of the others when it left the queue */
	uint64_t left; /* when it left */
};

/* due.c: a member's part of a level's time. weight 0: it has no work. */
struct due {
	uint64_t weight;
	uint32_t least, most;   /* ppm */
	unsigned __int128 mark; /* the clock when its part began, */
	uint64_t since;         /* and shared_ns then */
};

struct due_level {
	uint64_t weight[SCHED_CLASSES], most[SCHED_CLASSES]; /* sums over members with work */
	unsigned __int128 clock[SCHED_CLASSES];
};

/* The queues of the pool or of a group: members that have work and are not held back. */
struct level {
	struct heap turn[SCHED_CLASSES]; /* by tag */
	struct heap wait[SCHED_CLASSES]; /* all but the holder: by the kept[] of the class when the
					    wait began */
	/* vGPUs that wait in an exclusive pool: until the time that was promised to them, by that;
	 * then by the length of their last turns. */
	struct heap promised[SCHED_CLASSES], overdue[SCHED_CLASSES];
	struct heap owed;              /* members with a guarantee, by its clock */
	uint64_t clock[SCHED_CLASSES]; /* the virtual time */
	/* The virtual time a half to a whole `credit_ns` ago, and later. */
	struct past {
		uint64_t at, clock;
	} past[SCHED_CLASSES][2];
	struct due_level due;
};

struct sched_group {
	struct sched *s;
	struct sched_group *prev, *next;
	struct sched_share share;
	void *owner;
	struct level level;
	struct tag tag[SCHED_CLASSES];
	struct pace max, min;
	struct node turn[SCHED_CLASSES], wait[SCHED_CLASSES], owed, owed_inside, timer;
	uint32_t class_n[SCHED_CLASSES]; /* vGPUs in it, by class */
	uint32_t queued;                 /* vGPUs queued in its level */
	bool held;                       /* held back by its maximum until `timer` */
	uint64_t held_ns, held_since;
	uint64_t weights; /* sum of its vGPUs' */
	struct due due[SCHED_CLASSES];
};

struct sched_vgpu {
	struct sched *s;
	struct sched_vgpu *prev, *next;
	struct sched_group *group;
	struct sched_share share;
	void *owner;
	struct tag tag;
	struct pace max, min;
	struct node turn, wait, promised, overdue, owed, timer;
	bool wants;
	bool held;        /* held back by its maximum until `timer` */
	bool queued;      /* wants the GPU and is not held back */
	bool fresh;       /* no maximum was set yet */
	bool interrupted; /* lost its last grant to a vGPU of its class that had come back */
	bool joint;       /* is one of several that have the GPU at once */
	bool cut;         /* lost its last grant to a higher class before the end of the slice */
	uint64_t mark;    /* kept[] of its class when its wait began */
	uint64_t promise; /* the time from which it goes before vGPUs that are not overdue */
	int64_t lead;     /* saved during a change of policy */
	/* Its last grant: */
	enum reason reason;
	uint64_t slice_used; /* ns charged since its slice began */
	uint64_t prepaid;    /* rest of the minimum charge for a grant, not used yet */
	/* Counters, exact up to `counted`. */
	struct sched_stats stats;
	uint64_t counted, group_held; /* group_held: the group's held_ns at `counted` */
	uint64_t waits_since;
	struct due due;
};

struct policy {
	bool groups;       /* groups have weights of their own; otherwise only maxima */
	bool guarantees;   /* minima count */
	bool virtual_time; /* tags are virtual times (vtime.c) */
	bool pool_wide;    /* limit() depends on all vGPUs of the pool */
	/* The maximum that the policy itself sets: part/whole. */
	void (*limit)(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole);
	/* The weight of its share, relative to others'. */
	uint32_t (*weight)(const struct sched_vgpu *v);
	/* Sets the tag when it enters the queue. */
	void (*begin)(struct sched_vgpu *v);
	/* Advances its tag and its group's by ns of use. */
	void (*use)(struct sched_vgpu *v, uint64_t ns);
	/* Its turn has ended while it still has work. */
	void (*end)(struct sched_vgpu *v);
	/* The longest time for which vGPUs of its class can come before it, if only shares count,
	 * and `more` ns of its group's time go to others of the group in addition. */
	uint64_t (*wait)(const struct sched_vgpu *v, uint64_t more);
};

extern const struct policy policy_fair, policy_equal, policy_fixed, policy_best_effort;

struct sched {
	struct sched_params params;
	const struct policy *policy;
	uint64_t now;
	struct level level;
	struct heap timers; /* held back vGPUs and groups, by the end of that */
	struct sched_vgpu *vgpus;
	struct sched_group *groups;
	uint32_t vgpu_n, class_n[SCHED_CLASSES], wanting;
	uint32_t queued; /* vGPUs that want the GPU and are not held back, but for held groups' */
	bool runs_on;    /* sched_runs_on() */
	bool stale; /* maxima must be computed again: they depend on all vGPUs' settings or on the
		       slice */
	uint64_t fixed_ppm,
		weights; /* sums over vGPUs: fixed shares; weights of vGPUs without one */
	uint64_t shares; /* sum of weights of groups with vGPUs, and of vGPUs without a group */

	struct sched_vgpu *granted; /* has the grant */
	struct sched_vgpu *chosen;  /* shall have the grant, by the last decision */
	enum reason reason;         /* the reason for `chosen` */
	uint64_t slice_from, slice_ns;
	uint64_t ends_at;    /* the holder's known work */
	bool slice_over;     /* the slice has ended before its time */
	uint64_t overrun_ns; /* the most by which one has outlasted its slice; fades with grants */
	uint64_t interrupt_at; /* the next slice may be ended for a vGPU that comes back */

	/* Total time for which each class was kept from the GPU by other classes and guarantees. */
	uint64_t kept[SCHED_CLASSES];
	enum sched_class relief; /* the class that relief is considered for first */
	bool relieved;           /* the last choice was for relief */

	/* due.c */
	uint32_t due_n;               /* vGPUs with work */
	uint64_t due_at, shared_ns;   /* the time up to which clocks are; of it with several */
	uint64_t lone_ns, lone_ended; /* time of one alone that it was not charged for; its end */

	uint64_t turns; /* counter that orders equal keys: first come, first served */
	uint64_t steps;
};

/* sched.c */
void sched_clock(struct sched *s, uint64_t now);
uint64_t sched_slice(const struct sched *s, uint32_t wanting);
/* Not lengthened where hand-overs are dear. */
uint64_t sched_slice_plain(const struct sched *s, uint32_t wanting);
/* The longest turn that is possible with these settings. */
uint64_t sched_turn_most(const struct sched *s);
/* A vGPU that comes back is credited with the GPU time that it was due in the last credit_ns of its
 * pause, and with credit_ns of GPU time at most. */
uint64_t sched_credit(const struct sched *s);
/* The minimum charge for a grant in virtual time. */
uint64_t sched_grant_least(const struct sched *s, uint64_t slice);

/* queue.c */
void queue_level_init(struct sched *s, struct level *l);
/* Its virtual time begins again at 0, as all tags do. */
void queue_restart(struct level *l, enum sched_class c);
void queue_enter(struct sched_vgpu *v);
void queue_leave(struct sched_vgpu *v);
/* Its tag or its guarantee's clock has changed, or its group's. */
void queue_moved(struct sched_vgpu *v);
/* It has got or lost the grant. */
void queue_waits(struct sched_vgpu *v);
/* It has lost the grant: its last slice says when it is promised the next one. */
void queue_promise(struct sched_vgpu *v);
/* Updates a group's nodes in the pool's level after a change of the group or in it. */
void queue_group(struct sched_group *g, enum sched_class c);
void queue_group_all(struct sched_group *g);
/* The node that contains a heap_node. */
struct node *queue_node(const struct heap_node *h);
/* The vGPU of a class whose turn it is, also inside a group; NULL: none has work. */
struct sched_vgpu *queue_first(const struct level *l, enum sched_class c);
/* The vGPU of the pool that shall have the grant, and why; NULL: none may run. */
struct sched_vgpu *queue_pick(struct sched *s, enum reason *why);

/* maximum.c */
/* v has work and is not chosen: queues it or holds it back, by its maximum and its group's. */
void maximum_waiting(struct sched_vgpu *v);
/* The same for the group alone, when its chosen vGPU has no more work. */
void maximum_group(struct sched_group *g);
/* Holds the holder back if its maximum or its group's is used up; true: held back. */
bool maximum_holder(struct sched_vgpu *v);
bool maximum_any(const struct sched_vgpu *v);
/* Time until maximum_holder() may hold it back; SCHED_NEVER: no maximum. */
uint64_t maximum_lasts(const struct sched_vgpu *v);
/* It has no more work: stops its timer. */
void maximum_forget(struct sched_vgpu *v);
/* Bounds the saved time of its maximum and its group's. */
void maximum_save(struct sched_vgpu *v);
void maximum_use(struct sched_vgpu *v, uint64_t ns);
/* Releases vGPUs and groups whose timers have expired. */
void maximum_release(struct sched *s);
void maximum_group_free(struct sched_group *g);

/* due.c */
/* It has work, or its settings have changed meanwhile; it has none any more. */
void due_enter(struct sched_vgpu *v);
void due_leave(struct sched_vgpu *v);
/* Sets the group's share. */
void due_group_set(struct sched_group *g, const struct sched_share *share);
/* It is charged ns. */
void due_used(struct sched_vgpu *v, uint64_t ns);
uint64_t due_of(const struct sched_vgpu *v);

/* vtime.c */
uint64_t vtime_of(uint64_t ns, uint32_t weight);
void vtime_leave(struct tag *t, const struct sched *s, const struct heap *others,
		 enum sched_class c);
/* Where the class's clock stood a half to a whole credit_ns ago. */
uint64_t vtime_past(const struct level *l, const struct sched *s, enum sched_class c);
void vtime_begin(struct tag *t, const struct sched *s, const struct level *l, enum sched_class c,
		 uint32_t weight);
void vtime_use(struct tag *t, uint32_t weight, uint64_t ns);
/* For use outside its turn: the tag gets at most a slice ahead of the clock. */
void vtime_use_beside(struct tag *t, uint32_t weight, uint64_t ns, uint64_t clock, uint64_t slice);
/* GPU time that it is ahead of the clock, or behind it if negative. */
int64_t vtime_lead(const struct tag *t, uint64_t clock, uint32_t weight);
void vtime_set_lead(struct tag *t, uint64_t clock, uint32_t weight, int64_t lead, uint64_t slice);
/* The level that its tag belongs to. */
struct level *vtime_level(const struct sched_vgpu *v);
/* Common to policies with virtual time. */
void vtime_policy_begin(struct sched_vgpu *v);
void vtime_policy_use(struct sched_vgpu *v, uint64_t ns);
void vtime_policy_end(struct sched_vgpu *v);

/* settings.c */
/* Computes stale maxima again, once for any number of changes. */
void settings_refresh(struct sched *s);
void settings_use_guarantees(struct sched_vgpu *v, uint64_t ns);
uint32_t settings_group_weight(const struct sched_group *g);

/* wait.c */
uint64_t wait_fair(const struct sched_vgpu *v, uint64_t more);
uint64_t wait_flat(const struct sched_vgpu *v, uint64_t more);
uint64_t wait_in_turn(const struct sched_vgpu *v, uint64_t more);

/* stats.c */
void stats_count(struct sched_vgpu *v);
uint64_t stats_group_held(const struct sched_group *g);

#endif
