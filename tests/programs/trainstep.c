/* SPDX-License-Identifier: MIT */
/*
 * Training steps of a small network, by cuBLAS and cuBLASLt as PyTorch calls them: for each product
 * stream, workspace and math mode are set, descriptors are made, the heuristic is asked, and the
 * product has an epilogue; a handle of cuBLAS serves for both. The loss is read after each step.
 *
 *   trainstep           compares each loss with the same network on the CPU
 *   trainstep count     prints how many calls of a later step waited for an answer
 *   trainstep time [N]  prints what a step takes, over N steps
 *   trainstep create    for tests of the library's errors: prints a handle's status, and its cost
 *   trainstep ask [LIBRARY]  the status of a heuristic, and the library's version
 */
#include <math.h>
#include <time.h>

#include "pvgpu_cublas.h"
#include "tests/programs/lt.h"

enum { IN = 16, HIDDEN = 24, OUT = 8, BATCH = 32, STEPS = 12, WORKSPACE = 1 << 20 };
#define RATE 0.02f

static void *blas;
#define BLAS(name, ...)                                                                            \
	do {                                                                                       \
		__typeof__(name) *f_;                                                              \
		void *p_ = dlsym(blas, #name);                                                     \
                                                                                                   \
		CHECK(p_, "no %s", #name);                                                         \
		memcpy(&f_, &p_, sizeof(f_));                                                      \
		CHECK(!f_(__VA_ARGS__), "%s", #name);                                              \
	} while (0)

/* The network and its gradients: in device memory, and on the CPU. */
enum { W1, B1, W2, B2, X, T, PRE, H, Y, DW1, DB1, DW2, DB2, DPRE, ARRAYS };
static const int sizes[ARRAYS] = {
	[W1] = HIDDEN * IN, [B1] = HIDDEN,          [W2] = OUT * HIDDEN,    [B2] = OUT,
	[X] = IN * BATCH,   [T] = OUT * BATCH,      [PRE] = HIDDEN * BATCH, [H] = HIDDEN * BATCH,
	[Y] = OUT * BATCH,  [DW1] = HIDDEN * IN,    [DB1] = HIDDEN,         [DW2] = OUT * HIDDEN,
	[DB2] = OUT,        [DPRE] = HIDDEN * BATCH};
static CUdeviceptr at[ARRAYS], workspace;
static double cpu[ARRAYS][HIDDEN * BATCH];
static cublasHandle_t handle;
static CUstream stream;

static cublasLtMatrixLayout_t layout(int rows, int cols)
{
	cublasLtMatrixLayout_t l;

	LT_OK(cublasLtMatrixLayoutCreate, &l, CUDA_R_32F, (uint64_t)rows, (uint64_t)cols, rows);
	return l;
}

/* D (m x n) = op(A) op(B), as a linear layer makes it. bias and aux: arrays, or -1. */
static void product(int a, int ta, int b, int tb, int d, int m, int n, int k, unsigned int epilogue,
		    int bias, int aux)
{
	const float one = 1, zero = 0;
	cublasLtMatmulHeuristicResult_t found;
	cublasLtMatrixLayout_t la, lb, ld;
	cublasLtMatmulPreference_t p;
	cublasLtMatmulDesc_t op;
	int count = 0;

	BLAS(cublasSetStream_v2, handle, stream);
	BLAS(cublasSetWorkspace_v2, handle, lt_pointer(workspace), WORKSPACE);
	BLAS(cublasSetMathMode, handle, CUBLAS_DEFAULT_MATH);
	LT_OK(cublasLtMatmulDescCreate, &op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	LT_SET(MatmulDesc, op, 3, int, ta);
	LT_SET(MatmulDesc, op, 4, int, tb);
	LT_SET(MatmulDesc, op, 7, unsigned int, epilogue);
	if (bias >= 0)
		LT_SET(MatmulDesc, op, 8, CUdeviceptr, at[bias]);
	if (aux >= 0) {
		LT_SET(MatmulDesc, op, 11, CUdeviceptr, at[aux]);
		LT_SET(MatmulDesc, op, 12, int64_t, m);
	}
	la = ta ? layout(k, m) : layout(m, k);
	lb = tb ? layout(n, k) : layout(k, n);
	ld = layout(m, n);
	LT_OK(cublasLtMatmulPreferenceCreate, &p);
	LT_SET(MatmulPreference, p, 1, uint64_t, WORKSPACE);
	LT_OK(cublasLtMatmulAlgoGetHeuristic, (cublasLtHandle_t)handle, op, la, lb, ld, ld, p, 1,
	      &found, &count);
	CHECK(count == 1, "no algorithm");
	LT_OK(cublasLtMatmul, (cublasLtHandle_t)handle, op, &one, lt_pointer(at[a]), la,
	      lt_pointer(at[b]), lb, &zero, lt_pointer(at[d]), ld, lt_pointer(at[d]), ld,
	      &found.algo, lt_pointer(workspace), WORKSPACE, stream);
	LT_OK(cublasLtMatmulPreferenceDestroy, p);
	LT_OK(cublasLtMatmulDescDestroy, op);
	LT_OK(cublasLtMatrixLayoutDestroy, la);
	LT_OK(cublasLtMatrixLayoutDestroy, lb);
	LT_OK(cublasLtMatrixLayoutDestroy, ld);
}

static void add(int to, int from, float factor)
{
	BLAS(cublasSaxpy_v2, handle, sizes[to], &factor, lt_pointer(at[from]), 1,
	     lt_pointer(at[to]), 1);
}

/* Forward, backward, update; the loss. */
static float step(void)
{
	float loss = 0;

	product(W1, 0, X, 0, H, HIDDEN, BATCH, IN, LT_GELU | LT_AUX | LT_BIAS, B1, PRE);
	product(W2, 0, H, 0, Y, OUT, BATCH, HIDDEN, LT_BIAS, B2, -1);
	add(Y, T, -1);
	BLAS(cublasSnrm2_v2, handle, sizes[Y], lt_pointer(at[Y]), 1, &loss);
	product(Y, 0, H, 1, DW2, OUT, HIDDEN, BATCH, LT_BGRADA, DB2, -1);
	product(W2, 1, Y, 0, DPRE, HIDDEN, BATCH, OUT, LT_DGELU | LT_AUX | LT_BGRAD, DB1, PRE);
	product(DPRE, 0, X, 1, DW1, HIDDEN, IN, BATCH, LT_PLAIN, -1, -1);
	for (int i = W1; i <= B2; i++)
		add(i, DW1 + i - W1, -RATE);
	return loss;
}

/* ---- the same on the CPU ---- */

static void cpu_product(int a, int ta, int b, int tb, int d, int m, int n, int k)
{
	for (int j = 0; j < n; j++)
		for (int i = 0; i < m; i++) {
			double sum = 0;

			for (int l = 0; l < k; l++)
				sum += cpu[a][ta ? i * k + l : l * m + i] *
				       cpu[b][tb ? l * n + j : j * k + l];
			cpu[d][j * m + i] = sum;
		}
}

static double gelu(double x, bool slope)
{
	const double c = 0.7978845608028654;
	const double t = tanh(c * (x + 0.044715 * x * x * x));

	if (!slope)
		return 0.5 * x * (1 + t);
	return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
}

static void cpu_sums(int to, int from, int rows)
{
	for (int i = 0; i < rows; i++) {
		cpu[to][i] = 0;
		for (int j = 0; j < BATCH; j++)
			cpu[to][i] += cpu[from][j * rows + i];
	}
}

static double cpu_step(void)
{
	double loss = 0;

	cpu_product(W1, 0, X, 0, PRE, HIDDEN, BATCH, IN);
	for (int i = 0; i < sizes[H]; i++) {
		cpu[PRE][i] += cpu[B1][i % HIDDEN];
		cpu[H][i] = gelu(cpu[PRE][i], false);
	}
	cpu_product(W2, 0, H, 0, Y, OUT, BATCH, HIDDEN);
	for (int i = 0; i < sizes[Y]; i++) {
		cpu[Y][i] += cpu[B2][i % OUT] - cpu[T][i];
		loss += cpu[Y][i] * cpu[Y][i];
	}
	cpu_product(Y, 0, H, 1, DW2, OUT, HIDDEN, BATCH);
	cpu_sums(DB2, Y, OUT);
	cpu_product(W2, 1, Y, 0, DPRE, HIDDEN, BATCH, OUT);
	for (int i = 0; i < sizes[DPRE]; i++)
		cpu[DPRE][i] *= gelu(cpu[PRE][i], true);
	cpu_sums(DB1, DPRE, HIDDEN);
	cpu_product(DPRE, 0, X, 1, DW1, HIDDEN, IN, BATCH);
	for (int i = W1; i <= B2; i++)
		for (int j = 0; j < sizes[i]; j++)
			cpu[i][j] -= (double)RATE * cpu[DW1 + i - W1][j];
	return sqrt(loss);
}

static void begin(void)
{
	struct random r = {11};
	float v[HIDDEN * BATCH];

	blas = dlopen("libcublas.so.12", RTLD_NOW);
	CHECK(blas, "no libcublas.so.12");
	BLAS(cublasCreate_v2, &handle);
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	workspace = device_alloc(WORKSPACE);
	for (int i = 0; i < ARRAYS; i++) {
		at[i] = device_alloc(sizeof(v));
		for (int j = 0; j < sizes[i]; j++) {
			v[j] = (float)(random_next(&r) % 1000) / 2000 - 0.25f;
			cpu[i][j] = (double)v[j];
		}
		CU(cuMemcpyHtoD(at[i], v, (size_t)sizes[i] * sizeof(*v)));
	}
}

static void end(void)
{
	BLAS(cublasDestroy_v2, handle);
	CU(cuStreamDestroy(stream));
	CU(cuMemFree(workspace));
	for (int i = 0; i < ARRAYS; i++)
		CU(cuMemFree(at[i]));
}

static void train(bool count)
{
	double first = 0, want = 0;
	uint64_t before = 0;
	float loss = 0;

	begin();
	for (int i = 0; i < STEPS; i++) {
		/* The first ones ask the library, and make what they need. */
		before = lt_awaited();
		loss = step();
		want = cpu_step();
		first = i ? first : want;
		CHECK(fabs((double)loss - want) <= 1e-3 * want, "the loss of step %d is %g, not %g",
		      i, (double)loss, want);
	}
	CHECK(want < 0.9 * first, "the loss was %g and is %g", first, want);
	if (count)
		printf("awaited %llu\n", (unsigned long long)(lt_awaited() - before));
	else
		printf("%d steps, and the loss is less\n", STEPS);
	end();
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Plans and handles that the first steps make for the later ones are not counted. */
static void timed(size_t steps)
{
	double before;

	begin();
	for (int i = 0; i < STEPS; i++)
		step();
	before = now_us();
	for (size_t i = 0; i < steps; i++)
		step();
	printf("train_step_us %.3f\n", (now_us() - before) / (double)steps);
	end();
}

static size_t free_memory(void)
{
	size_t available, total;

	CU(cuMemGetInfo(&available, &total));
	return available;
}

/* What the far end says is printed; the library is this process's from then on. */
static void errors(const char *library, bool ask)
{
	cublasLtHandle_t h = NULL;
	cublasLtMatmulHeuristicResult_t found;
	cublasLtMatmulDesc_t op;
	cublasLtMatrixLayout_t l;
	const size_t before = free_memory();
	cublasStatus_t s;
	size_t with;
	int count;

	s = lt_create(library, &h);
	if (!ask)
		printf("create %d\n", (int)s);
	if (s)
		return;
	with = free_memory();
	if (ask) {
		LT_OK(cublasLtMatmulDescCreate, &op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
		l = layout(OUT, OUT);
		printf("ask %d\n", (int)LT_CALL(cublasLtMatmulAlgoGetHeuristic)(
					   h, op, l, l, l, l, lt_preference(0), 1, &found, &count));
		printf("version %zu\n", LT_CALL(cublasLtGetVersion)());
	}
	LT_OK(cublasLtDestroy, h);
	if (!ask)
		printf("a handle costs %zu MiB, and %zu when it is gone\n", (before - with) >> 20,
		       (before - free_memory()) >> 20);
}

int main(int argc, char **argv)
{
	cublasLtHandle_t h;

	start();
	if (argc > 1 && strcmp(argv[1], "count") && strcmp(argv[1], "time")) {
		errors(argc > 2 ? argv[2] : "libcublasLt.so.12", !strcmp(argv[1], "ask"));
	} else if (!lt_begin("libcublasLt.so.12", &h)) {
		puts("trainstep: there is no libcublasLt.so.12 here");
	} else {
		LT_OK(cublasLtDestroy, h);
		if (argc > 1 && !strcmp(argv[1], "time"))
			timed(argument(argc, argv, 2, 100));
		else
			train(argc > 1);
	}
	finish();
	return 0;
}
