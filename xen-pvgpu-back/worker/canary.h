/* SPDX-License-Identifier: MIT */
/* canary.c: does the GPU still compute? */
#ifndef PVGPU_WORKER_CANARY_H
#define PVGPU_WORKER_CANARY_H

#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/worker/far.h"

#define CANARY_WRONG 1000 /* it computes, but not right */

/*
 * In a context of its own run a small kernel and check every word of its result, which depends on
 * the seed. 0, a CUresult or CANARY_WRONG, the last two with a reason. It may take as long as the
 * far end likes.
 */
int canary_run(const struct far *far, uint32_t seed, char *reason, size_t cap);

#endif
