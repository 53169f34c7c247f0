/* SPDX-License-Identifier: MIT */
/* Target tasks that run beside the host, with dependences between them. */
#include "tests/offload/check.h"

enum { N = 1000, CHAINS = 4 };

static int v[CHAINS][N];

int main(void)
{
	int order = 0, bad = 0, done[CHAINS] = {0};

#pragma omp target enter data map(to : v)
#pragma omp parallel
#pragma omp single
	{
		for (int c = 0; c < CHAINS; c++) {
#pragma omp target nowait depend(out : v[c]) firstprivate(c)
			for (int i = 0; i < N; i++)
				v[c][i] = i;
#pragma omp target teams distribute parallel for nowait depend(inout : v[c]) firstprivate(c)
			for (int i = 0; i < N; i++)
				v[c][i] = 2 * v[c][i] + c;
#pragma omp target update from(v[c]) nowait depend(inout : v[c])
#pragma omp task depend(in : v[c]) firstprivate(c) shared(done)
			done[c] = v[c][N - 1];
		}
#pragma omp taskwait
	}
	for (int c = 0; c < CHAINS; c++) {
		SAME("the last of a chain", done[c], 2 * (N - 1) + c);
		for (int i = 0; i < N; i++)
			bad += v[c][i] != 2 * i + c;
	}
	SAME("wrong", bad, 0);
#pragma omp target nowait depend(out : order) map(tofrom : order)
	order = order * 10 + 1;
#pragma omp target nowait depend(inout : order) map(tofrom : order)
	order = order * 10 + 2;
#pragma omp target depend(inout : order) map(tofrom : order)
	order = order * 10 + 3;
#pragma omp taskwait
	SAME("order", order, 123);
#pragma omp target exit data map(release : v)
	return 0;
}
