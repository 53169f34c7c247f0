/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_PROBE_RECORD_H
#define PVGPU_PROBE_RECORD_H

#include <jansson.h>

/*
 * record_exports.c: what our libcuda exports, against what the driver does (`symbols`, or NULL),
 * and which symbol cuGetProcAddress gives for a name and a version, against our table.
 */
void record_exports(json_t *o, const json_t *symbols);

#endif
