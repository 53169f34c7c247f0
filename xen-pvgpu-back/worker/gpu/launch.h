/* SPDX-License-Identifier: MIT */
/* Launches: launch.c. */
#ifndef PVGPU_WORKER_LAUNCH_H
#define PVGPU_WORKER_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/worker/far.h"

struct function;
struct gpu;

bool window_persists(const CUaccessPolicyWindow *w);
/* A command's attributes, up to PVGPU_LAUNCH_ATTRS_MAX of them; a CUresult. */
int launch_attrs(struct gpu *g, const void *bytes, uint32_t len, CUlaunchAttribute *to,
		 unsigned int *count);

/* A kernel's parameters as the far end wants them; a CUresult. */
#define PARAMS_ON_STACK 1400 /* more than an info reply can describe */
struct args {
	void *param[PARAMS_ON_STACK];
	void *extra[5];
	size_t bytes;
};
int args_make(struct args *a, const struct function *f, const void *params, uint32_t len,
	      void ***by_pointer, void ***packed);

#endif
