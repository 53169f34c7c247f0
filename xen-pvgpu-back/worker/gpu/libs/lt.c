/* SPDX-License-Identifier: MIT */
/* Products and transforms of cuBLASLt. All memory that one touches is the session's, or it is
 * refused: computed from the layouts that the library gets. */
#include "lt.h"

#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

static int deferred(int status)
{
	return call_deferred_of(CUBLAS_STATUS_INVALID_VALUE, status);
}

static int memory(struct gpu *g, const struct lt_ranges *r)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < r->count; i++)
		err = call_memory(g, r->range[i].at, r->range[i].bytes, false);
	return err;
}

int handle_cublas_lt_info(struct worker *w, const struct pvgpu_in_cublas_lt_info *in,
			  struct pvgpu_out_cublas_lt_info *out)
{
	const struct far *far = worker_gpu(w)->far;

	if (!far->lib.cublaslt.cublasLtGetVersion || !far->lib.cublaslt.cublasLtGetCudartVersion)
		return CUDA_ERROR_NOT_SUPPORTED;
	out->version = far->lib.cublaslt.cublasLtGetVersion();
	out->runtime = far->lib.cublaslt.cublasLtGetCudartVersion();
	return 0;
}

/* An algorithm whose settings the guest has changed is one that the library has not seen: it judges
 * it first. */
static int check(const struct far *far, void *handle, struct lt_far *f,
		 const cublasLtMatmulAlgo_t *algo)
{
	cublasLtMatmulHeuristicResult_t result;

	memset(&result, 0, sizeof(result));
	return (int)far->lib.cublaslt.cublasLtMatmulAlgoCheck(handle, &f->op, &f->a, &f->b, &f->c,
							      &f->d, algo, &result);
}

static int algorithm(struct gpu *g, const struct pvgpu_in_cublas_lt_matmul *in, struct lt_far *f,
		     cublasLtMatmulAlgo_t *algo)
{
	struct pvgpu_lt_algo named;
	bool changed;
	int s;

	if (!in->algo_len)
		return 0;
	if (in->algo_len != sizeof(named))
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy(&named, in->algo, sizeof(named));
	s = lt_algo_find(g, &named, algo, &changed);
	return s || !changed ? s : check(g->far, call_far(in->handle), f, algo);
}

/* The record's descriptors, checked, and the library's of them. */
static int prepare(struct gpu *g, const struct pvgpu_in_cublas_lt_matmul *in, struct lt_record *k,
		   struct lt_far *f, cublasLtMatmulAlgo_t *algo)
{
	const struct lt_problem p = lt_problem_of(k);
	const uint64_t beta[2] = {in->beta, in->beta_high};
	const struct lt_places at = {in->alpha, in->beta, in->at_a,      in->at_b,
				     in->at_c,  in->at_d, in->workspace, in->workspace_bytes};
	struct lt_ranges ranges;
	int r;

	LT_RECORD(k, in);
	r = deferred(lt_valid(&p));
	if (r)
		return r;
	lt_product_ranges(&ranges, &p, &at, lt_beta_zero(&k->op, beta));
	r = memory(g, &ranges);
	if (!r)
		r = deferred(lt_far_problem(g->far, k, f));
	return r ? r : deferred(algorithm(g, in, f, algo));
}

int handle_cublas_lt_matmul(struct worker *w, const struct pvgpu_in_cublas_lt_matmul *in,
			    struct pvgpu_out_cublas_lt_matmul *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	const uint64_t alpha[2] = {in->alpha, in->alpha_high};
	const uint64_t beta[2] = {in->beta, in->beta_high};
	cublasLtMatmulAlgo_t algo;
	struct lt_record k;
	struct lt_far f;
	struct work work;
	bool alpha_at, beta_at;
	int r;
	struct stream *s = stream_of(in->ctx, in->stream, &r);

	if (!r)
		r = call_object_in(in->handle, in->ctx);
	if (!r)
		r = lt_far_offered(far) ? 0 : CUDA_ERROR_NOT_SUPPORTED;
	if (!r)
		r = prepare(g, in, &k, &f, &algo);
	if (r)
		return r;
	alpha_at = k.op.pointer_mode != LT_HOST;
	beta_at = k.op.pointer_mode == LT_DEVICE || k.op.pointer_mode == LT_VECTORS;
	work_call(&work, s, PVGPU_OP_CUBLAS_LT_MATMUL,
		  (const uint32_t[WORK_SHAPE]){(uint32_t)k.d.rows, (uint32_t)k.d.cols,
					       (uint32_t)(k.op.transa ? k.a.rows : k.a.cols),
					       (uint32_t)k.d.batch_count,
					       (uint32_t)k.a.type << 8 | (uint32_t)k.d.type,
					       (uint32_t)k.op.compute_type << 16 | k.op.epilogue,
					       (uint32_t)k.op.transa << 2 | (uint32_t)k.op.transb});
	r = deferred((int)far->lib.cublaslt.cublasLtMatmul(
		call_far(in->handle), &f.op, call_number(alpha_at, alpha),
		(const void *)(uintptr_t)in->at_a, &f.a, (const void *)(uintptr_t)in->at_b, &f.b,
		call_number(beta_at, beta), (const void *)(uintptr_t)in->at_c, &f.c,
		(void *)(uintptr_t)in->at_d, &f.d, in->algo_len ? &algo : NULL,
		(void *)(uintptr_t)in->workspace, in->workspace_bytes, s->far));
	if (r)
		work_abort(&work, s);
	else
		work_commit(&work, s);
	return ctx_result(s->o.ctx, r);
}

/* The layouts of a transform, and the library's of those that there are. */
struct transform {
	struct pvgpu_lt_transform op;
	struct pvgpu_lt_layout l[3];
	const struct pvgpu_lt_layout *all[3];
	cublasLtMatrixTransformDescOpaque_t far_op;
	cublasLtMatrixLayoutOpaque_t far[3];
};

static int prepare_transform(struct gpu *g, const struct pvgpu_in_cublas_lt_transform *in,
			     struct transform *t)
{
	const struct {
		const void *bytes;
		uint32_t len;
	} given[3] = {{in->a_layout, in->a_layout_len},
		      {in->b_layout, in->b_layout_len},
		      {in->c_layout, in->c_layout_len}};
	const struct lt_places at = {
		.alpha = in->alpha, .beta = in->beta, .a = in->at_a, .b = in->at_b, .c = in->at_c};
	struct lt_ranges ranges;
	int r = 0;

	memcpy(&t->op, in->transform, sizeof(t->op));
	for (int i = 0; i < 3; i++) {
		t->all[i] = given[i].len ? &t->l[i] : NULL;
		if (given[i].len && given[i].len != sizeof(t->l[i]))
			return CUDA_ERROR_INVALID_VALUE;
		if (given[i].len)
			memcpy(&t->l[i], given[i].bytes, sizeof(t->l[i]));
	}
	r = deferred(lt_transform_valid(&t->op, t->all));
	if (r)
		return r;
	lt_transform_ranges(&ranges, &t->op, t->all, &at);
	r = memory(g, &ranges);
	if (!r)
		r = deferred(lt_far_transform(g->far, &t->op, &t->far_op));
	for (int i = 0; !r && i < 3; i++)
		r = t->all[i] ? deferred(lt_far_layout(g->far, t->all[i], &t->far[i])) : 0;
	return r;
}

int handle_cublas_lt_transform(struct worker *w, const struct pvgpu_in_cublas_lt_transform *in,
			       struct pvgpu_out_cublas_lt_transform *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	const uint64_t alpha[2] = {in->alpha, in->alpha_high};
	const uint64_t beta[2] = {in->beta, in->beta_high};
	struct transform t;
	struct work work;
	bool device;
	int r;
	struct stream *s = stream_of(in->ctx, in->stream, &r);

	if (!r)
		r = call_object_in(in->handle, in->ctx);
	if (!r)
		r = lt_far_offered(far) ? 0 : CUDA_ERROR_NOT_SUPPORTED;
	if (!r)
		r = prepare_transform(g, in, &t);
	if (r)
		return r;
	device = t.op.pointer_mode == LT_DEVICE;
	work_call(&work, s, PVGPU_OP_CUBLAS_LT_TRANSFORM,
		  (const uint32_t[WORK_SHAPE]){(uint32_t)t.l[2].rows, (uint32_t)t.l[2].cols,
					       (uint32_t)t.l[2].batch_count, (uint32_t)t.l[2].type,
					       (uint32_t)t.l[2].order});
	r = deferred((int)far->lib.cublaslt.cublasLtMatrixTransform(
		call_far(in->handle), &t.far_op, t.all[0] ? call_number(device, alpha) : NULL,
		t.all[0] ? (const void *)(uintptr_t)in->at_a : NULL, t.all[0] ? &t.far[0] : NULL,
		t.all[1] ? call_number(device, beta) : NULL,
		t.all[1] ? (const void *)(uintptr_t)in->at_b : NULL, t.all[1] ? &t.far[1] : NULL,
		(void *)(uintptr_t)in->at_c, &t.far[2], s->far));
	if (r)
		work_abort(&work, s);
	else
		work_commit(&work, s);
	return ctx_result(s->o.ctx, r);
}
