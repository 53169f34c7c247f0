/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/rate.h"

#define NS_PER_S 1000000000u

typedef unsigned __int128 wide;

/* The tokens in the bucket at a time; *rest: the fraction of a token. */
static uint64_t level(const struct rate *r, uint64_t now, uint64_t *rest)
{
	wide grown = (wide)(now > r->at ? now - r->at : 0) * r->per_s + r->rest;

	if (r->tokens >= r->burst || grown / NS_PER_S >= r->burst - r->tokens) {
		*rest = 0; /* full: further income is lost */
		return r->burst;
	}
	*rest = (uint64_t)(grown % NS_PER_S);
	return r->tokens + (uint64_t)(grown / NS_PER_S);
}

static void refill(struct rate *r, uint64_t now)
{
	r->tokens = level(r, now, &r->rest);
	if (now > r->at)
		r->at = now;
}

void rate_init(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now)
{
	*r = (struct rate){.per_s = per_s, .burst = burst ? burst : 1, .at = now};
	r->tokens = r->burst;
}

void rate_set(struct rate *r, uint64_t per_s, uint64_t burst, uint64_t now)
{
	refill(r, now);
	r->per_s = per_s;
	r->burst = burst ? burst : 1;
	if (r->tokens >= r->burst) {
		r->tokens = r->burst;
		r->rest = 0;
	}
}

uint64_t rate_take(struct rate *r, uint64_t n, uint64_t now)
{
	if (!r->per_s)
		return n;
	refill(r, now);
	if (n > r->tokens)
		n = r->tokens;
	r->tokens -= n;
	return n;
}

void rate_give(struct rate *r, uint64_t n)
{
	r->tokens = n < r->burst - r->tokens ? r->tokens + n : r->burst;
}

uint64_t rate_when(const struct rate *r, uint64_t n, uint64_t now)
{
	uint64_t rest, have = level(r, now, &rest);
	wide ns, from = now > r->at ? now : r->at;

	if (n > r->burst)
		n = r->burst;
	if (!r->per_s || have >= n)
		return now;
	ns = ((wide)(n - have) * NS_PER_S - rest + r->per_s - 1) / r->per_s;
	return from + ns < UINT64_MAX ? (uint64_t)(from + ns) : UINT64_MAX;
}
