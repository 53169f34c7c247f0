/* SPDX-License-Identifier: MIT */
/*
 * A holder that is expected back. A program that waits for each result has nothing on the GPU from
 * the end of a piece of work until it launches the next one. If another vGPU got the GPU in each of
 * these pauses, vGPUs with long pieces would have one each in turn, whatever their weights and
 * lengths. So the grant stays with the holder in its pause, and it is charged for that, if more is
 * due to it, and if its pauses have been short: a tenth of what it uses between them at most.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

#define PART     10u
#define MOST_NS  5000000u
#define LEAST_NS 200000u /* expected of one of which nothing is known; and a worker's wake-up */
/* Less than that until another one is first in turn is the next one's. */
#define CREDIT_NS 2000000u

/* How long it is waited for; 0: not at all. */
static uint64_t wait_ns(const struct turn_vgpu *v)
{
	const uint64_t ns = v->pause.ns + v->pause.ns / 2 + LEAST_NS;

	return ns <= MOST_NS && ns <= v->pause.burst / PART ? ns : 0;
}

bool pause_may(const struct turn_vgpu *v)
{
	const struct turns *t = v->turns;

	return v == t->holder && v->session_n && t->exact && !t->joint.on && !t->limited_share &&
	       wait_ns(v) && sched_credit_left(v->sched) > CREDIT_NS;
}

static void begin(struct turn_vgpu *v, uint64_t now)
{
	v->pause.since = now;
	v->pause.burst = v->charged_ns - v->pause.from;
}

/* It has work again, since before this look if nothing waits for its gate. */
static void end(struct turn_vgpu *v, uint64_t now)
{
	const struct turn_session *s;
	uint64_t ns, at = now;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.oldest_ns > v->pause.since && s->last.oldest_ns < at)
			at = s->last.oldest_ns;
	}
	ns = at - v->pause.since;
	ns = ns < 4 * MOST_NS ? ns : 4 * MOST_NS;
	v->pause.ns = (3 * v->pause.ns + ns) / 4;
	v->pause.since = 0;
	v->pause.from = v->charged_ns;
}

bool pause_look(struct turn_vgpu *v, bool wants, uint64_t now)
{
	struct turns *t = v->turns;
	uint64_t until;

	if (v == t->holder)
		t->pause_at = SCHED_NEVER;
	if (wants && v->pause.since)
		end(v, now);
	else if (!wants && (v->wants || v->dry) && !v->pause.since)
		begin(v, now);
	until = v->pause.since + wait_ns(v);
	if (wants || now >= until || !pause_may(v))
		return false;
	t->pause_at = until;
	return true;
}
