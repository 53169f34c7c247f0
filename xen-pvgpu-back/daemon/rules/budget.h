/* SPDX-License-Identifier: MIT */
/*
 * Budgets for the work that others ask of pvgpud: a burst, and a rate. Work beyond that waits until
 * the budget has refilled. A sender whose work waits for `over_ns` more than it does not wait is
 * flooding. Numbers in, a verdict out; times are ns of one clock.
 */
#ifndef PVGPU_BUDGET_H
#define PVGPU_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget_rule {
	uint32_t burst, a_second; /* units */
	uint32_t pause_ns;        /* used up: it is asked again after this time */
	uint64_t over_ns;
};

/*
 * Messages of a worker on its control socket. They stay unread in the socket. An honest worker
 * waits for its answers, so it never has many messages unread.
 */
extern const struct budget_rule budget_worker;
#define BUDGET_UNREAD 64u /* messages: more are many */

struct budget {
	uint64_t since; /* when it was full, or would have been; 0: never used */
	uint64_t over;  /* time with work waiting, less the time without */
	uint64_t at;    /* when `over` was updated */
};

/* n more units, at most a burst: false when there is no room for them, and nothing is taken. */
bool budget_take(struct budget *b, const struct budget_rule *r, uint32_t n, uint64_t now);
/* It is used up, and work waits or does not: true when that is a flood. */
bool budget_flooded(struct budget *b, const struct budget_rule *r, bool waits, uint64_t now);

#endif
