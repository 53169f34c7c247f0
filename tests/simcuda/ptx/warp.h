/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_SIMCUDA_PTX_WARP_H
#define PVGPU_SIMCUDA_PTX_WARP_H

#include "tests/simcuda/ptx/exec.h"

/* All lanes at the kernel's first instruction; the caller gives them their frame. */
void warp_start(struct warp *w);
/* Choose the split that runs next; false when none is ready, or all that are spin. */
bool warp_pick(struct warp *w);
/* The same, but one that spins has its turn, too. */
bool warp_pick_spinning(struct warp *w);
/* Run at most n instructions; *done is how many. STEP_FAULT, or anything else when it may go on. */
int warp_run(struct warp *w, uint32_t n, uint32_t *done);

#endif
