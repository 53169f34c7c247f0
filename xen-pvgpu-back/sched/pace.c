/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/pace.h"

#include "xen-pvgpu-back/sched/heap.h"

/* Times are compared by difference; a quarter of that range is more than 70 years. */
#define FAR_AWAY ((uint64_t)1 << 61)

typedef unsigned __int128 wide;

static uint64_t times(uint64_t ns, uint64_t by, uint64_t over)
{
	wide r = (wide)ns * by / over;

	return r < FAR_AWAY ? (uint64_t)r : FAR_AWAY;
}

uint64_t pace_time(const struct pace *p, uint64_t ns)
{
	return times(ns, p->whole, p->part);
}

uint64_t pace_earns(const struct pace *p, uint64_t ns)
{
	return times(ns, p->part, p->whole);
}

void pace_set(struct pace *p, uint64_t part, uint64_t whole, uint64_t now)
{
	bool behind = heap_before(p->at, now);
	uint64_t ns = 0;

	if (pace_on(p) && p->part == part && p->whole == whole)
		return;
	if (pace_on(p))
		ns = times(behind ? now - p->at : p->at - now, p->part, p->whole);
	p->part = part;
	p->whole = whole;
	p->rest = 0;
	p->at = now;
	if (pace_on(p))
		p->at += behind ? -pace_time(p, ns) : pace_time(p, ns);
}

void pace_use(struct pace *p, uint64_t ns, uint64_t now)
{
	wide time = (wide)ns * p->whole + p->rest;

	p->at += time / p->part < FAR_AWAY ? (uint64_t)(time / p->part) : FAR_AWAY;
	p->rest = (uint64_t)(time % p->part);
	if (heap_before(now + FAR_AWAY, p->at))
		p->at = now + FAR_AWAY;
}

void pace_save_most(struct pace *p, uint64_t ns, uint64_t now)
{
	uint64_t least = now - pace_time(p, ns);

	if (heap_before(p->at, least)) {
		p->at = least;
		p->rest = 0;
	}
}

void pace_owe_most(struct pace *p, uint64_t ns, uint64_t now)
{
	uint64_t most = now + pace_time(p, ns);

	if (heap_before(most, p->at)) {
		p->at = most;
		p->rest = 0;
	}
}

uint64_t pace_saved_at(const struct pace *p, uint64_t ns)
{
	return p->at + pace_time(p, ns);
}

uint64_t pace_lasts(const struct pace *p, uint64_t now)
{
	return heap_before(p->at, now) ? times(now - p->at, p->part, p->whole - p->part) : 0;
}
