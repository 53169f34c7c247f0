/* SPDX-License-Identifier: MIT */
/* Boxes of two- and three-dimensional copies: box.c. */
#ifndef PVGPU_CUDA_COPY_BOX_H
#define PVGPU_CUDA_COPY_BOX_H

#include "cuda/copy/copy.h"

#include <stdbool.h>
#include <stdint.h>

struct array;
struct target;

/* One operand: addr is the box's first byte, slices are pitch * height apart; or an array, and
 * where in it the box begins. */
struct place {
	uint64_t addr, pitch, height;
	enum side side;
	const struct array *array;
	uint64_t x, y, z;
};

struct box {
	struct place dst, src;
	uint64_t width, rows, depth; /* bytes, rows, slices */
	bool async;
};

/* Distance from the box's first byte to the end of its last row. False: it overflows. */
bool box_extent(const struct box *b, const struct place *p, uint64_t *out);
/* Between tightly packed memory and the box's source (gather) or destination, with the CPU. */
void box_pack(const struct box *b, char *mem, bool gather);
/* From its source to its destination, both of the host, with the CPU. */
void box_move(const struct box *b);
/* Copy a box that is not empty and whose places are checked; a CUresult. */
int copy_box(const struct target *t, const struct box *b);

#endif
