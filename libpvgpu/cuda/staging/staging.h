/* SPDX-License-Identifier: MIT */
/* Copies between pageable memory and the device through pieces of the arena: staging.c. */
#ifndef PVGPU_CUDA_STAGING_STAGING_H
#define PVGPU_CUDA_STAGING_STAGING_H

#include "cuda/core/numbers.h"

#include <stdbool.h>
#include <stdint.h>

struct target;

/* Measured on two CPUs (docs/performance.md): smaller pieces wake the other side too often. */
enum {
	STAGING_PIECE = 2048 * 1024,
	STAGING_SMALL = 64 * 1024, /* copies up to this size take pieces of this size */
	STAGING_DEPTH = 4,
	STAGING_WAIT_ABOVE = 64 * 1024,
};

/*
 * The pieces of one copy, used in turn, so that they stay in the cache. All copies share one pool
 * of pieces: depth is how many this one has, 0 while it may still get STAGING_DEPTH. A copy that
 * holds a piece never waits for another copy's, or copies could deadlock; where there is memory, no
 * copy waits for one of another stream.
 */
struct staging {
	struct slot *slot[STAGING_DEPTH];
	uint64_t stream, size; /* of its pieces; small ones where there is no room for large ones */
	unsigned int next;     /* number of the next piece; its place is that modulo depth */
	unsigned int depth;
};
struct staging staging_begin(const struct target *t, uint64_t len);

/* Have one piece at least, before pinned memory takes all of the arena: without any, copies travel
 * in records of 4 KiB. */
void staging_reserve(void);
/* Reserve the next piece; returns how many pieces this copy has to use in turn. */
unsigned int staging_hold(struct staging *st);
/* The next piece, free for use; NULL when there is no arena memory or the session is dead. Post it
 * with its mark. */
struct slot *staging_next(struct staging *st);
/* The piece given last was not posted. */
void staging_unused(struct staging *st);
/* The piece posted last has been copied, and so have those before it. */
int staging_wait(struct staging *st);
/* Release the pieces; those in flight become free when their marks are done. */
void staging_end(struct staging *st);
/* The result for a copy that got no piece. */
int staging_failure(void);

/* Returns when everything is staged; dst is device memory. wait: a copy of some size has arrived
 * then, as with the real driver, where only small synchronous copies are merely staged. */
int staging_write(const struct target *t, uint64_t dst, const void *src, uint64_t len, bool wait);
/* Returns when dst is filled; src is device memory. */
int staging_read(const struct target *t, void *dst, uint64_t src, uint64_t len);

/* The size of a copy's pieces. */
uint64_t staging_piece(uint64_t len);
/* One piece for as long as its caller likes; NULL: there is no arena memory or the session is dead.
 * in_flight: a command with the piece's mark is on its way, and the piece is free after that. */
struct slot *staging_take(void);
void staging_give(struct slot *s, bool in_flight);

#endif
