/* SPDX-License-Identifier: MIT */
/* The processes that the step "context" looks at. */
#ifndef PVGPU_PROBE_CONTEXT_H
#define PVGPU_PROBE_CONTEXT_H

#include "tests/gpu/probe/probe.h"

/* Where a process with contexts waits until it has been looked at. */
enum { CONTEXT_KERNEL = 2, CONTEXT_POINTS = 6 };
extern const char *const context_points[CONTEXT_POINTS];

/*
 * "whole": two contexts, given back. "brief": one, kept until the process exits. "limits", "flags":
 * what they change. "holder": memory, until it is killed.
 */
void context_role(const char *role);

#endif
