/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: a pure library that decides which vGPU has the GPU, and for how long. It uses no
 * clock, file, thread or process: times (nanoseconds of one clock that does not go back) and events
 * are arguments, decisions are results. sched/turn drives it, for pvgpud and for the simulator; the
 * unit tests do so too.
 *
 * One struct sched is one GPU under one policy, a pool's. It gives the grant to one vGPU at a time.
 * The driver, its caller, reports when a vGPU begins and stops to have work (sched_wants) and the
 * GPU time that it has used (sched_charge). It asks for a decision (sched_decide) after every such
 * event and at the time that the last decision named. A hand-over takes the driver some time,
 * because work in flight drains; sched_granted reports its end.
 *
 * Charges are for a vGPU, never for a process, context or stream of it. A group is the vGPUs of a
 * project: GPU time is shared between groups (and vGPUs without one) by weight, then within each.
 *
 * Only functions that allocate can fail, and return NULL when out of memory. A decision takes O(log
 * n) for n vGPUs.
 */
#ifndef PVGPU_SCHED_H
#define PVGPU_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_NEVER UINT64_MAX

enum sched_policy {
	/* Weighted fair queueing over GPU time. No time is left unused while any vGPU has work; a
	 * vGPU that uses little gets the GPU soon when it wants it. */
	SCHED_FAIR,
	/* Each vGPU of the pool has the same share, whether the others use theirs or not. */
	SCHED_EQUAL,
	/* Each vGPU has its sched_share.fixed_ppm, whether the others use theirs or not. vGPUs
	 * without one share the rest by weight. */
	SCHED_FIXED,
	/* Round robin among vGPUs with work, a slice each; weights are ignored. */
	SCHED_BEST_EFFORT,
	SCHED_POLICIES
};

/* Strict priority: a vGPU with work goes before all of the next class, within the starvation bound.
 */
enum sched_class { SCHED_HIGH, SCHED_MEDIUM, SCHED_LOW, SCHED_CLASSES };

#define SCHED_PPM 1000000u /* shares are in parts per million of the GPU's time */

struct sched_params {
	enum sched_policy policy;
	bool exclusive;       /* the driver waits for a drain at each hand-over, which costs more */
	uint64_t slice_ns;    /* 1 to 30 ms; 0: 2 ms for up to 8 vGPUs with work, 1 ms for more, and
				 longer, up to 30 ms, until a hand-over is 1 % of it */
	uint64_t handover_ns; /* cost of a hand-over, as the driver measures it */
	uint64_t credit_ns; /* a vGPU that comes back is owed what it was due in the last credit_ns
			       of its pause; 0: 30 ms; at least a slice */
	uint64_t starve_ns; /* the longest wait for higher classes; 0: 1 s */
};

struct sched_share {
	enum sched_class class;
	uint32_t weight;    /* 1 to 10,000; the usual value is 100 */
	uint32_t min_ppm;   /* guaranteed while it has work, ahead of classes and weights; 0: none;
			       SCHED_FAIR only */
	uint32_t max_ppm;   /* maximum, also when alone; 0 or SCHED_PPM: none */
	uint32_t fixed_ppm; /* SCHED_FIXED: its share; 0: by weight */
};

struct sched;
struct sched_group;
struct sched_vgpu;

struct sched *sched_new(const struct sched_params *p, uint64_t now);
/* Frees also the vGPUs and groups that are left in it. */
void sched_free(struct sched *s);
/* Changes the settings. The holder keeps the grant until the next decision; past use stays counted.
 */
void sched_set(struct sched *s, const struct sched_params *p, uint64_t now);

/* A group's class is ignored, since its vGPUs have their own. `owner` is the caller's. */
struct sched_group *sched_group_add(struct sched *s, const struct sched_share *share, void *owner,
				    uint64_t now);
void sched_group_set(struct sched_group *g, const struct sched_share *share, uint64_t now);
/* It must be empty. */
void sched_group_remove(struct sched_group *g, uint64_t now);

/* group NULL: none. */
struct sched_vgpu *sched_add(struct sched *s, struct sched_group *group,
			     const struct sched_share *share, void *owner, uint64_t now);
void sched_set_share(struct sched_vgpu *v, const struct sched_share *share, uint64_t now);
/* Moves it to another group, or to none. Past use stays counted, so a move brings no advantage. */
void sched_move(struct sched_vgpu *v, struct sched_group *group, uint64_t now);
/* If it holds the grant, no vGPU holds it afterwards. */
void sched_remove(struct sched_vgpu *v, uint64_t now);
void *sched_owner(const struct sched_vgpu *v);

/* The vGPU has work, in flight or waiting; or it has no more. */
void sched_wants(struct sched_vgpu *v, bool wants, uint64_t now);
/*
 * Charges ns of GPU time, time on the copy path included. The holder must be charged before each
 * sched_decide, or its slice would seem unused. Others are charged for work that was in flight when
 * they lost the grant, or for use found by the driver's accounting. A charge alone never changes
 * the holder.
 */
void sched_charge(struct sched_vgpu *v, uint64_t ns, uint64_t now);

/* All work that the holder is known to have ends in ns, as estimated; 0: nothing is known. Told
 * before sched_decide. */
void sched_ends(struct sched *s, uint64_t ns, uint64_t now);

struct sched_decision {
	struct sched_vgpu *holder; /* the vGPU that shall have the grant; NULL: none */
	uint64_t again; /* the latest time for the next decision: the end of the slice, or of a wait
			   for a maximum; SCHED_NEVER: not before the next event */
	bool contended; /* others want the GPU, or the holder has a maximum: its work in flight must
			   be bounded to a slice, and the driver must report when it has no work. A
			   lone holder with a maximum may rest first, for SCHED_REST_SLICES */
	bool alone;     /* no other one wants the GPU, or maxima hold all of them back */
	uint64_t slice_ns; /* length of the holder's slice, from the grant */
};

/*
 * Decides. When the holder differs from the vGPU that has the grant, the driver takes it from that
 * one, lets it drain, and then calls sched_granted(holder). Until then decisions name the same
 * holder, unless one begins to have work whose turn comes first (the drain goes on), or that vGPU
 * is removed or has no more work; then they may also name the one that still has the grant. In an
 * exclusive pool they may name another one as long as the drain lasts: decide at its end. A
 * holder without work and without a maximum keeps the grant while no other vGPU wants it.
 */
void sched_decide(struct sched *s, uint64_t now, struct sched_decision *d);
/* Does the work of a former holder run on beside the holder's? Then slices that are not configured
 * are 8 ms at least. The GPU gives each context 2 ms in turn, so of shorter turns the work that
 * runs on has more than the half that it is charged. */
void sched_runs_on(struct sched *s, bool on, uint64_t now);
/* Does another one of v's class, or of a higher one, want the GPU? What one of a lower class has in
 * flight would be in the way of v when that comes back. */
bool sched_peers(const struct sched_vgpu *v);
/* How much GPU time v, which has the grant, may use until another one is first in turn. 0: it may
 * not go on; SCHED_NEVER: only lower classes want the GPU, or v is below its guaranteed minimum. */
uint64_t sched_credit_left(const struct sched_vgpu *v);
/* A lone holder with a maximum that has issued nothing for so many slices gives the grant back:
 * with a hand-over for each kernel it would be charged for those. No longer than what it may save,
 * since it is charged for the kernel that runs then. */
#define SCHED_REST_SLICES 2u
/* The decision's holder (NULL: none) has the grant from now on: its slice begins. */
void sched_granted(struct sched *s, struct sched_vgpu *v, uint64_t now);

/*
 * The GPU for several at once: vGPUs that use little at a time and wait for it, which the driver
 * knows. The holder is one of them, and each is charged what it uses. sched_may_join: v wants
 * the GPU, and nothing but its turn in the holder's class decides when it has it: no class above,
 * group, guarantee, or maximum that is reached. sched_lead: by how much GPU time v is ahead of the
 * first in turn. sched_joint: v has the GPU now, or not any more; until then it does not count as
 * waiting.
 */
#define SCHED_JOINT_NS 2000000u /* the most that one of several may have in flight */
#define SCHED_AHEAD_NS 8000000u /* the most by which one of them may be ahead of the first */

/* Time between two looks at n that have it: one may exceed its maximum by so much. */
uint64_t sched_look(uint32_t n);
bool sched_may_join(const struct sched_vgpu *v);
/* Is v, or its group, held back by a maximum? */
bool sched_held(const struct sched_vgpu *v);
int64_t sched_lead(const struct sched_vgpu *v);
void sched_joint(struct sched_vgpu *v, bool on, uint64_t now);

/* Counters since sched_add. */
struct sched_stats {
	uint64_t used_ns;         /* charged */
	uint64_t waited_ns;       /* had work and did not hold the grant */
	uint64_t wanted_ns;       /* had work */
	uint64_t capped_ns;       /* had work and was held back by its maximum */
	uint64_t longest_wait_ns; /* from wanting the GPU to the grant */
	uint64_t slices;          /* number of grants */
	uint64_t due_ns;          /* what it was entitled to while it had work (due.c) */
};
void sched_stats(const struct sched_vgpu *v, uint64_t now, struct sched_stats *out);
/* Its part of the GPU's time by its settings while every vGPU has work, classes left out; ppm. */
uint32_t sched_promise(const struct sched_vgpu *v);
/* Could a vGPU use the GPU? It has work, and no maximum holds it back. */
bool sched_any_queued(const struct sched *s);

/*
 * The longest wait of v for the grant, if it has work all the time from now on and is below its
 * maximum, every hand-over takes handover_ns and no slice is overrun: the formula of
 * docs/scheduling-model.md for the present vGPUs. SCHED_NEVER: no bound (its maximum or fixed share
 * may hold it back).
 */
uint64_t sched_wait_bound(const struct sched_vgpu *v);

/* Comparisons made so far: a measure of the cost of decisions and events that does not depend on
 * the machine. */
uint64_t sched_steps(const struct sched *s);

#endif
