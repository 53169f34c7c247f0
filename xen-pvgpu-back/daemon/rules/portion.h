/* SPDX-License-Identifier: MIT */
/*
 * Grants, event channels and sessions are shared by all vGPUs, and each has a guaranteed part.
 * Beyond its own part a vGPU may take of the surplus, which no vGPU is promised, up to its maximum.
 * Numbers in, a number out.
 */
#ifndef PVGPU_PORTION_H
#define PVGPU_PORTION_H

#include <stdbool.h>
#include <stdint.h>

struct portion_rule {
	uint64_t total; /* for all vGPUs together */
	uint64_t each;  /* guaranteed to each */
	uint64_t most;  /* of one vGPU; 0: the total */
};

/* The sum of what vGPUs have, and of what they have less than their part. Begins with zeros. */
struct portion_sum {
	uint64_t used, owed;
};

/* Adds a vGPU, other than the one that portion_room is asked for. */
void portion_other(struct portion_sum *s, const struct portion_rule *r, uint64_t has);
/* How many more a vGPU may take. kept: the part of the surplus that stays. */
uint64_t portion_room(const struct portion_sum *others, const struct portion_rule *r, uint64_t has,
		      uint64_t kept);
/* Can so many vGPUs have what is guaranteed to each? */
bool portion_fits(const struct portion_rule *r, uint64_t n);

#endif
