/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_SIMCUDA_MUTATE_H
#define PVGPU_SIMCUDA_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Select a mutation of code by name: its n-th occurrence in each module, 0 for all. False: unknown.
 */
bool mutate_select(const char *what, uint64_t n);

#endif
