/* SPDX-License-Identifier: MIT */
#include "tests/unit/sched/sched_random.h"

uint32_t any(struct drive *d, uint32_t from, uint32_t to)
{
	return from + drive_random(d, to - from + 1);
}

bool chance(struct drive *d, uint32_t in)
{
	return !drive_random(d, in);
}

static uint32_t any_weight(struct drive *d)
{
	static const uint32_t usual[] = {1, 25, 50, 100, 100, 100, 200, 300, 1000, 10000};

	return chance(d, 3) ? any(d, 1, 10000) : usual[drive_random(d, 10)];
}

struct sched_share any_share(struct drive *d)
{
	struct sched_share r = {.class = SCHED_MEDIUM, .weight = any_weight(d)};

	if (chance(d, 3))
		r.class = drive_random(d, SCHED_CLASSES);
	if (chance(d, 4))
		r.min_ppm = any(d, 1000, 400000);
	if (chance(d, 5))
		r.max_ppm = any(d, 20000, SCHED_PPM);
	if (chance(d, 3))
		r.fixed_ppm = any(d, 10000, 500000);
	return r;
}

struct load any_load(struct drive *d)
{
	struct load l = {.burst = 3600 * SEC};

	switch (drive_random(d, 6)) {
	case 0: /* saturates */
	case 1:
		break;
	case 2: /* short bursts */
		l = (struct load){.burst = any(d, 10 * US, 500 * US), .jitter = 1};
		l.think = any(d, 10 * US, 10 * MS);
		break;
	case 3: /* longer than slices */
		l = (struct load){.burst = any(d, MS, 8 * MS), .jitter = 1};
		l.think = any(d, 1, 20 * MS);
		break;
	case 4: /* never without work for long, and always gone before its slice is */
		l.think = any(d, 1, 100 * US);
		l.stop_before_end = any(d, 1, 300 * US);
		break;
	default: /* as often as it can */
		l = (struct load){.burst = any(d, 1, 30 * US), .think = any(d, 1, 30 * US)};
		break;
	}
	return l;
}

struct sched_params any_params(struct drive *d)
{
	struct sched_params p = {.policy = drive_random(d, SCHED_POLICIES)};

	if (chance(d, 3))
		p.slice_ns = any(d, 1, 4) * MS;
	p.starve_ns = any(d, 3, 60) * MS;
	return p;
}
