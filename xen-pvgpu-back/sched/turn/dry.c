/* SPDX-License-Identifier: MIT */
/*
 * A turn that ends before its holder runs dry. A program that waits for its results has nothing
 * queued behind its last kernel, and a hand-over that begins when that has ended leaves the GPU
 * idle for several wake-ups. The worker of a vGPU that has run dry lately rings once in a turn when
 * nothing is parked any more. From then on the holder is looked at when its work is about to end:
 * if there is still nothing behind it, the next vGPU's gate opens while it ends. Until it has
 * drained, or has work parked again, the former holder does not count as one that wants the GPU.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

/* A program has had the time to launch what it launches at once. */
#define SETTLED_PER 2u
#define LATELY      0xfu      /* the last four turns */
#define DRY_MOST_NS 10000000u /* in which the last work of one that runs dry should have ended */

/* An older worker does not tell, and takes its whole turn. */
static bool all_issued(const struct turn_vgpu *v)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.wants && (s->last.parked || !s->last.issued))
			return false;
	}
	return true;
}

/* Parked commands are taken to be as long as the session's others were. Work that takes longer than
 * estimated has no known end. */
uint64_t dry_ends_in(const struct turn_vgpu *v, uint64_t now)
{
	uint64_t ns = sessions_drains_in(v, now), each;
	const struct turn_session *s;

	if (ns == OVERDUE_NS)
		return 0;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (!s->last.parked)
			continue;
		each = s->last.commands ? turn_issued_ns(&s->last) / s->last.commands : 0;
		if (!each || s->last.parked > TURN_NEVER_NS / each)
			return 0;
		ns += each * s->last.parked;
		if (ns > TURN_NEVER_NS)
			return 0;
	}
	return ns;
}

static bool may_end(const struct turns *t, const struct turn_vgpu *v, uint64_t now)
{
	/* Work of two in flight would be in the way of a higher class. Brief ones wait for each
	 * other, and then have turns together. */
	return !window_is_below(v) && t->exact && !t->joint.on && !t->limited_share &&
	       !t->params.exclusive && now - t->given_at >= SETTLED_PER * t->cost_ns &&
	       dry_expected(v) && sched_peers(v->sched) && !joint_may(v) && !pause_may(v);
}

static bool ends_soon(const struct turn_vgpu *v, uint64_t now)
{
	struct turns *t = v->turns;
	uint64_t left, early;

	t->dry_at = SCHED_NEVER;
	if (!may_end(t, v, now) || !all_issued(v))
		return false;
	left = sessions_drains_in(v, now);
	early = window_early_dry(t->cost_ns, now - t->given_at + left) + t->late_ns;
	if (left > early)
		t->dry_at = now + left - early;
	return left && left <= early;
}

void dry_turn(struct turn_vgpu *v, bool ran_dry)
{
	v->dry_turns = v->dry_turns << 1 | ran_dry;
}

bool dry_expected(const struct turn_vgpu *v)
{
	return v->dry_turns & LATELY;
}

/* Work that is on the GPU for long, as an endless kernel is, has others take turns beside it. */
static bool still_dry(struct turn_vgpu *v, uint64_t now)
{
	if (!v->dry || !state_leaves(v) || now - v->drains_since > DRY_MOST_NS)
		return false;
	if (all_issued(v))
		return true;
	/* It has not run dry after all. */
	v->dry_turns &= ~1u;
	return false;
}

bool dry_look(struct turn_vgpu *v, bool wants, uint64_t now)
{
	const bool ends = v == v->turns->holder ? ends_soon(v, now) : still_dry(v, now);

	v->dry = wants && ends;
	return v->dry;
}
