/* SPDX-License-Identifier: MIT */
/* Functions of the device: sequential (recursive, too), for vectors, workers and gangs; atomics. */
#include "tests/offload/check.h"

enum { N = 40, WIDTH = 96 };

#pragma acc routine seq
static int collatz(int n)
{
	return n == 1 ? 0 : 1 + collatz(n % 2 ? 3 * n + 1 : n / 2);
}

#pragma acc routine vector
static void fill_row(int *row, int value)
{
#pragma acc loop vector
	for (int i = 0; i < WIDTH; i++)
		row[i] = value + i;
}

#pragma acc routine worker
static void add_rows(int *row, int n)
{
#pragma acc loop worker
	for (int i = 0; i < n; i++)
		row[i] += 1000;
}

static int grid[N][WIDTH];

int main(void)
{
	int steps[N], bad = 0, count = 0, ticket[N] = {0};

#pragma acc parallel loop copyout(steps)
	for (int i = 0; i < N; i++)
		steps[i] = collatz(i + 1);
	SAME("steps from 27", steps[26], 111);
	for (int i = 0; i < N; i++)
		bad += steps[i] != collatz(i + 1);
	SAME("wrong", bad, 0);
#pragma acc parallel loop gang copyout(grid) num_workers(4) vector_length(32)
	for (int y = 0; y < N; y++) {
		fill_row(grid[y], y);
		add_rows(grid[y], WIDTH);
	}
	for (int y = 0; y < N; y++)
		for (int x = 0; x < WIDTH; x++)
			bad += grid[y][x] != y + x + 1000;
	SAME("wrong in rows", bad, 0);
#pragma acc parallel loop copy(count, ticket)
	for (int i = 0; i < N; i++) {
		int mine;

#pragma acc atomic capture
		mine = count++;
		ticket[mine] = 1;
	}
	for (int i = 0; i < N; i++)
		bad += ticket[i] != 1;
	SAME("tickets", count - bad, N);
	return 0;
}
