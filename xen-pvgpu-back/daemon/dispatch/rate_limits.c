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
 *
 * The vGPUs of a group may have limits together (struct rates). The tokens of such a bucket are
 * divided among the vGPUs that wait for them, so that none goes away empty because it is looked at
 * last.
 */

#include <stdlib.h>

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

/* The most of an allowance that one of so many sessions may hold unused. */
static uint64_t portion(const struct limit *l, unsigned int sessions)
{
	return at_least_one(l->half / (sessions ? sessions : 1));
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t commands_used(const struct pvgpu_gate_report *r)
{
	return r->commands < UINT64_MAX - r->nodes ? r->commands + r->nodes : UINT64_MAX;
}

/* When a hundredth of a second's rate is in the bucket. */
static uint64_t due(const struct limit *l, unsigned int sessions, uint64_t now)
{
	const uint64_t step = at_least_one(l->per_s / STEP);

	return rate_when(&l->rate, least(step, portion(l, sessions)), now);
}

/* ---- limits of a group ---- */

static struct from_group *part_of(struct tenant *t, const struct limit *l)
{
	return l == &t->rates->commands ? &t->group_commands : &t->group_bytes;
}

static void stop_waiting(struct limit *l, struct from_group *part)
{
	l->waiting -= part->waits;
	part->waits = false;
}

/* Divides what is in the bucket among the members that wait; the next time they are behind others.
 */
static void divide(struct rates *r, struct limit *l, uint64_t now)
{
	uint64_t have = rate_take(&l->rate, UINT64_MAX, now);
	const uint64_t share = at_least_one(have / l->waiting);
	struct tenant *m, *next;

	for (m = TAILQ_FIRST(&r->members); m && l->waiting && have; m = next) {
		struct from_group *part = part_of(m, l);

		next = TAILQ_NEXT(m, rates_link);
		if (!part->waits)
			continue;
		part->tokens = least(least(share, have), portion(l, r->gate_n) * m->gate_n);
		have -= part->tokens;
		stop_waiting(l, part);
		TAILQ_REMOVE(&r->members, m, rates_link);
		TAILQ_INSERT_TAIL(&r->members, m, rates_link);
	}
	rate_give(&l->rate, have);
}

/* Returns when the vGPU has tokens of its group's, `now` if it has. */
static uint64_t ask_group(struct tenant *t, struct limit *l, uint64_t now)
{
	struct from_group *part = part_of(t, l);
	struct rates *r = t->rates;
	uint64_t when;

	if (part->tokens)
		return now;
	l->waiting += !part->waits;
	part->waits = true;
	when = due(l, r->gate_n, now);
	if (when > now)
		return when;
	divide(r, l, now);
	return part->tokens ? now : due(l, r->gate_n, now);
}

void rate_limits_gone(struct tenant *t)
{
	struct rates *r = t->rates;

	if (!r)
		return;
	stop_waiting(&r->commands, &t->group_commands);
	stop_waiting(&r->bytes, &t->group_bytes);
	t->group_commands = t->group_bytes = (struct from_group){0};
	r->gate_n -= t->gate_n;
	TAILQ_REMOVE(&r->members, t, rates_link);
	t->rates = NULL;
}

/* ---- allowances ---- */

/* One of a gate's two. */
struct allowance {
	struct limit *own, *group; /* group NULL: there is none */
	uint64_t *word, *allowed;
	uint64_t used;
};

static struct limit *in_force(struct limit *l)
{
	return l->per_s ? l : NULL;
}

/* When the next part of an allowance can be given. */
static uint64_t next_part(const struct tenant *t, const struct allowance *a, uint64_t now)
{
	uint64_t own = due(a->own, t->gate_n, now);
	uint64_t group = a->group ? due(a->group, t->rates->gate_n, now) : now;

	return own > group ? own : group;
}

/* Refills an allowance that is used up. Returns when to look again; SCHED_NEVER: the worker rings.
 */
static uint64_t refill(struct tenant *t, const struct allowance *a, uint64_t now, bool *more)
{
	uint64_t when, want = UINT64_MAX, got;

	if (!a->own->per_s && !a->group) {
		if (*a->allowed != PVGPU_GATE_NO_LIMIT) {
			*a->allowed = PVGPU_GATE_NO_LIMIT;
			STORE(a->word, *a->allowed);
			*more = true;
		}
		return SCHED_NEVER;
	}
	if (*a->allowed == PVGPU_GATE_NO_LIMIT) {
		*a->allowed = a->used;
		STORE(a->word, *a->allowed);
	}
	if (a->used < *a->allowed)
		return SCHED_NEVER;
	when = due(a->own, t->gate_n, now);
	if (when > now)
		return when;
	if (a->own->per_s)
		want = portion(a->own, t->gate_n);
	if (a->group) {
		when = ask_group(t, a->group, now);
		if (when > now)
			return when;
		want = least(want, portion(a->group, t->rates->gate_n));
		want = least(want, part_of(t, a->group)->tokens);
	}
	got = rate_take(&a->own->rate, want, now);
	if (a->group)
		part_of(t, a->group)->tokens -= got;
	/* Use beyond the allowance (the end of a large copy) is subtracted from the next one. */
	*a->allowed += got;
	if (*a->allowed <= a->used)
		return next_part(t, a, now);
	STORE(a->word, *a->allowed);
	*more = true;
	return SCHED_NEVER;
}

/* Both of a gate's. Returns when to look again. */
static uint64_t refill_gate(struct tenant *t, struct gate *g, uint64_t now, bool *more)
{
	struct rates *r = t->rates;
	const struct allowance commands = {
		.own = &t->commands,
		.group = r ? in_force(&r->commands) : NULL,
		.word = &g->word->commands,
		.allowed = &g->commands,
		.used = commands_used(&g->last),
	};
	const struct allowance bytes = {
		.own = &t->bytes,
		.group = r ? in_force(&r->bytes) : NULL,
		.word = &g->word->bytes,
		.allowed = &g->bytes,
		.used = g->last.copy_bytes,
	};
	uint64_t when = refill(t, &commands, now, more);

	return least(when, refill(t, &bytes, now, more));
}

uint64_t rate_limits_run(struct tenant *t, uint64_t now)
{
	uint64_t again = SCHED_NEVER;
	unsigned int left = t->gate_n;
	bool throttled = false, more;
	struct gate *g, *next;

	if (t->rates) {
		stop_waiting(&t->rates->commands, &t->group_commands);
		stop_waiting(&t->rates->bytes, &t->group_bytes);
	}
	for (g = TAILQ_FIRST(&t->gates); g && left; g = next, left--) {
		next = TAILQ_NEXT(g, link);
		more = false;
		again = least(again, refill_gate(t, g, now, &more));
		if (more && gate_sleeps(g))
			gate_ring(g);
		throttled |= g->last.wants && rate_limits_used_up(g);
		if (!more)
			continue;
		/* The next time it is behind those that got nothing. */
		TAILQ_REMOVE(&t->gates, g, link);
		TAILQ_INSERT_TAIL(&t->gates, g, link);
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
	return (g->commands != PVGPU_GATE_NO_LIMIT && commands_used(&g->last) >= g->commands) ||
	       (g->bytes != PVGPU_GATE_NO_LIMIT && g->last.copy_bytes >= g->bytes);
}

static bool limited(const struct limit *own, const struct limit *group)
{
	return own->per_s || (group && group->per_s);
}

void rate_limits_join(struct gate *g, uint64_t now)
{
	struct tenant *t = g->tenant;
	struct rates *r = t->rates;
	const bool commands = limited(&t->commands, r ? &r->commands : NULL);
	const bool bytes = limited(&t->bytes, r ? &r->bytes : NULL);

	if (r)
		r->gate_n++;
	g->commands = g->bytes = PVGPU_GATE_NO_LIMIT;
	STORE(&g->word->commands, commands ? 0 : PVGPU_GATE_NO_LIMIT);
	STORE(&g->word->bytes, bytes ? 0 : PVGPU_GATE_NO_LIMIT);
	rate_limits_run(t, now);
}

void rate_limits_leave(struct tenant *t)
{
	if (t->rates)
		t->rates->gate_n--;
}

void rate_limits_based(struct gate *g, const struct pvgpu_gate_report *r)
{
	if (g->commands != PVGPU_GATE_NO_LIMIT)
		g->commands = commands_used(r);
	if (g->bytes != PVGPU_GATE_NO_LIMIT)
		g->bytes = r->copy_bytes;
}

void rate_limits_set(struct tenant *t, uint64_t now)
{
	const struct tenant_policy *p = &t->policy;

	set_limit(&t->commands, p->commands_per_s, p->commands_burst, now);
	set_limit(&t->bytes, p->bytes_per_s, p->bytes_burst, now);
}

/* ---- groups ---- */

struct rates *rates_new(void)
{
	struct rates *r = calloc(1, sizeof(*r));

	if (r)
		TAILQ_INIT(&r->members);
	return r;
}

void rates_free(struct rates *r)
{
	free(r);
}

bool rates_has_members(const struct rates *r)
{
	return !TAILQ_EMPTY(&r->members);
}

/* divide() changes the order of the members: those that are still to be looked at are marked. */
static struct tenant *unseen(struct rates *r)
{
	struct tenant *m;

	TAILQ_FOREACH(m, &r->members, rates_link)
	{
		if (!m->limits_at)
			return m;
	}
	return NULL;
}

void rates_set(struct rates *r, uint64_t commands_per_s, uint64_t bytes_per_s)
{
	uint64_t now = schedule_now();
	struct tenant *m;

	set_limit(&r->commands, commands_per_s, 0, now);
	set_limit(&r->bytes, bytes_per_s, 0, now);
	TAILQ_FOREACH(m, &r->members, rates_link)
	m->limits_at = 0;
	while ((m = unseen(r))) {
		rate_limits_run(m, now);
		schedule_think(m->s);
	}
}

void tenant_rates(struct tenant *t, struct rates *r)
{
	if (t->rates == r)
		return;
	rate_limits_gone(t);
	t->rates = r;
	if (r) {
		TAILQ_INSERT_TAIL(&r->members, t, rates_link);
		r->gate_n += t->gate_n;
	}
	rate_limits_run(t, schedule_now());
	schedule_think(t->s);
}
