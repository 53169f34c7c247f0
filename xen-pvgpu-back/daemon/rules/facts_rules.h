/* SPDX-License-Identifier: MIT */
/* The values that a guest may know of the GPU that it shares. Pure. */
#ifndef PVGPU_FACTS_RULES_H
#define PVGPU_FACTS_RULES_H

#include <stdbool.h>

#include "pvgpu_keys.h"

/* Rounds the sensors, or with sensors false makes them unknown. */
void facts_for_guest(struct pvgpu_gpu_card *g, bool sensors);

#endif
