/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/budget.h"

#define EACH_NS (1000000000u / BUDGET_A_SECOND)

bool budget_take(struct budget *b, uint64_t now)
{
	const uint64_t burst = (uint64_t)BUDGET_BURST * EACH_NS;

	if (now > burst && b->since < now - burst)
		b->since = now - burst;
	if (b->since + EACH_NS > now)
		return false;
	b->since += EACH_NS;
	return true;
}

bool budget_flooded(struct budget *b, size_t unread, uint64_t now)
{
	const uint64_t gap = now - b->at, most = 2ull * BUDGET_PAUSE_NS;
	const uint64_t added = unread < BUDGET_UNREAD ? 0 : gap < most ? gap : most;
	const uint64_t gone = added ? gap - added : gap;

	b->at = now;
	b->over = added + (b->over > gone ? b->over - gone : 0);
	return b->over >= BUDGET_OVER_NS;
}
