/* SPDX-License-Identifier: MIT */
/*
 * Use of the GPU against a share of it: a clock that each nanosecond used moves on by as long as it
 * takes to earn one at that share. Where the clock is behind the present something may be had,
 * where it is ahead too much has been. Maxima and guarantees are both kept so.
 */
#ifndef PVGPU_SCHED_PACE_H
#define PVGPU_SCHED_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t part, whole; /* the share; part 0 or not below whole: none is kept */
	uint64_t at;          /* until then what was used is paid for, ns */
	uint64_t rest;        /* of the division, so that nothing is lost to rounding */
};

static inline bool pace_on(const struct pace *p)
{
	return p->part && p->part < p->whole;
}

/* How long it takes to earn so much. */
uint64_t pace_time(const struct pace *p, uint64_t ns);
/* How much is earned in that time. */
uint64_t pace_earns(const struct pace *p, uint64_t ns);
/* Another share. What was used or saved up to now stays what it was, in GPU time; a pace that is
 * new has saved nothing. */
void pace_set(struct pace *p, uint64_t part, uint64_t whole, uint64_t now);
void pace_use(struct pace *p, uint64_t ns, uint64_t now);
/* From here on no more than so much GPU time is saved, or owed. */
void pace_save_most(struct pace *p, uint64_t ns, uint64_t now);
void pace_owe_most(struct pace *p, uint64_t ns, uint64_t now);
/* When so much is saved. In the past: it is. */
uint64_t pace_saved_at(const struct pace *p, uint64_t ns);
/* From now on used all the time: how long until nothing is saved any more. */
uint64_t pace_lasts(const struct pace *p, uint64_t now);

#endif
