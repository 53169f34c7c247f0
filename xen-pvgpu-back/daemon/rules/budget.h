/* SPDX-License-Identifier: MIT */
/*
 * The budget of one worker's messages on its control socket: a burst, and a rate. Further messages
 * stay unread in the socket until the budget has refilled. An honest worker waits for its answers,
 * so it never has many messages unread. A worker floods if it has many unread while its budget is
 * used up, for OVER_NS more than it has few. Numbers in, a verdict out; times are CLOCK_MONOTONIC
 * ns.
 */
#ifndef PVGPU_BUDGET_H
#define PVGPU_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_BURST    8192u
#define BUDGET_A_SECOND 4096u
#define BUDGET_PAUSE_NS 20000000u /* used up: the socket is not read for this time */
#define BUDGET_UNREAD   64u       /* messages */
#define BUDGET_OVER_NS  5000000000ull

struct budget {
	uint64_t since; /* when it was full, or would have been; 0: never used */
	uint64_t over;  /* time with many messages unread, less the time with few */
	uint64_t at;    /* when `over` was updated */
};

/* One more message: false when there is no room for it. */
bool budget_take(struct budget *b, uint64_t now);
/* It is used up, with so many messages unread: true when that is a flood. */
bool budget_flooded(struct budget *b, size_t unread, uint64_t now);

#endif
