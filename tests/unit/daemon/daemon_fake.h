/* SPDX-License-Identifier: MIT */
/*
 * Parts of pvgpud that a test of pools, vGPUs and keys does without: the scheduler, workers, guests
 * that connect, faults and canaries.
 */
#ifndef PVGPU_DAEMON_FAKE_H
#define PVGPU_DAEMON_FAKE_H

#include <stdbool.h>

struct daemon_fake {
	unsigned int gpus_changed, groups_changed, moved; /* calls */
	const char *unsound;                              /* the first pool's GPU is, and why */
	bool health_starts;                               /* and has told no GPU's UUID */
};

extern struct daemon_fake daemon_fake;

#endif
