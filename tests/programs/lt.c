/* SPDX-License-Identifier: MIT */
#include "tests/programs/lt.h"

#include <math.h>

static void *library;

void *lt_symbol(const char *name)
{
	void *p = dlsym(library, name);

	CHECK(p, "no %s", name);
	return p;
}

cublasStatus_t lt_create(const char *name, cublasLtHandle_t *h)
{
	library = dlopen(name, RTLD_NOW);
	return library ? LT_CALL(cublasLtCreate)(h) : CUBLAS_STATUS_NOT_SUPPORTED;
}

bool lt_begin(const char *name, cublasLtHandle_t *h)
{
	const cublasStatus_t s = lt_create(name, h);

	/* A guest's library is there also where its host has none. */
	if (s == CUBLAS_STATUS_NOT_SUPPORTED)
		return false;
	CHECK(!s, "cublasLtCreate: status %d", (int)s);
	return true;
}

cublasLtMatmulPreference_t lt_preference(size_t workspace)
{
	static cublasLtMatmulPreference_t p;

	if (!p)
		LT_OK(cublasLtMatmulPreferenceCreate, &p);
	LT_SET(MatmulPreference, p, 1, uint64_t, workspace);
	return p;
}

uint64_t lt_awaited(void)
{
	void *dl = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *symbol = dl ? dlsym(dl, "pvgpuAwaited") : NULL;
	uint64_t (*count)(void) = NULL;

	memcpy(&count, &symbol, sizeof(count));
	if (dl)
		dlclose(dl);
	return count ? count() : 0;
}

/* Bits of a small floating-point number of small size, which it holds exactly. */
static unsigned int small(double v, int exponent, int fraction)
{
	const int bias = (1 << (exponent - 1)) - 1;
	int e;
	double f;

	if (v == 0)
		return 0;
	f = frexp(fabs(v), &e);
	return (v < 0 ? 1u << (exponent + fraction) : 0) |
	       (unsigned int)(e - 1 + bias) << fraction |
	       (unsigned int)((f * 2 - 1) * (1 << fraction));
}

static double from_half(unsigned int bits)
{
	const int e = (int)(bits >> 10 & 31);
	const double f = bits & 1023, sign = bits & 0x8000 ? -1 : 1;

	return sign * (e ? ldexp(1024 + f, e - 25) : ldexp(f, -24));
}

void lt_store(int type, void *to, int i, double v)
{
	switch (type) {
	case CUDA_R_32F:
		((float *)to)[i] = (float)v;
		break;
	case CUDA_R_64F:
		((double *)to)[i] = v;
		break;
	case CUDA_R_16F:
		((uint16_t *)to)[i] = (uint16_t)small(v, 5, 10);
		break;
	case CUDA_R_16BF:
		((uint16_t *)to)[i] = (uint16_t)small(v, 8, 7);
		break;
	case CUDA_R_8I:
		((int8_t *)to)[i] = (int8_t)v;
		break;
	case CUDA_R_32I:
		((int32_t *)to)[i] = (int32_t)v;
		break;
	case LT_E4M3:
		((uint8_t *)to)[i] = (uint8_t)small(v, 4, 3);
		break;
	default:
		((uint8_t *)to)[i] = (uint8_t)small(v, 5, 2);
		break;
	}
}

double lt_load(int type, const void *from, int i)
{
	uint32_t word;
	float f;

	switch (type) {
	case CUDA_R_32F:
		return (double)((const float *)from)[i];
	case CUDA_R_64F:
		return ((const double *)from)[i];
	case CUDA_R_16F:
		return from_half(((const uint16_t *)from)[i]);
	case CUDA_R_16BF:
		word = (uint32_t)((const uint16_t *)from)[i] << 16;
		memcpy(&f, &word, sizeof(f));
		return (double)f;
	case CUDA_R_8I:
		return ((const int8_t *)from)[i];
	default:
		return ((const int32_t *)from)[i];
	}
}

double lt_close(int type)
{
	return type == CUDA_R_16BF ? 1.0 / 128 : type == CUDA_R_16F ? 1.0 / 1024 : 1e-5;
}
