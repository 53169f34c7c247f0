/* SPDX-License-Identifier: MIT */
/*
 * Does a worker keep to its gate and its lease? Compares the use that the driver reports with the
 * worker's entitlement. Pure: times are arguments.
 *
 * An honest worker must never be found guilty, so every inaccuracy counts in its favour:
 * - The driver's numbers are about the past, the entitlement is known up to now.
 * - Use may be reported up to JUDGE_LATE_NS late: the thread that keeps the account is starved of
 *   CPU between a kernel's begin and its record.
 *   So use in a period may be of any time from JUDGE_LATE_NS before the period's begin until now,
 *   and it takes the oldest entitlement of that time first: where use fits the entitlement in any
 *   way, it does so in this one. Older entitlement lapses. A worker that uses entitlement outside
 * its turns has no more than its turns were.
 * - Percentages are rounded and clocks are read a little apart: a thirtieth of the time is
 *   tolerated.
 * - The rest must add up to JUDGE_LIMIT_NS before it counts.
 * - Memory is compared with the largest lease around the time of the reading, and must exceed it
 *   several times in a row.
 *
 * So a worker that uses the whole GPU without right is found after about JUDGE_LIMIT_NS, one that
 * uses a fifth of it after about half a second. One that stays below a thirtieth is only charged.
 */
#ifndef PVGPU_JUDGE_H
#define PVGPU_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JUDGE_LIMIT_NS  75000000ull
#define JUDGE_LATE_NS   200000000ull
#define JUDGE_COARSE_NS 3000000000ull
#define JUDGE_TURNS     16u
#define JUDGE_MEMORY_N  3u
#define JUDGE_MEMORY_NS 200000000ull
#define JUDGE_EPOCH_NS  100000000ull

/* The unused entitlement of some time. */
struct judge_turn {
	uint64_t begin_ns, end_ns, left_ns;
};

struct judge {
	bool started;
	uint64_t start_ns;                   /* use before this is ignored */
	uint64_t entitled;                   /* total at the last sample */
	uint64_t now_ns;                     /* time of the last sample */
	struct judge_turn turn[JUDGE_TURNS]; /* the oldest first */
	unsigned int turns;
	uint64_t excess_ns; /* use that was not entitled */
	uint64_t since_ns;  /* when the excess began; 0: none */
	uint64_t used_ns;   /* GPU time since since_ns */
	uint64_t begin_ent; /* entitlement at since_ns */
	uint64_t grown;     /* entitlement that judge_credible() has seen last, */
	uint64_t grown_ns;  /* and when it had grown */
	/* The largest lease in this epoch and in the one before, and when each began. */
	uint64_t high[2], epoch_ns[2];
	unsigned int over; /* readings in a row above the limit */
	uint64_t over_ns;  /* time of the first of these */
};

/*
 * Return busy_ns, which the driver reports from begin_ns on, if it proves anything where the
 * numbers are coarse. NVIDIA's are: an H200 gives each of two processes that take turns of some ms
 * up to 99 % of a period (docs/gpu.md). So use counts only of a worker that had no right to any for
 * JUDGE_COARSE_NS before; 0 otherwise.
 */
uint64_t judge_credible(struct judge *j, uint64_t begin_ns, uint64_t busy_ns, uint64_t entitled,
			uint64_t now);
/* A worker used the GPU for busy_ns between begin_ns and end_ns; `entitled` is its total
 * entitlement at `now`. True: the worker cheats, and why says how. */
bool judge_use(struct judge *j, uint64_t begin_ns, uint64_t end_ns, uint64_t busy_ns,
	       uint64_t entitled, uint64_t now, char *why, size_t cap);
/* Records the current lease. To be called before a lease shrinks. */
void judge_lease(struct judge *j, uint64_t leased, uint64_t now);
/* The bytes that the worker had at at_ns beyond the largest lease around that time; false: not
 * known. To be called after judge_lease. */
bool judge_beyond(const struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t *beyond);
/* The worker had `memory` bytes at at_ns. allowance: bytes that it may have beside its lease. */
bool judge_memory(struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t leased,
		  uint64_t allowance, uint64_t now, char *why, size_t cap);
/* The same for all workers of a vGPU together, which may have `may` bytes. */
bool judge_total(struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t may, uint64_t allowance,
		 uint64_t now);

#endif
