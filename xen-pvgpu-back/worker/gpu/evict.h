/* SPDX-License-Identifier: MIT */
/*
 * The traces in the GPU's caches of a session in a confidential pool: evict.c. Decoding thread,
 * except where said.
 */
#ifndef PVGPU_WORKER_EVICT_H
#define PVGPU_WORKER_EVICT_H

#include <stdatomic.h>
#include <stdbool.h>

struct area;
struct ctx;
struct gpu;

struct evict {
	bool on;           /* fixed for the session */
	struct area *area; /* what is cleared; there before the first context is */
	struct ctx
		*ctx; /* referenced: where work was issued last; NULL: none since the last clear */
	atomic_uint leaving; /* contexts that clear it as they go */
};

void evict_init(struct gpu *g);
/* Before a context is made. Side lane. A CUresult. */
int evict_make(struct gpu *g);
void evict_needed_slow(struct evict *e, struct ctx *c);
/* All work has ended: is nothing of it in the cache? If not, more work is under way now. */
bool evict_done(struct gpu *g);
/* The context goes, `next` (or NULL) stays. True: evict_now() is to be called in the side lane when
 * its work has ended. */
bool evict_leave(struct gpu *g, const struct ctx *c, struct ctx *next);
void evict_now(struct gpu *g, struct ctx *c);
void evict_free(struct gpu *g);
/* The time between two events, as the guest may see it. */
float evict_coarse(const struct gpu *g, float ms);

#endif
