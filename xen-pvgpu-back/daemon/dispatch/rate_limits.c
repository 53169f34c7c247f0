/* SPDX-License-Identifier: MIT */
/*
 * Rate limits of a vGPU over all its sessions. pvgpud has the token bucket and gives each worker an
 * allowance up to which it may count; the worker rings when that is used up. Unused allowances are
 * at most half of the burst and the bucket holds the other half, so that a vGPU never exceeds its
 * burst. Allowances are given for at least a hundredth of a second, so that a throttled vGPU costs
 * 100 wake-ups a second.
 *
 * A small burst costs more, but never more than 1,000 wake-ups a second for all vGPUs of a pool
 * together, whatever workers report: all are served at the same ticks. Therefore each half of a
 * burst is at least one tick's income, and the bucket holds another tick's, so that it does not
 * overflow while it waits for the tick.
 */

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define STEP        100u /* refills in a second */
#define TICK_NS     1000000u

#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

static uint64_t at_least_one(uint64_t n)
{
	return n ? n : 1;
}

static uint64_t of_a_tick(uint64_t per_s)
{
	return per_s / (1000000000u / TICK_NS) + 1;
}

static void set_limit(struct limit *l, uint64_t per_s, uint64_t burst, uint64_t now)
{
	uint64_t tick = of_a_tick(per_s);
	bool had = l->per_s != 0;

	l->per_s = per_s;
	l->half = (burst ? burst : per_s / 10) / 2;
	l->half = l->half > tick ? l->half : tick;
	if (!per_s)
		return;
	if (had)
		rate_set(&l->rate, per_s, l->half + tick, now);
	else
		rate_init(&l->rate, per_s, l->half + tick, now);
}

/* The most of an allowance that a session may hold unused. */
static uint64_t portion(const struct tenant *t, const struct limit *l)
{
	return at_least_one(l->half / (t->gate_n ? t->gate_n : 1));
}

/* Refills one of a gate's two allowances, of which `used` is used. Returns when to look again;
 * SCHED_NEVER: the worker rings. */
static uint64_t refill(struct tenant *t, struct limit *l, uint64_t *word, uint64_t *allowed,
		       uint64_t used, uint64_t now, bool *more)
{
	uint64_t step = at_least_one(l->per_s / STEP), want = portion(t, l), got;

	if (!l->per_s) {
		if (*allowed != PVGPU_GATE_NO_LIMIT) {
			*allowed = PVGPU_GATE_NO_LIMIT;
			STORE(word, *allowed);
			*more = true;
		}
		return SCHED_NEVER;
	}
	if (*allowed == PVGPU_GATE_NO_LIMIT)
		*allowed = used;
	if (used < *allowed)
		return SCHED_NEVER;
	step = step < want ? step : want;
	if (rate_when(&l->rate, step, now) > now)
		return rate_when(&l->rate, step, now);
	got = rate_take(&l->rate, want, now);
	/* Use beyond the allowance (the end of a large copy) is subtracted from the next one. */
	*allowed += got;
	if (*allowed <= used)
		return rate_when(&l->rate, step, now);
	STORE(word, *allowed);
	*more = true;
	return SCHED_NEVER;
}

uint64_t rate_limits_run(struct tenant *t, uint64_t now)
{
	uint64_t again = SCHED_NEVER, when;
	bool throttled = false, more;
	struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		more = false;
		when = refill(t, &t->commands, &g->word->commands, &g->commands, g->last.commands,
			      now, &more);
		again = when < again ? when : again;
		when = refill(t, &t->bytes, &g->word->bytes, &g->bytes, g->last.copy_bytes, now,
			      &more);
		again = when < again ? when : again;
		if (more && gate_sleeps(g))
			gate_ring(g);
		throttled |= g->last.wants && rate_limits_used_up(g);
	}
	if (again != SCHED_NEVER)
		again = (again + TICK_NS - 1) / TICK_NS * TICK_NS;
	t->limits_at = again;
	if (again < t->s->limits_at)
		t->s->limits_at = again;
	if (throttled != t->throttled) {
		if (t->throttled) {
			t->count->throttled_ns += now - t->throttled_at;
			t->count->rate_ns += now - t->throttled_at;
		}
		t->throttled_at = now;
		t->throttled = throttled;
	}
	return again;
}

bool rate_limits_used_up(const struct gate *g)
{
	return (g->commands != PVGPU_GATE_NO_LIMIT && g->last.commands >= g->commands) ||
	       (g->bytes != PVGPU_GATE_NO_LIMIT && g->last.copy_bytes >= g->bytes);
}

void rate_limits_join(struct gate *g, uint64_t now)
{
	struct tenant *t = g->tenant;

	g->commands = g->bytes = PVGPU_GATE_NO_LIMIT;
	STORE(&g->word->commands, t->commands.per_s ? 0 : PVGPU_GATE_NO_LIMIT);
	STORE(&g->word->bytes, t->bytes.per_s ? 0 : PVGPU_GATE_NO_LIMIT);
	rate_limits_run(t, now);
}

void rate_limits_based(struct gate *g, const struct pvgpu_gate_report *r)
{
	if (g->commands != PVGPU_GATE_NO_LIMIT)
		g->commands = r->commands;
	if (g->bytes != PVGPU_GATE_NO_LIMIT)
		g->bytes = r->copy_bytes;
}

void rate_limits_set(struct tenant *t, uint64_t now)
{
	const struct tenant_policy *p = &t->policy;

	set_limit(&t->commands, p->commands_per_s, p->commands_burst, now);
	set_limit(&t->bytes, p->bytes_per_s, p->bytes_burst, now);
}
