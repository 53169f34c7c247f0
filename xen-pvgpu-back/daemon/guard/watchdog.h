/* SPDX-License-Identifier: MIT */
/*
 * Ends workers whose work is on the GPU for longer than their vGPU's kernel limit. Running work can
 * only be stopped by the end of its process. Other vGPUs go on meanwhile by the GPU's own time
 * slices.
 */
#ifndef PVGPU_WATCHDOG_H
#define PVGPU_WATCHDOG_H

struct daemon;
struct pool;

void watchdog_init(struct daemon *d);
/* A session began: starts the timer. */
void watchdog_wake(struct daemon *d);
void watchdog_stop(struct daemon *d);
/* Number of workers with long work on the pool's GPU, which share its time. */
unsigned int watchdog_long(const struct pool *p);

#endif
