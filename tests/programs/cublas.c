/* SPDX-License-Identifier: MIT */
/*
 * Calls of cuBLAS with numbers in host and in device memory, against the same sums on the CPU, and
 * with wrong arguments. Where there is no libcublas.so.12 the program says so and ends.
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "libpvgpu/cublas/cublas_types.h"
#include "pvgpu_cublas.h"
#include "tests/programs/common.h"

enum { N = 37, LD = 40, ROOM = 4 * LD * LD, GROUPS = 16384, EACH = 20 };

static void *library;

/* The call's address, with its type. */
#define CALL(name) ((__typeof__(name) *)symbol(#name))
#define OK(name, ...)                                                                              \
	do {                                                                                       \
		const cublasStatus_t s_ = CALL(name)(__VA_ARGS__);                                 \
		CHECK(!s_, "%s: status %d", #name, (int)s_);                                       \
	} while (0)
#define GIVES(status, name, ...)                                                                   \
	do {                                                                                       \
		const cublasStatus_t s_ = CALL(name)(__VA_ARGS__);                                 \
		CHECK(s_ == CUBLAS_STATUS_##status, "%s: status %d, not %s", #name, (int)s_,       \
		      #status);                                                                    \
	} while (0)

static void *symbol(const char *name)
{
	void *p = dlsym(library, name);

	CHECK(p, "no %s", name);
	return p;
}

struct data {
	double a[ROOM], b[ROOM], c[ROOM];
	CUdeviceptr da, db, dc, scalars;
	cublasHandle_t h;
	bool device; /* numbers lie in device memory */
};

static void near(double got, double want, const char *what)
{
	CHECK(fabs(got - want) <= 1e-9 * (1 + fabs(want)), "%s is %.17g, not %.17g", what, got,
	      want);
}

/* A number where the mode wants it. */
static const double *number(struct data *d, int i, const double *value)
{
	if (!d->device)
		return value;
	CU(cuMemcpyHtoD(d->scalars + 8u * (unsigned int)i, value, sizeof(*value)));
	return (const double *)(uintptr_t)(d->scalars + 8u * (unsigned int)i);
}

static void reset(struct data *d)
{
	struct random r = {7};

	for (int i = 0; i < ROOM; i++) {
		d->a[i] = (double)(random_next(&r) % 2000) / 1000 - 1;
		d->b[i] = (double)(random_next(&r) % 2000) / 1000 - 1;
		d->c[i] = (double)(random_next(&r) % 2000) / 1000 - 1;
	}
	CU(cuMemcpyHtoD(d->da, d->a, sizeof(d->a)));
	CU(cuMemcpyHtoD(d->db, d->b, sizeof(d->b)));
	CU(cuMemcpyHtoD(d->dc, d->c, sizeof(d->c)));
}

#define P(address) ((double *)(uintptr_t)(address))

static double answer(struct data *d, int i, double host)
{
	double v = host;

	if (d->device)
		CU(cuMemcpyDtoH(&v, d->scalars + 8u * (unsigned int)i, sizeof(v)));
	return v;
}

static void level1(struct data *d)
{
	const double alpha = 1.5;
	double want = 0, norm = 0, sum = 0, got = 0, *to = d->device ? P(d->scalars + 64) : &got;
	int most = 0, at = 0, *place = d->device ? (int *)(uintptr_t)(d->scalars + 96) : &at;

	reset(d);
	OK(cublasDaxpy_v2, d->h, N, number(d, 0, &alpha), P(d->da), 2, P(d->db), -1);
	for (int i = 0; i < N; i++)
		d->b[N - 1 - i] += alpha * d->a[2 * i];
	OK(cublasDscal_v2, d->h, N, number(d, 1, &alpha), P(d->da), 3);
	for (int i = 0; i < N; i++)
		d->a[3 * i] *= alpha;
	OK(cublasDswap_v2, d->h, N, P(d->da), 1, P(d->dc), 2);
	for (int i = 0; i < N; i++) {
		const double v = d->a[i];

		d->a[i] = d->c[2 * i];
		d->c[2 * i] = v;
	}
	OK(cublasDcopy_v2, d->h, N, P(d->dc), 1, P(d->da), 1);
	memcpy(d->a, d->c, N * sizeof(*d->a));
	for (int i = 0; i < N; i++) {
		want += d->a[i] * d->b[i];
		norm += d->b[i] * d->b[i];
		sum += fabs(d->b[i]);
		most = fabs(d->b[i]) > fabs(d->b[most]) ? i : most;
	}
	OK(cublasDdot_v2, d->h, N, P(d->da), 1, P(d->db), 1, to);
	near(answer(d, 8, got), want, "dot");
	OK(cublasDnrm2_v2, d->h, N, P(d->db), 1, to);
	near(answer(d, 8, got), sqrt(norm), "nrm2");
	OK(cublasDasum_v2, d->h, N, P(d->db), 1, to);
	near(answer(d, 8, got), sum, "asum");
	OK(cublasIdamax_v2, d->h, N, P(d->db), 1, place);
	if (d->device)
		CU(cuMemcpyDtoH(&at, d->scalars + 96, sizeof(at)));
	CHECK(at == most + 1, "amax is at %d, not %d", at, most + 1);
}

static double at(const double *m, bool t, int i, int j)
{
	return m[t ? i * LD + j : j * LD + i];
}

static void compare(struct data *d, const double *want, int n, const char *what)
{
	download(d->c, d->dc, sizeof(d->c));
	for (int j = 0; j < n; j++)
		for (int i = 0; i < n; i++)
			near(d->c[j * LD + i], want[j * LD + i], what);
}

static void product(double *to, const struct data *d, bool ta, bool tb, double alpha, double beta)
{
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++) {
			double sum = 0;

			for (int k = 0; k < N; k++)
				sum += at(d->a, ta, i, k) * at(d->b, tb, k, j);
			to[j * LD + i] = alpha * sum + beta * d->c[j * LD + i];
		}
}

static void level3(struct data *d, cublasOperation_t ta, cublasOperation_t tb)
{
	static double want[ROOM];
	const double alpha = 0.5, beta = -2;

	reset(d);
	product(want, d, ta, tb, alpha, beta);
	OK(cublasDgemm_v2, d->h, ta, tb, N, N, N, number(d, 0, &alpha), P(d->da), LD, P(d->db), LD,
	   number(d, 1, &beta), P(d->dc), LD);
	compare(d, want, N, "gemm");
	product(want, d, ta, tb, beta, alpha);
	OK(cublasGemmEx, d->h, ta, tb, N, N, N, number(d, 0, &beta), P(d->da), CUDA_R_64F, LD,
	   P(d->db), CUDA_R_64F, LD, number(d, 1, &alpha), P(d->dc), CUDA_R_64F, LD,
	   CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT);
	compare(d, want, N, "GemmEx");
	product(want, d, ta, tb, alpha, 0);
	OK(cublasDgemmStridedBatched, d->h, ta, tb, N, N, N, number(d, 0, &alpha), P(d->da), LD, 0,
	   P(d->db), LD, 0, number(d, 1, &(double){0}), P(d->dc), LD, LD * LD, 3);
	download(d->c, d->dc, sizeof(d->c));
	for (int batch = 0; batch < 3; batch++)
		for (int i = 0; i < N; i++)
			near(d->c[batch * LD * LD + i], want[i], "batch");
}

static void single(struct data *d)
{
	const float alpha = 2, beta = 0, a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8};
	float c[4] = {0};

	CU(cuMemcpyHtoD(d->da, a, sizeof(a)));
	CU(cuMemcpyHtoD(d->db, b, sizeof(b)));
	OK(cublasSetPointerMode_v2, d->h, CUBLAS_POINTER_MODE_HOST);
	OK(cublasSgemm_v2, d->h, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &alpha,
	   (float *)(uintptr_t)d->da, 2, (float *)(uintptr_t)d->db, 2, &beta,
	   (float *)(uintptr_t)d->dc, 2);
	download(c, d->dc, sizeof(c));
	CHECK(c[0] == 46 && c[1] == 68 && c[2] == 62 && c[3] == 92, "sgemm: %g %g %g %g",
	      (double)c[0], (double)c[1], (double)c[2], (double)c[3]);
	OK(cublasSgemv_v2, d->h, CUBLAS_OP_T, 2, 2, &alpha, (float *)(uintptr_t)d->da, 2,
	   (float *)(uintptr_t)d->db, 1, &beta, (float *)(uintptr_t)d->dc, 1);
	download(c, d->dc, sizeof(c));
	CHECK(c[0] == 34 && c[1] == 78, "sgemv: %g %g", (double)c[0], (double)c[1]);
}

/* What a call has of each group, in host memory, and of each matrix, in device memory. */
struct groups {
	cublasOperation_t ta[GROUPS], tb[GROUPS];
	int m[GROUPS], n[GROUPS], k[GROUPS], lda[GROUPS], ldb[GROUPS], ldc[GROUPS], size[GROUPS];
	double alpha[GROUPS], beta[GROUPS];
	uint64_t a[GROUPS], b[GROUPS], c[GROUPS];
	int matrices;
};

/* Groups of different shapes; most have no matrix, so that many groups are few products. */
static void groups_fill(struct groups *g, struct data *d, int count, CUdeviceptr to)
{
	g->matrices = 0;
	for (int i = 0; i < count; i++) {
		g->ta[i] = (cublasOperation_t)(i & 1);
		g->tb[i] = (cublasOperation_t)(i >> 1 & 1);
		g->m[i] = 1 + i % 5;
		g->n[i] = 1 + i % 4;
		g->k[i] = 1 + i % 3;
		g->lda[i] = g->ldb[i] = g->ldc[i] = 5;
		g->alpha[i] = i % 7 - 3.5;
		g->beta[i] = i % 2 ? 0 : 0.25;
		g->size[i] = count < 500 && i % 8 == 0 ? 1 + i % 3 : i == count - 1;
		for (int j = 0; j < g->size[i]; j++) {
			const int at = g->matrices++;

			g->a[at] = d->da + 8u * (unsigned int)(at % 100);
			g->b[at] = d->db + 8u * (unsigned int)(at % 90);
			g->c[at] = to + 8u * (unsigned int)(at * EACH);
		}
	}
}

static void groups_check(const struct groups *g, const struct data *d, int count, const double *got)
{
	int at = 0;

	for (int i = 0; i < count; i++)
		for (int x = 0; x < g->size[i]; x++, at++)
			for (int j = 0; j < g->n[i]; j++)
				for (int row = 0; row < g->m[i]; row++) {
					const double *a = d->a + at % 100, *b = d->b + at % 90;
					double sum = 0;

					for (int l = 0; l < g->k[i]; l++)
						sum += a[g->ta[i] ? row * 5 + l : l * 5 + row] *
						       b[g->tb[i] ? l * 5 + j : j * 5 + l];
					near(got[at * EACH + j * 5 + row],
					     g->alpha[i] * sum + g->beta[i], "a group's product");
				}
}

/* Few groups travel inside the record, many through the arena. */
static void groups(struct data *d, int count, bool typed)
{
	struct groups *g = host_alloc(sizeof(*g));
	const CUdeviceptr to = device_alloc(GROUPS * sizeof(double)),
			  tables = device_alloc(3 * sizeof(g->a));
	double *c = host_alloc(GROUPS * sizeof(double));
	const uint64_t *table[3];

	reset(d);
	groups_fill(g, d, count, to);
	CHECK(g->matrices * EACH <= GROUPS, "%d matrices", g->matrices);
	for (int i = 0; i < GROUPS; i++)
		c[i] = 1;
	CU(cuMemcpyHtoD(to, c, GROUPS * sizeof(double)));
	for (unsigned int i = 0; i < 3; i++) {
		table[i] = (const uint64_t *)(uintptr_t)(tables + i * sizeof(g->a));
		CU(cuMemcpyHtoD(tables + i * sizeof(g->a),
				i == 0   ? g->a
				: i == 1 ? g->b
					 : g->c,
				sizeof(g->a)));
	}
	if (typed)
		OK(cublasGemmGroupedBatchedEx, d->h, g->ta, g->tb, g->m, g->n, g->k, g->alpha,
		   table[0], CUDA_R_64F, g->lda, table[1], CUDA_R_64F, g->ldb, g->beta, table[2],
		   CUDA_R_64F, g->ldc, count, g->size, CUBLAS_COMPUTE_64F);
	else
		OK(cublasDgemmGroupedBatched, d->h, g->ta, g->tb, g->m, g->n, g->k, g->alpha,
		   table[0], g->lda, table[1], g->ldb, g->beta, table[2], g->ldc, count, g->size);
	/* The numbers are the application's again. */
	memset(g->alpha, 0, sizeof(g->alpha));
	memset(g->m, 0xff, sizeof(g->m));
	groups_fill(g, d, count, to);
	download(c, to, GROUPS * sizeof(double));
	groups_check(g, d, count, c);
	GIVES(INVALID_VALUE, cublasDgemmGroupedBatched, d->h, g->ta, g->tb, g->m, g->n, g->k,
	      g->alpha, table[0], g->lda, table[1], g->ldb, g->beta, table[2], NULL, count,
	      g->size);
	g->ldc[count - 1] = g->m[count - 1] - 1;
	GIVES(INVALID_VALUE, cublasDgemmGroupedBatched, d->h, g->ta, g->tb, g->m, g->n, g->k,
	      g->alpha, table[0], g->lda, table[1], g->ldb, g->beta, table[2], g->ldc, count,
	      g->size);
	CU(cuMemFree(tables));
	CU(cuMemFree(to));
	free(c);
	free(g);
}

/* Vectors and matrices to the device and back, with gaps that stay as they were. */
static void copies(struct data *d)
{
	static double back[ROOM];
	CUstream stream;

	reset(d);
	CU(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
	for (int i = 0; i < ROOM; i++)
		back[i] = -7;
	OK(cublasSetVector, N, sizeof(double), d->b, 3, P(d->da), 2);
	OK(cublasGetVector, N, sizeof(double), P(d->da), 2, back, 4);
	for (int i = 0; i < 4 * N; i++)
		CHECK(back[i] == (i % 4 ? -7 : d->b[i / 4 * 3]), "element %d is %g", i, back[i]);
	OK(cublasSetVectorAsync, ROOM, sizeof(double), d->b, 1, P(d->da), 1, stream);
	OK(cublasGetVectorAsync, ROOM, sizeof(double), P(d->da), 1, back, 1, stream);
	CU(cuStreamSynchronize(stream));
	CHECK(!memcmp(back, d->b, sizeof(back)), "a whole vector");
	OK(cublasSetMatrix, N, 5, sizeof(double), d->c, LD, P(d->da), N + 1);
	OK(cublasGetMatrix, N, 5, sizeof(double), P(d->da), N + 1, back, LD);
	OK(cublasSetMatrixAsync, 2, 2, sizeof(double), d->c, LD, P(d->db), 2, stream);
	OK(cublasGetMatrixAsync, 2, 2, sizeof(double), P(d->db), 2, back + 5 * LD, LD, stream);
	CU(cuStreamSynchronize(stream));
	for (int j = 0; j < 7; j++)
		for (int i = 0; i < LD; i++) {
			const bool copied = j < 5 ? i < N : i < 2;
			const double want = !copied ? d->b[j * LD + i]
					    : j < 5 ? d->c[j * LD + i]
						    : d->c[(j - 5) * LD + i];

			CHECK(back[j * LD + i] == want, "element %d of column %d is %g", i, j,
			      back[j * LD + i]);
		}
	OK(cublasSetVector, 0, sizeof(double), NULL, 1, NULL, 1);
	OK(cublasGetMatrix, 0, 5, sizeof(double), NULL, 1, NULL, 1);
	GIVES(INVALID_VALUE, cublasSetVector, N, 0, d->b, 1, P(d->da), 1);
	GIVES(INVALID_VALUE, cublasGetVector, N, sizeof(double), P(d->da), 0, back, 1);
	GIVES(INVALID_VALUE, cublasSetMatrix, -1, 5, sizeof(double), d->b, LD, P(d->da), LD);
	GIVES(INVALID_VALUE, cublasGetMatrix, N, 5, sizeof(double), P(d->da), LD, back, 0);
	GIVES(MAPPING_ERROR, cublasGetVector, N, sizeof(double), P(d->da), 1, NULL, 1);
	CU(cuStreamDestroy(stream));
}

static void batched(struct data *d)
{
	static double want[ROOM];
	const double alpha = 0.5, beta = -2;
	const uint64_t table[3] = {d->da, d->db, d->dc};
	const uint64_t *at = (const uint64_t *)(uintptr_t)(d->scalars + 128);

	reset(d);
	product(want, d, true, false, alpha, beta);
	CU(cuMemcpyHtoD(d->scalars + 128, table, sizeof(table)));
	OK(cublasDgemmBatched, d->h, CUBLAS_OP_T, CUBLAS_OP_N, N, N, N, number(d, 0, &alpha), at,
	   LD, at + 1, LD, number(d, 1, &beta), at + 2, LD, 1);
	compare(d, want, N, "gemmBatched");
}

static void settings(struct data *d)
{
	cublasPointerMode_t mode;
	cublasMath_t math;
	cublasAtomicsMode_t atomics;
	CUstream stream, is;
	int version = 0;

	OK(cublasGetVersion_v2, d->h, &version);
	CHECK(version >= 12000, "version %d", version);
	version = 0;
	OK(cublasGetVersion_v2, NULL, &version);
	CHECK(version >= 12000, "version %d without a handle", version);
	CU(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
	OK(cublasSetStream_v2, d->h, stream);
	OK(cublasGetStream_v2, d->h, &is);
	CHECK(is == stream, "another stream");
	OK(cublasSetMathMode, d->h, CUBLAS_PEDANTIC_MATH);
	OK(cublasGetMathMode, d->h, &math);
	CHECK(math == CUBLAS_PEDANTIC_MATH, "math mode %d", (int)math);
	OK(cublasSetAtomicsMode, d->h, CUBLAS_ATOMICS_ALLOWED);
	OK(cublasGetAtomicsMode, d->h, &atomics);
	CHECK(atomics == CUBLAS_ATOMICS_ALLOWED, "atomics mode %d", (int)atomics);
	OK(cublasGetPointerMode_v2, d->h, &mode);
	CHECK(mode == CUBLAS_POINTER_MODE_HOST, "pointer mode %d", (int)mode);
	level3(d, CUBLAS_OP_N, CUBLAS_OP_N);
	CU(cuStreamSynchronize(stream));
	OK(cublasSetStream_v2, d->h, NULL);
	CU(cuStreamDestroy(stream));
}

static bool simulated(void)
{
	char name[64];

	CU(cuDeviceGetName(name, sizeof(name), 0));
	return strstr(name, "simulated");
}

/* The simulated library adds 8 to the first word of its workspace with each call. */
static void lent(struct data *d, CUdeviceptr workspace, uint64_t calls, const char *what)
{
	const double one = 1;
	uint64_t count = 0;

	for (int i = 0; i < 3; i++)
		OK(cublasDscal_v2, d->h, N, number(d, 0, &one), P(d->da), 1);
	CU(cuCtxSynchronize());
	CU(cuMemcpyDtoH(&count, workspace, sizeof(count)));
	CHECK(count == 8 * calls, "%s: %llu calls with the workspace, not %llu", what,
	      (unsigned long long)count / 8, (unsigned long long)calls);
}

/* Frameworks set stream and workspace before each call; a stream that is set takes the workspace
 * back, the same one also. */
static void workspaces(struct data *d)
{
	CUdeviceptr at, other;
	CUstream stream;

	if (!simulated())
		return;
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	at = device_alloc(1 << 16);
	other = device_alloc(1 << 16);
	CU(cuMemsetD8(at, 0, 1 << 16));
	CU(cuMemsetD8(other, 0, 1 << 16));
	OK(cublasSetStream_v2, d->h, stream);
	lent(d, at, 0, "none yet");
	for (int i = 0; i < 2; i++) {
		OK(cublasSetStream_v2, d->h, stream);
		OK(cublasSetWorkspace_v2, d->h, P(at), 1 << 16);
		lent(d, at, 3 + 3 * (uint64_t)i, "set again");
	}
	lent(d, at, 9, "kept");
	OK(cublasSetWorkspace_v2, d->h, P(other), 1 << 16);
	lent(d, at, 9, "another");
	OK(cublasSetWorkspace_v2, d->h, P(other), 1 << 15);
	lent(d, other, 6, "another");
	OK(cublasSetStream_v2, d->h, stream);
	lent(d, other, 6, "taken back by the same stream");
	OK(cublasSetWorkspace_v2, d->h, P(at), 1 << 16);
	lent(d, at, 12, "lent again");
	OK(cublasSetStream_v2, d->h, NULL);
	lent(d, at, 12, "taken back by the default stream");
	OK(cublasSetStream_v2, d->h, stream);
	lent(d, at, 12, "not given again by the stream that had it");
	OK(cublasSetWorkspace_v2, d->h, P(at), 1 << 16);
	lent(d, at, 15, "given again");
	OK(cublasSetStream_v2, d->h, NULL);
	CU(cuMemFree(at));
	CU(cuMemFree(other));
	CU(cuStreamDestroy(stream));
}

static void refused(struct data *d)
{
	const double one = 1;

	OK(cublasSetPointerMode_v2, d->h, CUBLAS_POINTER_MODE_HOST);
	GIVES(NOT_INITIALIZED, cublasSetMathMode, NULL, CUBLAS_DEFAULT_MATH);
	GIVES(INVALID_VALUE, cublasGetMathMode, d->h, NULL);
	GIVES(INVALID_VALUE, cublasSetPointerMode_v2, d->h, (cublasPointerMode_t)2);
	GIVES(INVALID_VALUE, cublasDdot_v2, d->h, 1, P(d->da), 1, P(d->db), 1, NULL);
	GIVES(INVALID_VALUE, cublasDgemv_v2, d->h, CUBLAS_OP_N, 4, 4, &one, P(d->da), 3, P(d->db),
	      1, &one, P(d->dc), 1);
	GIVES(INVALID_VALUE, cublasDgemv_v2, d->h, CUBLAS_OP_N, 4, 4, &one, P(d->da), 4, P(d->db),
	      0, &one, P(d->dc), 1);
	GIVES(INVALID_VALUE, cublasDgemm_v2, d->h, CUBLAS_OP_N, CUBLAS_OP_N, -1, 1, 1, &one,
	      P(d->da), 1, P(d->db), 1, &one, P(d->dc), 1);
	GIVES(INVALID_VALUE, cublasDgemm_v2, d->h, CUBLAS_OP_N, CUBLAS_OP_T, 4, 4, 4, &one,
	      P(d->da), 4, P(d->db), 3, &one, P(d->dc), 4);
	GIVES(NOT_SUPPORTED, cublasGemmEx, d->h, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, P(d->da),
	      (cudaDataType_t)99, 1, P(d->db), CUDA_R_64F, 1, &one, P(d->dc), CUDA_R_64F, 1,
	      CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT);
	/* Nothing to do is no error, wherever the operands lie. */
	OK(cublasDgemm_v2, d->h, CUBLAS_OP_N, CUBLAS_OP_N, 0, 4, 4, &one, P(d->da), 4, P(d->db), 4,
	   &one, P(d->dc), 4);
	OK(cublasDaxpy_v2, d->h, 0, &one, NULL, 1, NULL, 1);
	CU(cuCtxSynchronize());
}

static size_t free_memory(void)
{
	size_t available, total;

	CU(cuMemGetInfo(&available, &total));
	return available;
}

/* For tests of the library's errors and of what a handle costs: prints both. */
static void create_only(void)
{
	cublasHandle_t h = NULL;
	size_t before, with;
	int version = 0;
	cublasStatus_t s;

	before = free_memory();
	s = CALL(cublasCreate_v2)(&h);
	printf("create %d\n", (int)s);
	if (s)
		return;
	with = free_memory();
	printf("version %d\n", (int)CALL(cublasGetVersion_v2)(h, &version));
	OK(cublasDestroy_v2, h);
	printf("a handle costs %zu MiB, and %zu when it is gone\n", (before - with) >> 20,
	       (before - free_memory()) >> 20);
}

static bool wait_free(size_t least, size_t most)
{
	for (int i = 0; i < 12000; i++) {
		const size_t now = free_memory();

		if (now >= least && now <= most)
			return true;
		usleep(10000);
	}
	return false;
}

/* What the library takes for itself beyond a handle's charge counts when it has been measured, for
 * as long as the handle lives. */
static void create_large(void)
{
	const size_t before = free_memory(), taken = 200u << 20;
	size_t least;
	cublasHandle_t h = NULL, second = NULL;
	CUdeviceptr p = 0;

	OK(cublasCreate_v2, &h);
	CHECK(wait_free(0, before - taken), "what the library has taken does not count");
	least = free_memory();
	printf("alloc %d\n", (int)cuMemAlloc(&p, before - taken));
	printf("second %d\n", (int)CALL(cublasCreate_v2)(&second));
	OK(cublasDestroy_v2, h);
	CHECK(wait_free(least + taken, SIZE_MAX), "it counts though it is gone");
	CU(cuMemAlloc(&p, before - taken));
	CU(cuMemFree(p));
}

/* A guest's library is there also where its host has none. */
static bool offered(void)
{
	cublasHandle_t h = NULL;
	const cublasStatus_t s = CALL(cublasCreate_v2)(&h);

	if (s == CUBLAS_STATUS_NOT_SUPPORTED)
		return false;
	CHECK(!s, "cublasCreate_v2: status %d", (int)s);
	OK(cublasDestroy_v2, h);
	return true;
}

/* Threads share the handle, and each has the products of its own vectors. */
enum { THREADS = 2, CALLS = 300, LEN = 64 };

static struct {
	pthread_barrier_t begin;
	cublasHandle_t h;
	CUcontext ctx;
} shared;

static void *products(void *arg)
{
	const double k = (double)(uintptr_t)arg;
	double v[LEN], got;
	CUdeviceptr x;
	int at;

	for (int i = 0; i < LEN; i++)
		v[i] = i == LEN - 1 ? -2 * k : k;
	CU(cuCtxSetCurrent(shared.ctx));
	x = device_alloc(sizeof(v));
	CU(cuMemcpyHtoD(x, v, sizeof(v)));
	pthread_barrier_wait(&shared.begin);
	for (int i = 0; i < CALLS; i++) {
		OK(cublasDdot_v2, shared.h, LEN, P(x), 1, P(x), 1, &got);
		near(got, (LEN + 3) * k * k, "a thread's product");
		OK(cublasDasum_v2, shared.h, LEN, P(x), 1, &got);
		near(got, (LEN + 1) * k, "a thread's sum");
		OK(cublasIdamax_v2, shared.h, LEN, P(x), 1, &at);
		CHECK(at == LEN, "a thread's greatest is number %d", at);
	}
	CU(cuMemFree(x));
	return NULL;
}

static void threads(cublasHandle_t h)
{
	pthread_t thread[THREADS];

	shared.h = h;
	CU(cuCtxGetCurrent(&shared.ctx));
	pthread_barrier_init(&shared.begin, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, products, (void *)(i + 1)), "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&shared.begin);
}

int main(int argc, char **argv)
{
	struct data *d = host_alloc(sizeof(*d));
	const char *soname = getenv("CUBLAS"); /* libcublas.so.13 */

	library = dlopen(soname ? soname : "libcublas.so.12", RTLD_NOW);
	start();
	if (!library || (argc == 1 && !offered())) {
		puts("cublas: there is no libcublas here");
		finish();
		free(d);
		return 0;
	}
	if (argc > 1) {
		if (!strcmp(argv[1], "large"))
			create_large();
		else
			create_only();
		finish();
		free(d);
		return 0;
	}
	memset(d, 0, sizeof(*d));
	d->da = device_alloc(sizeof(d->a));
	d->db = device_alloc(sizeof(d->b));
	d->dc = device_alloc(sizeof(d->c));
	d->scalars = device_alloc(256);
	OK(cublasCreate_v2, &d->h);
	for (int mode = 0; mode < 2; mode++) {
		d->device = mode;
		OK(cublasSetPointerMode_v2, d->h, (cublasPointerMode_t)mode);
		level1(d);
		for (int t = 0; t < 4; t++)
			level3(d, (cublasOperation_t)(t & 1), (cublasOperation_t)(t >> 1));
		batched(d);
	}
	single(d);
	d->device = false;
	OK(cublasSetPointerMode_v2, d->h, CUBLAS_POINTER_MODE_HOST);
	threads(d->h);
	groups(d, 3, false);
	groups(d, 78, false);
	groups(d, 400, true);
	groups(d, GROUPS, false);
	copies(d);
	settings(d);
	workspaces(d);
	refused(d);
	OK(cublasDestroy_v2, d->h);
	CU(cuMemFree(d->da));
	CU(cuMemFree(d->db));
	CU(cuMemFree(d->dc));
	CU(cuMemFree(d->scalars));
	finish();
	printf("cublas: levels 1 to 3, both pointer modes, batches and groups, copies, settings, "
	       "wrong "
	       "arguments\n");
	free(d);
	return 0;
}
