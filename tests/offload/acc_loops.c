/* SPDX-License-Identifier: MIT */
/* Loops over gangs, workers and vector lanes, alone and nested. */
#include <openacc.h>

#include "tests/offload/check.h"

enum { N = 2000, ROWS = 23, COLUMNS = 67 };

static int a[N], b[N], grid[ROWS][COLUMNS];

int main(void)
{
	int bad = 0, device = 0;

#pragma acc parallel copyout(device)
	device = acc_on_device(acc_device_not_host);
	SAME("on the device", device != 0, 1);
	for (int i = 0; i < N; i++)
		a[i] = i;
#pragma acc parallel loop copyin(a) copyout(b)
	for (int i = 0; i < N; i++)
		b[i] = a[i] * 2;
	for (int i = 0; i < N; i++)
		bad += b[i] != 2 * i;
	SAME("wrong", bad, 0);
#pragma acc parallel num_gangs(4) num_workers(4) vector_length(32) copyout(grid)
#pragma acc loop gang
	for (int y = 0; y < ROWS; y++) {
#pragma acc loop worker vector
		for (int x = 0; x < COLUMNS; x++)
			grid[y][x] = y * 1000 + x;
	}
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLUMNS; x++)
			bad += grid[y][x] != y * 1000 + x;
	SAME("wrong in the grid", bad, 0);
#pragma acc parallel loop gang worker vector collapse(2) copy(grid)
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLUMNS; x++)
			grid[y][x] += 7;
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLUMNS; x++)
			bad += grid[y][x] != y * 1000 + x + 7;
	SAME("collapsed", bad, 0);
#pragma acc serial copy(b)
	for (int i = 1; i < N; i++)
		b[i] = b[i - 1] + 1;
	SAME("serial", b[N - 1], N - 1);
	return 0;
}
