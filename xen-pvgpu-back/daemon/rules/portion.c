/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/portion.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? 0 : a - b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void portion_other(struct portion_sum *s, const struct portion_rule *r, uint64_t has)
{
	s->used += has;
	s->owed += less(r->each, has);
}

uint64_t portion_room(const struct portion_sum *others, const struct portion_rule *r, uint64_t has,
		      uint64_t kept)
{
	const uint64_t most = r->most ? r->most : r->total;
	const uint64_t unused = less(r->total, others->used + has);
	const uint64_t own = less(r->each, has);
	const uint64_t surplus = less(unused, others->owed + own);
	const uint64_t room = own + less(surplus, kept);

	/* The total was lowered, or sessions of a former pvgpud have more: no vGPU gets what is not
	 * there. */
	return least(least(room, unused), less(most, has));
}

bool portion_fits(const struct portion_rule *r, uint64_t n)
{
	return !r->each || n <= r->total / r->each;
}
