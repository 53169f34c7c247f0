/* SPDX-License-Identifier: MIT */
/* A heat equation in steps: data stays on the device, two arrays take turns. */
#include "tests/offload/check.h"

enum { N = 32, STEPS = 8 };

static double a[N][N], b[N][N], c[N][N], d[N][N];

static void step_on_cpu(double to[N][N], double from[N][N])
{
	for (int y = 1; y < N - 1; y++)
		for (int x = 1; x < N - 1; x++)
			to[y][x] = 0.25 * (from[y - 1][x] + from[y + 1][x] + from[y][x - 1] +
					   from[y][x + 1]);
}

int main(void)
{
	double worst = 0;

	for (int i = 0; i < N; i++)
		a[0][i] = b[0][i] = c[0][i] = d[0][i] = i;
#pragma omp target data map(tofrom : a) map(to : b)
	for (int s = 0; s < STEPS; s += 2) {
#pragma omp target teams distribute parallel for collapse(2)
		for (int y = 1; y < N - 1; y++)
			for (int x = 1; x < N - 1; x++)
				b[y][x] = 0.25 *
					  (a[y - 1][x] + a[y + 1][x] + a[y][x - 1] + a[y][x + 1]);
#pragma omp target teams distribute parallel for collapse(2)
		for (int y = 1; y < N - 1; y++)
			for (int x = 1; x < N - 1; x++)
				a[y][x] = 0.25 *
					  (b[y - 1][x] + b[y + 1][x] + b[y][x - 1] + b[y][x + 1]);
	}
	for (int s = 0; s < STEPS; s += 2) {
		step_on_cpu(d, c);
		step_on_cpu(c, d);
	}
	for (int y = 0; y < N; y++)
		for (int x = 0; x < N; x++) {
			double off = a[y][x] > c[y][x] ? a[y][x] - c[y][x] : c[y][x] - a[y][x];

			worst = off > worst ? off : worst;
		}
	CHECK(worst < 1e-12, "off by %g", worst);
	printf("%d steps: right\n", STEPS);
	return 0;
}
