/* SPDX-License-Identifier: MIT */
/* Launches: launch.c. */
#ifndef PVGPU_CUDA_KERNELS_LAUNCH_H
#define PVGPU_CUDA_KERNELS_LAUNCH_H

#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct function;
struct pvgpu_launch_attr;

/* A launch's arguments, checked and packed for a node of a graph; out has room for
 * PVGPU_PARAMS_MAX bytes. */
int launch_pack(struct ctx *c, const CUDA_KERNEL_NODE_PARAMS *p, char *out, uint32_t *len,
		struct function **f);

/* Launch attributes in the protocol's form, and what they ask of the launch. */
struct launch_needs {
	bool cooperative;
	unsigned int cluster[3]; /* [0] 0: none */
};
int launch_attrs(const CUlaunchConfig *config, struct pvgpu_launch_attr *out, unsigned int *n,
		 struct launch_needs *needs);

#endif
