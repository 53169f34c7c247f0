/* SPDX-License-Identifier: MIT */
/* Recursion on the device: each thread has a stack of its own. */
#include "tests/offload/check.h"

#pragma omp declare target
static int fibonacci(int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int ackermann(int m, int n)
{
	if (!m)
		return n + 1;
	return n ? ackermann(m - 1, ackermann(m, n - 1)) : ackermann(m - 1, 1);
}

static int odd(int n);

static int even(int n)
{
	return n ? odd(n - 1) : 1;
}

static int odd(int n)
{
	return n ? even(n - 1) : 0;
}

/* Moves of the towers of Hanoi, counted in an array on the stack. */
static void hanoi(int n, int from, int to, int *moves)
{
	int local[4] = {0};

	if (!n)
		return;
	hanoi(n - 1, from, 6 - from - to, local);
	local[from]++;
	hanoi(n - 1, 6 - from - to, to, local);
	for (int i = 0; i < 4; i++)
		moves[i] += local[i];
}

static void sort(int *v, int n)
{
	int pivot, left = 0, right = n - 1;

	if (n < 2)
		return;
	pivot = v[n / 2];
	while (left <= right) {
		while (v[left] < pivot)
			left++;
		while (v[right] > pivot)
			right--;
		if (left <= right) {
			int t = v[left];

			v[left++] = v[right];
			v[right--] = t;
		}
	}
	sort(v, right + 1);
	sort(v + left, n - left);
}
#pragma omp end declare target

int main(void)
{
	int fib[16], ack = 0, parity = 0, moves[4] = {0}, v[200], bad = 0;

#pragma omp target teams distribute parallel for map(from : fib)
	for (int i = 0; i < 16; i++)
		fib[i] = fibonacci(i);
	SAME("fibonacci(15)", fib[15], 610);
	SAME("fibonacci(9)", fib[9], 34);
#pragma omp target map(from : ack, parity) map(tofrom : moves)
	{
		ack = ackermann(2, 5);
		parity = even(40) * 2 + odd(41);
		hanoi(6, 1, 3, moves);
	}
	SAME("ackermann(2, 5)", ack, 13);
	SAME("even and odd", parity, 3);
	SAME("moves", moves[1] + moves[2] + moves[3], 63);
	for (int i = 0; i < 200; i++)
		v[i] = (i * 7919) % 1009;
#pragma omp target map(tofrom : v)
	sort(v, 200);
	for (int i = 1; i < 200; i++)
		bad += v[i] < v[i - 1];
	SAME("out of order", bad, 0);
	return 0;
}
