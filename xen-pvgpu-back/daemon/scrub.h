/* SPDX-License-Identifier: MIT */
/*
 * Does NVIDIA's driver clear memory that is given back? It does by default; a setting of the kernel
 * module (registry key RMDisableScrubOnFree) lets the next tenant find what the last one left.
 */
#ifndef PVGPU_SCRUB_H
#define PVGPU_SCRUB_H

#include <stdbool.h>
#include <stdio.h>

#define SCRUB_PARAMS "/proc/driver/nvidia/params"

/* In the text of the driver's parameters. */
bool scrub_disabled(FILE *params);
/* 0, or -1, logged, when it is switched off. No such file: 0, there is no such driver. */
int scrub_check(const char *path);

#endif
