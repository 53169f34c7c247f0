/* SPDX-License-Identifier: MIT */
/*
 * Reductions of complex numbers: over a league, over a team, and of one block after the other by
 * the same team. In the last one thread clears the sum for the next block, and LLVM has no barrier
 * between that and the other warps' reading it: it needs warps that keep pace (suites/pace.py).
 * Without complex.h: clang's brings functions of NVIDIA's device library.
 */
#include "tests/offload/check.h"

enum { BLOCK = 12, BLOCKS = 9, N = BLOCK * BLOCKS };

struct pair {
	double re, im;
};

#pragma omp declare target
static inline void add(struct pair *to, const struct pair *v)
{
	to->re += v->re;
	to->im += v->im;
}
#pragma omp end declare target
#pragma omp declare reduction(plus                                                                 \
			      : struct pair                                                        \
			      : add(&omp_out, &omp_in))                                            \
	initializer(omp_priv = (struct pair){0, 0})

/* Whole numbers so small that each order of summation gives the same. */
static struct pair element(int i)
{
	return (struct pair){i * 7 % 41 + 1, i * 5 % 29 - 11};
}

static struct pair wanted(int from, int to)
{
	struct pair sum = {0, 0};

	for (int i = from; i < to; i++) {
		struct pair v = element(i);

		add(&sum, &v);
	}
	return sum;
}

static void in_blocks(const struct pair *v, int teams)
{
	struct pair sums[BLOCKS] = {{0, 0}};

#pragma omp target teams distribute num_teams(teams) map(to : v[:N]) map(from : sums)
	for (int b = 0; b < BLOCKS; b++) {
		const int from = b * BLOCK, to = from + BLOCK;
		struct pair sum = {0, 0};

#pragma omp parallel for reduction(plus : sum)
		for (int i = from; i < to; i++)
			add(&sum, &v[i]);
		sums[b] = sum;
	}
	for (int b = 0; b < BLOCKS; b++) {
		const struct pair want = wanted(b * BLOCK, (b + 1) * BLOCK);

		CHECK(sums[b].re == want.re && sums[b].im == want.im,
		      "%d teams, block %d: %g %+gi, not %g %+gi", teams, b, sums[b].re, sums[b].im,
		      want.re, want.im);
	}
	printf("in blocks: all right\n");
}

static void in_blocks_float(const struct pair *v, int teams)
{
	float _Complex sums[BLOCKS] = {0};

#pragma omp target teams distribute num_teams(teams) map(to : v[:N]) map(from : sums)
	for (int b = 0; b < BLOCKS; b++) {
		float _Complex sum = 0;

#pragma omp parallel for reduction(+ : sum)
		for (int i = b * BLOCK; i < (b + 1) * BLOCK; i++)
			sum += (float)v[i].re + (float)v[i].im * 1.0fi;
		sums[b] = sum;
	}
	for (int b = 0; b < BLOCKS; b++) {
		const struct pair want = wanted(b * BLOCK, (b + 1) * BLOCK);

		CHECK(__real__ sums[b] == want.re && __imag__ sums[b] == want.im,
		      "float, %d teams, block %d: %g %+gi", teams, b, (double)__real__ sums[b],
		      (double)__imag__ sums[b]);
	}
	printf("in blocks of float: all right\n");
}

int main(void)
{
	double _Complex sum = 0, team = 0;
	float _Complex small = 0;
	struct pair v[N], want = wanted(0, N);

	for (int i = 0; i < N; i++)
		v[i] = element(i);
#pragma omp target teams distribute parallel for num_teams(4) map(to : v) map(tofrom : sum, small) \
	reduction(+ : sum, small)
	for (int i = 0; i < N; i++) {
		sum += v[i].re + v[i].im * 1.0i;
		small += (float)v[i].re + (float)v[i].im * 1.0fi;
	}
	SAME("real part", __real__ sum, want.re);
	SAME("imaginary part", __imag__ sum, want.im);
	CHECK(small == sum, "float: %g %+gi", (double)__real__ small, (double)__imag__ small);
	want = wanted(0, 30);
#pragma omp target parallel for map(to : v) map(tofrom : team) reduction(+ : team)
	for (int i = 0; i < 30; i++)
		team += v[i].re + v[i].im * 1.0i;
	SAME("real part of a team's", __real__ team, want.re);
	SAME("imaginary part of a team's", __imag__ team, want.im);
	for (int teams = 1; teams <= 4; teams += 3) {
		in_blocks(v, teams);
		in_blocks_float(v, teams);
	}
	return 0;
}
