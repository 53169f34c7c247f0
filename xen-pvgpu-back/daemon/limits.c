/* SPDX-License-Identifier: MIT */
/*
 * Rate limits of a vGPU, spread over its sessions: the token bucket is pvgpud's, and a worker gets
 * an allowance from it, up to which it may count. It rings when it has used that up. What workers
 * have in hand and not used is at most half of the burst, the bucket holds the other half, so that
 * a vGPU never has more than its burst at once; it gets allowances a hundredth of a second's worth
 * at a time, so that one that is held back costs 100 wake-ups a second.
 *
 * With a small burst it costs more, but whatever is set, and whatever a worker says, that is not
 * more than 1,000, for all vGPUs of a pool together: all are looked at at the same ticks. For that
 * each half of a burst is at least what comes in a tick, and the bucket holds what comes in another
 * one, so that nothing runs over while it waits for that.
 */
#include "xen-pvgpu-back/daemon/schedule_state.h"

#define STEP        100u /* of a second */
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

/* What a session may have in hand. */
static uint64_t portion(const struct seat *t, const struct limit *l)
{
	return at_least_one(l->half / (t->gate_n ? t->gate_n : 1));
}

/*
 * One of a gate's two allowances: it has counted `used`. When to look again; SCHED_NEVER: it rings
 * when it needs more.
 */
static uint64_t refill(struct seat *t, struct limit *l, uint64_t *word, uint64_t *allowed,
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
	/* What it has gone beyond (the end of a large copy) is owed: it comes off what follows. */
	*allowed += got;
	if (*allowed <= used)
		return rate_when(&l->rate, step, now);
	STORE(word, *allowed);
	*more = true;
	return SCHED_NEVER;
}

uint64_t limits_run(struct seat *t, uint64_t now)
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
		throttled |= g->last.wants && limits_used_up(g);
	}
	if (again != SCHED_NEVER)
		again = (again + TICK_NS - 1) / TICK_NS * TICK_NS;
	t->limits_at = again;
	if (again < t->s->limits_at)
		t->s->limits_at = again;
	if (throttled != t->throttled) {
		if (t->throttled)
			t->count->throttled_ns += now - t->throttled_at;
		t->throttled_at = now;
		t->throttled = throttled;
	}
	return again;
}

bool limits_used_up(const struct gate *g)
{
	return (g->commands != PVGPU_GATE_NO_LIMIT && g->last.commands >= g->commands) ||
	       (g->bytes != PVGPU_GATE_NO_LIMIT && g->last.copy_bytes >= g->bytes);
}

void limits_join(struct gate *g, uint64_t now)
{
	struct seat *t = g->seat;

	g->commands = g->bytes = PVGPU_GATE_NO_LIMIT;
	STORE(&g->word->commands, t->commands.per_s ? 0 : PVGPU_GATE_NO_LIMIT);
	STORE(&g->word->bytes, t->bytes.per_s ? 0 : PVGPU_GATE_NO_LIMIT);
	limits_run(t, now);
}

void limits_based(struct gate *g, const struct pvgpu_gate_report *r)
{
	if (g->commands != PVGPU_GATE_NO_LIMIT)
		g->commands = r->commands;
	if (g->bytes != PVGPU_GATE_NO_LIMIT)
		g->bytes = r->copy_bytes;
}

void limits_set(struct seat *t, uint64_t now)
{
	const struct seat_policy *p = &t->policy;

	set_limit(&t->commands, p->commands_per_s, p->commands_burst, now);
	set_limit(&t->bytes, p->bytes_per_s, p->bytes_burst, now);
}
