/* SPDX-License-Identifier: MIT */
/* Loops over all threads of all teams: schedules, collapsed loops, strides, empty ranges. */
#include "tests/offload/check.h"

enum { N = 2000, ROWS = 37, COLUMNS = 53 };

static int a[N], b[N], grid[ROWS][COLUMNS];

int main(void)
{
	long sum = 0;
	int bad = 0;

	for (int i = 0; i < N; i++)
		a[i] = 3 * i;
#pragma omp target teams distribute parallel for map(to : a) map(from : b)
	for (int i = 0; i < N; i++)
		b[i] = a[i] + 1;
	for (int i = 0; i < N; i++)
		bad += b[i] != 3 * i + 1;
	SAME("wrong elements", bad, 0);
#pragma omp target teams distribute parallel for collapse(2) map(from : grid)
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLUMNS; x++)
			grid[y][x] = 100 * y + x;
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLUMNS; x++)
			bad += grid[y][x] != 100 * y + x;
	SAME("wrong in the grid", bad, 0);
#pragma omp target teams distribute parallel for map(tofrom : b) schedule(static, 3)
	for (int i = N - 1; i >= 0; i -= 7)
		b[i] = -1;
	for (int i = 0; i < N; i++)
		bad += (b[i] == -1) != ((N - 1 - i) % 7 == 0);
	SAME("wrong strides", bad, 0);
#pragma omp target parallel for map(tofrom : sum) reduction(+ : sum) schedule(dynamic, 16)
	for (long i = 1; i <= 1000; i++)
		sum += i;
	SAME("dynamic", sum, 500500);
#pragma omp target parallel for map(tofrom : sum) reduction(+ : sum) schedule(guided)
	for (unsigned long i = 1; i <= 1000; i++)
		sum -= (long)i;
	SAME("guided", sum, 0);
#pragma omp target teams distribute parallel for map(tofrom : bad)
	for (int i = 10; i < 10; i++)
		bad++;
	SAME("an empty loop", bad, 0);
	return 0;
}
