/* SPDX-License-Identifier: MIT */
/*
 * Work in flight may wait for other work of its own vGPU: a kernel for a flag that a copy sets, a
 * host function for a memset. That other work is parked behind the gate, which closed at the end of
 * the turn, so neither would ever end, and in an exclusive pool all other vGPUs would wait for
 * them. The same holds for streams that wait for one whose host function has returned: that one
 * goes on when the gate is open.
 *
 * So a vGPU that has not drained long after it should have is helped: for a moment its gate admits
 * one piece of work into each stream that has nothing in flight (contract/gate.h). Each moment of
 * one drain comes after twice as long a time as the one before. A tenant that fakes the need chains
 * pieces of work with that for no more than about twice its kernel limit, and pays for all of them.
 *
 * Where nothing but a host function that has returned waits, and others wait for the drain, the
 * first moment comes at once.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

#define AFTER_NS    200000000u /* and twice its estimate: a drain that takes longer may need help */
#define RETURNED_NS 1000000u   /* the GPU is idle, but the last work may just be ending */
#define MOMENT_NS   10000000u  /* a worker that is starved of CPU looks at its gate in that time */

static void set_open(struct turn_vgpu *v, bool open, uint64_t now)
{
	struct turn_session *s;

	state_event(v, open ? TURN_HELP : TURN_HELP_OVER);
	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (open)
			window_tell_help(s);
		session_set_open(s, open, now);
	}
}

void help_end(struct turn_vgpu *v, uint64_t now)
{
	if (v->state == TURN_HELPED)
		set_open(v, false, now);
}

static void expect(struct turn_vgpu *v)
{
	v->help.wait = AFTER_NS;
	v->help.at = v->drains_since + AFTER_NS + 2 * sessions_drain_ns(v);
}

static bool has_drained(const struct turn_vgpu *v)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (!s->last.drained)
			return false;
	}
	return true;
}

static bool any_waits(const struct turn_vgpu *v)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.parked || s->last.sleeps)
			return true;
	}
	return false;
}

/* In an exclusive pool the GPU stands still until a host function that has returned goes on, and
 * nothing else can be what the work in flight waits for. */
static bool only_returned(const struct turn_vgpu *v)
{
	const struct turn_session *s;
	bool some = false;

	if (!v->turns->params.exclusive)
		return false;
	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.parked)
			return false;
		some |= s->last.sleeps;
	}
	return some;
}

static void expect_soon(struct turn_vgpu *v)
{
	const uint64_t soon = v->drains_since + RETURNED_NS;

	if (v->help.wait == AFTER_NS && v->state != TURN_HELPED && soon < v->help.at &&
	    only_returned(v))
		v->help.at = soon;
}

void help_look(struct turns *t, uint64_t now, uint64_t *at)
{
	struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->leavers, leaver_link)
	{
		/* Those that have the GPU at once have their gates opened often. */
		if (state_joint(v))
			continue;
		if (!v->help.at)
			expect(v);
		expect_soon(v);
		if (v->state == TURN_HELPED && (now >= v->help.at || has_drained(v))) {
			set_open(v, false, now);
			v->help.wait *= 2;
			v->help.at = now + v->help.wait;
			*at = now; /* look at it again */
		} else if (now >= v->help.at && any_waits(v)) {
			set_open(v, true, now);
			v->help.at = now + MOMENT_NS;
		} else if (now >= v->help.at) {
			v->help.at = now + AFTER_NS;
		}
		*at = v->help.at < *at ? v->help.at : *at;
	}
}
