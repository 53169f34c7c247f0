/* SPDX-License-Identifier: MIT */
/* Native code of libraries, which kernels call by its number. */
#include "tests/simcuda/driver/sim.h"
#include "tests/simcuda/native.h"

enum { BUCKETS = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct simcuda_native *buckets[BUCKETS];
static uint64_t last;

SIM_EXPORT void simcuda_native_add(struct simcuda_native *n)
{
	pthread_mutex_lock(&lock);
	n->number = ++last;
	n->next = buckets[n->number % BUCKETS];
	buckets[n->number % BUCKETS] = n;
	pthread_mutex_unlock(&lock);
}

SIM_EXPORT void simcuda_native_remove(struct simcuda_native *n)
{
	pthread_mutex_lock(&lock);
	for (struct simcuda_native **p = &buckets[n->number % BUCKETS]; *p; p = &(*p)->next)
		if (*p == n) {
			*p = n->next;
			break;
		}
	pthread_mutex_unlock(&lock);
}

SIM_EXPORT bool simcuda_reach(uint64_t address, uint64_t bytes, bool write)
{
	uint64_t lo, hi;

	return !bytes || range_check(address, bytes, write, &lo, &hi);
}

bool native_run(uint64_t *number)
{
	struct simcuda_native *n;

	pthread_mutex_lock(&lock);
	n = buckets[*number % BUCKETS];
	while (n && n->number != *number)
		n = n->next;
	pthread_mutex_unlock(&lock);
	return n && n->run(n, number);
}
