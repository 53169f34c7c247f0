/* SPDX-License-Identifier: MIT */
/* Reductions at each level, and of each kind of operator. */
#include "tests/offload/check.h"

enum { N = 1000, ROWS = 20 };

int main(void)
{
	int v[N], sum = 0, low = 1 << 30, high = 0, bits = 0, rows[ROWS] = {0};
	long long big = 0;
	double d = 0;
	float f = 1;

	for (int i = 0; i < N; i++)
		v[i] = (i * 7919) % 1009 + 1;
#pragma acc parallel loop gang vector copyin(v) reduction(+ : sum) reduction(min : low)           \
	reduction(max : high) reduction(| : bits)
	for (int i = 0; i < N; i++) {
		sum += v[i];
		low = v[i] < low ? v[i] : low;
		high = v[i] > high ? v[i] : high;
		bits |= v[i];
	}
	for (int i = 0; i < N; i++) {
		sum -= v[i];
		CHECK(v[i] >= low && v[i] <= high, "%d not in %d to %d", v[i], low, high);
	}
	SAME("sum", sum, 0);
	SAME("bits", bits, 1023);
#pragma acc parallel loop vector reduction(+ : big, d)
	for (int i = 0; i < N; i++) {
		big += (long long)i << 32;
		d += 0.25;
	}
	SAME("big", big >> 32, N * (N - 1) / 2);
	CHECK(d == N / 4, "d %g", d);
#pragma acc parallel loop worker reduction(* : f)
	for (int i = 0; i < 10; i++)
		f *= 2;
	CHECK(f == 1024, "f %g", (double)f);
#pragma acc parallel copyin(v) copyout(rows)
#pragma acc loop gang
	for (int y = 0; y < ROWS; y++) {
		int row = 0;

#pragma acc loop vector reduction(+ : row)
		for (int x = 0; x < 50; x++)
			row += v[y * 50 + x];
		rows[y] = row;
	}
	for (int i = 0; i < N; i++)
		rows[i / 50] -= v[i];
	for (int y = 0; y < ROWS; y++)
		CHECK(!rows[y], "row %d is off by %d", y, rows[y]);
	return 0;
}
