/* SPDX-License-Identifier: MIT */
/*
 * Attributes of cuBLASLt's descriptors: where each lies in the structure that the wire has for its
 * kind, and what it is when nobody sets it. The guest reads and writes them here; the worker hands
 * those that differ to the library.
 */
#ifndef PVGPU_CUBLASLT_ATTRIBUTES_H
#define PVGPU_CUBLASLT_ATTRIBUTES_H

#include <stddef.h>
#include <string.h>

#include "pvgpu_cublaslt.h"
#include "pvgpu_wire.h"

struct lt_attribute {
	int number;
	uint16_t offset, size;
};

#define LT_AT(kind, number, field, size)                                                           \
	{                                                                                          \
		number, offsetof(struct pvgpu_lt_##kind, field), size                              \
	}

/* The last five are of version 13, for groups. */
enum { LT_LAYOUT_ATTRIBUTES = 14, LT_LAYOUT_ATTRIBUTES_12 = 9 };
static const struct lt_attribute lt_layout_attributes[LT_LAYOUT_ATTRIBUTES] = {
	LT_AT(layout, 0, type, 4),         LT_AT(layout, 1, order, 4),
	LT_AT(layout, 2, rows, 8),         LT_AT(layout, 3, cols, 8),
	LT_AT(layout, 4, ld, 8),           LT_AT(layout, 5, batch_count, 4),
	LT_AT(layout, 6, batch_stride, 8), LT_AT(layout, 7, plane_offset, 8),
	LT_AT(layout, 8, batch_mode, 4),   LT_AT(layout, 9, rows_array, 8),
	LT_AT(layout, 10, cols_array, 8),  LT_AT(layout, 11, ld_array, 8),
	LT_AT(layout, 12, size_width, 4),  LT_AT(layout, 13, ld_width, 4),
};

enum { LT_OPERATION_ATTRIBUTES = 36, LT_ATTRIBUTE_EMULATION = 38 };
static const struct lt_attribute lt_operation_attributes[LT_OPERATION_ATTRIBUTES] = {
	LT_AT(operation, 0, compute_type, 4),
	LT_AT(operation, 1, scale_type, 4),
	LT_AT(operation, 2, pointer_mode, 4),
	LT_AT(operation, 3, transa, 4),
	LT_AT(operation, 4, transb, 4),
	LT_AT(operation, 5, transc, 4),
	LT_AT(operation, 6, fill_mode, 4),
	LT_AT(operation, 7, epilogue, 4),
	LT_AT(operation, 8, bias, 8),
	LT_AT(operation, 10, bias_stride, 8),
	LT_AT(operation, 11, aux, 8),
	LT_AT(operation, 12, aux_ld, 8),
	LT_AT(operation, 13, aux_stride, 8),
	LT_AT(operation, 14, alpha_vector_stride, 8),
	LT_AT(operation, 15, sm_count, 4),
	LT_AT(operation, 17, a_scale, 8),
	LT_AT(operation, 18, b_scale, 8),
	LT_AT(operation, 19, c_scale, 8),
	LT_AT(operation, 20, d_scale, 8),
	LT_AT(operation, 21, amax, 8),
	LT_AT(operation, 22, aux_type, 4),
	LT_AT(operation, 23, aux_scale, 8),
	LT_AT(operation, 24, aux_amax, 8),
	LT_AT(operation, 25, fast_accum, 1),
	LT_AT(operation, 26, bias_type, 4),
	LT_AT(operation, 31, a_scale_mode, 4),
	LT_AT(operation, 32, b_scale_mode, 4),
	LT_AT(operation, 33, c_scale_mode, 4),
	LT_AT(operation, 34, d_scale_mode, 4),
	LT_AT(operation, 35, aux_scale_mode, 4),
	LT_AT(operation, 36, d_out_scale, 8),
	LT_AT(operation, 37, d_out_scale_mode, 4),
	LT_AT(operation, LT_ATTRIBUTE_EMULATION, emulation, 8),
	LT_AT(operation, 39, alpha_stride, 8),
	LT_AT(operation, 40, beta_stride, 8),
	LT_AT(operation, 41, batch_invariance, 4),
};

enum { LT_TRANSFORM_ATTRIBUTES = 4 };
static const struct lt_attribute lt_transform_attributes[LT_TRANSFORM_ATTRIBUTES] = {
	LT_AT(transform, 0, scale_type, 4),
	LT_AT(transform, 1, pointer_mode, 4),
	LT_AT(transform, 2, transa, 4),
	LT_AT(transform, 3, transb, 4),
};

enum { LT_PREFERENCE_ATTRIBUTES = 12 };
static const struct lt_attribute lt_preference_attributes[LT_PREFERENCE_ATTRIBUTES] = {
	LT_AT(preference, 0, search_mode, 4),    LT_AT(preference, 1, workspace, 8),
	LT_AT(preference, 3, reduction_mask, 4), LT_AT(preference, 5, align_a, 4),
	LT_AT(preference, 6, align_b, 4),        LT_AT(preference, 7, align_c, 4),
	LT_AT(preference, 8, align_d, 4),        LT_AT(preference, 9, waves, 4),
	LT_AT(preference, 12, impl_mask, 8),     LT_AT(preference, 13, grouped_k, 4),
	LT_AT(preference, 14, grouped_rows, 4),  LT_AT(preference, 15, grouped_cols, 4),
};

enum { LT_EMULATION_ATTRIBUTES = 6 };
static const struct lt_attribute lt_emulation_attributes[LT_EMULATION_ATTRIBUTES] = {
	LT_AT(emulation, 0, strategy, 4),         LT_AT(emulation, 1, special_values, 4),
	LT_AT(emulation, 2, mantissa_control, 4), LT_AT(emulation, 3, max_bits, 4),
	LT_AT(emulation, 4, bit_offset, 4),       LT_AT(emulation, 5, bit_count, 8),
};

/* Settings of an algorithm's. */
enum { LT_ALGO_ATTRIBUTES = 9 };
static const struct lt_attribute lt_algo_attributes[LT_ALGO_ATTRIBUTES] = {
	LT_AT(algo, 0, id, 4),
	LT_AT(algo, 1, tile, 4),
	LT_AT(algo, 2, split_k, 4),
	LT_AT(algo, 3, reduction, 4),
	LT_AT(algo, 4, swizzling, 4),
	LT_AT(algo, 5, custom, 4),
	LT_AT(algo, 6, stages, 4),
	LT_AT(algo, 7, inner_shape, 2),
	LT_AT(algo, 8, cluster_shape, 2),
};

static inline void lt_layout_begin(struct pvgpu_lt_layout *l, int type, uint64_t rows,
				   uint64_t cols, int64_t ld)
{
	*l = (struct pvgpu_lt_layout){
		.type = type, .rows = rows, .cols = cols, .ld = ld, .batch_count = 1};
}

static inline void lt_operation_begin(struct pvgpu_lt_operation *o, int compute, int scale)
{
	*o = (struct pvgpu_lt_operation){.compute_type = compute,
					 .scale_type = scale,
					 .fill_mode = LT_FILL_FULL,
					 .epilogue = LT_PLAIN,
					 .aux_type = -1,
					 .bias_type = -1,
					 .batch_invariance = LT_UNSET_INVARIANCE};
}

static inline void lt_transform_begin(struct pvgpu_lt_transform *t, int scale)
{
	*t = (struct pvgpu_lt_transform){.scale_type = scale};
}

static inline void lt_preference_begin(struct pvgpu_lt_preference *p)
{
	*p = (struct pvgpu_lt_preference){.reduction_mask = LT_REDUCTION_MASK,
					  .align_a = 256,
					  .align_b = 256,
					  .align_c = 256,
					  .align_d = 256,
					  .impl_mask = UINT64_MAX};
}

static inline void lt_emulation_begin(struct pvgpu_lt_emulation *e)
{
	*e = (struct pvgpu_lt_emulation){.special_values = 0xffff};
}

#endif
