/* SPDX-License-Identifier: MIT */
/* Managed variables of modules and libraries: variables.c. */
#ifndef PVGPU_CUDA_KERNELS_VARIABLES_H
#define PVGPU_CUDA_KERNELS_VARIABLES_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <stddef.h>

struct image;
struct variable;

struct variables {
	struct variable *all;
	size_t count;
};

/* Where the device has managed memory: place the image's managed variables, and take them out of
 * the image. A CUresult; on failure there are none, and the image is as it was. */
int variables_place(struct image *image, int device, const struct object *owner,
		    struct variables *out);
/* The variable of this name; false: there is none. */
bool variables_find(const struct variables *v, const char *name, CUdeviceptr *addr, size_t *bytes);
/* No kernel uses them any more. */
void variables_free(struct variables *v);

#endif
