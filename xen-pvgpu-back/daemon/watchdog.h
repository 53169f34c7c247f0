/* SPDX-License-Identifier: MIT */
/*
 * Ends workers whose work is on the GPU for longer than their vGPU's kernel limit: what runs there
 * cannot be taken away, and a queue behind it helps nobody. The other vGPUs go on meanwhile, by the
 * GPU's own time-slices.
 */
#ifndef PVGPU_WATCHDOG_H
#define PVGPU_WATCHDOG_H

struct daemon;
struct pool;

void watchdog_init(struct daemon *d);
/* There is a session more: look from time to time. */
void watchdog_wake(struct daemon *d);
void watchdog_stop(struct daemon *d);
/* Workers that have long work on the pool's GPU now: it shares its time among them. */
unsigned int watchdog_long(const struct pool *p);

#endif
