/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tests/simlibs/cublaslt/sim.h"

bool sim_complex(int type)
{
	return type == CUDA_C_32F || type == CUDA_C_64F;
}

bool sim_type(int type)
{
	switch (type) {
	case CUDA_R_32F:
	case CUDA_R_64F:
	case CUDA_R_16F:
	case CUDA_R_16BF:
	case CUDA_R_8I:
	case CUDA_R_32I:
	case CUDA_C_32F:
	case CUDA_C_64F:
	case LT_E4M3:
	case LT_E5M2:
		return true;
	default:
		return false;
	}
}

/* A small floating-point number: one sign bit, so many of exponent and of fraction. */
struct small {
	int exponent, fraction;
	bool infinite; /* it has infinities; else the largest exponent is one like the others */
	double most;
};

static const struct small half = {5, 10, true, 65504}, e4m3 = {4, 3, false, 448},
			  e5m2 = {5, 2, true, 57344};

static double from_small(const struct small *s, unsigned int bits)
{
	const unsigned int fraction = bits & ((1u << s->fraction) - 1);
	const int e = (int)(bits >> s->fraction & ((1u << s->exponent) - 1));
	const int bias = (1 << (s->exponent - 1)) - 1, top = (1 << s->exponent) - 1;
	const double sign = bits >> (s->exponent + s->fraction) & 1 ? -1 : 1;

	if (e == top && s->infinite)
		return fraction ? (double)NAN : sign * (double)INFINITY;
	if (e == top && fraction == (1u << s->fraction) - 1)
		return (double)NAN;
	if (!e)
		return sign * ldexp(fraction, 1 - bias - s->fraction);
	return sign * ldexp((1u << s->fraction) + fraction, e - bias - s->fraction);
}

/* To the nearest, of two the even one. saturate: what is larger becomes the largest. */
static unsigned int to_small(const struct small *s, double v, bool saturate)
{
	const int bias = (1 << (s->exponent - 1)) - 1, top = (1 << s->exponent) - 1;
	const unsigned int sign = signbit(v) ? 1u << (s->exponent + s->fraction) : 0;
	const unsigned int infinity = (unsigned int)top << s->fraction;
	double a = fabs(v), n;
	int e;

	if (isnan(v))
		return infinity | ((1u << s->fraction) - 1);
	if (saturate && a > s->most)
		a = s->most;
	if (isinf(a))
		return sign | infinity;
	frexp(a, &e);
	e = a != 0 && e - 1 >= 1 - bias ? e - 1 : 1 - bias;
	n = nearbyint(ldexp(a, s->fraction - e));
	/* A carry goes into the exponent by itself. */
	n += ldexp(e + bias - 1, s->fraction);
	return sign | (n >= infinity && s->infinite ? infinity : (unsigned int)n);
}

static float from_bf16(uint16_t bits)
{
	const uint32_t word = (uint32_t)bits << 16;
	float f;

	memcpy(&f, &word, sizeof(f));
	return f;
}

static uint16_t to_bf16(double v)
{
	const float f = (float)v;
	uint32_t word;

	memcpy(&word, &f, sizeof(word));
	if (isnan(v))
		return 0x7fff;
	return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

struct element sim_load(int type, const void *from, size_t i)
{
	switch (type) {
	case CUDA_R_32F:
		return (struct element){(double)((const float *)from)[i], 0};
	case CUDA_R_64F:
		return (struct element){((const double *)from)[i], 0};
	case CUDA_R_16F:
		return (struct element){from_small(&half, ((const uint16_t *)from)[i]), 0};
	case CUDA_R_16BF:
		return (struct element){(double)from_bf16(((const uint16_t *)from)[i]), 0};
	case CUDA_R_8I:
		return (struct element){((const int8_t *)from)[i], 0};
	case CUDA_R_32I:
		return (struct element){((const int32_t *)from)[i], 0};
	case CUDA_C_32F:
		return (struct element){(double)((const float *)from)[2 * i],
					(double)((const float *)from)[2 * i + 1]};
	case CUDA_C_64F:
		return (struct element){((const double *)from)[2 * i],
					((const double *)from)[2 * i + 1]};
	default:
		return (struct element){
			from_small(type == LT_E4M3 ? &e4m3 : &e5m2, ((const uint8_t *)from)[i]), 0};
	}
}

static double within(double v, double most)
{
	return v < -most - 1 ? -most - 1 : v > most ? most : nearbyint(v);
}

void sim_store(int type, void *to, size_t i, struct element e)
{
	switch (type) {
	case CUDA_R_32F:
		((float *)to)[i] = (float)e.re;
		break;
	case CUDA_R_64F:
		((double *)to)[i] = e.re;
		break;
	case CUDA_R_16F:
		((uint16_t *)to)[i] = (uint16_t)to_small(&half, e.re, false);
		break;
	case CUDA_R_16BF:
		((uint16_t *)to)[i] = to_bf16(e.re);
		break;
	case CUDA_R_8I:
		((int8_t *)to)[i] = (int8_t)within(e.re, INT8_MAX);
		break;
	case CUDA_R_32I:
		((int32_t *)to)[i] = (int32_t)within(e.re, INT32_MAX);
		break;
	case CUDA_C_32F:
		((float *)to)[2 * i] = (float)e.re;
		((float *)to)[2 * i + 1] = (float)e.im;
		break;
	case CUDA_C_64F:
		((double *)to)[2 * i] = e.re;
		((double *)to)[2 * i + 1] = e.im;
		break;
	default:
		((uint8_t *)to)[i] = (uint8_t)to_small(type == LT_E4M3 ? &e4m3 : &e5m2, e.re, true);
		break;
	}
}

size_t sim_at(const struct pvgpu_lt_layout *l, size_t r, size_t c)
{
	const size_t ld = (size_t)l->ld, tiles = c / 32 * ld;

	switch (l->order) {
	case LT_COL:
		return c * ld + r;
	case LT_ROW:
		return r * ld + c;
	case LT_COL32:
		return tiles + r * 32 + c % 32;
	case LT_COL32_2R_4R4:
		return tiles + r / 32 * 1024 + ((r % 8 / 2 * 4 + r % 32 / 8) * 2 + r % 2) * 32 +
		       c % 32;
	default: /* tiles of 8 rows: of odd rows after even ones, in pieces of 8 columns */
		return tiles + r / 8 * 256 + (r % 2 * 4 + c % 32 / 8) * 32 +
		       (c % 8 / 4 * 4 + r % 8 / 2) * 4 + c % 4;
	}
}
