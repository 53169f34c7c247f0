/* SPDX-License-Identifier: MIT */
/* Random numbers, distributions, histograms and rings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

#define CUT       1000.0             /* bound of a Pareto draw, in means */
#define COUNT_MAX 4503599627370496.0 /* 2^52 */

/* A Weyl sequence and a mixing function: any seed is good. */
uint64_t rng_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

double rng_unit(uint64_t *state)
{
	return (double)((rng_next(state) >> 11) + 1) * 0x1p-53;
}

static double normal(uint64_t *state)
{
	double r = sqrt(-2 * log(rng_unit(state)));

	return r * cos(6.283185307179586 * rng_unit(state));
}

double sim_draw(const struct sim_dist *d, uint64_t *state)
{
	double x, var;

	switch (d->kind) {
	case SIM_UNIFORM:
		return d->mean * (1 + d->shape * (2 * rng_unit(state) - 1));
	case SIM_EXP:
		return -d->mean * log(rng_unit(state));
	case SIM_PARETO:
		x = d->mean * (d->shape - 1) / d->shape * pow(rng_unit(state), -1 / d->shape);
		return x < CUT * d->mean ? x : CUT * d->mean;
	case SIM_LOGNORMAL:
		var = log1p(d->shape * d->shape);
		return d->mean * exp(sqrt(var) * normal(state) - var / 2);
	case SIM_RARE:
		x = d->mean * SIM_RARE_PER / (SIM_RARE_PER - 1 + d->shape);
		return rng_next(state) % SIM_RARE_PER ? x : x * d->shape;
	default:
		return d->mean;
	}
}

uint64_t dist_count(const struct sim_dist *d, uint64_t *state, uint64_t least)
{
	double x = sim_draw(d, state);
	uint64_t n = x > 0 ? (uint64_t)((x < COUNT_MAX ? x : COUNT_MAX) + 0.5) : 0;

	return n > least ? n : least;
}

/* Below SIM_HIST_SUB a bucket is one value; above, each doubling has SIM_HIST_SUB buckets. */
static uint32_t bucket_of(uint64_t v)
{
	int shift;
	uint64_t b;

	if (v < SIM_HIST_SUB)
		return (uint32_t)v;
	shift = 63 - __builtin_clzll(v) - __builtin_ctz(SIM_HIST_SUB);
	b = (uint64_t)(shift + 1) * SIM_HIST_SUB + (v >> shift) - SIM_HIST_SUB;
	return b < SIM_HIST_SIZE ? (uint32_t)b : SIM_HIST_SIZE - 1;
}

/* The middle of a bucket. */
static uint64_t bucket_value(uint32_t b)
{
	uint32_t shift;

	if (b < SIM_HIST_SUB)
		return b;
	shift = b / SIM_HIST_SUB - 1;
	return ((uint64_t)(b % SIM_HIST_SUB + SIM_HIST_SUB) << shift) + ((1ull << shift) >> 1);
}

void sim_hist_add(struct sim_hist *h, uint64_t v)
{
	h->count++;
	h->sum += (double)v;
	if (v > h->max)
		h->max = v;
	h->bucket[bucket_of(v)]++;
}

uint64_t sim_hist_at(const struct sim_hist *h, double p)
{
	uint64_t need = (uint64_t)ceil(p * (double)h->count), seen = 0;

	if (need == 0)
		need = 1;
	for (uint32_t b = 0; b < SIM_HIST_SIZE; b++) {
		seen += h->bucket[b];
		if (seen >= need && h->count)
			return bucket_value(b) < h->max ? bucket_value(b) : h->max;
	}
	return h->max;
}

double sim_jain(const double *x, size_t n)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / ((double)n * squares) : 1;
}

/* ---- rings ---- */

void *ring_at(const struct ring *r, size_t size, uint32_t i)
{
	return (char *)r->at + size * ((r->head + i) & (r->cap - 1));
}

void *ring_push(struct ring *r, size_t size)
{
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? 2 * r->cap : 4;
		char *at = cap ? malloc(size * cap) : NULL;

		if (!at)
			return NULL;
		for (uint32_t i = 0; i < r->n; i++)
			memcpy(at + size * i, ring_at(r, size, i), size);
		free(r->at);
		r->at = at;
		r->head = 0;
		r->cap = cap;
	}
	return ring_at(r, size, r->n++);
}

void ring_pop(struct ring *r)
{
	r->head = (r->head + 1) & (r->cap - 1);
	r->n--;
}
