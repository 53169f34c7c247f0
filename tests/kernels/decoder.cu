/* SPDX-License-Identifier: MIT */
/* A small transformer decoder, one token at a time. Every operation is rounded once and sums are
 * added up in a given order, so a CPU gets the same bits (tests/programs/decoder.c). */
#include "device.h"

enum { LANES = 32, CONTEXT = 64 };

/* In lane 0: the sum over all lanes. */
INLINE float add_up(float v)
{
	for (u32 by = LANES / 2; by; by /= 2)
		v += shuffle_down(v, by);
	return v;
}

/* e to the power of x, for x up to 0. */
INLINE float power(float x)
{
	float y = x * 1.44269504f;
	int n = (int)y - 1;
	float f = y - (float)n, p;
	union {
		u32 bits;
		float value;
	} scale;

	if (n < -125)
		return 0;
	p = ((0.0554906f * f + 0.2402265f) * f + 0.6931472f) * f + 1.0f;
	scale.bits = (u32)(n + 127) << 23;
	return p * scale.value;
}

/* out = x, scaled to a mean square of 1, times w. One block. */
KERNEL normalise(const float *x, const float *w, float *out, u32 n)
{
	__shared__ float scale;
	float sum = 0;

	for (u32 i = threadIdx.x; i < n; i += LANES)
		sum += x[i] * x[i];
	sum = add_up(sum);
	if (threadIdx.x == 0)
		scale = 1.0f / __nvvm_sqrt_rn_f(sum / (float)n + 0.00001f);
	barrier();
	for (u32 i = threadIdx.x; i < n; i += LANES)
		out[i] = x[i] * scale * w[i];
}

/* What becomes of a row's product. */
enum { STORE, ADD, RECTIFY };

/* A block for each row of w. */
KERNEL multiply(const float *w, const float *x, float *out, u32 columns, u32 how)
{
	const float *row = w + blockIdx.x * columns;
	float sum = 0;

	for (u32 i = threadIdx.x; i < columns; i += LANES)
		sum += row[i] * x[i];
	sum = add_up(sum);
	if (threadIdx.x)
		return;
	if (how == ADD)
		sum += out[blockIdx.x];
	out[blockIdx.x] = how == RECTIFY && sum < 0 ? 0 : sum;
}

/* A block for each head, with `size` numbers of q, of each key and of each value; n: positions. */
KERNEL attend(const float *q, const float *keys, const float *values, float *out, u32 n, u32 size)
{
	__shared__ float weight[CONTEXT], most, total;
	u32 width = gridDim.x * size, from = blockIdx.x * size;
	float scale = 1.0f / __nvvm_sqrt_rn_f((float)size);

	for (u32 t = threadIdx.x; t < n; t += LANES) {
		float sum = 0;

		for (u32 i = 0; i < size; i++)
			sum += q[from + i] * keys[t * width + from + i];
		weight[t] = sum * scale;
	}
	barrier();
	if (threadIdx.x == 0) {
		most = weight[0];
		for (u32 t = 1; t < n; t++)
			most = weight[t] > most ? weight[t] : most;
	}
	barrier();
	for (u32 t = threadIdx.x; t < n; t += LANES)
		weight[t] = power(weight[t] - most);
	barrier();
	if (threadIdx.x == 0) {
		total = 0;
		for (u32 t = 0; t < n; t++)
			total += weight[t];
	}
	barrier();
	for (u32 i = threadIdx.x; i < size; i += LANES) {
		float sum = 0;

		for (u32 t = 0; t < n; t++)
			sum += weight[t] * values[t * width + from + i];
		out[from + i] = sum / total;
	}
}
