/* SPDX-License-Identifier: MIT */
/* Tasks that threads of the device make for each other, ordered loops, task loops. */
#include "tests/offload/check.h"

#pragma omp declare target
static int fibonacci(int n)
{
	int a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a) firstprivate(n)
	a = fibonacci(n - 1);
#pragma omp task shared(b) firstprivate(n)
	b = fibonacci(n - 2);
#pragma omp taskwait
	return a + b;
}
#pragma omp end declare target

int main(void)
{
	int result = 0, order[20], next = 0, bad = 0, v[64] = {0};

#pragma omp target map(from : result)
#pragma omp parallel num_threads(4)
#pragma omp single
	result = fibonacci(9);
	SAME("fibonacci(9)", result, 34);
#pragma omp target parallel for ordered map(from : order) map(tofrom : next)
	for (int i = 0; i < 20; i++) {
#pragma omp ordered
		order[next++] = i;
	}
	for (int i = 0; i < 20; i++)
		bad += order[i] != i;
	SAME("out of order", bad, 0);
#pragma omp target map(tofrom : v)
#pragma omp parallel num_threads(4)
#pragma omp single
#pragma omp taskloop grainsize(8)
	for (int i = 0; i < 64; i++)
		v[i] = i + 1;
	for (int i = 0; i < 64; i++)
		bad += v[i] != i + 1;
	SAME("task loop", bad, 0);
	return 0;
}
