/* SPDX-License-Identifier: MIT */
/* The cost of the scheduling library: time and comparisons of a decision, by number of vGPUs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/bench.h"

#define BATCH   500
#define BATCHES 41

struct cost {
	double ns, steps;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* A turn: the holder is charged, another vGPU begins or ends to want the GPU, a decision. */
static void turn(struct sched *s, struct sched_vgpu **v, size_t n, uint64_t *st, uint64_t *now,
		 struct sched_decision *d)
{
	struct sched_vgpu *other = v[draw(st) % n];

	*now += 2 * SIM_MS;
	if (d->holder)
		sched_charge(d->holder, 2 * SIM_MS, *now);
	sched_wants(other, draw(st) % 4 != 0, *now);
	sched_decide(s, *now, d);
	sched_granted(s, d->holder, *now);
}

static struct cost measure(size_t n)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched *s = sched_new(&p, 0);
	struct sched_vgpu **v = calloc(n, sizeof(struct sched_vgpu *));
	struct sched_decision d = {0};
	uint64_t now = 1, st = options.seed, steps;
	double took[BATCHES];
	struct cost c;

	if (!s || !v)
		abort();
	for (size_t i = 0; i < n; i++) {
		struct sched_share share = {.class = (enum sched_class)(draw(&st) % SCHED_CLASSES),
					    .weight = 1 + (uint32_t)(draw(&st) % 1000),
					    .min_ppm = i % 10 ? 0 : (uint32_t)(200000 / n)};

		v[i] = sched_add(s, NULL, &share, NULL, now);
		if (!v[i])
			abort();
		sched_wants(v[i], true, now);
	}
	for (size_t i = 0; i < 2 * n; i++)
		turn(s, v, n, &st, &now, &d);
	steps = sched_steps(s);
	for (size_t b = 0; b < BATCHES; b++) {
		double begun = now_ns();

		for (size_t i = 0; i < BATCH; i++)
			turn(s, v, n, &st, &now, &d);
		took[b] = (now_ns() - begun) / BATCH;
	}
	c.steps = (double)(sched_steps(s) - steps) / (BATCH * BATCHES);
	qsort(took, BATCHES, sizeof(took[0]), by_value);
	c.ns = took[BATCHES / 2];
	sched_free(s);
	free(v);
	return c;
}

void run_cost(void)
{
	static const size_t sizes[] = {10, 100, 1000, 10000};
	json_t *list = json_array();
	struct cost c[4];

	for (size_t i = 0; i < 4; i++) {
		c[i] = measure(sizes[i]);
		json_array_append_new(list,
				      json_pack("{s:I,s:f,s:f}", "vgpus", (json_int_t)sizes[i],
						"ns", c[i].ns, "steps", c[i].steps));
	}
	row_timed("decision_ns_1000_vgpus", c[2].ns, "ns", ROW_MOST, 1000, list);
	row("decision_steps_1000_vgpus", c[2].steps, "comparisons", ROW_NONE, 0, NULL);
	/* Logarithmic: a hundred times as many cost twice as much and no more. */
	row("steps_10000_to_100_vgpus", c[3].steps / c[1].steps, "ratio", ROW_MOST, 2.2, NULL);
	/* A slice each millisecond, with a bell and a hand-over: three decisions. */
	row_timed("decisions_of_a_core_at_1_ms", 100 * 3 * c[2].ns * 1000 / 1e9, "%", ROW_MOST, 5,
		  NULL);
}
