/* SPDX-License-Identifier: MIT */
/* Matrices from one layout, order and type into another. */
#define __CUDA_API_VERSION_INTERNAL
#include <stdlib.h>

#include "tests/simlibs/cublaslt/sim.h"
#include "tests/simlibs/cublaslt/work.h"

struct transform {
	struct sim_work work;
	struct pvgpu_lt_transform op;
	struct pvgpu_lt_layout l[3];
	bool there[3];
	uint64_t number[2][2];
	char *at[3];
};

static char *begin(const struct transform *t, int which, size_t batch)
{
	const struct pvgpu_lt_layout *l = &t->l[which];

	return t->at[which] + batch * (size_t)l->batch_stride * (size_t)lt_type_bits(l->type) / 8;
}

/* What one of the matrices adds to an element. */
static void add(const struct transform *t, int which, size_t batch, size_t row, size_t col,
		struct element *to)
{
	const struct pvgpu_lt_layout *l = &t->l[which];
	const int trans = which ? t->op.transb : t->op.transa;
	const bool turned = trans == CUBLAS_OP_T || trans == CUBLAS_OP_C;
	const void *number = t->op.pointer_mode == LT_DEVICE
				     ? (const void *)(uintptr_t)t->number[which][0]
				     : t->number[which];
	const struct element f = sim_load(t->op.scale_type, number, 0);
	struct element e = sim_load(l->type, begin(t, which, batch),
				    sim_at(l, turned ? col : row, turned ? row : col));

	if (trans == CUBLAS_OP_C || trans == CUBLAS_OP_CONJG)
		e.im = -e.im;
	to->re += f.re * e.re - f.im * e.im;
	to->im += f.re * e.im + f.im * e.re;
}

static void compute(struct sim_work *w)
{
	const struct transform *t = (const struct transform *)w;
	const struct pvgpu_lt_layout *c = &t->l[2];

	for (size_t batch = 0; batch < (size_t)c->batch_count; batch++)
		for (size_t j = 0; j < c->cols; j++)
			for (size_t i = 0; i < c->rows; i++) {
				struct element e = {0, 0};

				for (int which = 0; which < 2; which++)
					if (t->there[which])
						add(t, which, batch, i, j, &e);
				sim_store(c->type, begin(t, 2, batch), sim_at(c, i, j), e);
			}
}

PUBLIC cublasStatus_t cublasLtMatrixTransform(cublasLtHandle_t handle,
					      cublasLtMatrixTransformDesc_t transform,
					      const void *alpha, const void *A,
					      cublasLtMatrixLayout_t a, const void *beta,
					      const void *B, cublasLtMatrixLayout_t b, void *C,
					      cublasLtMatrixLayout_t c, CUstream stream)
{
	const struct pvgpu_lt_transform *op = sim_transform(transform);
	const cublasLtMatrixLayout_t from[] = {A ? a : NULL, B ? b : NULL, c};
	const void *numbers[] = {alpha, beta};
	struct transform t = {.at = {(char *)(uintptr_t)A, (char *)(uintptr_t)B, C}}, *job;
	const struct pvgpu_lt_layout *all[3] = {NULL};
	const int s = (int)sim_asked("cublasLtMatrixTransform");

	if (s || !handle)
		return s ? (cublasStatus_t)s : CUBLAS_STATUS_NOT_INITIALIZED;
	if (!op || !C || !c || (A && (!a || !alpha)) || (B && (!b || !beta)))
		return CUBLAS_STATUS_INVALID_VALUE;
	t.op = *op;
	for (int i = 0; i < 3; i++) {
		t.there[i] = from[i];
		if (from[i] && !sim_layout(&t.l[i], from[i]))
			return CUBLAS_STATUS_INVALID_VALUE;
		all[i] = from[i] ? &t.l[i] : NULL;
	}
	if (lt_transform_valid(op, all))
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < 3; i++)
		if (t.there[i] && (!sim_type(t.l[i].type) || t.l[i].plane_offset))
			return CUBLAS_STATUS_NOT_SUPPORTED;
	for (int i = 0; i < 2; i++) {
		t.number[i][0] = (uintptr_t)numbers[i];
		if (t.op.pointer_mode != LT_DEVICE && numbers[i]) {
			t.number[i][0] = 0;
			memcpy(t.number[i], numbers[i], lt_scale_bytes(t.op.scale_type));
		}
	}
	job = malloc(sizeof(*job));
	if (!job)
		return CUBLAS_STATUS_ALLOC_FAILED;
	*job = t;
	job->work.run = compute;
	return sim_push(&job->work, stream);
}
