/* SPDX-License-Identifier: MIT */
/*
 * Calls of cuBLAS with numbers in host and in device memory, against the same sums on the CPU, and
 * with wrong arguments. Where there is no libcublas.so.12 the program says so and ends.
 */
#include <dlfcn.h>
#include <math.h>

#include "libpvgpu/cublas/cublas_types.h"
#include "pvgpu_cublas.h"
#include "tests/programs/common.h"

enum { N = 37, LD = 40, ROOM = 4 * LD * LD };

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

static void settings(struct data *d)
{
	cublasPointerMode_t mode;
	cublasMath_t math;
	cublasAtomicsMode_t atomics;
	CUstream stream, is;
	int version = 0;

	OK(cublasGetVersion_v2, d->h, &version);
	CHECK(version >= 12000, "version %d", version);
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
	OK(cublasSetWorkspace_v2, d->h, P(d->dc), sizeof(d->c));
	level3(d, CUBLAS_OP_N, CUBLAS_OP_N);
	CU(cuStreamSynchronize(stream));
	OK(cublasSetStream_v2, d->h, NULL);
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

int main(int argc, char **argv)
{
	struct data *d = host_alloc(sizeof(*d));

	library = dlopen("libcublas.so.12", RTLD_NOW);
	start();
	if (!library || (argc == 1 && !offered())) {
		puts("cublas: there is no libcublas.so.12 here");
		finish();
		free(d);
		return 0;
	}
	if (argc > 1) {
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
	}
	single(d);
	d->device = false;
	settings(d);
	refused(d);
	OK(cublasDestroy_v2, d->h);
	CU(cuMemFree(d->da));
	CU(cuMemFree(d->db));
	CU(cuMemFree(d->dc));
	CU(cuMemFree(d->scalars));
	finish();
	printf("cublas: levels 1 to 3, both pointer modes, settings, wrong arguments\n");
	free(d);
	return 0;
}
