/* SPDX-License-Identifier: MIT */
/*
 * Which GPU a new vGPU goes to: pure, as sched.h is. The caller owns an array of the GPUs that
 * there are; place_pick chooses one, place_take and place_give keep its books. A choice looks once
 * at every GPU (a cache line each, so 500 GPUs cost less than a microsecond or two): it is made
 * when a vGPU is attached, not when it runs.
 */
#ifndef PVGPU_SCHED_PLACE_H
#define PVGPU_SCHED_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACE_NONE     SIZE_MAX
#define PLACE_ANY_POOL UINT32_MAX
#define PLACE_PPM      1000000u

enum place_policy {
	PLACE_BREADTH, /* the GPU with the fewest vGPUs: each gets the most */
	PLACE_DEPTH,   /* the fullest one that has room: whole GPUs stay free */
	PLACE_LOAD,    /* the one whose vGPUs use the least GPU time */
	PLACE_POLICIES
};

struct place_gpu {
	uint32_t pool;
	uint32_t overcommit_ppm; /* promised memory may be so much of its memory; 0: PLACE_PPM */
	uint32_t max_vgpus;      /* 0: no limit */
	bool closed;             /* nothing new: unhealthy, or being drained */
	uint64_t memory;         /* bytes */
	/* Kept by place_take, place_give and place_load. */
	uint64_t promised; /* of memory, to its vGPUs */
	uint64_t load_ppm; /* GPU time that its vGPUs use, together */
	uint32_t vgpus;
};

struct place_want {
	uint32_t pool;     /* or PLACE_ANY_POOL */
	uint64_t memory;   /* bytes promised to it; 0: none */
	uint32_t load_ppm; /* GPU time that it is expected to use; 0: not known */
};

/* Bytes that can still be promised on g; 0 when it is closed or has as many vGPUs as it may. */
uint64_t place_free(const struct place_gpu *g);

/* The index of the GPU for w, or PLACE_NONE. Between equals the lowest index wins. */
size_t place_pick(enum place_policy policy, const struct place_gpu *gpus, size_t n,
		  const struct place_want *w);

/* w is on g from now on, or no longer. The load is what g was last told of it (place_load). */
void place_take(struct place_gpu *g, const struct place_want *w);
void place_give(struct place_gpu *g, const struct place_want *w);
/* w uses so much of g's time as was measured: w->load_ppm becomes that. */
void place_load(struct place_gpu *g, struct place_want *w, uint32_t load_ppm);

/* Why there is none, for messages: what stands in the way, and how much there is. */
struct place_refusal {
	size_t in_pool; /* GPUs of its pool */
	size_t closed;  /* of those, closed */
	size_t full;    /* with as many vGPUs as they may have */
	size_t short_of_memory;
	uint64_t most_free; /* the largest memory that would have found a place */
};
void place_explain(const struct place_gpu *gpus, size_t n, const struct place_want *w,
		   struct place_refusal *out);

/* "breadth-first", "depth-first", "least-loaded". */
const char *place_name(enum place_policy policy);
/* PLACE_POLICIES: there is none of that name. */
enum place_policy place_by_name(const char *name);

#endif
