/* SPDX-License-Identifier: MIT */
/* Random settings and loads for the scheduler's property tests, all from the drive's seed. */
#ifndef SCHED_RANDOM_H
#define SCHED_RANDOM_H

#include "tests/unit/sched/sched_drive.h"

/* Both ends are included. */
uint32_t any(struct drive *d, uint32_t from, uint32_t to);
bool chance(struct drive *d, uint32_t in);
struct sched_share any_share(struct drive *d);
struct load any_load(struct drive *d);
struct sched_params any_params(struct drive *d);

#endif
