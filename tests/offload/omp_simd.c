/* SPDX-License-Identifier: MIT */
/* Loops over the lanes of a warp: last values, reductions, safe lengths, privates. */
#include "tests/offload/check.h"

enum { N = 517 };

static int a[N], b[N];

int main(void)
{
	int sum = 0, last = 0, bad = 0;
	long total = 0;

	for (int i = 0; i < N; i++)
		a[i] = i ^ 21;
#pragma omp target simd map(to : a) map(from : b)
	for (int i = 0; i < N; i++)
		b[i] = a[i] * 3;
	for (int i = 0; i < N; i++)
		bad += b[i] != 3 * (i ^ 21);
	SAME("wrong", bad, 0);
#pragma omp target simd map(to : a) map(tofrom : sum) reduction(+ : sum)
	for (int i = 0; i < N; i++)
		sum += a[i];
	for (int i = 0; i < N; i++)
		sum -= i ^ 21;
	SAME("sum", sum, 0);
#pragma omp target simd map(tofrom : last) lastprivate(last)
	for (int i = 0; i < N; i++)
		last = i * 2;
	SAME("last", last, 2 * (N - 1));
#pragma omp target teams distribute parallel for simd map(to : a) map(tofrom : total)             \
	reduction(+ : total)
	for (int i = 0; i < N; i++)
		total += (long)a[i] << 20;
	for (int i = 0; i < N; i++)
		total -= (long)(i ^ 21) << 20;
	SAME("total", total, 0);
#pragma omp target simd safelen(8) map(tofrom : b)
	for (int i = 8; i < N; i++)
		b[i] = b[i - 8] + 1;
	for (int i = 8; i < N; i++)
		bad += b[i] != b[i - 8] + 1;
	SAME("eight behind", bad, 0);
	return 0;
}
