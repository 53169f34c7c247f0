/* SPDX-License-Identifier: MIT */
/* How many blocks fit, asked once for each size of blocks: occupancy.c. */
#ifndef PVGPU_CUDA_KERNELS_OCCUPANCY_H
#define PVGPU_CUDA_KERNELS_OCCUPANCY_H

#include <stdint.h>

struct ctx;
struct function;

int occupancy_blocks(struct ctx *c, struct function *f, int threads, uint64_t shared,
		     unsigned int flags, int *blocks);
/* A setting that it may depend on has changed, of one function. */
void occupancy_forget(struct function *f);
void occupancy_free(struct function *f);

#endif
