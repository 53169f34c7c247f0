/* SPDX-License-Identifier: MIT */
/*
 * The cost of the scheduler: pools of vGPUs that all have work, with weights, classes, minima and
 * maxima, a slice each time: charge, decide, hand over, and some that stop and begin to have work.
 * Prints the nanoseconds and the comparisons of one such decision for each number of vGPUs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "xen-pvgpu-back/sched/sched.h"

#define MS     1000000u
#define ROUNDS 9

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static struct sched *pool(int n, struct sched_vgpu **v)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched_share share = {.class = SCHED_MEDIUM};
	struct sched *s = sched_new(&p, 0);
	struct sched_group *g = NULL;

	for (int i = 0; s && i < n; i++) {
		share.weight = 1 + rand() % 1000;
		share.class = i % 4 ? SCHED_MEDIUM : SCHED_LOW;
		share.min_ppm = i % 5 ? 0 : 500000 / n;
		share.max_ppm = i % 7 ? 0 : 500000;
		if (i % 32 == 0)
			g = i % 64 ? NULL : sched_group_add(s, &share, NULL, 0);
		v[i] = sched_add(s, g, &share, NULL, 0);
		if (!v[i]) {
			sched_free(s);
			return NULL;
		}
		sched_wants(v[i], true, 0);
	}
	return s;
}

static double round_of(struct sched *s, struct sched_vgpu **v, int n, int slices, uint64_t *now)
{
	struct sched_vgpu *held = NULL;
	struct sched_decision d;
	uint64_t from = clock_ns();

	for (int k = 0; k < slices; k++) {
		if (held)
			sched_charge(held, MS, *now);
		if (k % 8 == 0)
			sched_wants(v[k / 8 % n], k / 8 / n % 2, *now);
		sched_decide(s, *now, &d);
		if (d.holder != held)
			sched_granted(s, d.holder, *now);
		held = d.holder;
		*now += MS;
	}
	return (double)(clock_ns() - from) / slices;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int slices = argc > 1 ? atoi(argv[1]) : 100000;
	double ns[ROUNDS];

	for (int n = 10; n <= 10000; n *= 10) {
		struct sched_vgpu **v = calloc(n, sizeof(*v));
		struct sched *s = v ? pool(n, v) : NULL;
		uint64_t now = 0, steps;

		if (!s) {
			fprintf(stderr, "schedbench: out of memory for %d vGPUs\n", n);
			return 1;
		}
		round_of(s, v, n, slices / 10, &now);
		steps = sched_steps(s);
		for (int i = 0; i < ROUNDS; i++)
			ns[i] = round_of(s, v, n, slices, &now);
		steps = sched_steps(s) - steps;
		qsort(ns, ROUNDS, sizeof(*ns), compare);
		printf("sched_decide_ns_%d %.1f\n", n, ns[ROUNDS / 2]);
		printf("sched_decide_steps_%d %.1f\n", n, (double)steps / ROUNDS / slices);
		sched_free(s);
		free(v);
	}
	return 0;
}
