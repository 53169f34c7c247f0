/* SPDX-License-Identifier: MIT */
/*
 * Does a worker keep to its gate and its lease? What the far end says that it used against what it
 * was entitled to. Pure: times come in.
 *
 * An honest worker must never be found guilty, so every inaccuracy counts in its favour:
 * - The far end's numbers are about the past, entitlement is known up to now: what it was entitled
 *   to between the two is kept as credit.
 * - Percentages are rounded and clocks are read a little apart: a thirtieth of the time is let go.
 * - What is left must add up to JUDGE_LIMIT_NS before it counts.
 * - Memory is compared with the most that was leased around the time at which it was read, and
 *   must be too much several times in a row.
 * Who uses the whole GPU without right is so found after about JUDGE_LIMIT_NS, who uses a fifth of
 * it after about half a second, and who stays below a thirtieth is charged, no more.
 */
#ifndef PVGPU_JUDGE_H
#define PVGPU_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JUDGE_LIMIT_NS  75000000ll
#define JUDGE_MEMORY_N  3u
#define JUDGE_MEMORY_NS 200000000ull
#define JUDGE_EPOCH_NS  100000000ull

struct judge {
	bool started;
	uint64_t start_ns;  /* what was used before is not looked at */
	uint64_t entitled;  /* at the last step */
	int64_t excess_ns;  /* negative: credit */
	uint64_t since_ns;  /* when it last was none */
	uint64_t used_ns;   /* since then */
	uint64_t begin_ent; /* what it was entitled to by then */
	/* Leases: the most in this epoch and in the one before, and when they began. */
	uint64_t high[2], epoch_ns[2];
	unsigned int over; /* readings in a row that were too much */
	uint64_t over_ns;  /* when the first of them was made */
};

/* A worker used the GPU for busy_ns of begin_ns to end_ns; at now it had been entitled to so much
 * since its start. True: it cheats, and why says how. */
bool judge_use(struct judge *j, uint64_t begin_ns, uint64_t end_ns, uint64_t busy_ns,
	       uint64_t entitled, uint64_t now, char *why, size_t cap);
/* Before a lease becomes less, and whenever one likes. */
void judge_lease(struct judge *j, uint64_t leased, uint64_t now);
/* At at_ns it had so much memory; allowance is what it may have beside its lease. */
bool judge_memory(struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t leased,
		  uint64_t allowance, uint64_t now, char *why, size_t cap);

#endif
