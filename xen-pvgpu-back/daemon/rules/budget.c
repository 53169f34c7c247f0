/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/budget.h"

const struct budget_rule budget_worker = {
	.burst = 8192, .a_second = 4096, .pause_ns = 20000000, .over_ns = 5000000000ull};

bool budget_take(struct budget *b, const struct budget_rule *r, uint32_t n, uint64_t now)
{
	const uint64_t each = 1000000000u / r->a_second, burst = r->burst * each;

	if (now > burst && b->since < now - burst)
		b->since = now - burst;
	if (b->since + n * each > now)
		return false;
	b->since += n * each;
	return true;
}

bool budget_flooded(struct budget *b, const struct budget_rule *r, bool waits, uint64_t now)
{
	const uint64_t gap = now - b->at, most = 2ull * r->pause_ns;
	const uint64_t added = !waits ? 0 : gap < most ? gap : most;
	const uint64_t gone = added ? gap - added : gap;

	b->at = now;
	b->over = added + (b->over > gone ? b->over - gone : 0);
	return b->over >= r->over_ns;
}
