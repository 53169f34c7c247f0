/* SPDX-License-Identifier: MIT */
/*
 * A device with a time of its own (SIMCUDA_INSTRUCTION_NS): each instruction of a warp takes so
 * long, and a thread that has computed a turn faster sleeps for the rest of it. So the host's other
 * programs and the cache that they leave do not change the device's speed, as long as its threads
 * find processors for what they compute. A turn that ended late makes the next one shorter.
 */
#include <time.h>

#include "tests/simcuda/driver/sim.h"

#define SHORTEST_NS 50000u   /* less is left to the next turn: a sleep is not so exact */
#define LATE_NS     1000000u /* at most so much is made up for */

static _Thread_local uint64_t occupied_until, late;

void pace(uint64_t begun, uint64_t instructions)
{
	struct timespec t;
	uint64_t now;

	begun -= late;
	if (occupied_until < begun)
		occupied_until = begun;
	occupied_until += instructions * sim_config.instruction_ns;
	now = now_ns();
	if (occupied_until >= now + SHORTEST_NS) {
		t.tv_sec = (time_t)(occupied_until / 1000000000u);
		t.tv_nsec = (long)(occupied_until % 1000000000u);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		now = now_ns();
	}
	late = now > occupied_until ? now - occupied_until : 0;
	if (late > LATE_NS)
		late = LATE_NS;
}
