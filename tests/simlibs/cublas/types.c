/* SPDX-License-Identifier: MIT */
/* Elements of all types, and products of them. */
#include "tests/simlibs/cublas/sim.h"

static float bits_float(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static uint32_t float_bits(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static float of_half(uint16_t h)
{
	const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, f = h & 0x3ff;
	const float small = (float)f / 16777216.0f; /* in 2^-24 */

	if (!exponent)
		return sign ? -small : small;
	return bits_float(sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | f << 13);
}

/* To the nearest, ties to even: that is what adding to a number with the wanted last place does. */
static uint16_t to_half(float v)
{
	const uint32_t bits = float_bits(v), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;

	if (size > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (size >= 0x477ff000)
		return (uint16_t)(sign | 0x7c00);
	if (size < 0x38800000)
		return (uint16_t)(sign | (float_bits(bits_float(size) + 0.5f) - 0x3f000000));
	return (uint16_t)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}

static uint16_t to_bf16(float v)
{
	const uint32_t bits = float_bits(v);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

bool sim_complex(int type)
{
	return type == CUDA_C_16F || type == CUDA_C_32F || type == CUDA_C_64F ||
	       type == CUDA_C_16BF || type == CUDA_C_8I || type == CUDA_C_8U || type == CUDA_C_32I;
}

/* Of a complex type: that of its parts. */
static int part(int type)
{
	switch (type) {
	case CUDA_C_16F:
		return CUDA_R_16F;
	case CUDA_C_32F:
		return CUDA_R_32F;
	case CUDA_C_64F:
		return CUDA_R_64F;
	case CUDA_C_16BF:
		return CUDA_R_16BF;
	case CUDA_C_8I:
		return CUDA_R_8I;
	case CUDA_C_8U:
		return CUDA_R_8U;
	default:
		return CUDA_R_32I;
	}
}

static double load(int type, const void *at, int64_t i)
{
	switch (type) {
	case CUDA_R_64F:
		return ((const double *)at)[i];
	case CUDA_R_16F:
		return of_half(((const uint16_t *)at)[i]);
	case CUDA_R_16BF:
		return bits_float((uint32_t)((const uint16_t *)at)[i] << 16);
	case CUDA_R_8I:
		return ((const int8_t *)at)[i];
	case CUDA_R_8U:
		return ((const uint8_t *)at)[i];
	case CUDA_R_32I:
		return ((const int32_t *)at)[i];
	default:
		return ((const float *)at)[i];
	}
}

static double within(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

static void store(int type, void *at, int64_t i, double v)
{
	switch (type) {
	case CUDA_R_64F:
		((double *)at)[i] = v;
		break;
	case CUDA_R_16F:
		((uint16_t *)at)[i] = to_half((float)v);
		break;
	case CUDA_R_16BF:
		((uint16_t *)at)[i] = to_bf16((float)v);
		break;
	case CUDA_R_8I:
		((int8_t *)at)[i] = (int8_t)within(v, INT8_MIN, INT8_MAX);
		break;
	case CUDA_R_8U:
		((uint8_t *)at)[i] = (uint8_t)within(v, 0, UINT8_MAX);
		break;
	case CUDA_R_32I:
		((int32_t *)at)[i] = (int32_t)within(v, INT32_MIN, INT32_MAX);
		break;
	default:
		((float *)at)[i] = (float)v;
	}
}

double complex sim_load(int type, const void *at, int64_t i)
{
	if (!sim_complex(type))
		return load(type, at, i);
	return CMPLX(load(part(type), at, 2 * i), load(part(type), at, 2 * i + 1));
}

void sim_store(int type, void *at, int64_t i, double complex v)
{
	if (!sim_complex(type)) {
		store(type, at, i, creal(v));
		return;
	}
	store(part(type), at, 2 * i, creal(v));
	store(part(type), at, 2 * i + 1, cimag(v));
}

int sim_scale_type(int compute, int type)
{
	const bool pair = type == CUDA_C_32F || type == CUDA_C_64F;

	switch (compute) {
	case CUBLAS_COMPUTE_16F:
	case CUBLAS_COMPUTE_16F_PEDANTIC:
		return CUDA_R_16F;
	case CUBLAS_COMPUTE_64F:
	case CUBLAS_COMPUTE_64F_PEDANTIC:
	case CUBLAS_COMPUTE_64F_EMULATED_FIXEDPOINT:
		return pair ? CUDA_C_64F : CUDA_R_64F;
	case CUBLAS_COMPUTE_32I:
	case CUBLAS_COMPUTE_32I_PEDANTIC:
		return CUDA_R_32I;
	default:
		return pair ? CUDA_C_32F : CUDA_R_32F;
	}
}

/* The same matrix in another type, without gaps; NULL: no memory. */
static void *converted(int from, const void *at, int64_t rows, int64_t columns, int64_t ld, int to)
{
	char *out = calloc((size_t)(rows * columns + 1), (size_t)cublas_type_bytes(to));

	for (int64_t j = 0; out && j < columns; j++)
		for (int64_t i = 0; i < rows; i++)
			sim_store(to, out, j * rows + i, sim_load(from, at, j * ld + i));
	return out;
}

static const char *routine(int type)
{
	return type == CUDA_R_32F   ? "sgemm_"
	       : type == CUDA_R_64F ? "dgemm_"
	       : type == CUDA_C_32F ? "cgemm_"
				    : "zgemm_";
}

/* In which type BLAS does it. */
static int computed(const struct product *p)
{
	const bool pair = sim_complex(p->at) || sim_complex(p->bt) || sim_complex(p->ct);
	const bool wide =
		p->scale == CUDA_R_64F || p->scale == CUDA_C_64F || p->scale == CUDA_R_32I;

	return pair ? wide ? CUDA_C_64F : CUDA_C_32F : wide ? CUDA_R_64F : CUDA_R_32F;
}

void sim_product(const struct product *p)
{
	const int type = computed(p);
	const int64_t ar = p->ta ? p->k : p->m, ac = p->ta ? p->m : p->k;
	const int64_t br = p->tb ? p->n : p->k, bc = p->tb ? p->k : p->n;
	double complex alpha, beta;
	void *a, *b, *c;

	if (p->m <= 0 || p->n <= 0)
		return;
	sim_store(type, &alpha, 0, sim_load(p->scale, p->alpha, 0));
	sim_store(type, &beta, 0, sim_load(p->scale, p->beta, 0));
	if (p->at == type && p->bt == type && p->ct == type) {
		BLAS(routine(type), TRANS(p->ta), TRANS(p->tb), INT(p->m), INT(p->n), INT(p->k),
		     &alpha, p->a, INT(p->lda), p->b, INT(p->ldb), &beta, p->c, INT(p->ldc));
		return;
	}
	a = converted(p->at, p->a, ar, ac, p->lda, type);
	b = converted(p->bt, p->b, br, bc, p->ldb, type);
	c = converted(p->ct, p->c, p->m, p->n, p->ldc, type);
	if (a && b && c) {
		BLAS(routine(type), TRANS(p->ta), TRANS(p->tb), INT(p->m), INT(p->n), INT(p->k),
		     &alpha, a, INT(ar ? ar : 1), b, INT(br ? br : 1), &beta, c, INT(p->m));
		for (int64_t j = 0; j < p->n; j++)
			for (int64_t i = 0; i < p->m; i++)
				sim_store(p->ct, p->c, j * p->ldc + i,
					  sim_load(type, c, j * p->m + i));
	}
	free(a);
	free(b);
	free(c);
}

static uint64_t bytes(int type, int64_t rows, int64_t columns, int64_t ld)
{
	return (uint64_t)cublas_type_bytes(type) *
	       (uint64_t)(rows > 0 && columns > 0 ? (columns - 1) * ld + rows : 0);
}

bool sim_products(const struct product *p, const uint64_t *a, const uint64_t *b, const uint64_t *c,
		  int64_t count, uint64_t *bad)
{
	for (int64_t i = 0; i < count; i++) {
		struct product one = *p;

		one.a = (const void *)(uintptr_t)a[i];
		one.b = (const void *)(uintptr_t)b[i];
		one.c = (void *)(uintptr_t)c[i];
		if (!sim_reach(one.a,
			       bytes(p->at, p->ta ? p->k : p->m, p->ta ? p->m : p->k, p->lda),
			       false, bad) ||
		    !sim_reach(one.b,
			       bytes(p->bt, p->tb ? p->n : p->k, p->tb ? p->k : p->n, p->ldb),
			       false, bad) ||
		    !sim_reach(one.c, bytes(p->ct, p->m, p->n, p->ldc), true, bad))
			return false;
		sim_product(&one);
	}
	return true;
}

void sim_products_strided(const struct product *p, int64_t a, int64_t b, int64_t c, int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		struct product one = *p;

		one.a = (const char *)p->a + i * a * cublas_type_bytes(p->at);
		one.b = (const char *)p->b + i * b * cublas_type_bytes(p->bt);
		one.c = (char *)p->c + i * c * cublas_type_bytes(p->ct);
		sim_product(&one);
	}
}
