/* SPDX-License-Identifier: MIT */
/* Parts of the step register that have a file of their own (register_beside.c). */
#ifndef PVGPU_PROBE_STEP_REGISTER_H
#define PVGPU_PROBE_STEP_REGISTER_H

#include "tests/gpu/probe/chunk.h"

void register_beside(void); /* while kernels and copies run */
void register_owner(void);  /* who made the memory exits */
void register_shrunk(void); /* risky: the memory goes while it is registered */

#endif
