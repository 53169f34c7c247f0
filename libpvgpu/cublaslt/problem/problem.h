/* SPDX-License-Identifier: MIT */
/*
 * Products and transforms of cuBLASLt: whether the descriptors of one fit each other, and which
 * memory the library reads and writes for it. Guest and worker use the same functions; the
 * worker's copy is the one that counts. Sizes are bounded first and multiplied in 128 bits: none
 * wraps round.
 */
#ifndef PVGPU_CUBLASLT_PROBLEM_H
#define PVGPU_CUBLASLT_PROBLEM_H

#include <stdbool.h>

#include "cublaslt/problem/attributes.h"

struct lt_problem {
	const struct pvgpu_lt_operation *op;
	const struct pvgpu_lt_layout *a, *b, *c, *d;
	const struct pvgpu_lt_emulation *emulation;
};

/* Operands that go by pointer. Numbers are values or addresses, as the pointer mode says. */
struct lt_places {
	uint64_t alpha, beta, a, b, c, d, workspace, workspace_bytes;
};

enum { LT_RANGES = 32 };
struct lt_ranges {
	struct {
		uint64_t at, bytes;
	} range[LT_RANGES];
	unsigned int count;
};

/* Bits of an element; 0: no type. */
static inline int lt_type_bits(int64_t type)
{
	static const uint8_t bits[] = {32, 64,  16, 8,   64, 128, 32, 16, 8,  16, 32, 64,
				       32, 64,  16, 32,  4,  8,   4,  8,  16, 32, 16, 32,
				       64, 128, 64, 128, 8,  8,   8,  6,  6,  4};

	return type >= 0 && type < (int64_t)sizeof(bits) ? bits[type] : 0;
}

/* Bytes of alpha and beta. */
static inline unsigned int lt_scale_bytes(int64_t scale_type)
{
	switch (scale_type) {
	case CUDA_R_16F:
	case CUDA_R_16BF:
		return 2;
	case CUDA_R_32F:
	case CUDA_R_32I:
		return 4;
	case CUDA_R_64F:
	case CUDA_C_32F:
		return 8;
	case CUDA_C_64F:
		return 16;
	default:
		return 0;
	}
}

static inline __int128 lt_round_up(__int128 n, int to)
{
	return (n + to - 1) / to * to;
}

static inline __int128 lt_bytes(__int128 elements, int bits)
{
	return (elements * bits + 7) / 8;
}

/* Rows of a column of tiles, 32 elements wide, in the orders that have tiles. */
static inline __int128 lt_tiled_rows(const struct pvgpu_lt_layout *l)
{
	return lt_round_up(l->rows, l->order == LT_COL32 ? 1 : l->order == LT_COL4_4R2_8C ? 8 : 32);
}

/* The least distance of columns, rows, or columns of tiles. */
static inline __int128 lt_least_ld(const struct pvgpu_lt_layout *l)
{
	if (l->order == LT_COL || l->order == LT_ROW)
		return l->order == LT_COL ? l->rows : l->cols;
	return 32 * lt_tiled_rows(l);
}

/* Elements from the first to the last of one matrix. */
static inline __int128 lt_elements(const struct pvgpu_lt_layout *l)
{
	const __int128 rows = l->rows, cols = l->cols, ld = l->ld;

	if (!rows || !cols)
		return 0;
	if (l->order == LT_COL)
		return (cols - 1) * ld + rows;
	if (l->order == LT_ROW)
		return (rows - 1) * ld + cols;
	return ((cols + 31) / 32 - 1) * ld + 32 * lt_tiled_rows(l);
}

static inline int lt_layout_valid(const struct pvgpu_lt_layout *l)
{
	const uint64_t most = UINT64_C(1) << 40;

	if (!lt_type_bits(l->type) || l->order < 0 || l->order >= LT_ORDERS ||
	    l->batch_mode > LT_GROUPED || l->batch_count < 1 || l->size_width < 0 ||
	    l->size_width > 1 || l->ld_width < 0 || l->ld_width > 1)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (l->batch_mode == LT_GROUPED)
		return 0; /* its sizes lie in device memory */
	if (l->rows > most || l->cols > most || l->ld < 0 || l->ld > INT64_MAX / 2 ||
	    l->batch_stride < 0 || l->plane_offset < 0)
		return CUBLAS_STATUS_INVALID_VALUE;
	return l->ld < lt_least_ld(l) ? CUBLAS_STATUS_INVALID_VALUE : 0;
}

static inline bool lt_alike(const struct pvgpu_lt_layout *l, const struct pvgpu_lt_layout *d)
{
	return l->batch_mode == d->batch_mode && l->batch_count == d->batch_count;
}

static inline bool lt_scale_mode_known(int mode)
{
	return (mode >= LT_SCALE_ONE && mode <= LT_SCALE_BATCH) || mode == LT_SCALE_VEC128_K4 ||
	       mode == LT_SCALE_VEC32_K4;
}

/* Groups have no sizes that the host knows, so nothing that depends on them is served. */
static inline bool lt_plain(const struct pvgpu_lt_operation *o)
{
	return o->epilogue == LT_PLAIN && o->pointer_mode <= LT_DEVICE && !o->bias && !o->aux &&
	       !o->a_scale && !o->b_scale && !o->c_scale && !o->d_scale && !o->aux_scale &&
	       !o->d_out_scale;
}

static inline int lt_operation_valid(const struct pvgpu_lt_operation *o)
{
	if (o->pointer_mode < 0 || o->pointer_mode >= LT_POINTER_MODES || o->transa < 0 ||
	    o->transa > 3 || o->transb < 0 || o->transb > 3 || o->fill_mode < 0 ||
	    o->fill_mode > LT_FILL_FULL || o->epilogue > 1023 || o->bias_stride < 0 ||
	    o->aux_ld < 0 || o->aux_stride < 0 || o->alpha_vector_stride < 0 ||
	    o->alpha_stride < 0 || o->beta_stride < 0 || o->zero)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!lt_scale_mode_known(o->a_scale_mode) || !lt_scale_mode_known(o->b_scale_mode) ||
	    !lt_scale_mode_known(o->c_scale_mode) || !lt_scale_mode_known(o->d_scale_mode) ||
	    !lt_scale_mode_known(o->aux_scale_mode) || !lt_scale_mode_known(o->d_out_scale_mode))
		return CUBLAS_STATUS_INVALID_VALUE;
	if ((o->bias_type >= 0 && !lt_type_bits(o->bias_type)) ||
	    (o->aux_type >= 0 && !lt_type_bits(o->aux_type)) || !lt_scale_bytes(o->scale_type))
		return CUBLAS_STATUS_INVALID_VALUE;
	/* Numbers of the host's are one for all of a batch. */
	if (o->pointer_mode == LT_HOST && (o->alpha_stride || o->beta_stride))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return o->transc ? CUBLAS_STATUS_NOT_SUPPORTED : 0;
}

/* 0, or the status that it answers. */
static inline int lt_valid(const struct lt_problem *p)
{
	const struct pvgpu_lt_layout *const all[] = {p->a, p->b, p->c, p->d};
	const bool ta = p->op->transa == CUBLAS_OP_T || p->op->transa == CUBLAS_OP_C;
	const bool tb = p->op->transb == CUBLAS_OP_T || p->op->transb == CUBLAS_OP_C;
	int r = lt_operation_valid(p->op);

	for (int i = 0; !r && i < 4; i++) {
		r = lt_layout_valid(all[i]);
		if (!r && !lt_alike(all[i], p->d))
			r = CUBLAS_STATUS_INVALID_VALUE;
	}
	if (r)
		return r;
	if (p->d->batch_mode == LT_GROUPED)
		return lt_plain(p->op) ? 0 : CUBLAS_STATUS_NOT_SUPPORTED;
	if ((ta ? p->a->cols : p->a->rows) != p->d->rows ||
	    (tb ? p->b->rows : p->b->cols) != p->d->cols ||
	    (ta ? p->a->rows : p->a->cols) != (tb ? p->b->cols : p->b->rows) ||
	    p->c->rows != p->d->rows || p->c->cols != p->d->cols)
		return CUBLAS_STATUS_INVALID_VALUE;
	return 0;
}

static inline void lt_range(struct lt_ranges *r, uint64_t at, __int128 bytes)
{
	if (bytes <= 0 || r->count == LT_RANGES)
		return;
	r->range[r->count].at = at;
	r->range[r->count++].bytes = bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes;
}

/* Elements of a batch: of one matrix, and of count - 1 more, stride apart. */
static inline __int128 lt_batch(__int128 one, __int128 stride, __int128 count)
{
	return one ? (count - 1) * stride + one : 0;
}

static inline void lt_matrix(struct lt_ranges *r, const struct pvgpu_lt_layout *l, uint64_t at)
{
	/* A plane has the real parts, one behind it the imaginary ones. */
	const int bits = lt_type_bits(l->type) / (l->plane_offset ? 2 : 1);
	const __int128 elements = lt_batch(lt_elements(l), l->batch_stride, l->batch_count);

	if (l->batch_mode == LT_STRIDED) {
		lt_range(r, at, lt_bytes(elements, bits));
		if (l->plane_offset)
			lt_range(r, at + (uint64_t)l->plane_offset, lt_bytes(elements, bits));
		return;
	}
	/* Addresses that lie in device memory are the library's kernels' to follow. */
	lt_range(r, at, 8 * (__int128)l->batch_count);
	if (l->batch_mode == LT_GROUPED) {
		lt_range(r, l->rows_array, (l->size_width ? 8 : 4) * (__int128)l->batch_count);
		lt_range(r, l->cols_array, (l->size_width ? 8 : 4) * (__int128)l->batch_count);
		lt_range(r, l->ld_array, (l->ld_width ? 8 : 4) * (__int128)l->batch_count);
	}
}

/* Factors of a matrix, of which so many elements are along the inner dimension and the outer one.
 */
static inline __int128 lt_factors(const struct lt_problem *p, int mode, __int128 inner,
				  __int128 outer)
{
	const __int128 one = p->op->scale_type == CUDA_R_64F ? 8 : 4, batch = p->d->batch_count;

	switch (mode) {
	case LT_SCALE_VEC16:
		return batch * lt_round_up(outer, 128) * lt_round_up((inner + 15) / 16, 4);
	case LT_SCALE_VEC32:
		return batch * lt_round_up(outer, 128) * lt_round_up((inner + 31) / 32, 4);
	case LT_SCALE_OUTER:
		return batch * 4 * outer;
	case LT_SCALE_VEC128:
		return batch * 4 * outer * ((inner + 127) / 128);
	case LT_SCALE_BLOCK128:
		return batch * 4 * ((outer + 127) / 128) * lt_round_up((inner + 127) / 128, 4);
	case LT_SCALE_BATCH:
		return batch * 4;
	case LT_SCALE_VEC128_K4:
		return batch * 4 * lt_round_up(outer, 4) * ((inner + 511) / 512);
	case LT_SCALE_VEC32_K4:
		return batch * 4 * lt_round_up(outer, 4) * ((inner + 127) / 128);
	default:
		return one;
	}
}

static inline void lt_scales(struct lt_ranges *r, const struct lt_problem *p)
{
	const struct pvgpu_lt_operation *o = p->op;
	const bool ta = o->transa == CUBLAS_OP_T || o->transa == CUBLAS_OP_C;
	const bool row = p->d->order == LT_ROW;
	const __int128 k = ta ? p->a->rows : p->a->cols, m = p->d->rows, n = p->d->cols;
	const __int128 inner = row ? n : m, outer = row ? m : n;
	const struct {
		uint64_t at;
		int mode;
		__int128 inner, outer;
	} all[] = {
		{o->a_scale, o->a_scale_mode, k, m},
		{o->b_scale, o->b_scale_mode, k, n},
		{o->c_scale, o->c_scale_mode, inner, outer},
		{o->d_scale, o->d_scale_mode, inner, outer},
		{o->aux_scale, o->aux_scale_mode, inner, outer},
		{o->d_out_scale, o->d_out_scale_mode, inner, outer},
		{o->amax, LT_SCALE_ONE, 0, 0},
		{o->aux_amax, LT_SCALE_ONE, 0, 0},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].at)
			lt_range(r, all[i].at,
				 lt_factors(p, all[i].mode, all[i].inner, all[i].outer));
}

/* The bias's type where the operation does not say it. */
static inline int lt_bias_bits(const struct lt_problem *p)
{
	const int a = p->a->type, d = p->d->type;

	if (p->op->bias_type >= 0)
		return lt_type_bits(p->op->bias_type);
	if (d == CUDA_R_8I)
		return 32;
	return a == LT_E4M3 || a == LT_E5M2 ? 16 : lt_type_bits(d);
}

/* Epilogues that have an auxiliary matrix, those that no library has by themselves, too. */
#define LT_WITH_AUX (LT_AUX | LT_DRELU | LT_DGELU)

static inline void lt_epilogue(struct lt_ranges *r, const struct lt_problem *p)
{
	const struct pvgpu_lt_operation *o = p->op;
	const uint32_t e = o->epilogue;
	const __int128 batch = p->d->batch_count;
	const __int128 inner = p->d->order == LT_ROW ? p->d->cols : p->d->rows;
	const __int128 outer = p->d->order == LT_ROW ? p->d->rows : p->d->cols;
	__int128 length = 0;

	/* Of parts that no library puts together: what the larger one needs. */
	if (e & (LT_BIAS | LT_BGRAD | LT_BGRADA))
		length = p->d->rows;
	if (e & LT_BGRADB && p->d->cols > length)
		length = p->d->cols;
	if (length)
		lt_range(r, o->bias,
			 lt_bytes(lt_batch(length, o->bias_stride, batch), lt_bias_bits(p)));
	if (e & LT_WITH_AUX && inner && outer) {
		const bool mask = e & (LT_RELU | LT_DRELU) && !(e & (LT_GELU | LT_DGELU));
		const int bits = mask               ? 1
				 : o->aux_type >= 0 ? lt_type_bits(o->aux_type)
						    : lt_type_bits(p->d->type);
		/* A library may take 0 for the least distance. */
		const __int128 ld = o->aux_ld > inner ? o->aux_ld : inner;

		lt_range(r, o->aux,
			 lt_bytes(lt_batch((outer - 1) * ld + inner, o->aux_stride, batch), bits));
	}
}

/* Whether beta is known to be 0, so that nothing is read of C. */
static inline bool lt_beta_zero(const struct pvgpu_lt_operation *o, const uint64_t beta[2])
{
	if (o->pointer_mode == LT_VECTOR_ZERO)
		return true;
	return (o->pointer_mode == LT_HOST || o->pointer_mode == LT_VECTOR_HOST) && !beta[0] &&
	       (!beta[1] || lt_scale_bytes(o->scale_type) <= 8);
}

static inline void lt_numbers(struct lt_ranges *r, const struct lt_problem *p,
			      const struct lt_places *at)
{
	const struct pvgpu_lt_operation *o = p->op;
	const __int128 bytes = lt_scale_bytes(o->scale_type), batch = p->d->batch_count;
	const __int128 rows = p->d->rows;

	switch (o->pointer_mode) {
	case LT_DEVICE:
		lt_range(r, at->alpha, bytes * lt_batch(1, o->alpha_stride, batch));
		lt_range(r, at->beta, bytes * lt_batch(1, o->beta_stride, batch));
		break;
	case LT_VECTORS:
		lt_range(r, at->alpha, bytes * lt_batch(rows, o->alpha_vector_stride, batch));
		lt_range(r, at->beta, bytes * lt_batch(rows, o->alpha_vector_stride, batch));
		break;
	case LT_VECTOR_ZERO:
	case LT_VECTOR_HOST:
		lt_range(r, at->alpha, bytes * lt_batch(rows, o->alpha_vector_stride, batch));
		break;
	default:
		break;
	}
}

/* All memory that a product reads and writes. The problem is valid. without_c: nothing of C is
 * read. */
static inline void lt_product_ranges(struct lt_ranges *r, const struct lt_problem *p,
				     const struct lt_places *at, bool without_c)
{
	r->count = 0;
	lt_matrix(r, p->a, at->a);
	lt_matrix(r, p->b, at->b);
	if (!without_c || at->c)
		lt_matrix(r, p->c, at->c);
	lt_matrix(r, p->d, at->d);
	lt_numbers(r, p, at);
	lt_epilogue(r, p);
	lt_scales(r, p);
	if (at->workspace)
		lt_range(r, at->workspace, at->workspace_bytes);
	if (p->op->emulation && p->emulation->bit_count)
		lt_range(r, p->emulation->bit_count, 4);
}

/* A transform: layouts of A and B, which may be NULL, and of C. */
static inline int lt_transform_valid(const struct pvgpu_lt_transform *t,
				     const struct pvgpu_lt_layout *const all[3])
{
	const struct pvgpu_lt_layout *c = all[2];
	const int trans[2] = {t->transa, t->transb};
	int r = lt_layout_valid(c);

	if (r || t->pointer_mode < 0 || t->pointer_mode > LT_DEVICE ||
	    !lt_scale_bytes(t->scale_type) || c->batch_mode != LT_STRIDED)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < 2; i++) {
		const bool turned = trans[i] == CUBLAS_OP_T || trans[i] == CUBLAS_OP_C;
		const struct pvgpu_lt_layout *l = all[i];

		if (trans[i] < 0 || trans[i] > 3)
			return CUBLAS_STATUS_INVALID_VALUE;
		if (!l)
			continue;
		if (lt_layout_valid(l) || !lt_alike(l, c) ||
		    (turned ? l->cols : l->rows) != c->rows ||
		    (turned ? l->rows : l->cols) != c->cols)
			return CUBLAS_STATUS_INVALID_VALUE;
	}
	return all[0] || all[1] ? 0 : CUBLAS_STATUS_INVALID_VALUE;
}

static inline void lt_transform_ranges(struct lt_ranges *r, const struct pvgpu_lt_transform *t,
				       const struct pvgpu_lt_layout *const all[3],
				       const struct lt_places *at)
{
	const uint64_t places[3] = {at->a, at->b, at->c};

	r->count = 0;
	for (int i = 0; i < 3; i++)
		if (all[i])
			lt_matrix(r, all[i], places[i]);
	if (t->pointer_mode == LT_DEVICE) {
		if (all[0])
			lt_range(r, at->alpha, lt_scale_bytes(t->scale_type));
		if (all[1])
			lt_range(r, at->beta, lt_scale_bytes(t->scale_type));
	}
}

#endif
