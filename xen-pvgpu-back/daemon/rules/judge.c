/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/judge.h"

#include <inttypes.h>
#include <stdio.h>

#define LAG_MAX_NS 5000000000ull /* older numbers are ignored */
#define SLACK      30u           /* one part in 30 is tolerated */
#define MS         1000000u

static void restart(struct judge *j, uint64_t entitled, uint64_t now)
{
	j->started = true;
	j->start_ns = now;
	j->entitled = entitled;
	j->excess_ns = 0;
	j->since_ns = 0;
}

bool judge_use(struct judge *j, uint64_t begin_ns, uint64_t end_ns, uint64_t busy_ns,
	       uint64_t entitled, uint64_t now, char *why, size_t cap)
{
	uint64_t span = end_ns - begin_ns, lag = now > end_ns ? now - end_ns : 0;
	int64_t granted, credit;

	if (!j->started)
		restart(j, entitled, now);
	if (begin_ns < j->start_ns || end_ns < begin_ns)
		return false;
	if (lag > LAG_MAX_NS) {
		restart(j, entitled, now);
		return false;
	}
	granted = (int64_t)(entitled - j->entitled);
	j->entitled = entitled;
	busy_ns = busy_ns < span ? busy_ns : span;
	j->excess_ns += (int64_t)busy_ns - granted - (int64_t)(span / SLACK);
	credit = (int64_t)lag;
	if (granted > (int64_t)busy_ns)
		credit += granted - (int64_t)busy_ns;
	if (j->excess_ns < -credit)
		j->excess_ns = -credit;
	if (j->excess_ns <= 0) {
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
			 "issued GPU work with its gate closed: used the GPU for %" PRId64
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
