/* SPDX-License-Identifier: MIT */
/* Arrays, and texture and surface objects over them: array.c, mipmap.c, texture.c. */
#ifndef PVGPU_CUDA_ARRAY_PARTS_H
#define PVGPU_CUDA_ARRAY_PARTS_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct array {
	struct object o;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint64_t texel_bytes, row_bytes, rows, slices; /* slices: or layers; at least 1 */
	bool is_level;                                 /* of a mipmapped array */
};
struct mipmap {
	struct object o;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint32_t levels;
	CUarray level[PVGPU_LEVELS_MAX]; /* those asked for; under a lock of mipmap.c */
};
/* A CUtexObject or a CUsurfObject: the application holds the driver's number. */
struct texture {
	struct object o;
	uint64_t number;
	bool is_surface;
	struct texture *next; /* of all; under a lock of texture.c */
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC desc;
};

/* The array of a handle, in a usable context. */
int array_enter(CUarray h, const struct array **out);
/* Can there be an array of this description on this device? A CUresult. */
int array_check(const CUDA_ARRAY3D_DESCRIPTOR *d, int device);
void array_describe(struct array *a, struct ctx *c, const CUDA_ARRAY3D_DESCRIPTOR *d);
/* The mipmapped array of a handle, in a usable context. */
int mipmap_enter(CUmipmappedArray h, struct mipmap **out);
/* Do so many bytes, rows and slices from a place on lie in it, in whole elements? */
bool array_holds(const struct array *a, uint64_t x, uint64_t width, uint64_t y, uint64_t rows,
		 uint64_t z, uint64_t depth);

#endif
