/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/ledger.h"

#include <errno.h>

static void count_peak(struct ledger *l)
{
	if (ledger_used(l) > l->peak)
		l->peak = ledger_used(l);
}

uint64_t ledger_free(const struct ledger *l)
{
	const uint64_t used = ledger_used(l);

	return used < l->quota ? l->quota - used : 0;
}

void ledger_measured(struct ledger *l, uint64_t *beyond, uint64_t bytes)
{
	l->beyond -= *beyond;
	/* The driver's numbers are far below, but the sum must not wrap. */
	if (bytes > UINT64_MAX - l->beyond)
		bytes = UINT64_MAX - l->beyond;
	l->beyond += bytes;
	*beyond = bytes;
	count_peak(l);
}

bool ledger_take(struct ledger *l, uint64_t *leased, uint64_t bytes)
{
	if (bytes > ledger_free(l))
		return false;
	l->used += bytes;
	*leased += bytes;
	count_peak(l);
	return true;
}

int ledger_give(struct ledger *l, uint64_t *leased, uint64_t bytes)
{
	if (bytes > *leased)
		return -EPROTO;
	*leased -= bytes;
	l->used -= bytes;
	return 0;
}

int ledger_park(struct ledger *l, uint64_t *leased, uint64_t *parked, uint64_t bytes)
{
	if (bytes > *leased)
		return -EPROTO;
	*leased -= bytes;
	*parked += bytes;
	l->parked += bytes;
	return 0;
}

void ledger_resume(struct ledger *l, uint64_t *leased, uint64_t *parked)
{
	*leased += *parked;
	l->parked -= *parked;
	*parked = 0;
}

void ledger_end(struct ledger *l, uint64_t *leased)
{
	l->used -= *leased;
	*leased = 0;
}

void ledger_adopt(struct ledger *l, uint64_t *leased, uint64_t bytes)
{
	/* A damaged record cannot make the sum wrap. */
	if (bytes > UINT64_MAX - l->used)
		bytes = UINT64_MAX - l->used;
	l->used += bytes;
	*leased += bytes;
	count_peak(l);
}
