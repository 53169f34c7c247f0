/* SPDX-License-Identifier: MIT */
/*
 * Placement of a new vGPU on a GPU: pure, like sched.h. The caller owns an array of GPUs;
 * place_pick chooses one, place_take and place_give account for it. A choice reads each GPU once (a
 * cache line each, about two microseconds for 500 GPUs), and is made when a vGPU is attached, not
 * while it runs.
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
	PLACE_DEPTH,   /* the fullest GPU with room: whole GPUs stay free */
	PLACE_LOAD,    /* the GPU whose vGPUs use the least GPU time */
	PLACE_POLICIES
};

struct place_gpu {
	uint32_t pool;
	uint32_t
		overcommit_ppm; /* the most promised memory, relative to its memory; 0: PLACE_PPM */
	uint32_t max_vgpus;     /* 0: no limit */
	bool closed;            /* takes nothing new: unhealthy or draining */
	uint64_t memory;        /* bytes */
	/* Maintained by place_take, place_give and place_load. */
	uint64_t promised; /* bytes promised to its vGPUs */
	uint64_t load_ppm; /* GPU time that its vGPUs use together */
	uint32_t vgpus;
};

struct place_want {
	uint32_t pool;     /* or PLACE_ANY_POOL */
	uint64_t memory;   /* bytes promised to it; 0: none */
	uint32_t load_ppm; /* expected use of GPU time; 0: not known */
};

/* Bytes that can still be promised on g; 0 when it is closed or has its maximum of vGPUs. */
uint64_t place_free(const struct place_gpu *g);

/* The index of the GPU for w, or PLACE_NONE. Between equals the lowest index wins. */
size_t place_pick(enum place_policy policy, const struct place_gpu *gpus, size_t n,
		  const struct place_want *w);

/* Puts w on g; takes it off. w's load must be the one that g last accounted for (place_load). */
void place_take(struct place_gpu *g, const struct place_want *w);
void place_give(struct place_gpu *g, const struct place_want *w);
/* Replaces w's load on g by a measured one. */
void place_load(struct place_gpu *g, struct place_want *w, uint32_t load_ppm);

/* Why no GPU was found, for messages. */
struct place_refusal {
	size_t in_pool; /* GPUs of its pool */
	size_t closed;  /* of these, closed */
	size_t full;    /* with their maximum of vGPUs */
	size_t short_of_memory;
	uint64_t most_free; /* the most memory that would have fitted */
};
void place_explain(const struct place_gpu *gpus, size_t n, const struct place_want *w,
		   struct place_refusal *out);

/* "breadth-first", "depth-first", "least-loaded". */
const char *place_name(enum place_policy policy);
/* PLACE_POLICIES: no such name. */
enum place_policy place_by_name(const char *name);

#endif
