/* SPDX-License-Identifier: MIT */
/* Products: checked when they are called, computed when the stream comes to them. */
#define __CUDA_API_VERSION_INTERNAL
#include <math.h>
#include <stdlib.h>

#include "tests/simlibs/cublaslt/sim.h"
#include "tests/simlibs/cublaslt/work.h"

static bool fp8(int type)
{
	return type == LT_E4M3 || type == LT_E5M2;
}

static bool scales_served(const struct pvgpu_lt_operation *o)
{
	return (o->a_scale_mode == LT_SCALE_ONE || o->a_scale_mode == LT_SCALE_OUTER) &&
	       (o->b_scale_mode == LT_SCALE_ONE || o->b_scale_mode == LT_SCALE_OUTER) &&
	       !o->c_scale_mode && !o->d_scale_mode && !o->aux_scale_mode && !o->d_out_scale;
}

int sim_supported(const struct lt_problem *p)
{
	const struct pvgpu_lt_layout *const all[] = {p->a, p->b, p->c, p->d};
	const struct pvgpu_lt_operation *o = p->op;
	const bool is_int = o->compute_type == CUBLAS_COMPUTE_32I ||
			    o->compute_type == CUBLAS_COMPUTE_32I_PEDANTIC;
	const bool scaled = o->a_scale || o->b_scale || o->d_scale || o->amax;

	for (int i = 0; i < 4; i++)
		if (!sim_type(all[i]->type) ||
		    sim_complex(all[i]->type) != sim_complex(p->d->type) || all[i]->plane_offset ||
		    all[i]->batch_mode == LT_GROUPED)
			return CUBLAS_STATUS_NOT_SUPPORTED;
	if (o->compute_type < CUBLAS_COMPUTE_16F || o->compute_type > 79 ||
	    o->fill_mode != LT_FILL_FULL || !scales_served(o) ||
	    sim_complex(o->scale_type) != sim_complex(p->d->type) ||
	    (o->bias_type >= 0 && !sim_type(o->bias_type)) ||
	    (o->aux_type >= 0 && !sim_type(o->aux_type)))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (is_int != (p->a->type == CUDA_R_8I) || fp8(p->a->type) != fp8(p->b->type))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	/* As on the GPUs that have such types. */
	if (fp8(p->a->type) && (o->transa != CUBLAS_OP_T || o->transb != CUBLAS_OP_N))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return scaled && !fp8(p->a->type) ? CUBLAS_STATUS_INVALID_VALUE : 0;
}

/* A product that waits for its turn. */
struct product {
	struct sim_work work;
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout l[4];
	uint64_t alpha[2], beta[2];
	const char *at[4];
	size_t m, n, k;
};

/* Where matrix i of a batch begins. */
static char *begin(const struct product *p, int which, size_t batch)
{
	const struct pvgpu_lt_layout *l = &p->l[which];
	char *at = (char *)(uintptr_t)p->at[which];

	if (l->batch_mode == LT_POINTERS)
		return ((char **)at)[batch];
	return at + batch * (size_t)l->batch_stride * (size_t)lt_type_bits(l->type) / 8;
}

static double factor(uint64_t at)
{
	return at ? (double)*(const float *)(uintptr_t)at : 1;
}

/* op(matrix), by rows of what is added up. */
static struct element *operand(const struct product *p, int which, size_t batch, size_t outer)
{
	const struct pvgpu_lt_layout *l = &p->l[which];
	const int trans = which ? p->op.transb : p->op.transa;
	const bool turned = trans == CUBLAS_OP_T || trans == CUBLAS_OP_C;
	const double sign = trans == CUBLAS_OP_C || trans == CUBLAS_OP_CONJG ? -1 : 1;
	const char *from = begin(p, which, batch);
	struct element *to = calloc(outer * p->k + 1, sizeof(*to));

	for (size_t o = 0; to && o < outer; o++)
		for (size_t i = 0; i < p->k; i++) {
			/* A's outer dimension is its rows, B's its columns. */
			const bool rows = (which == 0) != turned;
			struct element *e = &to[o * p->k + i];

			*e = sim_load(l->type, from, sim_at(l, rows ? o : i, rows ? i : o));
			e->im *= sign;
		}
	return to;
}

static struct element times(struct element a, struct element b)
{
	return (struct element){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static struct element sum(const struct product *p, const struct element *a, const struct element *b)
{
	struct element s = {0, 0};

	for (size_t i = 0; i < p->k; i++) {
		const struct element t = times(a[i], b[i]);

		s.re += t.re;
		s.im += t.im;
	}
	return s;
}

/* op(A) op(B), by rows. Of real numbers the inner loop goes along memory. */
static void multiply(const struct product *p, const struct element *a, const struct element *b,
		     struct element *to)
{
	double *columns = malloc((p->m * p->k + p->m + 1) * sizeof(*columns));
	double *sums = columns + p->m * p->k;

	if (!columns)
		abort();
	for (size_t i = 0; i < p->m; i++)
		for (size_t l = 0; l < p->k; l++)
			columns[l * p->m + i] = a[i * p->k + l].re;
	for (size_t j = 0; j < p->n; j++) {
		memset(sums, 0, p->m * sizeof(*sums));
		for (size_t l = 0; l < p->k && !sim_complex(p->l[3].type); l++)
			for (size_t i = 0; i < p->m; i++)
				sums[i] += columns[l * p->m + i] * b[j * p->k + l].re;
		for (size_t i = 0; i < p->m; i++)
			to[i * p->n + j] = sim_complex(p->l[3].type)
						   ? sum(p, &a[i * p->k], &b[j * p->k])
						   : (struct element){sums[i], 0};
	}
	free(columns);
}

/* alpha or beta of a row. */
static struct element number(const struct product *p, bool beta, size_t row, size_t batch)
{
	const uint64_t *v = beta ? p->beta : p->alpha;
	const int mode = p->op.pointer_mode;
	const void *at = (const void *)(uintptr_t)v[0];
	size_t stride = (size_t)p->op.alpha_vector_stride;

	if (mode == LT_HOST || (beta && mode >= LT_VECTOR_ZERO))
		return sim_load(p->op.scale_type, v, 0);
	if (mode == LT_DEVICE) {
		stride = (size_t)(beta ? p->op.beta_stride : p->op.alpha_stride);
		row = 0;
	}
	return sim_load(p->op.scale_type, at, row + batch * stride);
}

static double gelu(double x)
{
	return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static double gelu_slope(double x)
{
	const double t = tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));

	return 0.5 * (1 + t) +
	       0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}

/* One matrix of a batch, while it is computed. */
struct part {
	const struct product *p;
	const struct lt_problem *problem;
	size_t batch;
	char *bias, *aux;
	int bias_type, aux_type;
	double amax, aux_amax;
};

static int bias_type(const struct lt_problem *p)
{
	const int bits = lt_bias_bits(p);

	if (p->op->bias_type >= 0)
		return p->op->bias_type;
	return p->d->type == CUDA_R_8I         ? CUDA_R_32F
	       : bits == 16 && fp8(p->a->type) ? CUDA_R_16BF
					       : p->d->type;
}

static void part_begin(struct part *t, const struct product *p, const struct lt_problem *problem,
		       size_t batch)
{
	const struct pvgpu_lt_operation *o = &p->op;
	const bool mask = o->epilogue & (LT_RELU | LT_DRELU);

	*t = (struct part){.p = p, .problem = problem, .batch = batch};
	t->bias_type = bias_type(problem);
	t->aux_type = o->aux_type >= 0 ? o->aux_type : p->l[3].type;
	t->bias = (char *)(uintptr_t)o->bias +
		  batch * (size_t)o->bias_stride * (size_t)lt_type_bits(t->bias_type) / 8;
	t->aux = (char *)(uintptr_t)o->aux +
		 batch * (size_t)o->aux_stride * (mask ? 1 : (size_t)lt_type_bits(t->aux_type)) / 8;
}

/* What an epilogue makes of one element, with its auxiliary matrix. */
static double epilogue(struct part *t, double v, size_t row, size_t col)
{
	const uint32_t e = t->p->op.epilogue;
	const bool turned = t->p->l[3].order == LT_ROW;
	const size_t at = (turned ? row : col) * (size_t)t->p->op.aux_ld + (turned ? col : row);
	unsigned char *bits = (unsigned char *)t->aux + at / 8;
	const unsigned char bit = (unsigned char)(1u << at % 8);

	if (e & LT_BIAS)
		v += sim_load(t->bias_type, t->bias, row).re;
	if (e & LT_RELU && e & LT_AUX)
		*bits = (unsigned char)(v > 0 ? *bits | bit : *bits & ~bit);
	if (e & LT_RELU)
		v = v > 0 ? v : 0;
	if (e & LT_DRELU)
		v = *bits & bit ? v : 0;
	if (e & LT_GELU && e & LT_AUX) {
		t->aux_amax = fabs(v) > t->aux_amax ? fabs(v) : t->aux_amax;
		sim_store(t->aux_type, t->aux, at,
			  (struct element){v * factor(t->p->op.aux_scale), 0});
	}
	if (e & LT_GELU)
		v = gelu(v);
	if (e & LT_DGELU)
		v *= gelu_slope(sim_load(t->aux_type, t->aux, at).re * factor(t->p->op.aux_scale));
	return v;
}

static double outer_factor(uint64_t at, int mode, size_t i)
{
	if (!at)
		return 1;
	return (double)((const float *)(uintptr_t)at)[mode == LT_SCALE_OUTER ? i : 0];
}

/* Sums of the operands, or of what has been computed, in place of a bias. */
static void gradient(struct part *t, const struct element *from, size_t count, size_t inner)
{
	for (size_t i = 0; i < count; i++) {
		struct element s = {0, 0};

		for (size_t j = 0; j < inner; j++)
			s.re += from[i * inner + j].re;
		sim_store(t->bias_type, t->bias, i, s);
	}
}

/* grad: the product; afterwards what has become of it. */
static void one(struct part *t, struct element *grad)
{
	const struct product *p = t->p;
	const struct pvgpu_lt_operation *o = &p->op;
	const struct pvgpu_lt_layout *c = &p->l[2], *d = &p->l[3];
	const double fa = o->a_scale_mode ? 1 : factor(o->a_scale);
	const double fb = o->b_scale_mode ? 1 : factor(o->b_scale);
	char *to = begin(p, 3, t->batch);
	const char *from = begin(p, 2, t->batch);

	for (size_t j = 0; j < p->n; j++)
		for (size_t i = 0; i < p->m; i++) {
			const struct element beta = number(p, true, i, t->batch);
			struct element v = times(number(p, false, i, t->batch), grad[i * p->n + j]);

			v.re *= fa * fb;
			if (o->a_scale_mode)
				v.re *= outer_factor(o->a_scale, o->a_scale_mode, i);
			if (o->b_scale_mode)
				v.re *= outer_factor(o->b_scale, o->b_scale_mode, j);
			if (beta.re != 0 || beta.im != 0) {
				const struct element w =
					times(beta, sim_load(c->type, from, sim_at(c, i, j)));

				v.re += w.re * factor(o->c_scale);
				v.im += w.im;
			}
			if (!sim_complex(d->type))
				v.re = epilogue(t, v.re, i, j);
			grad[i * p->n + j] = v;
			t->amax = fabs(v.re) > t->amax ? fabs(v.re) : t->amax;
			v.re *= factor(o->d_scale);
			sim_store(d->type, to, sim_at(d, i, j), v);
		}
}

static void compute(struct sim_work *w)
{
	struct product *p = (struct product *)w;
	const struct lt_problem problem = {&p->op, &p->l[0], &p->l[1], &p->l[2], &p->l[3], NULL};
	const uint32_t e = p->op.epilogue;
	double amax = 0, aux_amax = 0;

	if (!p->m || !p->n)
		return;
	for (size_t batch = 0; batch < (size_t)p->l[3].batch_count; batch++) {
		struct element *a = operand(p, 0, batch, p->m), *b = operand(p, 1, batch, p->n);
		struct element *grad = calloc(p->m * p->n + 1, sizeof(*grad));
		struct part t;

		if (!a || !b || !grad)
			abort();
		part_begin(&t, p, &problem, batch);
		multiply(p, a, b, grad);
		one(&t, grad);
		if (e & LT_BGRAD)
			gradient(&t, grad, p->m, p->n);
		if (e & LT_BGRADA)
			gradient(&t, a, p->m, p->k);
		if (e & LT_BGRADB)
			gradient(&t, b, p->n, p->k);
		amax = t.amax > amax ? t.amax : amax;
		aux_amax = t.aux_amax > aux_amax ? t.aux_amax : aux_amax;
		free(a);
		free(b);
		free(grad);
	}
	if (p->op.amax)
		*(float *)(uintptr_t)p->op.amax = (float)amax;
	if (p->op.aux_amax)
		*(float *)(uintptr_t)p->op.aux_amax = (float)aux_amax;
}

/* Whether an algorithm can be used as it is, with this workspace. */
static int usable(const struct lt_problem *p, const cublasLtMatmulAlgo_t *algo,
		  const void *workspace, size_t bytes)
{
	const struct pvgpu_lt_algo *chosen = algo ? sim_algo(algo) : NULL;

	if (!algo)
		return 0;
	if (!chosen || sim_workspace(p, chosen) > bytes || (bytes && (uintptr_t)workspace % 16))
		return CUBLAS_STATUS_INVALID_VALUE;
	return 0;
}

static void scalar(uint64_t to[2], const void *from, bool value, int type)
{
	to[0] = (uintptr_t)from;
	if (!value)
		return;
	to[0] = 0;
	if (from)
		memcpy(to, from, lt_scale_bytes(type));
}

PUBLIC cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
				     const void *alpha, const void *A, cublasLtMatrixLayout_t a,
				     const void *B, cublasLtMatrixLayout_t b, const void *beta,
				     const void *C, cublasLtMatrixLayout_t c, void *D,
				     cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *algo,
				     void *workspace, size_t workspaceSizeInBytes, CUstream stream)
{
	const cublasLtMatrixLayout_t from[] = {a, b, c, d};
	struct product k = {.at = {A, B, C, D}}, *job;
	const struct lt_problem p = {&k.op, &k.l[0], &k.l[1], &k.l[2], &k.l[3], NULL};
	const int s = (int)sim_asked("cublasLtMatmul");
	int mode, r;

	if (s || !handle)
		return s ? (cublasStatus_t)s : CUBLAS_STATUS_NOT_INITIALIZED;
	if (!sim_problem(&k.op, k.l, operation, from) || !alpha ||
	    (!beta && k.op.pointer_mode != LT_VECTOR_ZERO))
		return CUBLAS_STATUS_INVALID_VALUE;
	mode = k.op.pointer_mode;
	r = lt_valid(&p);
	if (!r)
		r = sim_supported(&p);
	if (!r)
		r = usable(&p, algo, workspace, workspaceSizeInBytes);
	if (r)
		return (cublasStatus_t)r;
	scalar(k.alpha, alpha, mode == LT_HOST, k.op.scale_type);
	scalar(k.beta, beta, mode == LT_HOST || mode >= LT_VECTOR_ZERO, k.op.scale_type);
	if (mode == LT_VECTOR_ZERO)
		k.beta[0] = k.beta[1] = 0;
	if (!A || !B || !D || (!C && !lt_beta_zero(&k.op, k.beta)) ||
	    (k.op.epilogue & (LT_BIAS | LT_BGRAD | LT_BGRADA | LT_BGRADB) && !k.op.bias) ||
	    (k.op.epilogue & LT_WITH_AUX && !k.op.aux))
		return CUBLAS_STATUS_INVALID_VALUE;
	k.m = k.l[3].rows;
	k.n = k.l[3].cols;
	k.k = k.op.transa == CUBLAS_OP_T || k.op.transa == CUBLAS_OP_C ? k.l[0].rows : k.l[0].cols;
	job = malloc(sizeof(*job));
	if (!job)
		return CUBLAS_STATUS_ALLOC_FAILED;
	*job = k;
	job->work.run = compute;
	return sim_push(&job->work, stream);
}
