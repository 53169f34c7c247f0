/* SPDX-License-Identifier: MIT */
/* Rate limits: a token bucket, pure like sched.h. */
#ifndef PVGPU_SCHED_RATE_H
#define PVGPU_SCHED_RATE_H

#include <stdint.h>

struct rate {
	uint64_t per_s;  /* 0: no limit */
	uint64_t burst;  /* the most tokens at once; at least 1 */
	uint64_t tokens; /* in the bucket */
	uint64_t at;     /* time of the last refill, ns */
	uint64_t rest;   /* remainder of the last refill, so that rounding loses nothing */
};

/* Starts with a full bucket. */
void rate_init(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now);
/* Changes the limits; the tokens are kept, up to the new burst. */
void rate_set(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now);
/* Takes up to n tokens and returns their number; without a limit, n. */
uint64_t rate_take(struct rate *r, uint64_t n, uint64_t now);
/* Puts tokens back that were taken before. */
void rate_give(struct rate *r, uint64_t n);
/* When n tokens (or a full bucket, if that is less) will be available; `now` if they are. */
uint64_t rate_when(const struct rate *r, uint64_t n, uint64_t now);

#endif
