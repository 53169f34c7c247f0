/* SPDX-License-Identifier: MIT */
/* Matrices in the registers of a warp: what the instruction says about them. */
#ifndef PVGPU_SIMCUDA_PTX_EXEC_MATRIX_H
#define PVGPU_SIMCUDA_PTX_EXEC_MATRIX_H

#include "tests/simcuda/ptx/exec.h"

#define FLOATS_MAX 512  /* elements of a matrix: 32 x 16 of wmma, 16 x 32 of mma */
#define INTS_MAX   4096 /* 16 x 256 bits */

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
	const uint16_t *places; /* for each element LANES numbers: row * cols + column */
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

uint32_t element_bits(enum type t);
uint32_t fragment_place(const struct fragment *f, uint32_t lane, uint32_t e);
void finish_mma(struct warp *w, const struct insn *i, uint32_t mask);
void finish_wmma_move(struct warp *w, const struct insn *i, uint32_t mask);
void finish_matrix_move(struct warp *w, const struct insn *i, uint32_t mask);
void finish_movmatrix(struct warp *w, const struct insn *i, uint32_t mask);

#endif
