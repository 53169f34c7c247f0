/* SPDX-License-Identifier: MIT */
/*
 * Who has the GPU, and for how long: a pure library. It knows no clock, no file, no thread and no
 * process: times (nanoseconds of any one clock that does not go back) and events come in, decisions
 * go out. pvgpud, the unit tests and the simulator (tests/sim) drive the same code.
 *
 * One struct sched is one GPU under one policy: a pool's. It gives the grant to one vGPU at a time.
 * Whoever drives it tells when a vGPU begins and stops to have work (sched_wants), what GPU time it
 * has used (sched_charge), and asks what to do (sched_decide) after every such event and at the
 * time that the last decision named. Taking the grant from one and giving it to the next takes the
 * driver a while (work in flight drains); sched_granted says when the next one has it.
 *
 * A vGPU is charged, never a process, context or stream of it. Groups are a project's vGPUs
 * together: GPU time is shared between groups (and vGPUs without one) by weight, then within each.
 *
 * No function fails but those that make something, which return NULL when memory is lacking.
 * Nothing here looks longer than O(log n) of the vGPUs for a decision.
 */
#ifndef PVGPU_SCHED_H
#define PVGPU_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_NEVER UINT64_MAX

enum sched_policy {
	/* Weighted fair queueing over GPU time. Nothing is left unused while any vGPU has work;
	 * who uses little gets the GPU soon when it wants it. */
	SCHED_FAIR,
	/* Each vGPU of the pool has the same share whether the others use theirs or not. */
	SCHED_EQUAL,
	/* Each has its sched_share.fixed_ppm, whether the others use theirs or not; those without
	 * it the part that their weight is of such weights in the pool, of what the fixed ones
	 * leave. */
	SCHED_FIXED,
	/* Those with work in turn, a slice each; weights mean nothing. */
	SCHED_BEST_EFFORT,
	SCHED_POLICIES
};

/* Strict: one with work goes before all of the next class, but for the starvation bound. */
enum sched_class { SCHED_HIGH, SCHED_MEDIUM, SCHED_LOW, SCHED_CLASSES };

#define SCHED_PPM 1000000u /* shares: parts per million of the GPU's time */

struct sched_params {
	enum sched_policy policy;
	bool exclusive;       /* the driver drains and fences at each hand-over: more costly ones */
	uint64_t slice_ns;    /* 1 to 30 ms; 0: 2 ms for up to 8 vGPUs with work, 1 ms for more */
	uint64_t handover_ns; /* what giving the grant to another costs, as the driver measures it:
			       * slices get longer (up to 30 ms) until that is 1 % of them */
	uint64_t starve_ns;   /* a vGPU with work waits no longer for higher classes; 0: 1 s */
};

struct sched_share {
	enum sched_class class;
	uint32_t weight;    /* 1 to 10,000; 100 is usual */
	uint32_t min_ppm;   /* guaranteed when it has work, before classes and weights count;
			     * 0: none; SCHED_FAIR only */
	uint32_t max_ppm;   /* never more, also when alone; 0 or SCHED_PPM: no limit */
	uint32_t fixed_ppm; /* SCHED_FIXED: its share; 0: by weight */
};

struct sched;
struct sched_group;
struct sched_vgpu;

struct sched *sched_new(const struct sched_params *p, uint64_t now);
/* With all that is left in it. */
void sched_free(struct sched *s);
/* Live: who holds the grant keeps it until the next decision; what was used stays counted. */
void sched_set(struct sched *s, const struct sched_params *p, uint64_t now);

/* A group's class means nothing: its vGPUs have theirs. `owner` is the caller's. */
struct sched_group *sched_group_add(struct sched *s, const struct sched_share *share, void *owner,
				    uint64_t now);
void sched_group_set(struct sched_group *g, const struct sched_share *share, uint64_t now);
/* It must be empty. */
void sched_group_remove(struct sched_group *g, uint64_t now);

/* group NULL: none. */
struct sched_vgpu *sched_add(struct sched *s, struct sched_group *group,
			     const struct sched_share *share, void *owner, uint64_t now);
void sched_set_share(struct sched_vgpu *v, const struct sched_share *share, uint64_t now);
/* To another group, or none. It keeps what it has used; nothing is to be gained by moving. */
void sched_move(struct sched_vgpu *v, struct sched_group *group, uint64_t now);
/* If it holds the grant, nobody does afterwards. */
void sched_remove(struct sched_vgpu *v, uint64_t now);
void *sched_owner(const struct sched_vgpu *v);

/* It has work, in flight or waiting; or it has none any more. */
void sched_wants(struct sched_vgpu *v, bool wants, uint64_t now);
/*
 * It has used so much GPU time more (time on the copy path included). Of the holder: before each
 * sched_decide, or its slice would seem unused. Of others: what was in flight when the grant was
 * taken from them, or what the far end found. Charging never changes the holder by itself.
 */
void sched_charge(struct sched_vgpu *v, uint64_t ns, uint64_t now);

struct sched_decision {
	struct sched_vgpu *holder; /* who is to have the grant now; NULL: nobody */
	uint64_t again;    /* ask again then at the latest: the end of the slice, a cap that lets a
			    * vGPU go on; SCHED_NEVER: not before the next event */
	bool contended;    /* others want it, or the holder has a maximum: it bounds what it has in
			    * flight to a slice, and it is to be known when it has no work */
	uint64_t slice_ns; /* that the holder has, from when it is granted */
};

/*
 * Decide. When holder is not the one that has the grant now, the driver takes it from that one,
 * lets it drain, and then says sched_granted(holder); until that decisions name the same holder
 * unless that vGPU is removed or has no work any more: then it may also be the one that still has
 * the grant. A holder that has no work keeps the grant while nobody wants it, but not if it has a
 * maximum.
 */
void sched_decide(struct sched *s, uint64_t now, struct sched_decision *d);
/* The decision's holder (NULL: nobody) has the grant since now: its slice begins. */
void sched_granted(struct sched *s, struct sched_vgpu *v, uint64_t now);

/* Counters, all since sched_add. */
struct sched_stats {
	uint64_t used_ns;         /* charged */
	uint64_t waited_ns;       /* had work and did not hold the grant */
	uint64_t wanted_ns;       /* had work */
	uint64_t capped_ns;       /* had work and was held back by its maximum */
	uint64_t longest_wait_ns; /* from wanting to holding */
	uint64_t slices;          /* times that it was given the grant */
};
void sched_stats(const struct sched_vgpu *v, uint64_t now, struct sched_stats *out);

/*
 * The longest that v, with work all the time from now on and below its maximum, can wait for the
 * grant, if every hand-over takes handover_ns and no slice is overrun: the formula of
 * docs/scheduling.md for the vGPUs that there are now. SCHED_NEVER: no bound (its maximum or fixed
 * share may hold it back).
 */
uint64_t sched_wait_bound(const struct sched_vgpu *v);

/* Comparisons made so far: what decisions and events cost, whatever machine counts it. */
uint64_t sched_steps(const struct sched *s);

#endif
