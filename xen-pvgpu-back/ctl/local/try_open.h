/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_CTL_TRY_OPEN_H
#define PVGPU_CTL_TRY_OPEN_H

#include <stddef.h>

/* Opens a session at the socket of a vGPU, as a program does, and ends it. 0, or an errno value
 * with a reason; ETIMEDOUT: no answer in limit_s. */
int try_open(const char *path, double limit_s, char *reason, size_t cap);

#endif
