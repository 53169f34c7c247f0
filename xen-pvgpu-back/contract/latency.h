/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times. Bucket i counts times of at most 2^i microseconds that no lower bucket
 * counts; the last one has no bound. Histograms are merged by adding them up.
 */
#ifndef PVGPU_LATENCY_H
#define PVGPU_LATENCY_H

#include <stdint.h>

#define PVGPU_LATENCY_BUCKETS 24u

struct pvgpu_latency {
	uint64_t ns; /* sum of the times */
	uint64_t n[PVGPU_LATENCY_BUCKETS];
};

static inline unsigned int pvgpu_latency_bucket(uint64_t ns)
{
	/* 1,000 ns are in the bucket of 1 us, 1,001 in the next one. */
	const uint64_t us = ns ? (ns - 1) / 1000 : 0;
	const unsigned int i = us ? 64u - (unsigned int)__builtin_clzll(us) : 0;

	return i < PVGPU_LATENCY_BUCKETS ? i : PVGPU_LATENCY_BUCKETS - 1;
}

/* The bound of a bucket but the last, in microseconds. */
static inline uint64_t pvgpu_latency_bound_us(unsigned int bucket)
{
	return 1ull << bucket;
}

static inline void pvgpu_latency_add(struct pvgpu_latency *l, uint64_t ns)
{
	l->ns += ns;
	l->n[pvgpu_latency_bucket(ns)]++;
}

static inline uint64_t pvgpu_latency_count(const struct pvgpu_latency *l)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++)
		n += l->n[i];
	return n;
}

/* In microseconds; 0: nothing is counted. */
static inline uint64_t pvgpu_latency_average_us(const struct pvgpu_latency *l)
{
	const uint64_t n = pvgpu_latency_count(l);

	return n ? l->ns / n / 1000 : 0;
}

/*
 * The bound of the bucket that the percentile lies in, in microseconds; of the last bucket twice
 * the bound before it. 0: nothing is counted.
 */
static inline uint64_t pvgpu_latency_percentile_us(const struct pvgpu_latency *l,
						   unsigned int percent)
{
	const uint64_t n = pvgpu_latency_count(l);
	uint64_t seen = 0, rank = n / 100 * percent + (n % 100 * percent + 99) / 100;

	for (unsigned int i = 0; n && i < PVGPU_LATENCY_BUCKETS; i++) {
		seen += l->n[i];
		if (seen >= rank)
			return pvgpu_latency_bound_us(i);
	}
	return 0;
}

#endif
