/* SPDX-License-Identifier: MIT */
/*
 * What all vGPUs share and each has a guaranteed part of: grants, event channels, sessions. Beyond
 * its own part a vGPU may take what is promised to no vGPU, up to its maximum. Numbers in, a number
 * out.
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

/* What all have, and what is promised to those that have less. Begins with zeros. */
struct portion_sum {
	uint64_t used, owed;
};

/* Adds a vGPU, other than the one that portion_room is asked for. */
void portion_other(struct portion_sum *s, const struct portion_rule *r, uint64_t has);
/* How many more one may take that has so many. kept: so many of what is promised to no vGPU stay.
 */
uint64_t portion_room(const struct portion_sum *others, const struct portion_rule *r, uint64_t has,
		      uint64_t kept);
/* Can so many vGPUs have what is guaranteed to each? */
bool portion_fits(const struct portion_rule *r, uint64_t n);

#endif
