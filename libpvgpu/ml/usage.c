/* SPDX-License-Identifier: MIT */
/* The part of the time for which the GPU was the vGPU's, from readings of its GPU time. */
#include "ml/ml.h"

#include <string.h>
#include <time.h>

#include "link/link.h"

/*
 * A charge is up to 0.1 s old, and on the Xen link it is written at most once a second: two
 * readings tell of that much more or less than the time between them.
 */
enum { SHORTEST_LOCAL = 1000000, SHORTEST_XEN = 2500000, LONGEST = 3 };
#define STALE_US 15000000u /* before that nothing is looked at */

static struct ml_usage usage;

void ml_usage_add(struct ml_usage *u, struct ml_reading r)
{
	const struct ml_reading *last = u->n ? &u->reading[u->n - 1] : NULL;

	/* Another pvgpud counts anew. */
	if (last && r.gpu_time < last->gpu_time)
		u->n = 0;
	/* As many as the longest time takes, and one before it. */
	if (u->n > 1 && r.at - u->reading[u->n - 2].at < u->shortest / 2)
		u->n--;
	if (u->n == ML_READINGS)
		memmove(&u->reading[0], &u->reading[1], --u->n * sizeof(u->reading[0]));
	u->reading[u->n++] = r;
}

int ml_usage_percent(const struct ml_usage *u, uint64_t *us)
{
	const struct ml_reading *last, *from = NULL;
	uint64_t used, time;

	*us = u->shortest;
	if (!u->n)
		return -1;
	last = &u->reading[u->n - 1];
	/* The youngest that spans the longest time; or the oldest that is not stale. */
	for (unsigned int i = u->n - 1; i--;) {
		if (last->at - u->reading[i].at > STALE_US)
			break;
		from = &u->reading[i];
		if (last->at - from->at >= u->shortest * LONGEST)
			break;
	}
	time = from ? last->at - from->at : 0;
	if (time < u->shortest) {
		*us = u->shortest - time;
		return -1;
	}
	used = last->gpu_time - from->gpu_time;
	return used >= time ? 100 : (int)((used * 100 + time / 2) / time);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static nvmlReturn_t read_usage(void)
{
	struct ml_figures f;
	const char *path;
	nvmlReturn_t r = ml_figures(&f);

	if (r)
		return r;
	if (!f.used_known)
		return NVML_ERROR_NOT_SUPPORTED;
	usage.shortest = pvgpu_link_named(&path) ? SHORTEST_XEN : SHORTEST_LOCAL;
	ml_usage_add(&usage, (struct ml_reading){.at = now_us(), .gpu_time = f.gpu_time});
	return NVML_SUCCESS;
}

void ml_usage_begin(void)
{
	if (!usage.n)
		read_usage();
}

nvmlReturn_t ml_usage(unsigned int *percent)
{
	for (;;) {
		struct timespec pause;
		uint64_t us = 0;
		nvmlReturn_t r;
		int p;

		pthread_mutex_lock(&ml_lock);
		r = read_usage();
		p = ml_usage_percent(&usage, &us);
		pthread_mutex_unlock(&ml_lock);
		if (r)
			return r;
		if (p >= 0) {
			*percent = (unsigned int)p;
			return NVML_SUCCESS;
		}
		us += 1000;
		pause = (struct timespec){.tv_sec = (time_t)(us / 1000000),
					  .tv_nsec = (long)(us % 1000000) * 1000};
		nanosleep(&pause, NULL);
	}
}
