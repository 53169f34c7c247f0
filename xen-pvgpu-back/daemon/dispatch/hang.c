/* SPDX-License-Identifier: MIT */
/*
 * A vGPU hangs when its work has not drained long after the grant was taken from it, for example
 * with an endless kernel. Until the watchdog ends that work the GPU itself slices time between
 * contexts, and the hanging one gets the less, the more others have work there. So meanwhile no
 * grant is given: the gates of all vGPUs that want the GPU are open beside the holder's, and time
 * is charged in equal parts. Now and then the gates of the hanging vGPU open, too, for a moment,
 * because its work may wait for other work of its own. An allowance, which is refilled slowly,
 * limits how long a vGPU can deprive others of their turns in this way.
 *
 * Many vGPUs that drain at the same time share the GPU, and each takes as much longer. So a drain
 * ages by its part of the time: else the vGPUs whose gates were open beside a hanging one, all
 * closed at once, would be the next that hang, and so on for ever.
 *
 * In exclusive pools the others wait instead.
 */

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define AFTER_NS     200000000u  /* a drain that is older is a hang */
#define WITHOUT_NS   500000000u  /* phase with the gates of the others open ... */
#define WITH_NS      10000000u   /* ... alternating with a phase with all gates open */
#define ALLOWANCE_NS 30000000000 /* of a vGPU: longer than any kernel limit */
#define COMES_BACK   100         /* refilled with a hundredth of the time */
#define INFLIGHT_NS  1000000u

/* Does a vGPU that has not drained count as hanging? */
static bool hangs(struct tenant *t, uint64_t now)
{
	uint64_t back = (now - t->hang_seen) / COMES_BACK;

	if (!t->hangs && t->aged_ns < AFTER_NS)
		return false;
	t->hangs = true;
	t->hang_used = back < t->hang_used ? t->hang_used - back : 0;
	t->hang_seen = now;
	return t->hang_used < ALLOWANCE_NS;
}

static void set_open(struct tenant *t, bool open, uint64_t now)
{
	struct gate *g;
	bool undrained = false;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (open)
			gate_tell(g, true, false, INFLIGHT_NS);
		gate_set_open(g, open, now);
		undrained |= g->closing;
	}
	t->beside = t->on_gpu = open;
	t->s->besides += open ? 1u : -1u;
	schedule_set_undrained(t, !open && undrained);
	if (open)
		return;
	t->undrained_since = now;
	t->drain_ns = 0;
	t->hangs = t->hangs && undrained;
}

void hang_join(struct gate *g, uint64_t now)
{
	struct tenant *t = g->tenant;

	if (t->joint) {
		joint_join(g, now);
		return;
	}
	if (t != t->s->holder && !t->beside)
		return;
	if (t->s->together)
		gate_tell(g, true, false, INFLIGHT_NS);
	gate_set_open(g, true, now);
}

/* Opens the gates of all vGPUs that want the GPU and do not hang. */
static void open_others(struct schedule *s, uint64_t now)
{
	struct tenant *t;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->beside && t->wants && !t->undrained && t != s->holder)
			set_open(t, true, now);
		else if (t->beside && !t->wants)
			set_open(t, false, now);
	}
}

static void open_hanging(struct schedule *s, uint64_t now)
{
	struct tenant *t, *next;

	for (t = TAILQ_FIRST(&s->undrained); t; t = next) {
		next = TAILQ_NEXT(t, undrained_link);
		if (t->hangs && t->wants)
			set_open(t, true, now);
	}
}

static void close_beside(struct schedule *s, bool hanging_only, uint64_t now)
{
	struct tenant *t;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (t->beside && (t->hangs || !hanging_only))
			set_open(t, false, now);
	}
}

void hang_leave(struct tenant *t)
{
	t->s->besides -= t->beside;
	t->beside = t->hangs = false;
}

/* Returns the number of drains. */
static unsigned int age(struct schedule *s, uint64_t now)
{
	unsigned int n = 0;
	struct tenant *t;

	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	n++;
	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	{
		uint64_t from = s->aged_at;

		if (t->aged_from != t->undrained_since) {
			t->aged_from = from = t->undrained_since;
			t->aged_ns = 0;
		}
		t->aged_ns += now > from ? (now - from) / n : 0;
	}
	s->aged_at = now;
	return n;
}

/* *due: the earliest time at which another drain becomes a hang. */
static bool any_hangs(struct schedule *s, uint64_t now, uint64_t *due)
{
	const uint64_t passed = s->together ? now - s->together_seen : 0;
	const unsigned int n = age(s, now);
	struct tenant *t;
	bool any = false;

	s->together_seen = now;
	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	{
		if (hangs(t, now)) {
			t->hang_used += passed;
			any = true;
		} else if (!t->hangs && now + (AFTER_NS - t->aged_ns) * n < *due) {
			*due = now + (AFTER_NS - t->aged_ns) * n;
		}
	}
	return any;
}

bool hang_look(struct schedule *s, uint64_t now, uint64_t *at)
{
	bool any;

	if (s->with_hanging && now >= s->phase_end) {
		close_beside(s, true, now);
		s->with_hanging = false;
		s->phase_end = now + WITHOUT_NS;
	}
	any = s->with_hanging;
	any |= any_hangs(s, now, at);
	any = any && !s->params.exclusive && !s->joint && (s->together || !s->leaving);
	if (!any) {
		if (s->together)
			close_beside(s, false, now);
		s->together = s->with_hanging = false;
		return false;
	}
	if (!s->together)
		s->phase_end = now + WITHOUT_NS;
	s->together = true;
	if (!s->with_hanging && now >= s->phase_end) {
		open_hanging(s, now);
		s->with_hanging = true;
		s->phase_end = now + WITH_NS;
	}
	open_others(s, now);
	*at = s->phase_end < *at ? s->phase_end : *at;
	return true;
}
