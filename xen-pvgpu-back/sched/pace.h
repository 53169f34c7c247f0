/* SPDX-License-Identifier: MIT */
/*
 * Compares use of the GPU with a share: each nanosecond of use advances a clock by the time that it
 * takes to earn one at that share. A clock behind the present means saved time, a clock ahead of it
 * means overuse. Maxima and guarantees both work like this.
 */
#ifndef PVGPU_SCHED_PACE_H
#define PVGPU_SCHED_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t part, whole; /* the share; part 0 or not below whole: off */
	uint64_t at;          /* the clock: use is paid for up to this time, ns */
	uint64_t rest;        /* remainder of the division, so that rounding loses nothing */
};

static inline bool pace_on(const struct pace *p)
{
	return p->part && p->part < p->whole;
}

/* Time to earn ns. */
uint64_t pace_time(const struct pace *p, uint64_t ns);
/* GPU time earned in ns. */
uint64_t pace_earns(const struct pace *p, uint64_t ns);
/* Sets another share. Saved or overused GPU time is kept; a new pace has saved nothing. */
void pace_set(struct pace *p, uint64_t part, uint64_t whole, uint64_t now);
void pace_use(struct pace *p, uint64_t ns, uint64_t now);
/* Bounds the saved or the owed GPU time to ns. */
void pace_save_most(struct pace *p, uint64_t ns, uint64_t now);
void pace_owe_most(struct pace *p, uint64_t ns, uint64_t now);
/* The time at which ns are saved, which may be in the past. */
uint64_t pace_saved_at(const struct pace *p, uint64_t ns);
/* Time until nothing is saved, with use all the time from now on. */
uint64_t pace_lasts(const struct pace *p, uint64_t now);

#endif
