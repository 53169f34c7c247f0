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
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define AFTER_NS    200000000u /* and twice its estimate: a drain that takes longer may need help */
#define RETURNED_NS 1000000u   /* the GPU is idle, but the last work may just be ending */
#define MOMENT_NS   10000000u  /* a worker that is starved of CPU looks at its gate in that time */

static void set_open(struct tenant *t, bool open, uint64_t now)
{
	struct gate *g;

	t->helped = open;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (open)
			gate_tell(g, true, false, 0);
		gate_set_open(g, open, now);
	}
}

static void expect(struct tenant *t)
{
	t->help_wait = AFTER_NS;
	t->help_at = t->undrained_since + AFTER_NS + 2 * tenant_drain_ns(t);
}

static bool has_drained(const struct tenant *t)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (!g->last.drained)
			return false;
	}
	return true;
}

static bool any_waits(const struct tenant *t)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (g->last.parked || g->last.sleeps)
			return true;
	}
	return false;
}

/* In an exclusive pool the GPU stands still until a host function that has returned goes on, and
 * nothing else can be what the work in flight waits for. */
static bool only_returned(const struct tenant *t)
{
	const struct gate *g;
	bool some = false;

	if (!t->s->params.exclusive)
		return false;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (g->last.parked)
			return false;
		some |= g->last.sleeps;
	}
	return some;
}

static void expect_soon(struct tenant *t)
{
	const uint64_t soon = t->undrained_since + RETURNED_NS;

	if (t->help_wait == AFTER_NS && !t->helped && soon < t->help_at && only_returned(t))
		t->help_at = soon;
}

void help_look(struct schedule *s, uint64_t now, uint64_t *at)
{
	struct tenant *t;

	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	{
		/* Those that have the GPU at once have their gates opened often. */
		if (t->joint)
			continue;
		if (!t->help_at)
			expect(t);
		expect_soon(t);
		if (t->helped && (now >= t->help_at || has_drained(t))) {
			set_open(t, false, now);
			t->help_wait *= 2;
			t->help_at = now + t->help_wait;
			*at = now; /* look at it again */
		} else if (now >= t->help_at && any_waits(t)) {
			set_open(t, true, now);
			t->help_at = now + MOMENT_NS;
		} else if (now >= t->help_at) {
			t->help_at = now + AFTER_NS;
		}
		*at = t->help_at < *at ? t->help_at : *at;
	}
}
