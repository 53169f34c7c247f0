/* SPDX-License-Identifier: MIT */
/*
 * Products and transforms of cuBLASLt in many types, orders and shapes, with numbers in host and in
 * device memory and with epilogues, against the same sums on the CPU; descriptors, algorithms, and
 * wrong arguments. Where there is no libcublasLt.so.12 the program says so and ends.
 */
#include <math.h>

#include "tests/programs/lt.h"

enum { MOST = 4096 };

/* What a product is to be. */
struct test {
	int compute, scale, a, d; /* types; B has A's, C has D's */
	int m, n, k, ta, tb, order, mode, batch;
	unsigned int epilogue;
	double alpha, beta;
	bool choose; /* an algorithm by heuristics */
};

struct operand {
	double v[MOST];
	unsigned char bytes[8 * MOST];
	CUdeviceptr at;
	cublasLtMatrixLayout_t layout;
	int type, rows, cols, ld, apart;
};

static struct {
	struct operand a, b, c, d;
	double want[MOST], bias[256], pre[MOST];
	CUdeviceptr bias_at, aux_at, numbers, workspace;
	cublasLtHandle_t h;
} w;

static int place(const struct operand *x, int order, int batch, int r, int c)
{
	const int base = batch * x->apart;

	if (order == 1)
		return base + r * x->ld + c;
	return order == 2 ? base + c / 32 * x->ld + r * 32 + c % 32 : base + c * x->ld + r;
}

/* Small whole numbers, which are the same in every type. */
static void fill(struct operand *x, const struct test *t, int type, int rows, int cols,
		 unsigned int seed)
{
	struct random r = {seed};
	const int order = t->order;

	x->type = type;
	x->rows = rows;
	x->cols = cols;
	x->ld = order == 0 ? rows + 3 : order == 1 ? cols + 2 : 32 * rows;
	x->apart = (order == 0   ? x->ld * cols
		    : order == 1 ? x->ld * rows
				 : (cols + 31) / 32 * x->ld) +
		   8;
	CHECK(x->apart * t->batch <= MOST, "%d elements", x->apart * t->batch);
	for (int i = 0; i < x->apart * t->batch; i++) {
		x->v[i] = (double)(random_next(&r) % 5) - 2;
		lt_store(type, x->bytes, i, x->v[i]);
	}
	CU(cuMemcpyHtoD(x->at, x->bytes, sizeof(x->bytes)));
	LT_OK(cublasLtMatrixLayoutCreate, &x->layout, (cudaDataType_t)type, (uint64_t)rows,
	      (uint64_t)cols, x->ld);
	LT_SET(MatrixLayout, x->layout, 1, int, order);
	LT_SET(MatrixLayout, x->layout, 5, int, t->batch);
	LT_SET(MatrixLayout, x->layout, 6, int64_t, x->apart);
}

static double gelu(double x)
{
	return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static void expect(const struct test *t)
{
	for (int b = 0; b < t->batch; b++)
		for (int i = 0; i < t->m; i++)
			for (int j = 0; j < t->n; j++) {
				double sum = 0, v;

				for (int k = 0; k < t->k; k++)
					sum += w.a.v[place(&w.a, t->order, b, t->ta ? k : i,
							   t->ta ? i : k)] *
					       w.b.v[place(&w.b, t->order, b, t->tb ? j : k,
							   t->tb ? k : j)];
				v = t->alpha * sum +
				    t->beta * w.c.v[place(&w.c, t->order, b, i, j)];
				v += t->epilogue & LT_BIAS ? w.bias[i] : 0;
				w.pre[place(&w.d, t->order, b, i, j)] = v;
				if (t->epilogue & LT_RELU)
					v = v > 0 ? v : 0;
				if (t->epilogue & LT_GELU)
					v = gelu(v);
				if (t->d == CUDA_R_8I)
					v = v > 127 ? 127 : v < -128 ? -128 : v;
				w.want[place(&w.d, t->order, b, i, j)] = v;
			}
}

/* A number by value, or in device memory where the mode wants it. */
static const void *number(const struct test *t, int i, double v)
{
	static unsigned char host[2][16];

	lt_store(t->scale, host[i], 0, v);
	if (!t->mode)
		return host[i];
	CU(cuMemcpyHtoD(w.numbers + 16u * (unsigned int)i, host[i], sizeof(host[i])));
	return lt_pointer(w.numbers + 16u * (unsigned int)i);
}

static cublasLtMatmulDesc_t operation(const struct test *t)
{
	cublasLtMatmulDesc_t op;

	LT_OK(cublasLtMatmulDescCreate, &op, (cublasComputeType_t)t->compute,
	      (cudaDataType_t)t->scale);
	LT_SET(MatmulDesc, op, 2, int, t->mode);
	LT_SET(MatmulDesc, op, 3, int, t->ta);
	LT_SET(MatmulDesc, op, 4, int, t->tb);
	LT_SET(MatmulDesc, op, 7, unsigned int, t->epilogue);
	if (t->epilogue & LT_BIAS) {
		LT_SET(MatmulDesc, op, 8, CUdeviceptr, w.bias_at);
		LT_SET(MatmulDesc, op, 26, int, CUDA_R_32F);
	}
	if (t->epilogue & LT_AUX) {
		LT_SET(MatmulDesc, op, 11, CUdeviceptr, w.aux_at);
		LT_SET(MatmulDesc, op, 12, int64_t, 128);
	}
	return op;
}

static void compare(const struct test *t)
{
	const double close = lt_close(t->d);

	download(w.d.bytes, w.d.at, sizeof(w.d.bytes));
	for (int b = 0; b < t->batch; b++)
		for (int i = 0; i < t->m; i++)
			for (int j = 0; j < t->n; j++) {
				const int at = place(&w.d, t->order, b, i, j);
				const double got = lt_load(t->d, w.d.bytes, at);

				CHECK(fabs(got - w.want[at]) <= close * (1 + fabs(w.want[at])),
				      "types %d %d, order %d, element %d %d of %d is %g, not %g",
				      t->a, t->d, t->order, i, j, b, got, w.want[at]);
			}
}

static void check_aux(const struct test *t)
{
	static unsigned char bits[256 * 16];

	if (!(t->epilogue & LT_AUX))
		return;
	download(bits, w.aux_at, sizeof(bits));
	for (int i = 0; i < t->m; i++)
		for (int j = 0; j < t->n; j++) {
			const double pre = w.pre[place(&w.d, t->order, 0, i, j)];
			const int at = j * 128 + i;

			if (t->epilogue & LT_RELU)
				CHECK((bits[at / 8] >> at % 8 & 1) == (pre > 0), "mask bit %d", at);
		}
}

static void product(const struct test *t)
{
	cublasLtMatmulHeuristicResult_t found;
	cublasLtMatmulDesc_t op;
	int count = 0;

	fill(&w.a, t, t->a, t->ta ? t->k : t->m, t->ta ? t->m : t->k, 1);
	fill(&w.b, t, t->a, t->tb ? t->n : t->k, t->tb ? t->k : t->n, 2);
	fill(&w.c, t, t->d, t->m, t->n, 3);
	fill(&w.d, t, t->d, t->m, t->n, 4);
	op = operation(t);
	expect(t);
	if (t->choose) {
		LT_OK(cublasLtMatmulAlgoGetHeuristic, w.h, op, w.a.layout, w.b.layout, w.c.layout,
		      w.d.layout, lt_preference(1 << 20), 1, &found, &count);
		CHECK(count == 1 && !found.state, "no algorithm");
	}
	LT_OK(cublasLtMatmul, w.h, op, number(t, 0, t->alpha), lt_pointer(w.a.at), w.a.layout,
	      lt_pointer(w.b.at), w.b.layout, number(t, 1, t->beta), lt_pointer(w.c.at), w.c.layout,
	      lt_pointer(w.d.at), w.d.layout, t->choose ? &found.algo : NULL,
	      lt_pointer(w.workspace), 1 << 20, NULL);
	compare(t);
	check_aux(t);
	for (struct operand *x = &w.a; x <= &w.d; x++)
		LT_OK(cublasLtMatrixLayoutDestroy, x->layout);
	LT_OK(cublasLtMatmulDescDestroy, op);
}

/* Each pair of types in all orders, transposes, modes, and some shapes. */
static void products(void)
{
	static const int types[][4] = {
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
		{CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
		{CUBLAS_COMPUTE_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F},
		{CUBLAS_COMPUTE_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF},
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F},
		{CUBLAS_COMPUTE_32I, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I},
		{CUBLAS_COMPUTE_32I, CUDA_R_32F, CUDA_R_8I, CUDA_R_8I},
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, LT_E4M3, CUDA_R_16BF},
		{CUBLAS_COMPUTE_32F, CUDA_R_32F, LT_E5M2, CUDA_R_16F},
	};
	static const int shapes[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 8, 16}, {17, 33, 9}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
			for (int j = 0; j < 24; j++) {
				struct test t = {.compute = types[i][0],
						 .scale = types[i][1],
						 .a = types[i][2],
						 .d = types[i][3],
						 .m = shapes[s][0],
						 .n = shapes[s][1],
						 .k = shapes[s][2],
						 .ta = j & 1,
						 .tb = j >> 1 & 1,
						 .mode = j >> 2 & 1,
						 .order = j / 8,
						 .batch = j & 4 ? 1 : 2,
						 .epilogue = LT_PLAIN,
						 .alpha = 2,
						 .beta = j & 2 ? 1 : 0,
						 .choose = j & 1};

				if (t.a == LT_E4M3 || t.a == LT_E5M2) {
					t.ta = 1;
					t.tb = 0;
				}
				product(&t);
			}
}

static void epilogues(void)
{
	static const unsigned int kinds[] = {LT_BIAS,
					     LT_RELU,
					     LT_RELU | LT_BIAS,
					     LT_RELU | LT_AUX,
					     LT_RELU | LT_AUX | LT_BIAS,
					     LT_GELU,
					     LT_GELU | LT_BIAS};
	struct test t = {.compute = CUBLAS_COMPUTE_32F,
			 .scale = CUDA_R_32F,
			 .a = CUDA_R_16F,
			 .d = CUDA_R_32F,
			 .m = 24,
			 .n = 10,
			 .k = 12,
			 .batch = 1,
			 .alpha = 0.25,
			 .beta = 1};
	float bias[256];

	for (int i = 0; i < 256; i++) {
		bias[i] = (float)(i % 7 - 3);
		w.bias[i] = (double)bias[i];
	}
	CU(cuMemcpyHtoD(w.bias_at, bias, sizeof(bias)));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		t.epilogue = kinds[i];
		product(&t);
	}
}

int main(void)
{
	start();
	if (!lt_begin("libcublasLt.so.12", &w.h)) {
		puts("cublaslt: there is no libcublasLt.so.12 here");
		finish();
		return 0;
	}
	for (struct operand *x = &w.a; x <= &w.d; x++)
		x->at = device_alloc(sizeof(x->bytes));
	w.bias_at = device_alloc(1024);
	w.aux_at = device_alloc(256 * 16);
	w.numbers = device_alloc(64);
	w.workspace = device_alloc(1 << 20);
	lt_descriptors();
	products();
	epilogues();
	lt_roles(w.h);
	lt_algorithms(w.h);
	lt_refused(w.h);
	lt_transforms(w.h);
	lt_graph(w.h);
	lt_captures(w.h);
	lt_blas_handle();
	CU(cuCtxSynchronize());
	LT_OK(cublasLtDestroy, w.h);
	for (struct operand *x = &w.a; x <= &w.d; x++)
		CU(cuMemFree(x->at));
	CU(cuMemFree(w.bias_at));
	CU(cuMemFree(w.aux_at));
	CU(cuMemFree(w.numbers));
	CU(cuMemFree(w.workspace));
	puts("cublaslt: ok");
	finish();
	return 0;
}
