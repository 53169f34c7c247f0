/* SPDX-License-Identifier: MIT */
/* The device's C library: mathematics against the CPU's, conversions, integer division, bits. */
#include <math.h>

#include "tests/offload/check.h"

enum { N = 60, FUNCTIONS = 14 };

#pragma omp declare target
static double apply(int which, double x)
{
	switch (which) {
	case 0:
		return sqrt(x);
	case 1:
		return sin(x);
	case 2:
		return cos(x);
	case 3:
		return exp(-x);
	case 4:
		return log(x);
	case 5:
		return pow(x, 1.7);
	case 6:
		return atan2(x, 3);
	case 7:
		return floor(x * 3);
	case 8:
		return fmod(x, 0.7);
	case 9:
		return tanh(x / 10);
	case 10:
		return cbrt(x);
	case 11:
		return hypot(x, 4);
	case 12:
		return fma(x, x, 1);
	default:
		return (double)logf((float)x);
	}
}
#pragma omp end declare target

int main(void)
{
	static double got[FUNCTIONS][N];
	int worst = 0, bad = 0, bits[N];
	long long quotients[N];

#pragma omp target teams distribute parallel for collapse(2) map(from : got)
	for (int f = 0; f < FUNCTIONS; f++)
		for (int i = 0; i < N; i++)
			got[f][i] = apply(f, 0.125 + i * 0.37);
	for (int f = 0; f < FUNCTIONS; f++) {
		for (int i = 0; i < N; i++) {
			double want = apply(f, 0.125 + i * 0.37);
			double limit = f == FUNCTIONS - 1 ? 1e-6 : 1e-14;

			if (fabs(got[f][i] - want) > limit * (fabs(want) + 1))
				worst = f + 1;
		}
	}
	SAME("function that is off, plus one", worst, 0);
#pragma omp target teams distribute parallel for map(from : quotients, bits)
	for (int i = 0; i < N; i++) {
		long long n = 123456789012345LL * (i % 2 ? -1 : 1), d = i - 30;

		quotients[i] = d ? n / d * 1000 + n % d : 0;
		bits[i] = __builtin_popcountll((unsigned long long)n * i) * 100 +
			  __builtin_clzll(i + 1) + (int)((unsigned long long)n >> i) % 7;
	}
	for (int i = 0; i < N; i++) {
		long long n = 123456789012345LL * (i % 2 ? -1 : 1), d = i - 30;

		bad += quotients[i] != (d ? n / d * 1000 + n % d : 0);
		bad += bits[i] != __builtin_popcountll((unsigned long long)n * i) * 100 +
					  __builtin_clzll(i + 1) +
					  (int)((unsigned long long)n >> i) % 7;
	}
	SAME("wrong integers", bad, 0);
	return 0;
}
