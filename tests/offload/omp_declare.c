/* SPDX-License-Identifier: MIT */
/* What lives on the device: variables, tables, functions, pointers to functions. */
#include "tests/offload/check.h"

#pragma omp declare target
static int counter = 10;
static const int primes[] = {2, 3, 5, 7, 11, 13};
double table[64];
const char *const words[] = {"one", "three", "fifteen"};

static int length(const char *s)
{
	int n = 0;

	while (s[n])
		n++;
	return n;
}

static int twice(int v)
{
	return 2 * v;
}

static int square(int v)
{
	return v * v;
}

static int (*const operations[])(int) = {twice, square};

static void fill(int n)
{
	for (int i = 0; i < n; i++)
		table[i] = i / 2.0;
}
#pragma omp end declare target

int main(void)
{
	int sum = 0, chars = 0, results[2] = {0};

#pragma omp target
	counter += 5;
	SAME("the host's", counter, 10);
#pragma omp target update from(counter)
	SAME("the device's", counter, 15);
	counter = 100;
#pragma omp target update to(counter)
#pragma omp target map(from : sum, chars)
	{
		sum = counter;
		for (unsigned i = 0; i < sizeof(primes) / sizeof(primes[0]); i++)
			sum += primes[i];
		chars = 0;
		for (int i = 0; i < 3; i++)
			chars += length(words[i]);
	}
	SAME("sum", sum, 141);
	SAME("characters", chars, 15);
#pragma omp target
	fill(64);
#pragma omp target update from(table)
	CHECK(table[63] == 31.5, "table[63] is %g", table[63]);
#pragma omp target map(from : results)
	for (int i = 0; i < 2; i++)
		results[i] = operations[i](9);
	SAME("twice", results[0], 18);
	SAME("square", results[1], 81);
	return 0;
}
