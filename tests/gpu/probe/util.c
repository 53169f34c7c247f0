/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/gpu/probe/probe.h"

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void say_times(const char *key, uint64_t *ns, size_t n)
{
	char name[96];

	if (!n)
		return;
	qsort(ns, n, sizeof(*ns), by_size);
	snprintf(name, sizeof(name), "%s_p50_ns", key);
	say_int(name, (int64_t)ns[n / 2]);
	snprintf(name, sizeof(name), "%s_p99_ns", key);
	say_int(name, (int64_t)ns[n * 99 / 100]);
	snprintf(name, sizeof(name), "%s_max_ns", key);
	say_int(name, (int64_t)ns[n - 1]);
}
