/* SPDX-License-Identifier: MIT */
/* Rate limits: a token bucket, pure as sched.h is. */
#ifndef PVGPU_SCHED_RATE_H
#define PVGPU_SCHED_RATE_H

#include <stdint.h>

struct rate {
	uint64_t per_s;  /* 0: no limit */
	uint64_t burst;  /* most that can be had at once; at least 1 */
	uint64_t tokens; /* in the bucket */
	uint64_t at;     /* time of the last refill, ns */
	uint64_t rest;   /* of the last refill's division: nothing is lost to rounding */
};

/* The bucket is full. */
void rate_init(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now);
/* Other limits; what is in the bucket stays, up to the new burst. */
void rate_set(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now);
/* Take up to n tokens; how many. All n when there is no limit. */
uint64_t rate_take(struct rate *r, uint64_t n, uint64_t now);
/* When n tokens (or a full bucket, if that is less) will be there; now: they are. */
uint64_t rate_when(const struct rate *r, uint64_t n, uint64_t now);

#endif
