/* SPDX-License-Identifier: MIT */
/* Arrays, and the texture and surface objects over them: array.c, texture.c. */
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
};

/* Do size bytes, rows and slices from a place on lie in it, in whole elements? */
bool array_holds(const struct array *a, const uint64_t at[3], const uint64_t size[3]);
/* Its context goes. Side lane. */
void array_retire(struct gpu *g, struct array *a);

struct texture {
	struct obj o;
	unsigned long long far; /* CUtexObject or CUsurfObject; 0: none */
	bool is_surface;
};

void texture_retire(struct gpu *g, struct texture *t);

#endif
