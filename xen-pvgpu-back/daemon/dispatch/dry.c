/* SPDX-License-Identifier: MIT */
/*
 * A turn that ends before its holder runs dry. A program that waits for its results has nothing
 * queued behind its last kernel, and a hand-over that begins when that has ended leaves the GPU
 * idle for several wake-ups. The worker of a vGPU that has run dry lately rings once in a turn when
 * nothing is parked any more. From then on the holder is looked at when its work is about to end:
 * if there is still nothing behind it, the next vGPU's gate opens while it ends. Until it has
 * drained, or has work parked again, the former holder does not count as one that wants the GPU.
 */
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

/* A program has had the time to launch what it launches at once. */
#define SETTLED_PER 2u
#define LATELY      0xfu      /* the last four turns */
#define SOON_NS     10000000u /* in which the last work of one that runs dry should have ended */

/* An older worker does not tell, and takes its whole turn. */
static bool all_issued(const struct tenant *t)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (g->last.wants && (g->last.parked || !g->last.issued))
			return false;
	}
	return true;
}

uint64_t tenant_drain_ns(const struct tenant *t)
{
	const struct gate *g;
	uint64_t ns = 0;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		ns += gate_drain_ns(g);
	}
	return ns;
}

uint64_t tenant_drains_in(const struct tenant *t, uint64_t now)
{
	uint64_t ns = tenant_drain_ns(t), since = now, done;
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (g->last.oldest_ns && g->last.oldest_ns < since)
			since = g->last.oldest_ns;
	}
	done = now - since;
	if (!ns)
		return 0;
	return ns > done + OVERDUE_NS ? ns - done : OVERDUE_NS;
}

/* Parked commands are taken to be as long as the session's others were. Work that takes longer than
 * estimated has no known end. */
uint64_t dry_ends_in(const struct tenant *t, uint64_t now)
{
	uint64_t ns = tenant_drains_in(t, now), each;
	const struct gate *g;

	if (ns == OVERDUE_NS)
		return 0;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (!g->last.parked)
			continue;
		each = g->last.commands ? gate_issued_ns(&g->last) / g->last.commands : 0;
		if (!each || g->last.parked > NEVER_NS / each)
			return 0;
		ns += each * g->last.parked;
		if (ns > NEVER_NS)
			return 0;
	}
	return ns;
}

static bool may_end(const struct schedule *s, const struct tenant *t, uint64_t now)
{
	/* Work of two in flight would be in the way of a higher class. Brief ones wait for each
	 * other, and then have turns together. */
	return !schedule_is_below(t) && s->exact && !s->joint && !s->limited_share &&
	       !s->params.exclusive && now - s->given_at >= SETTLED_PER * s->cost_ns &&
	       dry_expected(t) && sched_peers(t->v) && !joint_may(t);
}

static bool ends_soon(const struct tenant *t, uint64_t now)
{
	struct schedule *s = t->s;
	uint64_t left, early;

	s->dry_at = SCHED_NEVER;
	if (!may_end(s, t, now) || !all_issued(t))
		return false;
	left = tenant_drains_in(t, now);
	early = sched_early_dry(s->cost_ns, now - s->given_at + left) + s->late_ns;
	if (left > early)
		s->dry_at = now + left - early;
	return left && left <= early;
}

void dry_turn(struct tenant *t, bool ran_dry)
{
	t->dry_turns = t->dry_turns << 1 | ran_dry;
}

bool dry_expected(const struct tenant *t)
{
	return t->dry_turns & LATELY;
}

/* Work that is on the GPU for long, as an endless kernel is, has others take turns beside it. */
static bool still_dry(struct tenant *t, uint64_t now)
{
	if (!t->dry || !t->undrained || now - t->undrained_since > SOON_NS)
		return false;
	if (all_issued(t))
		return true;
	/* It has not run dry after all. */
	t->dry_turns &= ~1u;
	return false;
}

bool dry_look(struct tenant *t, bool wants, uint64_t now)
{
	const bool ends = t == t->s->holder ? ends_soon(t, now) : still_dry(t, now);

	t->dry = wants && ends;
	return t->dry;
}
