/* SPDX-License-Identifier: MIT */
/* Reductions by each operator, over types of each size. */
#include "tests/offload/check.h"

enum { N = 700 };

int main(void)
{
	int v[N], sum = 0, low = 1 << 30, high = 0, all = 1, any = 0, bits = 0, common = ~0,
		  odd = 0;
	long long big = 0, product = 1;
	double d = 0;
	float f = 0;

	for (int i = 0; i < N; i++)
		v[i] = (i * 7919) % 1009 + 1;
#pragma omp target teams distribute parallel for num_teams(4) map(to : v) map(tofrom : sum, low, high)         \
	reduction(+ : sum) reduction(min : low) reduction(max : high)
	for (int i = 0; i < N; i++) {
		sum += v[i];
		low = v[i] < low ? v[i] : low;
		high = v[i] > high ? v[i] : high;
	}
	for (int i = 0; i < N; i++) {
		sum -= v[i];
		CHECK(v[i] >= low && v[i] <= high, "%d not in %d to %d", v[i], low, high);
	}
	SAME("sum", sum, 0);
#pragma omp target teams distribute parallel for num_teams(4) map(to : v) map(tofrom : all, any, bits, common, odd) \
	reduction(&& : all) reduction(|| : any) reduction(| : bits) reduction(& : common)          \
	reduction(^ : odd)
	for (int i = 0; i < N; i++) {
		all = all && v[i] > 0;
		any = any || v[i] == 1;
		bits |= v[i];
		common &= v[i] | 0x1000;
		odd ^= v[i];
	}
	for (int i = 0; i < N; i++)
		odd ^= v[i];
	SAME("all", all, 1);
	SAME("any", any, 1);
	SAME("bits", bits, 1023);
	SAME("common", common, 0x1000);
	SAME("odd", odd, 0);
#pragma omp target teams distribute parallel for num_teams(4) map(to : v) map(tofrom : big, d, f)              \
	reduction(+ : big, d, f)
	for (int i = 0; i < N; i++) {
		big += 1000000007LL * i;
		d += 0.5 * i;
		f += 1;
	}
	SAME("big", big, 1000000007LL * (N * (N - 1) / 2));
	CHECK(d == 0.25 * N * (N - 1) && f == N, "d %g, f %g", d, (double)f);
#pragma omp target parallel for map(tofrom : product) reduction(* : product)
	for (int i = 1; i <= 20; i++)
		product *= i;
	SAME("product", product, 2432902008176640000LL);
	return 0;
}
