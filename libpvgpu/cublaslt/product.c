/* SPDX-License-Identifier: MIT */
/* Products and transforms: each is one command, and nothing comes back. */
#include "cublaslt/lt.h"

int lt_handle(cublasLtHandle_t handle, struct object **object)
{
	/* A handle says its type; one of cuBLAS is in the same tables, and serves as ours does. */
	const bool blas = (uintptr_t)handle >> OBJECT_TYPE_SHIFT == PVGPU_H_CUBLAS;

	return api_find(blas ? PVGPU_H_CUBLAS : PVGPU_H_CUBLASLT, handle, (void **)object);
}

/* Where a call works: its handle's context and its stream. */
static int enter(cublasLtHandle_t handle, CUstream stream, struct object **o, struct target *t)
{
	const int r = lt_handle(handle, o);

	return r ? r : api_object_stream(*o, stream, t);
}

/* A number by pointer: its address, or its value. */
static void number(uint64_t to[2], const void *from, bool address, int scale_type)
{
	to[0] = to[1] = 0;
	if (address)
		to[0] = (uintptr_t)from;
	else if (from)
		memcpy(to, from, lt_scale_bytes(scale_type));
}

/* A problem that is certain to be refused: nothing can lie at address 0. */
static bool at_nowhere(const struct lt_ranges *r)
{
	for (unsigned int i = 0; i < r->count; i++)
		if (!r->range[i].at)
			return true;
	return false;
}

#define BYTES(x) &(x), (uint32_t)sizeof(x)

/* A product as it is sent; numbers in host memory are values, others addresses. */
struct product {
	struct object *o;
	const struct lt_asked *k;
	const struct lt_places *at;
	uint64_t a[2], b[2];
	const struct pvgpu_lt_algo *algo; /* NULL: the library chooses */
};

/* To what is captured: all that decides which nodes the library makes. */
static void describe(const struct target *t, const struct product *p)
{
	struct {
		uint64_t ctx, handle, in_place, a[2], b[2];
		struct lt_places at;
		struct lt_asked asked;
		struct pvgpu_lt_algo algo;
	} d;
	const uint32_t mode = p->k->op.pointer_mode;

	memset(&d, 0, sizeof(d));
	d.ctx = t->ctx->o.wire;
	d.handle = p->o->wire;
	d.in_place = p->at->c == p->at->d;
	if (mode == LT_HOST)
		memcpy(d.a, p->a, sizeof(d.a));
	if (mode != LT_DEVICE && mode != LT_VECTORS)
		memcpy(d.b, p->b, sizeof(d.b));
	d.at = *p->at;
	if (mode == LT_HOST)
		d.at.alpha = 0;
	if (mode != LT_DEVICE && mode != LT_VECTORS)
		d.at.beta = 0;
	lt_forget_address(&d.at.alpha);
	lt_forget_address(&d.at.beta);
	lt_forget_address(&d.at.a);
	lt_forget_address(&d.at.b);
	lt_forget_address(&d.at.c);
	lt_forget_address(&d.at.d);
	lt_forget_address(&d.at.workspace);
	d.asked = *p->k;
	lt_forget_addresses(&d.asked);
	if (p->algo)
		d.algo = *p->algo;
	api_describe(t, &d, sizeof(d));
}

static int post(const struct target *t, const struct product *p)
{
	const struct lt_asked *k = p->k;
	const struct lt_places *at = p->at;
	const int r = pvgpu_do_cublas_lt_matmul(
		api_session(), t->ctx->o.wire, t->stream, p->o->wire, p->a[0], p->a[1], p->b[0],
		p->b[1], at->a, at->b, at->c, at->d, at->workspace, at->workspace_bytes,
		BYTES(k->op), BYTES(k->a), BYTES(k->b), BYTES(k->c), BYTES(k->d),
		BYTES(k->emulation), p->algo, p->algo ? sizeof(*p->algo) : 0);

	if (!r && t->captured)
		describe(t, p);
	return r;
}

PUBLIC cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc,
				     const void *alpha, const void *A, cublasLtMatrixLayout_t Adesc,
				     const void *B, cublasLtMatrixLayout_t Bdesc, const void *beta,
				     const void *C, cublasLtMatrixLayout_t Cdesc, void *D,
				     cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo,
				     void *workspace, size_t workspaceSizeInBytes, CUstream stream)
{
	const struct pvgpu_lt_algo *chosen = algo ? lt_algo(algo) : NULL;
	struct lt_asked k;
	const struct lt_problem p = lt_problem_of(&k);
	struct pvgpu_lt_algo best;
	struct lt_ranges ranges;
	struct lt_places at;
	struct target t = {0};
	struct object *o = NULL;
	uint64_t a[2], b[2];
	int r = enter(lightHandle, stream, &o, &t), mode;

	if (r)
		return blas_status(r);
	if (!lt_asked(&k, computeDesc, Adesc, Bdesc, Cdesc, Ddesc) || !alpha || (algo && !chosen))
		return CUBLAS_STATUS_INVALID_VALUE;
	mode = k.op.pointer_mode;
	if (!beta && mode != LT_VECTOR_ZERO)
		return CUBLAS_STATUS_INVALID_VALUE;
	r = lt_valid(&p);
	if (r)
		return (cublasStatus_t)r;
	number(a, alpha, mode != LT_HOST, k.op.scale_type);
	number(b, beta, mode == LT_DEVICE || mode == LT_VECTORS, k.op.scale_type);
	if (mode == LT_VECTOR_ZERO)
		b[0] = b[1] = 0;
	at = (struct lt_places){
		a[0],         b[0],         (uintptr_t)A,         (uintptr_t)B,
		(uintptr_t)C, (uintptr_t)D, (uintptr_t)workspace, workspaceSizeInBytes};
	lt_product_ranges(&ranges, &p, &at, lt_beta_zero(&k.op, b));
	if (at_nowhere(&ranges))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!chosen && lt_capacity()) {
		r = (int)lt_choose(o, &k, &at, &best);
		if (r)
			return (cublasStatus_t)r;
		chosen = &best;
	}
	r = post(&t, &(const struct product){o, &k, &at, {a[0], a[1]}, {b[0], b[1]}, chosen});
	return blas_status(api_result(t.ctx, r));
}

/* A layout that may be missing. */
static bool layout(struct pvgpu_lt_layout *to, const struct pvgpu_lt_layout **which,
		   cublasLtMatrixLayout_t from)
{
	*which = from ? to : NULL;
	return !from || lt_layout(to, from);
}

PUBLIC cublasStatus_t cublasLtMatrixTransform(cublasLtHandle_t lightHandle,
					      cublasLtMatrixTransformDesc_t transformDesc,
					      const void *alpha, const void *A,
					      cublasLtMatrixLayout_t Adesc, const void *beta,
					      const void *B, cublasLtMatrixLayout_t Bdesc, void *C,
					      cublasLtMatrixLayout_t Cdesc, CUstream stream)
{
	const struct pvgpu_lt_transform *transform = lt_descriptor(LT_TRANSFORM, transformDesc);
	const struct lt_places at = {.alpha = (uintptr_t)alpha,
				     .beta = (uintptr_t)beta,
				     .a = (uintptr_t)A,
				     .b = (uintptr_t)B,
				     .c = (uintptr_t)C};
	const struct pvgpu_lt_layout *all[3];
	struct pvgpu_lt_layout la, lb, lc;
	struct lt_ranges ranges;
	struct target t = {0};
	struct object *o = NULL;
	uint64_t a[2], b[2];
	int r = enter(lightHandle, stream, &o, &t);

	if (r)
		return blas_status(r);
	/* A matrix that is not there needs neither a layout nor a factor. */
	if (!transform || !layout(&la, &all[0], A ? Adesc : NULL) ||
	    !layout(&lb, &all[1], B ? Bdesc : NULL) || !layout(&lc, &all[2], Cdesc) || !all[2] ||
	    (A && (!all[0] || !alpha)) || (B && (!all[1] || !beta)))
		return CUBLAS_STATUS_INVALID_VALUE;
	r = lt_transform_valid(transform, all);
	if (r)
		return (cublasStatus_t)r;
	lt_transform_ranges(&ranges, transform, all, &at);
	if (at_nowhere(&ranges))
		return CUBLAS_STATUS_INVALID_VALUE;
	number(a, alpha, transform->pointer_mode, transform->scale_type);
	number(b, beta, transform->pointer_mode, transform->scale_type);
	r = pvgpu_do_cublas_lt_transform(api_session(), t.ctx->o.wire, t.stream, o->wire, a[0],
					 a[1], b[0], b[1], at.a, at.b, at.c, transform,
					 sizeof(*transform), all[0], all[0] ? sizeof(la) : 0,
					 all[1], all[1] ? sizeof(lb) : 0, BYTES(lc));
	return blas_status(api_result(t.ctx, r));
}
