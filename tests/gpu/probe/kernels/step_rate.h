/* SPDX-License-Identifier: MIT */
/* Parts of the step rate that have files of their own. */
#ifndef PVGPU_PROBE_STEP_RATE_H
#define PVGPU_PROBE_STEP_RATE_H

#include "tests/gpu/probe/parts.h"

void rate_depth(void);
void rate_depth_host(void);  /* rate_depth.c: how much is taken before a call blocks */
void rate_host(void);        /* rate_host.c: host functions */
void rate_beside(void);      /* rate_beside.c: which calls wait for a running kernel, */
void rate_beside_host(void); /* for a host function */

#endif
