/* SPDX-License-Identifier: MIT */
/* Queues: work in order in each, waits between them. */
#include <openacc.h>

#include "tests/offload/check.h"

enum { N = 500, QUEUES = 3 };

static int v[QUEUES][N];

int main(void)
{
	int bad = 0;

#pragma acc enter data create(v)
	for (int q = 0; q < QUEUES; q++) {
#pragma acc parallel loop present(v) async(q)
		for (int i = 0; i < N; i++)
			v[q][i] = i;
#pragma acc parallel loop present(v) async(q)
		for (int i = 0; i < N; i++)
			v[q][i] = v[q][i] * 2 + q;
	}
#pragma acc parallel loop present(v) async(5) wait(0, 1, 2)
	for (int i = 0; i < N; i++)
		v[0][i] += v[1][i] + v[2][i];
#pragma acc update self(v) async(5)
#pragma acc wait(5)
	SAME("ended", acc_async_test(5) != 0, 1);
	for (int i = 0; i < N; i++)
		bad += v[0][i] != 6 * i + 3;
	SAME("wrong", bad, 0);
#pragma acc parallel loop present(v) async
	for (int i = 0; i < N; i++)
		v[1][i] = 1;
#pragma acc wait
	SAME("all ended", acc_async_test_all() != 0, 1);
#pragma acc exit data copyout(v)
	for (int i = 0; i < N; i++)
		bad += v[1][i] != 1;
	SAME("after all", bad, 0);
	return 0;
}
