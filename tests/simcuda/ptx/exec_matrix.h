/* SPDX-License-Identifier: MIT */
/* Matrices in the registers of a warp: what the instruction says about them. */
#ifndef PVGPU_SIMCUDA_PTX_EXEC_MATRIX_H
#define PVGPU_SIMCUDA_PTX_EXEC_MATRIX_H

#include "tests/simcuda/ptx/exec.h"

#define MATRIX_MAX 4096 /* elements: 16 x 256 bits */

enum matrix_part { PART_A, PART_B, PART_C };
/* How a matrix is spread over the lanes: as mma says, as its oldest shape does, or as one likes. */
enum matrix_layout { LAYOUT_GROUP, LAYOUT_QUAD, LAYOUT_OPEN };

struct fragment {
	uint8_t type, cls; /* of the elements, of the registers */
	uint8_t part, layout;
	uint8_t is_col;      /* columns follow each other, in memory or in the oldest shape */
	uint8_t count;       /* registers */
	uint16_t rows, cols; /* of the matrix */
	uint16_t elements;   /* of one lane */
	uint32_t regs[8];
};

struct matrix_op {
	struct fragment a, b, c, d;
	uint8_t satfinite, is_xor;
	uint8_t store, trans;
	uint8_t space;
	uint8_t count; /* matrices of ldmatrix and stmatrix */
	struct mem_op at;
	uint32_t stride; /* row */
	uint32_t regs[4];
};

union number {
	double d;
	int64_t i;
};

uint32_t element_bits(enum type t);
void finish_mma(struct warp *w, const struct insn *i, uint32_t mask);
void finish_wmma_move(struct warp *w, const struct insn *i, uint32_t mask);
void finish_matrix_move(struct warp *w, const struct insn *i, uint32_t mask);
void finish_movmatrix(struct warp *w, const struct insn *i, uint32_t mask);

#endif
