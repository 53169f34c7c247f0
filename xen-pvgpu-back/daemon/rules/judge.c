/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LAG_MAX_NS 5000000000ull /* older numbers are ignored */
#define SLACK      30u           /* one part in 30 is tolerated */
#define MS         1000000u

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The entitlement of a time that ends at `now`. Times are joined where all would not fit. */
static void give(struct judge *j, uint64_t ns, uint64_t lag, uint64_t now)
{
	struct judge_turn *last = &j->turn[j->turns ? j->turns - 1 : 0];
	const uint64_t apart = (lag + JUDGE_LATE_NS) / (JUDGE_TURNS / 2);

	if (!j->turns || (now - last->begin_ns > apart && j->turns < JUDGE_TURNS)) {
		last = &j->turn[j->turns++];
		last->begin_ns = j->now_ns;
		last->left_ns = 0;
	}
	last->left_ns += ns;
	last->end_ns = now;
	j->now_ns = now;
}

/* Entitlement that ended at `at` or before is not used any more. */
static void expire(struct judge *j, uint64_t at)
{
	unsigned int n = 0;

	while (n < j->turns && j->turn[n].end_ns <= at)
		n++;
	j->turns -= n;
	memmove(j->turn, j->turn + n, j->turns * sizeof(j->turn[0]));
}

/* The part of `ns` that is not entitled: the oldest entitlement goes first. */
static uint64_t spend(struct judge *j, uint64_t ns)
{
	for (unsigned int i = 0; i < j->turns && ns; i++) {
		const uint64_t part = least(ns, j->turn[i].left_ns);

		j->turn[i].left_ns -= part;
		ns -= part;
	}
	return ns;
}

/* The worker is judged from here on. Use of the time before may still show. */
static void restart(struct judge *j, uint64_t span, uint64_t lag, uint64_t entitled, uint64_t now)
{
	const uint64_t before = entitled > j->entitled ? entitled - j->entitled : 0;

	j->started = true;
	j->start_ns = j->now_ns = now;
	j->entitled = entitled;
	j->excess_ns = 0;
	j->since_ns = 0;
	j->turns = 0;
	give(j, least(before, least(span, LAG_MAX_NS) + least(lag, LAG_MAX_NS) + JUDGE_LATE_NS),
	     lag, now);
}

/* The excess after a period. */
static void add(struct judge *j, uint64_t span, uint64_t busy, int64_t granted, uint64_t lag,
		uint64_t now)
{
	const uint64_t shrunk = granted < 0 ? (uint64_t)-granted : 0;
	uint64_t excess;

	give(j, granted > 0 ? (uint64_t)granted : 0, lag, now);
	excess = spend(j, j->excess_ns + busy + shrunk);
	j->excess_ns = excess - least(excess, span / SLACK);
}

uint64_t judge_credible(struct judge *j, uint64_t begin_ns, uint64_t busy_ns, uint64_t entitled,
			uint64_t now)
{
	if (!j->grown_ns || entitled != j->grown) {
		j->grown = entitled;
		j->grown_ns = now;
	}
	return begin_ns > j->grown_ns + JUDGE_COARSE_NS ? busy_ns : 0;
}

bool judge_use(struct judge *j, uint64_t begin_ns, uint64_t end_ns, uint64_t busy_ns,
	       uint64_t entitled, uint64_t now, char *why, size_t cap)
{
	uint64_t span = end_ns - begin_ns, lag = now > end_ns ? now - end_ns : 0;
	int64_t granted;

	if (end_ns < begin_ns)
		return false;
	busy_ns = least(busy_ns, span);
	if (!j->started || (begin_ns >= j->start_ns && lag > LAG_MAX_NS)) {
		restart(j, span, lag, entitled, now);
		spend(j, busy_ns);
		return false;
	}
	granted = (int64_t)(entitled - j->entitled);
	j->entitled = entitled;
	expire(j, begin_ns - least(begin_ns, JUDGE_LATE_NS));
	add(j, span, busy_ns, granted, lag, now);
	/* Of a part of the period the entitlement is not known. */
	if (begin_ns < j->start_ns)
		j->excess_ns = 0;
	if (!j->excess_ns) {
		j->since_ns = 0;
		return false;
	}
	if (!j->since_ns) {
		j->since_ns = begin_ns;
		j->used_ns = 0;
		j->begin_ent = entitled - (uint64_t)granted;
	}
	j->used_ns += busy_ns;
	if (j->excess_ns <= JUDGE_LIMIT_NS)
		return false;
	if (granted < 0) {
		/* The entitlement shrank: an earlier drain turned out to be a false report. */
		snprintf(why, cap,
			 "issued GPU work with its gate closed: used the GPU for %" PRIu64
			 " ms without right",
			 j->excess_ns / MS);
		return true;
	}
	granted = (int64_t)(entitled - j->begin_ent);
	snprintf(why, cap,
		 "used the GPU for %" PRIu64 " ms of %" PRIu64 " ms with its gate open for %" PRId64
		 " ms",
		 j->used_ns / MS, (end_ns - j->since_ns) / MS, granted > 0 ? granted / MS : 0);
	return true;
}

void judge_lease(struct judge *j, uint64_t leased, uint64_t now)
{
	if (now >= j->epoch_ns[0] + JUDGE_EPOCH_NS || !j->epoch_ns[0]) {
		j->high[1] = j->high[0];
		j->epoch_ns[1] = j->epoch_ns[0];
		j->high[0] = 0;
		j->epoch_ns[0] = now;
	}
	if (leased > j->high[0])
		j->high[0] = leased;
}

bool judge_beyond(const struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t *beyond)
{
	const uint64_t may = j->high[0] > j->high[1] ? j->high[0] : j->high[1];

	/* Without both epochs the lease at the time of the reading is not known. */
	if (!j->epoch_ns[1] || at_ns < j->epoch_ns[1])
		return false;
	*beyond = memory > may ? memory - may : 0;
	return true;
}

bool judge_total(struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t may, uint64_t allowance,
		 uint64_t now)
{
	uint64_t beyond;

	judge_lease(j, may, now);
	if (!judge_beyond(j, at_ns, memory, &beyond))
		return false;
	if (beyond <= allowance) {
		j->over = 0;
		return false;
	}
	if (!j->over++)
		j->over_ns = at_ns;
	return j->over >= JUDGE_MEMORY_N && at_ns >= j->over_ns + JUDGE_MEMORY_NS;
}

bool judge_memory(struct judge *j, uint64_t at_ns, uint64_t memory, uint64_t leased,
		  uint64_t allowance, uint64_t now, char *why, size_t cap)
{
	uint64_t may;

	if (!judge_total(j, at_ns, memory, leased, allowance, now))
		return false;
	may = j->high[0] > j->high[1] ? j->high[0] : j->high[1];
	snprintf(why, cap,
		 "has %" PRIu64 " MiB of device memory, of which it leased %" PRIu64
		 " MiB (%" PRIu64 " MiB more are tolerated)",
		 memory >> 20, may >> 20, allowance >> 20);
	return true;
}
