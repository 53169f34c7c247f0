// SPDX-License-Identifier: MIT
/* A fast Fourier transform: bits reversed, then a launch for each length; there and back. */
#include "test.h"

#include <math.h>

enum { LOG = 10, N = 1 << LOG };

struct complex {
	double re, im;
};

__global__ void reverse(const complex *in, complex *out)
{
	const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	out[__builtin_bitreverse32(i) >> (32 - LOG)] = in[i];
}

__host__ __device__ inline void butterfly(complex *v, const complex *w, int half, int t, double sign)
{
	const int at = t / half * 2 * half + t % half;
	const complex f = w[t % half * (N / 2 / half)], b = v[at + half], a = v[at];
	const complex p = {f.re * b.re - sign * f.im * b.im, f.re * b.im + sign * f.im * b.re};

	v[at] = {a.re + p.re, a.im + p.im};
	v[at + half] = {a.re - p.re, a.im - p.im};
}

__global__ void stage(complex *v, const complex *w, int half, double sign)
{
	butterfly(v, w, half, blockIdx.x * blockDim.x + threadIdx.x, sign);
}

static void transform(const complex *in, complex *out, const complex *w, double sign)
{
	reverse<<<N / 128, 128>>>(in, out);
	for (int half = 1; half < N; half *= 2)
		stage<<<N / 2 / 128, 128>>>(out, w, half, sign);
	DONE();
}

int main()
{
	both<complex> v(N), f(N), w(N / 2);
	static complex want[N], first[N];
	const double pi = 3.14159265358979323846;
	double worst = 0;
	uint64_t seed = 47;

	for (int i = 0; i < N; i++)
		first[i] = v.host[i] = {next_float(&seed), next_float(&seed)};
	for (int i = 0; i < N / 2; i++)
		w.host[i] = {cos(2 * pi * i / N), -sin(2 * pi * i / N)};
	v.up();
	w.up();
	transform(v.dev, f.dev, w.dev, 1);
	for (int i = 0; i < N; i++) {
		unsigned int r = 0;

		for (int b = 0; b < LOG; b++)
			r |= (i >> b & 1) << (LOG - 1 - b);
		want[r] = v.host[i];
	}
	for (int half = 1; half < N; half *= 2)
		for (int t = 0; t < N / 2; t++)
			butterfly(want, w.host, half, t, 1);
	f.same(want, "spectrum");
	transform(f.dev, v.dev, w.dev, -1);
	v.down();
	for (int i = 0; i < N; i++)
		worst = fmax(worst, fabs(v.host[i].re / N - first[i].re));
	CHECK(worst < 1e-12, "off by %g after there and back", worst);
	printf("%d points there and back\n", N);
	return 0;
}
