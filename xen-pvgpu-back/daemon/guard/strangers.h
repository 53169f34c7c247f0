/* SPDX-License-Identifier: MIT */
/*
 * Processes on a pool's GPU that are no workers: their use is in no account. The operator's own are
 * possible, so they raise an alarm and nothing else. A descendant of a worker is none of those: its
 * worker is ended.
 */
#ifndef PVGPU_STRANGERS_H
#define PVGPU_STRANGERS_H

#include <stdint.h>

struct pool;

/* The driver reports a process that is no worker. */
void strangers_seen(struct pool *p, uint32_t pid);
/* The end of a round. A process counts when several rounds have seen it: the driver may list one
 * that has just exited. */
void strangers_round(struct pool *p);
/* Number of them that the alarm was raised for and that are there. */
unsigned int strangers_count(const struct pool *p);

#endif
