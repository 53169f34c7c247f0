/* SPDX-License-Identifier: MIT */
/* Arrays: interfaces between array.c, copy3d.c and texture.c. */
#ifndef PVGPU_CUDA_ARRAY_PARTS_H
#define PVGPU_CUDA_ARRAY_PARTS_H

#include "cuda/core/guest.h"

/* The array of a handle, in a usable context. */
int array_enter(CUarray h, const struct array **out);
/* Do so many bytes, rows and slices from a place on lie in it, in whole elements? */
bool array_holds(const struct array *a, uint64_t x, uint64_t width, uint64_t y, uint64_t rows,
		 uint64_t z, uint64_t depth);

#endif
