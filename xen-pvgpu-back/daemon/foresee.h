/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_DAEMON_FORESEE_H
#define PVGPU_DAEMON_FORESEE_H

#include "xen-pvgpu-back/daemon/config/config.h"

/* For --check, beside a pvgpud that runs in the same run_dir; without one nothing is known. -1: a
 * vGPU would have no room, with an error. */
int foresee(const struct config *c, char error[CONFIG_ERROR]);

#endif
