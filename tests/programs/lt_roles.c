/* SPDX-License-Identifier: MIT */
/* Products of cuBLASLt with operands that few have: factors of eight-bit numbers, the largest
 * result, vectors of alpha, matrices by address, complex numbers. */
#include "tests/programs/lt.h"

enum { N = 16, COUNT = N * N };

/* Square matrices of whole numbers, which are exact in all types. */
struct square {
	int type[3]; /* of A and B, of C and D, of numbers */
	CUdeviceptr at[3], extra;
	cublasLtMatrixLayout_t ab, cd;
	cublasLtMatmulDesc_t op;
	double v[3][2 * COUNT];
};

static void begin(struct square *s, int ab, int cd, int scale, int parts)
{
	static unsigned char bytes[16 * COUNT];
	struct random r = {5};

	*s = (struct square){.type = {ab, cd, scale}, .extra = device_alloc(4096)};
	for (int i = 0; i < 3; i++) {
		s->at[i] = device_alloc(sizeof(bytes));
		for (int j = 0; j < parts * COUNT; j++) {
			s->v[i][j] = (double)(random_next(&r) % 5) - 2;
			/* A complex number is two real ones. */
			lt_store(i == 2      ? (cd == CUDA_C_32F ? CUDA_R_32F : cd)
				 : parts > 1 ? CUDA_R_32F
					     : ab,
				 bytes, j, s->v[i][j]);
		}
		CU(cuMemcpyHtoD(s->at[i], bytes, sizeof(bytes)));
	}
	LT_OK(cublasLtMatmulDescCreate, &s->op, CUBLAS_COMPUTE_32F, (cudaDataType_t)scale);
	LT_OK(cublasLtMatrixLayoutCreate, &s->ab, (cudaDataType_t)ab, N, N, N);
	LT_OK(cublasLtMatrixLayoutCreate, &s->cd, (cudaDataType_t)cd, N, N, N);
	LT_SET(MatmulDesc, s->op, 3, int, parts > 1 ? CUBLAS_OP_C : CUBLAS_OP_T);
}

static void end(struct square *s)
{
	for (int i = 0; i < 3; i++)
		CU(cuMemFree(s->at[i]));
	CU(cuMemFree(s->extra));
	LT_OK(cublasLtMatmulDescDestroy, s->op);
	LT_OK(cublasLtMatrixLayoutDestroy, s->ab);
	LT_OK(cublasLtMatrixLayoutDestroy, s->cd);
}

static void multiply(cublasLtHandle_t h, struct square *s, const void *alpha, const void *beta,
		     CUdeviceptr a, CUdeviceptr b, CUdeviceptr d)
{
	LT_OK(cublasLtMatmul, h, s->op, alpha, lt_pointer(a), s->ab, lt_pointer(b), s->ab, beta,
	      lt_pointer(d), s->cd, lt_pointer(d), s->cd, NULL, NULL, 0, NULL);
}

/* Element i, j of the transposed A times B. */
static double sum(const struct square *s, int i, int j)
{
	double v = 0;

	for (int k = 0; k < N; k++)
		v += s->v[0][i * N + k] * s->v[1][j * N + k];
	return v;
}

static void factors(cublasLtHandle_t h)
{
	const float f[] = {0.5f, 4, 0.25f, 0}, one = 1, zero = 0;
	float got[COUNT], amax, most = 0;
	struct square s;

	begin(&s, LT_E4M3, CUDA_R_32F, CUDA_R_32F, 1);
	CU(cuMemcpyHtoD(s.extra, f, sizeof(f)));
	LT_SET(MatmulDesc, s.op, 17, CUdeviceptr, s.extra);
	LT_SET(MatmulDesc, s.op, 18, CUdeviceptr, s.extra + 4);
	LT_SET(MatmulDesc, s.op, 20, CUdeviceptr, s.extra + 8);
	LT_SET(MatmulDesc, s.op, 21, CUdeviceptr, s.extra + 12);
	LT_SET(MatmulDesc, s.op, 25, char, 1);
	multiply(h, &s, &one, &zero, s.at[0], s.at[1], s.at[2]);
	download(got, s.at[2], sizeof(got));
	download(&amax, s.extra + 12, sizeof(amax));
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++) {
			const float want = (float)sum(&s, i, j) * 2;

			most = want > most ? want : -want > most ? -want : most;
			CHECK(got[j * N + i] == want / 4, "with factors: %g, not %g",
			      (double)got[j * N + i], (double)want / 4);
		}
	CHECK(amax == most, "the largest is %g, not %g", (double)amax, (double)most);
	end(&s);
}

static void vectors(cublasLtHandle_t h)
{
	float alpha[N], got[COUNT], beta = 3;
	struct square s;

	begin(&s, CUDA_R_16F, CUDA_R_32F, CUDA_R_32F, 1);
	for (int i = 0; i < N; i++)
		alpha[i] = (float)(i - 5);
	CU(cuMemcpyHtoD(s.extra, alpha, sizeof(alpha)));
	LT_SET(MatmulDesc, s.op, 2, int, LT_VECTOR_HOST);
	multiply(h, &s, lt_pointer(s.extra), &beta, s.at[0], s.at[1], s.at[2]);
	download(got, s.at[2], sizeof(got));
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++) {
			const double want =
				(double)alpha[i] * sum(&s, i, j) + 3 * s.v[2][j * N + i];

			CHECK((double)got[j * N + i] == want, "a vector of alpha: %g, not %g",
			      (double)got[j * N + i], want);
		}
	end(&s);
}

/* Two products, one of A and B, and one of B and A. */
static void addresses(cublasLtHandle_t h)
{
	const float one = 1, zero = 0;
	float got[2][COUNT];
	struct square s;
	uint64_t at[6];

	begin(&s, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, 1);
	at[0] = at[3] = s.at[0];
	at[1] = at[2] = s.at[1];
	at[4] = s.at[2];
	at[5] = s.at[2] + sizeof(got[0]);
	CU(cuMemcpyHtoD(s.extra, at, sizeof(at)));
	for (int i = 0; i < 2; i++) {
		LT_SET(MatrixLayout, i ? s.cd : s.ab, 5, int, 2);
		LT_SET(MatrixLayout, i ? s.cd : s.ab, 8, unsigned int, LT_POINTERS);
	}
	multiply(h, &s, &one, &zero, s.extra, s.extra + 16, s.extra + 32);
	download(got, s.at[2], sizeof(got));
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++)
			CHECK((double)got[0][j * N + i] == sum(&s, i, j) &&
				      got[1][i * N + j] == got[0][j * N + i],
			      "by address: element %d %d", i, j);
	end(&s);
}

static void complex_numbers(cublasLtHandle_t h)
{
	const float alpha[] = {0, 1}, beta[] = {0, 0};
	float got[2 * COUNT];
	struct square s;

	begin(&s, CUDA_C_32F, CUDA_C_32F, CUDA_C_32F, 2);
	multiply(h, &s, alpha, beta, s.at[0], s.at[1], s.at[2]);
	download(got, s.at[2], sizeof(got));
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++) {
			double re = 0, im = 0;

			for (int k = 0; k < N; k++) {
				const double *a = &s.v[0][2 * (i * N + k)];
				const double *b = &s.v[1][2 * (j * N + k)];

				re += a[0] * b[0] + a[1] * b[1];
				im += a[0] * b[1] - a[1] * b[0];
			}
			/* Times the imaginary unit. */
			CHECK((double)got[2 * (j * N + i)] == -im &&
				      (double)got[2 * (j * N + i) + 1] == re,
			      "complex: element %d %d", i, j);
		}
	end(&s);
}

void lt_roles(cublasLtHandle_t h)
{
	factors(h);
	vectors(h);
	addresses(h);
	complex_numbers(h);
}
