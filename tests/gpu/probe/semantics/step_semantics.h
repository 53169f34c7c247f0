/* SPDX-License-Identifier: MIT */
/* Parts of the step semantics that have files of their own. */
#ifndef PVGPU_PROBE_STEP_SEMANTICS_H
#define PVGPU_PROBE_STEP_SEMANTICS_H

#include "tests/gpu/probe/parts.h"

void semantics_current(void);  /* no context is current; the role's name says how */
void semantics_retained(void); /* the primary context's retain count */
void semantics_old(void);      /* unversioned twins of _v2 calls */
void semantics_proc(void);     /* cuGetProcAddress */
void semantics_memory(void);   /* sizes, rounding, fresh memory */
void semantics_pointers(void); /* unified addresses */

/* Compare with what pvgpu answers; says <key>_result. */
void same_code(enum assumption a, const char *key, int got, int ours);

#endif
