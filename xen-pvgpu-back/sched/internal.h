/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's inside. What each part does:
 *   sched.c   events and the decision           queue.c   who has work, in which order
 *   share.c   what there is, and its settings   limit.c   who is held back by a maximum
 *   vtime.c   virtual time                      stats.c   counters
 *   wait.c    the longest wait                  heap.c, pace.c
 *   fair.c equal.c fixed.c best_effort.c        the policies
 */
#ifndef PVGPU_SCHED_INTERNAL_H
#define PVGPU_SCHED_INTERNAL_H

#include "xen-pvgpu-back/sched/heap.h"
#include "xen-pvgpu-back/sched/pace.h"
#include "xen-pvgpu-back/sched/sched.h"

/* What is charged at once at most: more is no GPU time but a mistake. */
#define SCHED_CHARGE_MOST ((uint64_t)1 << 42) /* ns; 73 minutes */
/* Maxima: so many slices may be saved up, and what is earned while all others have one. */
#define SCHED_SAVED_SLICES 2

/* Why the holder has the grant. */
enum reason {
	REASON_SHARE,     /* its turn among its class */
	REASON_GUARANTEE, /* its guaranteed minimum, or its group's */
	REASON_RELIEF,    /* kept waiting for starve_ns by others' classes and guarantees */
};

/* In a heap: a vGPU, or a group for what is in it. */
struct node {
	struct heap_node h;
	struct sched_vgpu *v;
	struct sched_group *g;
};

/* The place in virtual time: GPU time used, divided by weight. */
struct tag {
	uint64_t at;
	uint64_t rest; /* of the division */
	uint64_t lag;  /* how far the first of the others was ahead of it when it left them, */
	uint64_t left; /* then */
};

/* The pool, or a group inside it: who of it has work and is not held back. */
struct level {
	struct heap turn[SCHED_CLASSES]; /* by tag */
	struct heap wait[SCHED_CLASSES]; /* all but the holder: by what the class had been kept
					  * from the GPU when the wait began */
	struct heap owed;                /* those with a guarantee, by its clock */
	uint64_t clock[SCHED_CLASSES];   /* the virtual time */
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
	uint32_t class_n[SCHED_CLASSES]; /* in it */
	uint32_t queued;                 /* of these in its level */
	bool held;                       /* back by its maximum, until timer */
	uint64_t held_ns, held_since;
};

struct sched_vgpu {
	struct sched *s;
	struct sched_vgpu *prev, *next;
	struct sched_group *group;
	struct sched_share share;
	void *owner;
	struct tag tag;
	struct pace max, min;
	struct node turn, wait, owed, timer;
	bool wants;
	bool held;     /* back by its maximum, until timer */
	bool queued;   /* wants and is not held */
	bool fresh;    /* has not had a maximum yet */
	bool cut;      /* lost its latest grant to a higher class before the slice's end */
	uint64_t mark; /* waits since its class had been kept from the GPU for so long */
	int64_t lead;  /* while the policy changes */
	/* Of its latest grant: */
	enum reason reason;
	uint64_t slice_used; /* ns charged since its slice began */
	uint64_t prepaid;    /* of the least that a grant costs in virtual time: not yet used */
	/* Counters, exact up to `counted`. */
	struct sched_stats stats;
	uint64_t counted, group_held; /* group_held: the group's held_ns then */
	uint64_t waits_since;
};

struct policy {
	bool groups;       /* groups have weights of their own; else they only have maxima */
	bool guarantees;   /* minima count */
	bool virtual_time; /* tags are vtime.c's */
	bool pool_wide;    /* limit() depends on all vGPUs of the pool */
	/* The policy's own maximum: the share part/whole. */
	void (*limit)(const struct sched_vgpu *v, uint64_t *part, uint64_t *whole);
	/* What part of the GPU time it gets, relative to others'. */
	uint32_t (*weight)(const struct sched_vgpu *v);
	/* It begins to have work, or may go on: its tag. */
	void (*begin)(struct sched_vgpu *v);
	/* It has used so much: its tag, and its group's. */
	void (*use)(struct sched_vgpu *v, uint64_t ns);
	/* Its turn has ended while it has work. */
	void (*end)(struct sched_vgpu *v);
	/* The longest that those of its class can come before it, if nothing but shares counts and
	 * `more` (ns) of its group's time go to others of the group besides. */
	uint64_t (*wait)(const struct sched_vgpu *v, uint64_t more);
};

extern const struct policy policy_fair, policy_equal, policy_fixed, policy_best_effort;

struct sched {
	struct sched_params params;
	const struct policy *policy;
	uint64_t now;
	struct level level;
	struct heap timers; /* who is held back, by when that ends */
	struct sched_vgpu *vgpus;
	struct sched_group *groups;
	uint32_t vgpu_n, class_n[SCHED_CLASSES], wanting;
	bool stale; /* maxima that depend on what all are set to, or on the slice */
	uint64_t fixed_ppm, weights; /* sums over vGPUs: fixed shares; weights of those without */

	struct sched_vgpu *granted; /* who has the grant */
	struct sched_vgpu *chosen;  /* who is to have it: the latest decision */
	enum reason reason;         /* why chosen has it */
	uint64_t slice_from, slice_ns;
	bool slice_over; /* whatever the time is */

	/* For how long each class has been kept from the GPU by other classes and guarantees. */
	uint64_t kept[SCHED_CLASSES];
	enum sched_class relief; /* where relief is looked for first */
	bool relieved;           /* the latest choice was relief */

	uint64_t turns; /* orders equal keys: first come, first served */
	uint64_t steps;
};

/* sched.c */
void sched_clock(struct sched *s, uint64_t now);
uint64_t sched_slice(const struct sched *s, uint32_t wanting);
/* What a grant costs in virtual time at least. */
uint64_t sched_grant_least(const struct sched *s, uint64_t slice);

/* queue.c */
void queue_level_init(struct sched *s, struct level *l);
void queue_enter(struct sched_vgpu *v);
void queue_leave(struct sched_vgpu *v);
/* Its tag or guarantee's clock has changed, or its group's. */
void queue_moved(struct sched_vgpu *v);
/* It has been given the grant, or lost it. */
void queue_waits(struct sched_vgpu *v);
/* What is known of a group in the pool's level, after something in the group or of it changed. */
void queue_group(struct sched_group *g, enum sched_class c);
void queue_group_all(struct sched_group *g);
/* Whose turn it is, and why; NULL: nobody has work that may go on. */
struct node *queue_node(const struct heap_node *h);
/* Whose turn it is there, in a group if need be; NULL: nobody of that class has work. */
struct sched_vgpu *queue_first(const struct level *l, enum sched_class c);
struct sched_vgpu *queue_pick(struct sched *s, enum reason *why);

/* limit.c */
/* v, which has work and is not chosen: queued or held back, as its maximum and its group's say. */
void limit_waiting(struct sched_vgpu *v);
/* The same for the group alone: what was chosen of it has no work any more. */
void limit_group(struct sched_group *g);
/* The holder: held back if its maximum or its group's is used up. */
bool limit_holder(struct sched_vgpu *v);
bool limit_any(const struct sched_vgpu *v);
/* How long until limit_holder() could say so; SCHED_NEVER. */
uint64_t limit_lasts(const struct sched_vgpu *v);
/* It has no work any more: no timer needs to run. */
void limit_forget(struct sched_vgpu *v);
/* It begins to use the GPU. */
void limit_save(struct sched_vgpu *v);
void limit_use(struct sched_vgpu *v, uint64_t ns);
/* Whoever may go on by now does. */
void limit_release(struct sched *s);
void limit_group_free(struct sched_group *g);

/* vtime.c */
uint64_t vtime_of(uint64_t ns, uint32_t weight);
void vtime_leave(struct tag *t, const struct sched *s, const struct heap *others,
		 enum sched_class c);
void vtime_begin(struct tag *t, const struct sched *s, uint64_t clock, uint32_t weight);
void vtime_use(struct tag *t, uint32_t weight, uint64_t ns);
/* For what was not its turn: the tag gets ahead of the clock by no more than a slice. */
void vtime_use_beside(struct tag *t, uint32_t weight, uint64_t ns, uint64_t clock, uint64_t slice);
/* GPU time by which it has had more (or, negative, less) than the clock says. */
int64_t vtime_lead(const struct tag *t, uint64_t clock, uint32_t weight);
void vtime_set_lead(struct tag *t, uint64_t clock, uint32_t weight, int64_t lead, uint64_t slice);
/* The level in whose virtual time its tag lies. */
struct level *vtime_level(const struct sched_vgpu *v);
/* What policies with virtual time have in common. */
void vtime_policy_begin(struct sched_vgpu *v);
void vtime_policy_use(struct sched_vgpu *v, uint64_t ns);
void vtime_policy_end(struct sched_vgpu *v);

/* share.c */
/* Maxima that have become others because of other vGPUs; once, however many have come or gone. */
void share_refresh(struct sched *s);
void share_use_guarantees(struct sched_vgpu *v, uint64_t ns);
uint32_t share_group_weight(const struct sched_group *g);

/* wait.c */
uint64_t wait_fair(const struct sched_vgpu *v, uint64_t more);
uint64_t wait_flat(const struct sched_vgpu *v, uint64_t more);
uint64_t wait_in_turn(const struct sched_vgpu *v, uint64_t more);

/* stats.c */
void stats_count(struct sched_vgpu *v);
uint64_t stats_group_held(const struct sched_group *g);

#endif
