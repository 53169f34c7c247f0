/* SPDX-License-Identifier: MIT */
/* Linking of programs: link.c. */
#ifndef PVGPU_CUDA_KERNELS_LINK_H
#define PVGPU_CUDA_KERNELS_LINK_H

#include "cuda/core/object.h"
#include "cuda/kernels/jit.h"

#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct image;

/* A CUlinkState. The application's option values and logs are filled after each call; only one
 * thread may use it at a time, as with the driver's. */
struct link {
	struct object o;
	struct jit jit;
	void *image; /* what it was linked to, for the application */
	size_t size;
};
/* The image of a program that was compiled to be linked and whose linked code is not for this
 * device: linked from its parts, in arena memory. False: it is no such program, or the link failed;
 * then *result is why, and jit has the logs. */
bool link_prelinked(const void *data, struct ctx *c, struct jit *jit, struct image *out,
		    int *result);

#endif
