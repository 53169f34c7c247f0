/* SPDX-License-Identifier: MIT */
/* NVIDIA's driver clears freed device memory by default. A setting of the kernel module (registry
 * key RMDisableScrubOnFree) disables that, and the next tenant could read the last one's data. */
#ifndef PVGPU_SCRUB_H
#define PVGPU_SCRUB_H

#include <stdbool.h>
#include <stdio.h>

#define SCRUB_PARAMS "/proc/driver/nvidia/params"

/* Is the setting in the text of the driver's parameters? */
bool scrub_disabled(FILE *params);
/* 0, or -1 with an error logged when clearing is disabled and that is not `allowed`. Without the
 * file: 0, the driver is not loaded. */
int scrub_check(const char *path, bool allowed);

#endif
