/* SPDX-License-Identifier: MIT */
/* Arrays, and the texture and surface objects over them: array.c, mipmap.c, texture.c. */
#ifndef PVGPU_WORKER_ARRAY_H
#define PVGPU_WORKER_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;

struct array {
	struct obj o;
	CUarray far;
	uint32_t texel;                   /* bytes of an element */
	uint64_t row_bytes, rows, slices; /* slices: or layers; at least 1 */
	uint64_t charge;                  /* leased; side lane only */
	bool is_level;                    /* of the mipmapped array that owns it */
};

/* Take over what a valid description says. */
void array_describe(struct array *a, const CUDA_ARRAY3D_DESCRIPTOR *d);
/* Bytes that it takes at most, for drivers that cannot say it. UINT64_MAX: more than there can be.
 */
uint64_t array_bound(const struct array *a);
/* Lease bytes for an array; memory that is kept for later gives way. Side lane. */
bool array_lease(struct gpu *g, uint64_t bytes);
/* Do size bytes, rows and slices from a place on lie in it, in whole elements? */
bool array_holds(const struct array *a, const uint64_t at[3], const uint64_t size[3]);
/* Its context goes. Side lane. */
void array_retire(struct gpu *g, struct array *a);

struct mipmap {
	struct obj o; /* owns its levels */
	CUmipmappedArray far;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint32_t levels;
	CUarray level[PVGPU_LEVELS_MAX]; /* the far end's */
	uint64_t charge;                 /* leased; side lane only */
};

/* Its context goes, or it is destroyed. Side lane. */
void mipmap_retire(struct gpu *g, struct mipmap *m);

struct texture {
	struct obj o;
	unsigned long long far; /* CUtexObject or CUsurfObject; 0: none */
	bool is_surface;
};

void texture_retire(struct gpu *g, struct texture *t);

#endif
