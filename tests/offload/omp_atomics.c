/* SPDX-License-Identifier: MIT */
/* Atomic updates and captures of each size, critical regions, locks. */
#include <omp.h>

#include "tests/offload/check.h"

enum { N = 640 };

int main(void)
{
	int count = 0, slots[N] = {0}, bad = 0, guarded = 0, histogram[7] = {0};
	unsigned char byte = 0;
	long long wide = 0;
	double d = 0;
	float f = 0;

#pragma omp target teams distribute parallel for num_teams(8)                                      \
	map(tofrom                                                                                 \
	    : count, slots, byte, wide, d, f)
	for (int i = 0; i < N; i++) {
		int mine;

#pragma omp atomic capture
		mine = count++;
#pragma omp atomic
		slots[mine]++;
#pragma omp atomic
		byte += 3;
#pragma omp atomic
		wide += 1LL << 33;
#pragma omp atomic
		d += 0.5;
#pragma omp atomic
		f += 0.25f;
	}
	SAME("count", count, N);
	for (int i = 0; i < N; i++)
		bad += slots[i] != 1;
	SAME("slots that not one thread had", bad, 0);
	SAME("byte", byte, (unsigned char)(3 * N));
	SAME("wide", wide >> 33, N);
	CHECK(d == N / 2 && f == N / 4, "d %g, f %g", d, (double)f);
#pragma omp target parallel for map(tofrom : guarded)
	for (int i = 0; i < N; i++) {
#pragma omp critical
		guarded++;
	}
	SAME("guarded", guarded, N);
#pragma omp target teams distribute parallel for map(tofrom : histogram)
	for (int i = 0; i < N; i++) {
#pragma omp atomic
		histogram[i % 7]++;
	}
	for (int i = 0; i < 7; i++)
		SAME("bin", histogram[i], N / 7 + (i < N % 7));
	return 0;
}
