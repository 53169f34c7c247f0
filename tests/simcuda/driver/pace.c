/* SPDX-License-Identifier: MIT */
/*
 * A device with a time of its own (SIMCUDA_INSTRUCTION_NS): each instruction of a warp takes so
 * long, and a thread that has computed a turn faster sleeps for the rest of it. So the host's other
 * programs and the cache that they leave do not change the device's speed, as long as its threads
 * find processors for what they compute. A turn that ended late makes the next one shorter.
 *
 * The link to the host has a time of its own, too (SIMCUDA_LINK_GBPS), one for each direction and
 * for all processes together: a copy takes the link for its bytes, after those that took it before,
 * and its thread sleeps until that time is over.
 */
#include <time.h>

#include "tests/simcuda/driver/sim.h"

#define SHORTEST_NS 50000u   /* less is left to the next turn: a sleep is not so exact */
#define LATE_NS     1000000u /* at most so much is made up for */

static _Thread_local uint64_t occupied_until, late;

static uint64_t sleep_until(uint64_t ns)
{
	const struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	return now_ns();
}

void pace(uint64_t begun, uint64_t instructions)
{
	uint64_t now;

	begun -= late;
	if (occupied_until < begun)
		occupied_until = begun;
	occupied_until += instructions * sim_config.instruction_ns;
	now = now_ns();
	if (occupied_until >= now + SHORTEST_NS)
		now = sleep_until(occupied_until);
	late = now > occupied_until ? now - occupied_until : 0;
	if (late > LATE_NS)
		late = LATE_NS;
}

void pace_link(uint64_t begun, uint64_t bytes, bool to_device)
{
	uint64_t *until = arbiter_link(to_device);
	const uint64_t takes = (uint64_t)((double)bytes / sim_config.link_gbps);
	uint64_t had = __atomic_load_n(until, __ATOMIC_RELAXED), end;

	do {
		/* A thread that wakes a little late does not leave the link idle. */
		end = (had + LATE_NS > begun ? had : begun) + takes;
	} while (!__atomic_compare_exchange_n(until, &had, end, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	if (end >= now_ns() + SHORTEST_NS)
		sleep_until(end);
}
