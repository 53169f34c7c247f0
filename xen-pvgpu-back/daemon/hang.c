/* SPDX-License-Identifier: MIT */
/*
 * A vGPU whose work has not drained long after the grant was taken from it, an endless kernel
 * perhaps: until the watchdog ends it the GPU itself slices time between its context and others.
 * The more of these have work there, the less is lost. So meanwhile no grant is given, and all that
 * want the GPU have their gates open beside the holder's, charged in equal parts. Now and then the
 * one that hangs has, too, for a moment: what it waits for may be other work of its own. And nobody
 * keeps others from their turns in this way for ever: there is an allowance, which comes back
 * slowly.
 *
 * Not in exclusive pools: there others wait.
 */
#include "xen-pvgpu-back/daemon/schedule_state.h"

#define AFTER_NS     200000000u  /* not drained for so long: it hangs */
#define WITHOUT_NS   500000000u  /* the others at a time ... */
#define WITH_NS      10000000u   /* ... and it as well, alternately */
#define ALLOWANCE_NS 30000000000 /* of a vGPU: longer than kernels may take that are limited */
#define COMES_BACK   100         /* a hundredth of the time */
#define INFLIGHT_NS  1000000u

/* Of one that has not drained. */
static bool hangs(struct seat *t, uint64_t now)
{
	uint64_t back = (now - t->hang_seen) / COMES_BACK;

	if (!t->hangs && now - t->tail_since < AFTER_NS)
		return false;
	t->hangs = true;
	t->hang_used = back < t->hang_used ? t->hang_used - back : 0;
	t->hang_seen = now;
	return t->hang_used < ALLOWANCE_NS;
}

static void set_open(struct seat *t, bool open, uint64_t now)
{
	struct gate *g;
	bool tail = false;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (open)
			gate_tell(g, true, false, INFLIGHT_NS);
		gate_set_open(g, open, now);
		tail |= g->closing;
	}
	t->beside = t->on_gpu = open;
	t->s->besides += open ? 1u : -1u;
	schedule_set_tail(t, !open && tail);
	if (open)
		return;
	t->tail_since = now;
	t->drain_ns = 0;
	t->hangs = t->hangs && tail;
}

void hang_join(struct gate *g, uint64_t now)
{
	struct seat *t = g->seat;

	if (t != t->s->holder && !t->beside)
		return;
	if (t->s->together)
		gate_tell(g, true, false, INFLIGHT_NS);
	gate_set_open(g, true, now);
}

/* All that want the GPU, but those that hang. */
static void open_others(struct schedule *s, uint64_t now)
{
	struct seat *t;

	TAILQ_FOREACH(t, &s->seats, link)
	{
		if (!t->beside && t->wants && !t->tail && t != s->holder)
			set_open(t, true, now);
		else if (t->beside && !t->wants)
			set_open(t, false, now);
	}
}

static void open_hanging(struct schedule *s, uint64_t now)
{
	struct seat *t, *next;

	for (t = TAILQ_FIRST(&s->tails); t; t = next) {
		next = TAILQ_NEXT(t, tail_link);
		if (t->hangs && t->wants)
			set_open(t, true, now);
	}
}

static void close_beside(struct schedule *s, bool hanging_only, uint64_t now)
{
	struct seat *t;

	TAILQ_FOREACH(t, &s->seats, link)
	{
		if (t->beside && (t->hangs || !hanging_only))
			set_open(t, false, now);
	}
}

void hang_leave(struct seat *t)
{
	t->s->besides -= t->beside;
	t->beside = t->hangs = false;
}

/* When the next one that has not drained hangs is left in due. */
static bool any_hangs(struct schedule *s, uint64_t now, uint64_t *due)
{
	uint64_t passed = s->together ? now - s->together_seen : 0;
	struct seat *t;
	bool any = false;

	s->together_seen = now;
	TAILQ_FOREACH(t, &s->tails, tail_link)
	{
		if (hangs(t, now)) {
			t->hang_used += passed;
			any = true;
		} else if (!t->hangs && t->tail_since + AFTER_NS < *due) {
			*due = t->tail_since + AFTER_NS;
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
	any = any && !s->params.exclusive && (s->together || !s->leaving);
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
